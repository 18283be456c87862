"""What the page shows, as rows."""

from __future__ import annotations

from html import unescape

import numpy as np
import polars as pl
import pytest

from btq_assets.contracts.base import cast_to_contract
from btq_assets.contracts.report import NUMBERS
from btq_assets.reports.numbers import number_in, numbers
from btq_assets.reports.view import LineChart, ReportView, Table


@pytest.fixture(scope="module")
def rows(report_view: ReportView) -> pl.DataFrame:
    return numbers(report_view, "r", {"hrp": "t"}, "here")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234", 1234.0), ("−0.35", -0.35), ("42\u202f%", 0.42), ("−2.0\u202f%", -0.02),
        ("1.5×", 1.5), ("< 0.001", None), ("yes", None), ("", None), ("2021-03-01", None),
        ("nan", None), ("inf", None),
    ],
)  # fmt: skip
def test_a_text_is_read_as_the_number_it_shows(text: str, value: float | None) -> None:
    assert number_in(text) == (None if value is None else pytest.approx(value))


def test_every_numeric_cell_has_its_row(report_view: ReportView, rows: pl.DataFrame) -> None:
    tables = [b for s in report_view.sections for b in s.blocks if isinstance(b, Table)]
    wanted = sum(
        head.numeric and cell.text != "–"
        for table in tables
        for row in table.rows
        if row.kind != "group"
        for head, cell in zip(table.heads[1:], row.cells[1:], strict=True)
    )
    cells = rows.filter((pl.col("shown") != "") & (pl.col("part") != "verdict"))
    assert cells.height == wanted > 200


def test_every_point_of_a_chart_has_its_row_unrounded(
    report_view: ReportView, rows: pl.DataFrame
) -> None:
    charts = [b for s in report_view.sections for b in s.blocks if isinstance(b, LineChart)]
    equity = next(chart for chart in charts if chart.key == "equity")
    line = next(line for line in equity.lines if line.label == "hrp")
    own = rows.filter((pl.col("figure") == "Equity") & (pl.col("row") == "hrp"))
    known = np.isfinite(line.values)
    assert own["value"].to_list() == line.values[known].tolist()
    assert own["column"].to_list() == [str(d) for d, k in zip(equity.x, known, strict=True) if k]
    assert own["trial_id"].unique().to_list() == ["t"]


def test_the_verdict_comes_first_word_by_word(report_view: ReportView, rows: pl.DataFrame) -> None:
    said = rows.filter(pl.col("part") == "verdict")
    box = report_view.verdict
    assert said["shown"].to_list() == [box.headline, *box.statements]
    assert said["source"].unique().to_list() == ["here"]
    assert said["place"].to_list() == list(range(said.height))


def test_the_rows_keep_the_contract_and_stand_on_the_page(
    rows: pl.DataFrame, report_page: str
) -> None:
    assert cast_to_contract(rows, NUMBERS).equals(rows)
    page = unescape(report_page)
    for text in rows.filter(pl.col("shown") != "")["shown"].unique():
        assert all(part in page for part in text.split(" ")), text
