"""Parallel coordinates: one line per set of values, across one axis per name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from btq_assets.plots.canvas import INK, MUTED, RULE, canvas, floats, nothing, plain_number, png


def parallel_coordinates(columns: Mapping[str, Sequence[float] | np.ndarray], title: str) -> bytes:
    """Draw one line per row across one vertical axis per column, coloured by the last column.

    Each axis goes from the least to the largest value of its column, in the logarithm where all
    values are positive and span more than a factor of 20.

    Parameters
    ----------
    columns
        Name → ``n`` values; the last one is what is judged. Rows with a value that is not finite are
        left out.
    title
        Text.

    Returns
    -------
    bytes
        PNG image.

    Raises
    ------
    ValueError
        Columns differ in length.
    """
    values = [floats(column) for column in columns.values()]
    if len({len(column) for column in values}) > 1:
        raise ValueError(f"columns {list(columns)} are of {[len(v) for v in values]} rows")
    figure, axes = canvas(title, "", "", size=(9.2, 4.4))
    kept = np.isfinite(np.stack(values)).all(axis=0) if values else np.zeros(0, dtype=bool)
    if not kept.any() or len(values) < 2:
        return nothing(figure, axes)
    places = np.stack([_scaled(column[kept]) for column in values])
    judged = places[-1]
    for row in np.argsort(judged):
        axes.plot(
            np.arange(len(values)),
            places[:, row],
            color=_shade(float(judged[row])),
            linewidth=1.4,
            alpha=0.9,
        )
    for at, column in enumerate(values):
        axes.axvline(at, color=RULE, linewidth=0.8, zorder=0)
        for place, value in ((0.0, column[kept].min()), (1.0, column[kept].max())):
            axes.annotate(
                plain_number(float(f"{value:.3g}")),
                (at, place),
                textcoords="offset points",
                xytext=(0, -11 if place == 0 else 5),
                ha="center",
                fontsize=8,
                color=MUTED,
            )
    axes.set_xticks(np.arange(len(values)), list(columns), fontsize=8.5, color=INK)
    axes.set_yticks([])
    axes.set_ylim(-0.14, 1.12)
    axes.grid(visible=False)
    return png(figure)


def _scaled(column: np.ndarray) -> np.ndarray:
    """Values between 0 and 1; 0.5 where all are the same."""
    if column.min() > 0 and column.max() / column.min() > 20:
        column = np.log(column)
    width = column.max() - column.min()
    return (column - column.min()) / width if width > 0 else np.full(len(column), 0.5)


def _shade(share: float) -> tuple[float, float, float]:
    """From pale grey (worst) to blue (best), in one hue, for eyes of any kind."""
    low, high = np.array([0.85, 0.87, 0.89]), np.array([0.0, 0.27, 0.55])
    red, green, blue = low + (high - low) * share
    return float(red), float(green), float(blue)
