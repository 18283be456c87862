"""What is asked for and what may happen to it: terms of an order, events, their names as records.

Belongs here: the data of orders, and the errors they raise. Does not belong here: which event may
follow which (`orders`).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from btq_assets.engine.codes import NEVER, OrderKind, TimeInForce
from btq_assets.engine.fills import LiveOrder, OrderFill
from btq_assets.engine.live_orders import check_prices


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
    """A fill worse than the limit of its order, spread, slippage and impact included."""


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

    def active_after(self, wait_ns: int) -> OrderTerms:
        """The same order, which may trade only so long after its decision."""
        return replace(self, active_at=self.decided_at + wait_ns) if wait_ns else self

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
    executed_price
        With spread, slippage and impact, without commission; ``None`` where nobody says.
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
    executed_price: float | None = None

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
            executed_price=fill.executed_price,
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

EVENTS: dict[str, type[Any]] = {
    "submitted": Submitted,
    "accepted": Accepted,
    "filled": Filled,
    "cancelled": Cancelled,
    "rejected": Rejected,
    "expired": Expired,
}
NAMES = {kind: name for name, kind in EVENTS.items()}


def to_record(event: Event) -> dict[str, Any]:
    """An event as plain values for a line of JSON, with its name under ``event``."""
    # the fields, in order: a frozen dataclass keeps nothing else there
    record = {"event": NAMES[type(event)], **vars(event)}
    if isinstance(event, Submitted):
        record["terms"] = plain(event.terms)
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
    if name not in EVENTS:
        raise OrderError(f"event {name!r} is not known; there are {sorted(EVENTS)}")
    try:
        if name == "submitted":
            values["terms"] = terms_from(values["terms"])
        event: Event = EVENTS[name](**values)
    except (KeyError, TypeError) as error:
        raise OrderError(f"record of {name}: {error}") from error
    return event


def terms_from(record: Mapping[str, Any]) -> OrderTerms:
    """The terms that `plain` made a record of."""
    terms = dict(record)
    terms["kind"] = OrderKind[terms["kind"]]
    terms["force"] = TimeInForce[terms["force"]]
    return OrderTerms(**terms)


def plain(terms: OrderTerms) -> dict[str, Any]:
    """The fields of terms as plain values, in order."""
    return {**vars(terms), "kind": terms.kind.name, "force": terms.force.name}


def _nan(value: float | None) -> float:
    return math.nan if value is None else value
