"""Weights by skill, drawn towards equal weights as far as skill cannot be told from luck.

Belongs here: information coefficients of members and the weights they justify. Does not belong here:
regressions (`stacking`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from btq_assets.models import scores
from btq_assets.models.ensembles.evidence import Evidence, evidence_of
from btq_assets.models.forecaster import ModelError

#: Fewer dates have no usable variance of an information coefficient.
MINIMUM_DATES = 10


@dataclass(frozen=True)
class SkillWeights:
    """Weights by shrunk information coefficients.

    Parameters
    ----------
    weights
        One per member, adding up to one.
    rank_ics
        Mean rank IC of each member, out of sample.
    shrinkage
        0 trusts the ICs, 1 gives equal weights.
    n_dates
        Dates behind the ICs.
    fitted_until
        Last fill behind any label used.
    """

    weights: tuple[float, ...]
    rank_ics: tuple[float, ...]
    shrinkage: float
    n_dates: int
    fitted_until: datetime


def skill_weights(
    forecasts: Sequence[pl.DataFrame], labels: pl.DataFrame, *, until: datetime
) -> SkillWeights:
    r"""Weights in proportion to information coefficients shrunk towards their mean.

    Let :math:`c_k` be the mean rank IC of member :math:`k` of :math:`K` over the dates all of them
    have, :math:`\bar c` the mean of these, :math:`s^2 = \sum_k (c_k - \bar c)^2 / (K - 1)`, and
    :math:`V` the covariance of the :math:`c_k` (Newey and West 1987, as many lags as labels
    overlap). Sampling alone makes :math:`s^2` as large as
    :math:`v = (\mathrm{tr} V - 1'V1 / K) / (K - 1)`. With :math:`B = \min(1, v / s^2)`,

    .. math:: w_k \propto \max\{0,\; B \bar c + (1 - B)\, c_k\},

    the empirical Bayes estimate of Efron and Morris (1975), as Diebold and Pauly (1990) shrink
    weights of combined forecasts. Where no term is cut at 0 this is
    :math:`w_k = B / K + (1 - B)\, c_k / \sum_j c_j`. Weights in proportion to ICs are the best
    linear combination of uncorrelated standardised forecasts.

    Parameters
    ----------
    forecasts
        One frame per member: ``universe``, ``symbol``, ``ts``, ``forecast``, ``fitted_until``;
        refused unless out of sample.
    labels
        ``universe``, ``symbol``, ``ts``, ``label``, ``label_end_ts``.
    until
        First decision the weights will be used for; labels filled later are left out.

    Raises
    ------
    InSampleError
        A forecast whose fit had seen labels filled after the decision.
    ModelError
        Fewer than ``MINIMUM_DATES`` common dates, or no member with a positive shrunk IC: no weights
        are better than none.
    """
    return weights_from(evidence_of(forecasts, labels, until))


def weights_from(evidence: Evidence) -> SkillWeights:
    """`skill_weights` of evidence already laid out."""
    series = _rank_ics(evidence)
    n_dates = len(series)
    if n_dates < MINIMUM_DATES:
        raise ModelError(
            f"{n_dates} date(s) on which every member has a rank IC; weights by skill need at least "
            f"{MINIMUM_DATES}"
        )
    mean = series.mean(axis=0)
    shrinkage = shrinkage_of(mean, covariance_of_mean(series, evidence.overlap))
    shrunk = shrinkage * mean.mean() + (1 - shrinkage) * mean
    positive = np.maximum(shrunk, 0.0)
    if positive.sum() <= 0:
        raise ModelError(
            f"no member has a positive shrunk rank IC (rank ICs {np.round(mean, 4).tolist()} over "
            f"{n_dates} dates): there is no skill to weigh by; use equal weights, or no ensemble"
        )
    return SkillWeights(
        weights=tuple((positive / positive.sum()).tolist()),
        rank_ics=tuple(mean.tolist()),
        shrinkage=shrinkage,
        n_dates=n_dates,
        fitted_until=evidence.fitted_until,
    )


def covariance_of_mean(series: np.ndarray, lags: int) -> np.ndarray:
    """Covariance of column means of ``(T, K)`` dependent rows (Newey and West 1987, eq. 5)."""
    n = len(series)
    centred = series - series.mean(axis=0)
    total = centred.T @ centred
    for lag in range(1, min(lags, n - 1) + 1):
        moved = centred[lag:].T @ centred[:-lag]
        total = total + (1 - lag / (lags + 1)) * (moved + moved.T)
    return np.asarray(total / n**2)


def shrinkage_of(means: np.ndarray, covariance: np.ndarray) -> float:
    """Share of the spread of `means` that sampling alone explains, at most 1; see `skill_weights`."""
    k = len(means)
    if k == 1:
        return 0.0
    spread = float(means.var(ddof=1))
    noise = float((np.trace(covariance) - covariance.sum() / k) / (k - 1))
    return 1.0 if spread <= noise else max(noise / spread, 0.0)


def _rank_ics(evidence: Evidence) -> np.ndarray:
    """``(T, K)`` rank IC of each member on the dates on which every one has one."""
    rows = evidence.rows
    found: pl.DataFrame | None = None
    for number in range(evidence.members.shape[1]):
        name = f"member_{number}"
        frame = rows.select("universe", "symbol", "ts", pl.col(name).alias("forecast"))
        one = scores.rank_ic_by_date(frame, rows).select("ts", pl.col("rank_ic").alias(name))
        found = one if found is None else found.join(one, on="ts")
    assert found is not None
    return found.drop_nulls().sort("ts").drop("ts").to_numpy()
