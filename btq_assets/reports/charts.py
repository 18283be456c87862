"""Charts as inline SVG and HTML that need no library, no script to be read, and print well.

Belongs here: turning a `LineChart` or `CellChart` into markup. Does not belong here: which series
to show, or any statistic. A script in the page (`templates/charts.js.j2`) adds the pointer's
read-out, switching lines on and off, and zooming; it reads the numbers back from the paths.

Geometry: the plot area is an SVG stretched to its box, x in days since the first date, y in
``PLOT_HEIGHT`` steps from the top; strokes do not stretch. Labels are HTML at percentages, so that
text keeps its size on any screen. Every text that comes from a table is escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from itertools import pairwise

import numpy as np
from markupsafe import escape

from btq_assets.plots import PALETTE
from btq_assets.reports import formatting
from btq_assets.reports.view import Band, CellChart, Line, LineChart, Unit

#: Steps of the y axis: finer than any screen, coarse enough for short numbers.
PLOT_HEIGHT = 5_000

_INK = "#1d1d1f"
_FAINT = "#c9c6bf"
_HEADROOM = 0.04


def line_chart(chart: LineChart) -> str:
    """Return the markup of a line chart: plot, axes, legend.

    Raises
    ------
    ValueError
        A line is not as long as the dates, or fewer than two dates are given.
    """
    if len(chart.x) < 2:
        raise ValueError(f"chart {chart.key!r} has {len(chart.x)} dates; a line needs two")
    days = np.array([(day - chart.x[0]).days for day in chart.x])
    bottom, top = bounds(chart)
    body, keys = [_shade(chart, band) for band in chart.bands], []
    shades = colours(chart.lines)
    # Faint lines first, so that the coloured ones lie on top.
    order = sorted(range(len(chart.lines)), key=lambda i: chart.lines[i].emphasis)
    for index in order:
        line = chart.lines[index]
        if len(line.values) != len(days):
            raise ValueError(
                f"line {line.label!r} of chart {chart.key!r} has {len(line.values)} values "
                f"for {len(days)} dates"
            )
        heights = steps(line.values, bottom, top, log=chart.log)
        if chart.filled and line.emphasis:
            body.append(_area(days, heights, _zero(bottom, top), shades[index]))
        dash = ' stroke-dasharray="5 4"' if line.dashed else ""
        width = 1.7 if line.ink else 1.4 if line.emphasis else 1.0
        body.append(
            f'<path class="line" data-line="{index}" data-label="{escape(line.label)}" '
            f'd="{path(days, heights)}" stroke="{shades[index]}" stroke-width="{width}"{dash}/>'
        )
    for label, (dates, values) in chart.points.items():
        at = np.array([(day - chart.x[0]).days for day in dates])
        heights = steps(np.asarray(values, dtype=float), bottom, top, log=chart.log)
        # A stroke of no length with round ends is a dot that does not stretch with the box.
        marks = "".join(f"M{d} {s:.0f}h0" for d, s in zip(at, heights, strict=True) if s == s)
        body.append(f'<path class="dots" data-label="{escape(label)}" d="{marks}"/>')
    for index, line in enumerate(chart.lines):
        keys.append(key(index, line, shades[index]))
    keys.extend(
        f'<span class="key fixed"><i class="dot"></i>{escape(label)}</span>'
        for label in chart.points
    )
    keys.extend(
        f'<span class="key fixed"><i class="shade" style="background:{band.colour}"></i>'
        f"{escape(band.label)}</span>"
        for band in chart.bands
    )
    scale = "log" if chart.log else "linear"
    return (
        f'<div class="chart" id="chart-{escape(chart.key)}" data-start="{chart.x[0]}" '
        f'data-days="{days[-1]}" data-bottom="{bottom:.10g}" data-top="{top:.10g}" '
        f'data-scale="{scale}" data-unit="{chart.unit}" data-height="{PLOT_HEIGHT}">'
        f'<div class="plot"><div class="grid">{_grid(chart, days, bottom, top)}</div>'
        f'<svg viewBox="0 0 {days[-1]} {PLOT_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(chart.title)}">{"".join(body)}</svg>'
        '<div class="cursor" hidden></div><div class="brush" hidden></div>'
        '<div class="tip" hidden></div></div>'
        f'<div class="keys">{"".join(keys)}<button class="reset" type="button" hidden>'
        "whole span</button></div></div>"
    )


def cell_chart(chart: CellChart) -> str:
    """Return the markup of a matrix: a table of tinted cells, or a strip of SVG where it is wide.

    Raises
    ------
    ValueError
        The matrix does not match its labels.
    """
    if chart.values.shape != (len(chart.rows), len(chart.columns)):
        raise ValueError(
            f"chart {chart.key!r} has values {chart.values.shape} for "
            f"{len(chart.rows)} rows and {len(chart.columns)} columns"
        )
    return _written_cells(chart) if chart.written else _strip(chart)


def colour_of(share: float) -> str:
    """Background of a cell: blue for 1, orange for -1, white for 0; ``share`` in [-1, 1]."""
    share = max(-1.0, min(1.0, share))
    target = (0, 114, 178) if share >= 0 else (213, 94, 0)
    # The root lifts small values off the white; 0.85 keeps dark text readable at the far end.
    strength = 0.85 * math.sqrt(abs(share)) if share else 0.0
    red, green, blue = (round(255 + (part - 255) * strength) for part in target)
    return f"#{red:02x}{green:02x}{blue:02x}"


def _wants_white_text(colour: str) -> bool:
    """Whether white contrasts more than ink (relative luminance as in WCAG 2)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return luminance < 0.19


def _written_cells(chart: CellChart) -> str:
    finite = np.abs(chart.values[np.isfinite(chart.values)])
    top = float(np.quantile(finite, 0.98)) if finite.size else 1.0
    head = "".join(f"<th>{escape(name)}</th>" for name in chart.columns)
    names = max(len(name) for name in chart.rows) + 1 if chart.rows else 1
    rows = []
    for row, (name, values) in enumerate(zip(chart.rows, chart.values, strict=True)):
        cells: list[str] = []
        for value in values:
            if not np.isfinite(value):
                blank = chart.blanks[row][len(cells)] if chart.blanks else ""
                cells.append(f'<td class="none">{escape(blank)}</td>')
                continue
            share = float(value) / (top or 1.0)
            scale = 100 if chart.unit == "percent" else 1
            colour, text = colour_of(share), formatting.number(scale * float(value), chart.digits)
            light = ' class="light"' if _wants_white_text(colour) else ""
            cells.append(f'<td{light} style="background:{colour}">{text}</td>')
        rows.append(f"<tr><th>{escape(name)}</th>{''.join(cells)}</tr>")
    return (
        f'<div class="scroll"><table class="cells" style="--names:{names}ch;--columns:'
        f'{len(chart.columns)}"><thead><tr><th></th>'
        f"{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _strip(chart: CellChart) -> str:
    n_rows, n_columns = chart.values.shape
    finite = chart.values[np.isfinite(chart.values)]
    top = float(np.quantile(np.abs(finite), 0.99)) if finite.size else 1.0
    top = top or 1.0
    rectangles: list[str] = []
    for row, values in enumerate(chart.values):
        # Sixteen shades, and one rectangle for each run of equal ones, keep the markup small.
        shades = np.where(np.isfinite(values), np.round(16 * values / top), 0.0)
        edges = [0, *(np.flatnonzero(np.diff(shades)) + 1).tolist(), n_columns]
        rectangles.extend(
            f'<rect x="{start}" y="{row}" width="{stop - start}" height="1" '
            f'fill="{colour_of(shades[start] / 16)}"/>'
            for start, stop in pairwise(edges)
            if shades[start]
        )
    room = max((len(name) for name in chart.rows), default=1)
    labels = "".join(
        f'<span style="top:{100 * (row + 0.5) / n_rows:.2f}%">{escape(name)}</span>'
        for row, name in enumerate(chart.rows)
    )
    return (
        f'<div class="strip" id="chart-{escape(chart.key)}" style="--rows:{n_rows};--names:{room}ch" '
        f'data-names="{escape("|".join(chart.rows))}" data-columns="{escape("|".join(chart.columns))}" '
        f'data-values="{_read_by_the_script(chart)}">'
        f'<div class="names">{labels}</div><div class="field"><svg viewBox="0 0 {n_columns} '
        f'{n_rows}" preserveAspectRatio="none" role="img" aria-label="{escape(chart.title)}">'
        f'{"".join(rectangles)}</svg><div class="ticks">{_column_ticks(chart.columns)}</div>'
        '<div class="tip" hidden></div></div>'
        f'<div class="scale"><i style="background:linear-gradient(to right,{_ramp(chart)})"></i>'
        f"<span>{'−' if chart.diverging else ''}{formatting.percent(top if chart.diverging else 0.0, 0)}"
        f"</span><span>{formatting.percent(top, 0)}</span></div></div>"
    )


def _read_by_the_script(chart: CellChart) -> str:
    """Per cent with one decimal, cells of a row by comma, rows by semicolon; nothing where missing."""
    return ";".join(
        ",".join(f"{100 * value:.1f}" if math.isfinite(value) else "" for value in row)
        for row in chart.values.tolist()
    )


def _ramp(chart: CellChart) -> str:
    shares = np.linspace(-1.0 if chart.diverging else 0.0, 1.0, 9)
    return ",".join(colour_of(float(share)) for share in shares)


def _column_ticks(columns: Sequence[str]) -> str:
    """Year labels where the year of the column label (``YYYY…``) changes, at most about nine."""
    starts = [
        (place, name[:4])
        for place, name in enumerate(columns)
        if place == 0 or name[:4] != columns[place - 1][:4]
    ]
    every = max(1, math.ceil(len(starts) / 9))
    return "".join(
        f'<span style="left:{100 * place / len(columns):.2f}%">{escape(year)}</span>'
        for place, year in starts[1::every]
    )


def colours(lines: Sequence[Line]) -> list[str]:
    """Colour of each line: the palette in turn, ink, or faint."""
    palette = iter(PALETTE * (len(lines) // len(PALETTE) + 1))
    return [
        _INK if line.ink else next(palette) if line.emphasis else _FAINT for line in lines
    ]  # fmt: skip


def bounds(chart: LineChart) -> tuple[float, float]:
    """Ends of the y axis, in log10 when the axis is logarithmic."""
    parts = [np.asarray(line.values, dtype=float) for line in chart.lines]
    parts += [np.asarray(values, dtype=float) for _, values in chart.points.values()]
    values = np.concatenate(parts) if parts else np.empty(0)
    values = values[np.isfinite(values) & ((values > 0) | (not chart.log))]
    if not values.size:
        return 0.0, 1.0
    if chart.log:
        values = np.log10(values)
    low, high = float(values.min()), float(values.max())
    margin = _HEADROOM * (high - low or abs(high) or 1.0)
    low, high = low - margin, high + margin
    if chart.filled or chart.zero:
        low, high = min(low, 0.0), max(high, 0.0) if values.max() > 0 else 0.0
    return low, high


def steps(values: np.ndarray, bottom: float, top: float, *, log: bool) -> np.ndarray:
    """Steps from the top of the plot; NaN where a value is missing."""
    if log:
        with np.errstate(invalid="ignore", divide="ignore"):
            values = np.where(values > 0, np.log10(values), np.nan)
    return np.round((top - values) / (top - bottom) * PLOT_HEIGHT)


def _zero(bottom: float, top: float) -> int:
    return round(top / (top - bottom) * PLOT_HEIGHT)


def _shade(chart: LineChart, band: Band) -> str:
    """One path of full-height rectangles, as far beyond the axis as zooming may reach."""
    first, last = chart.x[0], chart.x[-1]
    drawn = "".join(
        f"M{(max(start, first) - first).days} {-PLOT_HEIGHT}"
        f"V{2 * PLOT_HEIGHT}H{(min(stop, last) - first).days}V{-PLOT_HEIGHT}z"
        for start, stop in band.spans
        if start < last and stop > first
    )
    return (
        f'<path class="shade" data-label="{escape(band.label)}" d="{drawn}" fill="{band.colour}"/>'
    )


def path(days: np.ndarray, steps: np.ndarray) -> str:
    """Relative path: a move where a run of values begins, small differences within it."""
    parts, before = [], None
    for day, step in zip(days.tolist(), steps.tolist(), strict=True):
        if not math.isfinite(step):
            before = None
        elif before is None:
            parts.append(f"M{day} {step:.0f}l")
            before = (day, step)
        else:
            parts.append(f"{day - before[0]} {step - before[1]:.0f} ")
            before = (day, step)
    return "".join(parts).replace("lM", "h0M").removesuffix("l").rstrip()


def _area(days: np.ndarray, steps: np.ndarray, zero: int, colour: str) -> str:
    kept = np.isfinite(steps)
    if not kept.any():
        return ""
    days, steps = days[kept], steps[kept]
    around = " ".join(f"{d} {s:.0f}" for d, s in zip(days, steps, strict=True))
    return f'<path class="area" d="M{days[0]} {zero}L{around} {days[-1]} {zero}z" fill="{colour}"/>'


def key(index: int, line: Line, colour: str) -> str:
    """Entry of the legend: a button that hides the line."""
    style = "dashed" if line.dashed else "solid"
    faint = "" if line.emphasis else " faint"
    return (
        f'<button type="button" class="key{faint}" data-line="{index}" aria-pressed="true">'
        f'<i style="border-top:2px {style} {colour}"></i>{escape(line.label)}</button>'
    )


def _grid(chart: LineChart, days: np.ndarray, bottom: float, top: float) -> str:
    ticks = _year_ticks(chart.x[0], chart.x[-1])
    down = "".join(
        f'<i class="gx{" odd" if number % 2 else ""}" '
        f'style="left:{100 * (tick - chart.x[0]).days / days[-1]:.2f}%"><b>{tick.year}</b></i>'
        for number, tick in enumerate(ticks)
    )
    return value_grid(chart, bottom, top) + down


def value_grid(chart: LineChart, bottom: float, top: float) -> str:
    """Lines of the y axis with their values."""
    return "".join(
        f'<i class="gy{" zero" if value == 0 and not chart.log else ""}" '
        f'style="top:{100 * (top - at) / (top - bottom):.2f}%"><b>{escape(text)}</b></i>'
        for value, at, text in _value_ticks(bottom, top, log=chart.log, unit=chart.unit)
    )


def _value_ticks(
    bottom: float, top: float, *, log: bool, unit: Unit
) -> list[tuple[float, float, str]]:
    """(value, position, text) of the y ticks."""
    if log:
        values = _log_ticks(bottom, top)
        return [(value, math.log10(value), _tick_text(value, unit, value)) for value in values]
    step = _nice_step((top - bottom) / 5)
    first = math.ceil(bottom / step - 1e-9)
    last = math.floor(top / step + 1e-9)
    return [(n * step, n * step, _tick_text(n * step, unit, step)) for n in range(first, last + 1)]


def _log_ticks(bottom: float, top: float) -> list[float]:
    """Round values between 10**bottom and 10**top: the coarsest set that has at least four."""
    inside: list[float] = []
    for mantissas in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0),
                      (1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0)):  # fmt: skip
        inside = [
            mantissa * 10.0**power
            for power in range(math.floor(bottom), math.ceil(top) + 1)
            for mantissa in mantissas
            if bottom <= power + math.log10(mantissa) <= top
        ]
        if len(inside) >= 4:
            break
    return inside


def _nice_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * (1 - 1e-9))


def _tick_text(value: float, unit: Unit, step: float) -> str:
    if unit == "growth":
        return f"{value:g}×"
    scaled = 100 * step if unit == "percent" else step
    digits = max(0, -math.floor(math.log10(abs(scaled)) + 1e-9)) if scaled else 0
    digits += int(round(scaled * 10**digits, 6) % 1 != 0)
    if unit == "percent":
        return formatting.percent(value, digits)
    return formatting.number(value, digits)


def _year_ticks(first: date, last: date) -> list[date]:
    years = list(range(first.year + 1, last.year + 1))
    every = max(1, math.ceil(len(years) / 10))
    return [date(year, 1, 1) for year in years[::every]]
