"""Every declared expectation passes clean rows and fails rows that break it, through the bridge."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from btq_assets.contracts import features, raw
from btq_assets.contracts.base import TableContract, cast_to_contract
from btq_assets.contracts.checks import CheckContext, CheckOutcome
from btq_assets.contracts.columns import SYMBOL, TS, UNIVERSE, number
from btq_assets.contracts.raw import alternative as raw_alternative
from data_quality import (
    alternative_suites,
    document_suites,
    feature_suites,
    macro_suites,
    runner,
    suites,
)
from data_quality.declarations import Suite, View, between
from data_quality.site import pages

Corruption = Callable[[pl.DataFrame], pl.DataFrame]

N_BARS = 900
START = dt.datetime(2015, 1, 5, 21, tzinfo=dt.UTC)


def weekdays(n: int) -> list[dt.datetime]:
    days = (START + dt.timedelta(days=i) for i in range(2 * n))
    return [day for day in days if day.weekday() < 5][:n]


def clean_bars() -> pl.DataFrame:
    random = np.random.default_rng(3)
    frames = []
    for symbol in "ABC":
        close = 100 * np.exp(np.cumsum(random.normal(0, 0.01, N_BARS)))
        stamps = weekdays(N_BARS)
        frames.append(
            pl.DataFrame(
                {
                    "dataset": "test",
                    "symbol": symbol,
                    "freq": "1d",
                    "ts": stamps,
                    "known_at": stamps,
                    "known_at_basis": "assumed_lag",
                    "open": close,
                    "high": close * 1.01,
                    "low": close * 0.99,
                    "close": close,
                    "adj_close": close * 0.9,
                    "volume": np.full(N_BARS, 1e6),
                    "currency": "USD",
                },
                schema=raw.BARS_SAMPLE.schema,
            )
        )
    return pl.concat(frames)


def clean_macro() -> pl.DataFrame:
    random = np.random.default_rng(4)
    periods = [dt.date(2000 + i // 12, i % 12 + 1, 1) for i in range(120)]
    frames = [
        pl.DataFrame(
            {
                "series_id": name,
                "period": periods,
                "known_at": [
                    dt.datetime(p.year, p.month, 1, tzinfo=dt.UTC) + dt.timedelta(days=45)
                    for p in periods
                ],
                "known_at_basis": "assumed_lag",
                "value": 100 + np.cumsum(random.normal(0, 1, len(periods))),
                "unit": "index",
                "revision": "REVISED",
                "dataset": "test",
            }
        )
        for name in ("CPI", "IP")
    ]
    return cast_to_contract(pl.concat(frames), raw.MACRO_SAMPLE)


def clean_documents() -> pl.DataFrame:
    values = {
        "doc_id": [f"d{i}" for i in range(80)],
        "symbol": ["ABCDEFGH"[i % 8] for i in range(80)],
        "published_at": [START + dt.timedelta(days=i) for i in range(80)],
        "known_at": [START + dt.timedelta(days=i, minutes=5) for i in range(80)],
        "known_at_basis": "assumed_lag",
        "headline": [f"SYNTHETIC: headline number {i}" for i in range(80)],
        "text": [f"A text of more than twenty characters, number {i}" for i in range(80)],
        "language": ["en" if i % 4 else "de" for i in range(80)],
        "label": "SYNTHETIC",
        "dataset": "test",
    }
    return of_contract(raw.DOCUMENTS_SAMPLE, values)


def of_contract(contract: TableContract, values: dict[str, object]) -> pl.DataFrame:
    """A frame of the contract; columns not named are null."""
    frame = pl.DataFrame(values)
    absent = [name for name in contract.column_names if name not in values]
    return cast_to_contract(frame.with_columns(pl.lit(None).alias(n) for n in absent), contract)


def clean_intraday() -> pl.DataFrame:
    """Minutes of a market that never closes, a week from Monday on."""
    random = np.random.default_rng(8)
    n = 60 * 24 * 7
    stamps = [START.replace(hour=0) + dt.timedelta(minutes=i + 1) for i in range(n)]
    close = 100 * np.exp(np.cumsum(random.normal(0, 1e-3, n)))
    return of_contract(
        raw.BARS_SAMPLE,
        {
            "dataset": "test",
            "symbol": "BTC",
            "freq": "1m",
            "ts": stamps,
            "known_at": stamps,
            "known_at_basis": "assumed_lag",
            "open": close,
            "high": close * 1.001,
            "low": close * 0.999,
            "close": close,
            "volume": 1.0,
            "currency": "USD",
        },
    )


def clean_chain() -> pl.DataFrame:
    """Forty strikes of one expiry, priced by intrinsic value and a constant."""
    rows = []
    for kind in ("call", "put"):
        for strike in range(80, 120):
            intrinsic = max(0.0, (100 - strike) * (1 if kind == "call" else -1))
            mid = intrinsic + 30.0 / (1 + abs(strike - 100) / 40)
            rows.append((kind, float(strike), mid - 0.05, mid + 0.05))
    return of_contract(
        raw_alternative.OPTION_QUOTES_CBOE,
        {
            "dataset": "test",
            "underlying": "SPX",
            "contract_id": [f"{kind}{strike}" for kind, strike, _, _ in rows],
            "root": "SPX",
            "kind": [row[0] for row in rows],
            "strike": [row[1] for row in rows],
            "expiry": (START + dt.timedelta(days=30)).date(),
            "expires_at": START + dt.timedelta(days=30),
            "ts": START,
            "known_at": START + dt.timedelta(minutes=15),
            "known_at_basis": "recorded",
            "bid": [row[2] for row in rows],
            "ask": [row[3] for row in rows],
            "volume": 10.0,
            "open_interest": 100.0,
            "iv_provider": 0.2,
            "underlying_price": 100.0,
            "underlying_basis": "spot",
            "premium_unit": "currency",
            "currency": "USD",
            "multiplier": 100.0,
        },
    )


def clean_onchain() -> pl.DataFrame:
    random = np.random.default_rng(9)
    stamps = [START + dt.timedelta(days=i) for i in range(100)]
    return of_contract(
        raw_alternative.ONCHAIN_COINMETRICS,
        {
            "dataset": "test",
            "asset": "btc",
            "metric": "AdrActCnt",
            "ts": stamps,
            "known_at": [stamp + dt.timedelta(days=1) for stamp in stamps],
            "known_at_basis": "assumed_lag",
            "value": 1e6 + random.normal(0, 1e4, 100),
            "unit": "addresses",
        },
    )


def clean_dark_pool() -> pl.DataFrame:
    weeks = [dt.date(2020, 1, 6) + dt.timedelta(weeks=i) for i in range(10) for _ in range(10)]
    return of_contract(
        raw_alternative.DARK_POOL_FINRA,
        {
            "dataset": "test",
            "symbol": [f"S{i % 10}" for i in range(100)],
            "week": weeks,
            "venue": "UBSA",
            "known_at": [
                dt.datetime(w.year, w.month, w.day, tzinfo=dt.UTC) + dt.timedelta(days=21)
                for w in weeks
            ],
            "known_at_basis": "recorded",
            "tier": "T1",
            "shares": 20_000.0,
            "trades": 100.0,
        },
    )


def clean_short_volume() -> pl.DataFrame:
    days = [stamp.date() for stamp in weekdays(10) for _ in range(10)]
    return of_contract(
        raw_alternative.SHORT_VOLUME_FINRA,
        {
            "dataset": "test",
            "symbol": [f"S{i % 10}" for i in range(100)],
            "session": days,
            "known_at": START + dt.timedelta(days=60),
            "known_at_basis": "recorded",
            "short_volume": 500.0,
            "total_volume": 1_000.0,
        },
    )


def clean_funding() -> pl.DataFrame:
    stamps = [START + dt.timedelta(hours=8 * i) for i in range(50)]
    return of_contract(
        raw.market.FUNDING_RATES_CCXT,
        {
            "dataset": "test",
            "symbol": "BTC/USDT:USDT",
            "ts": stamps,
            "known_at": stamps,
            "known_at_basis": "assumed_lag",
            "funding_rate": 1e-4,
            "interval_hours": 8.0,
        },
    )


def clean_actions() -> pl.DataFrame:
    """A split of A at its hundredth bar and a dividend of B at its two hundredth."""
    days = weekdays(N_BARS)
    return of_contract(
        raw.market.CORPORATE_ACTIONS_YAHOO,
        {
            "dataset": "test",
            "symbol": ["A", "B", "B"],
            "ex_date": [days[100].date(), days[200].date(), days[260].date()],
            "kind": ["split", "dividend", "dividend"],
            "known_at": [days[100], days[200], days[260]],
            "known_at_basis": "assumed_lag",
            "value": [2.0, 1.0, 1.0],
            "currency": "USD",
            "basis": "split_adjusted",
        },
    )


def adjusted_bars() -> pl.DataFrame:
    """Clean bars whose adjusted close contains the dividends of `clean_actions`."""
    frame = clean_bars()
    paid = pl.lit(1.0)
    number = pl.int_range(pl.len()).over("symbol")
    for at_bar in (200, 260):
        before = pl.col("close").filter(pl.col("symbol") == "B").get(at_bar - 1)
        paid = (
            pl.when((pl.col("symbol") == "B") & (number < at_bar))
            .then(paid * (1 - 1 / before))
            .otherwise(paid)
        )
    return frame.with_columns(adj_close=pl.col("close") * paid)


#: A family whose contract bounds nothing, so that every bound is the suite's.
FEATURES = TableContract(
    layer="features",
    name="tested",
    description="Features without bounds of their own.",
    columns=(
        UNIVERSE,
        SYMBOL,
        TS,
        number("rsi_14", "Oscillator."),
        number("mean_correlation", "Correlation."),
        number("return_21d_rank", "Rank."),
        number("universe_beta", "Beta."),
        number("kyle_lambda_63", "Unbounded."),
    ),
    key=("universe", "symbol", "ts"),
)


def clean_features() -> pl.DataFrame:
    random = np.random.default_rng(5)
    frames = [
        pl.DataFrame(
            {
                "universe": "us20",
                "symbol": symbol,
                "ts": weekdays(N_BARS),
                "rsi_14": random.uniform(20, 80, N_BARS),
                "mean_correlation": random.uniform(-0.9, 0.9, N_BARS),
                # A rank that never changes for a symbol is no fault.
                "return_21d_rank": np.full(N_BARS, rank),
                "universe_beta": random.normal(1, 0.2, N_BARS),
                "kyle_lambda_63": random.normal(0, 1, N_BARS),
            }
        )
        for symbol, rank in (("A", -1.0), ("B", 0.0), ("C", 1.0))
    ]
    frame = cast_to_contract(pl.concat(frames), FEATURES)
    warm_up = pl.int_range(pl.len()).over("symbol") < 60
    return frame.with_columns(
        pl.when(~warm_up).then(name).alias(name) for name in ("rsi_14", "universe_beta")
    )


def at(row: int, **values: object) -> Corruption:
    """Overwrite values of one row."""
    return lambda frame: frame.with_columns(
        pl.when(pl.int_range(pl.len()) == row)
        .then(pl.lit(value))
        .otherwise(pl.col(name))
        .alias(name)
        for name, value in values.items()
    )


def rows(first: int, last: int, **values: pl.Expr) -> Corruption:
    """Overwrite values of rows `first` to `last`, the last excluded."""
    chosen = pl.int_range(pl.len()).is_between(first, last, closed="left")
    return lambda frame: frame.with_columns(
        pl.when(chosen).then(value).otherwise(pl.col(name)).alias(name)
        for name, value in values.items()
    )


def drop(first: int, last: int) -> Corruption:
    return lambda frame: pl.concat([frame.head(first), frame.slice(last)])


def _scaled_prices(first: int, factor: float) -> Corruption:
    """Prices of the first symbol from row `first` on, as a split or another unit leaves them."""
    return rows(
        first,
        N_BARS,
        **{name: pl.col(name) * factor for name in ("open", "high", "low", "close", "adj_close")},
    )


def _saturday(frame: pl.DataFrame) -> pl.DataFrame:
    extra = frame.slice(4, 1).with_columns(pl.col("ts", "known_at") + pl.duration(days=1))
    assert extra["ts"][0].weekday() == 5
    return pl.concat([frame, extra])


def _louder(frame: pl.DataFrame) -> pl.DataFrame:
    """The last 252 moves of the first symbol five times as large."""
    close = frame["adj_close"][:N_BARS].log().to_numpy()
    moves = np.diff(close, prepend=close[0])
    moves[-252:] *= 5
    louder = np.exp(close[0] + np.cumsum(moves))
    return frame.with_columns(
        adj_close=pl.Series([*louder, *frame["adj_close"][N_BARS:].to_list()])
    )


def _copied(frame: pl.DataFrame) -> pl.DataFrame:
    first = frame.filter(pl.col("symbol") == "A").with_columns(
        symbol=pl.lit("D"), adj_close=pl.col("adj_close") * 3
    )
    return pl.concat([frame, first])


def _revised(frame: pl.DataFrame) -> pl.DataFrame:
    vintage = frame.slice(10, 1).with_columns(
        known_at=pl.col("known_at") + pl.duration(days=30),
        known_at_basis=pl.lit("recorded"),
        value=pl.col("value") * 100,
    )
    return pl.concat([frame, vintage])


def _one_symbol(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(
        symbol=pl.when(pl.int_range(pl.len()) < 72).then(pl.lit("A")).otherwise("symbol")
    )


def _swapped(frame: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([frame.head(500), frame.slice(501, 1), frame.slice(500, 1), frame.slice(502)])


def _late(frame: pl.DataFrame) -> pl.DataFrame:
    """A tenth of the bars of A known a week later, as recorded."""
    late = (pl.int_range(pl.len()) < N_BARS) & (pl.int_range(pl.len()) % 10 == 0)
    return frame.with_columns(
        known_at=pl.when(late).then(pl.col("known_at") + pl.duration(days=7)).otherwise("known_at"),
        known_at_basis=pl.when(late).then(pl.lit("recorded")).otherwise("known_at_basis"),
    )


def _lots(frame: pl.DataFrame) -> pl.DataFrame:
    return rows(N_BARS - 60, N_BARS, volume=pl.col("volume") / 100)(frame)


def times(column: str, factor: float) -> Corruption:
    return lambda frame: frame.with_columns(pl.col(column) * factor)


BARS = suites.raw_bars_declaration(raw.BARS_SAMPLE, freq="1d", actions=clean_actions())
INTRADAY = suites.raw_bars_declaration(raw.BARS_SAMPLE, freq="intraday")
MACRO = macro_suites.macro_declaration(raw.MACRO_SAMPLE)
DOCUMENTS = document_suites.documents_declaration(raw.DOCUMENTS_SAMPLE)
TESTED = feature_suites.features_declaration(FEATURES)

CASES: dict[str, tuple[Suite, Callable[[], pl.DataFrame], dict[str, Corruption]]] = {
    "bars": (
        BARS,
        adjusted_bars,
        {
            "no_spike_against_the_cross_section": rows(
                500, 501, adj_close=pl.col("adj_close") * 1.3
            ),
            "one_currency": at(7, currency="EUR"),
            "currency_is_that_of_before": at(7, currency="EUR"),
            "stamps_come_in_order": _swapped,
            "no_column_vanishes": rows(N_BARS - 20, N_BARS, open=pl.lit(None)),
            "known_soon_after_the_bar": at(7, known_at=START + dt.timedelta(days=30)),
            "few_late_arrivals": _late,
            "volume_has_not_shifted": _lots,
            "splits_are_adjusted_once": rows(
                0, 100, **{n: pl.col(n) * 2 for n in ("open", "high", "low", "close", "adj_close")}
            ),
            "dividends_are_adjusted_once": rows(
                N_BARS, N_BARS + 200, adj_close=pl.col("adj_close") * 1.01
            ),
            "no_unit_error": _scaled_prices(500, 100.0),
            "no_split_sized_return": _scaled_prices(500, 1 / 3),
            "no_gap_in_sessions": drop(500, 510),
            "covers_the_sessions_of_its_dataset": drop(500, 530),
            "no_stale_prices": rows(500, 511, adj_close=pl.lit(100.0)),
            "columns_are_whole": rows(0, 30, volume=pl.lit(None)),
            "volume_is_not_zero": rows(0, 60, volume=pl.lit(0.0)),
            "no_filled_weekends": _saturday,
            "volatility_has_not_shifted": _louder,
            "price_level_is_plausible": lambda frame: frame.with_columns(
                pl.col("close", "adj_close") * 1e5
            ),
            "no_wide_range": at(500, low=10.0),
            "adjustment_factor_is_plausible": at(500, close=1.0),
            "no_copied_series": _copied,
        },
    ),
    "macro": (
        MACRO,
        clean_macro,
        {
            "assumed_lag_is_plausible": at(7, known_at=dt.datetime(2003, 2, 1, tzinfo=dt.UTC)),
            "no_gap_in_periods": drop(20, 34),
            "no_stale_values": rows(20, 46, value=pl.lit(100.0)),
            "one_unit": at(7, unit="percent"),
            "unit_is_that_of_before": at(7, unit="percent"),
            "no_outlier": at(7, value=10_000.0),
            "revisions_are_small": _revised,
            "known_after_its_period_began": at(7, known_at=dt.datetime(1999, 1, 1, tzinfo=dt.UTC)),
            "changes_have_not_shifted": lambda frame: frame.with_columns(
                value=pl.when(
                    (pl.int_range(pl.len()).over("series_id") >= 96)
                    & (pl.int_range(pl.len()) % 2 == 0)
                )
                .then(pl.col("value") + 60)
                .otherwise("value")
            ),
        },
    ),
    "documents": (
        DOCUMENTS,
        clean_documents,
        {
            "known_within_a_day": at(7, known_at=START + dt.timedelta(days=9)),
            "headline_has_a_headlines_length": at(7, headline="Up"),
            "headlines_are_not_repeated": rows(
                0, 8, headline=pl.lit("Same again"), symbol=pl.lit("A"), published_at=pl.lit(START)
            ),
            "no_symbol_dominates": _one_symbol,
            "no_flood_of_documents": lambda frame: frame.with_columns(
                published_at=pl.when(pl.int_range(pl.len()) < 60)
                .then(pl.lit(START))
                .otherwise("published_at")
            ),
            "no_long_silence": rows(40, 80, published_at=pl.col("published_at") + dt.timedelta(35)),
            "texts_are_not_empty": rows(0, 8, text=pl.lit("Subscribe!")),
            "one_language_prevails": lambda frame: frame.with_columns(
                language=pl.Series(["en", "de", "fr"]).gather(pl.Series(range(80)) % 3)
            ),
        },
    ),
    "intraday": (
        INTRADAY,
        clean_intraday,
        {
            "covers_the_intraday_grid": lambda frame: frame.filter(pl.int_range(pl.len()) % 8 != 0),
            "no_long_hole_in_a_session": drop(500, 561),
            "no_stale_intraday_prices": rows(500, 621, close=pl.lit(100.0)),
            "intraday_volume_is_not_zero": rows(0, 6_000, volume=pl.lit(0.0)),
            "stamps_are_on_the_grid": rows(0, 2_100, ts=pl.col("ts") - pl.duration(seconds=1)),
            # What is expected of every bar is judged with the daily ones.
            **dict.fromkeys([e.name for e in INTRADAY.expectations if e in BARS.expectations]),
        },
    ),
    "options": (
        alternative_suites.options_declaration(raw_alternative.OPTION_QUOTES_CBOE),
        clean_chain,
        {
            "most_quotes_have_two_sides": rows(0, 75, bid=pl.lit(None)),
            "spreads_are_plausible": rows(0, 80, bid=pl.lit(0.01)),
            "contracts_are_not_idle": rows(0, 80, volume=pl.lit(0.0), open_interest=pl.lit(None)),
            "both_rights_are_there": rows(0, 80, kind=pl.lit("call")),
            "prices_follow_the_strike": lambda frame: frame.with_columns(
                pl.col("bid", "ask") + 9 * (pl.int_range(pl.len()) % 10 == 5)
            ),
            "quotes_are_fresh": at(3, known_at=START + dt.timedelta(days=5)),
        },
    ),
    "onchain": (
        alternative_suites.onchain_declaration(raw_alternative.ONCHAIN_COINMETRICS),
        clean_onchain,
        {
            "one_unit": at(7, unit="USD"),
            "unit_is_that_of_before": at(7, unit="USD"),
            "no_gap_in_days": drop(50, 56),
            "no_stale_values": rows(50, 65, value=pl.lit(1e6)),
            "values_are_not_negative": at(7, value=-1.0),
            "known_soon": at(7, known_at=START + dt.timedelta(days=20)),
            "level_has_not_shifted": rows(70, 100, value=pl.col("value") * 11),
            "no_outlier": at(7, value=1e8),
        },
    ),
    "dark_pool": (
        alternative_suites.dark_pool_declaration(raw_alternative.DARK_POOL_FINRA),
        clean_dark_pool,
        {
            "trades_have_a_trades_size": times("shares", 1e4),
            "published_in_time": rows(
                0, 10, known_at=pl.lit(dt.datetime(2020, 7, 1, tzinfo=dt.UTC))
            ),
            "as_many_symbols_as_usual": drop(30, 36),
            "no_week_is_missing": drop(30, 40),
        },
    ),
    "short_volume": (
        alternative_suites.short_volume_declaration(raw_alternative.SHORT_VOLUME_FINRA),
        clean_short_volume,
        {
            "as_many_symbols_as_usual": drop(30, 36),
            "no_session_is_missing": drop(20, 50),
        },
    ),
    "funding": (
        alternative_suites.funding_declaration(raw.market.FUNDING_RATES_CCXT),
        clean_funding,
        {
            "rates_are_plausible": at(7, funding_rate=0.0501),
            "fundings_are_regular": drop(20, 24),
        },
    ),
    "actions": (
        alternative_suites.corporate_actions_declaration(raw.market.CORPORATE_ACTIONS_YAHOO),
        clean_actions,
        {
            "split_ratio_is_plausible": at(0, value=150.0),
            "told_once": lambda frame: frame.with_columns(
                ex_date=pl.when(pl.int_range(pl.len()) == 2)
                .then(pl.col("ex_date").get(1) + dt.timedelta(days=1))
                .otherwise("ex_date")
            ),
        },
    ),
    "features": (
        TESTED,
        clean_features,
        {
            "no_constant_feature": lambda frame: frame.with_columns(universe_beta=pl.lit(1.0)),
            "values_are_possible": at(700, rsi_14=100.5),
            "values_are_plausible": at(700, universe_beta=11.0),
            "few_holes": rows(500, 600, rsi_14=pl.lit(None)),
            "present_after_warm_up": lambda frame: frame.with_columns(
                rsi_14=pl.when(pl.int_range(pl.len()).over("symbol") > 600).then("rsi_14")
            ),
            "few_values_far_out": rows(500, 520, kyle_lambda_63=pl.lit(1e3)),
            "has_not_shifted": lambda frame: frame.with_columns(
                kyle_lambda_63=pl.col("kyle_lambda_63")
                + 10 * (pl.int_range(pl.len()).over("symbol") >= N_BARS - 252)
            ),
            "not_stale": lambda frame: frame.with_columns(
                kyle_lambda_63=pl.col("kyle_lambda_63").gather_every(10).repeat_by(10).explode()
            ),
        },
    ),
}

FAULTS = [
    (family, name)
    for family, (_, _, cases) in CASES.items()
    for name, corruption in cases.items()
    if corruption is not None
]


def judge(suite: Suite, frame: pl.DataFrame) -> dict[str, CheckOutcome]:
    return {outcome.name: outcome for outcome in runner.run_suite(suite, frame)}


def only(suite: Suite, name: str) -> Suite:
    chosen = tuple(e for e in suite.expectations if e.name == name)
    return replace(suite, expectations=chosen)


@pytest.mark.parametrize("family", CASES)
def test_clean_rows_pass_every_expectation(family: str) -> None:
    suite, clean, _ = CASES[family]
    failed = [outcome for outcome in runner.run_suite(suite, clean()) if not outcome.passed]
    assert not failed


@pytest.mark.parametrize(("family", "name"), FAULTS)
def test_an_expectation_fails_rows_that_break_it(family: str, name: str) -> None:
    suite, clean, cases = CASES[family]
    outcome = judge(only(suite, name), cases[name](clean()))[name]
    assert not outcome.passed
    assert outcome.metadata["rows_unexpected"] >= 1
    # The failing row is shown, and the message says what to do.
    assert outcome.metadata["sample"].startswith("| ")
    description = next(e.description for e in suite.expectations if e.name == name)
    assert description in outcome.message


@pytest.mark.parametrize("family", CASES)
def test_every_expectation_has_rows_it_must_fail(family: str) -> None:
    suite, _, cases = CASES[family]
    assert set(cases) == {expectation.name for expectation in suite.expectations}


@pytest.mark.parametrize("family", CASES)
def test_a_table_without_rows_passes(family: str) -> None:
    """A re-fetch that finds nothing new appends nothing."""
    suite, clean, _ = CASES[family]
    assert all(outcome.passed for outcome in runner.run_suite(suite, clean().clear()))


@pytest.mark.parametrize("contract", features.FAMILY_CONTRACTS.values(), ids=lambda c: c.name)
def test_feature_families_without_a_value_pass(contract: TableContract) -> None:
    suite = feature_suites.features_declaration(contract)
    key = {name: ["x"] for name in contract.key if name != "ts"}
    frame = pl.DataFrame({**key, "ts": [START]}).join(contract.empty(), on=contract.key, how="left")
    assert all(outcome.passed for outcome in runner.run_suite(suite, frame))


def test_a_measure_that_spans_orders_of_magnitude_is_judged_by_its_logarithm() -> None:
    """Amihud's ratio falls a thousandfold as a market grows; its logarithm is what models use."""
    contract = TableContract(
        layer="features",
        name="tested",
        description="",
        columns=(UNIVERSE, SYMBOL, TS, number("amihud_21", ""), number("kyle_lambda_63", "")),
        key=("universe", "symbol", "ts"),
    )
    decades = np.exp(np.linspace(0, 14, N_BARS)) * np.random.default_rng(1).lognormal(0, 1, N_BARS)
    frame = cast_to_contract(
        pl.DataFrame(
            {
                "universe": "us20",
                "symbol": "A",
                "ts": weekdays(N_BARS),
                "amihud_21": decades,
                "kyle_lambda_63": decades,
            }
        ),
        contract,
    )
    suite = only(feature_suites.features_declaration(contract), "few_values_far_out")
    sparse = frame.with_columns(
        pl.when(pl.int_range(pl.len()) < 890)
        .then(pl.col("amihud_21").log())
        .otherwise("kyle_lambda_63")
        .alias("kyle_lambda_63")
    )
    outcome = judge(suite, sparse)["few_values_far_out"]
    assert "kyle_lambda_63" in outcome.metadata["sample"]
    assert "amihud_21" not in outcome.metadata["sample"]
    # An error of a thousand decades is still one.
    wrong = frame.with_columns(
        amihud_21=pl.when(pl.int_range(pl.len()) < 10).then(1e-200).otherwise("amihud_21")
    )
    assert "amihud_21" in judge(suite, wrong)["few_values_far_out"].metadata["sample"]


def test_only_named_expectations_block() -> None:
    blocking = {e.name for s, _, _ in CASES.values() for e in s.expectations if e.blocking}
    assert blocking == {
        "no_unit_error",
        "no_copied_series",
        "one_currency",
        "one_unit",
        "no_constant_feature",
        "values_are_possible",
    }


def test_the_check_group_answers_each_spec_with_plain_metadata() -> None:
    group = suites.raw_bars_suite(raw.BARS_SAMPLE)
    bad = CASES["bars"][2]["no_unit_error"](clean_bars())
    context = CheckContext({raw.BARS_SAMPLE.table: bad}, {}, config=None)
    outcomes = {outcome.name: outcome for outcome in group.answer(context)}
    failed = outcomes["no_unit_error"]
    # One return: log 100 plus that day's own move, of one symbol on one day.
    assert failed.metadata["rows_unexpected"] == 1
    assert failed.metadata["rows_judged"] == 3 * (N_BARS - 1)
    assert "| test | A | 1d | 2016-12-05 21:00 | 4.6" in failed.metadata["sample"]
    assert json.loads(json.dumps(failed.metadata)) == failed.metadata
    assert {spec.name for spec in group.specs if spec.blocking} == {
        "no_unit_error",
        "no_copied_series",
        "one_currency",
    }


def test_bounds_are_told_in_four_digits() -> None:
    bars = suites.raw_bars_suite(raw.BARS_SAMPLE)
    bad = CASES["bars"][2]["no_split_sized_return"](clean_bars())
    answers = bars.answer(CheckContext({raw.BARS_SAMPLE.table: bad}, {}, config=None))
    failed = next(outcome for outcome in answers if outcome.name == "no_split_sized_return")
    assert "min_value = -0.6931, max_value = 0.6931" in failed.message


def test_bars_far_apart_are_no_neighbours() -> None:
    """Two revised bars of different years, one a hundred times the other, are no unit error."""
    pair = (
        clean_bars()
        .gather([0, 800])
        .with_columns(adj_close=pl.Series([1.0, 100.0]), known_at_basis=pl.lit("recorded"))
    )
    assert all(outcome.passed for outcome in runner.run_suite(BARS, pair))


def test_the_sample_is_short_however_many_rows_fail() -> None:
    frame = clean_bars().with_columns(low=pl.col("high") / 3)
    outcome = judge(only(BARS, "no_wide_range"), frame)["no_wide_range"]
    assert outcome.metadata["rows_unexpected"] == frame.height
    assert len(outcome.metadata["sample"].splitlines()) == 2 + runner.SAMPLE_ROWS


def test_the_worst_rows_are_shown_first_and_what_cannot_be_judged_is_not() -> None:
    """Of twenty rows out of bounds the farthest, whichever bound it is; 9 below is worse than 8 above."""
    values = [float("nan"), None, 0.5, *range(2, 19), -9.0]
    view = View("rows", lambda frame: frame, ("id",))
    suite = Suite("t", (view,), (between("x", "rows", "value", 0, 10, ""),))
    frame = pl.DataFrame({"id": [f"a | {i}" for i in range(len(values))], "value": values})
    (outcome,) = runner.run_suite(suite, frame)
    lines = outcome.metadata["sample"].splitlines()
    assert lines[2:5] == ["| a \\| 20 | -9 |", "| a \\| 19 | 18 |", "| a \\| 18 | 17 |"]
    assert "nan" not in outcome.metadata["sample"]
    assert len(lines) == 2 + runner.SAMPLE_ROWS
    # A bar in a text is not the end of a cell.
    assert pages._cells(outcome.metadata["sample"])[1] == ["a | 20", "-9"]


def test_a_suite_on_the_wrong_table_is_an_error() -> None:
    group = macro_suites.macro_suite(raw.MACRO_SAMPLE)
    with pytest.raises(runner.SuiteError, match=r"raw\.macro_sample was attached to"):
        group.answer(CheckContext({"raw.bars_sample": clean_bars()}, {}, config=None))


def test_an_expectation_that_cannot_be_judged_is_an_error_and_no_pass() -> None:
    absent = Suite(
        "t", (View("rows", lambda f: f, ("a",)),), (between("x", "rows", "b", 0, 1, ""),)
    )
    with pytest.raises(runner.SuiteError, match=r"has no column \['b'\]"):
        runner.run_suite(absent, pl.DataFrame({"a": [1]}))
    text = Suite("t", (View("rows", lambda f: f, ("a",)),), (between("x", "rows", "a", 0, 1, ""),))
    with pytest.raises(runner.SuiteError, match="t, x: "):
        runner.run_suite(text, pl.DataFrame({"a": ["one"]}))


def test_a_declaration_with_a_repeated_name_or_unknown_view_is_refused() -> None:
    view = View("rows", lambda frame: frame, ("a",))
    twice = between("x", "rows", "a", 0, 1, "")
    with pytest.raises(ValueError, match="declared twice"):
        Suite("t", (view,), (twice, twice))
    with pytest.raises(ValueError, match="no view"):
        Suite("t", (view,), (between("x", "elsewhere", "a", 0, 1, ""),))


def test_the_documentation_lists_every_expectation_with_its_severity() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs/data_quality.md").read_text()
    for suite, _, _ in CASES.values():
        for expectation in suite.expectations:
            line = f"| `{expectation.name}` | {'yes' if expectation.blocking else ''}"
            assert line in text, expectation.name
