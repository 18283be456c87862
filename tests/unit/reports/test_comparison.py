"""The part on architectures: whoever leads stands on top, losers and gaps stay in sight."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import report_frames
from report_frames import make_context

from btq_assets.reports.frames import ReportContext, ReportFrames
from btq_assets.reports.parts import comparison
from btq_assets.reports.view import BarChart, CellChart, CurveChart, ReportView, Table


def blocks_of(view: ReportView) -> list:
    return list(next(s for s in view.sections if s.key == "comparison").blocks)


def test_the_table_is_sorted_by_rank_ic_and_says_what_is_shown(report_view: ReportView) -> None:
    blocks = blocks_of(report_view)
    assert blocks[0] == (
        "The highest mean rank IC has gat, +0.0300 (+0.0100 to +0.0500). Shown by rank IC with all "
        "pairs counted: gat better than lightgbm."
    )
    table = blocks[1]
    assert [row.cells[0].text for row in table.rows] == ["gat", "ridge", "mlp", "lightgbm"]
    by_head = {head.text: place for place, head in enumerate(table.heads)}
    gat, ridge = table.rows[:2]
    assert gat.cells[by_head["Inside 90 %"]].text.startswith("89.3")
    assert ridge.cells[by_head["Inside 90 %"]].title == "it forecasts no distribution"
    assert ridge.cells[by_head["Spread of seeds"]].text == "–"
    assert gat.cells[by_head["Mean rank IC"]].interval is not None


def test_pairs_seeds_decay_and_components_are_drawn(report_view: ReportView) -> None:
    blocks = blocks_of(report_view)
    pairs = next(b for b in blocks if isinstance(b, Table) and b.caption.startswith("Against"))
    assert [row.cells[0].text for row in pairs.rows] == ["gat", "mlp", "lightgbm"]
    above_lightgbm = pairs.rows[0].cells[2]
    assert (above_lightgbm.title, above_lightgbm.tint) == ("better", 1.0)
    assert "p 0.006" in above_lightgbm.detail
    assert pairs.rows[2].cells[2].text == "–"
    seeds = next(b for b in blocks if isinstance(b, CellChart))
    assert seeds.columns == ("seed 0", "seed 7", "seed 11")
    np.testing.assert_allclose(seeds.values[0], [np.nan, 0.03, 0.032])
    decay = next(b for b in blocks if isinstance(b, CurveChart))
    assert list(decay.x) == [1.0, 5.0, 21.0]
    np.testing.assert_allclose(decay.lines[0].values, [0.03, 0.006, 0.03 / 21])
    bars = next(b for b in blocks if isinstance(b, BarChart))
    assert bars.rows == ("gat: graph",)
    np.testing.assert_allclose(bars.values, [[-0.4]])
    left_out = blocks[-1]
    assert left_out.notes == (
        "Nothing to leave out (graph) of lightgbm, mlp, ridge: it has no edges between assets.",
    )


def test_what_is_not_there_is_said(
    report_tables: ReportFrames, report_context: ReportContext
) -> None:
    (said,) = comparison.section(ReportFrames({}), make_context()).blocks
    assert said == (
        "No comparison is stored: models.comparison is empty; the job `comparison` makes it."
    )
    tables = {
        **report_tables.tables,
        "comparison_ablations": report_tables["comparison_ablations"].clear(),
    }
    blocks = comparison.section(replace(report_tables, tables=tables), report_context).blocks
    assert "models.comparison_ablations is empty" in blocks[-1]


def test_nothing_shown_is_said_as_plainly(report_tables: ReportFrames) -> None:
    pairs = report_tables["comparison_pairs"].with_columns(verdict=pl.lit("not shown"))
    tables = {**report_tables.tables, "comparison_pairs": pairs}
    first = comparison.section(replace(report_tables, tables=tables), report_frames.make_context())
    assert first.blocks[0].endswith("no architecture better or worse than ridge or LightGBM.")
