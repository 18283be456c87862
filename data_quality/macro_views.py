"""Views of raw macro series.

Belongs here: statistics of releases, vintages and values. Does not belong here: thresholds.
"""

from __future__ import annotations

import polars as pl

from data_quality.declarations import with_fresh

#: Median absolute deviation of a normal distribution times this is its standard deviation.
_MAD_TO_SIGMA = 1.4826

#: Periods of the recent stretch whose changes are compared with the rest.
_RECENT_PERIODS = 24


def releases(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per vintage: days from the start of its period to known_at, where that is assumed."""
    start = pl.col("period").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    frame = with_fresh(frame)
    return frame.filter(pl.col("fresh") & (pl.col("known_at_basis") == "assumed_lag")).select(
        "series_id",
        pl.col("period").cast(pl.String),
        assumed_lag_days=(pl.col("known_at") - start).dt.total_seconds() / 86_400,
    )


def vintages(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per vintage: days by which it was known before its period began (negative: after)."""
    start = pl.col("period").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return (
        with_fresh(frame)
        .filter("fresh")
        .select(
            "series_id",
            pl.col("period").cast(pl.String),
            known_lead_days=(start - pl.col("known_at")).dt.total_seconds() / 86_400,
        )
    )


def steps(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per period of each series: change in robust standard deviations of its changes."""
    latest = _latest(with_fresh(frame)).with_columns(
        change=pl.col("value").diff().over("series_id"),
        fresh=pl.col("fresh") | pl.col("fresh").shift(1, fill_value=False).over("series_id"),
    )
    scale = (pl.col("change") - pl.col("change").median()).abs().median().over(
        "series_id"
    ) * _MAD_TO_SIGMA
    return latest.select(
        "series_id",
        pl.col("period").cast(pl.String),
        "value",
        "fresh",
        change_in_sigmas=pl.when(scale > 0).then(pl.col("change").abs() / scale),
    )


def series(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per series: regularity of its periods, stale runs, size of its revisions."""
    frame = with_fresh(frame)
    found = (
        _latest(frame)
        .group_by("series_id")
        .agg(
            n_periods=pl.len(),
            gap_ratio=_gap_days().max() / _gap_days().median(),
            longest_stale_run=pl.col("value").rle_id().unique_counts().max().cast(pl.Int64),
            spread=pl.col("value").std(),
            n_units_ever=pl.col("unit").n_unique(),
            change_ratio=_change_ratio(),
        )
    )
    revisions = (
        frame.sort("series_id", "period", "known_at")
        .with_columns(
            revision_size=pl.col("value").diff().abs().over("series_id", "period"),
        )
        .group_by("series_id")
        .agg(
            largest=pl.col("revision_size").filter("fresh").max(),
            n_units=pl.col("unit").filter("fresh").n_unique(),
        )
    )
    return (
        found.join(revisions, on="series_id")
        .select(
            "series_id",
            "n_periods",
            "gap_ratio",
            "longest_stale_run",
            "n_units",
            "n_units_ever",
            "change_ratio",
            largest_revision_in_sigmas=pl.when(pl.col("spread") > 0).then(
                pl.col("largest") / pl.col("spread")
            ),
        )
        .sort("series_id")
    )


def _latest(frame: pl.DataFrame) -> pl.DataFrame:
    return (
        frame.sort("series_id", "period", "known_at")
        .unique(subset=["series_id", "period"], keep="last", maintain_order=True)
        .sort("series_id", "period")
    )


def _gap_days() -> pl.Expr:
    return pl.col("period").diff().dt.total_days().drop_nulls()


def _change_ratio() -> pl.Expr:
    """Mean absolute change of the last periods over that of all earlier ones."""
    change = pl.col("value").diff().abs()
    recent, earlier = change.tail(_RECENT_PERIODS), change.head(pl.len() - _RECENT_PERIODS)
    return pl.when((pl.len() > 3 * _RECENT_PERIODS) & (earlier.mean() > 0)).then(
        recent.mean() / earlier.mean()
    )
