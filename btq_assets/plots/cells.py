"""Matrices as coloured cells, monthly returns among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from btq_assets.plots.canvas import INK, canvas, floats, nothing, png

#: Cells of a heat map above which values are not written into the cells.
MAX_ANNOTATED_CELLS = 260

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def heatmap(
    matrix: Sequence[Sequence[float | None]] | np.ndarray,
    xlabels: Sequence[str],
    ylabels: Sequence[str],
    title: str,
    *,
    diverging: bool | None = None,
    value_format: str = "{:.2f}",
) -> bytes:
    """Draw a matrix as coloured cells, values written in when there are few.

    Parameters
    ----------
    matrix
        Shape ``(len(ylabels), len(xlabels))``; missing cells stay white.
    xlabels, ylabels
        Names of columns and rows.
    title
        Text above the cells.
    diverging
        Whether colours diverge from zero; by default they do when both signs occur.
    value_format
        Format of the numbers written into the cells.

    Returns
    -------
    bytes
        PNG image.

    Raises
    ------
    ValueError
        The matrix does not have that shape.
    """
    cells = np.array(matrix, dtype=float)
    cells = cells if cells.ndim == 2 else cells.reshape(len(ylabels), len(xlabels))
    if cells.shape != (len(ylabels), len(xlabels)):
        raise ValueError(
            f"matrix is {cells.shape}, labels say {(len(ylabels), len(xlabels))} (rows, columns)"
        )
    height = float(np.clip(1.2 + 0.26 * cells.shape[0], 2.8, 14.0))
    width = float(np.clip(2.4 + 0.55 * cells.shape[1], 5.5, 11.0))
    figure, axes = canvas(title, "", "", (width, height))
    finite = cells[np.isfinite(cells)]
    if not finite.size:
        return nothing(figure, axes)
    if diverging is None:
        diverging = bool((finite < 0).any() and (finite > 0).any())
    # The colour scale ends at the 99th percentile, so that one outlier does not bleach the rest.
    top = float(np.quantile(np.abs(finite), 0.99)) or 1.0
    low = -top if diverging else float(finite.min())
    high = top if diverging else float(max(finite.max(), low + 1e-12))
    image = axes.imshow(
        np.ma.masked_invalid(cells),
        aspect="auto",
        cmap="RdBu" if diverging else "Blues",
        vmin=low,
        vmax=high,
        interpolation="nearest",
    )
    axes.set_xticks(range(len(xlabels)), [str(label) for label in xlabels])
    axes.set_yticks(range(len(ylabels)), [str(label) for label in ylabels])
    if max((len(str(label)) for label in xlabels), default=0) > 5:
        axes.tick_params(axis="x", labelrotation=60)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if cells.size <= MAX_ANNOTATED_CELLS:
        for row, column in np.argwhere(np.isfinite(cells)):
            value = cells[row, column]
            share = abs(value) / top if diverging else (value - low) / (high - low)
            axes.text(
                column,
                row,
                value_format.format(value),
                ha="center",
                va="center",
                fontsize=7.5,
                color="white" if share > 0.62 else INK,
            )
    figure.colorbar(image, ax=axes, fraction=0.03, pad=0.02)
    return png(figure)


def monthly_heatmap(
    ts: Sequence[Any] | pl.Series,
    returns: Sequence[float | None] | np.ndarray | pl.Series,
    title: str,
) -> bytes:
    """Draw compounded monthly returns, in per cent, years down and months across.

    Parameters
    ----------
    ts
        Dates or UTC timestamps of the returns, length ``n``.
    returns
        Simple returns per period; missing ones are left out of the month.
    title
        Text above the cells.

    Returns
    -------
    bytes
        PNG image.
    """
    years, table = monthly_returns(ts, returns)
    return heatmap(
        100 * table,
        MONTHS,
        [str(year) for year in years],
        title,
        diverging=True,
        value_format="{:.1f}",
    )


def monthly_returns(
    ts: Sequence[Any] | pl.Series, returns: Sequence[float | None] | np.ndarray | pl.Series
) -> tuple[list[int], np.ndarray]:
    """Compound simple returns within calendar months (UTC).

    Returns
    -------
    list of int, numpy.ndarray
        Years, and a ``(years, 12)`` matrix of simple returns, NaN where a month has none.
    """
    frame = pl.DataFrame({"ts": ts, "value": floats(returns)}).filter(pl.col("value").is_finite())
    months = (
        frame.group_by(year=pl.col("ts").dt.year(), month=pl.col("ts").dt.month())
        .agg(value=(1 + pl.col("value")).product() - 1)
        .sort("year", "month")
    )
    if months.is_empty():
        return [], np.empty((0, 12))
    first, last = int(months["year"].min()), int(months["year"].max())  # type: ignore[arg-type]
    table = np.full((last - first + 1, 12), np.nan)
    for year, month, value in months.iter_rows():
        table[year - first, month - 1] = value
    return list(range(first, last + 1)), table
