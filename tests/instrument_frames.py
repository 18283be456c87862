"""Rows of `core.instruments` behind generated bars."""

from __future__ import annotations

import polars as pl

from btq_assets.contracts import core, raw


def instruments(bars: pl.DataFrame) -> pl.DataFrame:
    """One row per symbol; those called ``S..`` are of one sector, others of none that is known."""
    rows = bars.group_by("universe", "symbol").agg(
        first_ts=pl.col("ts").min(), last_ts=pl.col("ts").max(), n_bars=pl.len().cast(pl.Int64)
    )
    texts = ("source", "dataset", "currency", "price_basis", "caveat")
    return (
        rows.with_columns(pl.lit("generated").alias(name) for name in texts)
        .with_columns(
            calendar=pl.when(pl.col("universe") == "fx")
            .then(pl.lit("24/5"))
            .otherwise(pl.lit("XNYS"))
        )
        .with_columns(sector=pl.when(pl.col("symbol").str.starts_with("S")).then(pl.lit("Energy")))
        .select(core.INSTRUMENTS.column_names)
        .sort("universe", "symbol")
    )


def membership(bars: pl.DataFrame) -> pl.DataFrame:
    """Rows of `raw.universe_membership`: each symbol from its first bar on, sectors as `instruments`."""
    return (
        instruments(bars)
        .with_columns(valid_from=pl.col("first_ts").dt.date(), valid_to=pl.lit(None, dtype=pl.Date))
        .select(raw.UNIVERSE_MEMBERSHIP.column_names)
    )
