"""Figures of a return series beside a benchmark's.

Belongs here: figures of two paired series. Does not belong here: regressions on several factors
(the backtest room).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from btq_assets.engine.metrics.ratios import calculate_sharpe
from btq_assets.engine.metrics.series import PERIODS_PER_YEAR, deviation, pairs


def calculate_information_ratio(
    returns: Any, benchmark_returns: Any, periods_per_year: float = PERIODS_PER_YEAR
) -> float:
    """Annualised information ratio, ``mean(r - b) / std(r - b) * sqrt(periods_per_year)``.

    Grinold and Kahn (2000), *Active Portfolio Management*, 2nd ed., ch. 5, with active return in
    place of residual return.

    Parameters
    ----------
    returns, benchmark_returns
        Simple returns of the same periods, same length. A period missing in either is left out.

    Raises
    ------
    EngineError
        The two differ in length.
    """
    own, benchmark = pairs(returns, benchmark_returns)
    return calculate_sharpe(own - benchmark, periods_per_year)


def tracking_error(
    returns: Any, benchmark_returns: Any, periods_per_year: float = PERIODS_PER_YEAR
) -> float:
    """Annualised deviation of active returns, ``std(r - b) * sqrt(periods_per_year)``.

    Grinold and Kahn (2000), ch. 3.

    Returns
    -------
    float
        NaN below two pairs, or where the active return is constant.
    """
    own, benchmark = pairs(returns, benchmark_returns)
    return deviation(own - benchmark) * float(np.sqrt(periods_per_year))


def beta(returns: Any, benchmark_returns: Any) -> float:
    """Slope on the benchmark, ``cov(r, b) / var(b)`` (Sharpe, 1964).

    A constant rate without risk changes neither; it is left out.

    Returns
    -------
    float
        NaN below two pairs or where the benchmark is constant.
    """
    own, benchmark = pairs(returns, benchmark_returns)
    if np.isnan(deviation(benchmark)):
        return float("nan")
    if np.isnan(deviation(own)):
        return 0.0  # constant: what the sums leave is rounding
    centred = benchmark - benchmark.mean()
    return float(centred @ (own - own.mean()) / (centred @ centred))


def alpha_annual(
    returns: Any,
    benchmark_returns: Any,
    periods_per_year: float = PERIODS_PER_YEAR,
    risk_free_rate: float = 0.0,
) -> float:
    """Jensen's alpha, ``(mean(r - rf) - beta * mean(b - rf)) * periods_per_year``.

    Jensen (1968), eq. 8: the intercept of the regression, annualised by the number of periods and
    not compounded.

    Parameters
    ----------
    risk_free_rate
        Annual, simple; divided by `periods_per_year`.
    """
    own, benchmark = pairs(returns, benchmark_returns)
    slope = beta(own, benchmark)
    if np.isnan(slope):
        return float("nan")
    free = risk_free_rate / periods_per_year
    return float((own.mean() - free - slope * (benchmark.mean() - free)) * periods_per_year)


def treynor_ratio(
    returns: Any,
    benchmark_returns: Any,
    periods_per_year: float = PERIODS_PER_YEAR,
    risk_free_rate: float = 0.0,
) -> float:
    """Mean excess return a year over beta (Treynor, 1965); NaN where beta is 0 or undefined."""
    own, benchmark = pairs(returns, benchmark_returns)
    slope = beta(own, benchmark)
    if np.isnan(slope) or slope == 0:
        return float("nan")
    return float((own.mean() * periods_per_year - risk_free_rate) / slope)


def _capture(own: np.ndarray, benchmark: np.ndarray, chosen: np.ndarray) -> float:
    if not chosen.any() or (own[chosen] <= -1).any() or (benchmark[chosen] <= -1).any():
        return float("nan")
    theirs = np.expm1(np.log1p(benchmark[chosen]).mean())
    return float(np.expm1(np.log1p(own[chosen]).mean()) / theirs)


def up_capture(returns: Any, benchmark_returns: Any) -> float:
    """Geometric mean return over that of the benchmark, in the periods the benchmark rose.

    Morningstar (2011), *Upside/downside capture ratio*, per period: no power of the number of
    periods in a year, which would turn a ratio of 1.1 into thousands.

    Returns
    -------
    float
        1 is as much as the benchmark; NaN without such a period.
    """
    own, benchmark = pairs(returns, benchmark_returns)
    return _capture(own, benchmark, benchmark > 0)


def down_capture(returns: Any, benchmark_returns: Any) -> float:
    """The same in the periods the benchmark fell; below 1 is less loss than the benchmark."""
    own, benchmark = pairs(returns, benchmark_returns)
    return _capture(own, benchmark, benchmark < 0)


def capture_ratio(returns: Any, benchmark_returns: Any) -> float:
    """`up_capture` over `down_capture`; NaN where one is undefined or the second is 0."""
    down = down_capture(returns, benchmark_returns)
    return up_capture(returns, benchmark_returns) / down if down else float("nan")
