"""Market events as a paper broker takes them: what comes together, what it offers, what it is worth.

Belongs here: reading engine events. Does not belong here: orders (`broker`), fills (`engine.fills`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from btq_assets.engine.codes import EventKind
from btq_assets.engine.fills import Bar, Quote, TradeTick
from btq_assets.execution.events import Event, Filled


@dataclass(frozen=True)
class BookTick:
    """The book of a symbol at a venue from `time` on: ``(price, size)``, best first."""

    time: int
    symbol: str
    venue: str
    bids: tuple[tuple[float, float], ...]
    asks: tuple[tuple[float, float], ...]

    def levels(self, side: int) -> tuple[tuple[float, float], ...]:
        """What an order of a side (1 buys) meets."""
        return self.asks if side > 0 else self.bids

    def quote(self, side: int, quantity: float, limit: float) -> Quote | None:
        """What an order of this size meets, as one quote; ``None`` where a side is empty.

        The touch is the mean price of the levels that the order takes, and the size all there is
        up to its limit; the middle is that of the best prices, so that what walking the book costs
        is part of the spread.
        """
        if not self.bids or not self.asks:
            return None
        middle = 0.5 * (self.bids[0][0] + self.asks[0][0])
        within = [
            (price, size)
            for price, size in self.levels(side)
            if math.isnan(limit) or side * (price - limit) <= 0
        ]
        if not within:
            within, quantity = [self.levels(side)[0]], 0.0
        left, paid, taken = quantity, 0.0, 0.0
        for price, size in within:
            part = min(left, size)
            paid, taken, left = paid + part * price, taken + part, left - part
        touch = paid / taken if taken > 0 else within[0][0]
        there = sum(size for _, size in within)
        other = 2 * middle - touch
        ask, bid = (touch, other) if side > 0 else (other, touch)
        return Quote(self.time, bid, ask, there, there, self.time // DAY_NS)


MarketEvent = Bar | Quote | TradeTick | BookTick

DAY_NS = 86_400_000_000_000


#: Symbol and venue; the market as a whole has no name.
Place = tuple[str, str]


def rounds(
    ticks: Iterable[tuple[str, Quote | TradeTick | BookTick]],
) -> Iterator[dict[Place, MarketEvent]]:
    """Ticks of one time together, each place once."""
    together: dict[Place, MarketEvent] = {}
    last = -1
    for symbol, tick in ticks:
        place = symbol, tick.venue if isinstance(tick, BookTick) else ""
        if together and (tick.time != last or place in together):
            yield together
            together = {}
        together[place] = tick
        last = tick.time
    if together:
        yield together


def numbered(events: Iterable[Event]) -> list[Event]:
    """Fills of one order at one time get names of their own: two ticks may share a time."""
    count: Counter[tuple[str, str]] = Counter()
    named: list[Event] = []
    for event in events:
        if isinstance(event, Filled):
            key = event.client_id, event.fill_id
            count[key] += 1
            if count[key] > 1:
                event = replace(event, fill_id=f"{event.fill_id}-{count[key]}")
        named.append(event)
    return named


def offered(event: Bar | Quote | TradeTick, side: int) -> tuple[EventKind, float]:
    """What an event has for orders of a side: traded volume, or the size quoted."""
    if isinstance(event, Quote):
        return EventKind.QUOTE, event.ask_size if side > 0 else event.bid_size
    if isinstance(event, TradeTick):
        return EventKind.TRADE, event.size
    return EventKind.BAR, event.volume


def last_price(event: MarketEvent) -> float:
    """What a holding is worth after it: the close, the trade, the middle of the quote.

    NaN after the book of one venue: the market as a whole says what is held is worth.
    """
    if isinstance(event, BookTick):
        return math.nan
    if isinstance(event, Bar):
        return event.close
    return event.price if isinstance(event, TradeTick) else 0.5 * (event.bid + event.ask)
