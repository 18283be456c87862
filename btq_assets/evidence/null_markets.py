"""Markets without the thing to be found, made from a real one.

Belongs here: resampling and shuffling of returns and labels. Does not belong here: what is run on
them (the controls of the backtest room).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from btq_assets.evidence.bootstrap import stationary_bootstrap_indices


class NullMarketError(ValueError):
    """A market too short, with missing values, or a block shorter than the label."""


def shuffled_labels(
    labels: ArrayLike, *, horizon: int, block: int, seed: int
) -> NDArray[np.float64]:
    """Labels of other dates: whole dates moved in blocks, each asset's mean taken away before.

    What assets have in common on a date, and what a label shares with its neighbours, stays; what
    a feature could know of its own label is gone.

    Parameters
    ----------
    labels
        Shape ``(n_dates, n_assets)``; nan where there is none.
    horizon
        Dates a label runs over.
    block
        Dates per block, not fewer than `horizon`.
    seed
        Seed of the order of blocks.

    Returns
    -------
    numpy.ndarray
        Same shape. Missing labels move with their date.

    Raises
    ------
    NullMarketError
        `block` is shorter than `horizon`, or there are fewer than two blocks.
    """
    matrix = _demeaned(labels)
    starts = _block_starts(len(matrix), horizon, block)
    random = np.random.default_rng(seed)
    order = _moved(len(starts), random)
    pieces = [matrix[starts[k] : starts[k] + block] for k in order]
    return np.concatenate(pieces)


def permuted_assets(
    labels: ArrayLike, *, horizon: int, block: int, seed: int
) -> NDArray[np.float64]:
    """Labels of other assets: identities permuted, anew in each block of dates.

    What the market does on a date stays; which asset does better is gone. Only assets that have a
    label on every date of a block are exchanged in it.

    Parameters
    ----------
    labels, horizon, block, seed
        As in `shuffled_labels`.
    """
    matrix = _demeaned(labels)
    random = np.random.default_rng(seed)
    out = matrix.copy()
    for start in _block_starts(len(matrix), horizon, block):
        rows = slice(start, start + block)
        whole = np.flatnonzero(np.isfinite(matrix[rows]).all(axis=0))
        out[rows, whole] = matrix[rows][:, random.permutation(whole)]
    return out


def phase_randomised(log_returns: ArrayLike, *, seed: int) -> NDArray[np.float64]:
    """Surrogates with the same spectra and cross-spectra, and nothing else of the original.

    Prichard & Theiler (1994), "Generating surrogate data for time series with several
    simultaneously measured variables", Phys. Rev. Lett. 73: one random phase per frequency is
    added to all series alike, so that linear auto- and cross-correlations stay exactly and any
    non-linear dependence (volatility clustering among it) is gone. Marginals become normal.

    Parameters
    ----------
    log_returns
        Shape ``(n, n_assets)``, no missing value, ``n >= 8``.
    seed
        Seed of the phases.
    """
    matrix = _complete(log_returns)
    n = len(matrix)
    spectrum = np.fft.rfft(matrix, axis=0)
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, len(spectrum))
    # The mean, and for even lengths the highest frequency, must stay real.
    phases[0] = 0.0
    if n % 2 == 0:
        phases[-1] = 0.0
    return np.fft.irfft(spectrum * np.exp(1j * phases)[:, None], n=n, axis=0)


def bootstrapped(log_returns: ArrayLike, *, mean_block: float, seed: int) -> NDArray[np.float64]:
    """Stationary-bootstrap path of all assets together, their means taken away.

    Politis & Romano (1994). Dates are drawn whole, so that assets keep moving together; within a
    block volatility clusters as it did.

    Parameters
    ----------
    log_returns
        Shape ``(n, n_assets)``, no missing value.
    mean_block
        Mean block length, dates.
    seed
        Seed of the blocks.
    """
    matrix = _complete(log_returns)
    drawn = stationary_bootstrap_indices(len(matrix), mean_block, 1, seed)[0]
    return (matrix - matrix.mean(axis=0))[drawn]


def prices_of(log_returns: ArrayLike, first: ArrayLike) -> NDArray[np.float64]:
    """Prices that move by `log_returns` from `first`, shape ``(n + 1, n_assets)``."""
    moves = np.cumsum(np.asarray(log_returns, dtype=np.float64), axis=0)
    start = np.asarray(first, dtype=np.float64)
    return np.vstack([start, start * np.exp(moves)])


def _demeaned(labels: ArrayLike) -> NDArray[np.float64]:
    matrix = np.asarray(labels, dtype=np.float64)
    if matrix.ndim != 2:
        raise NullMarketError(f"labels of shape {matrix.shape}: dates by assets are needed")
    known = np.isfinite(matrix)
    counts = np.maximum(known.sum(axis=0), 1)
    return matrix - np.where(known, matrix, 0.0).sum(axis=0) / counts


def _block_starts(n: int, horizon: int, block: int) -> list[int]:
    if horizon < 1 or block < horizon:
        raise NullMarketError(
            f"blocks of {block} dates are shorter than the label's horizon of {horizon}: labels "
            "that overlap would be torn apart"
        )
    starts = list(range(0, n, block))
    if len(starts) < 2:
        raise NullMarketError(f"{n} dates make {len(starts)} block of {block}: nothing to move")
    return starts


def _moved(n: int, random: np.random.Generator) -> NDArray[np.intp]:
    """An order of blocks in which none stays where it was (a cycle: Sattolo 1986)."""
    order = np.arange(n)
    for i in range(n - 1, 0, -1):
        j = int(random.integers(0, i))
        order[i], order[j] = order[j], order[i]
    return order


def _complete(log_returns: ArrayLike) -> NDArray[np.float64]:
    matrix = np.asarray(log_returns, dtype=np.float64)
    if matrix.ndim != 2 or len(matrix) < 8:
        raise NullMarketError(f"returns of shape {matrix.shape}: at least 8 dates by assets")
    if not np.isfinite(matrix).all():
        raise NullMarketError("a return is missing; use the dates all assets have")
    return matrix
