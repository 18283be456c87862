"""The recorder: a process of its own that listens to an exchange and fills the inbox.

Belongs here: connecting, the bounded queue between socket and disk, filling and naming gaps. Does
not belong here: Dagster and the database, neither of which it ever touches.

Two tasks. The listener puts messages as they come into a bounded queue. The keeper reads them, asks
for what is missing, and writes batches. When the disk is slow the queue fills, the listener stops
reading, the kernel's buffers fill, and at last the exchange closes the connection: nothing is thrown
away here, and what the exchange did not deliver is then a gap like any other. Trades are numbered,
so a hole is filled from the exchange's history; a book that lost a change starts again from a
snapshot; quotes that were missed are lost, and the gap says from when.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from btq_assets.sources.stream import inbox
from btq_assets.sources.stream.keeper import Counts, Keeper, RecorderError
from btq_assets.sources.stream.shape import shape_of

if TYPE_CHECKING:
    from btq_assets.config.sources.stream import StreamSourceSection

_LARGEST_MESSAGE_BYTES = 16 * 1024 * 1024
_MOST_DOUBLINGS = 12


@dataclass(frozen=True)
class _Connected:
    """Put into the queue when a connection stands."""

    at: int


def wall_clock() -> int:
    """Microseconds since 1970, by this machine."""
    return time.time_ns() // 1_000


@dataclass
class Recorder:
    """Record one exchange's streams into an inbox folder.

    Parameters
    ----------
    settings
        What is recorded, from where, in what batches.
    folder
        The inbox; one recorder at a time.
    clock
        Microseconds since 1970.
    log
        Told what happens to the connection.
    write
        Writes one batch; for tests of a disk that refuses.
    first_wait_s
        Before the second attempt at anything; later ones wait longer.
    """

    settings: StreamSourceSection
    folder: Path
    clock: Callable[[], int] = wall_clock
    log: Callable[[str], None] = lambda text: print(text, file=sys.stderr)  # noqa: T201
    write: Callable[..., str] = inbox.write_batch
    first_wait_s: float = 0.5

    def __post_init__(self) -> None:
        self._keeper = Keeper(
            self.settings, self.folder, self.clock, self.log, self.write, self.first_wait_s
        )

    @property
    def counts(self) -> Counts:
        """What it has done so far."""
        return self._keeper.counts

    async def run(self, stop: asyncio.Event) -> None:
        """Record until `stop` is set; then write what is in memory and return.

        Raises
        ------
        RecorderError
            Another recorder has the inbox, or the disk refused for longer than configured.
        """
        import filelock

        self.folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self.folder / inbox.LOCK, timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise RecorderError(
                f"another recorder fills {self.folder}; stop it, or give this one another "
                "sources.stream.folder"
            ) from None
        try:
            inbox.drop_partial(self.folder)
            await self._run(stop)
        finally:
            lock.release()

    async def _run(self, stop: asyncio.Event) -> None:
        queue: asyncio.Queue[Any] = asyncio.Queue(self.settings.queue_messages)
        listener = asyncio.create_task(self._listen(queue))
        keeper = asyncio.create_task(self._keep(queue))
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({listener, keeper, stopped}, return_when=asyncio.FIRST_COMPLETED)
            # Whatever ended it, what was received is written.
            listener.cancel()
            await asyncio.wait({listener})
            if not keeper.done():
                await asyncio.wait(
                    {keeper, asyncio.create_task(queue.put(None))},
                    return_when=asyncio.FIRST_COMPLETED,
                )
            await keeper
            if not listener.cancelled():
                listener.result()
        finally:
            for task in (listener, keeper, stopped):
                task.cancel()
            await asyncio.gather(listener, keeper, stopped, return_exceptions=True)

    async def _listen(self, queue: asyncio.Queue[Any]) -> None:
        from websockets.asyncio.client import connect
        from websockets.exceptions import WebSocketException

        failures, shape = 0, shape_of(self.settings.exchange)
        while True:
            try:
                async with connect(
                    shape.url(self.settings),
                    ping_interval=self.settings.ping_seconds,
                    ping_timeout=self.settings.ping_seconds,
                    max_size=_LARGEST_MESSAGE_BYTES,
                    close_timeout=1.0,
                ) as socket:
                    self.counts.connections += 1
                    self.log(f"connected to {self.settings.websocket_url}")
                    for greeting in shape.greetings(self.settings):
                        await socket.send(greeting)
                    await queue.put(_Connected(self.clock()))
                    while True:
                        async with asyncio.timeout(self.settings.silence_seconds):
                            text = await socket.recv()
                        failures = 0
                        await queue.put((self.clock(), text))
                        self.counts.fullest_queue = max(self.counts.fullest_queue, queue.qsize())
            except (OSError, TimeoutError, WebSocketException) as error:
                failures += 1
                wait = min(
                    self.settings.largest_wait_seconds,
                    self.first_wait_s * 2 ** min(failures - 1, _MOST_DOUBLINGS),
                )
                wait *= random.uniform(0.5, 1.5)
                self.log(f"{type(error).__name__}: {error}; connecting again in {wait:.1f} s")
                await asyncio.sleep(wait)

    async def _keep(self, queue: asyncio.Queue[Any]) -> None:
        due = time.monotonic() + self.settings.batch_seconds
        while True:
            try:
                item = queue.get_nowait()
            except asyncio.QueueEmpty:
                try:
                    item = await asyncio.wait_for(queue.get(), max(0.001, due - time.monotonic()))
                except TimeoutError:
                    item = ()
            if item is None:
                await self._keeper.flush(queue.qsize())
                return
            if isinstance(item, _Connected):
                self._keeper.note_connection(item.at)
            elif item:
                await self._keeper.take(*item)
            full = self._keeper.n_rows >= self.settings.batch_rows
            if full or time.monotonic() >= due:
                await self._keeper.flush(queue.qsize())
                due = time.monotonic() + self.settings.batch_seconds
