"""Stacked bars as HTML: one row a bar, parts as blocks, read by the pointer and hidden by a press.

Belongs here: turning a `BarChart` into markup. Does not belong here: which parts there are. Blocks
flow side by side, so a hidden part leaves no hole; what a bar holds in all is written beside it.
"""

from __future__ import annotations

import numpy as np
from markupsafe import escape

from btq_assets.plots import PALETTE
from btq_assets.reports import formatting
from btq_assets.reports.view import MISSING, BarChart


def bar_chart(chart: BarChart) -> str:
    """Return the markup of stacked bars with their legend.

    Raises
    ------
    ValueError
        The values do not match the labels.
    """
    values = np.asarray(chart.values, dtype=float)
    if values.shape != (len(chart.rows), len(chart.parts)):
        raise ValueError(
            f"chart {chart.key!r} has values {values.shape} for {len(chart.rows)} rows and "
            f"{len(chart.parts)} parts"
        )
    known = np.nan_to_num(values)
    above = float(np.clip(known, 0, None).sum(axis=1).max(initial=0.0))
    below = float(np.clip(-known, 0, None).sum(axis=1).max(initial=0.0))
    whole = (above + below) or 1.0
    rows = [
        _bar(chart, name, own, above, below) for name, own in zip(chart.rows, values, strict=True)
    ]
    keys = "".join(
        f'<button type="button" class="key" data-part="{n}" aria-pressed="true">'
        f'<i class="block" style="background:{_colour(n)}"></i>{escape(part)}</button>'
        for n, part in enumerate(chart.parts)
    )
    return (
        f'<div class="bars" id="chart-{escape(chart.key)}" style="--zero:{100 * below / whole:.2f}%"'
        f' role="group" aria-label="{escape(chart.title)}"><div class="rows">{"".join(rows)}</div>'
        f'<div class="tip" hidden></div><div class="keys">{keys}</div></div>'
    )


def _bar(chart: BarChart, name: str, values: np.ndarray, above: float, below: float) -> str:
    sides = {"minus": "", "plus": ""}
    for number, value in enumerate(values.tolist()):
        if not np.isfinite(value) or value == 0:
            continue
        side, room = ("plus", above) if value > 0 else ("minus", below)
        sides[side] += (
            f'<i data-part="{number}" data-label="{escape(chart.parts[number])}" '
            f'data-text="{_written(chart, value)}" '
            f'style="width:{100 * abs(value) / room:.2f}%;background:{_colour(number)}"></i>'
        )
    known = values[np.isfinite(values)]
    total = _written(chart, float(known.sum())) if known.size else MISSING
    return (
        f'<div class="bar"><span class="name">{escape(name)}</span><div class="track">'
        f'<div class="minus">{sides["minus"]}</div><div class="plus">{sides["plus"]}</div></div>'
        f'<b title="{escape(chart.total)}">{total}</b></div>'
    )


def _written(chart: BarChart, value: float) -> str:
    if chart.unit == "percent":
        return formatting.percent(value, chart.digits)
    return formatting.number(value, chart.digits)


def _colour(number: int) -> str:
    return PALETTE[number % len(PALETTE)]
