"""Multi-timeframe family: the last finished bar of each timeframe, seen from the daily bar.

Belongs here: windows over bars of one timeframe, and their as-of join to the daily bars. Does not
belong here: making longer bars of shorter ones (`sources.market.resampling`, dbt).

A bar of another timeframe counts from the moment it was known, never before it has ended. A weekly
bar ends with its week: at its own last session only where no session of that week can follow, that
is on a Friday, or on a Sunday once the symbol has traded on weekends; otherwise from the next week
on. Bars shorter than a day that were not known at the end of their own daily bar are left out, for
a window with them would change later.

Prices of shorter bars are as traded; multiplied by adj_close / close of their session they are
comparable over a split.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import pairwise

import numpy as np
import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts.features.multi_timeframe import TIMEFRAMES
from btq_assets.features.definitions import (
    CONSTANT_BELOW,
    HISTORY,
    KEY,
    SYMBOL,
    Feature,
    has_columns,
    prepare,
    undefined_to_null,
)
from btq_assets.timeline import asof_join

Kernel = Callable[[np.ndarray, int], np.ndarray]

INTRADAY = ("1m", "5m", "15m", "1h")

_TREND, _RSI = 20, 14

#: After so long without a newer bar the timeframe says nothing about now.
_MAX_AGE = {**dict.fromkeys(INTRADAY, timedelta(days=5)), "1w": timedelta(days=15)}

#: A week's bar is known soon after its end; one that came later is left out.
_LATE_WEEK = timedelta(days=4)

_FRIDAY, _SATURDAY, _SUNDAY = 5, 6, 7

_KINDS = ("trend_20", "rsi_14", "volatility_20", "range_position_20")


def _features(freq: str) -> tuple[Feature, ...]:
    #: Looking back over weeks takes sessions; over hours, hardly any.
    sessions = {"1d": 1, "1w": 5}.get(freq, 0)
    bar = f"x the closes of {freq}, q = ln x - ln x[-1]"
    definitions = (
        ("ln(x / x[-20]) / (std20(q) sqrt 20)", "own definition", "standard deviations", _TREND),
        (
            "100 sum14(max(q, 0)) / sum14(|q|)",
            "Wilder (1978) with plain sums, as Cutler",
            "0 to 100",
            _RSI,
        ),
        ("std20(q)", "own definition", "fraction per bar", _TREND),
        (
            "(x - min20(x)) / (max20(x) - min20(x))",
            "Lane's %K of closes, 20 bars",
            "0 to 1",
            _TREND - 1,
        ),
    )
    return tuple(
        Feature(
            f"{kind}_{freq}",
            "multi_timeframe",
            f"{formula}; {bar}, the newest finished bars known",
            source,
            unit,
            sessions * lookback,
            ("adj_close",) if freq in ("1d", "1w") else ("close", "adj_close", f"close of {freq}"),
        )
        for kind, (formula, source, unit, lookback) in zip(_KINDS, definitions, strict=True)
    )


FEATURES: tuple[Feature, ...] = (
    *(feature for freq in TIMEFRAMES for feature in _features(freq)),
    Feature(
        "trend_alignment",
        "multi_timeframe",
        "mean of sign(trend_20) over the timeframes that have one, at least two",
        "own definition",
        "-1 to 1",
        5 * _TREND,
        ("adj_close",),
    ),
    Feature(
        "trend_agreement_1d_1w",
        "multi_timeframe",
        "sign(trend_20_1d trend_20_1w)",
        "own definition",
        "-1, 0 or 1",
        5 * _TREND,
        ("adj_close",),
    ),
)


def compute(
    bars: pl.DataFrame, weekly: pl.DataFrame, intraday: Mapping[str, pl.DataFrame] | None = None
) -> pl.DataFrame:
    """Compute the multi-timeframe family.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`.
    weekly
        Rows of `core.bars_1w`.
    intraday
        Rows of `core.bars_1m` to `core.bars_1h` by length; a length that is
        missing or empty leaves its features null.

    Returns
    -------
    polars.DataFrame
        Rows of ``features.multi_timeframe``: one per daily bar, sorted by universe, symbol and
        time.
    """
    daily = prepare(bars)
    found = daily.select(KEY).hstack(_windows(daily, "1d"))
    if daily.is_empty():
        weekly, intraday = weekly.clear(), {}
    for freq in INTRADAY:
        shorter = (intraday or {}).get(freq)
        seen = None if shorter is None else _within_sessions(shorter, daily)
        found = _with_last_known(found, seen, freq)
    found = _with_last_known(found, _finished_weeks(weekly, daily), "1w")
    trends = [pl.col(f"trend_20_{freq}").sign() for freq in TIMEFRAMES]
    found = found.with_columns(
        trend_alignment=pl.when(
            pl.sum_horizontal(trend.is_not_null() for trend in trends) >= 2
        ).then(pl.mean_horizontal(trends)),
        trend_agreement_1d_1w=(pl.col("trend_20_1d").sign() * pl.col("trend_20_1w").sign()),
    )
    return undefined_to_null(found.select(*KEY, *(f.name for f in FEATURES)))


def features_of(config: TradingConfig) -> tuple[Feature, ...]:
    """Definitions for the windows of `config`."""
    return FEATURES


def compute_from(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    """Compute the family from its tables; see `compute`."""
    shorter = {freq: inputs[f"bars_{freq}"] for freq in INTRADAY if f"bars_{freq}" in inputs}
    return compute(inputs["bars"], inputs["bars_1w"], shorter)


def landmarks(bars: pl.DataFrame) -> np.ndarray:
    """Rows of the first bars on weekends: from then on a symbol's week ends on Sunday."""
    weekend = bars["session"].dt.weekday() >= _SATURDAY
    if not weekend.any():
        return np.empty(0, np.int64)
    rows = bars.select(*SYMBOL, _row=pl.int_range(pl.len())).filter(weekend)
    return rows.unique(SYMBOL, keep="first", maintain_order=True)["_row"].to_numpy()


def _windows(ordered: pl.DataFrame, freq: str) -> pl.DataFrame:
    """Features of each bar of a prepared frame, from it and the bars before it."""
    from btq_assets.features.kernels import rolling

    names = [f"{kind}_{freq}" for kind in _KINDS]
    n = ordered.height
    if not n:
        return pl.DataFrame(schema=dict.fromkeys(names, pl.Float64))
    number = ordered[HISTORY].to_numpy()
    starts = np.append(np.flatnonzero(np.append(True, np.diff(number) != 0)), n)
    price = ordered["_p"].to_numpy()
    moves = ordered["_r"].fill_null(np.nan).to_numpy()

    def rolled(kernel: Kernel, values: np.ndarray, window: int) -> np.ndarray:
        parts = [kernel(values[None, a:b], window)[0] for a, b in pairwise(starts)]
        return np.concatenate(parts)

    total, deviation = (rolled(kernel, moves, _TREND) for kernel in (rolling.total, rolling.std))
    rises = rolled(rolling.total, np.maximum(moves, 0.0), _RSI)
    all_moves = rolled(rolling.total, np.abs(moves), _RSI)
    low, high = (rolled(kernel, price, _TREND) for kernel in (rolling.minimum, rolling.maximum))
    with np.errstate(all="ignore"):
        values = (
            np.where(
                deviation > CONSTANT_BELOW, total / (deviation * np.sqrt(float(_TREND))), np.nan
            ),
            np.where(all_moves > _RSI * CONSTANT_BELOW, 100 * rises / all_moves, np.nan),
            deviation,
            np.where(high - low > CONSTANT_BELOW * low, (price - low) / (high - low), np.nan),
        )
    return pl.DataFrame(
        [
            pl.Series(name, found, nan_to_null=True)
            for name, found in zip(names, values, strict=True)
        ]
    )


def _with_last_known(rows: pl.DataFrame, bars: pl.DataFrame | None, freq: str) -> pl.DataFrame:
    """`rows` with the features of the newest of `bars` that was known by then."""
    names = [f"{kind}_{freq}" for kind in _KINDS]
    if bars is None or bars.is_empty():
        return rows.with_columns(pl.lit(None, pl.Float64).alias(name) for name in names)
    prepared = prepare(bars)
    seen = prepared.select(
        *SYMBOL,
        "ts",
        # A window is known once all its bars are.
        known_at=pl.max_horizontal("ts", pl.col("known_at").cum_max().over(HISTORY)),
    ).hstack(_windows(prepared, freq))
    joined = asof_join(rows, seen.rename({"ts": "_ended"}), by=SYMBOL)
    fresh = pl.col("ts") - pl.col("_ended") <= _MAX_AGE[freq]
    return joined.with_columns(pl.when(fresh).then(name).alias(name) for name in names).select(
        *rows.columns, *names
    )


def _within_sessions(shorter: pl.DataFrame, daily: pl.DataFrame) -> pl.DataFrame | None:
    """Bars that were known at the end of their daily bar, adjusted as that is."""
    if shorter.is_empty():
        return None
    sessions = has_columns(daily, ("close",)).select(
        *SYMBOL, _end="ts", _factor=pl.col("adj_close") / pl.col("close")
    )
    # Forward: which session a bar is part of is no matter of what was known.
    placed = shorter.sort("ts").join_asof(
        sessions.sort("_end"),
        left_on="ts",
        right_on="_end",
        by=list(SYMBOL),
        strategy="forward",
        check_sortedness=False,
    )
    kept = placed.filter(pl.col("known_at") <= pl.col("_end"))
    return kept.select(*KEY, "known_at", adj_close=pl.col("close") * pl.col("_factor"))


def _finished_weeks(weekly: pl.DataFrame, daily: pl.DataFrame) -> pl.DataFrame | None:
    """Weekly bars with the time from which they count as ended and known."""
    if weekly.is_empty():
        return None
    kept = weekly.filter(pl.col("known_at") - pl.col("ts") <= _LATE_WEEK)
    day = pl.col("session").dt.weekday()
    weekends = (
        daily.filter(day >= _SATURDAY).group_by(SYMBOL).agg(_first_weekend=pl.col("ts").min())
    )
    last_day = pl.when(pl.col("_first_weekend") <= pl.col("ts")).then(_SUNDAY).otherwise(_FRIDAY)
    next_week = (
        pl.col("session")
        .dt.truncate("1w")
        .dt.offset_by("1w")
        .cast(pl.Datetime("us"))
        .dt.replace_time_zone("UTC")
    )
    return (
        kept.join(weekends, on=SYMBOL, how="left")
        .with_columns(
            known_at=pl.when(day >= last_day)
            .then("known_at")
            .otherwise(pl.max_horizontal("known_at", next_week))
        )
        .select(*KEY, "known_at", "adj_close")
    )
