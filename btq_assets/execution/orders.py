"""Orders as a fold over what happened to them: states, transitions, and the blotter.

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

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from btq_assets.execution.events import (
    NAMES,
    Accepted,
    Cancelled,
    ConflictingOrderError,
    Event,
    Expired,
    FillBeyondLimitError,
    Filled,
    IllegalTransitionError,
    OrderError,
    OrderTerms,
    OverFillError,
    Rejected,
    Submitted,
    UnknownOrderError,
    client_order_id,
    from_record,
    to_record,
)

__all__ = [
    "ENDED",
    "TRANSITIONS",
    "Accepted",
    "Blotter",
    "Cancelled",
    "ConflictingOrderError",
    "Event",
    "Expired",
    "FillBeyondLimitError",
    "Filled",
    "IllegalTransitionError",
    "Order",
    "OrderError",
    "OrderState",
    "OrderTerms",
    "OverFillError",
    "Rejected",
    "Submitted",
    "UnknownOrderError",
    "apply",
    "client_order_id",
    "from_record",
    "replay",
    "to_record",
]

#: Relative excess of a fill over its order that counts as rounding.
QUANTITY_TOLERANCE = 1e-9


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
            raise UnknownOrderError(f"{NAMES[type(event)]} of {event.client_id}: never submitted")
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
    return _moved(order, event, _PLAIN[type(event)], reason=getattr(event, "reason", ""))


def _moved(order: Order, event: Event, state: OrderState, **changes: Any) -> Order:
    if state not in TRANSITIONS[order.state]:
        raise IllegalTransitionError(
            f"{order.client_id} ({order.terms.symbol}): {order.state} -> {state} is not allowed; "
            f"from {order.state}: {sorted(TRANSITIONS[order.state]) or 'nothing'}"
        )
    # what `dataclasses.replace` does, in a third of its time: nothing here needs to be checked again
    moved = object.__new__(Order)
    vars(moved).update(vars(order), state=state, history=(*order.history, event), **changes)
    return moved


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
    if terms.limit is not None:
        paid = event.price if event.executed_price is None else event.executed_price
        if terms.side * (paid - terms.limit) > QUANTITY_TOLERANCE * terms.limit:
            raise FillBeyondLimitError(
                f"{order.client_id} ({terms.symbol}): fill {event.fill_id} at {paid:g}, spread and "
                f"impact included; limit {terms.limit:g}"
            )
    filled = order.filled + event.quantity
    done = abs(terms.quantity - filled) <= slack
    return _moved(
        order,
        event,
        OrderState.FILLED if done else OrderState.PARTIALLY_FILLED,
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
    btq_assets.execution.events.UnknownOrderError: accepted of x: never submitted
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


def _differences(old: Any, new: Any) -> str:
    return ", ".join(
        f"{field.name} {getattr(old, field.name)!r} and {getattr(new, field.name)!r}"
        for field in fields(old)
        if getattr(old, field.name) != getattr(new, field.name)
    )
