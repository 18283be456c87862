"""Cell-by-cell comparison of two answers for one table.

Belongs here: what counts as the same, and naming the first difference. Does not belong here: how
the two answers came about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl


class TruncationError(ValueError):
    """The gate cannot be run: no key, no time column, or nothing to compare."""


@dataclass(frozen=True)
class Mismatch:
    """First cell in which the stored and the recomputed table disagree."""

    column: str
    row: Mapping[str, Any]
    stored: Any
    recomputed: Any
    n_cells: int

    def describe(self, table: str, cut: datetime) -> str:
        """One sentence naming table, column, symbol, date and both values."""
        where = ", ".join(f"{name}={value}" for name, value in self.row.items())
        return (
            f"{table}.{self.column} at {where}: stored {self.stored!r}, recomputed "
            f"{self.recomputed!r} from data known at {cut:%Y-%m-%d %H:%M} UTC "
            f"({self.n_cells} cell(s) differ); it reads something not yet known then"
        )


def compare(
    stored: pl.DataFrame,
    fresh: pl.DataFrame,
    key: tuple[str, ...],
    relative_tolerance: float,
    ignore: tuple[str, ...] = (),
) -> tuple[Mismatch | None, int]:
    """First difference of two tables with the same key, and the number of cells compared.

    Raises
    ------
    TruncationError
        A key or value column is missing from the recomputed table, or its key repeats.
    """
    missing = [c for c in stored.columns if c not in fresh.columns and c not in ignore]
    if missing:
        raise TruncationError(f"the recomputed table lacks column(s) {missing}")
    values = [c for c in stored.columns if c not in key and c not in ignore]
    for which, frame in (("stored", stored), ("recomputed", fresh)):
        if frame.select(key).is_duplicated().any():
            raise TruncationError(f"the {which} table repeats its key {key}")
    both = stored.select(*key, *values, pl.lit(True).alias("_stored")).join(
        fresh.select(*key, *values, pl.lit(True).alias("_fresh")),
        on=list(key),
        how="full",
        coalesce=True,
        suffix="_again",
        nulls_equal=True,
    )
    both = both.sort(key)
    lone = both.filter(pl.col("_stored").is_null() | pl.col("_fresh").is_null())
    if not lone.is_empty():
        row = lone.row(0, named=True)
        present = (
            ("present" if row["_stored"] else "absent"),
            ("present" if row["_fresh"] else "absent"),
        )
        return Mismatch("(row)", {k: row[k] for k in key}, *present, lone.height), 0
    for column in values:
        differ = both.filter(_differs(both, column, stored.schema[column], relative_tolerance))
        if not differ.is_empty():
            row = differ.row(0, named=True)
            where = {k: row[k] for k in key}
            return Mismatch(column, where, row[column], row[f"{column}_again"], differ.height), 0
    return None, both.height * len(values)


def _differs(both: pl.DataFrame, column: str, dtype: pl.DataType, tolerance: float) -> pl.Expr:
    left, right = pl.col(column), pl.col(f"{column}_again")
    if not dtype.is_float():
        return left.ne_missing(right)
    finite = both[column].drop_nulls()
    finite = finite.filter(finite.is_finite())
    scale = float(np.abs(finite.to_numpy()).mean()) if finite.len() else 0.0
    allowed = tolerance * pl.max_horizontal(left.abs(), right.abs(), pl.lit(scale))
    numbers = left.is_finite() & right.is_finite()
    # ne_missing holds NaN equal to NaN and infinities to themselves.
    return (
        pl.when(numbers.fill_null(False))
        .then((left - right).abs() > allowed)
        .otherwise(left.ne_missing(right))
    )
