"""Bars shorter than a day, each with what the bars before it say.

Belongs here: names of the columns. Does not belong here: formulas (`features.intraday`); shorter bars
seen from the daily one (`multi_timeframe`).
"""

from __future__ import annotations

import polars as pl

from btq_assets.contracts.base import Column, TableContract
from btq_assets.contracts.columns import KNOWN_AT, SYMBOL, TS, UNIVERSE, text

#: Lengths of the bars, shortest first.
LENGTHS = ("1m", "5m", "15m", "1h")

_ROUNDING = 1e-4


def _compact(
    name: str, description: str, minimum: float | None = None, maximum: float | None = None
) -> Column:
    """A nullable float32 column: this is the longest table of the room."""
    return Column(name, pl.Float32, description, nullable=True, minimum=minimum, maximum=maximum)


INTRADAY = TableContract(
    layer="features",
    name="intraday",
    description="Trend, momentum, volatility, place in the range and value traded of the last finished bars, one row per symbol and finished bar of each length below a day.",
    columns=(
        UNIVERSE,
        SYMBOL,
        text("freq", "Bar length.", allowed=LENGTHS),
        TS,
        KNOWN_AT,
        _compact("intraday_return", "Log return of the bar; within itself after a night."),
        _compact("intraday_trend_20", "Move over 20 bars in standard deviations of such a move."),
        _compact(
            "intraday_rsi_14",
            "Share of the rises in all moves of 14 bars, 0 to 100.",
            minimum=-_ROUNDING,
            maximum=100 + _ROUNDING,
        ),
        _compact(
            "intraday_volatility_20", "Standard deviation of 20 log returns, per bar.", minimum=0
        ),
        _compact(
            "intraday_range_position_20",
            "Place between the lowest (0) and the highest (1) of 20 bars, moves over nights left out.",
            minimum=-_ROUNDING,
            maximum=1 + _ROUNDING,
        ),
        _compact(
            "intraday_log_value_ratio_20", "Log of the value traded over its mean of 20 bars."
        ),
    ),
    key=("universe", "symbol", "freq", "ts"),
)
