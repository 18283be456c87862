"""Names of states: bull, bear, sideways, volatile, by their moments and by the previous fit.

Belongs here: the one assignment of names to the states of a fit. Does not belong here: the fit.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

LABELS = ("bull", "bear", "sideways", "volatile")

#: Mean return of a state, in annual standard deviations of the window, and the binary logarithm of
#: its volatility over the window's: what a state of each name typically looks like.
PROTOTYPES: Mapping[str, tuple[float, float]] = {
    "bull": (1.0, -0.5),
    "bear": (-1.0, 0.5),
    "sideways": (0.0, -0.5),
    "volatile": (0.0, 1.0),
}
_BOUND = 2.0
_SESSIONS_PER_YEAR = 252


def coordinates(means: np.ndarray, deviations: np.ndarray, window_deviation: float) -> np.ndarray:
    """Place of each state beside the prototypes: ``(K, 2)``, each between -2 and 2.

    Parameters
    ----------
    means, deviations
        ``(K,)``: mean and standard deviation of the return of a session in each state.
    window_deviation
        Standard deviation of the return over the whole fit window.
    """
    annual_mean = means * np.sqrt(_SESSIONS_PER_YEAR) / window_deviation
    spread = np.log2(deviations / window_deviation)
    return np.clip(np.column_stack([annual_mean, spread]), -_BOUND, _BOUND)


def overlap(previous: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Cosine between the probabilities of states of two fits over the same sessions.

    Parameters
    ----------
    previous, current
        ``(T, K)`` and ``(T, L)`` filtered probabilities.

    Returns
    -------
    numpy.ndarray
        ``(K, L)`` between 0 and 1; 0 for a state that is never probable.
    """
    inner = previous.T @ current
    sizes = np.sqrt(np.outer((previous**2).sum(axis=0), (current**2).sum(axis=0)))
    return np.divide(inner, sizes, out=np.zeros_like(inner), where=sizes > 0)


def assign(
    places: np.ndarray,
    previous: Mapping[str, np.ndarray] | None = None,
    weight: float = 0.0,
) -> tuple[str, ...]:
    """Different names for all states, the best in sum (Kuhn 1955, the Hungarian method).

    A name suits a state by minus the squared distance of its moments from the prototype, plus
    `weight` times its overlap with the state of that name in the previous fit.

    Parameters
    ----------
    places
        ``(K, 2)`` of `coordinates`, at most four states.
    previous
        By name of the previous fit: ``(K,)`` overlap with each state of this one.
    weight
        Of the overlap; 0 names by moments alone.

    Returns
    -------
    tuple of str
        Name of each state.
    """
    from scipy.optimize import linear_sum_assignment

    typical = np.array([PROTOTYPES[label] for label in LABELS])
    score = -((places[:, None, :] - typical[None, :, :]) ** 2).sum(axis=2)
    for label, overlaps in (previous or {}).items():
        score[:, LABELS.index(label)] += weight * overlaps
    states, names = linear_sum_assignment(score, maximize=True)
    by_state = dict(zip(states.tolist(), names.tolist(), strict=True))
    return tuple(LABELS[by_state[k]] for k in range(len(places)))
