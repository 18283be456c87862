"""Views of a raw bars table: one row per return, per range, or per series.

Every view takes the frame `latest_bars` made.

Belongs here: statistics of prices as the source gave them. Does not belong here: thresholds.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import polars as pl

from data_quality import calendars
from data_quality.declarations import with_fresh

SERIES = ("dataset", "symbol", "freq")

_PRICES = ("open", "high", "low", "close", "adj_close", "volume")

#: Bars further apart are not neighbours.
_NEIGHBOURS = timedelta(days=10)

#: Series of a dataset below which their median says nothing.
_CROSS_SECTION = 5
#: A usual move is never taken as smaller than this: prices have a grain.
_LEAST_MOVE = 5e-4
#: The median size of a normal move times this is its standard deviation.
_MEDIAN_TO_SIGMA = 1.4826

#: Returns that identify a series, and the fewest it must have to be compared at all.
_FINGERPRINT_RETURNS = 250
_FINGERPRINT_MINIMUM = 60
#: Different returns it must have: prices that do not move are not copies of each other.
_FINGERPRINT_DISTINCT = 30

#: Share of bars on weekends from which on a market is one that trades every day.
_WEEKEND_MARKET = 0.2

#: Bars whose volume is compared with the rest of the year.
_RECENT_VOLUMES = 60

#: Bars of the recent stretch that volatility is compared with.
_RECENT_BARS = 252


def latest_bars(frame: pl.DataFrame) -> pl.DataFrame:
    """Prepare the rows every view here reads: each bar once, in its latest vintage, in time order.

    ``price`` is what returns are computed from; ``first_sight`` is false for a bar of which only a
    later, recorded vintage is at hand: a re-fetch appends nothing else, and says little of gaps.
    ``arrival`` is the place of the row among those that came; ``series`` numbers the series.
    """
    ordered = with_fresh(frame).with_row_index("arrival").sort(*SERIES, "ts", "known_at")
    series, bar = _starts(*SERIES), _starts(*SERIES, "ts")
    return (
        ordered.with_columns(series=series.cum_sum(), bar=bar.cum_sum())
        .with_columns(first_sight=(pl.col("known_at_basis") == "assumed_lag").any().over("bar"))
        .filter(pl.col("bar").ne_missing(pl.col("bar").shift(-1)))
        .with_columns(price=pl.coalesce("adj_close", "close"))
        .drop("bar")
    )


def _starts(*names: str) -> pl.Expr:
    """Where one of the columns changes, in rows sorted by them: much faster than to group by text."""
    return pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift(1)) for name in names)


def returns(bars: pl.DataFrame) -> pl.DataFrame:
    """One row per new bar, or neighbour of one: log return over the previous bar, and its spike.

    The return is missing where the previous bar is more than ten days old, for then it says
    nothing; ``return_of_new`` also where one of both bars was stored before, for those two may be
    adjusted as of different days. ``spike_in_sigmas`` is the smaller of the moves into and out of a
    bar that comes back, over what is usual for the series and over what was usual in the 21 bars before. Both the move
    and its excess over the median of the dataset count, the smaller one: neither a crash of all
    nor a pegged price among moving ones is a spike.
    """
    at = ("dataset", "freq", "ts")
    found = bars.with_columns(
        log_return=pl.when(pl.col("ts").diff().over("series") <= _NEIGHBOURS).then(
            pl.col("price").log().diff().over("series")
        )
    )
    crowd = pl.when(pl.col("log_return").count().over(at) >= _CROSS_SECTION).then(
        pl.col("log_return").median().over(at)
    )
    size = pl.col("log_return").abs()
    usual = pl.max_horizontal(
        size.median().over("series"),
        size.shift(1).rolling_median(21, min_samples=5).over("series").fill_null(0.0),
        pl.lit(_LEAST_MOVE),
    )
    after = pl.col("fresh").shift(1, fill_value=False).over("series")
    before = pl.col("fresh").shift(-1, fill_value=False).over("series")
    return (
        found.with_columns(excess=pl.col("log_return") - crowd.fill_null(0.0), usual=usual)
        .with_columns(
            move=pl.when(pl.col("excess") * pl.col("log_return") > 0)
            .then(pl.min_horizontal(size, pl.col("excess").abs()) * pl.col("log_return").sign())
            .otherwise(0.0)
        )
        .with_columns(back=pl.col("move").shift(-1).over("series"), after=after, before=before)
        # A bar is seen to be a spike when the next one has come.
        .filter(pl.col("fresh") | pl.col("after") | pl.col("before"))
        .select(
            *SERIES,
            _iso("ts"),
            log_return=pl.when(pl.col("fresh") | pl.col("after")).then("log_return"),
            return_of_new=pl.when(pl.col("fresh") & pl.col("after")).then("log_return"),
            spike_in_sigmas=pl.when(pl.col("move") * pl.col("back") < 0)
            .then(
                pl.min_horizontal(pl.col("move").abs(), pl.col("back").abs())
                / (pl.col("usual") * _MEDIAN_TO_SIGMA)
            )
            .otherwise(0.0),
        )
    )


def ranges(bars: pl.DataFrame) -> pl.DataFrame:
    """One row per bar with a high and low, or with both closes: width and adjustment factor."""
    return bars.filter(pl.col("fresh") & pl.col("close").is_not_null()).select(
        *SERIES,
        _iso("ts"),
        log_range=(pl.col("high") / pl.col("low")).log(),
        adjustment_factor=pl.col("adj_close") / pl.col("close"),
    )


def series_view(calendar: str | None) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Make the view `series` for a calendar; ``None`` takes the sessions of the dataset."""
    return lambda bars: series(bars, calendar)


def series(bars: pl.DataFrame, calendar: str | None = None) -> pl.DataFrame:
    """One row per daily series: gaps, stale runs, missing values, weekends.

    ``session_coverage`` is the share of the sessions between first and last bar that have one: of
    the exchange calendar where one is given, of every day for a market that trades at weekends, of
    the dataset's own sessions elsewhere.

    ``partial_null_fraction`` is the largest share of missing values among the columns that are
    not missing throughout: a close-only series has none. ``weekend_fraction`` is zero for a market
    that really trades at weekends, where at least a fifth of all bars fall on them.
    """
    bars = bars.filter((pl.col("freq") == "1d") & pl.col("first_sight")).with_columns(
        session=pl.col("ts").dt.offset_by("-1us").dt.date()
    )
    found = bars.group_by(SERIES).agg(
        n_bars=pl.len(),
        longest_gap_days=(pl.col("ts").diff().dt.total_seconds() / 86_400).max(),
        longest_stale_run=_longest_run(pl.col("price")),
        partial_null_fraction=pl.max_horizontal(*(_partial_nulls(name) for name in _PRICES)),
        zero_volume_fraction=(pl.col("volume") == 0).mean(),
        weekend_bars=(pl.col("ts").dt.offset_by("-1us").dt.weekday() > 5).mean(),
        volatility_ratio=_volatility_ratio(),
        volume_ratio=_volume_ratio(),
        median_price=pl.col("price").median(),
    )
    return (
        found.join(_expected_bars(bars, calendar), on=SERIES)
        .select(
            *SERIES,
            "n_bars",
            "longest_gap_days",
            "longest_stale_run",
            "partial_null_fraction",
            "zero_volume_fraction",
            "volatility_ratio",
            "volume_ratio",
            "median_price",
            session_coverage=pl.col("n_bars") / pl.col("n_expected"),
            weekend_fraction=pl.when(pl.col("weekend_bars") < _WEEKEND_MARKET)
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


def _expected_bars(bars: pl.DataFrame, calendar: str | None) -> pl.DataFrame:
    """Sessions between the first and the last bar of each series."""
    spans = bars.group_by(SERIES).agg(
        first=pl.col("session").min(),
        last=pl.col("session").max(),
        everyday=(pl.col("session").dt.weekday() > 5).mean() >= _WEEKEND_MARKET,
    )
    every_day = spans.filter("everyday").select(
        *SERIES, n_expected=((pl.col("last") - pl.col("first")).dt.total_days() + 1).cast(pl.UInt32)
    )
    spans = spans.filter(~pl.col("everyday"))
    if calendar is None or bars.is_empty():
        sessions = bars.select("dataset", "session").unique()
    else:
        first, last = bars["session"].min(), bars["session"].max()
        listed = calendars.sessions(calendar, first, last)  # type: ignore[arg-type]
        sessions = listed.select("session").join(bars.select("dataset").unique(), how="cross")
        # What the calendar does not reach is held to the dataset's own sessions.
        known = calendars.known(calendar, first, last)  # type: ignore[arg-type]
        beyond = bars.filter(~pl.col("session").is_between(*known)).select("session", "dataset")
        sessions = pl.concat([sessions, beyond.unique()])
    found = (
        spans.join(sessions, on="dataset")
        .filter(pl.col("session").is_between("first", "last"))
        .group_by(SERIES)
        .agg(n_expected=pl.len())
    )
    return pl.concat([found, every_day])


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


def _volume_ratio() -> pl.Expr:
    """Median volume of the last 60 bars over that of the year before them."""
    volume = pl.col("volume")
    recent, earlier = volume.tail(_RECENT_VOLUMES), volume.slice(-_RECENT_BARS, 192)
    return pl.when((pl.len() > _RECENT_BARS) & (earlier.median() > 0)).then(
        recent.median() / earlier.median()
    )


def _fingerprint() -> pl.Expr:
    """The last returns as text, rounded so that scaling a price does not hide a copy."""
    last = pl.col("price").log().diff().drop_nulls().tail(_FINGERPRINT_RETURNS).round(6)
    enough = pl.col("price").count() > _FINGERPRINT_MINIMUM
    return pl.when(enough & (last.n_unique() > _FINGERPRINT_DISTINCT)).then(
        last.cast(pl.String).str.join(",").hash(seed=0).cast(pl.String)
    )
