"""Binance's messages, read and written: its public streams, spot and futures.

Belongs here: one message to one typed event and back. Does not belong here: the events themselves
(`events.py`), sockets, files, and what may be missing between two messages (`sequence.py`).

Shapes: ``trade``, ``bookTicker`` (spot sends neither its type nor a time), ``depthUpdate`` (futures
add ``pu`` and ``T``), alone or wrapped as ``{"stream": …, "data": …}``. Prices and quantities are
strings, times milliseconds since 1970. Inside, times are microseconds.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from btq_assets.sources.stream.events import (
    BookEvent,
    Event,
    Level,
    MessageError,
    Notice,
    Quote,
    Trade,
    count,
    flag,
    name,
)

#: Years 2000 to 2100.
_EARLIEST_MS, _LATEST_MS = 946_684_800_000, 4_102_444_800_000


def decode(text: str | bytes, received_at: int) -> Event:
    """Read one message.

    Parameters
    ----------
    text
        The message as it came.
    received_at
        Reading of our clock, microseconds since 1970.

    Raises
    ------
    MessageError
        It is not JSON, or not a message this exchange documents.
    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"not JSON: {error}") from None
    if isinstance(message, dict) and isinstance(message.get("data"), dict):
        message = message["data"]
    if not isinstance(message, dict):
        raise MessageError("neither an object nor a wrapped object")
    try:
        return _read(message, received_at)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise MessageError(f"unreadable {message.get('e', 'message')}: {error!r}") from None


def _read(message: dict[str, Any], received_at: int) -> Event:
    kind = message.get("e")
    if kind == "trade":
        return Trade(
            name(message["s"]),
            count(message["t"]),
            _microseconds(message["T"]),
            received_at,
            float(message["p"]),
            float(message["q"]),
            flag(message["m"]),
        )
    if kind == "depthUpdate":
        previous = message.get("pu")
        return BookEvent(
            name(message["s"]),
            "change",
            count(message["U"]),
            count(message["u"]),
            None if previous is None else count(previous),
            _microseconds(message.get("T", message["E"])),
            received_at,
            levels(message["b"], message["a"]),
        )
    if kind == "bookTicker" or (kind is None and {"u", "s", "b", "B", "a", "A"} <= set(message)):
        stamp = message.get("T", message.get("E"))
        return Quote(
            name(message["s"]),
            count(message["u"]),
            received_at if stamp is None else _microseconds(stamp),
            received_at,
            float(message["b"]),
            float(message["B"]),
            float(message["a"]),
            float(message["A"]),
        )
    if kind == "serverShutdown" or ("result" in message and "id" in message):
        return Notice(json.dumps(message))
    raise MessageError(f"unknown message type {kind!r}")


def read_snapshot(answer: dict[str, Any], symbol: str, received_at: int) -> BookEvent:
    """The book as ``/api/v3/depth`` gives it; its time is that of receipt, it has none itself."""
    try:
        last = count(answer["lastUpdateId"])
        found = levels(answer["bids"], answer["asks"])
    except (KeyError, TypeError, ValueError) as error:
        raise MessageError(f"unreadable depth snapshot: {error!r}") from None
    return BookEvent(symbol, "snapshot", last, last, None, received_at, received_at, found)


def read_past_trade(answer: dict[str, Any], symbol: str, received_at: int) -> Trade:
    """One trade of ``/api/v3/historicalTrades``."""
    try:
        return Trade(
            symbol,
            count(answer["id"]),
            _microseconds(answer["time"]),
            received_at,
            float(answer["price"]),
            float(answer["qty"]),
            flag(answer["isBuyerMaker"]),
            "backfill",
        )
    except (KeyError, TypeError, ValueError) as error:
        raise MessageError(f"unreadable past trade: {error!r}") from None


def levels(bids: list[list[str]], asks: list[list[str]]) -> tuple[Level, ...]:
    """Both sides as one tuple of levels."""
    return (
        *(("bid", float(price), float(quantity)) for price, quantity, *_ in bids),
        *(("ask", float(price), float(quantity)) for price, quantity, *_ in asks),
    )


def _microseconds(milliseconds: Any) -> int:
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int):
        raise ValueError(f"time {milliseconds!r} is not a number of milliseconds")
    if not _EARLIEST_MS <= milliseconds <= _LATEST_MS:
        raise ValueError(f"time {milliseconds} is no time of this century in milliseconds")
    return milliseconds * 1_000


def encode(event: Event) -> str:
    """The message of an event, in the exchange's shape; times to the millisecond."""
    if isinstance(event, Trade):
        ms = event.ts // 1_000
        body: dict[str, Any] = {
            "e": "trade", "E": ms, "s": event.symbol, "t": event.trade_id,
            "p": decimal(event.price), "q": decimal(event.quantity),
            "T": ms, "m": event.buyer_is_maker, "M": True,
        }  # fmt: skip
        stream = "trade"
    elif isinstance(event, Quote):
        # With its times, as the futures stream sends it.
        ms = event.ts // 1_000
        body = {
            "e": "bookTicker", "u": event.update_id, "E": ms, "T": ms, "s": event.symbol,
            "b": decimal(event.bid_price), "B": decimal(event.bid_quantity),
            "a": decimal(event.ask_price), "A": decimal(event.ask_quantity),
        }  # fmt: skip
        stream = "bookTicker"
    elif isinstance(event, BookEvent):
        ms = event.ts // 1_000
        bids, asks = sides(event.levels)
        body = {
            "e": "depthUpdate", "E": ms, "s": event.symbol,
            "U": event.first_update_id, "u": event.update_id, "b": bids, "a": asks,
        }  # fmt: skip
        stream = "depth@100ms"
    else:
        return event.text
    return json.dumps({"stream": f"{event.symbol.lower()}@{stream}", "data": body})


def sides(found: tuple[Level, ...] | list[Level]) -> tuple[list[list[str]], list[list[str]]]:
    """Bids and asks as the exchange writes them: pairs of strings."""
    bids, asks = (
        [[decimal(price), decimal(quantity)] for side, price, quantity in found if side == wanted]
        for wanted in ("bid", "ask")
    )
    return bids, asks


def decimal(value: float) -> str:
    """Shortest decimal that reads back as `value`, without an exponent."""
    return format(Decimal(repr(value)), "f")
