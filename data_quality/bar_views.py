"""Views of a raw bars table: one row per return, per range, or per series.

Every view takes the frame `latest_bars` made.

Belongs here: statistics of prices as the source gave them. Does not belong here: thresholds.
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

SERIES = ("dataset", "symbol", "freq")

_PRICES = ("open", "high", "low", "close", "adj_close", "volume")

#: Bars further apart are not neighbours.
_NEIGHBOURS = timedelta(days=10)

#: Returns that identify a series, and the fewest it must have to be compared at all.
_FINGERPRINT_RETURNS = 250
_FINGERPRINT_MINIMUM = 60

#: Bars of the recent stretch that volatility is compared with.
_RECENT_BARS = 252


def latest_bars(frame: pl.DataFrame) -> pl.DataFrame:
    """Prepare the rows every view here reads: each bar once, in its latest vintage, in time order.

    ``price`` is what returns are computed from; ``first_sight`` is false for a bar of which only a
    later, recorded vintage is at hand: a re-fetch appends nothing else, and says little of gaps.
    """
    return (
        frame.with_columns(
            first_sight=(pl.col("known_at_basis") == "assumed_lag").any().over(*SERIES, "ts")
        )
        .sort(*SERIES, "ts", "known_at")
        .unique(subset=[*SERIES, "ts"], keep="last", maintain_order=True)
        .with_columns(price=pl.coalesce("adj_close", "close"))
    )


def returns(bars: pl.DataFrame) -> pl.DataFrame:
    """One row per bar: log return of the price over the series' previous bar.

    Missing where the previous bar is more than ten days old, for then it says nothing.
    """
    return bars.with_columns(
        log_return=pl.col("price").log().diff().over(SERIES),
        gap=pl.col("ts").diff().over(SERIES),
    ).select(
        *SERIES,
        _iso("ts"),
        log_return=pl.when(pl.col("gap") <= _NEIGHBOURS).then("log_return"),
    )


def ranges(bars: pl.DataFrame) -> pl.DataFrame:
    """One row per bar with a high and low, or with both closes: width and adjustment factor."""
    return bars.filter(pl.col("close").is_not_null()).select(
        *SERIES,
        _iso("ts"),
        log_range=(pl.col("high") / pl.col("low")).log(),
        adjustment_factor=pl.col("adj_close") / pl.col("close"),
    )


def series(bars: pl.DataFrame) -> pl.DataFrame:
    """One row per daily series: gaps, stale runs, missing values, weekends.

    ``partial_null_fraction`` is the largest share of missing values among the columns that are
    not missing throughout: a close-only series has none. ``weekend_fraction`` is zero for a market
    that really trades at weekends, where at least a fifth of all bars fall on them.
    """
    bars = bars.filter((pl.col("freq") == "1d") & pl.col("first_sight"))
    found = bars.group_by(SERIES).agg(
        n_bars=pl.len(),
        longest_gap_days=(pl.col("ts").diff().dt.total_seconds() / 86_400).max(),
        longest_stale_run=_longest_run(pl.col("price")),
        partial_null_fraction=pl.max_horizontal(*(_partial_nulls(name) for name in _PRICES)),
        zero_volume_fraction=(pl.col("volume") == 0).mean(),
        weekend_bars=(pl.col("ts").dt.offset_by("-1us").dt.weekday() > 5).mean(),
        volatility_ratio=_volatility_ratio(),
        median_price=pl.col("price").median(),
    )
    return (
        found.join(_expected_bars(bars), on=SERIES)
        .select(
            *SERIES,
            "n_bars",
            "longest_gap_days",
            "longest_stale_run",
            "partial_null_fraction",
            "zero_volume_fraction",
            "volatility_ratio",
            "median_price",
            session_coverage=pl.col("n_bars") / pl.col("n_expected"),
            weekend_fraction=pl.when(pl.col("weekend_bars") < 0.2)
            .then("weekend_bars")
            .otherwise(0.0),
        )
        .sort(SERIES)
    )


def fingerprints(bars: pl.DataFrame) -> pl.DataFrame:
    """One row per symbol that is long enough to be told from another by its returns.

    A symbol two datasets both offer is one row: the same prices under one name are no copy.
    """
    return (
        bars.group_by(SERIES)
        .agg(fingerprint=_fingerprint())
        .drop_nulls("fingerprint")
        .sort(SERIES)
        .unique(subset=["symbol", "fingerprint"], keep="first", maintain_order=True)
        .select(*SERIES, "fingerprint")
    )


def _expected_bars(bars: pl.DataFrame) -> pl.DataFrame:
    """Sessions of the dataset between the first and the last bar of each series."""
    sessions = bars.select("dataset", session="ts").unique()
    spans = bars.group_by(SERIES).agg(first=pl.col("ts").min(), last=pl.col("ts").max())
    return (
        spans.join(sessions, on="dataset")
        .filter(pl.col("session").is_between("first", "last"))
        .group_by(SERIES)
        .agg(n_expected=pl.len())
    )


def _iso(name: str) -> pl.Expr:
    return pl.col(name).dt.strftime("%Y-%m-%d %H:%M").alias(name)


def _partial_nulls(name: str) -> pl.Expr:
    share = pl.col(name).null_count() / pl.len()
    return pl.when(share < 1).then(share).otherwise(0.0)


def _longest_run(price: pl.Expr) -> pl.Expr:
    """Length of the longest run of equal values; missing values end a run."""
    changed = price.ne_missing(price.shift(1)) | price.is_null()
    return changed.cum_sum().unique_counts().max().cast(pl.Int64)


def _volatility_ratio() -> pl.Expr:
    """Mean absolute log return of the last bars over that of all earlier ones."""
    absolute = pl.col("price").log().diff().abs()
    recent, earlier = absolute.tail(_RECENT_BARS), absolute.head(pl.len() - _RECENT_BARS)
    return pl.when(pl.len() > 3 * _RECENT_BARS).then(recent.mean() / earlier.mean())


def _fingerprint() -> pl.Expr:
    """The last returns as text, rounded so that scaling a price does not hide a copy."""
    last = pl.col("price").log().diff().drop_nulls().tail(_FINGERPRINT_RETURNS).round(6)
    return pl.when(pl.col("price").count() > _FINGERPRINT_MINIMUM).then(
        last.cast(pl.String).str.join(",").hash(seed=0).cast(pl.String)
    )
