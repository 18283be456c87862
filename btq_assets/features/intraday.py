"""Intraday family: windows over finished bars shorter than a day, at each of those bars.

Belongs here: the table of the family. Does not belong here: shorter bars seen from the daily one
(`multi_timeframe`), trades and quotes (`tick_microstructure`).

Prices of shorter bars are as traded, and what adjusts them is known with the daily bar alone. So the
move over a night is left out: the first bar after one counts with the move from its own open. No
split and no dividend shows, and nothing of a session is needed before it has ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from btq_assets.config import TradingConfig
from btq_assets.contracts.features.intraday import INTRADAY, LENGTHS
from btq_assets.features.definitions import CONSTANT_BELOW, SYMBOL, Feature, undefined_to_null

#: A bar that ended so much later than the one before comes after a night.
NIGHT = timedelta(hours=4)

_WINDOW, _RSI = 20, 14

_Q = "q = ln(c / c[-1]), after a break of four hours ln(c / o)"

_ROWS = (
    ("intraday_return", _Q, "own definition", "fraction"),
    ("intraday_trend_20", f"sum20(q) / (std20(q) sqrt 20); {_Q}", "own definition", "standard deviations"),
    ("intraday_rsi_14", f"100 sum14(max(q, 0)) / sum14(|q|); {_Q}", "Wilder (1978) with plain sums, as Cutler", "0 to 100"),
    ("intraday_volatility_20", f"std20(q); {_Q}", "own definition", "fraction per bar"),
    ("intraday_range_position_20", f"(x - min20(x)) / (max20(x) - min20(x)), x the sum of all q so far; {_Q}", "Lane's %K of closes, 20 bars", "0 to 1"),
    ("intraday_log_value_ratio_20", "ln(y / mean20(y)), y = c volume", "own definition", "log ratio"),
)  # fmt: skip

FEATURES: tuple[Feature, ...] = tuple(
    Feature(
        name, "intraday", formula, source, unit, 0, ("open of 1m", "close of 1m", "volume of 1m")
    )
    for name, formula, source, unit in _ROWS
)


def compute(frames: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Compute the intraday family.

    Parameters
    ----------
    frames
        Rows of `core.bars_1m` to `core.bars_1h` by length; absent and empty ones give no rows.

    Returns
    -------
    polars.DataFrame
        Rows of ``features.intraday``, one per bar with a close, sorted by universe, symbol, length
        and time. ``known_at``: when the last of the bars behind the row was known.
    """
    parts = [_of_length(frames[freq], freq) for freq in LENGTHS if freq in frames]
    if not parts:
        return INTRADAY.empty()
    return pl.concat(parts).sort(INTRADAY.key)


def features_of(config: TradingConfig) -> tuple[Feature, ...]:
    """Definitions; the family has no settings."""
    return FEATURES


def compute_from(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    """Compute the family from its tables; see `compute`."""
    return compute({freq: inputs[f"bars_{freq}"] for freq in LENGTHS if f"bars_{freq}" in inputs})


def _of_length(bars: pl.DataFrame, freq: str) -> pl.DataFrame:
    close, before = pl.col("close"), pl.col("close").shift(1).over(SYMBOL)
    whole = bars.filter(close.is_finite() & (close > 0)).sort(*SYMBOL, "ts")
    follows = (pl.col("ts").diff().over(SYMBOL) <= NIGHT).fill_null(False)
    start = pl.when(follows).then(before).otherwise("open")
    prepared = whole.select(
        *SYMBOL,
        pl.lit(freq).alias("freq"),
        "ts",
        known_at=pl.max_horizontal("ts", pl.col("known_at").cum_max().over(SYMBOL)),
        _begins=pl.struct(SYMBOL).ne_missing(pl.struct(SYMBOL).shift(1)),
        _move=pl.when(start > 0).then((close / start).log()),
        _value=close * pl.col("volume"),
    )
    values = _windows(
        prepared["_begins"].fill_null(True).to_numpy(),
        prepared["_move"].fill_null(np.nan).to_numpy(),
        prepared["_value"].cast(pl.Float64).fill_null(np.nan).to_numpy(),
    )
    columns = [
        pl.Series(name, found.astype(np.float32), nan_to_null=True)
        for (name, *_), found in zip(_ROWS, values, strict=True)
    ]
    rows = prepared.drop("_begins", "_move", "_value").hstack(columns)
    return undefined_to_null(rows.select(INTRADAY.column_names))


def _windows(
    begins: NDArray[np.bool_], move: NDArray[np.float64], value: NDArray[np.float64]
) -> tuple[NDArray[np.float64], ...]:
    """The features of every row, series after series."""
    from btq_assets.features.kernels import rolling

    found = tuple(np.full(move.size, np.nan) for _ in _ROWS)
    edges = np.append(np.flatnonzero(begins), move.size)
    for a, b in pairwise(edges):
        q = np.ascontiguousarray(move[None, a:b])
        level = np.cumsum(np.nan_to_num(q), axis=1)
        total, deviation = rolling.total(q, _WINDOW)[0], rolling.std(q, _WINDOW)[0]
        low, high = rolling.minimum(level, _WINDOW)[0], rolling.maximum(level, _WINDOW)[0]
        rises, moves = (rolling.total(x, _RSI)[0] for x in (np.maximum(q, 0.0), np.abs(q)))
        worth = np.ascontiguousarray(value[None, a:b])
        with np.errstate(all="ignore"):
            results = (
                q[0],
                np.where(deviation > CONSTANT_BELOW, total / (deviation * _WINDOW**0.5), np.nan),
                np.where(moves > _RSI * CONSTANT_BELOW, 100 * rises / moves, np.nan),
                deviation,
                np.where(
                    np.isfinite(deviation) & (high - low > CONSTANT_BELOW),
                    (level[0] - low) / (high - low),
                    np.nan,
                ),
                np.log(worth[0] / rolling.mean(worth, _WINDOW)[0]),
            )
        for column, result in zip(found, results, strict=True):
            column[a:b] = result
    return found
