"""The part on weights: what stands there is worked by hand from the rows of `why_frames`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from btq_assets.reports.frames import CONTRACTS, ReportContext, ReportFrames
from btq_assets.reports.numbers import numbers
from btq_assets.reports.parts import why
from btq_assets.reports.view import BarChart, CellChart, ReportView, Table


@pytest.fixture
def blocks(report_view: ReportView) -> list[object]:
    return list(next(section for section in report_view.sections if section.key == "why").blocks)


def test_the_largest_weights_are_followed_from_feature_to_weight(
    report_tables: ReportFrames, blocks: list
) -> None:
    table = blocks[0]
    assert isinstance(table, Table)
    # The best candidate by Sharpe ratio that has reasons, whoever leads.
    strategies = [s for s in report_tables.strategies("candidate") if s in ("ridge", "blend")]
    assert strategies[0] in table.caption
    assert "2006-12-25" in table.caption
    first = {head.text: cell for head, cell in zip(table.heads, table.rows[0].cells, strict=True)}
    # The eighth of eight assets: 2 * 7 / 56 by rank, halved by the state.
    assert first["Asset"].text == "S07"
    assert first["Weight"].text == "12.5\u202f%"
    assert (first["Rank"].text, first["Rank"].detail) == ("8", "of 8")
    assert first["By rank"].text == "25.0\u202f%"
    assert first["Score"].text == "144.0"  # 8 * (20 - 5 + 1 + 2) basis points
    assert first["Made of"].text == "return_5d 160.0, momentum_12_1 −40.0, rsi_14 8.0"
    assert first["Worth most"].text == "return_5d"
    assert first["Worth most"].detail == "16.00\u202f% of equity"


def test_bars_sum_to_the_scores(blocks: list) -> None:
    chart = next(block for block in blocks if isinstance(block, BarChart))
    assert chart.rows[0] == "S07"
    assert set(chart.parts) == {"return_5d", "momentum_12_1", "rsi_14", "baseline"}
    np.testing.assert_allclose(chart.values.sum(axis=1), 18 * np.arange(8, 0, -1))


def test_families_are_means_over_seeds_with_the_error_of_the_mean(blocks: list) -> None:
    table = next(b for b in blocks if isinstance(b, Table) and "shuffled" in b.caption)
    heads = [head.text for head in table.heads]
    assert heads == ["Family", "ridge base", "transformer_gnn base"]
    technical = table.rows[0].cells
    assert (technical[1].text, technical[1].detail) == ("0.020", "± 0.003")
    assert technical[2].text == "0.029"  # (0.027 + 0.031) / 2
    assert technical[2].detail == "± 0.002"  # 0.003 / sqrt(2)


def test_sessions_run_towards_the_decision_and_edges_from_row_to_column(blocks: list) -> None:
    cells, edges = (block for block in blocks if isinstance(block, CellChart))
    assert cells.columns == ("t-10", "t-1", "t")
    np.testing.assert_allclose(cells.values[0], [99, 18, 9])  # mean seed 9, 1e-4 a step, in bp
    assert (edges.rows, edges.columns) == (("S00",), ("S01",))
    np.testing.assert_allclose(edges.values, [[18]])


def test_every_number_of_it_can_be_queried(report_view: ReportView, report_page: str) -> None:
    rows = numbers(report_view, "risk_report", {}).filter(pl.col("part") == "why")
    assert rows.height > 50
    assert rows["source"].str.contains("portfolio.weight_|models.importance").all()
    assert 'id="why"' in report_page


def test_without_explanations_the_part_is_left_out_or_says_so(
    report_tables: ReportFrames, report_context: ReportContext
) -> None:
    def without(*names: str) -> ReportFrames:
        empty = {name: CONTRACTS[name].empty() for name in names}
        return replace(report_tables, tables={**report_tables.tables, **empty})

    assert why.section(without("weight_reasons"), report_context) is None
    said = why.section(without("weight_contributions", "importance"), report_context)
    assert "no explanation by features" in said.blocks[1]
