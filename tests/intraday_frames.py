"""Small frames of longer and shorter bars beside given daily ones, for tests of features."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl

from btq_assets.contracts import core, core_ticks
from btq_assets.sources.synthetic.market import generate
from btq_assets.sources.synthetic.spec import MarketSpec
from btq_assets.sources.synthetic.ticks import ticks_of

#: Bars a session has of each length; fewer than a real one, enough for every window.
PER_SESSION = {"1m": 9, "5m": 8, "15m": 6, "1h": 4}
_MINUTES = {"1m": 1, "5m": 5, "15m": 15, "1h": 60}


def weekly(bars: pl.DataFrame) -> pl.DataFrame:
    """Rows of `core.bars_1w` of weeks that have ended, as `bars_1w.sql` makes them."""
    week = pl.col("session").dt.truncate("1w")
    last = bars.group_by("universe").agg(_last=pl.col("session").max())
    ended = (
        bars.join(last, on="universe")
        .with_columns(_week=week)
        .filter(
            (pl.col("_week") < pl.col("_last").dt.truncate("1w"))
            | (pl.col("_last").dt.weekday() >= 5)
        )
        .sort("ts")
    )
    ends = [pl.col(c).last() for c in ("ts", "session", "known_at", "close", "adj_close")]
    return (
        ended.group_by("universe", "symbol", "_week")
        .agg(
            *ends,
            *(pl.col(c).first() for c in ("open", "adj_open")),
            *(pl.col(c).max() for c in ("high", "adj_high", "revised_at")),
            *(pl.col(c).min() for c in ("low", "adj_low")),
            volume=pl.col("volume").sum(),
            n_sessions=pl.len().cast(pl.Int64),
        )
        .select(core.BARS_1W.column_names)
        .sort("universe", "symbol", "ts")
    )


def shorter(bars: pl.DataFrame, freq: str, *, seed: int = 0) -> pl.DataFrame:
    """The last bars of `freq` of every daily bar that has a raw close and a volume.

    Prices wander, as traded, and end at the daily close; volumes add up to the daily one.
    """
    random = np.random.default_rng([seed, _MINUTES[freq]])
    whole = bars.filter(pl.col("close").is_not_null() & pl.col("volume").is_not_null())
    whole = whole.sort("universe", "symbol", "ts")
    n = PER_SESSION[freq]
    rows, size = whole.height, whole.height * n
    number = np.tile(np.arange(n), rows)
    wander = random.normal(0, 0.004, (rows, n))
    wander[:, -1] = 0
    price = np.repeat(whole["close"].to_numpy(), n) * np.exp(wander.ravel())
    reach = 1 + np.abs(random.normal(0, 0.002, size))
    share = random.dirichlet(np.ones(n), rows).ravel()
    spread = whole.select(pl.col("universe", "symbol", "ts").repeat_by(n).explode())
    ago = (n - 1 - number) * _MINUTES[freq]
    ends = spread["ts"] - pl.Series(ago * 60_000_000).cast(pl.Duration("us"))
    return spread.with_columns(
        ts=ends,
        known_at=ends,
        revised_at=pl.lit(None, pl.Datetime("us", "UTC")),
        open=pl.Series(price / reach**0.5),
        high=pl.Series(price * reach),
        low=pl.Series(price / reach),
        close=pl.Series(price),
        volume=pl.Series(np.repeat(whole["volume"].to_numpy(), n) * share),
        n_bars=pl.lit(1, pl.Int64),
    ).select(core.BARS_5M.column_names)


def trade_bars(bars: pl.DataFrame, *, seed: int = 0) -> pl.DataFrame:
    """Three rows of `core.trade_bars_1m` in the last minutes of every whole daily bar."""
    made = shorter(bars, "5m", seed=seed).group_by("universe", "symbol", maintain_order=True)
    last = made.tail(10**9).filter(pl.int_range(pl.len()) % PER_SESSION["5m"] >= 5)
    random = np.random.default_rng([seed, 1])
    return last.with_columns(
        source=pl.lit("stream"),
        dataset=pl.lit("binance_spot"),
        vwap=pl.col("close"),
        bought_volume=pl.col("volume") * random.random(last.height),
        n_trades=pl.lit(3, pl.Int64),
    ).select(core_ticks.TRADE_BARS_1M.column_names)


def timeframes(bars: pl.DataFrame, *, seed: int = 0) -> dict[str, pl.DataFrame]:
    """Frames of all lengths but the day, and bars of trades, by the names the families use."""
    return {
        "bars_1w": weekly(bars),
        "trade_bars": trade_bars(bars, seed=seed),
        **{f"bars_{freq}": shorter(bars, freq, seed=seed) for freq in PER_SESSION},
    }


def later(frame: pl.DataFrame, by: timedelta) -> pl.DataFrame:
    """`frame`, known so much later."""
    return frame.with_columns(known_at=pl.col("known_at") + by)


def ticks(
    first_day: date = date(2011, 1, 3),
    *,
    n_symbols: int = 2,
    n_sessions: int = 3,
    minutes: int = 12,
    universe: str = "us20",
    half_spread_bps: float = 2.0,
) -> dict[str, pl.DataFrame]:
    """Ticks of the generated market as core shows them, under the names of a real universe."""
    spec = MarketSpec(
        n_symbols=n_symbols,
        n_sessions=n_sessions,
        first_day=first_day,
        half_spread_bps=half_spread_bps,
    )
    made = ticks_of(generate(spec), range(n_sessions), minutes=minutes)
    names = {symbol: f"S{number:02d}" for number, symbol in enumerate(spec.symbols)}

    def seen(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(
            universe=pl.lit(universe),
            source=pl.lit("stream"),
            dataset=pl.lit("binance_spot"),
            symbol=pl.col("symbol").replace(names),
        )

    bid, ask = pl.col("bid_price"), pl.col("ask_price")
    aggressor = pl.when("buyer_is_maker").then(pl.lit("seller")).otherwise(pl.lit("buyer"))
    return {
        "trades": seen(made.trades)
        .with_columns(aggressor=aggressor)
        .select(core_ticks.TRADES.column_names),
        "quotes": seen(made.quotes)
        .with_columns(mid_price=(bid + ask) / 2, spread_bps=(ask - bid) / (ask + bid) * 2e4)
        .select(core_ticks.QUOTES.column_names),
        "book": seen(made.book).select(core_ticks.BOOK_CHANGES.column_names),
    }
