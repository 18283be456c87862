"""The exchange's messages, read and written: Binance's public streams, spot and futures.

Belongs here: one message to one typed event and back, and the rows an event makes. Does not belong
here: sockets, files, and what may be missing between two messages (`sequence.py`).

Shapes: ``trade``, ``bookTicker`` (spot sends neither its type nor a time), ``depthUpdate`` (futures
add ``pu`` and ``T``), alone or wrapped as ``{"stream": …, "data": …}``. Prices and quantities are
strings, times milliseconds since 1970. Inside, times are microseconds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from btq_assets.sources.vintages import RECORDED

#: Years 2000 to 2100.
_EARLIEST_MS, _LATEST_MS = 946_684_800_000, 4_102_444_800_000

Level = tuple[Literal["bid", "ask"], float, float]


class MessageError(ValueError):
    """A message is not what the exchange documents; it is kept, with the reason."""


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade; times in microseconds since 1970."""

    symbol: str
    trade_id: int
    ts: int
    received_at: int
    price: float
    quantity: float
    buyer_is_maker: bool
    via: Literal["stream", "backfill"] = "stream"

    def row(self, dataset: str) -> tuple[Any, ...]:
        """Values in the columns of ``raw.trades_stream``."""
        return (
            dataset, self.symbol, self.trade_id, self.ts, max(self.ts, self.received_at), RECORDED,
            self.received_at, self.price, self.quantity, self.buyer_is_maker, self.via,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Quote:
    """Best bid and ask; spot gives no time, so that of receipt stands for it."""

    symbol: str
    update_id: int
    ts: int
    received_at: int
    bid_price: float
    bid_quantity: float
    ask_price: float
    ask_quantity: float

    def row(self, dataset: str) -> tuple[Any, ...]:
        """Values in the columns of ``raw.quotes_stream``."""
        return (
            dataset, self.symbol, self.update_id, self.ts, max(self.ts, self.received_at), RECORDED,
            self.received_at, self.bid_price, self.bid_quantity, self.ask_price, self.ask_quantity,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class BookEvent:
    """A whole book, or changes to it: levels are (side, price, quantity), zero meaning gone."""

    symbol: str
    kind: Literal["snapshot", "change"]
    first_update_id: int
    update_id: int
    previous_update_id: int | None
    ts: int
    received_at: int
    levels: tuple[Level, ...]

    def rows(self, dataset: str) -> list[tuple[Any, ...]]:
        """Values in the columns of ``raw.book_stream``, one tuple a level."""
        known_at = max(self.ts, self.received_at)
        # A level said twice in one message: the last word counts.
        last = {(side, price): quantity for side, price, quantity in self.levels}
        # Futures skip numbers and name the update before: then the change joins that one.
        first = self.first_update_id
        if self.previous_update_id is not None:
            first = min(first, self.previous_update_id + 1)
        return [
            (
                dataset, self.symbol, self.update_id, self.kind, side, price, first,
                self.ts, known_at, RECORDED, self.received_at, quantity,
            )
            for (side, price), quantity in last.items()
        ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the exchange says about the connection, not about the market."""

    text: str


Event = Trade | Quote | BookEvent | Notice


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
            _name(message["s"]),
            _count(message["t"]),
            _microseconds(message["T"]),
            received_at,
            float(message["p"]),
            float(message["q"]),
            _flag(message["m"]),
        )
    if kind == "depthUpdate":
        previous = message.get("pu")
        return BookEvent(
            _name(message["s"]),
            "change",
            _count(message["U"]),
            _count(message["u"]),
            None if previous is None else _count(previous),
            _microseconds(message.get("T", message["E"])),
            received_at,
            levels(message["b"], message["a"]),
        )
    if kind == "bookTicker" or (kind is None and {"u", "s", "b", "B", "a", "A"} <= set(message)):
        stamp = message.get("T", message.get("E"))
        return Quote(
            _name(message["s"]),
            _count(message["u"]),
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
        last = _count(answer["lastUpdateId"])
        found = levels(answer["bids"], answer["asks"])
    except (KeyError, TypeError, ValueError) as error:
        raise MessageError(f"unreadable depth snapshot: {error!r}") from None
    return BookEvent(symbol, "snapshot", last, last, None, received_at, received_at, found)


def read_past_trade(answer: dict[str, Any], symbol: str, received_at: int) -> Trade:
    """One trade of ``/api/v3/historicalTrades``."""
    try:
        return Trade(
            symbol,
            _count(answer["id"]),
            _microseconds(answer["time"]),
            received_at,
            float(answer["price"]),
            float(answer["qty"]),
            _flag(answer["isBuyerMaker"]),
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


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise ValueError(f"{value!r} is not a number an event can have")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is not a symbol")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")
    return value


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
