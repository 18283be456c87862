"""Hierarchical risk parity.

Belongs here: the call into skfolio with its choices stated, and when it is refreshed. Does not
belong here: a second implementation of the method.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.portfolio.panel import (
    PortfolioError,
    PricePanel,
    decisions_in_test,
    rows_since,
    targets_frame,
)
from btq_assets.risk.limits import cap_weights, limit_weights


def hrp_weights(returns: np.ndarray) -> np.ndarray:
    """Hierarchical risk parity weights (López de Prado 2016), through skfolio.

    Choices that change the answer: distance ``sqrt((1 - correlation) / 2)`` of the sample
    correlation, linkage on the condensed distances, Ward's method, optimal leaf order; risk is
    variance under the Ledoit–Wolf covariance; recursive bisection of the ordered leaves. The
    paper uses single linkage on distances of distances: its weights differ.

    Parameters
    ----------
    returns
        ``float64[T, N]``, without a gap.

    Returns
    -------
    numpy.ndarray
        ``float64[N]``, > 0, summing to one.

    Raises
    ------
    PortfolioError
        A return is missing, or an asset's returns do not vary.
    """
    from skfolio import RiskMeasure
    from skfolio.cluster import HierarchicalClustering, LinkageMethod
    from skfolio.distance import PearsonDistance
    from skfolio.moments import LedoitWolf
    from skfolio.optimization import HierarchicalRiskParity
    from skfolio.prior import EmpiricalPrior
    from skfolio.seriation import HierarchicalSeriation

    if not np.isfinite(returns).all():
        raise PortfolioError("hierarchical risk parity of returns with a gap")
    if not (returns.std(axis=0) > 0).all():
        raise PortfolioError("hierarchical risk parity needs returns that vary; a price is stale")
    if returns.shape[1] == 1:
        return np.ones(1)
    model = HierarchicalRiskParity(
        risk_measure=RiskMeasure.VARIANCE,
        prior_estimator=EmpiricalPrior(covariance_estimator=LedoitWolf()),
        distance_estimator=PearsonDistance(),
        seriation_estimator=HierarchicalSeriation(
            hierarchical_clustering_estimator=HierarchicalClustering(
                linkage_method=LinkageMethod.WARD
            )
        ),
    )
    return np.asarray(model.fit(returns).weights_, dtype=np.float64)


def refresh_positions(panel: PricePanel, rows: np.ndarray) -> np.ndarray:
    """``int64[D]``: position of the decision whose fit is in force (the first of its month)."""
    months = panel.stamps(rows).dt.truncate("1mo")
    fresh = (months != months.shift(1)).fill_null(True).to_numpy()
    return np.maximum.accumulate(np.where(fresh, np.arange(len(rows)), 0))


def hrp_targets(
    bars: pl.DataFrame,
    splits: pl.DataFrame,
    config: TradingConfig,
    *,
    since: datetime | None = None,
) -> pl.DataFrame:
    """Hierarchical risk parity at each test decision, refitted at the first one of each month.

    Between refits the same weights are wanted again; an asset whose price has stopped since
    gets none. Capped at ``trading.max_position_size``, the excess going to the others.

    Parameters
    ----------
    splits
        `models.splits`, for the test segments.
    since
        Only decisions at or after this time.

    Returns
    -------
    polars.DataFrame
        Rows of `portfolio.targets_hrp`, strategy ``hrp``.
    """
    panel = PricePanel.from_bars(bars, config.universe.main)
    rows = decisions_in_test(panel, splits, config.models.decision_every)
    window, limit = config.portfolio.covariance_window_sessions, config.trading.max_position_size
    fits = refresh_positions(panel, rows)
    chosen = np.flatnonzero(rows_since(panel, rows, since))
    weights = np.zeros((len(chosen), panel.n_symbols))
    fitted: dict[int, np.ndarray] = {}
    for place, decision in enumerate(chosen):
        fit_row = int(rows[fits[decision]])
        if fit_row not in fitted:
            fitted[fit_row] = _fit_at(panel, fit_row, window)
        priced = np.isfinite(panel.prices_until(int(rows[decision]), 1)[-1])
        capped = cap_weights(np.where(priced, fitted[fit_row], 0.0), limit)
        weights[place] = limit_weights(capped, limit, config.portfolio.max_gross_exposure)
    return targets_frame(panel, {"hrp": (rows[chosen], weights)})


def _fit_at(panel: PricePanel, row: int, window: int) -> np.ndarray:
    investable = panel.complete_history(row, window)
    if not investable.any():
        raise PortfolioError(
            f"{panel.universe} at {panel.stamps(np.array([row]))[0]}: no symbol has {window} "
            "returns without a gap (portfolio.covariance_window_sessions)"
        )
    weights = np.zeros(panel.n_symbols)
    weights[investable] = hrp_weights(panel.returns_until(row, window)[:, investable])
    return weights
