"""Bars, one a label: with intervals, or stacked of parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from btq_assets.plots.canvas import (
    INK,
    MUTED,
    PALETTE,
    RULE,
    canvas,
    floats,
    legend,
    look,
    nothing,
    png,
)


def bars(
    labels: Sequence[str],
    values: Sequence[float | None] | np.ndarray | pl.Series,
    title: str,
    ylabel: str = "",
    *,
    low: Sequence[float | None] | np.ndarray | pl.Series | None = None,
    high: Sequence[float | None] | np.ndarray | pl.Series | None = None,
) -> bytes:
    """Draw one bar per label, with intervals where given.

    More than eight labels, or long ones, are drawn as horizontal bars so that they stay readable.

    Parameters
    ----------
    labels, values
        ``n`` names and ``n`` values; a missing value leaves an empty place marked "n/a".
    title, ylabel
        Texts; the y label carries the unit.
    low, high
        Ends of an interval for each bar, where known.

    Returns
    -------
    bytes
        PNG image.

    Raises
    ------
    ValueError
        Lengths differ.
    """
    names, heights = [str(label) for label in labels], floats(values)
    if len(names) != heights.size:
        raise ValueError(f"{len(names)} labels for {heights.size} values")
    horizontal = len(names) > 8 or max((len(name) for name in names), default=0) > 14
    size = (9.2, max(2.6, 0.9 + 0.3 * len(names))) if horizontal else (9.2, 4.1)
    figure, axes = canvas(title, ylabel if horizontal else "", "" if horizontal else ylabel, size)
    if not np.isfinite(heights).any():
        return nothing(figure, axes)
    places = np.arange(heights.size)
    colours = [PALETTE[0] if height >= 0 else PALETTE[1] for height in heights]
    draw = axes.barh if horizontal else axes.bar
    draw(places, np.nan_to_num(heights), 0.68, color=colours)
    spread = _interval(heights, low, high)
    if spread is not None:
        error = axes.errorbar
        style: dict[str, Any] = {"fmt": "none", "ecolor": INK, "elinewidth": 1.0, "capsize": 2.5}
        if horizontal:
            error(heights, places, xerr=spread, **style)
        else:
            error(places, heights, yerr=spread, **style)
    for place in places[~np.isfinite(heights)]:
        at = (0.0, place) if horizontal else (place, 0.0)
        axes.annotate("n/a", at, color=MUTED, ha="center", va="bottom", fontsize=8)
    if horizontal:
        axes.set_yticks(places, names)
        axes.invert_yaxis()
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.grid(axis="y", visible=False)
        axes.grid(axis="x", color=RULE, linewidth=0.6)
    else:
        axes.set_xticks(places, names)
        axes.axhline(0, color=INK, linewidth=0.8)
    return png(figure)


def stacked_bars(
    labels: Sequence[str],
    parts: Mapping[str, Sequence[float | None] | np.ndarray | pl.Series],
    title: str,
    xlabel: str = "",
) -> bytes:
    """Draw one horizontal bar per label, made of parts: gains to the left of zero, costs right.

    Parameters
    ----------
    labels
        ``n`` names.
    parts
        Part → ``n`` values; missing ones are left out, and a part without any is not drawn.
    title, xlabel
        Texts; the x label carries the unit.

    Returns
    -------
    bytes
        PNG image.

    Raises
    ------
    ValueError
        Lengths differ.
    """
    names = [str(label) for label in labels]
    size = (9.2, max(2.6, 1.1 + 0.3 * len(names)))
    figure, axes = canvas(title, xlabel, "", size)
    ends = {1.0: np.zeros(len(names)), -1.0: np.zeros(len(names))}
    drawn: list[str] = []
    for label, values in parts.items():
        widths = floats(values)
        if widths.size != len(names):
            raise ValueError(f"part {label!r} has {widths.size} values for {len(names)} labels")
        if not np.isfinite(widths).any():
            continue
        colour = look(len(drawn))[0]
        for sign, end in ends.items():
            piece = np.clip(sign * np.nan_to_num(widths), 0.0, None) * sign
            axes.barh(names, piece, 0.68, left=end, color=colour, label=label if sign > 0 else None)
            end += piece
        drawn.append(label)
    if not drawn:
        return nothing(figure, axes)
    axes.invert_yaxis()
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=RULE, linewidth=0.6)
    legend(axes, drawn)
    return png(figure)


def _interval(heights: np.ndarray, low: Any, high: Any) -> np.ndarray | None:
    if low is None or high is None:
        return None
    spread = np.vstack([heights - floats(low), floats(high) - heights])
    return np.clip(np.nan_to_num(spread), 0.0, None)
