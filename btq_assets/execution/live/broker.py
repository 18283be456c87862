"""A broker on paper: the engine's fill model over bars and ticks, a book that survives a kill.

Belongs here: taking orders once, trading them against bars and ticks, reporting. Does not belong
here: when an order trades and what it costs (`engine.fills.execute`), who decides.

It behaves as a broker elsewhere would: it has its own truth, may be asked again for all it
reported, knows an order by its client id, and takes the same order or the same bars twice without
doing anything twice. Its journal has a record per answer, written before the answer is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from btq_assets.engine.codes import EventKind, Reason, Status
from btq_assets.engine.fills import (
    Bar,
    FillTerms,
    LiveOrder,
    OrderFill,
    Quote,
    TradeTick,
    compiled_rules,
    execute,
)
from btq_assets.engine.terms import Account, Instruments
from btq_assets.execution.events import (
    Accepted,
    Cancelled,
    Event,
    Expired,
    Filled,
    OrderTerms,
    Rejected,
    Submitted,
    from_record,
    to_record,
)
from btq_assets.execution.live.account import Books
from btq_assets.execution.live.journal import Journal
from btq_assets.execution.live.rounds import (
    BookTick,
    MarketEvent,
    Place,
    last_price,
    numbered,
    offered,
    rounds,
)
from btq_assets.execution.live.settings import LiveError
from btq_assets.execution.orders import Blotter

#: What an open order has been through, beside what its events say.
_PROGRESS = (
    "filled",
    "value",
    "commission_accrued",
    "commission_charged",
    "triggered",
    "rested",
    "session",
)


class PaperBroker:
    """Orders against bars.

    Parameters
    ----------
    journal
        Its own; what it holds is taken up again.
    terms
        Costs and instrument of every symbol.
    account
        Cash, margin, and what happens to an order that cash does not cover. Financing is not
        charged here: rates must be zero.
    refuses
        Why an order is refused on arrival, ``None`` to take it.
    venues
        Costs at venues, for orders that name one; a venue without has those of `terms`.

    Raises
    ------
    LiveError
        The account charges financing or has other terms by symbol, or costs move later prices.
    """

    def __init__(
        self,
        journal: Journal,
        terms: FillTerms,
        account: Account,
        *,
        refuses: Callable[[OrderTerms], str | None] | None = None,
        venues: Mapping[str, FillTerms] | None = None,
    ) -> None:
        _refuse_unknown(terms, account)
        self._journal = journal
        self._terms = terms
        self._cuts = account.on_short_cash == "cut"
        self._refuses = refuses
        self._costs = {"": terms, **(venues or {})}
        self._probes = {
            name: FillTerms(one.costs, Instruments(), one.limit_fills)
            for name, one in self._costs.items()
        }
        self.books = Books(
            account.initial_cash, initial_margin=float(np.max(account.initial_margin))
        )
        self.orders = Blotter()
        #: End of the last bars traded, nanoseconds UTC; -1 before the first.
        self.traded_until = -1
        self._live: dict[str, LiveOrder] = {}
        self._reports: list[Event] = []
        self._last: list[Event] = []
        for record in journal.records:
            self._take(record, [from_record(event) for event in record["events"]])

    @property
    def reports(self) -> tuple[Event, ...]:
        """Everything it ever answered, in order."""
        return tuple(self._reports)

    @property
    def working(self) -> tuple[str, ...]:
        """Client ids of the orders that may still trade, oldest first."""
        return tuple(self._live)

    def submit(self, orders: Iterable[OrderTerms]) -> list[Event]:
        """Take orders; the answer to one it already has is what it answered then.

        Raises
        ------
        ConflictingOrderError
            A client id comes again with other terms; nothing of this call is taken.
        """
        wanted = list(orders)
        fresh: list[Event] = []
        for terms in wanted:
            if terms.client_id in self.orders:
                self.orders.record(Submitted(terms.decided_at, terms))
                continue
            why = self._refuses(terms) if self._refuses else None
            fresh.append(Submitted(terms.decided_at, terms))
            fresh.append(
                Accepted(terms.decided_at, terms.client_id)
                if why is None
                else Rejected(terms.decided_at, terms.client_id, why)
            )
        if fresh:
            self._answer({"kind": "orders"}, fresh)
        return [
            event
            for terms in wanted
            for event in self.orders[terms.client_id].history
            if isinstance(event, Accepted | Rejected)
        ]

    def cancel(self, client_ids: Iterable[str], at: int, reason: str) -> list[Event]:
        """Take back orders that are open; others are left as they are."""
        ended: list[Event] = [
            Cancelled(at, name, reason)
            for name in client_ids
            if name in self.orders and self.orders[name].is_open
        ]
        if ended:
            self._answer({"kind": "cancels"}, ended)
        return ended

    def trade(self, time: int, bars: Mapping[str, Bar]) -> list[Event]:
        """Open orders against the bars that end at `time`: sells, then buys, oldest first.

        Bars it has traded before give the same answer and change nothing.

        Raises
        ------
        LiveError
            Bars older than the last ones.
        """
        return self._trade("bars", time, [{(symbol, ""): bar for symbol, bar in bars.items()}])

    def trade_ticks(
        self, until: int, ticks: Iterable[tuple[str, Quote | TradeTick | BookTick]]
    ) -> list[Event]:
        """Open orders against ticks before `until`, in turn; one answer for all of them.

        At one time: sells, then buys, oldest first, as the event engine does; a second tick of a
        symbol at the same time comes after them. Ticks until a time it has traded before give the
        same answer and change nothing.

        Raises
        ------
        LiveError
            An earlier time than the last.
        """
        return self._trade("ticks", until, rounds(ticks))

    def _trade(
        self, kind: str, time: int, turns: Iterable[Mapping[Place, MarketEvent]]
    ) -> list[Event]:
        if time == self.traded_until:
            return list(self._last)
        if time < self.traded_until:
            raise LiveError(f"{kind} that end at {time} after those of {self.traded_until}")
        found: list[Event] = []
        books = Books(
            self.books.cash,
            dict(self.books.shares),
            dict(self.books.marks),
            self.books.initial_margin,
        )
        live = {name: _twin(order) for name, order in self._live.items()}
        waiting = [(name, self.orders[name].terms, order) for name, order in live.items()]
        for events in turns:
            if waiting:
                found += self._round(events, waiting, books)
                waiting = [one for one in waiting if one[2].is_open]
            for (symbol, _), event in events.items():
                price = last_price(event)
                if not math.isnan(price):
                    books.mark(symbol, price)
        found = numbered(found)
        self._answer(
            {
                "kind": kind,
                "time": time,
                "books": books.to_record(),
                "live": {
                    name: {
                        key: value
                        for key in (*_PROGRESS, "stop")
                        if (value := getattr(order, key)) == value
                    }
                    for name, order in live.items()
                    if order.is_open
                },
            },
            found,
        )
        return found

    def _round(
        self,
        events: Mapping[Place, MarketEvent],
        waiting: Iterable[tuple[str, OrderTerms, LiveOrder]],
        books: Books,
    ) -> list[Event]:
        """Orders against what came at one time: sells, then buys, oldest first."""
        found: list[Event] = []
        room: dict[tuple[str, str, int], float] = {}
        for side in (-1, 1):
            for name, terms, order in waiting:
                event = events.get((terms.symbol, terms.venue))
                if isinstance(event, BookTick):
                    event = event.quote(side, order.remaining, order.limit)
                if event is not None and order.side == side and order.is_open:
                    found += self._attempt(name, order, terms, event, books, room)
        return found

    def _attempt(
        self,
        name: str,
        order: LiveOrder,
        terms: OrderTerms,
        bar: Bar | Quote | TradeTick,
        books: Books,
        room: dict[tuple[str, str, int], float],
    ) -> list[Event]:
        """One order against one event, as far as volume and cash go."""
        kind, shares = offered(bar, order.side)
        # a quote offers to buyers and sellers apart, a bar or a trade to both together
        symbol, venue = terms.symbol, terms.venue
        place = symbol, venue, order.side if kind == EventKind.QUOTE else 0
        if place not in room:
            room[place] = compiled_rules().room(int(kind), shares, self._terms.row["participation"])
        before = dict(vars(order))
        costs, probe = self._costs_at(venue)
        fill = execute(order, bar, costs, available=room[place])
        short = False
        if fill is not None and not books.covers(symbol, fill.quantity, fill.price, fill.cost):
            short = True
            vars(order).update(before)
            most = self._affordable(order, bar, books, symbol, fill, probe) if self._cuts else 0.0
            fill = execute(order, bar, probe, available=most) if most > 0.0 else None
        events: list[Event] = []
        if fill is not None:
            room[place] -= abs(fill.quantity)
            books.book(symbol, fill.quantity, fill.price, fill.cost)
            events.append(Filled.of(fill, name, f"{name}-{bar.time}", venue=venue or "paper"))
        if short and order.is_open:
            why = Reason.SHORT_OF_CASH.name.lower()
            order.status = Status.CANCELLED
            # an accepted order is not rejected any more: the broker takes it back
            events.append(Cancelled(bar.time, name, why))
        elif order.status == Status.EXPIRED:
            events.append(Expired(bar.time, name, order.reason.name.lower()))
        elif order.status == Status.CANCELLED:
            events.append(Cancelled(bar.time, name, order.reason.name.lower()))
        return events

    def _costs_at(self, venue: str) -> tuple[FillTerms, FillTerms]:
        """Costs there, and the same without lots: what is left of an order may be any size."""
        name = venue if venue in self._costs else ""
        return self._costs[name], self._probes[name]

    def _affordable(
        self,
        order: LiveOrder,
        bar: Bar | Quote | TradeTick,
        books: Books,
        symbol: str,
        fill: OrderFill,
        probe: FillTerms,
    ) -> float:
        """Largest quantity whose fill the account covers, by bisection, in whole lots."""
        held = books.shares.get(symbol, 0.0)
        most = abs(fill.quantity)
        low = min(most, abs(held)) if held * order.side < 0.0 else 0.0
        high = most
        for _ in range(60):
            middle = 0.5 * (low + high)
            if middle in (low, high):  # no number lies between them
                break
            tried = execute(_twin(order), bar, probe, available=middle)
            if tried is not None and books.covers(symbol, tried.quantity, tried.price, tried.cost):
                low = middle
            else:
                high = middle
        lot, smallest = (self._terms.row[name] for name in ("lot", "min_shares"))
        if lot > 0.0:
            low = math.floor(low / lot * (1.0 + 1e-12)) * lot
        return low if low >= max(smallest, 1e-12 * most) else 0.0

    def _answer(self, record: dict[str, Any], events: Sequence[Event]) -> None:
        """Write an answer down, then hold it to be true."""
        self._journal.append(record | {"events": [to_record(event) for event in events]})
        self._take(record, events)

    def _take(self, record: Mapping[str, Any], events: Sequence[Event]) -> None:
        for event in events:
            order = self.orders.record(event)
            if isinstance(event, Accepted):
                self._live[event.client_id] = order.terms.live()
            elif not order.is_open:
                self._live.pop(event.client_id, None)
        self._reports += events
        if record["kind"] in ("bars", "ticks"):
            self.traded_until = int(record["time"])
            self._last = list(events)
            self.books.restore(record["books"])
            for name, progress in record["live"].items():
                order_now = self._live[name]
                for key, value in progress.items():
                    setattr(order_now, key, value)
                if order_now.filled:
                    order_now.status = Status.PARTIAL


def _twin(order: LiveOrder) -> LiveOrder:
    """What `copy.copy` gives, in a fraction of its time."""
    twin = object.__new__(LiveOrder)
    vars(twin).update(vars(order))
    return twin


def _refuse_unknown(terms: FillTerms, account: Account) -> None:
    rates = (account.cash_rate, account.debit_rate, account.borrow_rate, account.maintenance_margin)
    if any(np.any(np.asarray(rate) != 0) for rate in rates):
        raise LiveError(
            "the paper broker charges no financing and calls no margin: rates must be 0"
        )
    if np.ndim(account.initial_margin):
        raise LiveError("the paper broker has one initial_margin for all symbols")
    row = terms.table[0]
    if row["permanent"] != 0 or row["multiplier"] != 1 or row["margined"] != 0 or row["currency"]:
        raise LiveError(
            "the paper broker trades plain shares in one currency without permanent impact"
        )
    if terms.costs.tiers:
        raise LiveError("the paper broker knows no tiers of commission")
