"""Events and orders one by one, as whoever holds orders outside of a simulation knows them.

Belongs here: a bar, a quote, a trade, an order with its progress. Does not belong here: filling
(`fills`), tables of orders (`orders`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from btq_assets.engine.codes import NEVER, OrderKind, Reason, Status, TimeInForce
from btq_assets.engine.errors import EngineError

NAN = float("nan")


@dataclass(frozen=True)
class Bar:
    """Prices over ``(start, time]``; times are int64, nanoseconds where they are real.

    `volatility` (daily, fraction) and `daily_volume` (shares) feed the impact; without the second
    the volume of the bar is taken. `half_spread` (fraction) replaces that of the costs.
    """

    time: int
    start: int
    open: float
    high: float
    low: float
    close: float
    volume: float = NAN
    session: int = 0
    opens_session: bool = False
    closes_session: bool = False
    halted: bool = False
    half_spread: float = NAN
    volatility: float = NAN
    daily_volume: float = NAN


@dataclass(frozen=True)
class Quote:
    """Best bid and ask with their sizes (shares) from `time` on."""

    time: int
    bid: float
    ask: float
    bid_size: float = NAN
    ask_size: float = NAN
    session: int = 0
    halted: bool = False
    volatility: float = NAN
    daily_volume: float = NAN


@dataclass(frozen=True)
class TradeTick:
    """A trade of others."""

    time: int
    price: float
    size: float = NAN
    session: int = 0
    halted: bool = False
    half_spread: float = NAN
    volatility: float = NAN
    daily_volume: float = NAN


Event = Bar | Quote | TradeTick


@dataclass
class LiveOrder:
    """An order and how far it has come; `execute` moves it on.

    Attributes
    ----------
    quantity
        Signed shares, sells negative.
    kind, force
        `OrderKind`, `TimeInForce`.
    limit, stop
        Prices. A trailing stop takes its first level from `stop` or, without one, from the price
        of the first event it sees.
    trail_amount, trail_fraction
        Distance of a trailing stop, currency or fraction of price.
    active_at
        Time from which it may trade: the decision, plus what it takes to arrive.
    expire_at, cancel_at
        Times; `NEVER` for none.
    filled, value
        Signed shares filled, and their value at prices before costs.
    commission_accrued, commission_charged
        So that a minimum per order is charged once.
    triggered, rested, session, status, reason
        State of the order.
    """

    quantity: float
    kind: OrderKind = OrderKind.MARKET
    force: TimeInForce = TimeInForce.GTC
    limit: float = NAN
    stop: float = NAN
    trail_amount: float = NAN
    trail_fraction: float = NAN
    active_at: int = 0
    expire_at: int = NEVER
    cancel_at: int = NEVER
    filled: float = 0.0
    value: float = 0.0
    commission_accrued: float = 0.0
    commission_charged: float = 0.0
    triggered: bool = False
    rested: bool = False
    session: int = -1
    status: Status = Status.WORKING
    reason: Reason = Reason.NONE

    def __post_init__(self) -> None:
        if not math.isfinite(self.quantity) or self.quantity == 0:
            raise EngineError(f"quantity = {self.quantity!r}: signed shares, not zero")
        check_prices(
            self.kind, self.force, self.limit, self.stop, self.trail_amount, self.trail_fraction
        )

    @property
    def remaining(self) -> float:
        """Shares not yet filled, positive."""
        return abs(self.quantity - self.filled)

    @property
    def side(self) -> int:
        """1 buys, -1 sells."""
        return 1 if self.quantity > 0 else -1

    @property
    def is_open(self) -> bool:
        """Whether it may still trade."""
        return self.status in (Status.NEW, Status.WORKING, Status.PARTIAL)


def check_prices(
    kind: int, force: int, limit: float, stop: float, trail_amount: float, trail_fraction: float
) -> None:
    """Refuse an order whose prices do not fit its kind."""
    if kind == OrderKind.MARKET:
        return
    if kind in (
        OrderKind.LIMIT,
        OrderKind.STOP_LIMIT,
        OrderKind.LIMIT_ON_OPEN,
        OrderKind.LIMIT_ON_CLOSE,
    ) and not (np.isfinite(limit) and limit > 0):
        raise EngineError(f"{OrderKind(kind).name} needs a positive limit, found {limit!r}")
    if kind in (OrderKind.STOP, OrderKind.STOP_LIMIT) and not (np.isfinite(stop) and stop > 0):
        raise EngineError(f"{OrderKind(kind).name} needs a positive stop, found {stop!r}")
    if kind == OrderKind.TRAILING_STOP:
        distances = [d for d in (trail_amount, trail_fraction) if not np.isnan(d)]
        if len(distances) != 1 or not distances[0] > 0 or not np.isfinite(distances[0]):
            raise EngineError("TRAILING_STOP needs one of trail_amount and trail_fraction, > 0")
        if not np.isnan(trail_fraction) and trail_fraction >= 1:
            raise EngineError(f"trail_fraction = {trail_fraction!r} must stay below 1")
    if kind >= OrderKind.MARKET_ON_OPEN and force not in (TimeInForce.GTC, TimeInForce.DAY):
        raise EngineError(
            f"{OrderKind(kind).name} lives until its auction: time in force GTC or DAY, not "
            f"{TimeInForce(force).name}"
        )
