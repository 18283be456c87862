"""The relation graph of a date: who moves with whom, and who moved before whom.

Belongs here: trailing correlations and the edges chosen from them, in plain numpy. Does not belong
here: anything learned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from btq_assets.timeline import FILL_LAG_SESSIONS

#: Pseudo-observations of zero correlation added to each pair (shrinkage n / (n + PRIOR)).
PRIOR_SESSIONS = 20

#: Edge attributes: trailing correlation, and lead-lag correlation from source to target.
N_ATTRIBUTES = 2


@dataclass(frozen=True)
class DateGraph:
    """Directed edges among the assets of one date.

    Parameters
    ----------
    edges
        ``(2, E)`` int64: source and target asset. Every node has a loop to itself.
    attributes
        ``(E, 2)`` float32: shrunk trailing correlation of session returns, and shrunk correlation
        of the source's return with the target's following fill-to-fill return.
    """

    edges: np.ndarray
    attributes: np.ndarray


def correlation_graph(
    returns: np.ndarray,
    present: np.ndarray,
    at: int,
    *,
    window: int,
    neighbours: int,
    horizon_sessions: int,
) -> DateGraph:
    """Edges at session `at`, from returns up to and including it.

    Into each asset lead the `neighbours` assets with the largest absolute correlation, and half
    as many (at least one) whose return was most correlated with what the asset returned from the
    fill after it to the fill `horizon_sessions` later. The latter pairs are known only once that
    return is filled, so they end ``1 + horizon`` sessions before `at`.

    Correlations are taken over the sessions both assets have, and shrunk towards zero by
    ``n / (n + 20)``, the posterior mean under a prior worth 20 uncorrelated sessions.

    Parameters
    ----------
    returns
        ``(T, N)`` session returns, NaN where missing.
    present
        ``(T, N)``; assets without a row at `at` get no edge.
    at
        Session index.
    window
        Sessions looked back on.
    neighbours
        Largest number of contemporaneous neighbours of an asset.
    horizon_sessions
        Sessions from fill to fill.
    """
    start = max(at - window + 1, 0)
    recent = returns[start : at + 1]
    together = shrunk_correlation(recent, recent)
    ahead = FILL_LAG_SESSIONS + horizon_sessions
    leads = np.zeros_like(together)
    if len(recent) > ahead + 1:
        following = forward_sums(recent, horizon_sessions)
        leads = shrunk_correlation(recent[: len(following)], following)
    live = np.flatnonzero(present[at])
    chosen = np.zeros(together.shape, dtype=bool)
    _strongest_into(chosen, together, live, neighbours)
    _strongest_into(chosen, leads, live, max(neighbours // 2, 1))
    chosen[live, live] = True
    source, target = np.nonzero(chosen)
    attributes = np.stack([together[source, target], leads[source, target]], axis=1)
    return DateGraph(np.stack([source, target]), attributes.astype(np.float32))


def forward_sums(returns: np.ndarray, horizon_sessions: int) -> np.ndarray:
    """Sum of returns from the fill after each row to the fill `horizon_sessions` later.

    Row ``s`` sums ``s + 2 .. s + 1 + horizon``; rows whose sum would end beyond the data are left
    out. Shape ``(T - 1 - horizon, N)``; NaN where any of the returns is missing.
    """
    first = FILL_LAG_SESSIONS + 1
    n_rows = len(returns) - FILL_LAG_SESSIONS - horizon_sessions
    parts = [returns[first + step : first + step + n_rows] for step in range(horizon_sessions)]
    return np.sum(parts, axis=0)


def shrunk_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pairwise-complete correlation of the columns of two arrays, shrunk towards zero.

    Parameters
    ----------
    first, second
        ``(T, N)`` and ``(T, M)``, NaN where missing.

    Returns
    -------
    numpy.ndarray
        ``(N, M)``; 0 where a pair shares no session or one of them never moves.
    """
    known_first, known_second = np.isfinite(first), np.isfinite(second)
    x, y = np.where(known_first, first, 0.0), np.where(known_second, second, 0.0)
    u, v = known_first.astype(float), known_second.astype(float)
    n = u.T @ v
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance = x.T @ y / n - (x.T @ v / n) * (u.T @ y / n)
        variance_first = (x**2).T @ v / n - (x.T @ v / n) ** 2
        variance_second = u.T @ (y**2) / n - (u.T @ y / n) ** 2
        correlation = covariance / np.sqrt(variance_first * variance_second)
    usable = (n > 2) & (variance_first > 1e-16) & (variance_second > 1e-16)
    correlation = np.where(usable, np.nan_to_num(correlation), 0.0)
    return np.clip(correlation, -1.0, 1.0) * n / (n + PRIOR_SESSIONS)


def _strongest_into(
    chosen: np.ndarray, weights: np.ndarray, live: np.ndarray, neighbours: int
) -> None:
    """Mark for each live target the sources with the largest absolute weight."""
    among = np.abs(weights[np.ix_(live, live)])
    np.fill_diagonal(among, -1.0)
    for column, target in enumerate(live):
        order = np.argsort(-among[:, column], kind="stable")[:neighbours]
        strong = order[among[order, column] > 0]
        chosen[live[strong], target] = True
