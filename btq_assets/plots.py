"""The one place that draws raster images: PNG bytes for metadata and documents.

Belongs here: line, bar, heat-map, histogram and scatter plots of numbers somebody else computed,
in one look and one colour-blind-safe palette. Does not belong here: any figure of merit, any
table access, any file. Matplotlib is imported inside the functions, its global state is never
touched, and equal input gives equal bytes.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Okabe and Ito's (2008) colours, safe for the common kinds of colour blindness, darkest contrast
#: first; yellow is left out because thin lines of it vanish on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#3B3B3B")

#: Points a line keeps; more cannot be told apart at the width of the image.
MAX_POINTS = 2_000

#: Cells of a heat map above which values are not written into the cells.
MAX_ANNOTATED_CELLS = 260

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_STYLES = ("-", "--", ":", "-.")
_INK, _MUTED, _RULE = "#222222", "#666666", "#DDDDDD"
_DPI = 110


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
    stamps = _positions(x)
    figure, axes = _canvas(title, xlabel, ylabel)
    drawn = 0
    for number, (label, values) in enumerate(series.items()):
        y = _floats(values)
        if y.size != stamps.size:
            raise ValueError(f"series {label!r} has {y.size} values for {stamps.size} positions")
        if log:
            y = np.where(y > 0, y, np.nan)
        kept = downsample(y, max_points)
        colour, style = _look(number)
        axes.plot(stamps[kept], y[kept], color=colour, linestyle=style, linewidth=1.3, label=label)
        if fill:
            axes.fill_between(stamps[kept], y[kept], 0.0, color=colour, alpha=0.12, linewidth=0)
        drawn += int(np.isfinite(y).sum())
    if not drawn:
        return _nothing(figure, axes)
    if log:
        _plain_log_axis(axes)
    axes.margins(x=0.01)
    _legend(axes, list(series))
    return _png(figure)


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
    names, heights = [str(label) for label in labels], _floats(values)
    if len(names) != heights.size:
        raise ValueError(f"{len(names)} labels for {heights.size} values")
    horizontal = len(names) > 8 or max((len(name) for name in names), default=0) > 14
    size = (9.2, max(2.6, 0.9 + 0.3 * len(names))) if horizontal else (9.2, 4.1)
    figure, axes = _canvas(title, ylabel if horizontal else "", "" if horizontal else ylabel, size)
    if not np.isfinite(heights).any():
        return _nothing(figure, axes)
    places = np.arange(heights.size)
    colours = [PALETTE[0] if height >= 0 else PALETTE[1] for height in heights]
    draw = axes.barh if horizontal else axes.bar
    draw(places, np.nan_to_num(heights), 0.68, color=colours)
    spread = _interval(heights, low, high)
    if spread is not None:
        error = axes.errorbar
        style: dict[str, Any] = {"fmt": "none", "ecolor": _INK, "elinewidth": 1.0, "capsize": 2.5}
        if horizontal:
            error(heights, places, xerr=spread, **style)
        else:
            error(places, heights, yerr=spread, **style)
    for place in places[~np.isfinite(heights)]:
        at = (0.0, place) if horizontal else (place, 0.0)
        axes.annotate("n/a", at, color=_MUTED, ha="center", va="bottom", fontsize=8)
    if horizontal:
        axes.set_yticks(places, names)
        axes.invert_yaxis()
        axes.axvline(0, color=_INK, linewidth=0.8)
        axes.grid(axis="y", visible=False)
        axes.grid(axis="x", color=_RULE, linewidth=0.6)
    else:
        axes.set_xticks(places, names)
        axes.axhline(0, color=_INK, linewidth=0.8)
    return _png(figure)


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
    figure, axes = _canvas(title, "", "", (width, height))
    finite = cells[np.isfinite(cells)]
    if not finite.size:
        return _nothing(figure, axes)
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
                color="white" if share > 0.62 else _INK,
            )
    figure.colorbar(image, ax=axes, fraction=0.03, pad=0.02)
    return _png(figure)


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
    sample = _floats(values)
    finite = sample[np.isfinite(sample)]
    missing = sample.size - finite.size
    figure, axes = _canvas(title + (f" ({missing:,} missing)" if missing else ""), xlabel, "count")
    if not finite.size:
        return _nothing(figure, axes)
    axes.hist(finite, bins=bins, color=PALETTE[0], alpha=0.85)
    for number, (label, position) in enumerate((marks or {}).items(), start=1):
        colour, style = _look(number)
        axes.axvline(position, color=colour, linestyle=style, linewidth=1.4, label=label)
    _legend(axes, list(marks or {}))
    return _png(figure)


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
    across, up = _floats(x), _floats(y)
    if across.size != up.size or (labels is not None and len(labels) != up.size):
        raise ValueError(f"{across.size} x values, {up.size} y values, {len(labels or ())} labels")
    figure, axes = _canvas(title, xlabel, ylabel)
    known = np.isfinite(across) & np.isfinite(up)
    if not known.any():
        return _nothing(figure, axes)
    axes.scatter(across[known], up[known], s=22, color=PALETTE[0], alpha=0.75, linewidths=0)
    for place in np.flatnonzero(known).tolist() if labels is not None else ():
        axes.annotate(
            str(labels[place]),  # type: ignore[index]
            (across[place], up[place]),
            xytext=(4, 3),
            textcoords="offset points",
            fontsize=8,
            color=_MUTED,
        )
    return _png(figure)


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


def monthly_returns(
    ts: Sequence[Any] | pl.Series, returns: Sequence[float | None] | np.ndarray | pl.Series
) -> tuple[list[int], np.ndarray]:
    """Compound simple returns within calendar months (UTC).

    Returns
    -------
    list of int, numpy.ndarray
        Years, and a ``(years, 12)`` matrix of simple returns, NaN where a month has none.
    """
    frame = pl.DataFrame({"ts": ts, "value": _floats(returns)}).filter(pl.col("value").is_finite())
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


def _floats(values: Any) -> np.ndarray:
    if isinstance(values, pl.Series):
        return values.cast(pl.Float64).to_numpy().astype(float)
    return np.array(values, dtype=float).ravel()


def _positions(x: Any) -> np.ndarray:
    stamps = x.to_numpy() if isinstance(x, pl.Series) else np.asarray(x)
    if stamps.dtype == object and stamps.size and hasattr(stamps[0], "year"):
        # Zone-aware stamps are UTC everywhere in the house; numpy knows only naive ones.
        stamps = np.array(
            [np.datetime64(stamp.replace(tzinfo=None)) if hasattr(stamp, "hour") else stamp
             for stamp in stamps],
            dtype="datetime64[us]",
        )  # fmt: skip
    return stamps


def _interval(heights: np.ndarray, low: Any, high: Any) -> np.ndarray | None:
    if low is None or high is None:
        return None
    spread = np.vstack([heights - _floats(low), _floats(high) - heights])
    return np.clip(np.nan_to_num(spread), 0.0, None)


def _look(number: int) -> tuple[str, str]:
    """Colour and dash of the n-th series: a second round through the palette is dashed."""
    return PALETTE[number % len(PALETTE)], _STYLES[number // len(PALETTE) % len(_STYLES)]


def _canvas(
    title: str, xlabel: str, ylabel: str, size: tuple[float, float] = (9.2, 4.1)
) -> tuple[Figure, Axes]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=_DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=11.5, color=_INK, fontweight="bold", pad=10)
    axes.set_xlabel(xlabel, fontsize=9, color=_MUTED)
    axes.set_ylabel(ylabel, fontsize=9, color=_MUTED)
    axes.tick_params(labelsize=8.5, colors=_MUTED, length=0)
    axes.grid(axis="y", color=_RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_RULE)
    return figure, axes


def _plain_log_axis(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _plain_number(value)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="y", which="minor", length=0)


def _plain_number(value: float) -> str:
    """``10,000,000`` rather than ``1e+07``: equity is read in currency."""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:g}"


def _legend(axes: Axes, labels: list[str]) -> None:
    if len(labels) > 1 or (labels and labels[0]):
        axes.legend(
            fontsize=8,
            frameon=False,
            ncols=1 if len(labels) > 5 else len(labels),
            loc="center left" if len(labels) > 5 else "best",
            bbox_to_anchor=(1.0, 0.5) if len(labels) > 5 else None,
            labelcolor=_INK,
        )


def _nothing(figure: Figure, axes: Axes) -> bytes:
    """An honest empty picture: a plot must never be the reason a step fails."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, "no finite values", ha="center", color=_MUTED, transform=axes.transAxes)
    return _png(figure)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    # Without the Software field the bytes depend on the numbers alone.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
