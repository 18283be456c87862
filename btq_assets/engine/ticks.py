"""Quotes, trades and currency rates as streams.

Belongs here: ticks and book updates, and rates mixed into a market. Does not belong here: bars
(`stream`), orders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from btq_assets.engine.codes import EventKind
from btq_assets.engine.errors import EngineError
from btq_assets.engine.stream import DAY_NS, MarketStream, float_column, nanoseconds


def stream_from_ticks(
    ticks: pl.DataFrame,
    *,
    symbols: Sequence[str] | None = None,
    session: str | None = None,
    snapshots: Any = None,
    currency_rates: Sequence[float] = (1.0,),
) -> MarketStream:
    """Quotes and trades, in the order they came.

    Parameters
    ----------
    ticks
        ``symbol``, ``ts`` (datetime or int64 nanoseconds), and either or both of ``bid``, ``ask``,
        ``bid_size``, ``ask_size`` (a quote: best of a book) and ``price``, ``size`` (a trade). A row
        with a price is a trade. Rows of equal ``ts`` keep their turn. Optionally ``volatility``
        and ``daily_volume``, which feed the impact.
    session
        Column with the trading day (integer); default: the UTC date.
    snapshots
        Times at which books are recorded; default: the last of each UTC date.

    Raises
    ------
    EngineError
        A symbol is not known, a price is not positive, or a quote is crossed.
    """
    names = tuple(symbols or sorted(ticks["symbol"].unique().to_list()))
    number = {name: i for i, name in enumerate(names)}
    unknown = sorted(set(ticks["symbol"].unique().to_list()) - set(names))
    if unknown:
        raise EngineError(f"ticks of unknown symbols {unknown[:5]}")
    if ticks["ts"].dtype != pl.Int64:
        ticks = ticks.with_columns(pl.col("ts").dt.epoch("ns"))
    ticks = ticks.sort("ts", maintain_order=True)
    time = np.ascontiguousarray(ticks["ts"].to_numpy())
    columns = {
        name: float_column(ticks, name) if name in ticks.columns else np.full(time.size, np.nan)
        for name in ("bid", "ask", "bid_size", "ask_size", "price", "size")
    }
    trade = ~np.isnan(columns["price"])
    bad = np.flatnonzero(
        ~(np.where(trade, columns["price"], columns["bid"]) > 0)
        | (~trade & ~(columns["ask"] >= columns["bid"]))
    )
    if bad.size:
        raise EngineError(f"tick {bad[0]}: needs a positive price, or 0 < bid <= ask")
    days = (time // DAY_NS).astype(np.int32) if session is None else ticks[session].to_numpy()
    ends = np.flatnonzero(np.r_[np.diff(time // DAY_NS) != 0, True])
    return MarketStream(
        time=time,
        start=time,
        asset=ticks["symbol"].replace_strict(number, return_dtype=pl.Int32).to_numpy(),
        kind=np.where(trade, np.int8(EventKind.TRADE), np.int8(EventKind.QUOTE)),
        flags=np.zeros(time.size, dtype=np.int8),
        session=np.ascontiguousarray(days, dtype=np.int32),
        open=np.where(trade, columns["price"], columns["bid"]),
        high=np.where(trade, columns["price"], columns["ask"]),
        low=np.where(trade, columns["price"], columns["bid_size"]),
        close=np.where(trade, columns["price"], columns["ask_size"]),
        volume=np.where(trade, columns["size"], np.nan),
        symbols=names,
        snapshots=time[ends] if snapshots is None else np.asarray(snapshots, dtype=np.int64),
        volatility=float_column(ticks, "volatility")
        if "volatility" in ticks.columns
        else np.empty(0),
        daily_volume=float_column(ticks, "daily_volume")
        if "daily_volume" in ticks.columns
        else np.empty(0),
        currency_rates=np.asarray(currency_rates, dtype=float),
    )


def with_currency_rates(
    market: MarketStream,
    time: Any,
    currency: Any,
    rate: Any,
    *,
    initial: Sequence[float],
) -> MarketStream:
    """The same stream with rates of currencies in it; at one time a rate comes before the market.

    Parameters
    ----------
    time, currency, rate
        ``int64[R]``, number of the currency (0 is the account's), value of one unit in that of the
        account.
    initial
        Rates before the first of them; the first is 1, an unknown one NaN.

    Raises
    ------
    EngineError
        A rate is not positive, or moves the currency of the account.
    """
    times, rates = nanoseconds(time), np.asarray(rate, dtype=float)
    numbers = np.asarray(currency, dtype=np.int32)
    if not (times.shape == rates.shape == numbers.shape):
        raise EngineError("time, currency and rate differ in length")
    if np.any(~(rates > 0)) or np.any(numbers <= 0) or np.any(numbers >= len(initial)):
        raise EngineError("rates must be positive and of currencies 1 .. len(initial) - 1")
    order = np.lexsort(
        (np.r_[np.zeros(times.size), np.ones(len(market))], np.r_[times, market.time])
    )
    n = times.size

    def mixed(name: str, first: Any) -> np.ndarray:
        own = getattr(market, name)
        if own.size == 0:
            return own
        return np.ascontiguousarray(
            np.concatenate([np.broadcast_to(np.asarray(first, own.dtype), n), own])[order]
        )

    missing = float("nan")
    firsts: dict[str, Any] = {
        "time": times,
        "start": times,
        "asset": numbers,
        "kind": int(EventKind.FX),
        "flags": 0,
        "session": 0,
        "close": rates,
    }
    firsts |= dict.fromkeys(
        ("open", "high", "low", "volume", "half_spread", "volatility", "daily_volume"), missing
    )
    changed: dict[str, Any] = {name: mixed(name, first) for name, first in firsts.items()}
    return replace(market, currency_rates=np.asarray(initial, dtype=float), **changed)
