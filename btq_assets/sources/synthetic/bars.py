"""Bars of a simulated market, of a minute and of a session, and the faults planted in them.

Belongs here: rows in the columns of ``raw.bars_synthetic``, clean and as they arrive. Does not
belong here: the price model (`paths.py`).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from btq_assets.contracts import raw
from btq_assets.contracts.base import UTC_TIMESTAMP, cast_to_contract, violations
from btq_assets.sources.synthetic.paths import Paths, intraday_shape
from btq_assets.sources.synthetic.spec import (
    CLOSE_UTC,
    CURRENCY,
    DATASET,
    MINUTES_PER_SESSION,
    PRICE_TICK,
    MarketSpec,
)
from btq_assets.sources.vintages import ASSUMED_LAG

FAULTS_SCHEMA = pl.Schema(
    {
        "fault": pl.String(),
        "symbol": pl.String(),
        "ts": UTC_TIMESTAMP,
        "column": pl.String(),
        "true_value": pl.Float64(),
        "planted_value": pl.Float64(),
    }
)
_PRICES = ("open", "high", "low", "close", "adj_close")


def clean_bars(spec: MarketSpec, paths: Paths) -> pl.DataFrame:
    """Every bar as it should arrive, by symbol and time.

    High and low are those of a Brownian bridge from open to close with the minute's true
    volatility: its maximum has the distribution ``(a + b + sqrt((b - a)² - 2σ² ln U)) / 2``
    (Borodin and Salminen 2002, 1.2.7); both extremes are drawn on their own.
    """
    a, b = paths.log_open, paths.log_close
    high, low = (
        0.5 * (a + b + sign * np.sqrt((b - a) ** 2 - 2 * paths.sigma**2 * np.log(uniform)))
        for sign, uniform in (
            (1, _uniform(spec, "high", a.shape)),
            (-1, _uniform(spec, "low", a.shape)),
        )
    )
    open_, high, low, close = (
        np.maximum(np.round(np.exp(x) / PRICE_TICK), 1) * PRICE_TICK for x in (a, high, low, b)
    )
    # A tick is no power of two: rounding once more makes equal prices equal numbers.
    columns = {
        name: np.round(values, 2).T.ravel()
        for name, values in (("open", open_), ("high", high), ("low", low), ("close", close))
    }
    n, ends = spec.n_symbols, spec.bar_ends()
    return pl.DataFrame(
        {
            "symbol": np.repeat(np.array(spec.symbols), spec.n_minutes),
            "ts": np.tile(ends, n),
            **columns,
            "volume": _volume(spec, paths).T.ravel(),
        }
    ).select(
        pl.lit(DATASET).alias("dataset"),
        "symbol",
        pl.lit("1m").alias("freq"),
        pl.col("ts").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
        pl.col("ts").cast(pl.Datetime("us")).dt.replace_time_zone("UTC").alias("known_at"),
        pl.lit(ASSUMED_LAG).alias("known_at_basis"),
        "open",
        "high",
        "low",
        "close",
        pl.col("close").alias("adj_close"),
        "volume",
        pl.lit(CURRENCY).alias("currency"),
    )


def _uniform(spec: MarketSpec, purpose: str, shape: tuple[int, ...]) -> np.ndarray:
    return 1.0 - spec.random(purpose).random(shape)


def _volume(spec: MarketSpec, paths: Paths) -> np.ndarray:
    """U over the session, more in wild times and on large moves (Karpoff 1987), lognormal noise."""
    random = spec.random("volume")
    base = np.exp(random.normal(9.0, 0.7, spec.n_symbols))
    shape = np.tile(intraday_shape(0.6), spec.n_sessions)[:, None]
    noise = np.exp(random.normal(-0.08, 0.4, paths.sigma.shape))
    activity = np.exp(0.3 * paths.log_variance) * (0.7 + 0.4 * np.abs(paths.innovation))
    return np.maximum(np.round(base * shape * activity * noise), 1.0)


def half_spreads_bps(spec: MarketSpec, paths: Paths) -> np.ndarray:
    """Half of the bid-ask spread, basis points, ``[n_minutes, n_symbols]``: wide when it is wild."""
    random = spec.random("spread")
    base = spec.half_spread_bps * np.exp(random.normal(0.0, 0.3, spec.n_symbols))
    shape = np.tile(intraday_shape(0.3), spec.n_sessions)[:, None]
    noise = np.exp(random.normal(0.0, 0.2, paths.sigma.shape))
    return base * shape * np.exp(0.25 * paths.log_variance) * noise


def plant(spec: MarketSpec, clean: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Bars as they arrive, and what was done to them.

    Parameters
    ----------
    spec
        Says what to plant.
    clean
        Result of `clean_bars`.

    Returns
    -------
    tuple of polars.DataFrame
        The bars, in the order of arrival; and one row per planted fault (``FAULTS_SCHEMA``), `ts`
        being the true end of the bar. A missed split is one row, at its first bar.
    """
    if spec.plants == type(spec.plants)():
        return clean, pl.DataFrame(schema=FAULTS_SCHEMA)
    bars = clean.with_row_index("_row").with_columns(_arrival=pl.col("_row").cast(pl.Float64))
    bars, split = _miss_split(spec, bars)
    bars, missing = _drop_outages(spec, bars)
    bars, spoiled = _spoil(spec, bars)
    faults = pl.concat([split, missing, spoiled])
    return bars.sort("_arrival").select(clean.columns), faults


def _faults(rows: pl.DataFrame, fault: str, column: str, true: pl.Expr, planted: pl.Expr):
    return rows.select(
        pl.lit(fault).alias("fault"),
        "symbol",
        "ts",
        pl.lit(column).alias("column"),
        true.cast(pl.Float64).alias("true_value"),
        planted.cast(pl.Float64).alias("planted_value"),
    )


def _miss_split(spec: MarketSpec, bars: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    split = spec.plants.missed_split
    if split is None:
        return bars, pl.DataFrame(schema=FAULTS_SCHEMA)
    first = spec.bar_ends()[split.session * MINUTES_PER_SESSION]
    after = (pl.col("symbol") == spec.symbols[split.symbol]) & (
        pl.col("ts").dt.epoch("us") >= int(first)
    )
    known = _faults(
        bars.filter(after).head(1),
        "missed_split",
        "close",
        pl.col("close"),
        (pl.col("close") / split.ratio).round(4),
    )
    changed = bars.with_columns(
        *(
            pl.when(after).then((pl.col(c) / split.ratio).round(4)).otherwise(c).alias(c)
            for c in _PRICES
        ),
        pl.when(after).then(pl.col("volume") * split.ratio).otherwise("volume").alias("volume"),
    )
    return changed, known


def _drop_outages(spec: MarketSpec, bars: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    ends = spec.bar_ends()
    lost = pl.lit(False)
    for outage in spec.plants.outages:
        first = outage.session * MINUTES_PER_SESSION + outage.first_minute
        last = min(first + outage.n_minutes, (outage.session + 1) * MINUTES_PER_SESSION) - 1
        within = pl.col("ts").dt.epoch("us").is_between(int(ends[first]), int(ends[last]))
        if outage.symbol is not None:
            within = within & (pl.col("symbol") == spec.symbols[outage.symbol])
        lost = lost | within
    known = _faults(bars.filter(lost), "outage", "close", pl.col("close"), pl.lit(None))
    return bars.filter(~lost), known


def _spoil(spec: MarketSpec, bars: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give every bad tick a bar of its own, none the first or last of the table."""
    ticks = spec.plants.bad_ticks
    wanted = [
        name
        for name in ("hundredfold", "zero", "duplicate", "out_of_order", "clock_skew")
        for _ in range(getattr(ticks, name))
    ]
    if not wanted:
        return bars, pl.DataFrame(schema=FAULTS_SCHEMA)
    # Three bars apart, so that no fault touches the neighbour of another.
    places = 3 * spec.random("bad ticks").choice((bars.height - 2) // 3, len(wanted), False) + 1
    marks = pl.DataFrame(
        {"_row": bars["_row"].gather(places), "_fault": wanted},
        schema_overrides={"_fault": pl.String},
    )
    bars = bars.join(marks, on="_row", how="left")
    fault = pl.col("_fault")
    skewed = pl.col("ts") + pl.duration(seconds=ticks.skew_seconds)
    close = pl.col("close")
    other = (close * 1.001 + PRICE_TICK).round(2)
    twice = bars.filter(fault == "duplicate").with_columns(
        close=other,
        adj_close=other,
        high=pl.max_horizontal("high", other),
        _arrival=pl.col("_arrival") + 0.5,
    )
    hit = bars.filter(fault.is_not_null())
    known = [
        _faults(hit.filter(fault == "hundredfold"), "hundredfold", "close", close, close * 100),
        _faults(hit.filter(fault == "zero"), "zero", "close", close, pl.lit(0.0)),
        _faults(hit.filter(fault == "duplicate"), "duplicate", "close", close, other),
        _faults(hit.filter(fault == "out_of_order"), "out_of_order", "ts", pl.lit(0), pl.lit(1)),
        _faults(
            hit.filter(fault == "clock_skew"),
            "clock_skew",
            "ts",
            pl.col("ts").dt.epoch("s"),
            skewed.dt.epoch("s"),
        ),
    ]
    spoiled = bars.with_columns(
        *(
            pl.when(fault == "hundredfold")
            .then(pl.col(c) * 100)
            .when(fault == "zero")
            .then(0.0)
            .otherwise(c)
            .alias(c)
            for c in _PRICES
        ),
        pl.when(fault == "clock_skew").then(skewed).otherwise("ts").alias("ts"),
        pl.when(fault == "clock_skew").then(skewed).otherwise("known_at").alias("known_at"),
        pl.when(fault == "out_of_order")
        .then(pl.col("_arrival") + 1.5)
        .otherwise("_arrival")
        .alias("_arrival"),
    )
    return pl.concat([spoiled, twice.select(spoiled.columns)]), pl.concat(known)


def daily_bars(bars: pl.DataFrame) -> pl.DataFrame:
    """One bar a session, made of the one-minute `bars` as they arrived and the contract accepts.

    A bad tick that passes for a price is in its session's bar too: nobody knows of it yet. The bar
    ends, and is known, at the close; a session without any minute has no bar.
    """
    arrived = cast_to_contract(bars, raw.BARS_SYNTHETIC)
    refused = violations(arrived, raw.BARS_SYNTHETIC)["row_index"]
    minutes = arrived.with_row_index().filter(~pl.col("index").is_in(refused.implode()))
    session = (pl.col("ts") - pl.duration(microseconds=1)).dt.date().alias("_session")
    close = pl.col("_session").dt.combine(CLOSE_UTC).dt.replace_time_zone("UTC")
    return (
        minutes.sort("symbol", "ts")
        .group_by("dataset", "symbol", session, maintain_order=True)
        .agg(
            pl.col("known_at_basis", "currency", "open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close", "adj_close").last(),
            pl.col("volume").sum(),
        )
        .with_columns(freq=pl.lit("1d"), ts=close, known_at=close)
        .select(raw.BARS_SYNTHETIC.column_names)
    )


def check_columns(bars: pl.DataFrame) -> pl.DataFrame:
    """`bars` in the order of the contract's columns."""
    return bars.select(raw.BARS_SYNTHETIC.column_names)
