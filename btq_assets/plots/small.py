"""Small multiples: many plots the size of a thumb, as short texts and as one SVG sheet.

Belongs here: how a curve becomes a text of one character a point and back, and how such texts are
drawn side by side. Does not belong here: which numbers are drawn, and any statistic of them.

A curve is a text: character `n` is the level of point `n` above the lower end of the axis, from
``#`` (the lower end) to ``}`` (the upper end) in `LEVELS` equal steps; a blank is a missing point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

import numpy as np

from btq_assets.plots.canvas import INK, MUTED, PALETTE, RULE

#: Characters of the levels, lowest first: printable, and free of what HTML or JSON would escape.
ALPHABET = "".join(chr(c) for c in range(ord("#"), ord("}") + 1) if chr(c) not in "&'<>\\`")
#: Steps between the lower and the upper end of an axis.
LEVELS = len(ALPHABET) - 1
MISSING = " "

_PLACE = {character: place for place, character in enumerate(ALPHABET)}


@dataclass(frozen=True)
class SmallPlot:
    """One cell of a sheet.

    Parameters
    ----------
    title
        Name above the plot.
    note
        Small print below it (axis ends and span), or why there is no plot.
    middle, lower, upper
        Curves as texts of equal length; lower and upper may be empty.
    counts
        Heights of the histogram's bars as a text; empty for no plot.
    """

    title: str
    note: str
    middle: str = ""
    lower: str = ""
    upper: str = ""
    counts: str = ""


def encoded(values: np.ndarray, low: float, high: float) -> str:
    """Text of a curve; values beyond the ends of the axis lie on them.

    Parameters
    ----------
    values
        Shape ``(n,)``; NaN is a missing point.
    low, high
        Ends of the axis, ``low < high``.
    """
    if not low < high:
        raise ValueError(f"axis from {low} to {high}: its upper end must lie above the lower one")
    finite = np.isfinite(values)
    share = (np.clip(np.where(finite, values, low), low, high) - low) / (high - low)
    steps = np.rint(share * LEVELS).astype(int)
    return "".join(
        ALPHABET[step] if known else MISSING for step, known in zip(steps, finite, strict=True)
    )


def decoded(text: str) -> np.ndarray:
    """Shares of the axis, 0 to 1, of a curve's points; NaN where missing.

    Raises
    ------
    ValueError
        A character is none of `ALPHABET`.
    """
    try:
        return np.array([np.nan if c == MISSING else _PLACE[c] / LEVELS for c in text], dtype=float)
    except KeyError as error:
        raise ValueError(f"{error} is no level of a small plot") from None


# Geometry of a cell, in pixels.
_CELL, _ROW = (176, 74)
_SERIES, _HISTOGRAM, _GAP, _HEIGHT = 122, 34, 8, 38
_TOP = 15
_MARGIN = 8
#: Characters of a title and of a note that fit a cell.
_TITLE, _NOTE = 33, 37

_STYLE = (
    f"text{{font-family:system-ui,'DejaVu Sans',sans-serif}}.t{{font-size:9px;fill:{INK}}}"
    f".n{{font-size:7.5px;fill:{MUTED}}}.b{{fill:{PALETTE[4]};fill-opacity:.4}}"
    f".m{{fill:none;stroke:{PALETTE[0]};stroke-width:1;stroke-linejoin:round;vector-effect:non-scaling-stroke}}"
    f".h{{fill:{PALETTE[0]};fill-opacity:.75}}.z{{fill:none;stroke:{RULE}}}"
)


def sheet(plots: Sequence[SmallPlot], heading: str, *, columns: int = 5) -> str:
    """One SVG image of many small plots, row by row.

    Parameters
    ----------
    plots
        Cells in reading order.
    heading
        What the sheet shows; for readers of the image's text.
    columns
        Cells in a row.

    Returns
    -------
    str
        SVG document on white ground; equal input gives an equal text.
    """
    rows = max(1, -(-len(plots) // columns))
    width = columns * _CELL + 2 * _MARGIN
    height = rows * _ROW + 2 * _MARGIN
    cells = "\n".join(
        f'<g transform="translate({_MARGIN + n % columns * _CELL} {_MARGIN + n // columns * _ROW})">'
        f"{_cell(plot)}</g>"
        for n, plot in enumerate(plots)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img"><title>{escape(heading)}</title><style>{_STYLE}</style>'
        f'<rect width="{width}" height="{height}" fill="#fff"/>\n{cells}\n</svg>\n'
    )


def _cell(plot: SmallPlot) -> str:
    title = f'<text class="t" y="10">{escape(_short(plot.title, _TITLE))}</text>'
    note_at = _TOP + _HEIGHT + 9 if plot.counts else _TOP + 12
    note = f'<text class="n" y="{note_at}">{escape(_short(plot.note, _NOTE))}</text>'
    if not plot.counts:
        return title + note
    return (
        f'{title}<path class="z" d="M0 {_TOP + _HEIGHT}.5h{_SERIES}m{_GAP} 0h{_HISTOGRAM}"/>'
        f"{_band(plot)}{_curve(plot.middle)}{_bars(plot.counts)}{note}"
    )


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _points(text: str) -> list[list[tuple[int, int]]]:
    """Runs of neighbouring points: place in the curve, pixels down."""
    runs: list[list[tuple[int, int]]] = [[]]
    for place, share in enumerate(decoded(text)):
        if np.isfinite(share):
            runs[-1].append((place, _TOP + round(_HEIGHT * (1 - share))))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _line(points: Sequence[tuple[int, int]]) -> str:
    """Points one after another, each relative to the one before: one step across takes few letters."""
    found = [
        f"{x - old_x}{y - old_y}" if y < old_y else f"{x - old_x} {y - old_y}"
        for (old_x, old_y), (x, y) in pairwise(points)
    ]
    return "l" + " ".join(found) if found else "h1"


def _stretched(kind: str, drawn: str, n_points: int) -> str:
    """A path whose unit across is a point of the curve."""
    scale = f"{_SERIES / max(1, n_points - 1):.4g}"
    return f'<path class="{kind}" transform="scale({scale} 1)" d="{drawn}"/>'


def _curve(text: str) -> str:
    drawn = "".join(f"M{run[0][0]} {run[0][1]}{_line(run)}" for run in _points(text))
    return _stretched("m", drawn, len(text))


def _band(plot: SmallPlot) -> str:
    if not plot.lower:
        return ""
    drawn = ""
    for below, above in zip(_points(plot.lower), _points(plot.upper), strict=True):
        around = [*above, *reversed(below)]
        drawn += f"M{around[0][0]} {around[0][1]}{_line(around)}z"
    return _stretched("b", drawn, len(plot.lower))


def _bars(text: str) -> str:
    """The histogram's outline: level, over, level, over."""
    width = f"{_HISTOGRAM / len(text):.3g}"
    drawn, before = f"M{_SERIES + _GAP} {_TOP + _HEIGHT}", 0
    for share in decoded(text):
        height = round(float(share) * _HEIGHT)
        drawn += f"v{before - height}h{width}" if height != before else f"h{width}"
        before = height
    return f'<path class="h" d="{drawn}v{before}z"/>'
