"""Image sheets of the docs: one SVG a family, a small plot of each of its features.

Belongs here: what is written below a small plot. Does not belong here: how it is drawn
(`btq_assets.plots.small`), files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from btq_assets.plots.small import SmallPlot, sheet

NO_DATA = "no data bundled"


def sheets_of(plots: pl.DataFrame) -> dict[str, str]:
    """Family → SVG document, from rows of ``report.feature_plots``.

    A family of which no feature has values is one line that says so.
    """
    ordered = plots.sort("place")
    drawn = {}
    for (family,), rows in ordered.group_by("family", maintain_order=True):
        known = rows.filter(pl.col("n_values") > 0)
        heading = f"{family}: {known.height} of {rows.height} features have bundled data"
        cells = [cell_of(row) for row in rows.iter_rows(named=True)]
        if known.is_empty():
            cells = [SmallPlot(f"{family}: {rows.height} features", NO_DATA)]
        drawn[str(family)] = sheet(cells, heading)
    return drawn


def cell_of(row: Mapping[str, Any]) -> SmallPlot:
    """One feature's cell: its name, its curves, and the ends of the axis with the years."""
    if not row["n_values"]:
        return SmallPlot(row["feature"], NO_DATA)
    ends = f"{short(row['axis_low'])} to {short(row['axis_high'])}"
    years = f"{row['first_ts']:%Y}–{row['last_ts']:%Y}"
    return SmallPlot(
        row["feature"],
        f"{ends} · {years} · {row['universe']}",
        middle=row["middle"],
        lower=row["lower"],
        upper=row["upper"],
        counts=row["bars"],
    )


def short(value: float) -> str:
    """A number in two digits, small print of a plot."""
    text = f"{value:.2g}" if abs(value) < 100 else f"{value:,.0f}" if abs(value) < 1e5 else f"{value:.1e}"  # fmt: skip
    return text.replace("-", "−")
