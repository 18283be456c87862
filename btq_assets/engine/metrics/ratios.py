"""Growth, and reward per unit of risk, of one return series.

Belongs here: figures of all periods' returns alone. Does not belong here: the shape of their
distribution (`shape`), paths (`drawdowns`), a benchmark (`relative`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from btq_assets.engine.metrics.series import PERIODS_PER_YEAR, deviation, series


def calculate_sharpe(
    returns: Any, periods_per_year: float = PERIODS_PER_YEAR, risk_free_rate: float = 0.0
) -> float:
    """Annualised Sharpe ratio, ``mean(r - rf) / std(r - rf) * sqrt(periods_per_year)``.

    Sharpe (1994), "The Sharpe Ratio", eq. 3-5; annualised by the square root of time, which
    assumes returns without serial correlation (Lo, 2002).

    Parameters
    ----------
    returns
        Simple returns per period.
    periods_per_year
        252 for daily sessions.
    risk_free_rate
        Annual, simple; divided by `periods_per_year`.

    Returns
    -------
    float
        NaN below two returns or without variation.

    Examples
    --------
    >>> round(calculate_sharpe([0.01, 0.03], periods_per_year=1), 6)
    1.414214
    """
    excess = series(returns, "returns") - risk_free_rate / periods_per_year
    spread = deviation(excess)
    return float(excess.mean() / spread * np.sqrt(periods_per_year)) if excess.size else np.nan


def calculate_sortino(
    returns: Any,
    periods_per_year: float = PERIODS_PER_YEAR,
    target_return: float = 0.0,
) -> float:
    """Annualised Sortino ratio, ``mean(r - T) / sqrt(mean(min(r - T, 0)^2)) * sqrt(periods)``.

    Sortino and Price (1994), "Performance Measurement in a Downside Risk Framework": the downside
    deviation is taken over all periods, not over the losing ones.

    Parameters
    ----------
    returns
        Simple returns per period.
    target_return
        Annual, simple; divided by `periods_per_year`.

    Returns
    -------
    float
        NaN without returns or without any below the target.
    """
    excess = series(returns, "returns") - target_return / periods_per_year
    if not excess.size:
        return float("nan")
    downside = float(np.sqrt(np.mean(np.minimum(excess, 0.0) ** 2)))
    if downside == 0.0:
        return float("nan")
    return float(excess.mean() / downside * np.sqrt(periods_per_year))


def annual_return(returns: Any, periods_per_year: float = PERIODS_PER_YEAR) -> float:
    """Compound annual growth, ``prod(1 + r) ** (periods_per_year / n) - 1``.

    Returns
    -------
    float
        NaN without returns; -1 after a total loss.
    """
    values = series(returns, "returns")
    if not values.size:
        return float("nan")
    if (values <= -1).any():
        return -1.0
    return float(np.expm1(np.log1p(values).sum() * periods_per_year / values.size))


def annual_volatility(returns: Any, periods_per_year: float = PERIODS_PER_YEAR) -> float:
    """Annualised volatility, ``std(r) * sqrt(periods_per_year)``; NaN below two returns."""
    values = series(returns, "returns")
    if values.size < 2:
        return float("nan")
    return float(values.std(ddof=1) * np.sqrt(periods_per_year))


def omega_ratio(
    returns: Any, periods_per_year: float = PERIODS_PER_YEAR, threshold: float = 0.0
) -> float:
    """Omega ratio, ``sum(max(r - T, 0)) / sum(max(T - r, 0))``.

    Keating and Shadwick (2002), "A Universal Performance Measure", over the sample.

    Parameters
    ----------
    threshold
        Annual, simple; divided by `periods_per_year`.

    Returns
    -------
    float
        NaN without a return below the threshold.
    """
    excess = series(returns, "returns") - threshold / periods_per_year
    losses = -excess[excess < 0].sum()
    return float(excess[excess > 0].sum() / losses) if losses > 0 else float("nan")


def gain_to_pain(returns: Any) -> float:
    """Sum of all returns over the sum of losses, ``sum(r) / sum(max(-r, 0))``.

    Schwager (2012), *Hedge Fund Market Wizards*, appendix A, there of monthly returns. It equals
    the Omega ratio at zero, less one.

    Returns
    -------
    float
        NaN without a loss.
    """
    values = series(returns, "returns")
    losses = -values[values < 0].sum()
    return float(values.sum() / losses) if losses > 0 else float("nan")


def downside_deviation(
    returns: Any, periods_per_year: float = PERIODS_PER_YEAR, target_return: float = 0.0
) -> float:
    """Annualised downside deviation, ``sqrt(mean(min(r - T, 0)^2) * periods_per_year)``.

    Sortino and Price (1994): over all periods, the denominator of `calculate_sortino`.

    Returns
    -------
    float
        0 when nothing fell below the target; NaN without returns.
    """
    excess = series(returns, "returns") - target_return / periods_per_year
    if not excess.size:
        return float("nan")
    return float(np.sqrt(np.mean(np.minimum(excess, 0.0) ** 2) * periods_per_year))


def stability(returns: Any) -> float:
    """R-squared of a straight line through the cumulative log returns.

    Returns
    -------
    float
        0 to 1; 1 is steady growth (or steady decay). NaN below three returns, without variation,
        or after a total loss.
    """
    values = series(returns, "returns")
    if values.size < 3 or (values <= -1).any():
        return float("nan")
    path = np.cumsum(np.log1p(values))
    if np.isnan(deviation(path)):
        return float("nan")
    return float(np.corrcoef(np.arange(path.size), path)[0, 1] ** 2)
