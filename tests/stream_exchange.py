"""A generated market on a local exchange, and a recorder that listens to it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import polars as pl

from btq_assets.config.sources.stream import StreamSourceSection
from btq_assets.sources.stream import inbox
from btq_assets.sources.stream.recorder import Recorder
from btq_assets.sources.stream.replay import MarketEvent, ReplayServer

SYMBOLS = ("SYN001", "SYN002")

#: What an event is, whenever and however it was delivered.
CONTENT = {
    "trades": ["symbol", "trade_id", "ts", "price", "quantity", "buyer_is_maker"],
    "quotes": [
        "symbol", "update_id", "ts", "bid_price", "bid_quantity", "ask_price", "ask_quantity",
    ],
}  # fmt: skip


def section(server: ReplayServer, **settings) -> StreamSourceSection:
    quick = {
        "enabled": True,
        "dataset": "SYNTHETIC_market",
        "symbols": SYMBOLS,
        "websocket_url": server.websocket_url,
        "rest_url": server.rest_url,
        "batch_seconds": 0.1,
        "largest_wait_seconds": 0.2,
        "disk_patience_seconds": 0.2,
    }
    return StreamSourceSection(**{**quick, **settings})


def record(
    server: ReplayServer,
    folder: Path,
    *,
    write=inbox.write_batch,
    settle_s: float = 0.15,
    **settings,
) -> Recorder:
    """Record until the exchange has played everything and the socket is empty."""

    async def main() -> Recorder:
        async with server:
            recorder = Recorder(
                section(server, **settings),
                folder,
                log=lambda text: None,
                write=write,
                first_wait_s=0.01,
            )
            stop = asyncio.Event()
            running = asyncio.create_task(recorder.run(stop))
            played = asyncio.create_task(server.finished.wait())
            await asyncio.wait({running, played}, return_when=asyncio.FIRST_COMPLETED)
            seen = -1
            while seen != recorder.counts.messages and not running.done():
                seen = recorder.counts.messages
                await asyncio.sleep(settle_s)
            stop.set()
            played.cancel()
            await running
            return recorder

    return asyncio.run(main())


def rows(folder: Path, stream: str, *, done: bool = True) -> pl.DataFrame:
    """Everything in the inbox of a stream, in the order of the files."""
    places = [folder / stream, *([folder / stream / "done"] if done else [])]
    files = sorted(f for place in places for f in place.glob("0*.parquet"))
    return pl.concat([pl.DataFrame(schema=inbox.SCHEMAS[stream]), *map(pl.read_parquet, files)])


def content(frame: pl.DataFrame, stream: str) -> pl.DataFrame:
    """The events of `frame`, each once, without what belongs to their delivery."""
    return frame.select(CONTENT[stream]).unique().sort("symbol", CONTENT[stream][1])


def replayed_book(book: pl.DataFrame, symbol: str) -> dict[tuple[str, float], float]:
    """The book after the last recorded change."""
    state: dict[tuple[str, float], float] = {}
    last = None
    own = book.filter(symbol=symbol)
    for event in own.partition_by("update_id", "kind", maintain_order=True):
        if event["kind"][0] == "snapshot":
            state = {}
        else:
            assert last is not None
            assert event["first_update_id"][0] <= last + 1, "a change does not join"
        last = event["update_id"][0]
        for side, price, quantity in event.select("side", "price", "quantity").iter_rows():
            state.pop((side, price), None)
            if quantity:
                state[side, price] = quantity
    return state


class Exchange:
    """A replay server in a thread of its own, for recorders that are other processes."""

    def __init__(self, events: list[MarketEvent], **options) -> None:
        self.events, self.options = events, options
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        async def main() -> None:
            self._stop = asyncio.Event()
            self._loop = asyncio.get_running_loop()
            async with ReplayServer(self.events, **self.options) as self.server:
                self._ready.set()
                await self._stop.wait()

        asyncio.run(main())

    def __enter__(self) -> Exchange:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
