"""Funding rates of perpetual swaps in ccxt's unified form, to rows.

Belongs here: reading ``{"timestamp": ms, "fundingRate": …}``. Does not belong here: asking.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import polars as pl

from btq_assets.sources.market.cells import is_stamp
from btq_assets.sources.rows import ROW_JSON, Parsed, split
from btq_assets.sources.vintages import ASSUMED_LAG


def parse_fundings(
    rows: Sequence[Any], dataset: str, symbol: str, start: int, after: int
) -> Parsed:
    """Funding rates of ``[{"timestamp": ms, "fundingRate": …}]`` with ``start <= timestamp < after``.

    Exchanges publish the rate before it is paid; the time it was paid is the time it counts as
    known.
    """
    cells = [
        (
            row["timestamp"] if has_time(row) else None,
            _rate(row.get("fundingRate")) if isinstance(row, dict) else None,
            json.dumps(row, default=str),
        )
        for row in rows
    ]
    table = pl.DataFrame(
        cells,
        schema={"ms": pl.Int64, "funding_rate": pl.Float64, ROW_JSON: pl.String},
        orient="row",
    ).unique(["ms", "funding_rate"], maintain_order=True)
    read = split(
        table,
        pl.when(pl.col("ms").is_null())
        .then(pl.lit("no timestamp"))
        .when(pl.col("funding_rate").is_null())
        .then(pl.lit("no funding rate")),
    )
    inside = read.rows.filter(pl.col("ms").is_between(start, after, closed="left"))
    ts = pl.from_epoch("ms", time_unit="ms").dt.replace_time_zone("UTC").dt.cast_time_unit("us")
    fundings = inside.select(
        dataset=pl.lit(dataset),
        symbol=pl.lit(symbol),
        ts=ts,
        known_at=ts,
        known_at_basis=pl.lit(ASSUMED_LAG),
        funding_rate="funding_rate",
        interval_hours=pl.lit(None, dtype=pl.Float64),
    ).sort("ts")
    return Parsed(fundings, read.rejected)


def has_time(row: Any) -> bool:
    """Whether a row says when it was."""
    return isinstance(row, dict) and is_stamp(row.get("timestamp"))


def _rate(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None
