"""An exchange that is not there: a local server that plays events in Binance's shapes.

Belongs here: the websocket stream and the two HTTP answers the recorder needs, served on one port,
at any speed. Does not belong here: where the events come from (`recorded`, or a generated market).

Events are played once, on the exchange's own clock, whether anyone listens or not: who connects late
or hangs up misses some, as with a real exchange, and finds them again in the history of trades and
the snapshot of the book. With `waits` the clock stands while nobody listens, and a newcomer first
hears the last `overlap` events again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import polars as pl

from btq_assets.sources.stream import inbox
from btq_assets.sources.stream.events import BookEvent, Quote, Trade
from btq_assets.sources.stream.messages import decimal, encode, sides

if TYPE_CHECKING:
    from websockets.asyncio.server import Server, ServerConnection

MarketEvent = Trade | Quote | BookEvent

_CHANNEL_OF = {Trade: "trade", Quote: "bookTicker", BookEvent: "depth"}


def events_of(trades: pl.DataFrame, quotes: pl.DataFrame, book: pl.DataFrame) -> list[MarketEvent]:
    """Events of rows in the stream's columns, by time; within a millisecond quotes come last.

    Parameters
    ----------
    trades, quotes, book
        Rows of ``raw.trades_stream``, ``raw.quotes_stream`` and ``raw.book_stream``.
    """
    found: list[MarketEvent] = [
        *_book_events(_integer_times(book)),
        *(
            Quote(*values)
            for values in _integer_times(quotes)
            .select("symbol", "update_id", "ts", pl.col("ts").alias("r"), "bid_price",
                    "bid_quantity", "ask_price", "ask_quantity")
            .iter_rows()
        ),
        *(
            Trade(*values)
            for values in _integer_times(trades)
            .select("symbol", "trade_id", "ts", pl.col("ts").alias("r"), "price", "quantity",
                    "buyer_is_maker")
            .iter_rows()
        ),
    ]  # fmt: skip
    return sorted(found, key=lambda event: (event.ts, isinstance(event, Trade), _number(event)))


def _book_events(book: pl.DataFrame) -> list[BookEvent]:
    """Snapshots and changes in the order of their numbers, within each symbol.

    A snapshot has no time of its own and was recorded after changes that came before it: it is
    played just before the change that follows it.
    """
    found: list[BookEvent] = []
    following: dict[str, int] = {}
    ordered = book.sort("symbol", "update_id", "kind", maintain_order=True)
    parts = ordered.partition_by("symbol", "update_id", "kind", maintain_order=True)
    for rows in reversed(parts):
        symbol, kind, ts = rows["symbol"][0], rows["kind"][0], rows["ts"][0]
        if kind == "snapshot":
            ts = min(ts, following.get(symbol, ts))
        following[symbol] = ts
        levels = tuple(rows.select("side", "price", "quantity").iter_rows())
        first, last = rows["first_update_id"][0], rows["update_id"][0]
        found.append(BookEvent(symbol, kind, first, last, None, ts, ts, levels))
    return found[::-1]


def recorded(folder: Path) -> list[MarketEvent]:
    """Events of an inbox, put away or not; what was delivered twice is played once."""
    frames = {}
    for stream in ("trades", "quotes", "book"):
        places = (folder / stream, folder / stream / "done")
        files = sorted(f for place in places for f in place.glob("[0-9]*.parquet"))
        schema = inbox.SCHEMAS[stream]
        rows = pl.concat([pl.DataFrame(schema=schema), *(pl.read_parquet(f) for f in files)])
        frames[stream] = rows.unique(maintain_order=True)
    trades = frames["trades"].unique(["symbol", "trade_id"], keep="first", maintain_order=True)
    return events_of(trades, frames["quotes"], frames["book"])


def _integer_times(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("ts").dt.epoch("us"))


def _number(event: MarketEvent) -> int:
    return event.trade_id if isinstance(event, Trade) else event.update_id


@dataclass
class ReplayServer:
    """Play `events` to whoever connects; use as ``async with ReplayServer(events) as server``.

    Parameters
    ----------
    events
        In the order they are played.
    speed
        Seconds of the market in a second; zero plays as fast as listeners read.
    waits
        Whether the market stands still while nobody listens.
    overlap
        Events a newcomer hears again, where the market waits.
    tamper
        Turns an event's number and text into the texts that are sent: to lose, repeat or garble.
    hang_up_after
        Numbers of events after which every connection is cut.
    host, port
        Where to listen; port zero takes any free one.
    """

    events: list[MarketEvent]
    speed: float = 0.0
    waits: bool = False
    overlap: int = 0
    tamper: Callable[[int, str], list[str]] | None = None
    hang_up_after: frozenset[int] = frozenset()
    host: str = "127.0.0.1"
    port: int = 0
    position: int = 0
    http_failures: deque[int] = field(default_factory=deque)
    asked: list[str] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self.finished = asyncio.Event()
        self._clients: dict[ServerConnection, set[str]] = {}
        self._someone = asyncio.Event()
        self._books: dict[str, dict[str, dict[float, float]]] = {}
        self._book_ids: dict[str, int] = {}
        self._past: dict[str, list[Trade]] = {}
        self._server: Server | None = None
        self._player: asyncio.Task[None] | None = None

    async def __aenter__(self) -> ReplayServer:
        from websockets.asyncio.server import serve

        self._server = await serve(
            self._welcome, self.host, self.port, process_request=self._answer, max_size=None
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._player = asyncio.create_task(self._play())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        assert self._player is not None
        self._player.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._player
        self._server.close()
        await self._server.wait_closed()

    @property
    def websocket_url(self) -> str:
        """For ``sources.stream.websocket_url``."""
        return f"ws://{self.host}:{self.port}"

    @property
    def rest_url(self) -> str:
        """For ``sources.stream.rest_url``."""
        return f"http://{self.host}:{self.port}"

    async def _welcome(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        query = parse_qs(urlsplit(connection.request.path).query)
        wanted = set("".join(query.get("streams", [""])).split("/"))
        self.connections += 1
        if self.waits:
            first = max(0, self.position - self.overlap)
            for number in range(first, self.position):
                await self._send(connection, wanted, number)
        self._clients[connection] = wanted
        self._someone.set()
        try:
            await connection.wait_closed()
        finally:
            self._clients.pop(connection, None)
            if not self._clients:
                self._someone.clear()

    async def _play(self) -> None:
        await self._someone.wait()
        loop = asyncio.get_running_loop()
        started, first = loop.time(), self.events[0].ts if self.events else 0
        while self.position < len(self.events):
            if self.waits and not self._clients:
                stood = loop.time()
                await self._someone.wait()
                started += loop.time() - stood
            event = self.events[self.position]
            if self.speed > 0:
                ahead = (event.ts - first) / 1e6 / self.speed - (loop.time() - started)
                if ahead > 0:
                    await asyncio.sleep(ahead)
            elif self.position % 64 == 0:
                await asyncio.sleep(0)
            self._happen(event)
            number, self.position = self.position, self.position + 1
            for connection, wanted in list(self._clients.items()):
                await self._send(connection, wanted, number)
            if number in self.hang_up_after:
                for connection in list(self._clients):
                    self._clients.pop(connection, None)
                    await connection.close(1001, "going away")
                if not self._clients:
                    self._someone.clear()
        self.finished.set()

    async def _send(self, connection: ServerConnection, wanted: set[str], number: int) -> None:
        from websockets.exceptions import ConnectionClosed

        event = self.events[number]
        if isinstance(event, BookEvent) and event.kind == "snapshot":
            return
        channel = f"{event.symbol.lower()}@{_CHANNEL_OF[type(event)]}"
        if not any(name.startswith(channel) for name in wanted):
            return
        text = encode(event)
        for sent in self.tamper(number, text) if self.tamper else [text]:
            with contextlib.suppress(ConnectionClosed):
                await connection.send(sent)

    def _happen(self, event: MarketEvent) -> None:
        """Keep what the HTTP answers tell."""
        if isinstance(event, Trade):
            self._past.setdefault(event.symbol, []).append(event)
        elif isinstance(event, BookEvent):
            book = self._books.setdefault(event.symbol, {"bid": {}, "ask": {}})
            if event.kind == "snapshot":
                book["bid"].clear()
                book["ask"].clear()
            for side, price, quantity in event.levels:
                book[side].pop(price, None)
                if quantity:
                    book[side][price] = quantity
            self._book_ids[event.symbol] = event.update_id

    # The two HTTP answers.

    def _answer(self, connection: ServerConnection, request: Any) -> Any:
        parts = urlsplit(request.path)
        if not parts.path.startswith("/api/"):
            return None
        self.asked.append(request.path)
        if self.http_failures:
            return connection.respond(HTTPStatus(self.http_failures.popleft()), "try again\n")
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        symbol, limit = query.get("symbol", ""), int(query.get("limit", 1_000))
        if parts.path == "/api/v3/depth" and symbol in self._books:
            return connection.respond(HTTPStatus.OK, json.dumps(self._depth(symbol, limit)))
        if parts.path == "/api/v3/historicalTrades":
            found = self._history(symbol, int(query.get("fromId", 0)))
            page = [answer for answer, _ in zip(found, range(limit), strict=False)]
            return connection.respond(HTTPStatus.OK, json.dumps(page))
        body = json.dumps({"code": -1121, "msg": "Invalid symbol."})
        return connection.respond(HTTPStatus.BAD_REQUEST, body)

    def _depth(self, symbol: str, limit: int) -> dict[str, Any]:
        book = self._books[symbol]
        bids = sorted(book["bid"].items(), reverse=True)[:limit]
        asks = sorted(book["ask"].items())[:limit]
        both = sides([("bid", *level) for level in bids] + [("ask", *level) for level in asks])
        return {"lastUpdateId": self._book_ids[symbol], "bids": both[0], "asks": both[1]}

    def _history(self, symbol: str, first: int) -> Iterator[dict[str, Any]]:
        past: Iterable[Trade] = self._past.get(symbol, [])
        for trade in past:
            if trade.trade_id >= first:
                yield {
                    "id": trade.trade_id,
                    "price": decimal(trade.price),
                    "qty": decimal(trade.quantity),
                    "quoteQty": decimal(trade.price * trade.quantity),
                    "time": trade.ts // 1_000,
                    "isBuyerMaker": trade.buyer_is_maker,
                    "isBestMatch": True,
                }
