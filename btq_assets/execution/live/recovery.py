"""What a loop knows again from its journal after it was killed.

Belongs here: reading records back into orders, the guard's state and the place to go on from; and
comparing with what the broker says. Does not belong here: writing, deciding.

A bar leaves up to two records: ``decision`` (orders, on disk before any is sent), then ``bar`` (fills,
account, what the broker said), which ends it. A restart goes on after the last bar that was ended and
takes the one that was cut short once more, with its decision where there is one: the broker gives the
same answers to the same bars and the same orders, so nothing happens twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from btq_assets.execution.events import OrderTerms, Submitted, from_record, terms_from
from btq_assets.execution.live.broker import PaperBroker
from btq_assets.execution.live.settings import LiveError
from btq_assets.execution.orders import Blotter
from btq_assets.risk.limits import MINUTE_NS

#: Fields of the guard kept with each bar.
GUARD = ("equity", "peak", "day_start", "day", "stopped")


@dataclass
class Memory:
    """What the records say.

    Attributes
    ----------
    started
        What the loop was started with; empty before.
    orders
        Every order, as far as its events were written.
    last_final
        End of the last bar that was finished.
    unfinished
        Records of the bar after it, by kind.
    guard
        State of the guard; empty before the first bar.
    n_decided
        Bars on which orders were decided.
    sent_at
        When orders were sent, nanoseconds UTC of the loop's clock, one entry per order; those of
        the last minute before the last decision.
    quoted
        Half-spread of the last quote of each symbol, where ticks came.
    parents
        Terms of orders that were split over venues, by client id.
    """

    started: dict[str, Any] = field(default_factory=dict)
    orders: Blotter = field(default_factory=Blotter)
    last_final: datetime | None = None
    unfinished: dict[str, dict[str, Any]] = field(default_factory=dict)
    guard: dict[str, Any] = field(default_factory=dict)
    n_decided: int = 0
    sent_at: list[int] = field(default_factory=list)
    quoted: dict[str, float] = field(default_factory=dict)
    parents: dict[str, OrderTerms] = field(default_factory=dict)


def remember(records: Iterable[Mapping[str, Any]]) -> Memory:
    """The memory that these records are."""
    memory = Memory()
    for record in records:
        kind = record["kind"]
        if kind == "started":
            memory.started = dict(record["with"])
        for event in record.get("events", ()):
            memory.orders.record(from_record(event))
        if kind in ("bar", "resumed"):
            memory.guard = {name: record[name] for name in GUARD}
        if kind == "decision":
            memory.n_decided += 1
            for values in record.get("parents", ()):
                parent = terms_from(values)
                memory.parents[parent.client_id] = parent
            now = int(record.get("sent_at", record["time"]))
            recent = [at for at in memory.sent_at if at > now - MINUTE_NS]
            memory.sent_at = recent + [now] * len(record["orders"])
        if kind == "bar":
            memory.quoted = dict(record.get("quoted", {}))
        if kind in ("bar", "decision"):
            memory.unfinished[kind] = dict(record)
            if record["final"]:
                memory.last_final = moment(record["time"])
                memory.unfinished = {}
    return memory


def moment(nanoseconds: int) -> datetime:
    """UTC time of nanoseconds since 1970, whole microseconds."""
    seconds, rest = divmod(nanoseconds // 1_000, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)


def check_same_start(memory: Memory, now: Mapping[str, Any], folder: object) -> None:
    """Refuse to go on with a journal that another configuration or model began.

    Raises
    ------
    LiveError
        Naming what differs.
    """
    other = sorted(
        name
        for name in {*memory.started, *now}
        if memory.started and memory.started.get(name) != now.get(name)
    )
    if other:
        raise LiveError(
            f"{folder} was begun with other values of {other}; give another folder, or start with "
            "what it was begun with"
        )


def reconcile(memory: Memory, broker: PaperBroker) -> None:
    """Take the broker's word for every order, and refuse what cannot be.

    Raises
    ------
    LiveError
        The broker has an order the journal does not know: it was not written ahead, so another
        loop uses the same account, or the journal is not the one that belongs to this broker.
    """
    decided = memory.unfinished.get("decision", {})
    known = {
        *memory.orders,
        *(order["terms"]["client_id"] for order in decided.get("orders", ())),
    }
    strange = sorted(set(broker.orders) - known)
    if strange:
        raise LiveError(
            f"the broker has {len(strange)} order(s) that the journal does not know, the first "
            f"{strange[0]}: two loops on one account, or files of different runs"
        )
    for event in broker.reports:
        if isinstance(event, Submitted) or event.client_id in memory.orders:
            memory.orders.record(event)
