"""Views of option quotes, off-exchange volume, on-chain metrics, funding rates.

Belongs here: statistics of these tables as a source gave them. Does not belong here: thresholds,
implied volatilities recomputed (the alternative room).
"""

from __future__ import annotations

import polars as pl

from data_quality.declarations import with_fresh

#: Median absolute deviation of a normal distribution times this is its standard deviation.
_MAD_TO_SIGMA = 1.4826

CHAIN = ("dataset", "underlying", "quoted_at")


def chains(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per underlying and snapshot of its option chain.

    ``spread_to_mid`` (median) is of quotes with both sides; ``idle_fraction`` is the share of
    contracts with neither open interest nor volume; ``put_share`` of contracts; ``disorder_fraction`` the share of neighbouring strikes of one expiry and right whose
    mid prices stand the wrong way round by more than both half spreads (calls fall with the strike,
    puts rise); ``quote_age_hours`` the longest from a quote until it was known.
    """
    two_sided = pl.col("bid").is_not_null() & pl.col("ask").is_not_null()
    mid = (pl.col("bid") + pl.col("ask")) / 2
    quoted = frame.with_columns(quoted_at=pl.col("ts").dt.strftime("%Y-%m-%d %H:%M"), mid=mid)
    order = ("dataset", "underlying", "root", "ts", "expires_at", "kind")
    direction = pl.when(pl.col("kind") == "call").then(1.0).otherwise(-1.0)
    slack = (pl.col("ask") - pl.col("bid")) / 2
    neighbours = (
        quoted.filter(two_sided)
        .sort(*order, "strike")
        .with_columns(
            rise=direction * pl.col("mid").diff().over(order),
            slack=slack + slack.shift(1).over(order),
        )
        .group_by(CHAIN)
        .agg(
            disorder_fraction=(pl.col("rise") > pl.col("slack")).sum()
            / pl.max_horizontal(pl.col("rise").count(), pl.lit(1))
        )
    )
    return (
        quoted.group_by(CHAIN)
        .agg(
            n_quotes=pl.len().cast(pl.Int64),
            one_sided_fraction=1 - two_sided.mean(),
            spread_to_mid=((pl.col("ask") - pl.col("bid")) / pl.col("mid")).median(),
            idle_fraction=(
                (pl.col("open_interest").fill_null(0) == 0) & (pl.col("volume").fill_null(0) == 0)
            ).mean(),
            put_share=(pl.col("kind") == "put").mean(),
            quote_age_hours=(pl.col("known_at") - pl.col("ts")).dt.total_seconds().max() / 3_600,
        )
        .join(neighbours, on=CHAIN, how="left")
        .sort(CHAIN)
    )


METRIC = ("dataset", "asset", "metric")


def metrics(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per on-chain series: regularity, stale runs, negative values, units, delay, level."""
    latest = (
        with_fresh(frame)
        .sort(*METRIC, "ts", "known_at")
        .unique([*METRIC, "ts"], keep="last", maintain_order=True)
    )
    gap = pl.col("ts").diff().dt.total_seconds().drop_nulls()
    value = pl.col("value")
    return (
        latest.group_by(METRIC)
        .agg(
            n_values=pl.len().cast(pl.Int64),
            gap_ratio=gap.max() / gap.median(),
            longest_stale_run=value.rle_id().unique_counts().max().cast(pl.Int64),
            negative_fraction=(value < 0).mean(),
            n_units=pl.col("unit").filter("fresh").n_unique().cast(pl.Int64),
            n_units_ever=pl.col("unit").n_unique().cast(pl.Int64),
            known_lag_hours=(pl.col("known_at") - pl.col("ts"))
            .filter(pl.col("fresh") & (pl.col("known_at_basis") == "assumed_lag"))
            .dt.total_seconds()
            .max()
            / 3_600,
            level_ratio=pl.when((pl.len() > 60) & (value.slice(-60, 30).median() > 0)).then(
                value.tail(30).median() / value.slice(-60, 30).median()
            ),
        )
        .sort(METRIC)
    )


def metric_steps(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per on-chain value: its change in robust standard deviations of the series'."""
    latest = (
        with_fresh(frame)
        .sort(*METRIC, "ts", "known_at")
        .unique([*METRIC, "ts"], keep="last", maintain_order=True)
        .with_columns(
            change=pl.col("value").diff().over(METRIC),
            fresh=pl.col("fresh") | pl.col("fresh").shift(1, fill_value=False).over(METRIC),
        )
    )
    scale = (pl.col("change") - pl.col("change").median()).abs().median().over(METRIC)
    return latest.select(
        *METRIC,
        pl.col("ts").dt.strftime("%Y-%m-%d %H:%M"),
        "value",
        "fresh",
        change_in_sigmas=pl.when((scale > 0) & (pl.len().over(METRIC) > 30)).then(
            pl.col("change").abs() / (scale * _MAD_TO_SIGMA)
        ),
    )


def venues(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per week of off-exchange volume: symbols, size of a trade, days until published."""
    start = pl.col("week").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return (
        with_fresh(frame)
        .group_by("dataset", "week")
        .agg(
            fresh=pl.col("fresh").any(),
            n_symbols=pl.col("symbol").n_unique().cast(pl.Int64),
            shares_per_trade=pl.col("shares").sum() / pl.col("trades").sum(),
            published_after_days=(pl.col("known_at") - start).dt.total_days().median(),
        )
        .sort("dataset", "week")
        .with_columns(
            symbols_to_usual=pl.col("n_symbols") / pl.col("n_symbols").median().over("dataset"),
            weeks_since_last=pl.col("week").diff().dt.total_days().over("dataset") / 7,
            week=pl.col("week").cast(pl.String),
        )
    )


def short_sessions(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per session of short volume: symbols, days since the last session."""
    return (
        with_fresh(frame)
        .group_by("dataset", "session")
        .agg(
            fresh=pl.col("fresh").any(),
            n_symbols=pl.col("symbol").n_unique().cast(pl.Int64),
        )
        .sort("dataset", "session")
        .with_columns(
            symbols_to_usual=pl.col("n_symbols") / pl.col("n_symbols").median().over("dataset"),
            days_since_last=pl.col("session").diff().dt.total_days().over("dataset"),
            session=pl.col("session").cast(pl.String),
        )
    )


def funding(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per perpetual: largest rate, regularity, stale runs."""
    of = ("dataset", "symbol")
    latest = frame.sort(*of, "ts", "known_at").unique([*of, "ts"], keep="last", maintain_order=True)
    gap = pl.col("ts").diff().dt.total_seconds().drop_nulls()
    return (
        latest.group_by(of)
        .agg(
            n_rates=pl.len().cast(pl.Int64),
            largest_rate=pl.col("funding_rate").abs().max(),
            gap_ratio=gap.max() / gap.median(),
        )
        .sort(of)
    )
