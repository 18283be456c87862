"""What a window of returns says of a universe: shrunk correlations, graph, clusters, leads.

Belongs here: functions of one window of complete returns, as arrays. Does not belong here: which
windows are looked at, and rows (`cross_asset_structure`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Lags of the lagged correlations, sessions.
LAGS = 5


@dataclass(frozen=True)
class Leads:
    """Who moves first, ``(M,)`` and ``(M, M)``.

    Parameters
    ----------
    levy, correlation
        Net lead of each asset, positive for leaders.
    pull
        ``pull[j, i]``: weight of j's last return in what its past says of i's next; the absolute
        weights of a column sum to 1, the diagonal is 0.
    """

    levy: Floats
    correlation: Floats
    pull: Floats


def standardised(returns: Floats) -> Floats:
    """Columns less their means, over their deviations (divisor n)."""
    centred = returns - returns.mean(axis=0)
    return centred / centred.std(axis=0)


def ledoit_wolf(z: Floats) -> float:
    """Shrinkage of the covariance towards a scaled identity, Ledoit and Wolf (2004), section 3.3.

    Parameters
    ----------
    z
        ``(n, M)`` centred observations.

    Returns
    -------
    float
        Weight of the identity, 0 to 1.
    """
    n, m = z.shape
    sample = z.T @ z / n
    mean = np.trace(sample) / m
    distance = ((sample - mean * np.eye(m)) ** 2).sum() / m
    noise = (((z**2).T @ (z**2)).sum() / n - (sample**2).sum()) / (m * n)
    return float(min(noise, distance) / distance) if distance > 0 else 1.0


def oracle_approximation(z: Floats) -> float:
    """The same by Chen, Wiesel, Eldar and Hero (2010), as scikit-learn's OAS computes it."""
    n, m = z.shape
    sample = z.T @ z / n
    mean = np.trace(sample) / m
    spread = (sample**2).mean()
    denominator = (n + 1) * (spread - mean**2 / m)
    return float(min((spread + mean**2) / denominator, 1.0)) if denominator > 0 else 1.0


def shrunk_correlation(z: Floats, shrinkage: float) -> Floats:
    """Correlations of standardised columns, shrunk towards none."""
    found = np.clip((1 - shrinkage) * (z.T @ z) / z.shape[0], -1.0, 1.0)
    np.fill_diagonal(found, 1.0)
    return found


def network_degree(correlation: Floats, window: int) -> Floats:
    """Share of the others with an absolute correlation above ``2 / sqrt(window)``."""
    tied = np.abs(correlation) > 2 / math.sqrt(window)
    return (tied.sum(axis=1) - 1) / (correlation.shape[0] - 1)


def network_entropy(correlation: Floats) -> Floats:
    """Entropy of each asset's absolute correlations with the others over its largest value."""
    ties = np.abs(correlation)
    np.fill_diagonal(ties, 0.0)
    total = ties.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = ties / total
        terms = np.where(share > 0, -share * np.log(share), 0.0)
        return np.where(total[:, 0] > 0, terms.sum(axis=1) / np.log(len(ties) - 1), np.nan)


def distances(correlation: Floats) -> Floats:
    """``sqrt((1 - rho) / 2)``: 0 for equal, 1 for opposite moves; Mantegna (1999), over 2."""
    found = np.sqrt(np.clip((1 - correlation) / 2, 0.0, 1.0))
    np.fill_diagonal(found, 0.0)
    return found


def _all_alike(distance: Floats) -> bool:
    """Whether three assets or more are equally far from one another, as after full shrinkage.

    Any tree is a shortest one then and any split the best: which is found would hang on names.
    """
    n = distance.shape[0]
    apart = distance[~np.eye(n, dtype=bool)]
    return n > 2 and bool(np.ptp(apart) <= 1e-12)


def spanning_tree_degree(distance: Floats) -> Floats:
    """Share of the others an asset touches in the minimum spanning tree, Mantegna (1999).

    NaN where all distances are equal.
    """
    n = distance.shape[0]
    if _all_alike(distance):
        return np.full(n, np.nan)
    degree = np.zeros(n)
    inside = np.zeros(n, dtype=bool)
    inside[0] = True
    nearest, link = distance[0].copy(), np.zeros(n, dtype=np.int64)
    for _ in range(n - 1):  # Prim (1957): unlike a sparse tree, zero distances are edges too
        joining = int(np.argmin(np.where(inside, np.inf, nearest)))
        inside[joining] = True
        degree[[joining, link[joining]]] += 1
        closer = distance[joining] < nearest
        nearest[closer] = distance[joining][closer]
        link[closer] = joining
    return degree / (n - 1)


def clusters(distance: Floats) -> NDArray[np.int64]:
    """Cluster of each asset, 0 first: average linkage, ``max(2, round(sqrt(M / 2)))`` of them.

    One where all distances are equal.
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    n = distance.shape[0]
    if _all_alike(distance):
        return np.zeros(n, dtype=np.int64)
    tree = linkage(squareform(distance, checks=False), "average")
    wanted = max(2, round(math.sqrt(n / 2)))
    return np.asarray(fcluster(tree, wanted, "maxclust"), dtype=np.int64) - 1


def cluster_distances(distance: Floats, label: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    """Mean distance to the own and to the nearest other cluster, and the silhouette.

    Rousseeuw (1987). An asset alone in its cluster has no own distance and a silhouette of 0.
    """
    member = (label[:, None] == np.arange(label.max() + 1)).astype(np.float64)
    size = member.sum(axis=0)
    total = distance @ member
    own_size = size[label]
    rows = np.arange(label.size)
    alone = own_size < 2
    own = np.where(alone, np.nan, total[rows, label] / np.maximum(own_size - 1, 1))
    mean = total / size
    mean[rows, label] = np.inf
    nearest = mean.min(axis=1)
    nearest = np.where(np.isfinite(nearest), nearest, np.nan)
    larger = np.fmax(own, nearest)
    with np.errstate(invalid="ignore", divide="ignore"):
        silhouette = np.where(alone, 0.0, np.where(larger > 0, (nearest - own) / larger, 0.0))
    return own, nearest, silhouette


def cluster_overlap(
    label: NDArray[np.int64],
    members: NDArray[np.int64],
    label_before: NDArray[np.int64],
    members_before: NDArray[np.int64],
) -> Floats:
    """Overlap of each asset's cluster with the one before it is matched with.

    Clusters of two dates are matched one to one so that they share most members (Kuhn 1955,
    Munkres 1957); the overlap is that of Jaccard (1901), shared members over all of either. A
    cluster without a match has 0.

    Parameters
    ----------
    label, members
        Cluster and asset number of each asset at a date.
    label_before, members_before
        The same at the date before.
    """
    from scipy.optimize import linear_sum_assignment

    sets = [set(members[label == k].tolist()) for k in range(label.max() + 1)]
    before = [
        set(members_before[label_before == k].tolist()) for k in range(label_before.max() + 1)
    ]
    shared = np.array([[len(a & b) for b in before] for a in sets])
    found = np.zeros(len(sets))
    for ours, theirs in zip(*linear_sum_assignment(-shared), strict=True):
        found[ours] = shared[ours, theirs] / len(sets[ours] | before[theirs])
    return found[label]


def leads(z: Floats) -> Leads:
    """Who leads whom in a window of standardised returns.

    Levy area: ``A[i, j] = sum over t of (X[t-1, i] z[t, j] - X[t-1, j] z[t, i]) / (2 n)``, ``X`` the
    running sum of z; positive where i moves first and j follows the same way. Lagged correlations:
    ``S[i, j]`` the sum over 5 lags of ``|corr(z[t-l, i], z[t, j])|``, the lead of i over j
    ``(S[i, j] - S[j, i]) / (S[i, j] + S[j, i])``. Both after Bennett, Cucuringu and Reinert (2022);
    an asset's net lead is the mean over the others.

    Parameters
    ----------
    z
        ``(n, M)``, n above `LAGS`, M at least 2.
    """
    n, m = z.shape
    before = np.cumsum(z, axis=0) - z
    moment = before.T @ z / n
    area = (moment - moment.T) / 2
    strength = np.zeros((m, m))
    for lag in range(1, LAGS + 1):
        lagged = z[:-lag].T @ z[lag:] / n
        strength += np.abs(lagged)
        if lag == 1:
            pull = lagged.copy()
    both = strength + strength.T
    with np.errstate(invalid="ignore", divide="ignore"):
        net = np.where(both > 0, (strength - strength.T) / both, 0.0)
    np.fill_diagonal(pull, 0.0)
    weight = np.abs(pull).sum(axis=0)
    pull = np.where(weight > 0, pull / np.where(weight > 0, weight, 1.0), 0.0)
    return Leads(area.sum(axis=1) / (m - 1), net.sum(axis=1) / (m - 1), pull)


def n_factors(n_assets: int) -> int:
    """Factors kept: a quarter of the assets, 1 to 3."""
    return max(1, min(3, n_assets // 4))


def loadings(z: Floats) -> Floats:
    """Leading eigenvectors of the correlations of standardised columns, ``(M, K)``."""
    _, vectors = np.linalg.eigh(z.T @ z / z.shape[0])
    return vectors[:, ::-1][:, : n_factors(z.shape[1])]


def residuals(z: Floats, vectors: Floats) -> Floats:
    """What of standardised returns the factors leave, row by row.

    Parameters
    ----------
    z
        ``(S, M)``; rows may have gaps: factor returns are then fitted on the assets there are.
    vectors
        Output of `loadings`.

    Returns
    -------
    numpy.ndarray
        ``(S, M)``, NaN in gaps, and in rows with no more assets than factors.
    """
    found = np.full(z.shape, np.nan)
    present = np.isfinite(z)
    whole = present.all(axis=1)
    found[whole] = z[whole] - (z[whole] @ vectors) @ vectors.T
    for row in np.flatnonzero(~whole):
        there = present[row]
        if there.sum() > vectors.shape[1]:
            factor = np.linalg.lstsq(vectors[there], z[row, there], rcond=None)[0]
            found[row, there] = z[row, there] - vectors[there] @ factor
    return found


def absorption_ratio(covariance: Floats) -> Floats:
    """Share of the variance that the leading fifth of the components explains.

    Kritzman, Li, Page and Rigobon (2011), equation 1, with equal weights over the window.

    Parameters
    ----------
    covariance
        ``(S, M, M)``.

    Returns
    -------
    numpy.ndarray
        ``(S,)``.
    """
    values = np.clip(np.linalg.eigvalsh(covariance), 0.0, None)
    kept = max(1, round(values.shape[-1] / 5))
    return values[:, -kept:].sum(axis=1) / values.sum(axis=1)
