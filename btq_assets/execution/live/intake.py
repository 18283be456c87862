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
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import numpy as np
import polars as pl

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
