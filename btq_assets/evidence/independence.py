"""How many independent attempts a ledger of related trials amounts to.

Belongs here: clustering trial returns. Does not belong here: which trials compete.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from btq_assets.engine.metrics import calculate_sharpe


class IndependenceError(ValueError):
    """Too few trials or returns, or a trial without variance."""


@dataclass(frozen=True)
class EffectiveTrials:
    """Independent attempts among related ones.

    Attributes
    ----------
    n_clusters
        Clusters of trials: the effective number of trials.
    clusters
        Cluster of each trial, int64, shape ``(n_trials,)``, numbered from 0 by first appearance.
    silhouette
        Mean over standard deviation of the silhouettes at that number; nan for one cluster.
    spectral
        Exponential of the entropy of the correlation matrix's eigenvalues divided by their sum:
        another count, without clusters.
    sharpe_variance
        Variance (ddof 1) over clusters of the per-period Sharpe ratio of each cluster's
        inverse-variance portfolio; nan for one cluster.
    """

    n_clusters: int
    clusters: NDArray[np.int64]
    silhouette: float
    spectral: float
    sharpe_variance: float


def effective_trials(returns: ArrayLike, *, maximum: int = 50) -> EffectiveTrials:
    """Cluster trials by the correlation of their returns.

    Lopez de Prado & Lewis (2019), "Detection of false investment strategies using unsupervised
    learning methods", Quantitative Finance 19, with one difference: clusters come from average
    linkage on the distance ``sqrt((1 - rho) / 2)`` instead of k-means, so that no random start
    decides. The number of clusters is that with the largest mean silhouette over its standard
    deviation (their equation 6); trials whose correlations are all above 0.95 are one.

    Parameters
    ----------
    returns
        Simple returns per period, shape ``(n_returns, n_trials)``, no missing value.
    maximum
        Clusters tried at most.

    Raises
    ------
    IndependenceError
        No trial, fewer than three returns, a missing value, or a constant trial.
    """
    matrix = np.asarray(returns, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] < 1 or len(matrix) < 3:
        raise IndependenceError(f"shape {matrix.shape}: needs three returns of one trial or more")
    if not np.isfinite(matrix).all():
        raise IndependenceError("a return is missing; use the days all trials have")
    if (matrix.std(axis=0) <= 1e-15).any():
        raise IndependenceError("a trial has constant returns and no correlation; leave it out")
    n_trials = matrix.shape[1]
    if n_trials == 1:
        return EffectiveTrials(1, np.zeros(1, dtype=np.int64), np.nan, 1.0, np.nan)
    correlation = np.clip(np.corrcoef(matrix, rowvar=False), -1.0, 1.0)
    clusters, silhouette = _clusters(correlation, maximum)
    return EffectiveTrials(
        n_clusters=int(clusters.max()) + 1,
        clusters=clusters,
        silhouette=silhouette,
        spectral=_spectral(correlation),
        sharpe_variance=_sharpe_variance(matrix, clusters),
    )


def _clusters(correlation: NDArray[np.float64], maximum: int) -> tuple[NDArray[np.int64], float]:
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform
    from sklearn.metrics import silhouette_samples

    n = len(correlation)
    distance = np.sqrt((1 - correlation) / 2)
    np.fill_diagonal(distance, 0.0)
    distance = (distance + distance.T) / 2
    if correlation.min() > 0.95:
        return np.zeros(n, dtype=np.int64), np.nan
    if n == 2:
        return np.arange(2, dtype=np.int64), np.nan
    tree = linkage(squareform(distance, checks=False), method="average")
    best, labels = -np.inf, np.arange(n)
    for k in range(2, min(n - 1, maximum) + 1):
        found = fcluster(tree, k, criterion="maxclust")
        if len(np.unique(found)) < 2:
            continue
        values = silhouette_samples(distance, found, metric="precomputed")
        spread = float(values.std())
        quality = float(values.mean()) / spread if spread > 0 else np.inf
        if quality > best:
            best, labels = quality, found
    # Nothing groups better than by chance: each trial is its own attempt.
    if best <= 0:
        labels = np.arange(n)
    return _numbered(labels), best


def _numbered(labels: NDArray) -> NDArray[np.int64]:
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))
    return order[inverse].astype(np.int64)


def _spectral(correlation: NDArray[np.float64]) -> float:
    values = np.linalg.eigvalsh(correlation)
    share = values[values > 1e-12] / values[values > 1e-12].sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def _sharpe_variance(matrix: NDArray[np.float64], clusters: NDArray[np.int64]) -> float:
    sharpes = []
    for cluster in range(int(clusters.max()) + 1):
        members = matrix[:, clusters == cluster]
        weights = 1 / members.var(axis=0, ddof=1)
        series = members @ (weights / weights.sum())
        sharpes.append(calculate_sharpe(series, 1))
    return float(np.var(sharpes, ddof=1)) if len(sharpes) > 1 else np.nan
