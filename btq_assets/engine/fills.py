"""The fill model by itself: one order, one event, at most one fill, and what it costs.

Belongs here: the interface for whoever holds orders outside of a simulation (a paper broker, an
execution study). The event engine calls the same compiled functions, so a fill here is a fill
there. Does not belong here: cash, holdings, margin; those are the caller's.

Examples
--------
>>> order = LiveOrder(quantity=100, kind=OrderKind.LIMIT, limit=10.0, active_at=0)
>>> bar = Bar(time=2, start=1, open=10.2, high=10.4, low=9.9, close=10.1, volume=5_000)
>>> fill = execute(order, bar, FillTerms())
>>> fill.quantity, fill.price, fill.liquidity.name, order.status.name
(100.0, 10.0, 'MAKER', 'FILLED')
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType

import numpy as np

from btq_assets.engine.codes import (
    FLAG_HALTED,
    FLAG_SESSION_CLOSE,
    FLAG_SESSION_OPEN,
    EventKind,
    Liquidity,
    Moment,
    OrderKind,
    Reason,
    Status,
    TimeInForce,
)
from btq_assets.engine.errors import EngineError
from btq_assets.engine.live_orders import Bar, Event, LiveOrder, Quote, TradeTick
from btq_assets.engine.terms import Instruments, OrderCosts, asset_table

__all__ = [
    "Bar",
    "FillTerms",
    "Liquidity",
    "LiveOrder",
    "OrderFill",
    "OrderKind",
    "Quote",
    "Reason",
    "Status",
    "TimeInForce",
    "TradeTick",
    "compiled_rules",
    "execute",
]

NAN = float("nan")

#: What is read of a table for each fill.
_READ_HERE = ("participation", "lot", "min_shares", "multiplier", "per_share", "minimum")


@dataclass(frozen=True)
class FillTerms:
    """Costs and instrument of one asset, as the compiled functions read them.

    `limit_fills`: a resting limit fills when its price is touched, or only when traded through.
    """

    costs: OrderCosts = field(default_factory=OrderCosts)
    instrument: Instruments = field(default_factory=Instruments)
    limit_fills: str = "touch"
    table: np.ndarray = field(init=False, repr=False)
    #: The only row of `table`, by name.
    row: dict[str, float] = field(init=False, repr=False)
    tiers: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.limit_fills not in ("touch", "through"):
            raise EngineError(f"limit_fills = {self.limit_fills!r}: touch or through")
        object.__setattr__(self, "table", asset_table(1, self.costs, self.instrument))
        row = {name: float(self.table[0][name]) for name in _READ_HERE}
        object.__setattr__(self, "row", row)
        object.__setattr__(self, "tiers", self.costs.tier_table())


@dataclass(frozen=True)
class OrderFill:
    """One fill. Costs in the currency of the asset; `executed_price` is what was really paid.

    `permanent` is the fraction by which the fill moves later prices, signed; a caller that wants
    permanent impact multiplies what it quotes from then on.
    """

    time: int
    quantity: float
    price: float
    commission: float
    spread: float
    slippage: float
    impact: float
    executed_price: float
    permanent: float
    liquidity: Liquidity
    moment: Moment

    @property
    def cost(self) -> float:
        """All costs, an unknown impact counted as none."""
        return self.commission + self.spread + self.slippage + _known(self.impact)


@cache
def compiled_rules() -> ModuleType:
    """The compiled rules; looked up once, since an import statement costs as much as a rule."""
    from btq_assets.engine import fill_kernel

    return fill_kernel


def _known(impact: float) -> float:
    """An unknown impact counts as none."""
    return 0.0 if math.isnan(impact) else float(impact)


def _flat(event: Event) -> tuple[int, int, float, float, float, float, int, float, float]:
    """Kind, start, four prices, flags, volume for buys and for sells."""
    halted = FLAG_HALTED * event.halted
    if isinstance(event, Bar):
        flags = (
            halted
            + FLAG_SESSION_OPEN * event.opens_session
            + FLAG_SESSION_CLOSE * event.closes_session
        )
        return (
            int(EventKind.BAR),
            event.start,
            event.open,
            event.high,
            event.low,
            event.close,
            flags,
            event.volume,
            event.volume,
        )
    if isinstance(event, Quote):
        if event.bid > event.ask:
            raise EngineError(f"quote at {event.time}: bid {event.bid:g} above ask {event.ask:g}")
        sizes = event.ask_size, event.bid_size
        return (int(EventKind.QUOTE), 0, event.bid, event.ask, NAN, NAN, halted, *sizes)
    price = event.price
    return (int(EventKind.TRADE), 0, price, price, price, price, halted, event.size, event.size)


def execute(
    order: LiveOrder,
    event: Event,
    terms: FillTerms,
    *,
    available: float | None = None,
    month_value: float = 0.0,
    allow_fill_on_deciding_bar_DANGER: bool = False,
) -> OrderFill | None:
    """One order against one event; the order is moved on in place.

    Parameters
    ----------
    order, event, terms
        See their classes.
    available
        Shares this event still has for orders of this asset. Default: participation times its
        volume (its quoted size), unlimited where that is unknown and no participation is set. When
        several orders share an event, pass what the earlier ones left.
    month_value
        Value traded this month before this fill, for tiers of commission.
    allow_fill_on_deciding_bar_DANGER
        Also trade at the close of the bar the decision was made on. Looks ahead.

    Returns
    -------
    OrderFill or None
        None when nothing traded; `order.status` says whether it still waits.

    Raises
    ------
    EngineError
        The order has ended, or a quote is crossed.
    """
    compiled = compiled_rules()
    if not order.is_open:
        raise EngineError(f"the order has ended: {order.status.name}")
    kind, start, first, second, low, close, flags, for_buys, for_sells = _flat(event)
    volume = for_buys if order.side > 0 else for_sells
    row = terms.row
    if available is None:
        available = compiled.room(kind, volume, row["participation"])
    level = order.stop
    if order.kind == OrderKind.TRAILING_STOP and math.isnan(level) and event.time > order.active_at:
        seen = second if kind == EventKind.QUOTE and order.side > 0 else first
        level = compiled.trailing_level(
            order.side, NAN, seen, order.trail_amount, order.trail_fraction
        )
    verdict, quantity, price, liquidity, moment, quoted, triggered, session = compiled.attempt(
        int(order.kind),
        int(order.force),
        order.side,
        order.remaining,
        order.limit,
        level,
        order.triggered,
        order.rested,
        order.session,
        order.active_at,
        order.expire_at,
        order.cancel_at,
        kind,
        event.time,
        start,
        first,
        second,
        low,
        close,
        flags,
        event.session,
        available,
        row["lot"],
        row["min_shares"],
        terms.limit_fills == "through",
        allow_fill_on_deciding_bar_DANGER,
    )
    order.triggered, order.session = bool(triggered), int(session)
    took_part = session >= 0
    order.rested = order.rested or took_part
    if order.kind == OrderKind.TRAILING_STOP and took_part and not triggered:
        # the best price of the event for the trade: highest for a sell, lowest for a buy
        best = {EventKind.BAR: (second, low), EventKind.QUOTE: (first, second)}.get(
            EventKind(kind), (first, first)
        )
        order.stop = compiled.trailing_level(
            order.side, level, best[order.side > 0], order.trail_amount, order.trail_fraction
        )
    if verdict in (compiled.EXPIRE, compiled.CANCEL):
        order.status = Status.EXPIRED if verdict == compiled.EXPIRE else Status.CANCELLED
        order.reason = (
            Reason.TIME_IN_FORCE if verdict == compiled.EXPIRE else Reason.CANCELLED_BY_OWNER
        )
    if quantity <= 0.0:
        return None
    daily = event.daily_volume
    if math.isnan(daily) and isinstance(event, Bar):
        daily = event.volume
    spread, slippage, impact, permanent = compiled.charge(
        terms.table,
        0,
        price,
        quantity,
        order.side,
        liquidity,
        order.limit,
        getattr(event, "half_spread", NAN),
        quoted,
        event.volatility,
        daily,
    )
    return _book(
        order,
        event.time,
        quantity,
        price,
        (spread, slippage, impact, order.side * permanent),
        (liquidity, moment, verdict == compiled.FILL_AND_EXPIRE),
        terms,
        month_value,
    )


def _book(
    order: LiveOrder,
    time: int,
    quantity: float,
    price: float,
    charged: tuple[float, float, float, float],
    how: tuple[int, int, bool],
    terms: FillTerms,
    month_value: float,
) -> OrderFill:
    """Commission, the order's progress, and the record."""
    compiled = compiled_rules()
    spread, slippage, impact, permanent = charged
    liquidity, moment, ends = how
    row = terms.row
    multiplier = row["multiplier"]
    adverse = spread + slippage + _known(impact)
    executed = quantity * price * multiplier + order.side * adverse
    due, order.commission_accrued = compiled.commission_due(
        compiled.commission_rate(terms.table, terms.tiers, 0, liquidity, month_value),
        row["per_share"],
        row["minimum"],
        executed,
        quantity,
        order.commission_accrued,
        order.commission_charged,
    )
    order.commission_charged += due
    done = quantity >= order.remaining
    order.filled = order.quantity if done else order.filled + order.side * quantity
    order.value += quantity * price * multiplier
    order.status = Status.FILLED if done else (Status.EXPIRED if ends else Status.PARTIAL)
    if ends and not done:
        order.reason = Reason.TIME_IN_FORCE
    return OrderFill(
        time=time,
        quantity=order.side * quantity,
        price=price,
        commission=due,
        spread=spread,
        slippage=slippage,
        impact=impact,
        executed_price=executed / (quantity * multiplier),
        permanent=permanent,
        liquidity=Liquidity(liquidity),
        moment=Moment(moment),
    )
