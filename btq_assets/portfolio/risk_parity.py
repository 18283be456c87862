"""Equal risk contributions.

Belongs here: the equal-risk-contribution solver. Does not belong here: when it is applied.
"""

from __future__ import annotations

import numpy as np

from btq_assets.portfolio.panel import PortfolioError

_MAX_ITERATIONS = 200


def equal_risk_weights(covariance: np.ndarray) -> np.ndarray:
    """Long-only weights of which each contributes the same share of variance.

    Maillard, Roncalli and Teïletche (2010). Solved in the convex form of Spinu (2013):
    ``min_y n/2 y' R y - sum(log y)`` over correlations ``R``, by damped Newton steps (the
    objective is self-concordant, so they converge from anywhere); ``w_i`` is ``y_i / sigma_i``,
    scaled to sum to one.

    Parameters
    ----------
    covariance
        ``float64[N, N]``, any scale.

    Returns
    -------
    numpy.ndarray
        ``float64[N]``, > 0, summing to one.

    Raises
    ------
    PortfolioError
        A variance is not positive, or the matrix is not positive definite.
    """
    volatility = np.sqrt(np.diag(covariance))
    if not (volatility > 0).all():
        raise PortfolioError("equal risk contributions need a positive variance of every asset")
    n = len(volatility)
    scaled = n * covariance / np.outer(volatility, volatility)
    solution = np.full(n, 1.0 / np.sqrt(scaled.sum() / n)) if scaled.sum() > 0 else np.ones(n)
    for _ in range(_MAX_ITERATIONS):
        gradient = scaled @ solution - 1.0 / solution
        hessian = scaled + np.diag(1.0 / solution**2)
        try:
            step = np.linalg.solve(hessian, gradient)
        except np.linalg.LinAlgError:
            break
        decrement = float(np.sqrt(max(gradient @ step, 0.0)))
        solution = solution - step / (1.0 + decrement if decrement > 0.25 else 1.0)
        if not np.isfinite(solution).all() or (solution <= 0).any():
            break
        if decrement < 1e-12:
            weights = solution / volatility
            return weights / weights.sum()
    raise PortfolioError(
        "equal risk contributions did not converge: the covariance is not positive definite"
    )
