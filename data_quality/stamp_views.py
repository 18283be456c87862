"""Views of a raw bars table: what its time stamps say, at any frequency, and intraday series.

Every view takes the frame `bar_views.latest_bars` made.

Belongs here: order, grids, delays, what comes and goes in a series. Does not belong here: prices
(`bar_views`), thresholds.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from data_quality import calendars
from data_quality.bar_views import SERIES

FREQUENCY_SECONDS = {"1m": 60, "5m": 300, "15m": 900, "1h": 3_600, "1d": 86_400}

_VALUES = ("open", "high", "low", "close", "adj_close", "volume")

#: Bars at the end of a series in which a column must not vanish, and the fewest before them.
_LAST_BARS = 20

_WEEKEND_MARKET = 0.2


def stamps(bars: pl.DataFrame) -> pl.DataFrame:
    """One row per series: order of arrival, grid, delays, and what is not what it was.

    ``out_of_order`` counts the steps against the prevailing direction: sources give the oldest
    first, or the newest. ``off_grid_fraction`` is the share of intraday bars that end elsewhere in
    their interval than most do. ``late_fraction`` is the share of bars that became known after a
    later bar of the series; ``known_lag_hours`` the longest delay of a bar whose delay is assumed.
    ``columns_vanished`` counts columns that were there throughout and are missing in the last twenty
    bars or more. The stamps of a re-fetch that only corrects say nothing of order or delay.
    """
    seconds = pl.col("freq").replace_strict(FREQUENCY_SECONDS, return_dtype=pl.Int64)
    step = pl.col("ts").filter("fresh").sort_by(pl.col("arrival").filter("fresh")).diff()
    phase = pl.col("ts").dt.epoch("s") % seconds
    first_known_later = pl.col("known_at").reverse().cum_min().reverse().shift(-1)
    vanished = [_vanished(name) for name in _VALUES]
    return (
        bars.sort(*SERIES, "ts")
        .with_columns(phase=phase, known_later=first_known_later.over(SERIES))
        .group_by(SERIES)
        .agg(
            n_bars=pl.len(),
            out_of_order=pl.min_horizontal(
                (step > pl.duration()).sum(), (step < pl.duration()).sum()
            ).cast(pl.Int64),
            off_grid_fraction=(pl.col("phase") != pl.col("phase").mode().min()).mean(),
            late_fraction=(
                pl.col("first_sight").not_() & (pl.col("known_at") > pl.col("known_later"))
            ).mean(),
            known_lag_hours=pl.when(pl.col("fresh") & (pl.col("known_at_basis") == "assumed_lag"))
            .then((pl.col("known_at") - pl.col("ts")).dt.total_seconds() / 3_600)
            .max(),
            n_currencies=pl.col("currency").filter("fresh").n_unique().cast(pl.Int64),
            n_currencies_ever=pl.col("currency").n_unique().cast(pl.Int64),
            columns_vanished=pl.sum_horizontal(vanished).cast(pl.Int64),
        )
        .with_columns(
            off_grid_fraction=pl.when(pl.col("freq") != "1d").then("off_grid_fraction"),
        )
        .sort(SERIES)
    )


def intraday_view(calendar: str | None) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Make the view `intraday` for a calendar."""
    return lambda bars: intraday(bars, calendar)


def intraday(bars: pl.DataFrame, calendar: str | None = None) -> pl.DataFrame:
    """One row per intraday series: how much of its grid is there, holes, stale runs, volume.

    The grid is that of the calendar's opening hours where one is given, every interval for a market
    that trades at weekends, and elsewhere the stamps any series of the dataset has.
    ``longest_hole_bars`` counts missing bars between two of the same session.
    """
    bars = bars.filter((pl.col("freq") != "1d") & pl.col("first_sight")).with_columns(
        session=pl.col("ts").dt.offset_by("-1us").dt.date(),
        seconds=pl.col("freq").replace_strict(FREQUENCY_SECONDS, return_dtype=pl.Int64),
    )
    step = pl.col("ts").diff().dt.total_seconds() / pl.col("seconds") - 1
    same = pl.col("session") == pl.col("session").shift(1)
    everyday = (pl.col("session").dt.weekday() > 5).mean() >= _WEEKEND_MARKET
    changed = pl.col("price").ne_missing(pl.col("price").shift(1))
    found = bars.group_by(SERIES).agg(
        n_bars=pl.len(),
        first=pl.col("ts").min(),
        last=pl.col("ts").max(),
        seconds=pl.col("seconds").first(),
        everyday=everyday,
        longest_hole_bars=pl.when(everyday)
        .then(step.max())
        .otherwise(step.filter(same).max())
        .fill_null(0.0),
        longest_stale_bars=changed.cum_sum().unique_counts().max().cast(pl.Int64),
        zero_volume_fraction=(pl.col("volume") == 0).mean(),
    )
    grid = _grid(bars, found, calendar)
    return (
        found.join(grid, on=SERIES)
        .select(
            *SERIES,
            "n_bars",
            "longest_hole_bars",
            "longest_stale_bars",
            "zero_volume_fraction",
            grid_coverage=pl.col("n_bars") / pl.col("n_expected"),
        )
        .sort(SERIES)
    )


def _grid(bars: pl.DataFrame, found: pl.DataFrame, calendar: str | None) -> pl.DataFrame:
    every = found.filter("everyday").select(
        *SERIES,
        n_expected=(
            (pl.col("last") - pl.col("first")).dt.total_seconds() / pl.col("seconds") + 1
        ).cast(pl.Float64),
    )
    rest = found.filter(~pl.col("everyday"))
    if calendar is None or rest.is_empty():
        known = bars.select("dataset", "freq", "ts").unique()
        n_expected = pl.len().cast(pl.Float64)
        others = (
            rest.select(*SERIES, "first", "last")
            .join(known, on=["dataset", "freq"])
            .filter(pl.col("ts").is_between("first", "last"))
            .group_by(SERIES)
            .agg(n_expected=n_expected)
        )
    else:
        hours = calendars.sessions(calendar, bars["session"].min(), bars["session"].max())  # type: ignore[arg-type]
        start = pl.max_horizontal("opens_at", pl.col("first") - pl.duration(seconds="seconds"))
        end = pl.min_horizontal("closes_at", "last")
        open_bars = ((end - start).dt.total_seconds() / pl.col("seconds")).ceil()
        others = (
            rest.join(hours, how="cross")
            .filter(end > start)
            .group_by(SERIES)
            .agg(n_expected=open_bars.sum().cast(pl.Float64))
        )
    return pl.concat([every, others.select(*SERIES, "n_expected")])


def _vanished(name: str) -> pl.Expr:
    """1 where all missing values of a column are at the end, twenty at least, and more before."""
    at_the_end = pl.col(name).is_null().cast(pl.Int64).reverse().cum_min().sum()
    gone = (at_the_end >= _LAST_BARS) & (pl.col(name).null_count() == at_the_end)
    return (gone & (pl.col(name).count() > _LAST_BARS)).cast(pl.Int64)
