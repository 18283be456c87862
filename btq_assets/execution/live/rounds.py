"""Market events as a paper broker takes them: what comes together, what it offers, what it is worth.

Belongs here: reading engine events. Does not belong here: orders (`broker`), fills (`engine.fills`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from btq_assets.engine.codes import EventKind
from btq_assets.engine.fills import Bar, Quote, TradeTick
from btq_assets.execution.events import Event, Filled

MarketEvent = Bar | Quote | TradeTick


def rounds(
    ticks: Iterable[tuple[str, Quote | TradeTick]],
) -> Iterator[dict[str, MarketEvent]]:
    """Ticks of one time together, each symbol once."""
    together: dict[str, MarketEvent] = {}
    last = -1
    for symbol, tick in ticks:
        if together and (tick.time != last or symbol in together):
            yield together
            together = {}
        together[symbol] = tick
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


def offered(event: MarketEvent, side: int) -> tuple[EventKind, float]:
    """What an event has for orders of a side: traded volume, or the size quoted."""
    if isinstance(event, Quote):
        return EventKind.QUOTE, event.ask_size if side > 0 else event.bid_size
    if isinstance(event, TradeTick):
        return EventKind.TRADE, event.size
    return EventKind.BAR, event.volume


def last_price(event: MarketEvent) -> float:
    """What a holding is worth after it: the close, the trade, the middle of the quote."""
    if isinstance(event, Bar):
        return event.close
    return event.price if isinstance(event, TradeTick) else 0.5 * (event.bid + event.ask)
