"""Ticks as a feed: stored trades and quotes played back, and the bars they make.

Belongs here: from rows of `core.trades` and `core.quotes` to one frame of ticks in order, bars of
them, and their replay at any speed. Does not belong here: which of the ticks count (`intake`), what
orders do with them (`broker`).

An interval is ``[end - every, end)``, as in `core.trade_bars_1m`: a trade at the very end belongs to
the next bar. What is decided at an end trades on ticks strictly later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Literal

import polars as pl

from btq_assets.contracts import core
from btq_assets.contracts.base import UTC_TIMESTAMP
from btq_assets.execution.live.feed import BarBatch, ReplayClock, pass_time
from btq_assets.execution.live.market import nanoseconds
from btq_assets.execution.live.settings import LiveError
from btq_assets.execution.live.venues import BookFold

#: One tick: a trade has a price, a quote has bid and ask. `number` is the exchange's.
_TICK_COLUMNS: dict[str, Any] = {
    "universe": pl.String,
    "dataset": pl.String,
    "symbol": pl.String,
    "ts": UTC_TIMESTAMP,
    "number": pl.Int64,
    "price": pl.Float64,
    "size": pl.Float64,
    "bid": pl.Float64,
    "ask": pl.Float64,
    "bid_size": pl.Float64,
    "ask_size": pl.Float64,
}
TICK_SCHEMA = pl.Schema(_TICK_COLUMNS)

_TRADE = {"number": "trade_id", "price": "price", "size": "quantity"}
_QUOTE = {
    "number": "update_id",
    "bid": "bid_price",
    "ask": "ask_price",
    "bid_size": "bid_quantity",
    "ask_size": "ask_quantity",
}
_HEAD = ("universe", "dataset", "symbol", "ts")


def tick_rows(trades: pl.DataFrame | None, quotes: pl.DataFrame | None) -> pl.DataFrame:
    """Trades and quotes as one frame in the order of time; at one time quotes come first.

    Parameters
    ----------
    trades, quotes
        Rows of `core.trades`, `core.quotes`; either may be ``None``.

    Returns
    -------
    polars.DataFrame
        `TICK_SCHEMA`.

    Raises
    ------
    LiveError
        Columns are missing, or a symbol's ticks come from several datasets.
    """
    parts = [
        _renamed(frame, names, table)
        for frame, names, table in (
            (quotes, _QUOTE, "core.quotes"),
            (trades, _TRADE, "core.trades"),
        )
        if frame is not None
    ]
    rows = pl.concat([pl.DataFrame(schema=TICK_SCHEMA), *parts]).sort("ts", maintain_order=True)
    several = (
        rows.group_by("symbol")
        .agg(pl.col("dataset").unique())
        .filter(pl.col("dataset").list.len() > 1)
    )
    if several.height:
        symbol, names = several.row(0)
        raise LiveError(
            f"ticks of {symbol} come from {sorted(names)}: trades and quotes of one dataset make a "
            "market; give one of them, and the books of the others as books="
        )
    return rows


def _renamed(frame: pl.DataFrame, names: dict[str, str], table: str) -> pl.DataFrame:
    absent = [name for name in (*_HEAD, *names.values()) if name not in frame.columns]
    if absent:
        raise LiveError(f"ticks lack {absent}; a replay needs rows of {table}")
    return frame.select(
        (pl.col(names.get(name, name)) if name in (*_HEAD, *names) else pl.lit(None))
        .cast(dtype)
        .alias(name)
        for name, dtype in TICK_SCHEMA.items()
    )


def interval_ends(ts: pl.Expr, every: timedelta) -> pl.Expr:
    """End of the interval a tick lies in."""
    return ts.dt.truncate(every) + every


def bars_of(
    ticks: pl.DataFrame, every: timedelta, made_of: Literal["trades", "quotes"] = "trades"
) -> pl.DataFrame:
    """Bars of the trades, or of the middle of quotes.

    Parameters
    ----------
    ticks
        `TICK_SCHEMA`, in order of time.
    made_of
        Quotes make bars without volume.

    Returns
    -------
    polars.DataFrame
        Columns of `core.bars_1d`; `ts` and `known_at` are the end of the interval, prices are not
        adjusted. A symbol without a trade (or quote) in an interval has no bar there.
    """
    price = pl.col("price") if made_of == "trades" else (pl.col("bid") + pl.col("ask")) / 2
    rows = (
        ticks.with_columns(_price=price, _end=interval_ends(pl.col("ts"), every))
        .filter(pl.col("_price").is_not_null())
        .group_by("universe", "symbol", ts="_end", maintain_order=True)
        .agg(
            open=pl.col("_price").first(),
            high=pl.col("_price").max(),
            low=pl.col("_price").min(),
            close=pl.col("_price").last(),
            volume=pl.when(pl.col("size").count() > 0).then(pl.col("size").sum()),
        )
        .with_columns(
            pl.col("open", "high", "low", "close").name.prefix("adj_"),
            session=pl.col("ts").dt.date(),
            known_at=pl.col("ts"),
        )
        .sort("ts", "symbol")
    )
    return rows.select(
        (pl.col(name) if name in rows.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in core.BARS_1D.schema.items()
    )


class ReplayTickFeed:
    """Stored trades and quotes, interval by interval.

    Parameters
    ----------
    trades, quotes
        Rows of `core.trades` and `core.quotes`, or functions that return them; one may be ``None``.
    start
        First live tick; rounded up to an interval. Earlier ones make history.
    every
        Length of the bars that are decided on; divides a day.
    end
        Ticks from here on are left out.
    history
        Bars before the ticks, rows of `core.bars_1d` of the same length.
    books
        Rows of `core.book_changes` of the venues that orders may be split over.
    clock, speed, wait, look_up_s
        As in `feed.ReplayFeed`.
    """

    replays = True

    def __init__(
        self,
        trades: pl.DataFrame | Callable[[], pl.DataFrame] | None,
        quotes: pl.DataFrame | Callable[[], pl.DataFrame] | None,
        start: datetime,
        *,
        every: timedelta = timedelta(minutes=1),
        end: datetime | None = None,
        history: pl.DataFrame | None = None,
        books: pl.DataFrame | None = None,
        clock: ReplayClock | None = None,
        speed: float | None = None,
        wait: Callable[[float], None] | None = None,
        look_up_s: float = 1.0,
    ) -> None:
        if speed is not None and (not speed > 0 or wait is None):
            raise LiveError(f"speed = {speed!r} needs a positive number and a function that waits")
        if every <= timedelta(0) or timedelta(days=1) % every:
            raise LiveError(f"every = {every}: needs a length that divides a day")
        self.every = every
        self.clock = clock or ReplayClock()
        rows = tick_rows(
            trades() if callable(trades) else trades, quotes() if callable(quotes) else quotes
        )
        if end is not None:
            rows = rows.filter(pl.col("ts") < end)
        self._made_of: Literal["trades", "quotes"] = "quotes" if trades is None else "trades"
        self._ticks = rows.with_columns(_end=interval_ends(pl.col("ts"), every))
        self._start = start
        made = bars_of(rows, every, self._made_of)
        self._bars = made if history is None else pl.concat([history, made], how="diagonal_relaxed")
        self._speed, self._wait, self._look_up_s = speed, wait, look_up_s
        self._books = () if books is None else tuple(BookFold().states(books))

    def history(self, until: datetime | None) -> pl.DataFrame:
        """Bars that end at or before `until`, or before the start."""
        return self._bars.filter(pl.col("ts") <= (self._start if until is None else until))

    def batches(self, after: datetime | None) -> Iterator[BarBatch | None]:
        """One batch per interval with ticks; ``None`` where an interval has none."""
        since = self._start if after is None else max(after, self._start)
        rows = self._ticks.filter(pl.col("_end") > since)
        before: datetime | None = None
        for part in rows.partition_by("_end", maintain_order=True):
            end: datetime = part["_end"][0]
            if before is not None:
                yield from pass_time(
                    (end - before).total_seconds(),
                    self.clock,
                    self._speed,
                    self._wait,
                    self._look_up_s,
                )
                if end - before > self.every:
                    self.clock.set(end - self.every)
                    yield None
            self.clock.set(end)
            begin, over = nanoseconds(end - self.every), nanoseconds(end)
            yield BarBatch(
                None,
                ticks=part.drop("_end"),
                until=end,
                every=self.every,
                made_of=self._made_of,
                books=tuple(book for book in self._books if begin <= book.time < over),
            )
            before = end
