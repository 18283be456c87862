"""Parts on slices, scenarios, stresses, factors, parameters and costs.

Expected values are worked by hand from the rows of `backtest_frames`, unless a test says otherwise.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from report_frames import BASELINES, CANDIDATES, fill, make_context
from scipy.stats import t as student

from btq_assets.reports.frames import CONTRACTS, ReportContext, ReportFrames
from btq_assets.reports.parts import attribution, costs, market_states, sensitivity, stresses
from btq_assets.reports.view import BarChart, CellChart, CurveChart, LineChart, ReportView, Table

PLACES = {name: k for k, name in enumerate((*CANDIDATES, *BASELINES))}


@pytest.fixture
def blocks(report_view: ReportView) -> dict[str, object]:
    """Every chart by key and every table by caption."""
    return {
        getattr(block, "key", "") or getattr(block, "caption", ""): block
        for section in report_view.sections
        for block in section.blocks
    }


def part(view: ReportView, key: str) -> list[object]:
    return list(next(section for section in view.sections if section.key == key).blocks)


def cells_of(chart: CellChart) -> dict[tuple[str, str], float]:
    return {
        (row, column): value
        for row, values in zip(chart.rows, chart.values.tolist(), strict=True)
        for column, value in zip(chart.columns, values, strict=True)
    }


def with_rows(frames: ReportFrames, name: str, rows: pl.DataFrame) -> ReportFrames:
    return replace(frames, tables={**frames.tables, name: rows})


def test_states_show_their_sharpe_ratio_or_that_the_days_are_too_few(blocks: dict) -> None:
    chart = blocks["states-market"]
    # In the order of the contract; `unknown` has no day in any run and stands in the table alone.
    assert chart.columns == ("bull", "bear")
    shown = cells_of(chart)
    assert shown["ridge_macro", "bull"] == pytest.approx(1.0 - 0.1 * PLACES["ridge_macro"])
    row = chart.rows.index("hrp")
    assert chart.blanks[row] == ("–", "too few")
    assert np.isnan(chart.values[row, 1])
    assert blocks["states-market_volatility"].columns == (
        "bull low volatility",
        "bear low volatility",
    )


def test_days_of_each_state_are_told(report_tables: ReportFrames, blocks: dict) -> None:
    table = next(b for name, b in blocks.items() if name.startswith("Days by market state"))
    rows = {row.cells[0].text: row.cells for row in table.rows}
    assert [rows[s][1].text for s in ("bull", "bear", "unknown")] == ["300", "40", "0"]
    assert [rows[s][1].detail for s in ("bull", "bear", "unknown")] == ["", "too few", "too few"]
    k = PLACES[report_tables.leader or ""]
    assert rows["bull"][3].text == f"{10 + k}.0\u202f%"
    assert rows["bull"][3].detail == f"1/N {10 + PLACES['one_over_n']}.0\u202f%"
    assert rows["bear"][3].title == "too few days: 40, at least 60 are needed"


def test_a_state_nobody_knows_yet_comes_last(
    report_tables: ReportFrames, report_context: ReportContext
) -> None:
    rows = report_tables["scenarios"].with_columns(
        scenario=pl.col("scenario").replace("bull", "a_new_state")
    )
    frames = with_rows(report_tables, "scenarios", rows)
    charts = [b for b in market_states.section(frames, report_context).blocks
              if isinstance(b, CellChart) and b.key == "states-market"]  # fmt: skip
    assert charts[0].columns == ("bear", "a new state")


def test_crises_covered_and_not_are_told(report_view: ReportView, blocks: dict) -> None:
    said = [block for block in part(report_view, "scenarios") if isinstance(block, str)]
    assert said == ["Dated crises: 1 of 2 lie inside the days of the runs. Not covered: asia 1997."]
    chart = blocks["crises"]
    assert chart.columns == ("covid 2020",)
    assert cells_of(chart)["hrp", "covid 2020"] == pytest.approx(-0.3 + 0.01 * PLACES["hrp"])
    table = next(b for name, b in blocks.items() if name.startswith("Dated crises, covered"))
    assert [cell.text for cell in table.rows[0].cells[:6]] == [
        "asia 1997", "1997-02-19", "1997-03-23", "no", "–", "–",
    ]  # fmt: skip
    assert table.rows[0].cells[3].title == "not covered by the run"


def test_curves_of_stress_run_over_costs_and_delay(blocks: dict) -> None:
    cost, delay = blocks["stress-cost"], blocks["stress-delay"]
    assert list(cost.x) == [0, 5, 10, 20, 50]
    lines = {line.label: line for line in cost.lines}
    k = PLACES["hrp"]
    assert lines["hrp"].values == pytest.approx(
        [0.8 - b / 100 - 0.01 * k for b in (0, 5, 10, 20, 50)]
    )
    # The run as it was is the delay of nothing.
    assert list(delay.x) == [0, 1, 2, 3, 4, 5]
    assert delay.lines[0].label == "1/N"
    own = {line.label: line.values for line in delay.lines}["ridge"]
    assert own == pytest.approx([0.7, 0.68, 0.66, 0.64, 0.62, 0.6])


def test_other_stresses_stand_in_a_table(blocks: dict) -> None:
    table = blocks["Half liquidity, other universes, resampled paths"]
    row = next(row.cells for row in table.rows if row.cells[0].text == "ridge")
    assert [cell.text for cell in row[:5]] == ["ridge", "0.70", "0.65", "0.60 to 0.80", "0.50"]
    assert row[2].detail == "−0.05"
    assert (row[4].interval.low, row[4].interval.high) == (0.05, 0.95)
    assert "Draw 2: draw_2 of it." in table.notes


def test_a_kind_of_stress_without_rows_is_named(
    report_tables: ReportFrames, report_context: ReportContext
) -> None:
    rows = report_tables["stresses"].filter(pl.col("kind") != "delay")
    said = list(stresses.blocks(with_rows(report_tables, "stresses", rows), report_context))
    assert "No delay stress is stored." in said


def test_slices_are_matrices_of_strategies(blocks: dict) -> None:
    assert cells_of(blocks["years"])["hrp", "2006"] == -0.05
    months = blocks["months-above"]
    assert len(months.columns) == 12
    assert not months.written
    assert cells_of(months)["ppo", "2005-08"] == pytest.approx(0.02)
    assert cells_of(blocks["seasons"])["ppo", "Mar"] == pytest.approx(0.06)
    assert cells_of(blocks["symbols"])["1/N", "B"] == -0.1
    long = blocks["Round trips, long"]
    row = next(row.cells for row in long.rows if row.cells[0].text == "ridge_macro")
    assert [cell.text for cell in row[1:6]] == ["90", "11.0\u202f%", "1,234", "60.0\u202f%", "–"]
    assert row[5].title == "undefined in this slice"


def test_no_short_is_said(report_view: ReportView) -> None:
    assert "No run had a short position." in part(report_view, "slices")


def test_alpha_has_the_interval_of_student_s_distribution(blocks: dict) -> None:
    """63 months, three coefficients: 60 degrees of freedom; quantile from scipy.stats."""
    table = blocks["Slopes on the three factors of Fama and French"]
    row = next(row.cells for row in table.rows if row.cells[0].text == "hrp")
    reach = student.ppf(0.975, 60) * 0.01
    assert reach == pytest.approx(0.0200, abs=5e-5)
    assert row[1].interval.low == pytest.approx(0.02 - reach)
    assert row[1].interval.high == pytest.approx(0.02 + reach)
    assert [cell.text for cell in row[1:6]] == ["2.00\u202f%", "2.00", "0.80", "−0.10", "0.50"]
    assert [row[2].detail, row[3].detail] == ["p 0.040", "t 8.0"]


def test_contributions_are_stacked(blocks: dict) -> None:
    chart = blocks["attribution-fama_french_3"]
    assert isinstance(chart, BarChart)
    assert chart.parts == ("alpha", "Mkt-RF", "SMB")
    assert chart.values[chart.rows.index("ppo")] == pytest.approx([0.002, 0.08, -0.01])


def test_factors_without_figures_say_why(
    report_tables: ReportFrames, report_context: ReportContext
) -> None:
    rows = report_tables["attribution"].with_columns(
        coefficient=pl.lit(None, pl.Float64), note=pl.lit("no factor has these months")
    )
    said = list(attribution.blocks(with_rows(report_tables, "attribution", rows), report_context))
    assert said == [
        "Attribution to the three factors of Fama and French: no factor has these months."
    ]


def test_the_surface_and_its_neighbours(blocks: dict) -> None:
    chart = blocks["surface-momentum_top_ranked-us20"]
    assert chart.rows == ("21 sessions", "63 sessions")
    assert chart.columns == ("best 1", "best 3")
    assert chart.values == pytest.approx(np.array([[0.04, -0.01]] * 2))
    agreement = blocks["neighbours-momentum_top_ranked-us20"]
    assert agreement.values == pytest.approx(np.full((2, 2), 0.5))
    table = next(b for name, b in blocks.items() if str(name).startswith("Best sets beside"))
    assert [cell.text for cell in table.rows[0].cells[:4]] == [
        "21 sessions, best 1, every 5, threshold 0\u202f%", "4.0\u202f%", "1.5\u202f%", "50\u202f%",
    ]  # fmt: skip
    assert table.notes[0].startswith("50\u202f% of the 4 sets are above 1/N")


def test_without_the_job_the_surface_says_what_makes_it() -> None:
    said = list(sensitivity.blocks(ReportFrames({}), make_context()))
    assert said == [
        "No parameter surface is stored: backtest.sensitivity is empty; the job `controls` makes it."
    ]


def test_shortfall_is_split_into_its_parts(blocks: dict) -> None:
    """104 fills of 10,000: 2 of spread, 1 of fees and k of waiting are as many basis points."""
    chart = blocks["shortfall"]
    assert chart.parts == ("waiting", "spread", "impact", "fees", "opportunity")
    k = PLACES["hrp"]
    own = chart.values[chart.rows.index("hrp")]
    assert own[[0, 1, 3, 4]] == pytest.approx([k, 2.0, 1.0, 0.0])
    assert np.isnan(own[2])
    assert chart.note.startswith("Not known for any order, and not counted: impact. ")
    table = blocks["What trading cost"]
    row = next(row.cells for row in table.rows if row.cells[0].text == "hrp")
    assert [cell.text for cell in row[1:6]] == ["104", "1.0", f"{3 + k}.0", f"{k}.0", "2.0"]
    assert row[6].title == "not known for any of its orders"
    years = blocks["shortfall-years"]
    assert years.rows == ("2005", "2006")
    charged = blocks["charged"]
    assert isinstance(charged, LineChart)
    assert list(charged.x)[:2] == [dt.date(2005, 1, 1), dt.date(2005, 4, 1)]
    assert charged.lines[0].values == pytest.approx([3.0] * 8)


def test_delay_and_timing_stand_apart_where_arrival_is_known(
    report_tables: ReportFrames, report_context: ReportContext
) -> None:
    rows = report_tables["transaction_costs"].with_columns(
        delay_cost=pl.col("waiting_cost") - 1.0, timing_cost=pl.lit(1.0)
    )
    frames = with_rows(report_tables, "transaction_costs", rows)
    chart = costs.section(frames, report_context).blocks[0]
    assert chart.parts == ("delay", "timing", "spread", "impact", "fees", "opportunity")
    assert chart.values[chart.rows.index("hrp")][:2] == pytest.approx([PLACES["hrp"] - 1.0, 1.0])


def test_a_strategy_of_few_fills_is_in_the_table_alone(
    report_tables: ReportFrames, report_context: ReportContext
) -> None:
    rows = report_tables["transaction_costs"]
    few = rows.filter((pl.col("strategy") != "hrp") | (pl.col("symbol") == "S00"))
    found = costs.section(with_rows(report_tables, "transaction_costs", few), report_context).blocks
    assert "hrp" not in found[0].rows
    assert "Left out for fewer than 100 fills: hrp." in found[0].note
    assert "hrp" in [row.cells[0].text for row in found[1].rows]


def test_the_rank_of_the_chosen_one_is_drawn_by_its_logit(blocks: dict) -> None:
    chart = blocks["logits-q"]
    assert isinstance(chart, CurveChart)
    assert list(chart.x) == [-1.79, 0.0, 1.79]
    # 7,465 of 12,870 splits lie above the middle; the middle itself counts as overfitting.
    assert [line.label for line in chart.lines] == [
        "above the middle: 58.0\u202f% of splits", "at or below it: 42.0\u202f%",
    ]  # fmt: skip
    assert chart.lines[1].values[:2] == pytest.approx([3_000 / 12_870, 2_405 / 12_870])
    assert np.isnan(chart.lines[1].values[2])


def test_deflation_runs_over_the_number_of_trials(blocks: dict) -> None:
    chart = blocks["deflation-q"]
    assert list(chart.x) == [10, 14, 100]
    assert chart.marks == {"counted: 14": 14.0}
    assert chart.lines[0].values == pytest.approx([0.4, 0.31, 0.05])
    assert chart.lines[-1].label == "demanded: 0.95"


def test_one_fill_of_a_strategy_nobody_ranked_is_enough() -> None:
    """Half-spread of 0.01 on a value of 10 is 10 basis points; nothing else is known."""
    row = {
        "run_id": "r", "strategy": "alone", "symbol": "S", "shares": 1.0, "value": 10.0,
        "fill_price": 10.0, "spread_cost": 0.01, "commission": 0.0, "shortfall_cost": 0.01,
    }  # fmt: skip
    runs = fill(CONTRACTS["runs"], [{"run_id": "r", "strategy": "alone", "role": "candidate"}])
    table = fill(CONTRACTS["transaction_costs"], [row])
    frames = ReportFrames({"runs": runs, "transaction_costs": table})
    found = costs.section(frames, make_context()).blocks
    assert [type(block) for block in found] == [BarChart, Table, BarChart]
    assert found[0].values[0][1] == pytest.approx(10.0)
