"""Statistics of the views, against values worked out by hand."""

from __future__ import annotations

import datetime as dt
import math

import polars as pl
import pytest

from btq_assets.contracts import raw
from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import SYMBOL, TS, UNIVERSE, number
from data_quality import bar_views, document_views, feature_views, macro_views


def documents(mentions: list[tuple[str, str]]) -> pl.DataFrame:
    """Documents by dataset and symbol, a minute apart."""
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    return pl.DataFrame(
        {
            "doc_id": [f"d{n}" for n in range(len(mentions))],
            "dataset": [dataset for dataset, _ in mentions],
            "symbol": [symbol for _, symbol in mentions],
            "known_at": [start + dt.timedelta(minutes=n) for n in range(len(mentions))],
        }
    )


def test_symbols_that_are_only_mentioned_do_not_make_those_asked_for_dominant():
    """Asked for A and B, 10 each, and 30 others mentioned once: A and B share evenly, 1 and 1."""
    asked = [(name, name) for name in "AB" for _ in range(10)]
    beside = [("A", f"Z{n}") for n in range(30)]
    shares = document_views.coverage(documents(asked + beside))
    assert dict(shares.select("symbol", "relative_share").rows()) == {"A": 1.0, "B": 1.0}
    # A feed is asked for no symbol: 10 of 40 documents times 31 symbols is 7.75.
    feed = document_views.coverage(
        documents([("feed", "A")] * 10 + [("feed", z) for _, z in beside])
    )
    assert feed.filter(symbol="A")["relative_share"].to_list() == [7.75]


def bars(prices: dict[int, float | None], symbol: str = "A", **columns: object) -> pl.DataFrame:
    """Daily bars of January 2024 by day of the month."""
    stamps = [dt.datetime(2024, 1, day, 21, tzinfo=dt.UTC) for day in prices]
    base = {
        "dataset": "d",
        "symbol": symbol,
        "freq": "1d",
        "ts": stamps,
        "known_at": stamps,
        "known_at_basis": "assumed_lag",
        "adj_close": list(prices.values()),
        "currency": "USD",
    }
    frame = pl.DataFrame({**base, **columns}, schema_overrides={"adj_close": pl.Float64})
    missing = [name for name in raw.BARS_SAMPLE.column_names if name not in frame.columns]
    return (
        frame.with_columns(pl.lit(None, pl.Float64).alias(name) for name in missing)
        .select(raw.BARS_SAMPLE.column_names)
        .cast(dict(raw.BARS_SAMPLE.schema))
    )


def test_a_bar_counts_once_in_its_latest_vintage() -> None:
    first = bars({2: 10.0, 3: 20.0})
    later = first.tail(1).with_columns(
        known_at=pl.col("known_at") + pl.duration(days=5),
        known_at_basis=pl.lit("recorded"),
        adj_close=pl.lit(40.0),
    )
    prepared = bar_views.latest_bars(pl.concat([later, first]))
    assert prepared["price"].to_list() == [10.0, 40.0]
    assert prepared["first_sight"].to_list() == [True, True]
    assert bar_views.latest_bars(later)["first_sight"].to_list() == [False]
    returns = bar_views.returns(prepared)["log_return"].to_list()
    assert returns == [None, pytest.approx(math.log(4))]


def test_series_statistics_by_hand() -> None:
    # A trades on the 2nd to the 5th and 8th to the 12th; B misses the 4th, 8th and 9th.
    full = bars(dict.fromkeys([2, 3, 4, 5, 8, 9, 10, 11, 12], 7.0))
    gaps = bars(
        {2: 1.0, 3: 2.0, 5: 2.0, 10: 2.0, 11: 3.0, 12: 3.0},
        "B",
        volume=[1.0, 0.0, None, 5.0, 5.0, 5.0],
    )
    found = bar_views.series(bar_views.latest_bars(pl.concat([full, gaps])))
    row = found.row(by_predicate=pl.col("symbol") == "B", named=True)
    assert row["n_bars"] == 6
    assert row["longest_gap_days"] == 5.0
    assert row["longest_stale_run"] == 3
    assert row["session_coverage"] == pytest.approx(6 / 9)
    # Volume lacks one of six; the other price columns lack all and are no partial loss.
    assert row["partial_null_fraction"] == pytest.approx(1 / 6)
    assert row["zero_volume_fraction"] == pytest.approx(1 / 5)
    assert row["weekend_fraction"] == 0.0
    assert found.row(by_predicate=pl.col("symbol") == "A", named=True)["longest_stale_run"] == 9


def test_missing_prices_are_no_stale_run() -> None:
    found = bar_views.series(bar_views.latest_bars(bars({2: 1.0, 3: None, 4: None, 5: None})))
    assert found["longest_stale_run"].to_list() == [1]


def test_a_market_that_trades_at_weekends_has_no_filled_ones() -> None:
    everyday = bars({day: float(day) for day in range(1, 29)})
    assert bar_views.series(bar_views.latest_bars(everyday))["weekend_fraction"].to_list() == [0.0]
    # Six weekdays and one Saturday, the 6th.
    filled = bars(dict.fromkeys([2, 3, 4, 5, 6, 8, 9], 1.0))
    found = bar_views.series(bar_views.latest_bars(filled))["weekend_fraction"].to_list()
    assert found == [pytest.approx(1 / 7)]


def test_intraday_bars_are_not_judged_as_sessions() -> None:
    hourly = bars({2: 1.0, 3: 1.0}).with_columns(freq=pl.lit("1h"))
    assert bar_views.series(bar_views.latest_bars(hourly)).is_empty()
    assert bar_views.returns(bar_views.latest_bars(hourly)).height == 2


def test_macro_series_by_hand() -> None:
    months = [dt.date(2020, m, 1) for m in (1, 2, 3, 4)] + [dt.date(2021, 1, 1)]
    known = dt.datetime(2021, 6, 1, tzinfo=dt.UTC)
    rows = [
        ("S", month, known, "recorded", value, "pct", "VINTAGE", "d")
        for month, value in zip(months, (1.0, 2.0, 2.0, 4.0, 5.0), strict=True)
    ]
    rows.append(
        ("S", months[1], known + dt.timedelta(days=30), "recorded", 2.5, "pct", "VINTAGE", "d")
    )
    frame = pl.DataFrame(rows, schema=raw.MACRO_SAMPLE.schema, orient="row")
    row = macro_views.series(frame).row(0, named=True)
    # Gaps of 31, 29, 31 and 275 days: the median is 31.
    assert row["gap_ratio"] == pytest.approx(275 / 31)
    # 2.0 was revised to 2.5, so no two neighbours are equal any more.
    assert row["longest_stale_run"] == 1
    values = pl.Series([1.0, 2.5, 2.0, 4.0, 5.0])
    assert row["largest_revision_in_sigmas"] == pytest.approx(0.5 / values.std())
    # Changes 1.5, -0.5, 2, 1: median 1.25, deviations 0.25, 1.75, 0.75, 0.25, their median 0.5.
    steps = macro_views.steps(frame)["change_in_sigmas"].to_list()
    assert steps[1:] == pytest.approx([x / (0.5 * 1.4826) for x in (1.5, 0.5, 2.0, 1.0)])
    assert macro_views.releases(frame).is_empty()


def test_feature_columns_by_hand() -> None:
    contract = TableContract(
        "features",
        "tested",
        "",
        (UNIVERSE, SYMBOL, TS, number("x", ""), number("y", "")),
        ("universe", "symbol", "ts"),
    )
    stamps = [dt.datetime(2024, 1, day, tzinfo=dt.UTC) for day in range(1, 7)]
    frame = pl.DataFrame(
        {
            "universe": "u",
            "symbol": ["A"] * 6 + ["B"] * 6,
            "ts": stamps * 2,
            # A: two missing before the first value, one hole, one repeat. B: nothing at all.
            "x": [None, None, 1.0, None, 3.0, 3.0] + [None] * 6,
            "y": [None] * 12,
        },
        schema_overrides={"y": pl.Float64},
    )
    view = feature_views.columns_view(contract, {"x": (0.0, 2.5)}, {})(frame)
    assert view["feature"].to_list() == ["x"]
    row = view.row(0, named=True)
    assert row["hole_fraction"] == pytest.approx(1 / 4)
    assert row["present_fraction"] == pytest.approx(3 / 12)
    assert row["excess_over_definition"] == pytest.approx(0.5)
    assert row["excess_over_plausible"] is None
    assert row["stale_fraction"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(("days", "judged"), [(62, False), (366, True)])
def test_what_is_released_monthly_is_judged_once_there_was_a_second_release(days, judged) -> None:
    contract = TableContract(
        "features",
        "tested",
        "",
        (UNIVERSE, TS, number("payrolls_surprise_rw", ""), number("curve_level", "")),
        ("universe", "ts"),
    )
    start = dt.datetime(2016, 1, 1, tzinfo=dt.UTC)
    stamps = pl.datetime_range(start, start + dt.timedelta(days=days), "12h", eager=True)
    frame = pl.DataFrame({"universe": "u", "ts": stamps}).with_columns(
        payrolls_surprise_rw=pl.lit(0.3), curve_level=pl.lit(0.3)
    )
    view = feature_views.whole_columns(contract)(frame)
    assert set(view["feature"]) == {"curve_level"} | ({"payrolls_surprise_rw"} if judged else set())
    assert view["n_distinct"].to_list() == [1] * view.height
