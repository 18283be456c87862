"""What the limits of risk say to the orders of one decision, before any of them is sent.

Belongs here: the state that `risk.limits.admit` is asked against (holdings, orders that work, what
traded today, orders of the last minute), and the events a refusal leaves. Does not belong here: the
limits themselves (`risk.limits`), what stops the whole loop (`safety`).

Orders that only shrink what is held are asked about first, as the broker trades sells before buys:
a rotation is not refused for room that its own sells make.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from btq_assets.execution.events import (
    Event,
    Filled,
    OrderTerms,
    Rejected,
    Submitted,
    from_record,
    to_record,
)
from btq_assets.execution.live.account import Books
from btq_assets.execution.orders import Blotter, Order
from btq_assets.risk.limits import (
    MINUTE_NS,
    Breach,
    OrderLimits,
    ProposedOrder,
    TradingState,
    admit,
)

DAY_NS = 86_400_000_000_000


@dataclass(frozen=True)
class Verdict:
    """What may be sent, and what the limits keep back.

    Attributes
    ----------
    admitted
        In the order given.
    refused
        `Submitted` and `Rejected` of each order kept back.
    breaches
        Plain values for a journal: client id, limit, value, bound, detail.
    """

    admitted: list[OrderTerms]
    refused: list[Event]
    breaches: list[dict[str, Any]]


@dataclass
class PreTrade:
    """The limits, and what they remember between decisions.

    Attributes
    ----------
    limits, strategy
        See `OrderLimits`; name in breaches.
    intraday
        Whether several bars end in a day. What traded on the day of a daily bar was sent the day
        before: the next session begins with the orders that are sent after its close.
    sent_at
        When orders were sent in the last minute, nanoseconds UTC of the loop's clock.
    day, traded
        Day (UTC, since 1970) and value of its fills.
    """

    limits: OrderLimits
    strategy: str
    intraday: bool
    sent_at: list[int] = field(default_factory=list)
    day: int = -1
    traded: float = 0.0

    def remember(self, orders: Blotter, until: int, sent_at: Iterable[int]) -> None:
        """Take up what a journal holds of orders sent, and of fills until `until`."""
        self.sent_at = sorted(sent_at)
        past = (fill for order in orders.values() for fill in order.fills if fill.at <= until)
        self.count(tuple(past), until)

    def count(self, events: Sequence[Event], now: int) -> None:
        """Take the fills of the bar that ends at `now`."""
        if now // DAY_NS != self.day:
            self.day, self.traded = now // DAY_NS, 0.0
        self.traded += sum(
            abs(event.quantity) * event.price
            for event in events
            if isinstance(event, Filled) and event.at // DAY_NS == self.day
        )

    def judge(
        self,
        orders: Sequence[OrderTerms],
        books: Books,
        working: Iterable[Order],
        peak: float,
        price_of: Callable[[OrderTerms], float],
        now: int,
    ) -> Verdict:
        """Ask `risk.limits.admit`; what it admits counts as sent at `now`.

        Parameters
        ----------
        orders
            As they would be sent.
        books
            Cash and holdings; their marks value what is held and what works.
        working
            Orders that may still trade and are not taken back by this decision.
        peak
            Highest equity, for the drawdown.
        price_of
            Price of an order now: its limit, or what it would meet.
        now
            Reading of the loop's clock, nanoseconds UTC.
        """
        if not orders:
            return Verdict([], [], [])
        holdings = {symbol: n * books.marks[symbol] for symbol, n in books.shares.items()}
        waiting = 0.0
        for order in working:
            symbol = order.terms.symbol
            value = order.remaining * books.marks[symbol]
            holdings[symbol] = holdings.get(symbol, 0.0) + order.terms.side * value
            waiting += value
        state = TradingState(
            books.equity,
            max(peak, books.equity),
            holdings,
            waiting + (self.traded if self.intraday else 0.0),
            [at for at in self.sent_at if at > now - MINUTE_NS],
        )
        turn = sorted(orders, key=lambda terms: not _shrinks(terms, holdings, books.marks))
        proposed = [
            ProposedOrder(
                terms.symbol,
                terms.quantity,
                price_of(terms),
                math.nan if terms.reference_price is None else terms.reference_price,
            )
            for terms in turn
        ]
        answers = admit(proposed, state, self.limits, now, strategy=self.strategy)
        found = {terms.client_id: why for terms, why in zip(turn, answers, strict=True)}
        self.sent_at = state.sent_at
        return _verdict(orders, found)


def _shrinks(terms: OrderTerms, holdings: Mapping[str, float], marks: Mapping[str, float]) -> bool:
    before = holdings.get(terms.symbol, 0.0)
    after = before + terms.quantity * marks[terms.symbol]
    return abs(after) <= abs(before) and after * before >= 0


def _verdict(orders: Sequence[OrderTerms], found: Mapping[str, list[Breach]]) -> Verdict:
    admitted: list[OrderTerms] = []
    refused: list[Event] = []
    notes: list[dict[str, Any]] = []
    for terms in orders:
        broken = found[terms.client_id]
        if not broken:
            admitted.append(terms)
            continue
        at = terms.decided_at
        refused += [Submitted(at, terms), Rejected(at, terms.client_id, reason_of(broken))]
        notes += [
            {
                "client_id": terms.client_id,
                "limit": breach.limit,
                "value": None if math.isnan(breach.value) else breach.value,
                "allowed": breach.allowed,
                "detail": breach.detail,
            }
            for breach in broken
        ]
    return Verdict(admitted, refused, notes)


def reason_of(broken: Iterable[Breach]) -> str:
    """Name, value and bound of every limit that is broken."""
    return "; ".join(f"{b.limit}: {b.value:.6g}, allowed {b.allowed:.6g}" for b in broken)


def refusals(decision: Mapping[str, Any]) -> list[Event]:
    """Events of the orders a decision's record says were kept back."""
    return [from_record(event) for event in decision.get("refused", ())]


def refusal_records(verdict: Verdict) -> dict[str, Any]:
    """What a decision's record says of them; nothing where there are none."""
    if not verdict.refused:
        return {}
    return {
        "refused": [to_record(event) for event in verdict.refused],
        "breaches": verdict.breaches,
    }


def is_intraday(history: pl.DataFrame) -> bool:
    """Whether bars of a history are shorter than half a day, by their median distance."""
    gaps = history["ts"].unique().sort()[-64:].diff().drop_nulls().dt.total_seconds()
    return len(gaps) > 0 and float(gaps.median()) < DAY_NS / 2e9  # type: ignore[arg-type]
