"""Figures of a list of trades: profits, excursions, the stake they justify.

Belongs here: figures of profits and of prices while a trade is open. Does not belong here: making
trades out of fills (`engine.round_trips`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from btq_assets.engine.errors import EngineError
from btq_assets.engine.metrics.series import series


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
    values = series(prices, "prices")
    if not values.size:
        return float("nan")
    if values[0] <= 0:
        raise EngineError(f"entry price {values[0]:g} must be positive")
    return max(0.0, float((side * (values[0] - values)).max() / values[0]))


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
    values = series(profits, "profits")
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
    values = series(profits, "profits")
    return float(values.mean()) if values.size else float("nan")


def win_rate(profits: Any) -> float:
    """Share of winners among trades (or periods) that were not flat; NaN when all were."""
    values = series(profits, "profits")
    decided = np.count_nonzero(values)
    return float(np.count_nonzero(values > 0) / decided) if decided else float("nan")


def calculate_mfe(prices: Any, side: int = 1) -> float:
    """Maximum favourable excursion of one trade: its best open profit over the entry price.

    Sweeney (1996): ``max(0, max_t side * (p_t - p_0) / p_0)``; `calculate_mae` of the other side.

    Examples
    --------
    >>> calculate_mfe([100.0, 90.0, 120.0])
    0.2
    """
    if side not in (1, -1):
        raise EngineError(f"side = {side!r}: 1 for long, -1 for short")
    return calculate_mae(prices, -side)


def payoff_ratio(profits: Any) -> float:
    """Mean win over mean loss; NaN without a win or without a loss."""
    values = series(profits, "profits")
    wins, losses = values[values > 0], values[values < 0]
    return float(wins.mean() / -losses.mean()) if wins.size and losses.size else float("nan")


def kelly_fraction(profits: Any) -> float:
    """Stake that grows fastest in two-valued bets, ``P(win) - P(loss) / payoff ratio``.

    Kelly (1956), eq. for unequal odds; flat trades are left out. The whole fraction, not half of
    it, and negative for a losing game.

    Returns
    -------
    float
        NaN without a win or without a loss.
    """
    payoff, wins = payoff_ratio(profits), win_rate(profits)
    return wins - (1 - wins) / payoff
