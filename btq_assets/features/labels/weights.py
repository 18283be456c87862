"""How much of its own a label says: Lopez de Prado (2018), chapter 4.

Belongs here: concurrency, uniqueness, return attribution and the sequential bootstrap. Does not
belong here: how a model uses the weights, and their scale, which is that of a training window.

A label is in force at the sessions after its fill up to its end: it is a function of the returns
of just these. One that has not ended counts until its longest path, or the data, ends.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from btq_assets.features.definitions import FeatureError
from btq_assets.features.labels.paths import UNFINISHED, Floats, Ints


def concurrency(start: Ints, end: Ints, n_sessions: int) -> Ints:
    """Labels in force at each session, section 4.3.

    Parameters
    ----------
    start, end
        ``(I,)`` sessions of fill and end of each label; in force at ``start < t <= end``.
    n_sessions
        ``T``.

    Returns
    -------
    numpy.ndarray
        ``(T,)`` int64.
    """
    change = np.zeros(n_sessions + 2, dtype=np.int64)
    np.add.at(change, start + 1, 1)
    np.add.at(change, end + 1, -1)
    return np.cumsum(change)[:n_sessions]


def average_uniqueness(start: Ints, end: Ints, in_force: Ints) -> Floats:
    """Mean of one over the labels in force, over each label's sessions, section 4.4.

    Parameters
    ----------
    start, end
        As in `concurrency`, ``start < end``.
    in_force
        Output of `concurrency` of all labels.
    """
    share = np.where(in_force > 0, 1.0 / np.maximum(in_force, 1), 0.0)
    return _sums(share, start, end) / (end - start)


def return_attribution(start: Ints, end: Ints, in_force: Ints, log_returns: Floats) -> Floats:
    """Absolute sum of the log returns of a label's sessions, each shared, section 4.6.

    Parameters
    ----------
    start, end, in_force
        As in `average_uniqueness`.
    log_returns
        ``(T,)``; 0 where a session has none.
    """
    return np.abs(_sums(log_returns / np.maximum(in_force, 1), start, end))


def _sums(values: Floats, start: Ints, end: Ints) -> Floats:
    """Sum over ``start < t <= end``, each from its own values."""
    found = np.zeros(start.size)
    length = end - start
    for step in range(1, int(np.max(length, initial=0)) + 1):
        inside = length >= step
        found[inside] += values[start[inside] + step]
    return found


def weigh(
    start: Ints, end: Ints, horizon: int, log_returns: Floats
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Uniqueness and return attribution of one symbol's labels of one kind.

    Parameters
    ----------
    start
        ``(I,)`` sessions of the fills, all within the data.
    end
        ``(I,)`` ends, `UNFINISHED` where unknown.
    horizon
        Longest path of the kind: an unfinished label counts so long.
    log_returns
        ``(T,)``.

    Returns
    -------
    (uniqueness, attribution)
        ``(I,)`` each, NaN where a label is unfinished.
    """
    last = log_returns.size - 1
    until = np.where(end == UNFINISHED, np.minimum(start + horizon, last), end)
    in_force = concurrency(start, until, log_returns.size)
    found = (
        np.full(start.size, np.nan),
        np.full(start.size, np.nan),
    )
    done = end != UNFINISHED
    found[0][done] = average_uniqueness(start[done], end[done], in_force)
    found[1][done] = return_attribution(start[done], end[done], in_force, log_returns)
    return found


def indicator_matrix(start: ArrayLike, end: ArrayLike, n_sessions: int) -> NDArray[np.float64]:
    """Which label is in force when, ``(T, I)`` of 0 and 1, snippet 4.3."""
    t = np.arange(n_sessions)[:, None]
    return ((t > np.asarray(start)) & (t <= np.asarray(end))).astype(np.float64)


def sequential_probabilities(indicator: NDArray[np.float64], drawn: list[int]) -> Floats:
    """Probability of each label to be drawn next, section 4.5.

    Proportional to the average uniqueness a label would have beside those already drawn.

    Parameters
    ----------
    indicator
        Output of `indicator_matrix`, ``(T, I)``; each label is in force somewhere.
    drawn
        Labels drawn so far, repeats included.
    """
    length = indicator.sum(axis=0)
    if not (length > 0).all():
        raise FeatureError(
            f"label {int(np.flatnonzero(length == 0)[0])} is in force at no session; leave it out"
        )
    beside = indicator[:, drawn].sum(axis=1)[:, None] + indicator
    unique = np.where(indicator > 0, indicator / np.maximum(beside, 1.0), 0.0)
    average = unique.sum(axis=0) / length
    return average / average.sum()


def sequential_bootstrap(indicator: NDArray[np.float64], n_draws: int, seed: int) -> list[int]:
    """Labels drawn one after the other so that they overlap less, snippet 4.5.

    Parameters
    ----------
    indicator
        ``(T, I)``.
    n_draws
        Number of draws.
    seed
        Seed of the draws.
    """
    random = np.random.default_rng(seed)
    drawn: list[int] = []
    for _ in range(n_draws):
        chances = sequential_probabilities(indicator, drawn)
        drawn.append(int(random.choice(chances.size, p=chances)))
    return drawn
