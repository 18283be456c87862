"""The look every image shares: palette, axes, legend, and how numbers become PNG bytes.

Belongs here: what all kinds of drawing need. Does not belong here: any one kind of drawing.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Okabe and Ito's (2008) colours, safe for the common kinds of colour blindness, darkest contrast
#: first; yellow is left out because thin lines of it vanish on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#3B3B3B")

STYLES = ("-", "--", ":", "-.")
INK, MUTED, RULE = "#222222", "#666666", "#DDDDDD"
DPI = 110


def floats(values: Any) -> np.ndarray:
    """Values as float64, shape ``(n,)``; missing ones NaN."""
    if isinstance(values, pl.Series):
        return values.cast(pl.Float64).to_numpy().astype(float)
    return np.array(values, dtype=float).ravel()


def positions(x: Any) -> np.ndarray:
    """Numbers or stamps of an axis, as numpy knows them."""
    stamps = x.to_numpy() if isinstance(x, pl.Series) else np.asarray(x)
    if stamps.dtype == object and stamps.size and hasattr(stamps[0], "year"):
        # Zone-aware stamps are UTC everywhere in the house; numpy knows only naive ones.
        stamps = np.array(
            [np.datetime64(stamp.replace(tzinfo=None)) if hasattr(stamp, "hour") else stamp
             for stamp in stamps],
            dtype="datetime64[us]",
        )  # fmt: skip
    return stamps


def look(number: int) -> tuple[str, str]:
    """Colour and dash of the n-th series: a second round through the palette is dashed."""
    return PALETTE[number % len(PALETTE)], STYLES[number // len(PALETTE) % len(STYLES)]


def canvas(
    title: str, xlabel: str, ylabel: str, size: tuple[float, float] = (9.2, 4.1)
) -> tuple[Figure, Axes]:
    """An empty figure in the look of the house."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=11.5, color=INK, fontweight="bold", pad=10)
    axes.set_xlabel(xlabel, fontsize=9, color=MUTED)
    axes.set_ylabel(ylabel, fontsize=9, color=MUTED)
    axes.tick_params(labelsize=8.5, colors=MUTED, length=0)
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    return figure, axes


def plain_log_axis(axes: Axes) -> None:
    """Make the y axis logarithmic, its numbers written out."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: plain_number(value)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="y", which="minor", length=0)


def plain_number(value: float) -> str:
    """``10,000,000`` rather than ``1e+07``: equity is read in currency."""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:g}"


def legend(axes: Axes, labels: list[str]) -> None:
    """Name the lines, beside the axes where there are many."""
    if len(labels) > 1 or (labels and labels[0]):
        axes.legend(
            fontsize=8,
            frameon=False,
            ncols=1 if len(labels) > 5 else len(labels),
            loc="center left" if len(labels) > 5 else "best",
            bbox_to_anchor=(1.0, 0.5) if len(labels) > 5 else None,
            labelcolor=INK,
        )


def nothing(figure: Figure, axes: Axes) -> bytes:
    """An honest empty picture: a plot must never be the reason a step fails."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, "no finite values", ha="center", color=MUTED, transform=axes.transAxes)
    return png(figure)


def png(figure: Figure) -> bytes:
    """The bytes of the image."""
    buffer = io.BytesIO()
    # Without the Software field the bytes depend on the numbers alone.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
