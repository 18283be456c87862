"""Every number a report shows, as rows: what stands on the page can be queried and traced.

Belongs here: walking through a view and writing down what it shows. Does not belong here: computing
anything; a row repeats the page.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from btq_assets.contracts.report import NUMBERS
from btq_assets.reports.view import (
    MISSING,
    BarChart,
    CellChart,
    CurveChart,
    LineChart,
    ReportView,
    Section,
    Table,
)

_THIN = "\u202f"


def numbers(
    view: ReportView, report: str, trials: Mapping[str, str], verdict_source: str = ""
) -> pl.DataFrame:
    """Rows of ``report.numbers``, in the order of the page.

    Parameters
    ----------
    view
        The report.
    report
        Its name.
    trials
        Strategy, as the page calls it → trial.
    verdict_source
        Tables behind the verdict box.

    Returns
    -------
    polars.DataFrame
        Statements of the verdict, numeric cells of tables, and the points of charts; what is
        missing on the page has no row.
    """
    rows = [*_verdict(view, verdict_source)]
    for section in view.sections:
        for block in section.blocks:
            if isinstance(block, Table):
                rows.extend(_table(section, block))
            elif isinstance(block, LineChart):
                rows.extend(_lines(section, block))
            elif isinstance(block, CurveChart):
                rows.extend(_curves(section, block))
            elif isinstance(block, BarChart):
                rows.extend(_matrix(section, block, block.parts))
            elif isinstance(block, CellChart):
                rows.extend(_matrix(section, block, block.columns))
    names = ("part", "figure", "row", "column", "shown", "value", "source")
    frame = pl.DataFrame(rows, schema={n: NUMBERS.schema[n] for n in names}, orient="row")
    trial = pl.col("row").replace_strict(dict(trials), default=None, return_dtype=pl.String)
    return (
        frame.with_columns(report=pl.lit(report), trial_id=trial)
        .with_row_index("place")
        .with_columns(pl.col("place").cast(pl.Int64))
        .select(NUMBERS.column_names)
    )


def number_in(text: str) -> float | None:
    """The number a text shows; a percentage as a fraction, null where it is none or a bound."""
    plain = text.replace(_THIN, "").replace("−", "-").replace(",", "").removesuffix("×")
    percent = plain.endswith("%")
    try:
        value = float(plain.removesuffix("%"))
    except ValueError:
        return None
    if not math.isfinite(value):
        return None
    return value / 100 if percent else value


def _verdict(view: ReportView, source: str) -> Iterator[tuple[Any, ...]]:
    said = (view.verdict.headline, *view.verdict.statements)
    for place, text in enumerate(said):
        yield "verdict", "Verdict", str(place), "statement", text, None, source


def _table(section: Section, table: Table) -> Iterator[tuple[Any, ...]]:
    for row in table.rows:
        if row.kind == "group":
            continue
        for head, cell in zip(table.heads[1:], row.cells[1:], strict=False):
            if head.numeric and cell.text != MISSING:
                shown = f"{cell.text} {cell.detail}".strip()
                yield (
                    section.key, table.caption, row.cells[0].text, head.text, shown,
                    number_in(cell.text), table.source,
                )  # fmt: skip


def _lines(section: Section, chart: LineChart) -> Iterator[tuple[Any, ...]]:
    drawn = [(line.label, chart.x, line.values) for line in chart.lines]
    drawn += [(label, dates, values) for label, (dates, values) in chart.points.items()]
    for label, dates, values in drawn:
        for day, value in zip(dates, np.asarray(values, dtype=float).tolist(), strict=True):
            if math.isfinite(value):
                yield section.key, chart.title, label, f"{day}", "", value, chart.source


def _curves(section: Section, chart: CurveChart) -> Iterator[tuple[Any, ...]]:
    for line in chart.lines:
        values = np.asarray(line.values, dtype=float).tolist()
        for x, value in zip(chart.x, values, strict=True):
            if math.isfinite(value):
                yield section.key, chart.title, line.label, f"{x:g}", "", value, chart.source


def _matrix(
    section: Section, chart: CellChart | BarChart, columns: tuple[str, ...]
) -> Iterator[tuple[Any, ...]]:
    for name, values in zip(chart.rows, np.asarray(chart.values, dtype=float), strict=True):
        for column, value in zip(columns, values.tolist(), strict=True):
            if math.isfinite(value):
                yield section.key, chart.title, name, column, "", value, chart.source
