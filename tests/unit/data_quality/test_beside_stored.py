"""What new rows say only beside those that are stored: each fault here lies across the border.

Every case is judged three times: beside the stored rows it fails; alone it passes, which shows
that the stored rows are what gives it away; and the same fault among the stored rows is not told
again with new rows that are clean.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pytest

from btq_assets.contracts import raw
from btq_assets.contracts.base import TableContract, cast_to_contract
from btq_assets.contracts.checks import CheckContext
from btq_assets.contracts.raw import alternative as raw_alternative
from data_quality import (
    alternative_suites,
    bar_views,
    document_suites,
    macro_suites,
    runner,
    suites,
)
from data_quality.declarations import History, Suite

START = dt.datetime(2018, 1, 1, 21, tzinfo=dt.UTC)
N_BARS, N_NEW = 1_050, 21


def of_contract(contract: TableContract, values: dict[str, object]) -> pl.DataFrame:
    frame = pl.DataFrame(values)
    absent = [name for name in contract.column_names if name not in values]
    return cast_to_contract(frame.with_columns(pl.lit(None).alias(n) for n in absent), contract)


def weekdays(n: int) -> list[dt.datetime]:
    days = (START + dt.timedelta(days=i) for i in range(2 * n))
    return [day for day in days if day.weekday() < 5][:n]


def bars() -> pl.DataFrame:
    """Three walks of 1,050 sessions; the last 21 are the month that comes."""
    random = np.random.default_rng(11)
    stamps = weekdays(N_BARS)
    parts = []
    for symbol in "ABC":
        close = 100 * np.exp(np.cumsum(random.normal(0, 0.01, N_BARS)))
        parts.append(
            of_contract(
                raw.BARS_YAHOO,
                {
                    "dataset": "test", "symbol": symbol, "freq": "1d", "ts": stamps,
                    "known_at": stamps, "known_at_basis": "assumed_lag", "open": close,
                    "high": close * 1.01, "low": close * 0.99, "close": close, "adj_close": close,
                    "volume": np.full(N_BARS, 1e6), "currency": "USD",
                },
            )
        )  # fmt: skip
    return pl.concat(parts)


def macro() -> pl.DataFrame:
    random = np.random.default_rng(12)
    periods = [dt.date(2000 + i // 12, i % 12 + 1, 1) for i in range(120)]
    known = [dt.datetime(p.year, p.month, 1, tzinfo=dt.UTC) + dt.timedelta(45) for p in periods]
    return of_contract(
        raw.MACRO_SAMPLE,
        {
            "series_id": "CPI", "period": periods, "known_at": known,
            "known_at_basis": "assumed_lag", "value": 100 + np.cumsum(random.normal(0, 1, 120)),
            "unit": "index", "revision": "REVISED", "dataset": "test",
        },
    )  # fmt: skip


def documents() -> pl.DataFrame:
    """Two a day for sixty days, the last day comes."""
    at = [START + dt.timedelta(hours=12 * i) for i in range(120)]
    return of_contract(
        raw.DOCUMENTS_SAMPLE,
        {
            "doc_id": [f"d{i}" for i in range(120)], "symbol": ["ABCDEFGH"[i % 8] for i in range(120)],
            "published_at": at, "known_at": at, "known_at_basis": "assumed_lag",
            "headline": [f"A headline of its own, number {i}" for i in range(120)],
            "label": "SYNTHETIC", "dataset": "test",
        },
    )  # fmt: skip


def onchain() -> pl.DataFrame:
    random = np.random.default_rng(13)
    stamps = [START + dt.timedelta(days=i) for i in range(100)]
    return of_contract(
        raw_alternative.ONCHAIN_COINMETRICS,
        {
            "dataset": "test", "asset": "btc", "metric": "AdrActCnt", "ts": stamps,
            "known_at": [stamp + dt.timedelta(days=1) for stamp in stamps],
            "known_at_basis": "assumed_lag", "value": 1e6 + random.normal(0, 1e4, 100),
            "unit": "addresses",
        },
    )  # fmt: skip


def short_volume() -> pl.DataFrame:
    days = [stamp.date() for stamp in weekdays(8) for _ in range(10)]
    return of_contract(
        raw_alternative.SHORT_VOLUME_FINRA,
        {
            "dataset": "test", "symbol": [f"S{i % 10}" for i in range(80)], "session": days,
            "known_at": START + dt.timedelta(days=60), "known_at_basis": "recorded",
            "short_volume": 500.0, "total_volume": 1_000.0,
        },
    )  # fmt: skip


def actions() -> pl.DataFrame:
    return of_contract(
        raw.market.CORPORATE_ACTIONS_YAHOO,
        {
            "dataset": "test", "symbol": "A", "kind": "dividend", "value": [1.0, 1.0, 1.0],
            "ex_date": [dt.date(2020, 1, 2), dt.date(2020, 4, 1), dt.date(2020, 7, 1)],
            "known_at": [dt.datetime(2020, m, 2, tzinfo=dt.UTC) for m in (1, 4, 7)],
            "known_at_basis": "assumed_lag", "currency": "USD", "basis": "split_adjusted",
        },
    )  # fmt: skip


Change = Callable[[pl.DataFrame], pl.DataFrame]


def where(condition: pl.Expr, **values: pl.Expr) -> Change:
    return lambda frame: frame.with_columns(
        pl.when(condition).then(value).otherwise(pl.col(name)).alias(name)
        for name, value in values.items()
    )


def prices(factor: float) -> dict[str, pl.Expr]:
    return {n: pl.col(n) * factor for n in ("open", "high", "low", "close", "adj_close")}


def louder(frame: pl.DataFrame) -> pl.DataFrame:
    """The last 252 moves of every series eight times as large."""
    parts = []
    for part in frame.partition_by("symbol", maintain_order=True):
        log = part["adj_close"].log().to_numpy()
        moves = np.diff(log, prepend=log[0])
        moves[-252:] *= 8
        price = np.exp(log[0] + np.cumsum(moves))
        parts.append(part.with_columns(pl.Series(n, price) for n in ("close", "adj_close")))
    return pl.concat(parts)


def copied(frame: pl.DataFrame) -> pl.DataFrame:
    """C is A under another name, from a year ago on."""
    price = frame.filter(pl.col("symbol") == "A")["adj_close"]
    walk = pl.concat([frame["adj_close"].slice(2 * N_BARS, N_BARS - 300), price.tail(300) * 2])
    return frame.with_columns(adj_close=pl.concat([frame["adj_close"].head(2 * N_BARS), walk]))


def revised(frame: pl.DataFrame) -> pl.DataFrame:
    """The value of 2005-01 comes again, a hundred times as large, on the last day."""
    return pl.concat(
        [
            frame.filter(pl.col("period") < dt.date(2009, 12, 1)),
            frame.filter(pl.col("period") == dt.date(2005, 1, 1)).with_columns(
                known_at=pl.lit(dt.datetime(2010, 1, 15, tzinfo=dt.UTC)).dt.cast_time_unit("us"),
                known_at_basis=pl.lit("recorded"),
                value=pl.col("value") * 100,
            ),
        ]
    )


@dataclass(frozen=True)
class Border:
    suite: Suite
    whole: Callable[[], pl.DataFrame]
    is_new: pl.Expr


NUMBER = pl.int_range(pl.len()).over("symbol")
LAST_MONTH = pl.col("ts") >= weekdays(N_BARS)[-N_NEW]
FIRST_NEW = pl.col("ts") == weekdays(N_BARS)[-N_NEW]

BORDERS = {
    "bars": Border(suites.raw_bars_declaration(raw.BARS_YAHOO, freq="1d"), bars, LAST_MONTH),
    "macro": Border(
        macro_suites.macro_declaration(raw.MACRO_SAMPLE),
        macro,
        pl.col("known_at") >= dt.datetime(2010, 1, 1, tzinfo=dt.UTC),
    ),
    "documents": Border(
        document_suites.documents_declaration(raw.DOCUMENTS_SAMPLE),
        documents,
        pl.col("published_at") >= START + dt.timedelta(days=59),
    ),
    "onchain": Border(
        alternative_suites.onchain_declaration(raw_alternative.ONCHAIN_COINMETRICS),
        onchain,
        pl.col("ts") >= START + dt.timedelta(days=99),
    ),
    "short_volume": Border(
        alternative_suites.short_volume_declaration(raw_alternative.SHORT_VOLUME_FINRA),
        short_volume,
        pl.col("session") >= weekdays(8)[-1].date(),
    ),
    "actions": Border(
        alternative_suites.corporate_actions_declaration(raw.market.CORPORATE_ACTIONS_YAHOO),
        actions,
        pl.col("ex_date") >= dt.date(2020, 7, 1),
    ),
}

FAULTS: list[tuple[str, str, Change]] = [
    ("bars", "no_split_sized_return", where(LAST_MONTH, **prices(1 / 3))),
    ("bars", "no_spike_against_the_cross_section", where(FIRST_NEW, **prices(1.4))),
    ("bars", "currency_is_that_of_before", where(LAST_MONTH, currency=pl.lit("EUR"))),
    ("bars", "no_column_vanishes", where(LAST_MONTH, volume=pl.lit(None, pl.Float64))),
    # Thirteen weekdays before the month that comes were never fetched.
    ("bars", "no_gap_in_sessions", lambda f: f.filter(~NUMBER.is_between(1_016, 1_028))),
    # Eight equal closes before the border and eight after.
    ("bars", "no_stale_prices", where(NUMBER.is_between(1_021, 1_036), adj_close=pl.lit(100.0))),
    ("bars", "volatility_has_not_shifted", louder),
    ("bars", "volume_has_not_shifted", where(NUMBER >= 990, volume=pl.col("volume") * 40)),
    ("bars", "no_copied_series", copied),
    ("macro", "no_gap_in_periods",
     lambda f: f.filter(~pl.col("period").is_between(dt.date(2008, 12, 1), dt.date(2009, 11, 1)))),
    ("macro", "no_stale_values", where(pl.int_range(pl.len()) >= 90, value=pl.lit(100.0))),
    ("macro", "unit_is_that_of_before",
     where(pl.col("period") >= dt.date(2009, 12, 1), unit=pl.lit("percent"))),
    ("macro", "no_outlier", where(pl.col("period") >= dt.date(2009, 12, 1), value=pl.lit(1e4))),
    ("macro", "revisions_are_small", revised),
    ("documents", "no_flood_of_documents",
     lambda f: pl.concat([f, *(f.tail(1).with_columns(doc_id=pl.lit(f"x{i}")) for i in range(120))])),
    ("documents", "no_long_silence",
     where(pl.col("published_at") >= START + dt.timedelta(days=59),
           published_at=pl.col("published_at") + dt.timedelta(days=31))),
    ("onchain", "no_gap_in_days", lambda f: f.filter(~pl.int_range(pl.len()).is_between(93, 98))),
    ("onchain", "no_stale_values", where(pl.int_range(pl.len()) >= 84, value=pl.lit(1e6))),
    ("onchain", "level_has_not_shifted",
     where(pl.int_range(pl.len()) >= 70, value=pl.col("value") * 11)),
    ("onchain", "unit_is_that_of_before", where(pl.int_range(pl.len()) >= 99, unit=pl.lit("USD"))),
    ("short_volume", "as_many_symbols_as_usual", lambda f: f.head(74)),
    ("short_volume", "no_session_is_missing",
     where(pl.col("session") == weekdays(8)[-1].date(),
           session=pl.col("session") + dt.timedelta(days=5))),
    ("actions", "told_once",
     where(pl.col("ex_date") == dt.date(2020, 4, 1), ex_date=pl.lit(dt.date(2020, 6, 29)))),
]  # fmt: skip

NAMES = [f"{border}-{name}" for border, name, _ in FAULTS]


def passes(suite: Suite, name: str, rows: pl.DataFrame, stored: pl.DataFrame | None) -> bool:
    chosen = tuple(e for e in suite.expectations if e.name == name)
    (outcome,) = runner.run_suite(replace(suite, expectations=chosen), rows, stored)
    return outcome.passed


@pytest.mark.parametrize(("border", "name", "change"), FAULTS, ids=NAMES)
def test_a_fault_across_the_border_is_found_beside_what_is_stored(
    border: str, name: str, change: Change
) -> None:
    suite, whole, is_new = BORDERS[border].suite, BORDERS[border].whole(), BORDERS[border].is_new
    clean = whole.filter(is_new), whole.filter(is_new.not_())
    assert passes(suite, name, *clean), "clean rows pass beside clean ones"
    broken = change(whole)
    rows, stored = broken.filter(is_new), broken.filter(is_new.not_())
    assert rows.height
    assert passes(suite, name, rows, None), "alone the new rows give nothing away"
    assert not passes(suite, name, rows, stored)


def test_what_blocks_is_not_blocked_by_what_was_stored() -> None:
    """A split of 100 for 1 after the last fetch: older bars are as they were adjusted then.

    Blocked, the source could never be fetched again; told, it is looked at (and repairs propose).
    """
    suite, whole = BORDERS["bars"].suite, bars()
    rows = where(LAST_MONTH, **prices(1 / 100))(whole).filter(LAST_MONTH)
    outcomes = {o.name: o for o in runner.run_suite(suite, rows, whole.filter(LAST_MONTH.not_()))}
    assert outcomes["no_unit_error"].passed
    assert not outcomes["no_split_sized_return"].passed
    # One row a symbol is shown: the first new bar.
    assert outcomes["no_split_sized_return"].metadata["rows_unexpected"] == 3
    blocking = {e.name for e in suite.expectations if e.blocking}
    assert all(outcomes[name].passed for name in blocking)


def test_an_old_fault_is_told_once() -> None:
    """A bad tick, a flood and a jump among the stored rows are no news with the next ones."""
    whole = bars()
    tick = where(pl.col("ts") == weekdays(N_BARS)[500], **prices(60))(whole)
    rows, stored = tick.filter(LAST_MONTH), tick.filter(LAST_MONTH.not_())
    for name in ("no_split_sized_return", "no_spike_against_the_cross_section", "no_unit_error"):
        assert passes(BORDERS["bars"].suite, name, rows, stored)
    texts = documents()
    flood = where(pl.int_range(pl.len()).is_between(0, 99), published_at=pl.lit(START))(texts)
    is_new = BORDERS["documents"].is_new
    suite = BORDERS["documents"].suite
    assert passes(suite, "no_flood_of_documents", flood.filter(is_new), flood.filter(~is_new))


def test_prices_that_do_not_move_are_no_copies() -> None:
    """Two halted or pegged series have the same returns, all zero; that must block nobody."""
    pegged = where(pl.col("symbol") != "A", adj_close=pl.lit(1.0))(bars())
    found = bar_views.fingerprints(bar_views.latest_bars(pegged))
    assert found["symbol"].to_list() == ["A"]


def test_the_newest_first_beside_stored_rows_is_in_order() -> None:
    """Stored rows are read oldest first; that the source gives the newest first is no disorder."""
    whole = bars()
    rows, stored = whole.filter(LAST_MONTH), whole.filter(LAST_MONTH.not_())
    assert passes(BORDERS["bars"].suite, "stamps_come_in_order", rows.reverse(), stored)
    swapped = rows.sort("symbol", "ts").with_row_index("place")
    swapped = swapped.with_columns(
        place=pl.when(pl.col("place") == 5).then(10).otherwise("place")
    ).sort("place", maintain_order=True)
    disordered = swapped.drop("place")
    assert not passes(BORDERS["bars"].suite, "stamps_come_in_order", disordered, stored)


def test_spans_are_of_the_series_that_came() -> None:
    history = History(("dataset", "symbol", "freq"), "ts", 100, {"1m": 5})
    stamp = dt.datetime(2020, 3, 1, tzinfo=dt.UTC)
    rows = pl.DataFrame(
        {
            "dataset": "d", "symbol": ["A", "A", "B"], "freq": ["1d", "1d", "1m"],
            "ts": [stamp, stamp + dt.timedelta(days=2), stamp],
        }
    )  # fmt: skip
    spans = history.spans(rows).sort("symbol").rows()
    assert spans == [
        ("d", "A", "1d", stamp - dt.timedelta(100), stamp + dt.timedelta(102)),
        ("d", "B", "1m", stamp - dt.timedelta(5), stamp + dt.timedelta(5)),
    ]


def test_the_group_asks_for_the_stored_rows_of_what_came() -> None:
    asked: list[tuple[str, pl.DataFrame, str]] = []
    whole = bars()

    def stored(table: str, spans: pl.DataFrame, order: str) -> pl.DataFrame:
        asked.append((table, spans, order))
        return whole.filter(LAST_MONTH.not_())

    rows = where(LAST_MONTH, **prices(1 / 3))(whole).filter(LAST_MONTH)
    group = suites.raw_bars_suite(raw.BARS_YAHOO, freq="1d")
    context = CheckContext({raw.BARS_YAHOO.table: rows}, {}, config=None, stored=stored)
    failed = {outcome.name for outcome in group.answer(context) if not outcome.passed}
    assert "no_split_sized_return" in failed
    ((table, spans, order),) = asked
    assert (table, order, sorted(spans["symbol"])) == ("raw.bars_yahoo", "ts", ["A", "B", "C"])
    nothing = CheckContext({raw.BARS_YAHOO.table: rows.clear()}, {}, config=None, stored=stored)
    group.answer(nothing)
    assert len(asked) == 1
