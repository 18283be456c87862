"""A portfolio stepped from decision to decision by the engine's own accounting.

Belongs here: the state between two decisions. Does not belong here: any rule of filling or
charging; those are the engine's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from btq_assets.agents.market import TradingMarket
from btq_assets.engine.simulation import DELIST_AFTER_MISSING, rebalance, target_shares


@dataclass(frozen=True)
class HoldingPeriod:
    """What happened between two decisions.

    Parameters
    ----------
    net_return
        Equity at the second decision over equity at the first, less one.
    cost
        Commission and spread over equity at the first decision.
    turnover
        Value traded over equity at the first decision.
    daily_equity
        ``float64[next_row - row]``, equity at each session after the first decision.
    """

    net_return: float
    cost: float
    turnover: float
    daily_equity: np.ndarray


class Account:
    """Cash and shares of one portfolio in one market.

    Parameters
    ----------
    market
        Prices and costs.
    initial_cash
        Currency.
    """

    def __init__(self, market: TradingMarket, initial_cash: float) -> None:
        self.market = market
        self.cash = float(initial_cash)
        self.shares = np.zeros(len(market.symbols))
        self.marks, self._age = last_prices(market.prices)
        self._gaps = bool((self._age >= DELIST_AFTER_MISSING).any())
        n_symbols = len(market.symbols)
        self._no_fee, self._unknown_impact = np.zeros(n_symbols), np.full(n_symbols, np.nan)

    def equity(self, row: int) -> float:
        """Cash and holdings at the last price known at session `row`."""
        return self.cash + float(np.nan_to_num(self.marks[row]) @ self.shares)

    def weights(self, row: int) -> np.ndarray:
        """``float64[N]``: each holding over equity at session `row`."""
        return np.nan_to_num(self.marks[row]) * self.shares / self.equity(row)

    def hold(self, weights: np.ndarray, row: int, next_row: int) -> HoldingPeriod:
        """Decide `weights` at session `row`, fill at ``row + 1``, and hold until `next_row`.

        Shares are sized from equity and prices at `row`; the fill may therefore miss the weight,
        and buys are scaled to the cash at hand, as in `engine.simulation.simulate`.
        """
        before = self.equity(row)
        wanted = target_shares(np.ascontiguousarray(weights), before, self.marks[row])
        self._settle(row + 1)
        self.cash, traded, cost, *_ = rebalance(
            self.shares,
            self.cash,
            wanted,
            self.market.prices[row + 1],
            self.market.half_spread[row + 1],
            self.market.commission,
            self._no_fee,
            self._unknown_impact,
            False,
            0.0,
        )
        daily = self._daily_equity(row + 1, next_row)
        return HoldingPeriod(daily[-1] / before - 1.0, cost / before, traded / before, daily)

    def _daily_equity(self, first: int, last: int) -> np.ndarray:
        if not self._gaps:
            return self.cash + np.nan_to_num(self.marks[first : last + 1]) @ self.shares
        daily = [self.equity(first)]
        for row in range(first + 1, last + 1):
            self._settle(row)
            daily.append(self.equity(row))
        return np.array(daily)

    def _settle(self, row: int) -> None:
        """Pay out positions in series that ended, at their last price, as the engine does."""
        if self._gaps:
            ended = (self._age[row] >= DELIST_AFTER_MISSING) & (self.shares != 0)
            self.cash += float(self.shares[ended] @ self.marks[row][ended])
            self.shares[ended] = 0.0


def last_prices(prices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Last known price and its age in sessions, for valuation only.

    Returns
    -------
    marks : numpy.ndarray
        ``float64[T, N]``; NaN before the first price.
    age : numpy.ndarray
        ``int64[T, N]``; zero where the price is today's.
    """
    rows = np.arange(len(prices))[:, None]
    known = np.where(np.isfinite(prices), rows, -1)
    newest = np.maximum.accumulate(known, axis=0)
    marks = np.where(newest >= 0, np.take_along_axis(prices, np.maximum(newest, 0), axis=0), np.nan)
    return np.ascontiguousarray(marks), np.where(newest >= 0, rows - newest, 0)
