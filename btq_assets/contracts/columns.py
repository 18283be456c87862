"""Columns that mean the same thing in every table that has them."""

from __future__ import annotations

import polars as pl

from btq_assets.contracts.base import UTC_TIMESTAMP, Column

UNIVERSE = Column(
    "universe", pl.String, "Named set of instruments (us20, us_ohlcv, fx, benchmark)."
)
SYMBOL = Column("symbol", pl.String, "Instrument, unique within its universe.")
TS = Column("ts", UTC_TIMESTAMP, "End of the bar, or time of the event, UTC.")
KNOWN_AT = Column(
    "known_at", UTC_TIMESTAMP, "When a participant could first have known the row, UTC."
)
KNOWN_AT_BASIS = Column(
    "known_at_basis",
    pl.String,
    "Whether known_at was recorded, follows from a documented lag, or is when a row came that an earlier fetch of its neighbours had lacked.",
    allowed=("recorded", "assumed_lag", "late"),
)
HORIZON = Column("horizon_sessions", pl.Int64, "Sessions from fill to fill.", minimum=1)
STRATEGY = Column(
    "strategy", pl.String, "Strategy or baseline, the name used in every later table."
)
RUN_ID = Column("run_id", pl.String, "Backtest run: hash of strategy, data, costs and code.")


def number(
    name: str,
    description: str,
    *,
    nullable: bool = True,
    minimum: float | None = None,
    maximum: float | None = None,
    exclusive_minimum: bool = False,
) -> Column:
    """A finite float64 column."""
    return Column(
        name,
        pl.Float64,
        description,
        nullable,
        minimum,
        maximum,
        exclusive_minimum=exclusive_minimum,
    )


def text(
    name: str, description: str, *, nullable: bool = False, allowed: tuple[str, ...] | None = None
) -> Column:
    """A string column."""
    return Column(name, pl.String, description, nullable, allowed=allowed)


def count(
    name: str, description: str, *, nullable: bool = False, minimum: float | None = 0
) -> Column:
    """An int64 column that counts something."""
    return Column(name, pl.Int64, description, nullable, minimum=minimum)


def flag(name: str, description: str, *, nullable: bool = False) -> Column:
    """A boolean column."""
    return Column(name, pl.Boolean, description, nullable)


def stamp(name: str, description: str, *, nullable: bool = False) -> Column:
    """A UTC timestamp column."""
    return Column(name, UTC_TIMESTAMP, description, nullable)


def day(name: str, description: str, *, nullable: bool = False) -> Column:
    """A calendar-date column."""
    return Column(name, pl.Date, description, nullable)
