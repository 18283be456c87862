"""What a re-fetch adds to an append-only table.

Belongs here: the one rule that turns "what the source says now" into the rows to append. Does
not belong here: fetching, and storing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import polars as pl

RECORDED = "recorded"
ASSUMED_LAG = "assumed_lag"
#: A row its source did not have when it gave the rows before and after it.
LATE = "late"


def new_vintages(
    stored: pl.DataFrame,
    fetched: pl.DataFrame,
    now: datetime,
    *,
    key: Sequence[str] = ("dataset", "symbol", "freq", "ts"),
    values: Sequence[str] | None = None,
    relative_tolerance: float = 0.0,
) -> pl.DataFrame:
    """Rows of `fetched` that say something `stored` does not.

    A row never seen keeps the ``known_at`` its source gave it, unless it fills a hole: where rows of
    the same series before and after it are stored already, the source lacked it when it gave
    those, and whoever asked then did not know it. It enters with ``known_at = now``, ``late``. A row
    whose values differ from the
    newest stored vintage of the same key was changed by the source at some unknown time: all that
    is certain is that it is known now, so it enters with ``known_at = now``, ``recorded`` (or a
    microsecond after the stored vintage, where an assumed lag puts that one into the future). A row
    that was fetched with a recorded time of its own (a dated vintage) keeps it, and enters unless
    that very vintage is stored. Nothing is ever removed.

    Parameters
    ----------
    stored
        Rows of the table, all vintages.
    fetched
        Rows as the source gives them now, same columns, ``known_at`` and ``known_at_basis``
        included.
    now
        Time of the fetch, UTC.
    key
        Columns that identify what a row is about, ``known_at`` left out.
    values
        Columns that are compared; by default all others.
    relative_tolerance
        Numbers that differ by less than this share of the stored one count as equal, for
        providers whose last digits move from one answer to the next.

    Returns
    -------
    polars.DataFrame
        The rows to append, in the order of `fetched`; empty when nothing is new.
    """
    time_columns = ("known_at", "known_at_basis")
    compared = list(values or [c for c in fetched.columns if c not in (*key, *time_columns)])
    if stored.is_empty():
        return fetched
    order = fetched.columns
    newest = (
        stored.sort("known_at")
        .unique(list(key), keep="last", maintain_order=True)
        .select(
            *key,
            pl.lit(True).alias("_seen"),
            pl.col("known_at").alias("_known_at"),
            *(pl.col(c).alias(f"_{c}") for c in compared),
        )
    )
    dated = stored.select(*key, "known_at", pl.lit(True).alias("_dated"))
    same = pl.all_horizontal(
        _same(c, relative_tolerance if fetched.schema[c].is_float() else 0.0) for c in compared
    )
    own_date = pl.col("known_at_basis") == RECORDED
    seen = pl.col("_seen").fill_null(False)
    changed = seen & ~own_date
    joined = fetched.join(newest, on=list(key), how="left", maintain_order="left")
    *series, along = key
    holes = _between_seen(joined, series, along) if fetched.schema[along].is_temporal() else None
    late = pl.col("_hole") & ~own_date
    return (
        joined.with_columns(_hole=pl.lit(False) if holes is None else holes)
        .join(dated, on=[*key, "known_at"], how="left", maintain_order="left")
        .filter(pl.when(own_date).then(pl.col("_dated").is_null()).otherwise(~seen | ~same))
        .with_columns(
            known_at=pl.when(changed | late)
            .then(
                pl.max_horizontal(
                    pl.when(late)
                    .then("known_at")
                    .otherwise(pl.col("_known_at") + pl.duration(microseconds=1)),
                    pl.lit(now).cast(fetched.schema["known_at"]),
                )
            )
            .otherwise("known_at"),
            known_at_basis=pl.when(changed)
            .then(pl.lit(RECORDED))
            .when(late)
            .then(pl.lit(LATE))
            .otherwise("known_at_basis"),
        )
        .select(order)
    )


def _between_seen(joined: pl.DataFrame, series: Sequence[str], along: str) -> pl.Series | None:
    """Which rows were never seen, between rows of their series that were; ``None``: no row."""
    seen = joined["_seen"].fill_null(False)
    if not seen.any() or seen.all():
        return None
    spans = (
        joined.filter(seen)
        .group_by(series)
        .agg(_first=pl.col(along).min(), _last=pl.col(along).max())
    )
    within = joined.join(spans, on=list(series), how="left", maintain_order="left").select(
        pl.col(along).is_between("_first", "_last").fill_null(False)
    )
    return within.to_series() & ~seen


def _same(column: str, relative_tolerance: float) -> pl.Expr:
    new, old = pl.col(column), pl.col(f"_{column}")
    equal = new.eq_missing(old)
    if relative_tolerance > 0:
        near = (new - old).abs() <= relative_tolerance * old.abs()
        equal = equal | near.fill_null(False)
    return equal
