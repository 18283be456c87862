"""Target weights through the accounting: validate, walk the bars, prove the books.

Belongs here: the array interface of the engine and its result. Does not belong here: compiled
code (`kernel`), refusals of bad input (`inputs`), tables and strategies (the backtest room).

Event order at bar ``t`` (see docs/engine.md for a case worked by hand):

1. positions in series that ended are settled at their last price;
2. orders decided on bar ``t - 1`` fill at bar ``t``'s fill price, sells before buys, and pay
   their costs;
3. everything is valued at bar ``t``'s mark (or the last known one) and equity is recorded;
4. the decision of bar ``t`` is sized; it can fill at ``t + 1`` and no earlier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from btq_assets.engine.costs import BPS, CostModel
from btq_assets.engine.errors import EngineError
from btq_assets.engine.inputs import (
    checked_delistings,
    checked_panels,
    checked_targets,
    cost_panels,
)
from btq_assets.engine.kernel import FILL_DTYPE, rebalance, run_bars, target_shares

__all__ = ["Simulation", "ledger_equity", "rebalance", "simulate", "target_shares"]

#: Bars without a price after which a held series counts as ended.
DELIST_AFTER_MISSING = 21


@dataclass(frozen=True)
class Simulation:
    """What happened, bar by bar.

    Attributes
    ----------
    equity, cash : float64[T]
        Currency, after the fills of the bar.
    turnover : float64[T]
        Traded value over equity before the trades, both at fill prices.
    cost : float64[T]
        Commission, spread and impact paid at the bar, currency.
    shares : float64[T, N]
        Holdings after the fills of the bar.
    marks : float64[T, N]
        Prices the holdings were valued at: the bar's mark, or the last known one.
    oldest_mark : int64[T]
        Age in bars of the oldest price used to value a holding.
    fills : structured array
        ``bar``, ``decided_bar``, ``asset``, ``shares`` (signed), ``price`` (before costs),
        ``commission``, ``spread_cost``, ``impact_cost`` (NaN where unknown), ``reason``
        (0 rebalance, 1 delisted).
    n_rejected : int
        Orders refused for want of cash or price.
    n_refused_cash, n_unpriced : int
        The two parts of it.
    n_scaled_bars : int
        Bars at which buys were scaled to the cash at hand.
    n_ruined : int
        Decisions ignored because equity was not positive.
    identity_error : float
        Largest ``|equity - ledger_equity| / initial_cash or equity``, whichever is larger.
    notes : tuple of str
        What could not be modelled.
    """

    equity: np.ndarray
    cash: np.ndarray
    turnover: np.ndarray
    cost: np.ndarray
    shares: np.ndarray
    marks: np.ndarray
    oldest_mark: np.ndarray
    fills: np.ndarray
    n_rejected: int
    n_refused_cash: int
    n_unpriced: int
    n_scaled_bars: int
    n_ruined: int
    identity_error: float
    notes: tuple[str, ...]

    @property
    def returns(self) -> np.ndarray:
        """Simple return of equity over each bar, ``float64[T]``; NaN at the first."""
        returns = np.full(self.equity.size, np.nan)
        returns[1:] = self.equity[1:] / self.equity[:-1] - 1
        return returns

    @property
    def position_values(self) -> np.ndarray:
        """Value of each holding, ``float64[T, N]``, currency."""
        return np.where(self.shares == 0.0, 0.0, self.shares * self.marks)


def simulate(
    fill_prices: np.ndarray,
    mark_prices: np.ndarray,
    targets: np.ndarray,
    costs: CostModel,
    *,
    initial_cash: float,
    volumes: np.ndarray | None = None,
    raw_prices: np.ndarray | None = None,
    volatility: np.ndarray | None = None,
    sizing: Literal["decision", "fill"] = "decision",
    on_short_cash: Literal["scale", "reject"] = "scale",
    max_gross: float = 1.0,
    lot_size: float = 0.0,
    delisted_at: np.ndarray | None = None,
    delist_after_missing: int = DELIST_AFTER_MISSING,
) -> Simulation:
    """Hold the wanted weights, pay for every trade, and prove the books.

    Parameters
    ----------
    fill_prices, mark_prices
        ``float64[T, N]``, positive; NaN where an asset has no price. Fills happen at the first,
        valuation at the second; they may be the same array.
    targets
        ``float64[T, N]``, share of equity per asset. A row of NaN takes no decision. Row ``t``
        reads bar ``t`` and fills at ``t + 1``.
    costs
        `CostModel`; a half-spread per bar applies to the fills of that bar.
    initial_cash
        Currency, > 0. Cash earns no interest and cannot be borrowed.
    volumes, raw_prices, volatility
        ``float64[T, N]``: raw shares traded, unadjusted price, and daily volatility known before
        the bar. Row ``t`` prices the fills of bar ``t``. Without them per-share fees and impact
        are not charged, and the notes say so.
    sizing
        ``"decision"``: shares follow from equity and mark at the deciding bar. ``"fill"``: from
        equity and fill prices at the filling bar.
    on_short_cash
        ``"scale"`` the buys pro rata to what cash allows, costs included, or ``"reject"`` each
        order that the cash left does not cover.
    max_gross
        Largest sum of absolute weights of a decision.
    lot_size
        Orders are whole multiples of it; 0 allows fractions.
    delisted_at
        ``int[N]``, bar of an ended series' last price, -1 for none. The position is settled at
        that price on the next bar, without costs, as a fill with reason 1.
    delist_after_missing
        A held series without a price for this many bars is settled the same way; 0 never. Whether
        a gap is the end of a series is known only afterwards, so a gap alone settles nothing.

    Returns
    -------
    Simulation

    Raises
    ------
    EngineError
        Shapes differ, a price is not positive, a weight row is partly NaN or infinite or exceeds
        `max_gross`, or a series has prices after `delisted_at`.
    """
    fill_prices, mark_prices, targets = checked_panels(fill_prices, mark_prices, targets)
    n_bars, n_assets = mark_prices.shape
    decides = checked_targets(targets, max_gross)
    if not np.isfinite(initial_cash) or initial_cash <= 0:
        raise EngineError(f"initial_cash = {initial_cash!r} must be positive")
    if sizing not in ("decision", "fill") or on_short_cash not in ("scale", "reject"):
        raise EngineError(
            f"sizing = {sizing!r} (decision, fill), on_short_cash = {on_short_cash!r} "
            "(scale, reject): one of them is not known"
        )
    ended = checked_delistings(delisted_at, mark_prices)
    fees, impact_scale, notes = cost_panels(costs, fill_prices, raw_prices, volumes, volatility)
    # a settlement needs a purchase before it, so twice the orders is enough for both
    fills = np.zeros(2 * int(decides.sum()) * n_assets, dtype=FILL_DTYPE)
    equity, cash, turnover, cost, shares, marks, oldest, counts = run_bars(
        fill_prices,
        mark_prices,
        targets,
        decides,
        costs.half_spread_by_bar(n_bars),
        costs.commission_bps * BPS,
        fees,
        impact_scale,
        float(initial_cash),
        sizing == "fill",
        on_short_cash == "reject",
        float(lot_size),
        ended,
        int(delist_after_missing),
        fills,
    )
    n_fills, n_unpriced, n_refused, n_scaled, n_ruined = (int(number) for number in counts)
    fills = fills[:n_fills]
    if n_ruined:
        notes = (*notes, f"{n_ruined} decision(s) ignored: equity was not positive")
    books = ledger_equity(initial_cash, fills, marks)
    gap = np.abs(equity - books) / np.maximum(np.abs(equity), initial_cash)
    return Simulation(
        equity=equity,
        cash=cash,
        turnover=turnover,
        cost=cost,
        shares=shares,
        marks=marks,
        oldest_mark=oldest,
        fills=fills,
        n_rejected=n_unpriced + n_refused,
        n_refused_cash=n_refused,
        n_unpriced=n_unpriced,
        n_scaled_bars=n_scaled,
        n_ruined=n_ruined,
        identity_error=float(gap.max()) if gap.size else 0.0,
        notes=notes,
    )


def ledger_equity(initial_cash: float, fills: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """Equity rebuilt from the list of fills alone.

    ``initial cash + sum over fills so far of shares * (mark now - fill price) - costs``: it reads
    neither the cash nor the holdings of the simulation, so it disagrees when either is wrong.

    Parameters
    ----------
    initial_cash
        Currency.
    fills
        Structured array as in `Simulation.fills`.
    marks
        ``float64[T, N]`` prices used for valuation.

    Returns
    -------
    numpy.ndarray
        ``float64[T]``, currency.
    """
    n_bars, n_assets = marks.shape
    paid = (
        fills["shares"] * fills["price"]
        + fills["commission"]
        + fills["spread_cost"]
        + np.nan_to_num(fills["impact_cost"], nan=0.0)
    )
    spent = np.cumsum(np.bincount(fills["bar"], weights=paid, minlength=n_bars))
    flat = fills["bar"] * n_assets + fills["asset"]
    bought = np.bincount(flat, weights=fills["shares"], minlength=n_bars * n_assets)
    held = np.cumsum(bought.reshape(n_bars, n_assets), axis=0)
    return initial_cash - spent + np.einsum("tn,tn->t", held, np.nan_to_num(marks, nan=0.0))
