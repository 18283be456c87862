"""Stationary block bootstrap, and paired differences of two return series.

Belongs here: resampling that respects serial dependence. Does not belong here: which series to
compare, or what to conclude.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

_CHUNK_SAMPLES = 500


class BootstrapError(ValueError):
    """Series too short, of unequal length, or with missing values."""


def stationary_bootstrap_indices(
    n: int, mean_block: float, n_samples: int, seed: int, *, length: int | None = None
) -> NDArray[np.int32]:
    """Indices of the stationary bootstrap of Politis & Romano (1994, section 2).

    Each resample strings together blocks that start anywhere with equal probability, wrap around
    the end, and have geometric lengths with mean `mean_block`.

    Parameters
    ----------
    n
        Length of the series.
    mean_block
        Mean block length, in observations, >= 1; 1 is the ordinary bootstrap.
    n_samples
        Number of resamples.
    seed
        Seed; the first k rows are the same for any ``n_samples >= k``.
    length
        Length of each resample; default `n`.

    Returns
    -------
    numpy.ndarray
        int32, shape ``(n_samples, length)``; values in ``[0, n)``.

    Raises
    ------
    BootstrapError
        A parameter is out of range.
    """
    length = n if length is None else length
    if n < 1 or n_samples < 1 or length < 1 or not mean_block >= 1:
        raise BootstrapError(
            f"n = {n}, mean_block = {mean_block}, n_samples = {n_samples}, length = {length}: each "
            "must be at least 1"
        )
    indices = np.empty((n_samples, length), dtype=np.int32)
    position = np.arange(length, dtype=np.int32)
    random = np.random.default_rng(seed)
    # Row by row: memory stays small, and a longer run begins like a shorter one.
    for row in indices:
        restart = random.random(length) < 1.0 / mean_block
        origin = np.maximum.accumulate(np.where(restart, position, 0))
        starts = random.integers(0, n, length, dtype=np.int32)
        np.remainder(starts[origin] + (position - origin), n, out=row)
    return indices


@lru_cache(maxsize=2)
def _draw_counts(n: int, mean_block: float, n_samples: int, seed: int) -> NDArray[np.uint16]:
    """How often each observation is drawn in each resample, shape ``(n_samples, n)``."""
    indices = stationary_bootstrap_indices(n, mean_block, n_samples, seed)
    counts = np.empty((n_samples, n), dtype=np.uint16)
    for row, drawn in zip(counts, indices, strict=True):
        row[:] = np.bincount(drawn, minlength=n)
    return counts


def resampled_means(
    values: ArrayLike, *, mean_block: float, n_samples: int, seed: int
) -> NDArray[np.float64]:
    """Mean of each column in each stationary-bootstrap resample.

    Parameters
    ----------
    values
        Shape ``(n,)`` or ``(n, k)``; columns are resampled together.

    Returns
    -------
    numpy.ndarray
        Shape ``(n_samples, k)``.
    """
    matrix = np.asarray(values, dtype=np.float64)
    matrix = matrix.reshape(len(matrix), -1)
    n = len(matrix)
    counts = _draw_counts(n, float(mean_block), int(n_samples), int(seed))
    means = np.empty((n_samples, matrix.shape[1]))
    for start in range(0, n_samples, _CHUNK_SAMPLES):
        part = slice(start, start + _CHUNK_SAMPLES)
        means[part] = counts[part].astype(np.float64) @ matrix
    return means / n


@dataclass(frozen=True)
class PairedDifference:
    """Difference of two return series on the same days; names as in `backtest.comparisons`.

    Attributes
    ----------
    n
        Paired returns.
    mean_difference_annual, ci_low_annual, ci_high_annual
        Mean difference times periods per year, and its percentile interval.
    sharpe_difference, sharpe_difference_ci_low, sharpe_difference_ci_high
        Difference of annualised Sharpe ratios (risk-free rate 0); nan where one is undefined.
    significant
        Whether the interval of the mean difference lies above zero.
    """

    n: int
    mean_difference_annual: float
    ci_low_annual: float
    ci_high_annual: float
    sharpe_difference: float
    sharpe_difference_ci_low: float
    sharpe_difference_ci_high: float
    significant: bool


def paired_block_bootstrap(
    a: ArrayLike,
    b: ArrayLike,
    *,
    mean_block: float,
    n_samples: int,
    seed: int,
    confidence: float = 0.95,
    periods_per_year: float = 252.0,
) -> PairedDifference:
    """Mean and Sharpe difference of `a` minus `b`, with stationary-bootstrap intervals.

    Both series are resampled with the same blocks, so what they have in common cancels. Intervals
    are percentile intervals (Efron 1979) of the resampled statistic.

    Parameters
    ----------
    a, b
        Simple returns per period on the same days, shape ``(n,)``, no missing value.
    mean_block
        Mean block length in periods.
    n_samples, seed
        Resamples and their seed.
    confidence
        Coverage of the intervals.
    periods_per_year
        Annualisation.

    Raises
    ------
    BootstrapError
        The series differ in length, are shorter than two, or hold a missing value.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape or len(first) < 2:
        raise BootstrapError(
            f"paired series need equal length of at least two, got {first.shape}, {second.shape}"
        )
    for label, series in (("first", first), ("second", second)):
        if not np.isfinite(series).all():
            raise BootstrapError(
                f"the {label} series has {int((~np.isfinite(series)).sum())} missing value(s); "
                "pair the days first"
            )
    n = len(first)
    # Centring costs nothing and keeps the variance below from cancelling.
    centres = np.array([first.mean(), second.mean()])
    x, y = first - centres[0], second - centres[1]
    means = resampled_means(
        np.column_stack([x, y, x * x, y * y, first - second]),
        mean_block=mean_block,
        n_samples=n_samples,
        seed=seed,
    )
    shifted = means[:, :2]
    variance = np.maximum(means[:, 2:4] - shifted**2, 0.0) * n / (n - 1)
    tail = [(1 - confidence) / 2, (1 + confidence) / 2]
    # Its own column: two equal series differ by exactly nothing, not by rounding.
    low, high = np.quantile(means[:, 4] * periods_per_year, tail)
    year = math.sqrt(periods_per_year)
    observed_sd = np.array([first.std(ddof=1), second.std(ddof=1)])
    flat = observed_sd <= 1e-14
    if flat.any():
        sharpe, sharpe_low, sharpe_high = (math.nan,) * 3
    else:
        sharpe = float(np.diff(centres / observed_sd)[0] * -year)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = (shifted + centres) / np.sqrt(variance)
        sharpe_low, sharpe_high = np.nanquantile((ratios[:, 0] - ratios[:, 1]) * year, tail)
    return PairedDifference(
        n=n,
        mean_difference_annual=float((first - second).mean() * periods_per_year),
        ci_low_annual=float(low),
        ci_high_annual=float(high),
        sharpe_difference=sharpe,
        sharpe_difference_ci_low=float(sharpe_low),
        sharpe_difference_ci_high=float(sharpe_high),
        significant=bool(low > 0),
    )
