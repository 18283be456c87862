"""Orders as a fold over what happened to them: terms, events, states, and the blotter.

Belongs here: which event may follow which, and what an order is after it. Pure: an order is
whatever its events make of it, so a journal that replays them has it back. Does not belong here:
whether an order trades (`engine.fills`), who may send it (`risk.limits`), writing a journal.

=================  ==========================================================================
state              what may follow
=================  ==========================================================================
new                accepted, rejected, cancelled, expired
accepted           partially filled, filled, cancelled, expired
partially filled   partially filled, filled, cancelled, expired
filled, cancelled, rejected, expired            nothing
=================  ==========================================================================

The same event a second time changes nothing: a broker may repeat itself, a journal be read again.

Examples
--------
>>> name = client_order_id("paper", "ridge", "us20", "KO", 1_000)
>>> terms = OrderTerms(name, "ridge", "us20", "KO", quantity=100.0, decided_at=1_000)
>>> order = replay([Submitted(1_001, terms), Accepted(1_002, name)])[name]
>>> order.state.value, order.remaining
('accepted', 100.0)
>>> order = apply(order, Filled(1_003, name, "f1", quantity=40.0, price=10.0))
>>> order.state.value, order.remaining
('partially_filled', 60.0)
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from enum import IntEnum, StrEnum
from typing import Any

from btq_assets.engine.codes import NEVER, OrderKind, TimeInForce
from btq_assets.engine.fills import LiveOrder, OrderFill, check_prices

#: Relative excess of a fill over its order that counts as rounding.
QUANTITY_TOLERANCE = 1e-9


class OrderError(ValueError):
    """An order or an event that cannot be."""


class IllegalTransitionError(OrderError):
    """An event that may not follow the state its order is in."""


class UnknownOrderError(OrderError):
    """An event of an order that was never submitted."""


class ConflictingOrderError(OrderError):
    """One client id, or one fill id, with two contents."""


class OverFillError(OrderError):
    """A fill larger than what its order has left."""


class FillBeyondLimitError(OrderError):
    """A fill at a price worse than the limit of its order."""


class OrderState(StrEnum):
    """Where an order is."""

    NEW = "new"
    ACCEPTED = "accepted"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"


#: States after which nothing happens any more.
ENDED = frozenset(
    {OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED, OrderState.EXPIRED}
)

_WORKING = frozenset(
    {OrderState.PARTIALLY_FILLED, OrderState.FILLED, OrderState.CANCELLED, OrderState.EXPIRED}
)

#: State: states that may follow it.
TRANSITIONS: Mapping[OrderState, frozenset[OrderState]] = {
    OrderState.NEW: frozenset(
        {OrderState.ACCEPTED, OrderState.REJECTED, OrderState.CANCELLED, OrderState.EXPIRED}
    ),
    OrderState.ACCEPTED: _WORKING,
    OrderState.PARTIALLY_FILLED: _WORKING,
    **{state: frozenset() for state in sorted(ENDED)},
}


def client_order_id(
    account: str,
    strategy: str,
    universe: str,
    symbol: str,
    decided_at: int,
    *,
    child: int = 0,
    venue: str = "",
) -> str:
    """Name of the order that a decision leads to: the same decision, the same name.

    The quantity is not part of it. A restart that decides the same bar again and finds another
    quantity has found a fault, and `ConflictingOrderError` says so instead of trading twice.

    Parameters
    ----------
    account
        Such as ``"paper"``; two accounts never share a name.
    decided_at
        Bar whose data the decision read, nanoseconds UTC.
    child, venue
        Which slice of a schedule, and where it was routed.

    Returns
    -------
    str
        32 hexadecimal digits of SHA-256.
    """
    parts = json.dumps([account, strategy, universe, symbol, int(decided_at), int(child), venue])
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class OrderTerms:
    """What is asked for; never changes.

    Attributes
    ----------
    client_id
        See `client_order_id`.
    quantity
        Signed shares, sells negative.
    decided_at, active_at, expire_at
        Nanoseconds UTC: bar the decision read; time from which it may trade; time at which it ends.
        `active_at` is never before `decided_at`, which is what it is by default.
    kind, force
        As the engine has them.
    limit, stop, trail_amount, trail_fraction
        Prices and distances; ``None`` where the kind needs none.
    reference_price
        Price the decision saw: the arrival price of cost analysis, and the middle of the collar.
    parent_id, venue
        Order it is a slice of, place it is routed to; empty for none.
    """

    client_id: str
    strategy: str
    universe: str
    symbol: str
    quantity: float
    decided_at: int
    kind: OrderKind = OrderKind.MARKET
    force: TimeInForce = TimeInForce.GTC
    limit: float | None = None
    stop: float | None = None
    trail_amount: float | None = None
    trail_fraction: float | None = None
    active_at: int | None = None
    expire_at: int | None = None
    reference_price: float | None = None
    parent_id: str = ""
    venue: str = ""

    def __post_init__(self) -> None:
        if not self.client_id or not self.symbol:
            raise OrderError("an order needs a client_id and a symbol")
        if not math.isfinite(self.quantity) or self.quantity == 0:
            raise OrderError(
                f"{self.symbol}: quantity = {self.quantity!r}; needs signed shares, not zero"
            )
        if self.active_at is not None and self.active_at < self.decided_at:
            raise OrderError(f"{self.symbol}: active_at lies before decided_at")
        try:
            check_prices(
                self.kind,
                self.force,
                _nan(self.limit),
                _nan(self.stop),
                _nan(self.trail_amount),
                _nan(self.trail_fraction),
            )
        except ValueError as error:
            raise OrderError(f"{self.symbol}: {error}") from error

    @property
    def side(self) -> int:
        """1 buys, -1 sells."""
        return 1 if self.quantity > 0 else -1

    def live(self) -> LiveOrder:
        """A fresh order for the fill model, `engine.fills.execute`."""
        return LiveOrder(
            quantity=self.quantity,
            kind=self.kind,
            force=self.force,
            limit=_nan(self.limit),
            stop=_nan(self.stop),
            trail_amount=_nan(self.trail_amount),
            trail_fraction=_nan(self.trail_fraction),
            active_at=self.decided_at if self.active_at is None else self.active_at,
            expire_at=NEVER if self.expire_at is None else self.expire_at,
        )


@dataclass(frozen=True)
class Submitted:
    """We sent it, at time `at` (nanoseconds UTC). Written before it is sent."""

    at: int
    terms: OrderTerms

    @property
    def client_id(self) -> str:
        """Client id of the terms."""
        return self.terms.client_id


@dataclass(frozen=True)
class Accepted:
    """The broker has it."""

    at: int
    client_id: str
    broker_id: str = ""


@dataclass(frozen=True)
class Filled:
    """Some or all of it traded.

    Attributes
    ----------
    fill_id
        Unique within the order; the same one twice is one fill.
    quantity
        Signed like its order.
    price
        Before costs; the four costs are in currency, an unknown impact ``None``.
    """

    at: int
    client_id: str
    fill_id: str
    quantity: float
    price: float
    commission: float = 0.0
    spread: float = 0.0
    slippage: float = 0.0
    impact: float | None = 0.0
    venue: str = ""
    liquidity: str = ""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.price) and self.price > 0):
            raise OrderError(f"fill {self.fill_id}: price = {self.price!r} must be positive")
        if not math.isfinite(self.quantity) or self.quantity == 0:
            raise OrderError(f"fill {self.fill_id}: quantity = {self.quantity!r}: not zero")

    @classmethod
    def of(cls, fill: OrderFill, client_id: str, fill_id: str, *, venue: str = "") -> Filled:
        """The event that a fill of the engine is."""
        return cls(
            at=fill.time,
            client_id=client_id,
            fill_id=fill_id,
            quantity=fill.quantity,
            price=fill.price,
            commission=fill.commission,
            spread=fill.spread,
            slippage=fill.slippage,
            impact=None if math.isnan(fill.impact) else fill.impact,
            venue=venue,
            liquidity=fill.liquidity.name.lower(),
        )

    @property
    def cost(self) -> float:
        """All costs, an unknown impact counted as none."""
        return self.commission + self.spread + self.slippage + (self.impact or 0.0)


@dataclass(frozen=True)
class Cancelled:
    """Its owner, or the broker on the owner's behalf, took it back."""

    at: int
    client_id: str
    reason: str = ""


@dataclass(frozen=True)
class Rejected:
    """A limit or the broker refused it."""

    at: int
    client_id: str
    reason: str


@dataclass(frozen=True)
class Expired:
    """Its time in force ran out."""

    at: int
    client_id: str
    reason: str = ""


Event = Submitted | Accepted | Filled | Cancelled | Rejected | Expired

_EVENTS: dict[str, type[Any]] = {
    "submitted": Submitted,
    "accepted": Accepted,
    "filled": Filled,
    "cancelled": Cancelled,
    "rejected": Rejected,
    "expired": Expired,
}
_NAMES = {kind: name for name, kind in _EVENTS.items()}
_PLAIN = {
    Accepted: OrderState.ACCEPTED,
    Cancelled: OrderState.CANCELLED,
    Rejected: OrderState.REJECTED,
    Expired: OrderState.EXPIRED,
}


@dataclass(frozen=True)
class Order:
    """What the events so far have made of an order.

    Attributes
    ----------
    terms, state, history
        What was asked, where it is, and the events that brought it there.
    filled
        Signed shares.
    value
        Sum of absolute quantity times price before costs.
    cost
        Sum of costs of the fills, an unknown impact counted as none.
    reason
        Why it was cancelled, rejected or expired.
    """

    terms: OrderTerms
    state: OrderState
    history: tuple[Event, ...]
    filled: float = 0.0
    value: float = 0.0
    cost: float = 0.0
    reason: str = ""

    @property
    def client_id(self) -> str:
        """Client id of the terms."""
        return self.terms.client_id

    @property
    def remaining(self) -> float:
        """Shares not yet filled, positive."""
        return abs(self.terms.quantity - self.filled)

    @property
    def is_open(self) -> bool:
        """Whether something may still happen to it."""
        return self.state not in ENDED

    @property
    def average_price(self) -> float | None:
        """Mean price before costs; ``None`` without a fill."""
        return self.value / abs(self.filled) if self.filled else None

    @property
    def fills(self) -> tuple[Filled, ...]:
        """Its fills, in the order they came."""
        return tuple(event for event in self.history if isinstance(event, Filled))

    @property
    def updated_at(self) -> int:
        """Time of the last event."""
        return self.history[-1].at


def apply(order: Order | None, event: Event) -> Order:
    """The order after one more event; neither argument is changed.

    Parameters
    ----------
    order
        ``None`` before it is submitted.

    Raises
    ------
    UnknownOrderError
        There is no order yet and the event is not `Submitted`, or it is of another order.
    ConflictingOrderError
        The client id is in use for other terms, or the fill id for another fill.
    IllegalTransitionError, OverFillError, FillBeyondLimitError
        See their descriptions.
    """
    if order is None:
        if not isinstance(event, Submitted):
            raise UnknownOrderError(f"{_NAMES[type(event)]} of {event.client_id}: never submitted")
        return Order(event.terms, OrderState.NEW, (event,))
    if event.client_id != order.client_id:
        raise UnknownOrderError(f"event of {event.client_id} given to order {order.client_id}")
    if isinstance(event, Submitted):
        if event.terms != order.terms:
            raise ConflictingOrderError(
                f"{order.client_id} ({order.terms.symbol}): already submitted with other terms: "
                f"{_differences(order.terms, event.terms)}"
            )
        return order
    if isinstance(event, Filled):
        return _after_fill(order, event)
    if event in order.history:
        return order
    moved = _moved(order, event, _PLAIN[type(event)])
    return replace(moved, reason=getattr(event, "reason", ""))


def _moved(order: Order, event: Event, state: OrderState) -> Order:
    if state not in TRANSITIONS[order.state]:
        raise IllegalTransitionError(
            f"{order.client_id} ({order.terms.symbol}): {order.state} -> {state} is not allowed; "
            f"from {order.state}: {sorted(TRANSITIONS[order.state]) or 'nothing'}"
        )
    return replace(order, state=state, history=(*order.history, event))


def _after_fill(order: Order, event: Filled) -> Order:
    known = next((fill for fill in order.fills if fill.fill_id == event.fill_id), None)
    if known == event:
        return order
    if known is not None:
        raise ConflictingOrderError(
            f"{order.client_id}: fill {event.fill_id} came before with other contents: "
            f"{_differences(known, event)}"
        )
    terms = order.terms
    slack = QUANTITY_TOLERANCE * abs(terms.quantity)
    if event.quantity * terms.side < 0 or abs(event.quantity) > order.remaining + slack:
        # an ended order refuses the transition first
        _moved(order, event, OrderState.PARTIALLY_FILLED)
        raise OverFillError(
            f"{order.client_id} ({terms.symbol}): fill {event.fill_id} of {event.quantity:g}, "
            f"{terms.side * order.remaining:g} are left"
        )
    if terms.limit is not None and terms.side * (event.price - terms.limit) > (
        QUANTITY_TOLERANCE * terms.limit
    ):
        raise FillBeyondLimitError(
            f"{order.client_id} ({terms.symbol}): fill {event.fill_id} at {event.price:g}, "
            f"limit {terms.limit:g}"
        )
    filled = order.filled + event.quantity
    done = abs(terms.quantity - filled) <= slack
    moved = _moved(order, event, OrderState.FILLED if done else OrderState.PARTIALLY_FILLED)
    return replace(
        moved,
        filled=terms.quantity if done else filled,
        value=order.value + abs(event.quantity) * event.price,
        cost=order.cost + event.cost,
    )


class Blotter(Mapping[str, Order]):
    """All orders by client id, moved on by events.

    Examples
    --------
    >>> Blotter().record(Accepted(1, "x"))
    Traceback (most recent call last):
        ...
    btq_assets.execution.orders.UnknownOrderError: accepted of x: never submitted
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._orders: dict[str, Order] = {}
        for event in events:
            self.record(event)

    def __getitem__(self, client_id: str) -> Order:
        return self._orders[client_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._orders)

    def __len__(self) -> int:
        return len(self._orders)

    def record(self, event: Event) -> Order:
        """Apply one event and return its order as it is now; on an error nothing has changed."""
        order = apply(self._orders.get(event.client_id), event)
        self._orders[event.client_id] = order
        return order

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Orders that may still trade, of one symbol or all, in the order they were submitted."""
        return [
            order
            for order in self._orders.values()
            if order.is_open and symbol in (None, order.terms.symbol)
        ]

    def filled_shares(self) -> dict[tuple[str, str], float]:
        """Sum of signed filled shares by (universe, symbol)."""
        total: dict[tuple[str, str], float] = {}
        for order in self._orders.values():
            if order.filled:
                key = (order.terms.universe, order.terms.symbol)
                total[key] = total.get(key, 0.0) + order.filled
        return total


def replay(events: Iterable[Event]) -> Blotter:
    """The blotter that these events lead to."""
    return Blotter(events)


def to_record(event: Event) -> dict[str, Any]:
    """An event as plain values for a line of JSON, with its name under ``event``."""
    record = {"event": _NAMES[type(event)], **_plain(event)}
    if isinstance(event, Submitted):
        record["terms"] = _plain(event.terms)
    return record


def from_record(record: Mapping[str, Any]) -> Event:
    """The event of `to_record`.

    Raises
    ------
    OrderError
        The name or a field is unknown, or a field is missing.
    """
    values = dict(record)
    name = values.pop("event", None)
    if name not in _EVENTS:
        raise OrderError(f"event {name!r} is not known; there are {sorted(_EVENTS)}")
    try:
        if name == "submitted":
            terms = dict(values["terms"])
            terms["kind"] = OrderKind[terms["kind"]]
            terms["force"] = TimeInForce[terms["force"]]
            values["terms"] = OrderTerms(**terms)
        event: Event = _EVENTS[name](**values)
    except (KeyError, TypeError) as error:
        raise OrderError(f"record of {name}: {error}") from error
    return event


def _plain(value: Any) -> dict[str, Any]:
    found = {field.name: getattr(value, field.name) for field in fields(value)}
    return {name: v.name if isinstance(v, IntEnum) else v for name, v in found.items()}


def _differences(old: Any, new: Any) -> str:
    return ", ".join(
        f"{field.name} {getattr(old, field.name)!r} and {getattr(new, field.name)!r}"
        for field in fields(old)
        if getattr(old, field.name) != getattr(new, field.name)
    )


def _nan(value: float | None) -> float:
    return math.nan if value is None else value
