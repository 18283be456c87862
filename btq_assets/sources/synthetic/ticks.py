"""Trades, best quotes and order book of one session, consistent with its one-minute bars.

Belongs here: rows in the columns of ``raw.trades_synthetic``, ``raw.quotes_synthetic`` and
``raw.book_synthetic``. Trades aggregate to the bars exactly: first price, highest, lowest, last, and
volume. Each trade prints at the bid or the ask that stood a millisecond before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

from btq_assets.contracts import raw
from btq_assets.sources.synthetic.market import SyntheticMarket
from btq_assets.sources.synthetic.paths import intraday_shape
from btq_assets.sources.synthetic.spec import DATASET, MINUTES_PER_SESSION, PRICE_TICK
from btq_assets.sources.vintages import ASSUMED_LAG

#: Levels on each side of the book.
N_LEVELS = 10

#: Mean trades a minute beyond the four a bar needs.
_EXTRA_TRADES = 6.0
_FIRST_ID = 1_000_000


@dataclass(frozen=True)
class Ticks:
    """Events of one session: three frames of the stream's contracts, by time."""

    trades: pl.DataFrame
    quotes: pl.DataFrame
    book: pl.DataFrame


def session_ticks(
    market: SyntheticMarket, session: int = 0, *, minutes: int = MINUTES_PER_SESSION
) -> Ticks:
    """Events of the first `minutes` of session number `session`, all symbols."""
    parts = [
        _symbol_ticks(market, session, minutes, number) for number in range(market.spec.n_symbols)
    ]
    return Ticks(
        pl.concat([part.trades for part in parts]).sort("ts", "symbol", "trade_id"),
        pl.concat([part.quotes for part in parts]).sort("ts", "symbol", "update_id"),
        pl.concat([part.book for part in parts]).sort(
            "ts", "symbol", "update_id", maintain_order=True
        ),
    )


def ticks_of(market: SyntheticMarket, sessions: Iterable[int], *, minutes: int) -> Ticks:
    """Events of the first `minutes` of several sessions, ascending."""
    parts = [session_ticks(market, session, minutes=minutes) for session in sessions]
    return Ticks(
        pl.concat([part.trades for part in parts]),
        pl.concat([part.quotes for part in parts]),
        pl.concat([part.book for part in parts]),
    )


def _symbol_ticks(market: SyntheticMarket, session: int, minutes: int, number: int) -> Ticks:
    spec = market.spec
    random = spec.random("ticks", session, number)
    first = number * spec.n_minutes + session * MINUTES_PER_SESSION
    bars = market.clean_bars.slice(first, minutes)
    trades = _trades(bars, random).with_columns(
        trade_id=pl.int_range(pl.len(), dtype=pl.Int64) + _FIRST_ID * (session + 1)
    )
    half_spread = market.half_spread_bps[session * MINUTES_PER_SESSION :][:minutes, number]
    width = 2 * half_spread[trades["minute"].to_numpy()] / 1e4 * trades["price"].to_numpy()
    spread_ticks = np.maximum(1, np.round(width / PRICE_TICK)).astype(np.int64)
    price_ticks = np.round(trades["price"].to_numpy() / PRICE_TICK).astype(np.int64)
    buyer_is_maker = trades["buyer_is_maker"].to_numpy()
    bid = np.where(buyer_is_maker, price_ticks, price_ticks - spread_ticks)
    ask = bid + spread_ticks
    before = trades["ts"] - timedelta(milliseconds=1)
    changes = _book_changes(bid, ask, trades["quantity"].to_numpy(), buyer_is_maker, random)
    book = _book_frame(changes, before, _FIRST_ID * (session + 1))
    last_ids = book.group_by("event", maintain_order=True).agg(pl.col("update_id").last())
    best = {
        "bid_price": np.round(bid * PRICE_TICK, 2),
        "bid_quantity": changes.best_bid_quantity,
        "ask_price": np.round(ask * PRICE_TICK, 2),
        "ask_quantity": changes.best_ask_quantity,
    }
    quotes = pl.DataFrame({"ts": before, "update_id": last_ids["update_id"], **best})
    symbol = spec.symbols[number]
    return Ticks(
        _as_stream(trades, symbol, raw.TRADES_SYNTHETIC.column_names),
        _as_stream(quotes, symbol, raw.QUOTES_SYNTHETIC.column_names),
        _as_stream(book, symbol, raw.BOOK_SYNTHETIC.column_names),
    )


def _as_stream(rows: pl.DataFrame, symbol: str, columns: tuple[str, ...]) -> pl.DataFrame:
    return rows.with_columns(
        dataset=pl.lit(DATASET),
        symbol=pl.lit(symbol),
        known_at=pl.col("ts"),
        known_at_basis=pl.lit(ASSUMED_LAG),
        received_at=pl.col("ts"),
        via=pl.lit("generated"),
    ).select(columns)


def _trades(bars: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
    """Trades whose first, highest, lowest and last price and total quantity are those of the bar."""
    minutes = bars.height
    volume = bars["volume"].to_numpy()
    wanted = 4 + random.poisson(_EXTRA_TRADES * intraday_shape(0.6)[:minutes])
    n = np.clip(wanted, 4, np.maximum(4, volume)).astype(np.int64)
    minute = np.repeat(np.arange(minutes), n)
    start = np.concatenate([[0], np.cumsum(n)[:-1]])
    prices = {c: np.round(bars[c].to_numpy() / PRICE_TICK).astype(np.int64) for c in _OHLC}
    price = random.integers(prices["low"][minute], prices["high"][minute] + 1)
    # The extremes lie strictly inside, side by side, the higher first in half of the minutes.
    inside = start + 1 + random.integers(0, n - 3)
    high_first = random.random(minutes) < 0.5
    price[np.where(high_first, inside, inside + 1)] = prices["high"]
    price[np.where(high_first, inside + 1, inside)] = prices["low"]
    price[start] = prices["open"]
    price[start + n - 1] = prices["close"]
    # Integer sizes that add up: shares of the volume left after one unit each, rounded cumulatively.
    weight = random.exponential(size=minute.size)
    share = np.cumsum(weight)
    before = (share - weight)[start]
    total = np.add.reduceat(weight, start)
    spare = np.maximum(volume - n, 0)
    upto = np.round((share - before[minute]) / total[minute] * spare[minute])
    upto[start + n - 1] = spare
    previous = np.concatenate([[0.0], upto[:-1]])
    previous[start] = 0.0
    quantity = upto - previous + np.where(volume[minute] >= n[minute], 1.0, volume[minute] / 4)
    milliseconds = np.sort(random.integers(2, 59_990, minute.size) + minute * 60_000)
    opens = bars["ts"].dt.epoch("ms").to_numpy() - 60_000
    ts = opens[minute] + (milliseconds - minute * 60_000)
    return pl.DataFrame(
        {
            "minute": minute,
            "ts": pl.Series(ts * 1_000).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
            "price": np.round(price * PRICE_TICK, 2),
            "quantity": quantity,
            "buyer_is_maker": random.random(minute.size) < 0.5,
        }
    )


_OHLC = ("open", "high", "low", "close")


@dataclass(frozen=True)
class _Changes:
    """Levels that each event changes: parallel lists, and the best quantities by event."""

    event: list[int]
    side: list[str]
    price_ticks: list[int]
    quantity: list[float]
    best_bid_quantity: np.ndarray
    best_ask_quantity: np.ndarray


def _book_changes(
    bid: np.ndarray,
    ask: np.ndarray,
    traded: np.ndarray,
    buyer_is_maker: np.ndarray,
    random: np.random.Generator,
) -> _Changes:
    """What separates each book from the one before it; the first event is the whole book."""
    # Quantities stand at a price for a while, so that consecutive books have levels in common.
    table = np.round(random.gamma(2.0, 150.0, (13, 997))) + 1.0
    best_bid = np.where(buyer_is_maker, traded, 0) + table[0][bid % 997]
    best_ask = np.where(buyer_is_maker, 0, traded) + table[0][ask % 997]
    book: dict[tuple[str, int], float] = {}
    event: list[int] = []
    side: list[str] = []
    price: list[int] = []
    quantity: list[float] = []
    for number in range(bid.size):
        bucket = table[(number // 25) % 13]
        now: dict[tuple[str, int], float] = {}
        for level in range(N_LEVELS):
            b, a = int(bid[number]) - level, int(ask[number]) + level
            now["bid", b] = float(bucket[b % 997] if level else best_bid[number])
            now["ask", a] = float(bucket[a % 997] if level else best_ask[number])
        gone = [(level, 0.0) for level in book if level not in now]
        moved = [(level, q) for level, q in now.items() if book.get(level) != q]
        # A state that repeats still has a number: its best bid is said again.
        for (where, at), q in (gone + moved) or [(("bid", int(bid[number])), best_bid[number])]:
            event.append(number)
            side.append(where)
            price.append(at)
            quantity.append(float(q))
        book = now
    return _Changes(event, side, price, quantity, best_bid, best_ask)


def _book_frame(changes: _Changes, ts: pl.Series, first_id: int) -> pl.DataFrame:
    """One update id per changed level; a row carries the first and last id of its event."""
    rows = pl.DataFrame(
        {
            "event": changes.event,
            "side": changes.side,
            "price": np.round(np.array(changes.price_ticks) * PRICE_TICK, 2),
            "quantity": changes.quantity,
        }
    ).with_columns(_id=pl.int_range(pl.len(), dtype=pl.Int64) + first_id)
    return rows.with_columns(
        ts=ts.gather(rows["event"]),
        first_update_id=pl.col("_id").min().over("event"),
        update_id=pl.col("_id").max().over("event"),
        kind=pl.when(pl.col("event") == 0).then(pl.lit("snapshot")).otherwise(pl.lit("change")),
    )
