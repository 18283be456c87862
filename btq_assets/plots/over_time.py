"""Lines over time or any other ascending axis, and how long ones are thinned."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from btq_assets.plots.canvas import (
    canvas,
    floats,
    legend,
    look,
    nothing,
    plain_log_axis,
    png,
    positions,
)

#: Points a line keeps; more cannot be told apart at the width of the image.
MAX_POINTS = 2_000


def lines(
    x: Sequence[Any] | np.ndarray | pl.Series,
    series: Mapping[str, Sequence[float | None] | np.ndarray | pl.Series],
    title: str,
    ylabel: str = "",
    *,
    xlabel: str = "",
    log: bool = False,
    fill: bool = False,
    max_points: int = MAX_POINTS,
) -> bytes:
    """Draw one line per series over a shared x axis.

    Parameters
    ----------
    x
        Numbers, dates or UTC timestamps, ascending, length ``n``.
    series
        Label → ``n`` values; missing values leave gaps.
    title, ylabel, xlabel
        Texts; the y label carries the unit.
    log
        Whether the y axis is logarithmic; values that are not positive leave gaps.
    fill
        Whether the area between the line and zero is tinted (drawdowns).
    max_points
        Longer series are thinned to this many points by `downsample`, which keeps extremes.

    Returns
    -------
    bytes
        PNG image, about 1,000 by 450 pixels.

    Raises
    ------
    ValueError
        A series is not as long as `x`.
    """
    stamps = positions(x)
    figure, axes = canvas(title, xlabel, ylabel)
    drawn = 0
    for number, (label, values) in enumerate(series.items()):
        y = floats(values)
        if y.size != stamps.size:
            raise ValueError(f"series {label!r} has {y.size} values for {stamps.size} positions")
        if log:
            y = np.where(y > 0, y, np.nan)
        kept = downsample(y, max_points)
        colour, style = look(number)
        axes.plot(stamps[kept], y[kept], color=colour, linestyle=style, linewidth=1.3, label=label)
        if fill:
            axes.fill_between(stamps[kept], y[kept], 0.0, color=colour, alpha=0.12, linewidth=0)
        drawn += int(np.isfinite(y).sum())
    if not drawn:
        return nothing(figure, axes)
    if log:
        plain_log_axis(axes)
    axes.margins(x=0.01)
    legend(axes, list(series))
    return png(figure)


def downsample(values: np.ndarray, max_points: int) -> np.ndarray:
    """Positions of at most `max_points` values that keep the first, the last and all extremes.

    The series is cut into equal buckets, and of each the smallest and the largest finite value
    stay; so a one-day crash is never thinned away. A bucket without finite values keeps one
    position, so that gaps stay visible.

    Parameters
    ----------
    values
        Shape ``(n,)``, float.
    max_points
        At least 4.

    Returns
    -------
    numpy.ndarray
        Ascending positions, int64; all of them when ``n <= max_points``.
    """
    n = values.size
    if max_points < 4:
        raise ValueError(f"max_points = {max_points}: a line needs at least 4")
    if n <= max_points:
        return np.arange(n)
    edges = np.linspace(0, n, (max_points - 2) // 2 + 1).astype(int)
    kept = {0, n - 1}
    for start, stop in itertools.pairwise(edges):
        finite = np.flatnonzero(np.isfinite(values[start:stop]))
        if finite.size:
            bucket = values[start:stop][finite]
            kept.update((start + finite[bucket.argmin()], start + finite[bucket.argmax()]))
        else:
            kept.add(start)
    return np.array(sorted(int(place) for place in kept))
