"""Which of the bars that came count: each symbol once per time, in order, with a price.

Belongs here: refusing duplicates, late bars, bars from the future, impossible prices, strangers; and
saying so. Does not belong here: repairing any of them.

=====================  =====================================================================
what came              what happens
=====================  =====================================================================
the same bar again     dropped, counted as ``duplicate``
same time, other       dropped, counted as ``revised``: what was decided on it stays decided
  prices
an older bar           dropped, counted as ``late``
a bar that ends after  dropped, counted as ``future``
  now, beyond a second
no positive price      dropped, counted as ``no_price``
a symbol or universe   dropped, counted as ``stranger``
  that is not traded
several bar ends in    taken in order of time
  one batch
no bar of a symbol     nothing: its orders wait, it has no forecast on that bar
the clock went back    counted as ``clock_back``; time stands still until it has caught up
=====================  =====================================================================

Of ticks the same, by the exchange's own numbers, and:

=====================  =====================================================================
out of order within    put in order: nothing has traded on the interval yet
  an open interval
of an interval that    dropped, counted as ``late``
  is over
bid above ask          dropped, counted as ``crossed``
numbers of trades      taken, and those that are missing counted as ``lost_trades``
  that leap
=====================  =====================================================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from btq_assets.execution.live.market import nanoseconds
from btq_assets.execution.live.rounds import BookTick
from btq_assets.execution.live.ticks import TICK_SCHEMA

#: Bars that end this much after now are still taken: two clocks never agree.
CLOCK_SLACK = timedelta(seconds=1)


class Intake:
    """Keeps what is needed to tell new bars from old ones.

    Parameters
    ----------
    universe, symbols
        What is traded.
    newest
        End of the newest bar taken before; ``None`` for none.

    Attributes
    ----------
    refused
        Bars dropped, and jumps of the clock, by name.
    """

    def __init__(
        self, universe: str, symbols: Sequence[str], newest: datetime | None = None
    ) -> None:
        self.universe = universe
        self.symbols = frozenset(symbols)
        self.newest = newest
        self.refused: Counter[str] = Counter()
        self._last: dict[str, tuple[datetime, float]] = {}
        self._now: datetime | None = None

    def tell_time(self, now: datetime) -> datetime:
        """The time that counts: never earlier than it was."""
        if self._now is not None and now < self._now:
            self.refused["clock_back"] += 1
            return self._now
        self._now = now
        return now

    def take(self, bars: pl.DataFrame, now: datetime) -> Iterator[pl.DataFrame]:
        """Bars that count, one frame per bar end, in order of time.

        Parameters
        ----------
        bars
            Rows of `core.bars_1d` as they came.
        now
            As `tell_time` gave it.
        """
        symbols, universes = bars["symbol"].to_list(), bars["universe"].to_list()
        stamps: list[datetime] = bars["ts"].to_list()
        prices = bars["adj_close"].cast(pl.Float64).fill_null(float("nan")).to_list()
        kept: dict[datetime, dict[str, int]] = {}
        for row in sorted(range(bars.height), key=stamps.__getitem__):
            symbol, ts, price = symbols[row], stamps[row], prices[row]
            known = universes[row] == self.universe and symbol in self.symbols
            why = self._why_not(symbol, ts, price, now) if known else "stranger"
            if why:
                self.refused[why] += 1
                continue
            self._last[symbol] = (ts, price)
            kept.setdefault(ts, {})[symbol] = row
        for ts, rows in kept.items():
            self.newest = ts
            order = [rows[symbol] for symbol in sorted(rows)]
            yield bars if order == list(range(bars.height)) else bars[order]

    def _why_not(self, symbol: str, ts: datetime, price: float, now: datetime) -> str:
        if not (np.isfinite(price) and price > 0):
            return "no_price"
        if ts > now + CLOCK_SLACK:
            return "future"
        last = self._last.get(symbol)
        if last is not None and ts == last[0]:
            return "duplicate" if price == last[1] else "revised"
        if self.newest is not None and ts <= self.newest:
            return "late"
        return ""


class TickIntake:
    """The same for ticks: keeps those of the open interval, and gives them when it is over.

    Parameters
    ----------
    universe, symbols
        What is traded.
    over
        End of the last interval that was taken; ``None`` for none.
    refused
        Where drops are counted.
    """

    def __init__(
        self,
        universe: str,
        symbols: Sequence[str],
        over: datetime | None,
        refused: Counter[str],
    ) -> None:
        self.universe, self.symbols, self.over = universe, frozenset(symbols), over
        self.refused = refused
        self._waiting: list[dict[str, Any]] = []
        self._seen: dict[tuple[str, bool, int], dict[str, Any]] = {}
        self._newest: dict[str, int] = {}
        self._books: list[BookTick] = []

    def take(self, ticks: pl.DataFrame, now: datetime) -> None:
        """Keep the ticks that count.

        Parameters
        ----------
        ticks
            `ticks.TICK_SCHEMA`, as they came.
        now
            As `Intake.tell_time` gave it.
        """
        for tick in ticks.iter_rows(named=True):
            why = self._why_not(tick, now)
            if why:
                self.refused[why] += 1
            else:
                self._waiting.append(tick)

    def take_books(self, books: Iterable[BookTick], now: datetime) -> None:
        """Keep the books that count."""
        latest = nanoseconds(now + CLOCK_SLACK)
        over = -1 if self.over is None else nanoseconds(self.over)
        for book in books:
            if book.symbol not in self.symbols:
                self.refused["stranger"] += 1
            elif not over <= book.time <= latest:
                self.refused["late" if book.time < over else "future"] += 1
            else:
                self._books.append(book)

    def close_books(self, until: datetime) -> list[BookTick]:
        """Books before the end of an interval, in order of time."""
        end = nanoseconds(until)
        ready = sorted((b for b in self._books if b.time < end), key=lambda book: book.time)
        self._books = [book for book in self._books if book.time >= end]
        return ready

    def close(self, until: datetime, now: datetime) -> pl.DataFrame | None:
        """Ticks before `until` in order of time; ``None`` where that is not over, or was taken."""
        if until > now + CLOCK_SLACK:
            self.refused["future"] += 1
            return None
        if self.over is not None and until <= self.over:
            self.refused["late"] += 1
            return None
        self.over = until
        # stable: of one time, in the order they came
        rows = sorted((t for t in self._waiting if t["ts"] < until), key=lambda tick: tick["ts"])
        self._waiting = [tick for tick in self._waiting if tick["ts"] >= until]
        kept = {id(tick) for tick in self._waiting}
        self._seen = {key: tick for key, tick in self._seen.items() if id(tick) in kept}
        self._count_lost(rows)
        return pl.DataFrame(rows, schema=TICK_SCHEMA)

    def _why_not(self, tick: dict[str, Any], now: datetime) -> str:
        if tick["universe"] != self.universe or tick["symbol"] not in self.symbols:
            return "stranger"
        is_trade = tick["price"] is not None
        prices = (tick["price"],) if is_trade else (tick["bid"], tick["ask"])
        if not all(p is not None and np.isfinite(p) and p > 0 for p in prices):
            return "no_price"
        if not is_trade and tick["bid"] > tick["ask"]:
            return "crossed"
        if tick["ts"] > now + CLOCK_SLACK:
            return "future"
        if self.over is not None and tick["ts"] < self.over:
            return "late"
        if tick["number"] is None:
            return ""
        known = self._seen.setdefault((tick["symbol"], is_trade, tick["number"]), tick)
        if known is tick:
            return ""
        return "duplicate" if known == tick else "revised"

    def _count_lost(self, rows: Sequence[dict[str, Any]]) -> None:
        numbers: dict[str, list[int]] = {}
        for tick in rows:
            if tick["price"] is not None and tick["number"] is not None:
                numbers.setdefault(tick["symbol"], []).append(tick["number"])
        for symbol, found in numbers.items():
            last = self._newest.get(symbol, min(found) - 1)
            # an exchange that starts to count anew has lost nothing
            lost = max(found) - last - len(found)
            if lost > 0:
                self.refused["lost_trades"] += lost
            self._newest[symbol] = max(found)
