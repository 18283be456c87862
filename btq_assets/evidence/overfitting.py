"""Probability of backtest overfitting, by combinatorially symmetric cross-validation.

Belongs here: how often the trial chosen in one half of the days is below the middle in the other.
Does not belong here: which trials selection could have chosen (`selection`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Blocks beyond which the number of splits, C(S, S / 2), is no longer a matter of seconds.
MAXIMUM_BLOCKS = 20
#: Returns a block must hold before its ratio means anything.
MINIMUM_BLOCK_LENGTH = 10

_SPLITS_AT_ONCE = 2_000


class OverfittingError(ValueError):
    """Too few trials or returns, missing values, or blocks that cannot be halved."""


@dataclass(frozen=True)
class Overfitting:
    """What cross-validation says of choosing the best trial.

    Attributes
    ----------
    probability
        Share of splits in which the chosen trial ranks at or below the middle out of sample.
    probability_of_loss
        Share of splits in which its out-of-sample performance is negative.
    logits
        Logit of its relative rank out of sample, one per split, float64, shape ``(n_splits,)``.
    chosen_in_sample, chosen_out_of_sample
        Its performance in either half, per period, shape ``(n_splits,)``.
    degradation_slope
        Slope of the regression of the second on the first; nan when the first is constant.
    n_splits, n_trials, n_returns
        Splits, trials and returns used: what is left over by division into blocks is left out at
        the start.
    """

    probability: float
    probability_of_loss: float
    logits: NDArray[np.float64]
    chosen_in_sample: NDArray[np.float64]
    chosen_out_of_sample: NDArray[np.float64]
    degradation_slope: float
    n_splits: int
    n_trials: int
    n_returns: int


def probability_of_overfitting(
    returns: ArrayLike, *, n_blocks: int = 16, statistic: str = "sharpe"
) -> Overfitting:
    """Probability of backtest overfitting of a choice among trials.

    Bailey, Borwein, Lopez de Prado & Zhu (2017), "The probability of backtest overfitting",
    section 2.2: the days are cut into `n_blocks` blocks; in each of the ``C(S, S / 2)`` ways to
    take half of them the best trial of that half is ranked among all in the other half. With rank
    ``r`` (1 is worst, ties share their mean rank) of N trials, ``w = r / (N + 1)`` and the logit is
    ``ln(w / (1 - w))``.

    Parameters
    ----------
    returns
        Simple returns per period, shape ``(n_returns, n_trials)``; columns are trials that
        selection could have chosen, rows the same days for all. No missing value.
    n_blocks
        S, even; 16 gives 12,870 splits.
    statistic
        ``sharpe`` (mean over sample deviation, per period; that of a constant series is zero) or
        ``mean``.

    Raises
    ------
    OverfittingError
        Fewer than two trials, fewer than ten returns per block, a value that is not finite, an odd
        or too large `n_blocks`, or an unknown statistic.
    """
    matrix = _checked(returns, n_blocks, statistic)
    sums, squares, length = _block_sums(matrix, n_blocks)
    centre = matrix.mean(axis=0)
    halves = _halves(n_blocks)
    n_half = length * n_blocks // 2
    parts = [
        _split(half, sums, squares, centre, n_half, statistic)
        for half in np.array_split(halves, math.ceil(len(halves) / _SPLITS_AT_ONCE))
    ]
    relative, inside, outside = (np.concatenate(column) for column in zip(*parts, strict=True))
    logits = np.log(relative / (1 - relative))
    return Overfitting(
        probability=float(np.mean(logits <= 0)),
        probability_of_loss=float(np.mean(outside < 0)),
        logits=logits,
        chosen_in_sample=inside,
        chosen_out_of_sample=outside,
        degradation_slope=_slope(inside, outside),
        n_splits=len(halves),
        n_trials=matrix.shape[1],
        n_returns=len(matrix),
    )


def rank_distribution(found: Overfitting) -> list[tuple[float, float, int, float]]:
    """How often the chosen trial had which rank in the other half.

    Returns
    -------
    list of (rank, logit, n_splits, loss_share)
        Ascending by rank; 1 is worst, `n_trials` best, ties share their mean. ``loss_share`` is the
        share of all splits with that rank and a negative performance out of sample.
    """
    # Back from the logit: w = 1 / (1 + exp(-logit)), rank = w (N + 1); ranks are whole or half.
    ranks = np.rint(2 * (found.n_trials + 1) / (1 + np.exp(-found.logits))) / 2
    lost = found.chosen_out_of_sample < 0
    return [
        (
            float(rank),
            # Exactly 0 in the middle, where rounding would choose the side.
            float(np.log(rank) - np.log(found.n_trials + 1 - rank)),
            int((ranks == rank).sum()),
            float(np.mean((ranks == rank) & lost)),
        )
        for rank in np.unique(ranks)
    ]


def _checked(returns: ArrayLike, n_blocks: int, statistic: str) -> NDArray[np.float64]:
    matrix = np.asarray(returns, dtype=np.float64)
    if statistic not in ("sharpe", "mean"):
        raise OverfittingError(f"statistic {statistic!r} is neither 'sharpe' nor 'mean'")
    if n_blocks < 2 or n_blocks % 2 or n_blocks > MAXIMUM_BLOCKS:
        raise OverfittingError(
            f"n_blocks = {n_blocks}: must be even, from 2 to {MAXIMUM_BLOCKS}, so that blocks halve"
        )
    if matrix.ndim != 2 or matrix.shape[1] < 2:
        raise OverfittingError(f"shape {matrix.shape}: a choice needs at least two trials")
    if len(matrix) < n_blocks * MINIMUM_BLOCK_LENGTH:
        raise OverfittingError(
            f"{len(matrix)} returns in {n_blocks} blocks: at least {MINIMUM_BLOCK_LENGTH} each"
        )
    bad = ~np.isfinite(matrix).all(axis=0)
    if bad.any():
        raise OverfittingError(
            f"{int(bad.sum())} trial(s) lack returns on some days, the first in column "
            f"{int(np.argmax(bad))}; compare trials on the days all of them have"
        )
    return matrix[len(matrix) % n_blocks :]


def _block_sums(
    matrix: NDArray[np.float64], n_blocks: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Sums and sums of squares of centred returns by block, shape ``(n_blocks, n_trials)``."""
    length = len(matrix) // n_blocks
    centred = (matrix - matrix.mean(axis=0)).reshape(n_blocks, length, -1)
    return centred.sum(axis=1), (centred**2).sum(axis=1), length


def _halves(n_blocks: int) -> NDArray[np.float64]:
    """Every half of the blocks as a row of ones and zeros, shape ``(n_splits, n_blocks)``."""
    chosen = np.array(list(combinations(range(n_blocks), n_blocks // 2)))
    halves = np.zeros((len(chosen), n_blocks))
    np.put_along_axis(halves, chosen, 1.0, axis=1)
    return halves


def _split(
    halves: NDArray[np.float64],
    sums: NDArray[np.float64],
    squares: NDArray[np.float64],
    centre: NDArray[np.float64],
    n_half: int,
    statistic: str,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Relative rank, performance within and outside of the trial chosen in each half."""
    inside = _performance(halves, sums, squares, centre, n_half, statistic)
    outside = _performance(1 - halves, sums, squares, centre, n_half, statistic)
    best = inside.argmax(axis=1)[:, None]
    own = np.take_along_axis(outside, best, axis=1)
    below = (outside < own).sum(axis=1)
    ties = (outside == own).sum(axis=1)
    rank = below + (ties + 1) / 2
    return rank / (outside.shape[1] + 1), np.take_along_axis(inside, best, axis=1)[:, 0], own[:, 0]


def _performance(
    halves: NDArray[np.float64],
    sums: NDArray[np.float64],
    squares: NDArray[np.float64],
    centre: NDArray[np.float64],
    n: int,
    statistic: str,
) -> NDArray[np.float64]:
    total = halves @ sums
    mean = centre + total / n
    if statistic == "mean":
        return mean
    variance = (halves @ squares - total**2 / n) / (n - 1)
    # Centred returns of a constant trial are rounding: its ratio would be noise over noise.
    flat = variance <= 1e-28
    return np.where(flat, 0.0, mean / np.sqrt(np.where(flat, 1.0, variance)))


def _slope(inside: NDArray[np.float64], outside: NDArray[np.float64]) -> float:
    centred = inside - inside.mean()
    spread = float(centred @ centred)
    return float(centred @ outside) / spread if spread > 0 else math.nan
