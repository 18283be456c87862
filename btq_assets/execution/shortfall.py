"""Implementation shortfall and its parts, the one definition.

A. Perold (1988), "The implementation shortfall: paper versus reality", Journal of Portfolio
Management 14(3), 4-9: the paper portfolio trades everything at the price of the decision, free of
charge. Split after W. Wagner and R. Kissell: Kissell (2006), "The expanded implementation
shortfall", Journal of Trading 1(3), 6-16.

=============  ================================================================================
delay          filled shares * (arrival price - decision price)
timing         filled shares * (fill price before costs - arrival price): the market's move
spread         half-spread paid
impact         impact and slippage paid
commission     commission and fees
opportunity    unfilled shares * (last price - decision price)
=============  ================================================================================

Shares are signed, so every part is a cost where it is positive. The parts sum to the whole.

Belongs here: arithmetic on arrays. Does not belong here: tables (`cost_analysis`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from btq_assets.engine.order_simulation import OrderSimulation

_CHARGED = ("commission", "spread", "slippage", "impact", "fx", "liquidation")


class ShortfallError(ValueError):
    """Fills that do not belong to the order, or prices that cannot be."""


@dataclass(frozen=True)
class Parts:
    """Parts of the shortfall, currency, all of one shape; NaN where unknown.

    `waiting` is delay and timing together, known also where the arrival price is not. `total`
    counts what is known, but is NaN without a decision price.
    """

    waiting: np.ndarray
    delay: np.ndarray
    timing: np.ndarray
    spread: np.ndarray
    impact: np.ndarray
    commission: np.ndarray
    opportunity: np.ndarray
    total: np.ndarray


def split(
    shares: np.ndarray,
    price: np.ndarray,
    decision_price: np.ndarray,
    *,
    arrival_price: np.ndarray | float = np.nan,
    spread: np.ndarray | float = 0.0,
    impact: np.ndarray | float = 0.0,
    commission: np.ndarray | float = 0.0,
    unfilled: np.ndarray | float = np.nan,
    last_price: np.ndarray | float = np.nan,
) -> Parts:
    """Parts of the shortfall of fills (or of orders, one entry each).

    Parameters
    ----------
    shares
        Signed filled shares.
    price
        Fill price before costs.
    unfilled, last_price
        Signed shares not filled, and the price at which they are missed; NaN where unknown.
    """
    filled = np.asarray(shares, dtype=float)
    waiting = filled * (price - decision_price)
    delay = filled * (arrival_price - decision_price)
    timing = filled * (price - np.asarray(arrival_price, dtype=float))
    opportunity = unfilled * (last_price - decision_price)
    spreads, impacts, commissions, missed = (
        np.broadcast_to(np.asarray(part, dtype=float), filled.shape)
        for part in (spread, impact, commission, opportunity)
    )
    charged = sum(np.nan_to_num(p, nan=0.0) for p in (spreads, impacts, commissions, missed))
    return Parts(waiting, delay, timing, spreads, impacts, commissions, missed, waiting + charged)


@dataclass(frozen=True)
class Shortfall:
    """Shortfall of one parent order.

    Attributes
    ----------
    delay, timing, spread, impact, commission, opportunity, total
        Currency.
    bps
        Total over the paper value, absolute shares wanted times decision price.
    vwap_cost
        Filled shares paid beyond the VWAP of the market, commission left out; NaN without one.
    """

    delay: float
    timing: float
    spread: float
    impact: float
    commission: float
    opportunity: float
    total: float
    bps: float
    vwap_cost: float


def of_order(
    wanted: float,
    decision_price: float,
    arrival_price: float,
    shares: np.ndarray,
    prices: np.ndarray,
    *,
    spread: float = 0.0,
    impact: float = 0.0,
    commission: float = 0.0,
    last_price: float = np.nan,
    market_vwap: float = np.nan,
) -> Shortfall:
    """Shortfall of one order from its fills.

    Parameters
    ----------
    wanted
        Signed shares of the parent.
    shares, prices
        Signed shares and prices before costs of its fills, ``float64[K]``; K may be 0.
    last_price
        Price at which what is not filled is missed; needed when something is not.

    Raises
    ------
    ShortfallError
        More than was wanted was filled, on the wrong side, or `last_price` is missing.
    """
    filled = float(np.sum(shares))
    if wanted == 0 or np.any(np.asarray(shares) * np.sign(wanted) < 0):
        raise ShortfallError(f"fills {shares} are not of an order of {wanted:g}")
    if abs(filled) > abs(wanted) * (1 + 1e-9):
        raise ShortfallError(f"filled {filled:g} of {wanted:g}")
    if not (decision_price > 0 and arrival_price > 0):
        raise ShortfallError(
            f"decision_price = {decision_price!r}, arrival_price = {arrival_price!r}: positive"
        )
    rest = wanted - filled
    if abs(rest) > 1e-9 * abs(wanted) and not last_price > 0:
        raise ShortfallError(f"{rest:g} shares were not filled: last_price is needed")
    known_last = last_price if last_price > 0 else decision_price
    mean = float(np.dot(shares, prices)) / filled if filled else arrival_price
    parts = split(
        np.array(filled),
        np.array(mean),
        np.array(decision_price),
        arrival_price=arrival_price,
        spread=spread,
        impact=impact,
        commission=commission,
        unfilled=rest,
        last_price=known_last,
    )
    total = float(parts.total)
    return Shortfall(
        delay=float(parts.delay),
        timing=float(parts.timing),
        spread=spread,
        impact=impact,
        commission=commission,
        opportunity=float(parts.opportunity),
        total=total,
        bps=1e4 * total / (abs(wanted) * decision_price),
        vwap_cost=filled * (mean - market_vwap) + spread + impact,
    )


def of_orders(
    done: OrderSimulation,
    decision_price: np.ndarray,
    arrival_price: np.ndarray,
    last_price: np.ndarray,
) -> list[Shortfall]:
    """Shortfall of every order of an event run, what its limits left unfilled included.

    Parameters
    ----------
    done
        Finished run of `engine.simulate_orders`, in one currency and one share a contract.
    decision_price, arrival_price
        ``float64[M]``, positive: prices at the decision and at the arrival of each order.
    last_price
        ``float64[M]``: the close at the end of the horizon over which it was to be done.

    Raises
    ------
    ShortfallError
        Arrays of another length, contracts or currencies; and as in `of_order`.
    """
    m = done.orders.size
    sizes = {np.size(given) for given in (decision_price, arrival_price, last_price)}
    if sizes != {m}:
        raise ShortfallError(f"prices of {sorted(sizes)} orders, the run has {m}")
    if np.any(done.multiplier != 1.0) or np.any(done.fills["fx_rate"] != 1.0):
        raise ShortfallError("contracts or currencies other than one: convert shares and prices")
    found = []
    for number in range(m):
        own = done.fills[done.fills["order"] == number]
        cost = {name: float(np.nansum(own[name])) for name in own.dtype.names if name in _CHARGED}
        found.append(
            of_order(
                float(done.orders["quantity"][number]),
                float(decision_price[number]),
                float(arrival_price[number]),
                own["shares"],
                own["price"],
                spread=cost["spread"],
                impact=cost["impact"] + cost["slippage"],
                commission=cost["commission"] + cost["fx"] + cost["liquidation"],
                last_price=float(last_price[number]),
            )
        )
    return found
