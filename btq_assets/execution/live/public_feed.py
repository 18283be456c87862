"""Closed bars of a public exchange as they come: asked for again and again, never pushed.

Belongs here: when to ask, which bars are closed, what to do while nobody answers. Does not belong
here: the network (`sources.market.providers.ccxt_public`), whether old bars may be traded on (the
stale-data stop of `safety`), orders of any kind.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import polars as pl

from btq_assets.contracts import core
from btq_assets.execution.live.feed import BarBatch
from btq_assets.execution.live.settings import LiveError
from btq_assets.sources.market.windows import BAR_LENGTHS, epoch_ms
from btq_assets.sources.patience import TryAgainError

#: Bars asked for at a time; every exchange gives at least so many.
PAGE_BARS = 200


class PublicMarket(Protocol):
    """What is asked of an exchange; `ccxt_public.PublicExchange` is one."""

    name: str

    def bars(self, symbol: str, timeframe: str, since_ms: int, limit: int) -> list[list[float]]:
        """``[open time in ms, open, high, low, close, volume]``, oldest first."""
        ...


class PublicFeed:
    """Bars of one exchange, asked for when they should be closed.

    Parameters
    ----------
    exchange
        See `PublicMarket`.
    symbols
        As the exchange spells them.
    universe
        Name the rows get: ``universe.main`` of the configuration.
    timeframe
        ``1m``, ``5m``, ``15m``, ``1h``, ``1d``.
    clock
        UTC now.
    wait
        Waits so many seconds, such as ``time.sleep``.
    history_bars
        Bars before the first live one.
    poll_s
        Time between two questions while a bar is due.
    settle_s
        How long after its end a bar is first believed: exchanges are a little late with the last
        trades.
    grace_s
        How long after its end a bar is waited for; a symbol without one by then has none.
    first_wait_s, longest_wait_s
        Wait after the first failure, doubled by each one that follows, and its bound.
    look_up_s
        Longest wait in one piece: the kill switch and stale data are heeded in between.
    stop
        Asked between two questions; true ends the feed.

    Attributes
    ----------
    n_failures, n_reconnects
        Questions without an answer, and answers after such.
    last_error
        Why the last one failed; empty after an answer.

    Raises
    ------
    LiveError
        A setting is impossible.
    """

    def __init__(
        self,
        exchange: PublicMarket,
        symbols: Sequence[str],
        *,
        universe: str,
        timeframe: str = "1m",
        clock: Callable[[], datetime],
        wait: Callable[[float], None],
        history_bars: int = 500,
        poll_s: float = 2.0,
        settle_s: float = 1.0,
        grace_s: float = 10.0,
        first_wait_s: float = 1.0,
        longest_wait_s: float = 60.0,
        look_up_s: float = 1.0,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        if timeframe not in BAR_LENGTHS:
            raise LiveError(f"timeframe = {timeframe!r}: one of {', '.join(BAR_LENGTHS)}")
        if not symbols or len(set(symbols)) < len(symbols):
            raise LiveError(f"symbols = {list(symbols)}: at least one, each once")
        times = {"poll_s": poll_s, "first_wait_s": first_wait_s, "look_up_s": look_up_s}
        for name, value in {**times, "longest_wait_s": longest_wait_s}.items():
            if not value > 0:
                raise LiveError(f"{name} = {value!r}: needs a positive number of seconds")
        if not 0 <= settle_s <= grace_s or history_bars < 1:
            raise LiveError(
                f"settle_s = {settle_s!r}, grace_s = {grace_s!r}, history_bars = {history_bars!r}: "
                "needs 0 <= settle_s <= grace_s and at least one bar"
            )
        self.clock = clock
        self.n_failures = self.n_reconnects = 0
        self.last_error = ""
        self._exchange, self._symbols, self._universe = exchange, sorted(symbols), universe
        self._timeframe, self._length = timeframe, BAR_LENGTHS[timeframe]
        self._wait, self._stop = wait, stop
        self._n_history, self._poll_s, self._grace = (
            history_bars,
            poll_s,
            timedelta(seconds=grace_s),
        )
        self._first_wait_s, self._longest_wait_s = first_wait_s, longest_wait_s
        self._look_up_s = look_up_s
        self._settle = timedelta(seconds=settle_s)
        self._failed = 0
        self._begun: datetime | None = None

    def history(self, until: datetime | None) -> pl.DataFrame:
        """The closed bars before the first live one, asked for until somebody answers.

        Raises
        ------
        LiveError
            The exchange has none, or the feed was stopped while nobody answered.
        """
        newest = until or self.clock()
        since = _rounded_down(newest, self._length) - self._n_history * self._length
        while not self._stop():
            try:
                rows = [row for symbol in self._symbols for row in self._rows(symbol, since)]
            except TryAgainError as error:
                for _ in self._back_off(error):
                    pass
                continue
            self._answered()
            bars = self._frame([row for row in rows if row["ts"] <= newest])
            if bars.is_empty():
                raise LiveError(
                    f"{self._exchange.name} has no closed bar of {self._symbols} since {since}"
                )
            self._begun = bars["ts"].max()  # type: ignore[assignment]
            return bars
        raise LiveError(f"stopped before {self._exchange.name} answered: {self.last_error}")

    def batches(self, after: datetime | None) -> Iterator[BarBatch | None]:
        """Bar ends as they close, each when all symbols have it or its grace is over."""
        newest = after or self._begun
        if newest is None:
            newest = self.history(None)["ts"].max()  # type: ignore[assignment]
            assert newest is not None
        while not self._stop():
            now = self.clock()
            due = newest + self._length + self._settle
            if now < due:
                yield from self._pass((due - now).total_seconds())
                continue
            try:
                rows = [row for symbol in self._symbols for row in self._rows(symbol, newest)]
            except TryAgainError as error:
                yield from self._back_off(error)
                continue
            self._answered()
            ready = self._ready([row for row in rows if row["ts"] > newest])
            if ready:
                newest = max(row["ts"] for row in ready)
                yield BarBatch(self._frame(ready))
            else:
                yield from self._pass(self._poll_s)

    def _rows(self, symbol: str, since: datetime) -> list[dict[str, Any]]:
        """Closed bars of a symbol that open at or after `since`."""
        step = round(self._length.total_seconds() * 1_000)
        ask, now = -(-epoch_ms(since) // step) * step, epoch_ms(self.clock() - self._settle)
        found: dict[int, list[float]] = {}
        while ask + step <= now:
            page = self._exchange.bars(symbol, self._timeframe, ask, PAGE_BARS)
            fresh = {int(row[0]): row for row in page if _is_bar(row) and row[0] >= ask}
            found |= fresh
            if not fresh:
                break
            ask = max(fresh) + step
        return [self._row(symbol, at, row) for at, row in sorted(found.items()) if at + step <= now]

    def _row(self, symbol: str, open_ms: int, row: Sequence[float]) -> dict[str, Any]:
        opened = datetime.fromtimestamp(open_ms / 1_000, UTC)
        end = opened + self._length
        prices = dict(zip(("open", "high", "low", "close"), map(float, row[1:5]), strict=True))
        volume = row[5] if len(row) > 5 else None
        return {
            "universe": self._universe,
            "symbol": symbol,
            "ts": end,
            "session": opened.date(),
            "known_at": end,
            **prices,
            **{f"adj_{name}": price for name, price in prices.items()},
            "volume": None if volume is None else float(volume),
        }

    def _ready(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Bars of the ends that nobody is waited for any more, up to the first that is."""
        ready: list[dict[str, Any]] = []
        for end in sorted({row["ts"] for row in rows}):
            here = [row for row in rows if row["ts"] == end]
            if len(here) < len(self._symbols) and self.clock() < end + self._grace:
                break
            ready += here
        return ready

    def _frame(self, rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
        frame = pl.DataFrame(list(rows), infer_schema_length=None)
        return frame.select(
            (pl.col(name) if name in frame.columns else pl.lit(None)).cast(dtype).alias(name)
            for name, dtype in core.BARS_1D.schema.items()
        ).sort("ts", "symbol")

    def _answered(self) -> None:
        self.n_reconnects += self._failed > 0
        self._failed, self.last_error = 0, ""

    def _back_off(self, error: TryAgainError) -> Iterator[None]:
        self._failed += 1
        self.n_failures += 1
        self.last_error = str(error)
        patience = min(self._longest_wait_s, self._first_wait_s * 2.0 ** min(self._failed - 1, 30))
        yield from self._pass(max(patience, error.wait_s or 0.0))

    def _pass(self, seconds: float) -> Iterator[None]:
        """Wait in pieces, so that the loop looks up in between."""
        left = seconds
        while left > 0 and not self._stop():
            piece = min(left, self._look_up_s)
            self._wait(piece)
            left -= piece
            yield None


def _rounded_down(at: datetime, length: timedelta) -> datetime:
    return at - (at - datetime(1970, 1, 1, tzinfo=UTC)) % length


def _is_bar(row: Any) -> bool:
    """Whether a row is a time and four positive prices in their order; a gap of nulls is not."""
    if not isinstance(row, (list, tuple)) or len(row) < 5:
        return False
    if not all(isinstance(x, (int, float)) and math.isfinite(x) and x > 0 for x in row[:5]):
        return False
    low, high = row[3], row[2]
    return low <= min(row[1], row[4]) and max(row[1], row[4]) <= high
