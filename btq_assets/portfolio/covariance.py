"""Trailing shrunk covariance of daily returns.

Belongs here: the one covariance all portfolios of this room use. Does not belong here: weights.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from btq_assets.portfolio.panel import PortfolioError, PricePanel

SESSIONS_PER_YEAR = 252


def shrunk_covariance(returns: np.ndarray) -> np.ndarray:
    """Ledoit–Wolf covariance, shrunk towards a multiple of the identity.

    Ledoit and Wolf (2004), "A well-conditioned estimator for large-dimensional covariance
    matrices", as implemented by scikit-learn; means removed, divided by ``T``.

    Parameters
    ----------
    returns
        ``float64[T, N]``, daily simple returns without a gap.

    Returns
    -------
    numpy.ndarray
        ``float64[N, N]``, daily, symmetric.

    Raises
    ------
    PortfolioError
        Fewer than two returns, a missing one, or no variance at all.
    """
    from sklearn import config_context
    from sklearn.covariance import ledoit_wolf

    if returns.ndim != 2 or returns.shape[0] < 2 or returns.shape[1] < 1:
        raise PortfolioError(f"covariance of returns of shape {returns.shape}: need T >= 2, N >= 1")
    if not np.isfinite(returns).all():
        raise PortfolioError("covariance of returns with a gap; leave those assets out first")
    with config_context(assume_finite=True, skip_parameter_validation=True):  # looked at above
        covariance, _ = ledoit_wolf(returns)
    if not np.diag(covariance).max() > 0:
        raise PortfolioError(
            f"returns of {returns.shape[1]} asset(s) over {returns.shape[0]} sessions do not vary; "
            "prices are stale"
        )
    return covariance


def trailing_covariances(
    panel: PricePanel, rows: np.ndarray, window_sessions: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Covariance known at each decision.

    Parameters
    ----------
    rows
        ``int64[D]``, sessions of `panel`.
    window_sessions
        Daily returns in the window, the one that ends at the decision included.

    Yields
    ------
    investable : numpy.ndarray
        ``bool[N]``: symbols with the whole window and a price at the decision; the others get
        no weight.
    covariance : numpy.ndarray
        ``float64[n, n]`` daily covariance of the investable symbols.

    Raises
    ------
    PortfolioError
        No symbol has the whole window at a decision.
    """
    for row in rows:
        investable = panel.complete_history(int(row), window_sessions)
        if not investable.any():
            raise PortfolioError(
                f"{panel.universe} at {panel.stamps(np.array([row]))[0]}: no symbol has "
                f"{window_sessions} returns without a gap (portfolio.covariance_window_sessions)"
            )
        returns = panel.returns_until(int(row), window_sessions)[:, investable]
        yield investable, shrunk_covariance(returns)
