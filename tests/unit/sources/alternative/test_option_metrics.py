"""From quotes to metrics: known surfaces come back, and nothing is known before its time."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from btq_assets.config.sources import OptionMetricsSection
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.core import MACRO_VINTAGES
from btq_assets.contracts.core_alternative import (
    OPTION_METRICS,
    OPTION_QUOTES,
    OPTION_SURFACES,
    UNUSUAL_OPTIONS,
)
from btq_assets.sources.alternative import option_metrics as module
from btq_assets.sources.alternative.american import american_price
from btq_assets.sources.alternative.black import black_price
from btq_assets.sources.alternative.option_metrics import option_tables
from btq_assets.sources.alternative.option_quotes import forwards, usable_quotes, with_rates

FIRST = dt.datetime(2024, 6, 3, 20, tzinfo=dt.UTC)
SETTINGS = OptionMetricsSection()
RATE = SETTINGS.discount_rate_annual


def smile(k: np.ndarray, years: float) -> np.ndarray:
    """A skewed, convex volatility that falls with time."""
    return 0.25 - 0.10 * k + 0.15 * k**2 - 0.02 * years


def chain(
    ts: dt.datetime = FIRST,
    *,
    days: tuple[int, ...] = (14, 45, 100),
    forward: float = 100.0,
    volatility=smile,
    half_spread: float = 0.01,
    inverse: bool = False,
    root: str = "SPX",
    source: str = "test",
    **columns,
) -> pl.DataFrame:
    """Quotes around Black's prices, with forward and volatility known.

    Options on the SPX are European, as these prices are.
    """
    rows = []
    for number in days:
        expires = ts + dt.timedelta(days=number)
        years = number / 365
        for strike in np.arange(70.0, 131.0, 2.5):
            for kind, right in (("call", 1.0), ("put", -1.0)):
                sigma = float(volatility(np.log(strike / forward), years))
                discount = 1.0 if inverse else np.exp(-RATE * years)
                price = float(black_price(right, forward, strike, years, sigma, discount))
                scale = forward if inverse else 1.0
                rows.append(
                    {
                        "source": source, "dataset": "test", "underlying": root, "root": root,
                        "contract_id": f"XYZ{expires:%y%m%d}{kind[0].upper()}{strike:g}",
                        "kind": kind, "strike": strike, "expiry": expires.date(),
                        "expires_at": expires, "ts": ts, "known_at": ts + dt.timedelta(minutes=15),
                        "bid": max(price - half_spread, 0.0) / scale or None,
                        "ask": (price + half_spread) / scale, "last": None, "volume": 10.0,
                        "open_interest": 100.0, "iv_provider": sigma, "delta_provider": None,
                        "underlying_price": forward if inverse else 0.99 * forward,
                        "underlying_basis": "forward" if inverse else "spot",
                        "premium_unit": "underlying" if inverse else "currency",
                        "currency": "USD", "multiplier": 100.0,
                    }
                )  # fmt: skip
    return pl.DataFrame(rows, schema=OPTION_QUOTES.schema).with_columns(**columns)


def tables(quotes: pl.DataFrame, settings: OptionMetricsSection = SETTINGS, **more):
    made = option_tables(quotes, settings, **more)
    for frame, contract in (
        (made.surfaces, OPTION_SURFACES), (made.metrics, OPTION_METRICS),
        (made.unusual, UNUSUAL_OPTIONS),
    ):  # fmt: skip
        assert violations(cast_to_contract(frame, contract), contract).is_empty()
    return made


def test_forward_volatilities_and_skew_of_a_known_surface_come_back():
    made = tables(chain())
    assert made.surfaces["forward"].to_list() == pytest.approx([100.0] * 3, abs=1e-6)
    assert made.surfaces["atm_iv"].to_list() == pytest.approx(
        [0.25 - 0.02 * d / 365 for d in (14, 45, 100)], abs=2e-4
    )
    assert made.surfaces["mean_iv_gap"].abs().max() < 2e-3
    assert made.surfaces["butterfly_free"].all()
    assert made.surfaces["calendar_free"].to_list() == [None, True, True]
    row = made.metrics.row(0, named=True)
    # Total variance at 30 days lies between those of 14 and 45 days, in a straight line.
    w = [(0.25 - 0.02 * d / 365) ** 2 * d for d in (14, 45)]
    expected = np.sqrt((w[0] + (w[1] - w[0]) * 16 / 31) / 30)
    assert row["atm_iv_30d"] == pytest.approx(expected, abs=2e-4)
    assert row["term_slope"] == pytest.approx(-0.02 * 60 / 365, abs=5e-4)
    # Puts are dearer than calls: about 0.10 a unit of log-moneyness between the two strikes.
    assert 0.005 < row["skew_25d_30d"] < 0.02
    assert row["n_expiries_fitted"] == 3
    assert row["known_at"] == FIRST + dt.timedelta(minutes=15)


def test_premiums_in_coins_give_the_same_volatilities():
    inverse = tables(chain(inverse=True)).surfaces
    assert inverse["forward"].to_list() == [100.0] * 3
    assert inverse["atm_iv"].to_list() == pytest.approx(
        tables(chain()).surfaces["atm_iv"].to_list(), abs=2e-4
    )


def test_negating_the_skew_or_raising_the_level_moves_the_metrics_so():
    base = tables(chain()).metrics.row(0, named=True)
    tilted = tables(chain(volatility=lambda k, t: smile(-k, t))).metrics.row(0, named=True)
    raised = tables(chain(volatility=lambda k, t: smile(k, t) + 0.1)).metrics.row(0, named=True)
    assert tilted["skew_25d_30d"] < 0 < base["skew_25d_30d"]
    assert raised["atm_iv_30d"] - base["atm_iv_30d"] == pytest.approx(0.1, abs=2e-3)


def test_a_flat_quadratic_has_no_skew_and_no_slope():
    flat = OptionMetricsSection(surface="quadratic")
    row = tables(chain(volatility=lambda k, t: 0.3), flat).metrics.row(0, named=True)
    assert row["atm_iv_30d"] == pytest.approx(0.3, abs=1e-3)
    assert row["skew_25d_30d"] == pytest.approx(0, abs=1e-3)
    assert row["term_slope"] == pytest.approx(0, abs=1e-3)


def test_thirty_days_are_never_extrapolated():
    row = tables(chain(days=(45, 100))).metrics.row(0, named=True)
    assert (row["atm_iv_30d"], row["skew_25d_30d"], row["term_slope"]) == (None, None, None)
    assert row["n_expiries_fitted"] == 2


def test_one_sided_wide_crossed_expiring_and_adjusted_quotes_are_left_out():
    quotes = chain(days=(14,))
    assert usable_quotes(quotes, SETTINGS).height > 30
    bad = (
        quotes.with_columns(bid=pl.lit(None, pl.Float64)),
        quotes.with_columns(ask=pl.lit(None, pl.Float64)),
        quotes.with_columns(bid=pl.col("ask") * 2),
        quotes.with_columns(ask=pl.col("bid") * 2),
        quotes.with_columns(expires_at=pl.col("ts") + dt.timedelta(hours=6)),
        quotes.with_columns(root=pl.lit("SPX1")),
    )
    for number, frame in enumerate(bad):
        assert usable_quotes(frame, SETTINGS).is_empty(), number
        made = tables(frame)
        assert made.surfaces.is_empty()
        assert made.metrics.select("n_contracts", "n_expiries_fitted", "atm_iv_30d").row(0) == (
            50, 0, None,
        )  # fmt: skip


def test_a_forward_far_from_its_spot_or_without_pairs_is_none():
    usable = with_rates(
        usable_quotes(chain(days=(14,)), SETTINGS), MACRO_VINTAGES.empty(), SETTINGS
    )
    assert forwards(usable).height == 1
    assert forwards(usable.with_columns(underlying_price=pl.lit(10.0))).is_empty()
    assert forwards(usable.filter(kind="call")).is_empty()


def test_no_quotes_make_empty_tables():
    made = tables(OPTION_QUOTES.empty())
    assert made.surfaces.is_empty()
    assert made.metrics.is_empty()
    assert made.unusual.is_empty()


def test_put_call_ratios_are_sums_over_sums():
    puts = pl.col("kind") == "put"
    quotes = chain(
        volume=pl.when(puts).then(30.0).otherwise(20.0),
        open_interest=pl.when(puts).then(50.0).otherwise(200.0),
    )
    row = tables(quotes).metrics.row(0, named=True)
    assert row["put_call_volume"] == pytest.approx(1.5)
    assert row["put_call_oi"] == pytest.approx(0.25)
    # 3 expiries x 25 strikes x (30 + 20).
    assert row["volume"] == 3_750
    no_calls = quotes.with_columns(volume=pl.when(puts).then(30.0).otherwise(0.0))
    assert tables(no_calls).metrics["put_call_volume"].to_list() == [None]
    unknown = quotes.with_columns(volume=pl.lit(None, pl.Float64))
    row = tables(unknown).metrics.row(0, named=True)
    assert (row["put_call_volume"], row["volume"], row["unusual_volume_score"]) == (
        None,
        None,
        None,
    )


def history(volumes: list[float]) -> pl.DataFrame:
    """A snapshot a day; each contract trades the given volume."""
    return pl.concat(
        chain(FIRST + dt.timedelta(days=n), days=(45,), volume=pl.lit(volume))
        for n, volume in enumerate(volumes)
    )


def test_unusual_volume_is_scored_against_earlier_days_only():
    volumes = [10.0, 12.0, 9.0, 11.0, 10.0, 40.0, 10.0]
    scores = tables(history(volumes)).metrics.sort("ts")["unusual_volume_score"].to_list()
    assert scores[:5] == [None] * 5
    # 50 contracts a snapshot; by hand from log(1 + volume) of the five days before.
    logs = np.log1p(50 * np.array(volumes))
    assert scores[5] == pytest.approx((logs[5] - logs[:5].mean()) / logs[:5].std(ddof=1))
    assert scores[6] == pytest.approx((logs[6] - logs[:6].mean()) / logs[:6].std(ddof=1))
    constant = tables(history([10.0] * 7)).metrics["unusual_volume_score"]
    assert constant.null_count() == 7


def test_two_snapshots_of_a_day_count_once_and_late_knowledge_not_at_all():
    quotes = history([10.0, 12.0, 9.0, 11.0, 10.0, 40.0])
    morning = chain(FIRST - dt.timedelta(hours=5), days=(45,), volume=pl.lit(1.0))
    same = tables(pl.concat([quotes, morning])).metrics
    assert_frame_equal(
        same.filter(pl.col("ts") >= FIRST).drop("known_at"), tables(quotes).metrics.drop("known_at")
    )
    late = quotes.with_columns(
        known_at=pl.when(pl.col("ts") == FIRST + dt.timedelta(days=1))
        .then(FIRST + dt.timedelta(days=30))
        .otherwise("known_at")
    )
    assert tables(late).metrics.sort("ts")["unusual_volume_score"][5] is None


def test_contracts_that_trade_more_than_is_open_are_listed_with_their_history():
    quotes = history([10.0, 20.0, 10.0])
    last = FIRST + dt.timedelta(days=2)
    name = quotes.filter(ts=FIRST)["contract_id"][0]
    same = pl.col("contract_id").str.slice(0, 3) == "XYZ"
    # One name over all three days: contracts are named by their expiry, so set it by hand.
    quotes = quotes.with_columns(
        contract_id=pl.when(same).then(
            pl.format("{}-{}", "kind", pl.col("strike").cast(pl.Int64) * 10)
        )
    )
    name = "call-1000"
    burst = (pl.col("contract_id") == name) & (pl.col("ts") == last)
    quotes = quotes.unique(["contract_id", "ts"], keep="first", maintain_order=True).with_columns(
        volume=pl.when(burst).then(500.0).otherwise("volume")
    )
    (row,) = tables(quotes).unusual.rows(named=True)
    assert (row["contract_id"], row["volume"], row["open_interest"]) == (name, 500.0, 100.0)
    assert row["volume_to_open_interest"] == 5.0
    assert (row["n_earlier_days"], row["mean_earlier_volume"]) == (2, 15.0)
    counts = tables(quotes).metrics.sort("ts")["n_unusual_contracts"].to_list()
    assert counts == [0, 0, 1]
    nothing_open = quotes.with_columns(open_interest=pl.lit(0.0))
    assert tables(nothing_open).unusual["volume_to_open_interest"].to_list() == [None]
    unknown = quotes.with_columns(open_interest=pl.lit(None, pl.Float64))
    assert tables(unknown).unusual.is_empty()


def days_of_one_contract(source: str, *rows: tuple) -> pl.DataFrame:
    """Quotes of one contract: hours from the first, volume, open interest, hours until known."""
    one = chain(days=(45,), source=source).head(1)
    return pl.concat(
        one.with_columns(
            ts=pl.lit(FIRST + dt.timedelta(hours=hours)),
            known_at=pl.lit(FIRST + dt.timedelta(hours=hours + late)),
            volume=pl.lit(volume),
            open_interest=pl.lit(open_, dtype=pl.Float64),
        ).cast(dict(one.schema))
        for hours, volume, open_, late in rows
    )


def test_volume_is_compared_with_what_was_open_the_day_before():
    """500 traded: 100 were open the evening before, 550 when it had been opened."""
    moving = days_of_one_contract(
        "deribit", (-12, 10.0, 40.0, 0), (-1, 10.0, 100.0, 0), (20, 10.0, 300.0, 0),
        (23, 500.0, 550.0, 0),
    )  # fmt: skip
    (row,) = tables(moving).unusual.rows(named=True)
    # The last quote of the day before, not of an hour before and not its own.
    assert (row["open_interest"], row["volume_to_open_interest"]) == (100.0, 5.0)
    assert row["open_interest_basis"] == "earlier_day"
    assert row["open_interest_at"] == FIRST - dt.timedelta(hours=1)
    # A day that became known only afterwards is not what it is compared with.
    late = days_of_one_contract(
        "deribit", (-25, 10.0, 450.0, 0), (-1, 10.0, 100.0, 48), (23, 500.0, 550.0, 0)
    )
    assert tables(late).unusual["open_interest"].to_list() == [450.0]
    alone = days_of_one_contract("deribit", (23, 500.0, 50.0, 0))
    assert tables(alone).unusual.is_empty()


def test_where_contracts_are_cleared_overnight_the_quote_holds_the_day_before():
    cleared = days_of_one_contract("cboe", (0, 10.0, 40.0, 0), (24, 500.0, 100.0, 0))
    (row,) = tables(cleared).unusual.rows(named=True)
    assert (row["open_interest"], row["open_interest_basis"]) == (100.0, "cleared_overnight")
    assert row["open_interest_at"] == FIRST + dt.timedelta(hours=24)
    unknown = days_of_one_contract("cboe", (0, 10.0, 40.0, 0), (24, 500.0, None, 0))
    assert tables(unknown).unusual.is_empty()


def american_chain(rate: float, dividend_yield: float, root: str = "IBM") -> pl.DataFrame:
    """Quotes around the prices of American options on a spot of 100."""
    quotes = chain(days=(100, 365), root=root)
    arrays = {
        "right": np.where(quotes["kind"] == "call", 1.0, -1.0),
        "spot": np.full(quotes.height, 100.0),
        "strike": quotes["strike"].to_numpy(),
        "years": (
            (quotes["expires_at"] - quotes["ts"]).dt.total_seconds() / 86_400 / 365
        ).to_numpy(),
    }
    price = american_price(**arrays, volatility=0.25, rate=rate, dividend_yield=dividend_yield)
    return quotes.with_columns(
        underlying_price=pl.lit(100.0),
        bid=pl.Series(np.maximum(price - 0.005, 1e-4)),
        ask=pl.Series(np.maximum(price - 0.005, 1e-4) + 0.01),
        iv_provider=pl.lit(0.25),
    )


@pytest.mark.parametrize("dividend_yield", [0.0, 0.03])
def test_american_prices_give_forward_and_volatility_without_early_exercise(dividend_yield):
    rate = 0.06
    settings = OptionMetricsSection(discount_rate_annual=rate)
    made = tables(american_chain(rate, dividend_yield), settings).surfaces.sort("years")
    assert made["exercise"].unique().to_list() == ["american"]
    # F = S exp((r - q) t), which the prices were made with.
    forward = 100 * np.exp((rate - dividend_yield) * made["years"].to_numpy())
    assert made["forward"].to_numpy() == pytest.approx(forward, rel=2e-4)
    assert made["atm_iv"].to_numpy() == pytest.approx([0.25] * 2, abs=5e-4)
    assert made["mean_iv_gap"].abs().max() < 1e-3
    # Taken for European, the same prices seem more volatile: their holder has more rights.
    european = tables(american_chain(rate, dividend_yield, "SPX"), settings).surfaces
    assert european["exercise"].unique().to_list() == ["european"]
    assert european["mean_iv_gap"].max() > 2e-3


def test_without_a_price_of_the_underlying_early_exercise_is_said_to_be_left_out():
    blind = chain(days=(45,), root="IBM").with_columns(
        underlying_price=pl.lit(None, dtype=pl.Float64)
    )
    assert tables(blind).surfaces["exercise"].to_list() == ["american_as_european"]


def test_the_rate_is_the_curves_known_then_and_is_named():
    def row(series: str, day: int, value: float) -> tuple:
        known = dt.datetime(2024, 6, day, 22, tzinfo=dt.UTC)
        return (series, dt.date(2024, 6, day), known, None, value, "percent", "FINAL")

    # Known on Monday evening: after Monday's quotes, before Tuesday's.
    vintages = pl.DataFrame(
        [row("BC_1MONTH", 3, 2.0), row("BC_1YEAR", 3, 2.0)],
        schema=MACRO_VINTAGES.schema,
        orient="row",
    )
    quotes = pl.concat([chain(days=(45,)), chain(FIRST + dt.timedelta(days=1), days=(45,))])
    made = tables(quotes, vintages=vintages).surfaces.sort("ts")
    assert made["discount_basis"].to_list() == ["setting", "treasury"]
    assert made["discount_rate_annual"].to_list() == pytest.approx([0.04, 2 * np.log1p(0.01)])
    given_forward = tables(chain(inverse=True), vintages=vintages).surfaces
    assert set(given_forward["discount_basis"]) == {"undiscounted"}
    assert given_forward["discount_rate_annual"].null_count() == given_forward.height


def test_what_becomes_known_later_changes_nothing_before():
    """Truncation: every row is a function of quotes known by its own time."""
    quotes = pl.concat(
        [history([10.0, 12.0, 9.0, 200.0, 10.0, 40.0, 300.0]), chain(FIRST + dt.timedelta(days=9))]
    )
    whole = tables(quotes)
    for days in (2, 5, 6):
        until = FIRST + dt.timedelta(days=days, hours=1)
        part = tables(quotes.filter(pl.col("known_at") <= until))
        for name in ("surfaces", "metrics", "unusual"):
            then = getattr(whole, name).filter(pl.col("known_at") <= until)
            assert_frame_equal(getattr(part, name), then)


def test_smiles_fitted_before_are_not_fitted_again(monkeypatch):
    quotes = chain()
    first = tables(quotes, code_version="a")
    calls = []
    monkeypatch.setattr(
        module, "fit_smile", lambda *args, **kw: calls.append(args) or fit(*args, **kw)
    )
    again = tables(quotes, stored=first.surfaces, code_version="a")
    assert calls == []
    assert_frame_equal(again.surfaces, first.surfaces)
    assert_frame_equal(again.metrics, first.metrics)
    changed = quotes.with_columns(
        ask=pl.when(pl.col("strike") == 105).then(pl.col("ask") + 0.01).otherwise("ask")
    )
    tables(changed, stored=first.surfaces, code_version="a")
    assert len(calls) == 3
    tables(quotes, stored=first.surfaces, code_version="b")
    assert len(calls) == 6


fit = module.fit_smile


def test_the_surface_of_a_generated_market_is_recovered():
    """The generator knows its true volatilities; quotes in whole cents hide little of them."""
    from btq_assets.sources.synthetic.market import generate
    from btq_assets.sources.synthetic.options import option_quotes
    from btq_assets.sources.synthetic.spec import MarketSpec

    market = generate(MarketSpec(seed=5, n_symbols=2, n_sessions=2))
    made = option_quotes(market, (1,), moneyness=tuple(np.round(np.arange(0.8, 1.21, 0.02), 2)))
    quotes = made.with_columns(source=pl.lit("synthetic")).select(OPTION_QUOTES.column_names)
    rateless = OptionMetricsSection(discount_rate_annual=0.0)
    surfaces = tables(quotes, rateless).surfaces
    assert surfaces.height >= 6
    # True volatility of the strike nearest to the forward, a percent of a volatility away at most.
    near = (
        made.with_columns(away=(pl.col("strike") / pl.col("underlying_price") - 1).abs())
        .sort("away")
        .group_by("underlying", "expires_at")
        .first()
    )
    both = surfaces.join(near, on=("underlying", "expires_at"))
    gap = (both["atm_iv"] - both["true_volatility"]).abs()
    assert gap.median() < 0.01 * both["true_volatility"].median() + 0.002
    assert (both["forward"] / both["underlying_price"] - 1).abs().max() < 0.01
