"""Dark pool family: off-exchange trading of a symbol, by the time it was published.

Belongs here: shares of volume and their standing among earlier ones. Does not belong here:
fetching reports, and any guess at weeks that are not published.

Reports are restated: a window holds every week and session in the form known at the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import numpy as np
import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.features.as_known import (
    Measure,
    Window,
    as_known,
    change,
    newest,
    z_score,
)
from btq_assets.features.definitions import KEY, SYMBOL, Feature, prepare, undefined_to_null
from btq_assets.timeline import asof_join

#: Reports come weekly and daily; so long after the newest one the next was missed for good.
STALE_ATS = timedelta(days=21)
STALE_SHORT = timedelta(days=7)
_WEEKS, _SESSIONS = 26, 63

_ATS: dict[str, Measure] = {
    "ats_volume_share": newest,
    "ats_volume_share_change_4w": change(4, 28),
    "ats_volume_share_z_26w": z_score(_WEEKS, 7 * (_WEEKS + 4)),
}


def _mean(count: int, longest_days: int) -> Measure:
    def measure(window: Window) -> float:
        if window.days.size < count or window.days[-1] - window.days[-count] > longest_days:
            return float("nan")
        return float(np.mean(window.values[-count:]))

    return measure


_SHORT: dict[str, Measure] = {
    "short_volume_share": newest,
    "short_volume_share_5d": _mean(5, 14),
    "short_volume_share_change_5d": change(5, 14),
    "short_volume_share_z_63": z_score(_SESSIONS, 2 * _SESSIONS),
}


def compute(
    bars: pl.DataFrame, dark_pool: pl.DataFrame, short_volume: pl.DataFrame
) -> pl.DataFrame:
    """Compute the dark pool family.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`: sessions, and the volume a week's shares are held against.
    dark_pool, short_volume
        Rows of `core.dark_pool` and `core.short_volume`. Their ``superseded_at`` is of the future
        and is not read. Of several sources of a symbol the one that reported last is read.

    Returns
    -------
    polars.DataFrame
        Rows of ``features.dark_pool``: one per bar from the first report of a symbol on.
    """
    prepared = prepare(bars)
    symbols = bars.select("symbol").unique()
    weeks = weekly_totals(dark_pool.join(symbols, on="symbol", how="semi"))
    sold = short_volume.join(symbols, on="symbol", how="semi")
    of_source = ["source", "symbol"]
    share = as_known(
        _shares_of_volume(weeks, prepared), _ATS,
        by=["source", *SYMBOL], length=_WEEKS, period="week",
    )  # fmt: skip
    trade = as_known(
        weeks, {"ats_trade_shares": newest},
        by=of_source, length=1, period="week", value="trade_shares",
    )  # fmt: skip
    published = as_known(weeks, {}, by=of_source, length=1, period="week", value="shares")
    short = as_known(
        sold, _SHORT, by=of_source, length=_SESSIONS, period="session", value="short_share"
    )
    frame = prepared.join(_reported(dark_pool, short_volume), on="symbol", how="semi").select(KEY)
    tables: tuple[tuple[pl.DataFrame, tuple[str, ...], tuple[str, ...], str, timedelta], ...] = (
        (share, SYMBOL, tuple(_ATS), "", STALE_ATS),
        (trade, ("symbol",), ("ats_trade_shares",), "", STALE_ATS),
        (published, ("symbol",), (), "ats_age_days", STALE_ATS),
        (short, ("symbol",), tuple(_SHORT), "short_volume_age_days", STALE_SHORT),
    )
    columns = []
    for table, by, names, age_name, stale in tables:
        joined = asof_join(frame, table, by=by)
        age = pl.col("ts") - pl.col("released_at")
        wanted = [pl.when(age <= stale).then(pl.col(name)).alias(name) for name in names]
        if age_name:
            wanted.append((age.dt.total_seconds() / 86_400).alias(age_name))
        columns += joined.select(wanted).get_columns()
    known = pl.col("ats_age_days").is_not_null() | pl.col("short_volume_age_days").is_not_null()
    return undefined_to_null(frame.with_columns(columns)).filter(known).select(*KEY, *_NAMES)


def weekly_totals(dark_pool: pl.DataFrame) -> pl.DataFrame:
    """Shares of all venues in a symbol's week, at each instant at which one of them was published.

    Returns
    -------
    polars.DataFrame
        ``source``, ``symbol``, ``week``, ``known_at``, ``shares`` (the newest vintage of every venue known by
        then, added up) and ``trade_shares`` (shares per trade; null where a venue gives no trades).
    """
    venue = ["source", "symbol", "week", "venue"]
    week = ["source", "symbol", "week"]
    trades = pl.col("trades")
    return (
        dark_pool.sort(*venue, "known_at")
        .with_columns(
            # What a row adds to the week's total: itself less the vintage it replaces. Counts of
            # shares are whole numbers, so that sums of them are exact.
            _shares=pl.col("shares") - pl.col("shares").shift(1).over(venue).fill_null(0.0),
            _trades=trades.fill_null(0.0) - trades.fill_null(0.0).shift(1).over(venue).fill_null(0),
            _silent=trades.is_null().cast(pl.Int64)
            - trades.is_null().cast(pl.Int64).shift(1).over(venue).fill_null(0),
        )
        .group_by(*week, "known_at")
        .agg(pl.col("_shares", "_trades", "_silent").sum())
        .sort(*week, "known_at")
        .with_columns(pl.col("_shares", "_trades", "_silent").cum_sum().over(week))
        .select(
            *week,
            "known_at",
            shares="_shares",
            trade_shares=pl.when((pl.col("_silent") == 0) & (pl.col("_trades") > 0)).then(
                pl.col("_shares") / pl.col("_trades")
            ),
        )
    )


def _shares_of_volume(weeks: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """Each total over the volume of the symbol's own bars in its week, by universe.

    A week in which the symbol lacks a bar of its universe, or its volume, has no share.
    """
    monday = pl.col("session").dt.truncate("1w")
    sessions = (
        bars.select("universe", "session", week=monday)
        .unique()
        .group_by("universe", "week")
        .agg(_sessions=pl.len())
    )
    traded = (
        bars.group_by(*SYMBOL, week=monday)
        .agg(
            _volume=pl.col("volume").sum(),
            _bars=pl.col("volume").is_not_null().sum(),
            _end=pl.col("ts").max(),
        )
        .join(sessions, on=["universe", "week"])
        .filter((pl.col("_bars") == pl.col("_sessions")) & (pl.col("_volume") > 0))
    )
    # A report before the week's last bar (a source that is early) waits for it.
    return weeks.join(traded, on=["symbol", "week"]).select(
        "source",
        *SYMBOL,
        "week",
        pl.max_horizontal("known_at", "_end").alias("known_at"),
        value=pl.col("shares") / pl.col("_volume"),
    )


def _reported(*tables: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([table.select("symbol") for table in tables]).unique()


_VENUES = ("dark_pool.shares", "dark_pool.known_at", "volume")
_SOLD = ("short_volume.short_share", "short_volume.known_at")
_OWN = "own definition"

FEATURES: tuple[Feature, ...] = tuple(
    Feature(name, "dark_pool", formula, _OWN, unit, lookback, needs)
    for name, formula, unit, lookback, needs in (
        ("ats_volume_share", "a = shares of all venues / volume of the symbol's bars, newest week published; null 21 days after its publication, or where the week lacks a bar", "share", 0, _VENUES),
        ("ats_volume_share_change_4w", "a - that of 4 weeks before, as known now", "share", 20, _VENUES),
        ("ats_volume_share_z_26w", "(a - mean26(a)) / std26(a) of the newest 26 weeks, as known now", "standard deviations", 125, _VENUES),
        ("ats_trade_shares", "shares / trades of all venues, newest week published", "shares", 0, ("dark_pool.shares", "dark_pool.trades")),
        ("ats_age_days", "ts - first publication of the newest week", "days", 0, ("dark_pool.known_at",)),
        ("short_volume_share", "b = short / total volume reported to FINRA, newest session published; null 7 days after", "share", 0, _SOLD),
        ("short_volume_share_5d", "mean of b over the newest 5 sessions published, as known now", "share", 4, _SOLD),
        ("short_volume_share_change_5d", "b - that of 5 sessions before, as known now", "share", 5, _SOLD),
        ("short_volume_share_z_63", "(b - mean63(b)) / std63(b) of the newest 63 sessions, as known now", "standard deviations", 62, _SOLD),
        ("short_volume_age_days", "ts - first publication of the newest session", "days", 0, ("short_volume.known_at",)),
    )
)  # fmt: skip
_NAMES = tuple(feature.name for feature in FEATURES)


def features_of(config: TradingConfig) -> tuple[Feature, ...]:
    """Definitions; no window is configurable."""
    return FEATURES


def compute_from(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    """Compute the family from its tables; see `compute`."""
    return compute(inputs["bars"], inputs["dark_pool"], inputs["short_volume"])
