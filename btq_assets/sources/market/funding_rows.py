"""Funding rates of perpetual swaps in ccxt's unified form, to rows.

Belongs here: reading ``{"timestamp": ms, "fundingRate": …}``. Does not belong here: asking.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import polars as pl

from btq_assets.sources.market.cells import is_stamp
from btq_assets.sources.rows import ROW_JSON, Parsed, split
from btq_assets.sources.vintages import ASSUMED_LAG

_STATED = re.compile(r"(\d{1,3})([hm])", re.ASCII)
#: Hours between fundings that exchanges use; anything else has a hole in it.
_INTERVALS = (1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 24.0)
#: Stamps of fundings miss the full hour by milliseconds, at most by seconds.
_TOLERANCE_MS = 60_000
_HOUR_MS = 3_600_000


def parse_fundings(
    rows: Sequence[Any], dataset: str, symbol: str, start: int, after: int
) -> Parsed:
    """Funding rates of ``[{"timestamp": ms, "fundingRate": …}]`` with ``start <= timestamp < after``.

    Exchanges publish the rate before it is paid; the time it was paid is the time it counts as
    known.

    ``interval_hours`` is what the row itself states (ccxt's ``interval``, such as ``8h``). Where it
    states nothing, as in most histories, it is the time since the funding before it, if that is an
    interval exchanges use: rows before `start` serve for that, and are not returned. It is null for
    the first funding there is, and after a hole; one funding missing of a four-hour rhythm cannot be
    told from an eight-hour one.
    """
    cells = [
        (
            row["timestamp"] if has_time(row) else None,
            _rate(row.get("fundingRate")) if isinstance(row, dict) else None,
            stated_hours(row.get("interval")) if isinstance(row, dict) else None,
            json.dumps(row, default=str),
        )
        for row in rows
    ]
    table = pl.DataFrame(
        cells,
        schema={
            "ms": pl.Int64,
            "funding_rate": pl.Float64,
            "stated": pl.Float64,
            ROW_JSON: pl.String,
        },
        orient="row",
    ).unique(["ms", "funding_rate"], maintain_order=True)
    read = split(
        table,
        pl.when(pl.col("ms").is_null())
        .then(pl.lit("no timestamp"))
        .when(pl.col("funding_rate").is_null())
        .then(pl.lit("no funding rate")),
    )
    timed = _with_intervals(read.rows)
    inside = timed.filter(pl.col("ms").is_between(start, after, closed="left"))
    ts = pl.from_epoch("ms", time_unit="ms").dt.replace_time_zone("UTC").dt.cast_time_unit("us")
    fundings = inside.select(
        dataset=pl.lit(dataset),
        symbol=pl.lit(symbol),
        ts=ts,
        known_at=ts,
        known_at_basis=pl.lit(ASSUMED_LAG),
        funding_rate="funding_rate",
        interval_hours="interval_hours",
    ).sort("ts")
    return Parsed(fundings, read.rejected)


def _with_intervals(rows: pl.DataFrame) -> pl.DataFrame:
    """`rows` with ``interval_hours``: stated, else the time since the funding before, else null."""
    elapsed = rows.select("ms").unique().sort("ms").with_columns(since=pl.col("ms").diff())
    since = pl.col("since")
    hours = (since / _HOUR_MS).round()
    is_usual = hours.is_in(_INTERVALS) & ((since - hours * _HOUR_MS).abs() <= _TOLERANCE_MS)
    derived = elapsed.select("ms", derived=pl.when(is_usual).then(hours))
    return rows.join(derived, on="ms", how="left", maintain_order="left").with_columns(
        interval_hours=pl.coalesce("stated", "derived")
    )


def stated_hours(interval: Any) -> float | None:
    """Hours of ccxt's ``8h`` or ``30m``; None for anything else."""
    found = _STATED.fullmatch(interval) if isinstance(interval, str) else None
    if found is None or int(found[1]) == 0:
        return None
    return int(found[1]) / (1 if found[2] == "h" else 60)


def has_time(row: Any) -> bool:
    """Whether a row says when it was."""
    return isinstance(row, dict) and is_stamp(row.get("timestamp"))


def _rate(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None
