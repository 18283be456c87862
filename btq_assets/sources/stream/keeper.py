"""From messages to batches: what follows, what repeats, what is missing and asked for.

Belongs here: the recorder's memory and its dealings with the disk and the exchange's other door.
Does not belong here: the socket (`recorder.py`), and the rules of numbers (`sequence.py`).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from btq_assets.sources.errors import ProviderUnavailableError, SourceError
from btq_assets.sources.stream import inbox
from btq_assets.sources.stream.events import BookEvent, MessageError, Notice, Quote, Trade
from btq_assets.sources.stream.sequence import BookSequence, Counter, Gap
from btq_assets.sources.stream.shape import shape_of

if TYPE_CHECKING:
    from btq_assets.config.sources.stream import StreamSourceSection

_SNAPSHOT_ATTEMPTS = 5
_LONGEST_DISK_WAIT_S = 10.0

_STREAM_OF = {Trade: "trades", Quote: "quotes", BookEvent: "book"}

#: Characters of a refused message that are kept.
_KEPT_CHARACTERS = 4_000


class RecorderError(SourceError):
    """The recorder cannot go on; what it wrote is whole."""


@dataclass
class Counts:
    """What the recorder has done since it started, for its status file."""

    messages: int = 0
    rows: int = 0
    files: int = 0
    gaps: int = 0
    refused: int = 0
    repeats: int = 0
    connections: int = 0
    fullest_queue: int = 0
    disk_failures: int = 0


@dataclass
class Keeper:
    """What a recorder remembers, and how it gets to the disk.

    Parameters
    ----------
    settings, folder, clock, log, write, first_wait_s
        As of the `Recorder`.
    """

    settings: StreamSourceSection
    folder: Path
    clock: Callable[[], int]
    log: Callable[[str], None]
    write: Callable[..., str] = inbox.write_batch
    first_wait_s: float = 0.5
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        known = inbox.read_json(self.folder, inbox.CHECKPOINT)
        self._trades = {s: Counter(known.get("trades", {}).get(s)) for s in self.settings.symbols}
        self._quotes = {s: Counter(known.get("quotes", {}).get(s)) for s in self.settings.symbols}
        self._books = {s: BookSequence() for s in self.settings.symbols}
        #: Last update of each book that is recorded, by this process or the one before.
        self._book_ends: dict[str, int] = dict(known.get("books", {}))
        #: When each stream of each symbol was last heard of: ``"trades BTCUSDT"`` → microseconds.
        self._heard: dict[str, int] = dict(known.get("heard", {}))
        stored = known.get("sequences", {})
        on_disk = inbox.next_sequences(self.folder)
        self._sequences = {s: max(n, stored.get(s, 0)) for s, n in on_disk.items()}
        self._rows: dict[str, list[tuple[Any, ...]]] = {stream: [] for stream in inbox.SCHEMAS}
        self._shape = shape_of(self.settings.exchange)
        self._door = self._shape.door(self.settings, self.clock, self.first_wait_s)
        self._connected = False

    @property
    def n_rows(self) -> int:
        """Rows in memory only."""
        return sum(map(len, self._rows.values()))

    def note_connection(self, at: int) -> None:
        """Between two connections quotes are lost; trades and books find out by their numbers."""
        if self._connected or self._heard:
            for symbol in self.settings.symbols if "quotes" in self.settings.kinds else ():
                dark_since = self._heard.get(f"quotes {symbol}")
                self._gap(Gap("quotes", symbol, at, "disconnected", "lost", dark_since=dark_since))
        self._connected = True

    async def take(self, at: int, text: str | bytes) -> None:
        """Keep one message as it came at `at`, and ask for what it shows to be missing."""
        self.counts.messages += 1
        try:
            event = self._shape.decode(text, at)
            if not isinstance(event, Notice) and event.symbol not in self._trades:
                raise MessageError(f"symbol {event.symbol} was not asked for")
        except MessageError as error:
            self._refuse(str(error), text)
            return
        if isinstance(event, Notice):
            self.log(f"the exchange says {event.text}")
            return
        stream = _STREAM_OF[type(event)]
        dark_since = self._heard.get(f"{stream} {event.symbol}")
        self._heard[f"{stream} {event.symbol}"] = at
        if isinstance(event, Trade):
            await self._take_trade(event, dark_since)
        elif isinstance(event, BookEvent):
            await self._take_change(event, dark_since)
        else:
            self._take_quote(event)

    def _take_quote(self, quote: Quote) -> None:
        counter = self._quotes[quote.symbol]
        if counter.last is not None and quote.update_id <= counter.last:
            self.counts.repeats += 1
            return
        counter.advance(quote.update_id)
        self._rows["quotes"].append(quote.row(self.settings.dataset))

    async def _take_trade(self, trade: Trade, dark_since: int | None) -> None:
        counter = self._trades[trade.symbol]
        verdict = counter.see(trade.trade_id)
        if verdict == "repeat":
            self.counts.repeats += 1
            return
        if verdict == "gap":
            assert counter.last is not None
            await self._backfill(trade, counter.last + 1, dark_since)
        counter.advance(trade.trade_id)
        self._rows["trades"].append(trade.row(self.settings.dataset))

    async def _backfill(self, trade: Trade, first: int, dark_since: int | None) -> None:
        """Ask for the trades before `trade`, the newest ones where there are too many."""
        last = trade.trade_id - 1
        start = max(first, last - self.settings.backfill_trades + 1)
        found: list[Trade] = []
        if start <= last:
            try:
                found = await asyncio.to_thread(self._door.trades, trade.symbol, start, last)
            except (ProviderUnavailableError, MessageError) as error:
                self.log(f"trades {start} to {last} of {trade.symbol} are lost: {error}")
        self._rows["trades"] += [past.row(self.settings.dataset) for past in found]
        numbers = [past.trade_id for past in found]
        filled = [(low, high, "backfilled") for low, high in runs(numbers)]
        lost = [(low, high, "lost") for low, high in holes(first, last, numbers)]
        for part, (low, high, outcome) in enumerate(sorted(filled + lost)):
            gap = Gap("trades", trade.symbol, trade.received_at, "missing_ids", outcome)
            self._gap(
                replace(gap, part=part, first_missing=low, last_missing=high, dark_since=dark_since)
            )

    async def _take_change(self, change: BookEvent, dark_since: int | None) -> None:
        book = self._books[change.symbol]
        verdict = book.see(change)
        if verdict == "repeat":
            self.counts.repeats += 1
            return
        if verdict == "gap" and not await self._resync(book, change, dark_since):
            return
        if book.see(change) == "next":
            book.advance(change)
            self._book_ends[change.symbol] = change.update_id
            self._rows["book"] += change.rows(self.settings.dataset)

    async def _resync(self, book: BookSequence, change: BookEvent, dark_since: int | None) -> bool:
        """Start again from a snapshot that `change` joins or that contains it.

        Changes that come meanwhile wait in the queue.
        """
        end, within_session = self._book_ends.get(change.symbol), book.last is not None
        book.lose()
        outcome = "lost"
        for attempt in range(_SNAPSHOT_ATTEMPTS):
            try:
                snapshot = await asyncio.to_thread(
                    self._door.snapshot, change.symbol, self.settings.snapshot_levels
                )
            except (ProviderUnavailableError, MessageError) as error:
                self.log(f"no snapshot of {change.symbol}: {error}")
                break
            if snapshot.update_id + 1 >= change.first_update_id:
                book.advance(snapshot)
                self._book_ends[change.symbol] = snapshot.update_id
                self._rows["book"] += snapshot.rows(self.settings.dataset)
                outcome = "resynced"
                break
            # Older than the change: the exchange's two doors are not in step yet.
            await asyncio.sleep(self.first_wait_s * 2**attempt)
        if end is not None or outcome == "lost":
            gap = Gap(
                "book",
                change.symbol,
                change.received_at,
                "out_of_sync" if within_session else "disconnected",
                outcome,
                dark_since=dark_since,
            )
            if end is not None and end + 1 < change.first_update_id:
                gap = replace(gap, first_missing=end + 1, last_missing=change.first_update_id - 1)
            self._gap(gap)
        return outcome == "resynced"

    def _gap(self, gap: Gap) -> None:
        self.counts.gaps += 1
        self._rows["gaps"].append(gap.row(self.settings.dataset))

    def _refuse(self, reason: str, text: str | bytes) -> None:
        self.counts.refused += 1
        shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        self._rows["refused"].append((reason, shown[:_KEPT_CHARACTERS]))

    async def flush(self, waiting: int) -> None:
        """Write what is in memory, then the checkpoint; a batch is dropped from memory last."""
        for stream, rows in self._rows.items():
            if rows:
                await self._write_patiently(stream, rows)
                self.counts.rows += len(rows)
                self.counts.files += 1
                self._sequences[stream] += 1
                self._rows[stream] = []
        now = self.clock()
        checkpoint = {
            "sequences": self._sequences,
            "trades": {symbol: counter.last for symbol, counter in self._trades.items()},
            "quotes": {symbol: counter.last for symbol, counter in self._quotes.items()},
            "books": self._book_ends,
            "heard": self._heard,
        }
        status = {
            "pid": os.getpid(),
            "at": now,
            "last_message_at": max(self._heard.values(), default=None),
            "waiting": waiting,
            **vars(self.counts),
        }
        for name, content in ((inbox.CHECKPOINT, checkpoint), (inbox.STATUS, status)):
            try:
                await asyncio.to_thread(inbox.write_json, self.folder, name, content)
            except OSError as error:
                # The batches are safe; an old checkpoint only asks again for what is known.
                self.log(f"{name} is not written: {error}")

    async def _write_patiently(self, stream: str, rows: list[tuple[Any, ...]]) -> None:
        frame = inbox.frame_of(stream, rows)
        at, deadline = (
            inbox.utc(self.clock()),
            time.monotonic() + self.settings.disk_patience_seconds,
        )
        wait = self.first_wait_s
        while True:
            try:
                await asyncio.to_thread(
                    self.write, self.folder, stream, self._sequences[stream], frame, at
                )
                return
            except OSError as error:
                self.counts.disk_failures += 1
                self.log(f"a batch of {stream} is not written: {error}")
                if time.monotonic() + wait > deadline:
                    raise RecorderError(
                        f"the disk refused {len(rows)} rows of {stream} for "
                        f"{self.settings.disk_patience_seconds:g} s ({error}); free space in "
                        f"{self.folder} and start again: missed trades are asked for"
                    ) from error
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_DISK_WAIT_S)


def runs(numbers: list[int]) -> list[tuple[int, int]]:
    """First and last of each stretch of consecutive numbers."""
    out: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if out and number == out[-1][1] + 1:
            out[-1] = (out[-1][0], number)
        else:
            out.append((number, number))
    return out


def holes(first: int, last: int, found: list[int]) -> list[tuple[int, int]]:
    """Stretches of ``first … last`` that are not in `found`."""
    out, start = [], first
    for low, high in runs(found):
        if low > start:
            out.append((start, low - 1))
        start = high + 1
    if start <= last:
        out.append((start, last))
    return out
