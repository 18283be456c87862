"""Performance figures of a return series, an equity path or a list of trades.

Belongs here: one function a figure, its formula and where it comes from. Does not belong here:
intervals and tests (the evidence room), tables (the backtest room).

Conventions: returns are simple returns per period; missing periods (NaN, null) are left out;
standard deviations divide by ``n - 1``; a figure that is undefined is NaN, never 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from btq_assets.engine.errors import EngineError

PERIODS_PER_YEAR = 252

#: A deviation this small relative to the values is rounding: the series is constant.
_CONSTANT = 1e-14


def _series(values: Any, name: str) -> np.ndarray:
    array = np.asarray(
        values.to_numpy() if hasattr(values, "to_numpy") else values, dtype=float
    ).ravel()
    if np.isinf(array).any():
        raise EngineError(f"{name} holds an infinite value at position {np.isinf(array).argmax()}")
    return array[~np.isnan(array)]


def _deviation(values: np.ndarray) -> float:
    """Sample standard deviation; NaN below two values or when it is only rounding."""
    if values.size < 2:
        return float("nan")
    deviation = float(values.std(ddof=1))
    return deviation if deviation > _CONSTANT * np.abs(values).max() else float("nan")


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
    excess = _series(returns, "returns") - risk_free_rate / periods_per_year
    deviation = _deviation(excess)
    return float(excess.mean() / deviation * np.sqrt(periods_per_year)) if excess.size else np.nan


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
    excess = _series(returns, "returns") - target_return / periods_per_year
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
    values = _series(returns, "returns")
    if not values.size:
        return float("nan")
    if (values <= -1).any():
        return -1.0
    return float(np.expm1(np.log1p(values).sum() * periods_per_year / values.size))


def annual_volatility(returns: Any, periods_per_year: float = PERIODS_PER_YEAR) -> float:
    """Annualised volatility, ``std(r) * sqrt(periods_per_year)``; NaN below two returns."""
    values = _series(returns, "returns")
    if values.size < 2:
        return float("nan")
    return float(values.std(ddof=1) * np.sqrt(periods_per_year))


def max_drawdown(equity: Any) -> float:
    """Largest fall from an earlier peak, ``max(1 - equity / running maximum)``.

    Parameters
    ----------
    equity
        Positive values over time (not returns).

    Returns
    -------
    float
        Fraction, positive; 0 for a path that never falls; NaN without values.
    """
    values = _series(equity, "equity")
    if not values.size:
        return float("nan")
    if values[0] <= 0:
        raise EngineError(f"equity starts at {values[0]:g}; a drawdown needs a positive start")
    return float((1 - values / np.maximum.accumulate(values)).max())


def calculate_calmar(returns: Any, periods_per_year: float = PERIODS_PER_YEAR) -> float:
    """Calmar ratio, annual return over maximum drawdown.

    Young (1991), "Calmar Ratio: A Smoother Tool", here over the whole series instead of 36 months.
    The drawdown counts from the starting value.

    Returns
    -------
    float
        NaN without returns or without a drawdown.
    """
    values = _series(returns, "returns")
    if not values.size:
        return float("nan")
    drawdown = max_drawdown(np.concatenate([[1.0], np.cumprod(1 + values)]))
    return annual_return(values, periods_per_year) / drawdown if drawdown > 0 else float("nan")


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
    pair = [
        np.asarray(v.to_numpy() if hasattr(v, "to_numpy") else v, dtype=float).ravel()
        for v in (returns, benchmark_returns)
    ]
    if pair[0].size != pair[1].size:
        raise EngineError(
            f"{pair[0].size} returns against {pair[1].size} benchmark returns: pair them first"
        )
    return calculate_sharpe(pair[0] - pair[1], periods_per_year)


def calculate_mae(prices: Any, side: int = 1) -> float:
    """Maximum adverse excursion of one trade: its worst open loss as a fraction of entry price.

    Sweeney (1996), *Maximum Adverse Excursion*: ``max(0, max_t side * (p_0 - p_t) / p_0)``.

    Parameters
    ----------
    prices
        Prices from entry (first) to exit (last).
    side
        1 for a long trade, -1 for a short one.

    Returns
    -------
    float
        Fraction, 0 for a trade never under water; NaN without prices.

    Examples
    --------
    >>> calculate_mae([100.0, 90.0, 120.0])
    0.1
    """
    if side not in (1, -1):
        raise EngineError(f"side = {side!r}: 1 for long, -1 for short")
    values = _series(prices, "prices")
    if not values.size:
        return float("nan")
    if values[0] <= 0:
        raise EngineError(f"entry price {values[0]:g} must be positive")
    return max(0.0, float((side * (values[0] - values)).max() / values[0]))


def calculate_profit_factor(profits: Any) -> float:
    """Gross profit over gross loss, ``sum(max(p, 0)) / sum(max(-p, 0))``.

    Parameters
    ----------
    profits
        Profit of each trade (or return of each period), any unit.

    Returns
    -------
    float
        NaN without a loss.
    """
    values = _series(profits, "profits")
    losses = -values[values < 0].sum()
    return float(values[values > 0].sum() / losses) if losses > 0 else float("nan")


def calculate_expectancy(profits: Any) -> float:
    """Expected profit per trade, ``P(win) * mean win - P(loss) * mean loss``, the plain mean.

    Tharp (1998), *Trade Your Way to Financial Freedom*, ch. 7, in the unit of the input instead
    of multiples of initial risk.

    Returns
    -------
    float
        NaN without trades.
    """
    values = _series(profits, "profits")
    return float(values.mean()) if values.size else float("nan")


def win_rate(profits: Any) -> float:
    """Share of winners among trades (or periods) that were not flat; NaN when all were."""
    values = _series(profits, "profits")
    decided = np.count_nonzero(values)
    return float(np.count_nonzero(values > 0) / decided) if decided else float("nan")


def turnover_annual(turnover: Any, periods_per_year: float = PERIODS_PER_YEAR) -> float:
    """Traded value over equity per year, purchases and sales both counted.

    Parameters
    ----------
    turnover
        Traded value over equity of each period, zeros included.
    """
    values = _series(turnover, "turnover")
    return float(values.mean() * periods_per_year) if values.size else float("nan")


def adverse_excursions(shares: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """`calculate_mae` of every holding spell: from flat to flat, or to a change of side.

    Parameters
    ----------
    shares, marks
        ``float64[T, N]``, holdings and the prices they were valued at. A spell starts at the mark
        of its first bar.

    Returns
    -------
    numpy.ndarray
        One fraction per spell, asset by asset, open spells included.
    """
    found = []
    for held, price in zip(np.sign(shares).T, marks.T, strict=True):
        edges = np.flatnonzero(np.diff(held)) + 1
        for start, end in zip([0, *edges], [*edges, held.size], strict=True):
            if held[start] != 0:
                found.append(calculate_mae(price[start:end], int(held[start])))
    return np.array(found)
