"""The relation graph of a date: who moves with whom, who moved before whom, who is of one sector.

Belongs here: trailing correlations and the edges chosen from them, in plain numpy. Does not belong
here: anything learned (`networks.learned_relation`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from btq_assets.timeline import FILL_LAG_SESSIONS

#: Pseudo-observations of zero correlation added to each pair (shrinkage n / (n + PRIOR)).
PRIOR_SESSIONS = 20

#: Relations whose edges are computed from the past of returns, or known.
STATIC_RELATIONS = ("correlation", "lead_lag", "sector")

#: All there are; ``learned`` is found by the network itself, between the states of its nodes.
RELATIONS = (*STATIC_RELATIONS, "learned")

#: What a graph is made of unless told otherwise.
DEFAULT_RELATIONS = ("correlation", "lead_lag")


def n_attributes(relations: Collection[str], *, typed: bool) -> int:
    """Numbers on an edge: both correlations and, if `typed`, one flag per static relation."""
    return 2 + (sum(name in relations for name in STATIC_RELATIONS) if typed else 0)


@dataclass(frozen=True)
class DateGraph:
    """Directed edges among the assets of one date.

    Parameters
    ----------
    edges
        ``(2, E)`` int64: source and target asset. Every node has a loop to itself.
    attributes
        ``(E, A)`` float32: shrunk trailing correlation of session returns, and shrunk correlation
        of the source's return with the target's following fill-to-fill return, 0 where the graph
        has no such relation. Typed edges have a flag besides for each static relation of the
        graph, in the order of `STATIC_RELATIONS`: 1 where that relation made the edge. A loop was
        made by none.
    """

    edges: np.ndarray
    attributes: np.ndarray


def relation_graph(
    returns: np.ndarray,
    present: np.ndarray,
    at: int,
    *,
    window: int,
    neighbours: int,
    horizon_sessions: int,
    relations: Collection[str] = DEFAULT_RELATIONS,
    sectors: np.ndarray | None = None,
    typed: bool = False,
) -> DateGraph:
    """Edges at session `at`, from returns up to and including it.

    Into each asset lead the `neighbours` assets with the largest absolute correlation, and half
    as many (at least one) whose return was most correlated with what the asset returned from the
    fill after it to the fill `horizon_sessions` later. The latter pairs are known only once that
    return is filled, so they end ``1 + horizon`` sessions before `at`. All assets of one sector
    lead into each other.

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
    relations
        Some of `RELATIONS`; none leaves the loops.
    sectors
        ``(T, N)`` number of the sector each asset was in, negative where not known; ``None`` knows
        none, and then there are no such edges.
    typed
        Whether edges say which relations made them.
    """
    live = np.flatnonzero(present[at])
    recent = returns[max(at - window + 1, 0) : at + 1]
    together = np.zeros((returns.shape[1],) * 2)
    leads = np.zeros_like(together)
    made = {name: np.zeros(together.shape, dtype=bool) for name in STATIC_RELATIONS}
    if "correlation" in relations:
        together = shrunk_correlation(recent, recent)
        _strongest_into(made["correlation"], together, live, neighbours)
    if "lead_lag" in relations:
        leads = _lead_lag(recent, horizon_sessions)
        _strongest_into(made["lead_lag"], leads, live, max(neighbours // 2, 1))
    if "sector" in relations and sectors is not None:
        of = np.where(present[at], sectors[at], -1)
        made["sector"] = (of[:, None] == of) & (of >= 0)
        np.fill_diagonal(made["sector"], False)
    chosen = np.any(list(made.values()), axis=0)
    chosen[live, live] = True
    source, target = np.nonzero(chosen)
    values = [together, leads, *(made[name] for name in STATIC_RELATIONS if name in relations)]
    attributes = [value[source, target] for value in values[: n_attributes(relations, typed=typed)]]
    return DateGraph(np.stack([source, target]), np.stack(attributes, axis=1).astype(np.float32))


def _lead_lag(recent: np.ndarray, horizon_sessions: int) -> np.ndarray:
    """Correlation of each source's return with each target's following return; 0 if too short."""
    if len(recent) <= FILL_LAG_SESSIONS + horizon_sessions + 1:
        return np.zeros((recent.shape[1],) * 2)
    following = forward_sums(recent, horizon_sessions)
    return shrunk_correlation(recent[: len(following)], following)


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
    order = np.argsort(-among, axis=0, kind="stable")[:neighbours]
    place, target = np.nonzero(np.take_along_axis(among, order, axis=0) > 0)
    chosen[live[order[place, target]], live[target]] = True
