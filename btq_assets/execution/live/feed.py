"""Where bars and ticks come from: batches of rows, and a clock that a replay can drive.

Belongs here: what a feed is, and the replay of stored bars at any speed. Does not belong here: which
of the rows count (`intake`), stored ticks (`ticks`), public endpoints (`public_feed`). A database is read by whoever passes the rows, or a function that
returns them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

import polars as pl

from btq_assets.contracts.base import UTC_TIMESTAMP
from btq_assets.execution.live.rounds import BookTick
from btq_assets.execution.live.settings import LiveError

#: Columns a bar needs; others are passed on.
NEEDED = ("universe", "symbol", "ts", "adj_close")


@dataclass(frozen=True)
class BarBatch:
    """What came together.

    Attributes
    ----------
    bars
        Rows of `core.bars_1d`; ``None`` where bars are made of ticks.
    ticks
        Rows of `ticks.TICK_SCHEMA`, in the order they came.
    until
        End of the interval that is over: no tick before it is expected any more. ``None`` while
        it lasts.
    every
        Length of the intervals; needed with `until`.
    made_of
        What bars of the ticks are made of.
    books
        Books of venues, in the order they came; for the router.
    """

    bars: pl.DataFrame | None
    ticks: pl.DataFrame | None = None
    until: datetime | None = None
    every: timedelta | None = None
    made_of: Literal["trades", "quotes"] = "trades"
    books: tuple[BookTick, ...] = ()


class Feed(Protocol):
    """Bars as they come, and those that came before.

    A feed of stored data has an attribute ``replays``, true: what trades on it is a trial.
    """

    def history(self, until: datetime | None) -> pl.DataFrame:
        """Bars at or before `until`; before the first batch where it is ``None``."""
        ...

    def batches(self, after: datetime | None) -> Iterator[BarBatch | None]:
        """Batches later than `after`; ``None`` while nothing comes, so that the loop can look up."""
        ...


class ReplayClock:
    """A clock that stands still until it is told the time.

    Examples
    --------
    >>> clock = ReplayClock(datetime(2020, 1, 2, 21, tzinfo=UTC))
    >>> clock.advance(timedelta(hours=1)); clock().hour
    22
    """

    def __init__(self, now: datetime = datetime(1970, 1, 1, tzinfo=UTC)) -> None:
        self._now = now

    def __call__(self) -> datetime:
        """Now, as it was told."""
        return self._now

    def set(self, now: datetime) -> None:
        """Make it `now`, earlier or later."""
        self._now = now

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        self._now += by


class ReplayFeed:
    """Stored bars, session by session.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`, or a function that returns them (a reader of the warehouse).
    start
        First bar that is live; those before are history.
    end
        Last one; default the last there is.
    clock
        Set to the end of each batch before it is handed out; a `ReplayClock`.
    speed
        Seconds of the market per second of waiting; ``None`` does not wait at all.
    wait
        Called with seconds to wait, such as ``time.sleep``; needed with a speed.
    look_up_s
        Longest wait in one piece.
    """

    replays = True

    def __init__(
        self,
        bars: pl.DataFrame | Callable[[], pl.DataFrame],
        start: datetime,
        *,
        end: datetime | None = None,
        clock: ReplayClock | None = None,
        speed: float | None = None,
        wait: Callable[[float], None] | None = None,
        look_up_s: float = 1.0,
    ) -> None:
        if speed is not None and (not speed > 0 or wait is None):
            raise LiveError(f"speed = {speed!r} needs a positive number and a function that waits")
        frame = bars() if callable(bars) else bars
        absent = [name for name in NEEDED if name not in frame.columns]
        if absent:
            raise LiveError(f"bars lack {absent}; a replay needs rows of core.bars_1d")
        self.clock = clock or ReplayClock()
        self._bars = frame.with_columns(pl.col("ts").cast(UTC_TIMESTAMP))
        self._start, self._end = start, end
        self._speed, self._wait, self._look_up_s = speed, wait, look_up_s

    def history(self, until: datetime | None) -> pl.DataFrame:
        """Stored bars at or before `until`, those before the start where it is ``None``."""
        if until is None:
            return self._bars.filter(pl.col("ts") < self._start)
        return self._bars.filter(pl.col("ts") <= until)

    def batches(self, after: datetime | None) -> Iterator[BarBatch | None]:
        """One batch per bar end."""
        rows = self._bars.filter(pl.col("ts") >= self._start)
        if self._end is not None:
            rows = rows.filter(pl.col("ts") <= self._end)
        if after is not None:
            rows = rows.filter(pl.col("ts") > after)
        before: datetime | None = None
        for bars in rows.sort("ts", "symbol").partition_by("ts", maintain_order=True):
            ts = bars["ts"][0]
            if before is not None:
                market_s = (ts - before).total_seconds()
                yield from pass_time(market_s, self.clock, self._speed, self._wait, self._look_up_s)
            self.clock.set(ts)
            yield BarBatch(bars)
            before = ts


def pass_time(
    market_s: float,
    clock: ReplayClock,
    speed: float | None,
    wait: Callable[[float], None] | None,
    look_up_s: float,
) -> Iterator[None]:
    """Wait for a stretch of the market's time, the clock going along."""
    if speed is None or wait is None:
        return
    left = market_s / speed
    while left > 0:
        piece = min(left, look_up_s)
        wait(piece)
        left -= piece
        if left > 0:
            clock.advance(timedelta(seconds=piece * speed))
            yield None
