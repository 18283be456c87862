"""How often values occur, and how two of them go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from btq_assets.plots.canvas import MUTED, PALETTE, canvas, floats, legend, look, nothing, png


def histogram(
    values: Sequence[float | None] | np.ndarray | pl.Series,
    title: str,
    xlabel: str = "",
    *,
    bins: int = 60,
    marks: Mapping[str, float] | None = None,
) -> bytes:
    """Draw how often values occur.

    Parameters
    ----------
    values
        Sample; missing values are left out and counted in the title.
    title, xlabel
        Texts; the x label carries the unit.
    bins
        Number of equally wide bins.
    marks
        Label → position of a vertical line (a quantile, a threshold).

    Returns
    -------
    bytes
        PNG image.
    """
    sample = floats(values)
    finite = sample[np.isfinite(sample)]
    missing = sample.size - finite.size
    figure, axes = canvas(title + (f" ({missing:,} missing)" if missing else ""), xlabel, "count")
    if not finite.size:
        return nothing(figure, axes)
    axes.hist(finite, bins=bins, color=PALETTE[0], alpha=0.85)
    for number, (label, position) in enumerate((marks or {}).items(), start=1):
        colour, style = look(number)
        axes.axvline(position, color=colour, linestyle=style, linewidth=1.4, label=label)
    legend(axes, list(marks or {}))
    return png(figure)


def scatter(
    x: Sequence[float | None] | np.ndarray | pl.Series,
    y: Sequence[float | None] | np.ndarray | pl.Series,
    title: str,
    xlabel: str = "",
    ylabel: str = "",
    *,
    labels: Sequence[str] | None = None,
) -> bytes:
    """Draw points; name them where `labels` are given.

    Parameters
    ----------
    x, y
        ``n`` coordinates; pairs with a missing one are left out.
    title, xlabel, ylabel
        Texts; axis labels carry units.
    labels
        ``n`` names written beside the points.

    Returns
    -------
    bytes
        PNG image.

    Raises
    ------
    ValueError
        Lengths differ.
    """
    across, up = floats(x), floats(y)
    if across.size != up.size or (labels is not None and len(labels) != up.size):
        raise ValueError(f"{across.size} x values, {up.size} y values, {len(labels or ())} labels")
    figure, axes = canvas(title, xlabel, ylabel)
    known = np.isfinite(across) & np.isfinite(up)
    if not known.any():
        return nothing(figure, axes)
    axes.scatter(across[known], up[known], s=22, color=PALETTE[0], alpha=0.75, linewidths=0)
    for place in np.flatnonzero(known).tolist() if labels is not None else ():
        axes.annotate(
            str(labels[place]),  # type: ignore[index]
            (across[place], up[place]),
            xytext=(4, 3),
            textcoords="offset points",
            fontsize=8,
            color=MUTED,
        )
    return png(figure)
