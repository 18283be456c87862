"""Views of raw macro series and raw documents.

Belongs here: statistics of releases, vintages and texts. Does not belong here: thresholds.
"""

from __future__ import annotations

import polars as pl

#: Median absolute deviation of a normal distribution times this is its standard deviation.
_MAD_TO_SIGMA = 1.4826


def releases(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per vintage: days from the start of its period to known_at, where that is assumed."""
    start = pl.col("period").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return frame.filter(pl.col("known_at_basis") == "assumed_lag").select(
        "series_id",
        pl.col("period").cast(pl.String),
        assumed_lag_days=(pl.col("known_at") - start).dt.total_seconds() / 86_400,
    )


def steps(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per period of each series: change in robust standard deviations of its changes."""
    latest = _latest(frame).with_columns(change=pl.col("value").diff().over("series_id"))
    scale = (pl.col("change") - pl.col("change").median()).abs().median().over(
        "series_id"
    ) * _MAD_TO_SIGMA
    return latest.select(
        "series_id",
        pl.col("period").cast(pl.String),
        "value",
        change_in_sigmas=pl.when(scale > 0).then(pl.col("change").abs() / scale),
    )


def series(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per series: regularity of its periods, stale runs, size of its revisions."""
    found = (
        _latest(frame)
        .group_by("series_id")
        .agg(
            n_periods=pl.len(),
            gap_ratio=_gap_days().max() / _gap_days().median(),
            longest_stale_run=pl.col("value").rle_id().unique_counts().max().cast(pl.Int64),
            spread=pl.col("value").std(),
        )
    )
    revisions = (
        frame.sort("series_id", "period", "known_at")
        .with_columns(
            revision_size=pl.col("value").diff().abs().over("series_id", "period"),
        )
        .group_by("series_id")
        .agg(largest=pl.col("revision_size").max(), n_units=pl.col("unit").n_unique())
    )
    return (
        found.join(revisions, on="series_id")
        .select(
            "series_id",
            "n_periods",
            "gap_ratio",
            "longest_stale_run",
            "n_units",
            largest_revision_in_sigmas=pl.when(pl.col("spread") > 0).then(
                pl.col("largest") / pl.col("spread")
            ),
        )
        .sort("series_id")
    )


def documents(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per document: delay until it was known, length of its text, its label."""
    return frame.select(
        "doc_id",
        "symbol",
        "label",
        published_at=pl.col("published_at").dt.strftime("%Y-%m-%d %H:%M"),
        delay_hours=(pl.col("known_at") - pl.col("published_at")).dt.total_seconds() / 3_600,
        headline_length=pl.col("headline").str.len_chars().cast(pl.Int64),
    )


def headlines(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per text: how many documents of one symbol on one day repeat it."""
    return (
        frame.with_columns(day=pl.col("published_at").dt.date().cast(pl.String))
        .group_by("symbol", "day", "headline")
        .agg(n_repeats=pl.len().cast(pl.Int64))
    )


def coverage(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per symbol: its share of all documents times the number of symbols (1 is even)."""
    return (
        frame.group_by("symbol")
        .agg(n_documents=pl.len().cast(pl.Int64))
        .with_columns(
            relative_share=pl.col("n_documents") / pl.col("n_documents").sum() * pl.len(),
        )
        .sort("symbol")
    )


def _latest(frame: pl.DataFrame) -> pl.DataFrame:
    return (
        frame.sort("series_id", "period", "known_at")
        .unique(subset=["series_id", "period"], keep="last", maintain_order=True)
        .sort("series_id", "period")
    )


def _gap_days() -> pl.Expr:
    return pl.col("period").diff().dt.total_days().drop_nulls()
