"""The gallery: medians and bands are those of the values, nothing is lost, nothing is invented."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import polars as pl
import pytest
from report_frames import NOW

from btq_assets.config import TradingConfig
from btq_assets.contracts import report
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.plots.small import decoded
from btq_assets.reports.frames import ReportFrames
from btq_assets.reports.gallery import summaries
from btq_assets.reports.gallery.checks import (
    CHECKS,
    DRAWN,
    FINISHED,
    OFFLINE,
    WHOLE,
    examine_gallery,
)
from btq_assets.reports.gallery.page import FIELDS, GalleryFrames, joined, render_gallery
from btq_assets.reports.gallery.sheets import NO_DATA, sheets_of

CONFIG = TradingConfig()


def panel(n_days: int = 400, n_symbols: int = 3, **columns: np.ndarray) -> pl.DataFrame:
    """Values by symbol and day in universe us20; columns have shape (symbols, days)."""
    days = [
        dt.datetime(2020, 1, 1, 21, tzinfo=dt.UTC) + dt.timedelta(days=i) for i in range(n_days)
    ]
    stamps = pl.Series(days * n_symbols, dtype=pl.Datetime("us", "UTC"))
    symbols = [f"S{k}" for k in range(n_symbols) for _ in range(n_days)]
    return pl.DataFrame(
        {"universe": "us20", "symbol": symbols, "ts": stamps}
        | {name: values.ravel() for name, values in columns.items()}
    )


def curve(row: dict, name: str) -> np.ndarray:
    """A curve in the feature's own unit."""
    return row["axis_low"] + decoded(row[name]) * (row["axis_high"] - row["axis_low"])


def test_curves_are_the_quantiles_of_each_stretch() -> None:
    # Expected values from polars' own grouped quantiles, linear interpolation.
    values = np.random.default_rng(4).normal(size=(3, 400)).cumsum(axis=1)
    frame = panel(x=values)
    (row,) = summaries.plots_of(frame, ["x"], CONFIG)
    assert (row["universe"], row["n_symbols"], row["stretch"], row["shown"]) == (
        "us20", 3, "1w", "median",
    )  # fmt: skip
    weekly = frame.group_by(pl.col("ts").dt.truncate("1w")).agg(
        *(pl.col("x").quantile(q, "linear").alias(n)
          for q, n in ((0.1, "lower"), (0.5, "middle"), (0.9, "upper")))
    ).sort("ts")  # fmt: skip
    half_a_level = (row["axis_high"] - row["axis_low"]) / 84 / 2 + 1e-9
    for name in ("lower", "middle", "upper"):
        expected = np.clip(weekly[name].to_numpy(), row["axis_low"], row["axis_high"])
        np.testing.assert_allclose(curve(row, name), expected, atol=half_a_level)
    for share, name in ((0.1, "p10"), (0.5, "median"), (0.9, "p90")):
        assert row[name] == pytest.approx(np.quantile(values, share))
    assert (row["minimum"], row["maximum"]) == (values.min(), values.max())
    assert (row["first_ts"], row["last_ts"]) == (weekly["ts"][0], weekly["ts"][-1])


def test_the_histogram_counts_every_value() -> None:
    values = np.random.default_rng(5).exponential(size=(3, 400))
    (row,) = summaries.plots_of(panel(x=values), ["x"], CONFIG)
    low, high = np.quantile(values, (0.01, 0.99))
    counts = np.histogram(np.clip(values, low, high), bins=30, range=(low, high))[0]
    assert (row["bars_low"], row["bars_high"]) == pytest.approx((low, high))
    np.testing.assert_allclose(decoded(row["bars"]), counts / counts.max(), atol=0.5 / 84 + 0.01)
    assert row["n_values"] == values.size


def test_a_flag_is_shown_by_its_share() -> None:
    # By hand: on in every second day of one symbol of three, so a sixth of all values.
    flags = np.zeros((3, 400))
    flags[0, ::2] = 1.0
    (row,) = summaries.plots_of(panel(x=flags), ["x"], CONFIG)
    assert (row["shown"], row["lower"], row["upper"]) == ("mean", "", "")
    assert np.nanmedian(curve(row, "middle")) == pytest.approx(1 / 6, abs=0.03)


def test_a_curve_begins_and_ends_with_its_values_and_keeps_its_gaps() -> None:
    values = np.random.default_rng(6).normal(size=(3, 400))
    values[:, :200] = np.nan
    values[:, 250:270] = np.inf
    (row,) = summaries.plots_of(panel(x=values), ["x"], CONFIG)
    # 200 days left: weeks; days 250 to 269 are gone, and with them two or three whole weeks.
    assert row["stretch"] == "1w"
    assert row["first_ts"] >= dt.datetime(2020, 7, 13, tzinfo=dt.UTC)
    assert 2 <= row["middle"].count(" ") <= 3
    assert row["n_values"] == 3 * 180


def test_long_histories_take_longer_stretches() -> None:
    day = dt.timedelta(days=1)
    stamps = pl.Series([NOW, NOW + 100 * day])
    assert summaries.stretch_of(stamps) == "1d"
    for days, stretch in ((141, "1w"), (1_000, "1mo"), (8_000, "1q"), (60_000, "1q")):
        assert summaries.stretch_of(pl.Series([NOW, NOW + days * day])) == stretch


@pytest.mark.parametrize("constant", [0.0, -3.5, 1e-300])
def test_a_constant_has_a_plot(constant: float) -> None:
    (row,) = summaries.plots_of(panel(x=np.full((3, 400), constant)), ["x"], CONFIG)
    assert row["axis_low"] < constant < row["axis_high"]
    assert set(row["middle"]) <= {row["middle"][0], " "}


def test_one_value_has_a_plot_and_none_has_no_row() -> None:
    values = np.full((3, 400), np.nan)
    one = values.copy()
    one[1, 7] = 2.0
    rows = summaries.plots_of(panel(x=values, y=one), ["x", "y", "not_there"], CONFIG)
    assert [row["feature"] for row in rows] == ["y"]
    assert (len(rows[0]["middle"]), rows[0]["n_values"]) == (1, 1)


def test_the_traded_universe_comes_first_where_it_has_values() -> None:
    here = panel(x=np.ones((3, 400)), y=np.full((3, 400), np.nan))
    there = panel(x=np.ones((3, 400)), y=np.ones((3, 400))).with_columns(universe=pl.lit("fx"))
    rows = summaries.plots_of(pl.concat([there, here]), ["x", "y"], CONFIG)
    assert [row["universe"] for row in rows] == ["us20", "fx"]


def test_of_several_bar_lengths_the_one_with_most_rows_is_shown() -> None:
    long = panel(x=np.ones((3, 400))).with_columns(freq=pl.lit("1h"))
    short = panel(n_days=500, x=np.zeros((3, 500))).with_columns(freq=pl.lit("5m"))
    (row,) = summaries.plots_of(pl.concat([long, short]), ["x"], CONFIG)
    assert (row["freq"], row["n_values"], row["maximum"]) == ("5m", 1_500, 0.0)


def test_the_newest_days_alone_are_drawn_where_asked() -> None:
    values = np.random.default_rng(7).normal(size=(3, 400))
    (row,) = summaries.plots_of(panel(x=values), ["x"], CONFIG, newest_days=99)
    assert (row["stretch"], len(row["middle"])) == ("1d", 100)
    assert row["n_values"] == 1_200


def test_the_axis_leaves_out_what_lies_far_beyond() -> None:
    values = np.append(np.linspace(0, 1, 200), 1e6)
    low, high = summaries.axis_of(values)
    assert low == 0.0
    assert 1 < high < 4


@pytest.fixture
def frames(report_tables: ReportFrames) -> GalleryFrames:
    return GalleryFrames(
        report_tables["feature_plots"],
        report_tables["catalogue"],
        report_tables["feature_quality"],
        {m: report_tables[f"importances_{m}"] for m in ("ridge", "lightgbm")},
    )


def page_of(frames: GalleryFrames) -> str:
    return render_gallery(frames, generated_at=NOW, profile="quick", run_id="made-up-run")


def answers(html: str, frames: GalleryFrames) -> dict[str, bool]:
    return {answer.name: answer.passed for answer in examine_gallery(html, frames)}


def test_rows_hold_to_the_contract_and_name_what_has_no_values() -> None:
    catalogue = pl.DataFrame({"name": ["x", "gone"], "family": ["technical", "onchain"]})
    plotted = {r["feature"]: r for r in summaries.plots_of(panel(x=np.random.default_rng(8).normal(size=(3, 400))), ["x"], CONFIG)}  # fmt: skip
    rows = cast_to_contract(
        summaries.rows_of(catalogue, plotted, frozenset(("technical",))), report.FEATURE_PLOTS
    )
    assert violations(rows, report.FEATURE_PLOTS).is_empty()
    assert rows["feature"].to_list() == ["x", "gone"]
    assert rows["n_values"].to_list() == [1_200, 0]
    assert rows["in_a_table"].to_list() == [False, True]


def test_the_page_says_of_each_feature_what_the_tables_say(frames: GalleryFrames) -> None:
    html = page_of(frames)
    assert all(answers(html, frames).values())
    assert set(answers(html, frames)) == {spec.name for group in CHECKS for spec in group.specs}
    data = json.loads(html.split('id="data">')[1].split("</script>")[0])
    rows = {row[0]: dict(zip(FIELDS, row, strict=True)) for row in data["rows"]}
    assert list(rows) == frames.catalogue["name"].to_list()
    # By hand: importances 0.7 and 0.5 in two folds; quality is that of us20, the universe shown.
    assert rows["return_1d"]["ridge"] == pytest.approx(0.6)
    assert (rows["return_1d"]["psi"], rows["return_1d"]["cluster_size"]) == (0.05, 2)
    assert rows["hidden"]["ridge"] is None
    assert rows["hidden"]["n_values"] == 0
    assert rows["rsi_14"]["formula"] == "formula of rsi_14 <b>"
    assert "formula of rsi_14 <b>" not in html
    assert "5 features, 4 with values" in html


def test_the_same_tables_give_the_same_page(frames: GalleryFrames) -> None:
    assert page_of(frames) == page_of(frames)
    assert joined(frames).height == frames.catalogue.height


def test_a_page_that_lost_a_feature_or_a_plot_is_refused(frames: GalleryFrames) -> None:
    from dataclasses import replace

    one_less = replace(frames, plots=frames.plots.filter(pl.col("feature") != "rsi_14"))
    assert not answers(page_of(one_less), frames)[WHOLE]
    blank = pl.when(pl.col("feature") == "rsi_14").then(pl.lit(""))
    undrawn = frames.plots.with_columns(middle=blank.otherwise(pl.col("middle")))
    assert not answers(page_of(replace(frames, plots=undrawn)), frames)[DRAWN]


def test_a_page_that_loads_something_or_is_unfinished_is_refused(frames: GalleryFrames) -> None:
    html = page_of(frames)
    assert not answers(html + "<img src='https://example.org/x.png'>", frames)[OFFLINE]
    assert not answers(html + "<a href='https://example.org/x.html'>x</a>", frames)[OFFLINE]
    assert answers(html + "<a href='risk_report.html#features'>x</a>", frames)[OFFLINE]
    assert not answers(html + "<p>nan</p>", frames)[FINISHED]


def test_without_quality_and_importances_the_page_is_still_whole(frames: GalleryFrames) -> None:
    bare = GalleryFrames(frames.plots, frames.catalogue)
    assert all(answers(page_of(bare), bare).values())


def test_a_sheet_a_family_says_where_no_data_are_bundled(frames: GalleryFrames) -> None:
    sheets = sheets_of(frames.plots)
    assert list(sheets) == ["technical", "volatility", "quantum"]
    assert NO_DATA not in sheets["technical"]
    assert NO_DATA in sheets["quantum"]
    assert sheets["technical"].count('class="m"') == 3
    assert sheets == sheets_of(frames.plots.reverse())
