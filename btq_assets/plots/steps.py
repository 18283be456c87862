"""A sum step by step, and who leads to whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from btq_assets.plots.canvas import INK, MUTED, PALETTE, RULE, canvas, floats, nothing, png


def waterfall(
    labels: Sequence[str], values: Any, title: str, xlabel: str = "", *, total: str = "total"
) -> bytes:
    """Draw each part of a sum from where the one before it ended, and the sum below them.

    Parameters
    ----------
    labels, values
        ``n`` parts; a missing value counts as 0.
    title, xlabel
        Texts; the x label carries the unit.
    total
        What the sum is called.

    Returns
    -------
    bytes
        PNG image.

    Raises
    ------
    ValueError
        Lengths differ.
    """
    names, widths = [str(label) for label in labels], floats(values)
    if len(names) != widths.size:
        raise ValueError(f"{len(names)} labels for {widths.size} values")
    figure, axes = canvas(title, xlabel, "", (9.2, max(2.6, 1.2 + 0.3 * len(names))))
    if not np.isfinite(widths).any():
        return nothing(figure, axes)
    widths = np.nan_to_num(widths)
    ends = np.cumsum(widths)
    places = np.arange(widths.size + 1)
    colours = [PALETTE[0] if width >= 0 else PALETTE[1] for width in widths]
    axes.barh(places[:-1], widths, 0.68, left=ends - widths, color=colours)
    axes.barh(places[-1:], ends[-1:], 0.68, color=INK)
    for place, end in enumerate(ends[:-1]):
        axes.plot([end, end], [place - 0.34, place + 1.34], color=MUTED, linewidth=0.6)
    axes.set_yticks(places, [*names, total])
    axes.invert_yaxis()
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=RULE, linewidth=0.6)
    return png(figure)


def network(edges: Sequence[tuple[str, str, float | None]], title: str) -> bytes:
    """Draw nodes on a circle and an arrow per edge, wider the more it is worth.

    Parameters
    ----------
    edges
        ``(source, target, value)``, values at least 0; one without a value is left out.
    title
        Text.

    Returns
    -------
    bytes
        PNG image.
    """
    figure, axes = canvas(title, "", "", (7.2, 7.2))
    axes.grid(visible=False)
    worth = floats([value for *_, value in edges])
    known = [
        (source, target, float(value))
        for (source, target, _), value in zip(edges, worth, strict=True)
        if np.isfinite(value)
    ]
    largest = max((value for *_, value in known), default=0.0)
    if not largest > 0:
        return nothing(figure, axes)
    nodes = sorted({name for source, target, _ in known for name in (source, target)})
    angles = np.pi / 2 - 2 * np.pi * np.arange(len(nodes)) / len(nodes)
    at = {node: (float(np.cos(a)), float(np.sin(a))) for node, a in zip(nodes, angles, strict=True)}
    # Weak edges first, so that strong ones lie on top.
    for source, target, value in sorted(known, key=lambda edge: edge[2]):
        share = value / largest
        axes.annotate(
            "",
            xy=at[target],
            xytext=at[source],
            arrowprops={
                "arrowstyle": "-|>",
                "color": PALETTE[0],
                "alpha": 0.15 + 0.85 * share,
                "linewidth": 0.4 + 2.6 * share,
                "shrinkA": 8,
                "shrinkB": 8,
                "connectionstyle": "arc3,rad=0.12",
            },
        )
    for node, (x, y) in at.items():
        axes.plot(x, y, "o", color=PALETTE[1], markersize=6)
        axes.text(1.1 * x, 1.1 * y, node, ha="center", va="center", fontsize=8, color=INK)
    axes.set_xlim(-1.3, 1.3)
    axes.set_ylim(-1.3, 1.3)
    axes.set_aspect("equal")
    axes.set_axis_off()
    return png(figure)
