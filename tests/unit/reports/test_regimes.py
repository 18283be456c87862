"""The sections on regimes and features say what their tables say."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import polars as pl
from report_frames import NOW
from test_assemble import tables_of

from btq_assets.reports.assemble import assemble
from btq_assets.reports.charts import line_chart
from btq_assets.reports.frames import ReportContext, ReportFrames
from btq_assets.reports.parts.regimes import bands
from btq_assets.reports.render import render
from btq_assets.reports.view import Band, CellChart, Line, LineChart, Link, ReportView, Section


def part(view: ReportView, key: str) -> Section:
    return next(section for section in view.sections if section.key == key)


def test_a_band_ends_where_the_next_begins() -> None:
    days = [NOW + dt.timedelta(days=n) for n in range(6)]
    labels = ["bull", "bull", "bear", None, "bull", "bull"]
    found = {band.label: band.spans for band in bands(pl.DataFrame({"ts": days, "label": labels}))}
    day = [stamp.date() for stamp in days]
    assert found == {
        "bull": ((day[0], day[2]), (day[4], day[5] + dt.timedelta(days=1))),
        "bear": ((day[2], day[3]),),
    }


def test_a_band_is_drawn_within_the_span_of_the_chart() -> None:
    x = [dt.date(2020, 1, 1), dt.date(2020, 1, 11)]
    spans = (
        (dt.date(2019, 1, 1), dt.date(2020, 1, 3)),
        (dt.date(2020, 1, 8), dt.date(2021, 1, 1)),
        (dt.date(2022, 1, 1), dt.date(2022, 1, 2)),
    )
    line = Line("l", np.array([1.0, 2.0]))
    drawn = line_chart(LineChart("k", "t", x, (line,), bands=(Band("bull <", "#009E73", spans),)))
    # By hand: days 0 to 2 and 7 to 10 of 10.
    assert 'd="M0 -5000V10000H2V-5000zM7 -5000V10000H10V-5000z"' in drawn
    assert "bull &lt;</span>" in drawn


def test_the_timeline_shades_states_and_marks_breaks(
    report_view: ReportView, report_tables: ReportFrames
) -> None:
    charts = {b.key: b for b in part(report_view, "regimes").blocks if isinstance(b, LineChart)}
    assert set(charts) == {"regime-timeline", "stress", "regimes"}
    timeline = charts["regime-timeline"]
    assert [band.label for band in timeline.bands] == ["bull", "sideways", "bear", "crisis"]
    (days, _) = timeline.points["correlations break (1)"]
    broken = report_tables["correlation_breaks"].filter("is_break")
    assert days == broken["boundary"].dt.date().to_list()
    assert [band.label for band in charts["stress"].bands] == ["crisis"]
    strips = [b for b in part(report_view, "regimes").blocks if isinstance(b, CellChart)]
    assert strips[0].rows == ("bull", "sideways", "bear")


def test_what_holds_now_is_the_last_row_of_each_model(
    report_view: ReportView, report_tables: ReportFrames
) -> None:
    now, parameters, named, two, breaks = tables_of(report_view, "regimes")
    rows = {row.cells[0].text: [cell.text for cell in row.cells] for row in now.rows}
    last = report_tables["market_states"].sort("ts").row(-1, named=True)
    assert rows["Named states"][2] == last["state"] == "bear"
    assert rows["Named states"][3].startswith("bear 90")
    assert rows["Stress index"][2] == "crisis"
    assert rows["In force"][2] == "crisis"
    assert len(rows) == 7
    # By hand: four regimes, a quarter of the time each, in one spell each.
    assert [[c.text for c in r.cells][:3] for r in parameters.rows] == [
        [name, "25.0\u202f%", "1"] for name in ("bull", "sideways", "bear", "crisis")
    ]
    assert [row.cells[5].text for row in parameters.rows] == ["1.00", "0.75", "0.50", "0.25"]
    assert [row.cells[0].text for row in named.rows] == ["bull", "sideways", "bear"]
    assert len(two.rows) == 2
    assert len(breaks.rows) == 1


def test_models_that_are_missing_are_left_out(
    report_tables: ReportFrames, report_context: ReportContext
) -> None:
    gone = ("hidden_states", "stress_index", "regime_parameters", "correlation_breaks", "bars")
    tables = {n: f for n, f in report_tables.tables.items() if n not in gone}
    view = assemble(replace(report_tables, tables=tables), report_context)
    blocks = part(view, "regimes").blocks
    assert {b.key for b in blocks if isinstance(b, LineChart)} == {"regimes"}
    render(view)


def test_a_table_without_breaks_says_so(
    report_tables: ReportFrames, report_context: ReportContext
) -> None:
    none = report_tables["correlation_breaks"].with_columns(is_break=pl.lit(False))
    tables = {**report_tables.tables, "correlation_breaks": none}
    view = assemble(replace(report_tables, tables=tables), report_context)
    assert "none was found" in tables_of(view, "regimes")[-1].caption


def test_families_are_counted(report_view: ReportView) -> None:
    families, shifted = tables_of(report_view, "features")
    rows = {row.cells[0].text: [cell.text for cell in row.cells] for row in families.rows}
    # By hand from the tables: three features of technical, one of them above 0.25, two alike;
    # importances 0.7 + 0.3 and 0.5 + 0.5; volatility has values on us_ohlcv alone.
    assert rows["technical"][1:4] == ["3", "3", "3"]
    assert rows["technical"][5] == "1"
    assert rows["technical"][7:9] == ["2", "1"]
    assert rows["technical"][9:] == ["100.0\u202f%", "100.0\u202f%"]
    assert rows["volatility"][3:6] == ["1", "10.0\u202f%", "1"]
    assert rows["quantum"][1:4] == ["1", "0", "0"]
    assert [row.cells[0].text for row in shifted.rows] == ["rsi_14", "parkinson_21_annual"]
    assert shifted.rows[1].cells[2].text == "us_ohlcv"


def test_the_gallery_is_linked_only_where_it_was_made(
    report_tables: ReportFrames, report_context: ReportContext, report_view: ReportView
) -> None:
    (link,) = [b for b in part(report_view, "features").blocks if isinstance(b, Link)]
    assert link.page == "features.html"
    tables = {n: f for n, f in report_tables.tables.items() if n != "feature_plots"}
    view = assemble(replace(report_tables, tables=tables), report_context)
    assert "features.html" not in render(view)
    assert "features.html#family=technical" in render(report_view)
