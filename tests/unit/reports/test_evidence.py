"""The part on evidence, and the sentences the verdict box takes from it."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from report_frames import CANDIDATES, make_context

from btq_assets.reports import checks
from btq_assets.reports.assemble import assemble
from btq_assets.reports.frames import ReportContext, ReportFrames
from btq_assets.reports.parts import evidence
from btq_assets.reports.view import ReportView, Table


@pytest.fixture
def tables(report_view: ReportView) -> dict[str, Table]:
    part = next(section for section in report_view.sections if section.key == "evidence")
    return {block.caption: block for block in part.blocks if isinstance(block, Table)}


def test_the_box_says_what_was_tried_and_what_the_choice_is_worth(report_view: ReportView) -> None:
    """Figures are those of the fixture: 6 candidates, 3 attempts, 42 % of 12,870 splits."""
    said = report_view.verdict.statements
    assert said[0].startswith("Claim examined: a strategy earns more than 1/N of us20")
    assert (
        "6 candidates amount to 3 independent attempts, by the correlation of their returns."
        in said
    )
    assert any("in 42% of 12,870 splits" in text for text in said)
    assert any("0.52 (Hansen), 0.61 (White)" in text and "none" in text for text in said)
    assert any("2.8 years of data are fewer than the 3.1" in text for text in said)
    assert said[-1] == (
        "Suspicious, and to be explained first: few fills (ppo); a few days made the gain (ridge)."
    )
    assert not any("us_ohlcv" in text for text in said), "another universe opens the report"


def test_findings_of_baselines_alone_are_not_in_the_box(report_tables: ReportFrames) -> None:
    own = report_tables["findings"].filter(pl.col("strategy") == "buy_and_hold")
    frames = replace(report_tables, tables={**report_tables.tables, "findings": own})
    assert evidence.suspicious(frames).startswith("Suspicious: nothing")


def test_each_figure_of_the_choice_has_its_row_and_a_universe_not_judged_says_why(
    tables: dict[str, Table],
) -> None:
    table = tables["What choosing among the candidates is worth"]
    assert [head.text for head in table.heads] == ["Figure", "us20", "us_ohlcv", "What it says"]
    shown = {row.cells[0].text: row.cells[1:3] for row in table.rows}
    assert shown["Probability of overfitting"][0].text == "42\u202f%"
    assert shown["Probability of overfitting"][0].detail == "of 12,870 splits"
    assert shown["What is left of a Sharpe ratio"][0].text == "−0.35"
    assert shown["Superior ability, p"][0].detail == "0.310 to 0.610"
    assert shown["Probability of overfitting"][1].title == "3 candidates, 10 are needed"
    assert table.notes == ("us_ohlcv was not judged: 3 candidates, 10 are needed.",)


def test_candidates_stand_by_their_p_value(tables: dict[str, Table]) -> None:
    table = tables["How each candidate stands"]
    assert [row.cells[0].text for row in table.rows] == list(CANDIDATES)
    first = [cell.text for cell in table.rows[0].cells]
    assert first == ["ridge", "us20", "0", "0.050", "0.400", "no", "trial-ridge"]


def test_findings_come_by_role_with_what_they_were_held_against(
    tables: dict[str, Table], report_tables: ReportFrames
) -> None:
    rows = tables["What is suspicious"].rows
    assert [row.kind for row in rows] == ["candidate", "candidate", "baseline"]
    by_name = {row.cells[0].text: [cell.text for cell in row.cells[1:4]] for row in rows}
    assert by_name["ppo"] == ["few fills", "12", "30"]
    assert by_name["ridge"] == ["a few days made the gain", "0.12", "0.01"]


def test_every_symptom_of_the_contract_has_a_name() -> None:
    from btq_assets.contracts.evidence import SYMPTOMS

    assert set(evidence.SYMPTOMS) == set(SYMPTOMS)


def test_without_the_tables_there_is_no_part_and_no_sentence(report_tables: ReportFrames) -> None:
    few = {name: report_tables[name] for name in ("runs", "equity", "metrics")}
    view = assemble(ReportFrames(few), make_context())
    assert "evidence" not in [section.key for section in view.sections]
    assert not any("Suspicious" in text for text in view.verdict.statements)


def test_a_page_that_leaves_out_what_the_choice_is_worth_is_refused(
    report_page: str, report_view: ReportView
) -> None:
    said = report_view.verdict.statements[-1]
    answers = checks.examine(report_page.replace(said, "All is well."), report_view, ())
    assert [a.name for a in answers if not a.passed] == [checks.OPENS_WITH_VERDICT]


def test_small_print_names_content_run_and_code(report_context: ReportContext) -> None:
    lineage = {"evidence.selection": ("0f3c9a52-long-run", "c0ffee00c0ffee00")}
    context = replace(
        report_context, lineage=lineage, data_versions={"evidence.selection": "ab" * 16}
    )
    assert context.source("selection", "findings") == (
        "evidence.selection @ abababababab (run 0f3c9a52, code c0ffee00), evidence.findings"
    )
