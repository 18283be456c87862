"""Lines and columns over a number, in the markup and under the script of `charts.py`.

Belongs here: the axis of a `CurveChart`. Does not belong here: the y axis, paths and legend, which
are those of every chart (`charts.py`), and the numbers themselves.

Geometry: x runs over ``PLOT_WIDTH`` steps with a margin at both ends, so that a mark at the end is
whole. The script reads where each x lies and what it is called from the chart's attributes.
"""

from __future__ import annotations

import math

import numpy as np
from markupsafe import escape

from btq_assets.reports import charts
from btq_assets.reports.view import CurveChart, LineChart

PLOT_WIDTH = 10_000

_MARGIN = 250
_MARGIN_OF_COLUMNS = 500
#: Columns take this share of the room between two of them.
_COLUMN = 0.82
#: Labels of the x axis that fit side by side, one step apart, and the room one needs.
_LABEL_ROOM = 420


def curve_chart(chart: CurveChart) -> str:
    """Return the markup of a chart over a number: plot, axes, legend.

    Raises
    ------
    ValueError
        Fewer than two x, x that do not ascend, an x that is not positive on a logarithmic axis, or
        a line of another length.
    """
    places = _places(chart)
    drawn = LineChart(
        chart.key, chart.title, (), chart.lines, unit=chart.unit, filled=chart.columns
    )
    bottom, top = charts.bounds(drawn)
    if chart.columns:
        bottom = min(bottom, 0.0)
    colours, body = charts.colours(chart.lines), []
    for label, at in chart.marks.items():
        x = _place(chart, float(at))
        body.append(
            f'<path class="mark" data-label="{escape(label)}" d="M{x} 0V{charts.PLOT_HEIGHT}"/>'
        )
    # Faint lines first, so that the coloured ones lie on top.
    for index in sorted(range(len(chart.lines)), key=lambda i: chart.lines[i].emphasis):
        line = chart.lines[index]
        if len(line.values) != len(places):
            raise ValueError(
                f"line {line.label!r} of chart {chart.key!r} has {len(line.values)} values "
                f"for {len(places)} x"
            )
        steps = charts.steps(np.asarray(line.values, dtype=float), bottom, top, log=False)
        known = f'data-line="{index}" data-label="{escape(line.label)}"'
        path = charts.path(np.array(places), steps)
        if chart.columns:
            zero = charts.steps(np.zeros(1), bottom, top, log=False)[0]
            body.append(
                f'<path class="column" data-line="{index}" fill="{colours[index]}" '
                f'd="{_columns(places, steps, zero)}"/>'
                f'<path class="line" {known} d="{path}" stroke="{colours[index]}" stroke-width="0"/>'
            )
            continue
        dash = ' stroke-dasharray="5 4"' if line.dashed else ""
        width = 1.9 if line.ink else 1.6 if line.emphasis else 1.0
        marks = "".join(f"M{x} {y:.0f}h0" for x, y in zip(places, steps, strict=True) if y == y)
        body.append(
            f'<path class="line" {known} d="{path}" stroke="{colours[index]}" '
            f'stroke-width="{width}"{dash}/>'
            f'<path class="at" data-line="{index}" stroke="{colours[index]}" d="{marks}"/>'
        )
    keys = [charts.key(index, line, colours[index]) for index, line in enumerate(chart.lines)]
    keys += [
        f'<span class="key fixed"><i class="mark"></i>{escape(label)}</span>'
        for label in chart.marks
    ]
    names = "|".join(f"{x:,.4g}" if abs(x) < 1_000 else f"{x:,.0f}" for x in chart.x)
    names = names.replace("-", "−")
    ticks = [x for x in chart.ticks or chart.x if chart.x[0] <= x <= chart.x[-1]]
    grid = charts.value_grid(drawn, bottom, top) + _ticks(ticks, [_place(chart, x) for x in ticks])
    return (
        f'<div class="chart number" id="chart-{escape(chart.key)}" data-days="{PLOT_WIDTH}" '
        f'data-at="{",".join(str(place) for place in places)}" data-names="{names}" '
        f'data-axis="{escape(chart.x_title)}" data-bottom="{bottom:.10g}" data-top="{top:.10g}" '
        f'data-scale="linear" data-unit="{chart.unit}" data-height="{charts.PLOT_HEIGHT}">'
        f'<div class="plot"><div class="grid">{grid}</div>'
        f'<svg viewBox="0 0 {PLOT_WIDTH} {charts.PLOT_HEIGHT}" preserveAspectRatio="none" '
        f'role="img" aria-label="{escape(chart.title)}">{"".join(body)}</svg>'
        '<div class="cursor" hidden></div><div class="brush" hidden></div>'
        f'<div class="tip" hidden></div><div class="axis">{escape(chart.x_title)}</div></div>'
        f'<div class="keys">{"".join(keys)}<button class="reset" type="button" hidden>'
        "whole span</button></div></div>"
    )


def _places(chart: CurveChart) -> list[int]:
    x = np.asarray(chart.x, dtype=float)
    if len(x) < 2:
        raise ValueError(f"chart {chart.key!r} has {len(x)} x; a curve needs two")
    if not (np.diff(x) > 0).all() or (chart.x_log and x[0] <= 0):
        wanted = "ascend and be positive" if chart.x_log else "ascend"
        raise ValueError(f"x of chart {chart.key!r} must {wanted}: {x.tolist()}")
    return [_place(chart, value) for value in x.tolist()]


def _place(chart: CurveChart, value: float) -> int:
    """Step of an x; beyond the ends of the axis, the end."""
    low, high, at = chart.x[0], chart.x[-1], value
    if chart.x_log:
        low, high, at = math.log(low), math.log(high), math.log(max(value, 1e-300))
    share = min(max((at - low) / (high - low), 0.0), 1.0)
    margin = _MARGIN_OF_COLUMNS if chart.columns else _MARGIN
    return round(margin + share * (PLOT_WIDTH - 2 * margin))


def _columns(places: list[int], steps: np.ndarray, zero: float) -> str:
    half = round(min(_COLUMN * min(np.diff(places).tolist()) / 2, _MARGIN_OF_COLUMNS))
    return "".join(
        f"M{x - half} {zero:.0f}V{y:.0f}H{x + half}V{zero:.0f}z"
        for x, y in zip(places, steps, strict=True)
        if y == y
    )


def _ticks(values: list[float], places: list[int]) -> str:
    """Those values of the x axis that have room for their name."""
    parts, free = [], -PLOT_WIDTH
    for number, (x, place) in enumerate(zip(values, places, strict=True)):
        if place - free < _LABEL_ROOM:
            continue
        free = place
        text = f"{x:,.10g}".replace("-", "−")
        kind = " end" if place > PLOT_WIDTH - _LABEL_ROOM else " odd" if number % 2 else ""
        parts.append(
            f'<i class="gx{kind}" style="left:{100 * place / PLOT_WIDTH:.2f}%"><b>{text}</b></i>'
        )
    return "".join(parts)
