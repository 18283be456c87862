"""Rolling statistics of matrices with one row per symbol, in parallel over symbols.

Belongs here: the functions others call, and argument checks. Does not belong here: loops over
values (the kernel modules).

Every function takes ``x``, ``(N symbols, T sessions)`` float32 or float64 with NaN where missing,
and the window ``n``, and returns ``(N, T)``, NaN where undefined. Common options:

full
    Whether a window needs all its values (default), or one, as qlib and pandas with
    ``min_periods=1``.
dtype
    Of the result, float64 unless given. Sums are taken in float64 always.
threads
    Number of threads, one per available core unless given; no result depends on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from btq_assets.features.kernels import moments, order, pairs, quantiles
from btq_assets.features.kernels.tasks import in_tasks

Matrix = NDArray[np.floating]

#: In the place of an output or a divisor that is not wanted.
NONE = np.empty(0)


@dataclass(frozen=True)
class Options:
    """How windows at the beginning and with holes are treated, and how the result is stored."""

    full: bool = True
    dtype: DTypeLike = np.float64
    threads: int | None = None


_DEFAULT = Options()


def mean(x: Matrix, n: int, options: Options = _DEFAULT) -> Matrix:
    """Mean of the window."""
    return _moments(x, n, options, "mean", 1)


def total(x: Matrix, n: int, options: Options = _DEFAULT) -> Matrix:
    """Sum of the window."""
    return _moments(x, n, options, "sum", 1)


def std(x: Matrix, n: int, options: Options = _DEFAULT, *, ddof: int = 1) -> Matrix:
    """Standard deviation of the window, divisor ``n - ddof``."""
    return _moments(x, n, options, "std", ddof)


def maximum(x: Matrix, n: int, options: Options = _DEFAULT) -> Matrix:
    """Largest value of the window."""
    return _extreme(x, n, options, 1.0, place=False)


def minimum(x: Matrix, n: int, options: Options = _DEFAULT) -> Matrix:
    """Smallest value of the window."""
    return _extreme(x, n, options, -1.0, place=False)


def argmax(x: Matrix, n: int, options: Options = _DEFAULT) -> Matrix:
    """Place of the window's first largest value, from 1 for the oldest (qlib's IdxMax)."""
    return _extreme(x, n, options, 1.0, place=True)


def argmin(x: Matrix, n: int, options: Options = _DEFAULT) -> Matrix:
    """Place of the window's first smallest value, from 1 for the oldest (qlib's IdxMin)."""
    return _extreme(x, n, options, -1.0, place=True)


def rank(x: Matrix, n: int, options: Options = _DEFAULT) -> Matrix:
    """Rank of the last value in the window as a share of it, ties averaged; ``1/n`` to 1."""
    return _run(
        lambda v, starts, out: order.rank(
            v[0], starts, np.array([n]), options.full, 0, out[None, :]
        ),
        (x,),
        n,
        options,
    )


def quantile(x: Matrix, n: int, share: float, options: Options = _DEFAULT) -> Matrix:
    """Quantile of the window, linear between neighbouring values.

    Parameters
    ----------
    x, n, options
        As for all.
    share
        0 for the minimum, 1 for the maximum.

    Raises
    ------
    ValueError
        `share` is not between 0 and 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"quantile {share} is not between 0 and 1")
    shares = np.array([share])

    def work(v, starts, out):
        quantiles.quantiles(
            v[0], starts, np.array([n]), options.full, shares, NONE, 0, out[None, None, :]
        )

    return _run(work, (x,), n, options)


def slope(x: Matrix, n: int, options: Options = _DEFAULT) -> Matrix:
    """Slope of the least-squares line of the window against time, per session."""
    return _line(x, n, options, 2)


def rsquare(x: Matrix, n: int, options: Options = _DEFAULT, *, still: float = 0.0) -> Matrix:
    """R squared of that line; NaN where the sample deviation is not above `still`."""
    return _line(x, n, options, 3, still)


def residual(x: Matrix, n: int, options: Options = _DEFAULT) -> Matrix:
    """Last value less its place on that line."""
    return _line(x, n, options, 4)


def covariance(
    x: Matrix, y: Matrix, n: int, options: Options = _DEFAULT, *, ddof: int = 1
) -> Matrix:
    """Covariance of the window's pairs, divisor ``n - ddof``."""

    def work(v, starts, out):
        unwanted = np.empty((0, 0), out.dtype)
        pairs.pair(
            v[0], v[1], starts, np.array([n]), options.full, ddof, 0.0, 0.0, 0,
            out[None, :], unwanted,
        )  # fmt: skip

    return _run(work, (x, y), n, options)


def correlation(
    x: Matrix, y: Matrix, n: int, options: Options = _DEFAULT, *, still: float = 0.0
) -> Matrix:
    """Correlation of the window's pairs; NaN where a sample deviation is not above `still`."""

    def work(v, starts, out):
        unwanted = np.empty((0, 0), out.dtype)
        pairs.pair(
            v[0], v[1], starts, np.array([n]), options.full, 1, still, 0.0, 0,
            unwanted, out[None, :],
        )  # fmt: skip

    return _run(work, (x, y), n, options)


def up_moves(x: Matrix, n: int, options: Options = _DEFAULT) -> Matrix:
    """Number of the window's last `n` values that are above the one before."""
    before = delay(x, 1)
    moved = np.where(np.isnan(x) | np.isnan(before), np.nan, (x > before).astype(np.float64))
    return total(moved, n, options)


def weighted_sum(x: Matrix, weights: Matrix, options: Options = _DEFAULT) -> Matrix:
    """Sum of ``weights[k] x[t - n + 1 + k]``, n the number of weights; needs full windows."""
    weights = np.ascontiguousarray(weights, np.float64)
    return _run(
        lambda v, starts, out: moments.weighted(v[0], starts, weights, out),
        (x,),
        weights.size,
        options,
    )


def delay(x: Matrix, n: int) -> Matrix:
    """Value `n` sessions ago."""
    x = np.asarray(x)
    if n < 0:
        raise ValueError(f"a delay of {n} sessions would read the future")
    late = np.full(x.shape, np.nan, x.dtype)
    late[:, n:] = x[:, : max(x.shape[1] - n, 0)]
    return late


def delta(x: Matrix, n: int) -> Matrix:
    """Value less the one `n` sessions ago."""
    return np.asarray(x) - delay(x, n)


def _moments(x: Matrix, n: int, options: Options, which: str, ddof: int) -> Matrix:
    windows = np.array([n])

    def work(v, starts, out):
        if which == "std":
            unwanted = np.empty((0, 0), out.dtype)
            moments.line(
                v[0], starts, windows, options.full, ddof, NONE, 0.0, 0.0, 0,
                unwanted, out[None, :], unwanted, unwanted, unwanted,
            )  # fmt: skip
        else:
            moments.sums(v[0], starts, windows, options.full, which == "mean", 0, out[None, :])

    return _run(work, (x,), n, options)


def _extreme(x: Matrix, n: int, options: Options, sign: float, *, place: bool) -> Matrix:
    windows = np.array([n])

    def work(v, starts, out):
        unwanted = np.empty((0, 0), out.dtype)
        outputs = (unwanted, out[None, :]) if place else (out[None, :], unwanted)
        order.extreme(v[0], starts, windows, options.full, sign, 0, *outputs)

    return _run(work, (x,), n, options)


def _line(x: Matrix, n: int, options: Options, which: int, still: float = 0.0) -> Matrix:
    windows = np.array([n])

    def work(v, starts, out):
        outputs = [np.empty((0, 0), out.dtype)] * 5
        outputs[which] = out[None, :]
        moments.line(v[0], starts, windows, options.full, 1, NONE, still, 0.0, 0, *outputs)

    return _run(work, (x,), n, options)


def _run(work: Callable[..., Any], inputs: tuple[Matrix, ...], n: int, options: Options) -> Matrix:
    """Check and flatten the matrices, and work on ranges of their rows."""
    shape = np.shape(inputs[0])
    if len(shape) != 2 or any(np.shape(other) != shape for other in inputs):
        shapes = [np.shape(given) for given in inputs]
        raise ValueError(f"matrices of one shape (symbols, sessions) are needed, not {shapes}")
    if n < 1:
        raise ValueError(f"a window of {n} sessions holds nothing")
    rows, sessions = shape
    flat = [np.ascontiguousarray(given, np.float64).reshape(-1) for given in inputs]
    out = np.empty(rows * sessions, options.dtype)
    starts = np.arange(rows + 1, dtype=np.int64) * sessions

    def task(first: int, last: int) -> None:
        part = slice(starts[first], starts[last])
        own = starts[first : last + 1] - starts[first]
        work([values[part] for values in flat], own, out[part])

    in_tasks(starts, task, options.threads)
    return out.reshape(shape)
