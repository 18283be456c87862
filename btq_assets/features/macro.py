"""Macro family: market-wide values exactly as they were known at each session.

Belongs here: levels and changes read from vintages. Does not belong here: fetching series
(`sources`), and any filling: a value older than its series' stale limit is null.

A change compares two periods of the same vintage, both as known at the time: after a revision the
earlier period is the revised one. ``current`` in the formulas is the newest period known.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import polars as pl

from btq_assets.config import FeaturesSection, TradingConfig
from btq_assets.contracts import raw
from btq_assets.features.definitions import Feature, undefined_to_null
from btq_assets.timeline import add_months, asof_join

#: Days after which a value no longer counts: a week of holidays for a daily series, one release
#: missed for a monthly one.
STALE_DAILY = timedelta(days=7)
STALE_MONTHLY = timedelta(days=62)

_KEY = ("universe", "ts")


@dataclass
class _History:
    """One series as known at some instant: period → newest value, and when the period first came."""

    values: dict[date, float] = field(default_factory=dict)
    periods: list[date] = field(default_factory=list)
    first_known: dict[date, datetime] = field(default_factory=dict)

    def update(self, period: date, value: float, known_at: datetime) -> None:
        if period not in self.values:
            bisect.insort(self.periods, period)
            self.first_known[period] = known_at
        self.values[period] = value


Reader = Callable[[list[_History]], tuple[float, date] | None]


@dataclass(frozen=True)
class Reading:
    """How one feature is read from the histories of its series.

    Parameters
    ----------
    name
        Feature.
    series
        Series identifiers, in the provider's spelling.
    stale_after
        Age of the newest period's first release beyond which the value is null.
    read
        Value and period it describes, or ``None`` where undefined.
    """

    name: str
    series: tuple[str, ...]
    stale_after: timedelta
    read: Reader


def _level(histories: list[_History]) -> tuple[float, date] | None:
    (series,) = histories
    return (series.values[series.periods[-1]], series.periods[-1]) if series.periods else None


def _observations(
    count: int, longest: timedelta, change: Callable[[float, float], float | None]
) -> Reader:
    """Change over `count` observations, if they span no more than `longest`."""

    def read(histories: list[_History]) -> tuple[float, date] | None:
        (series,) = histories
        if len(series.periods) <= count:
            return None
        now, before = series.periods[-1], series.periods[-1 - count]
        value = change(series.values[now], series.values[before])
        return None if value is None or now - before > longest else (value, now)

    return read


def _months(count: int, change: Callable[[float, float], float | None]) -> Reader:
    """Change over `count` calendar months of one series, or of the difference of two."""

    def read(histories: list[_History]) -> tuple[float, date] | None:
        now = _newest_common(histories)
        if now is None:
            return None
        before = add_months(now, -count)
        if any(before not in series.values for series in histories):
            return None
        value = change(_combined(histories, now), _combined(histories, before))
        return None if value is None else (value, now)

    return read


def _spread(histories: list[_History]) -> tuple[float, date] | None:
    now = _newest_common(histories)
    return None if now is None else (_combined(histories, now), now)


def _newest_common(histories: list[_History]) -> date | None:
    first, *others = histories
    for period in reversed(first.periods):
        if all(period in series.values for series in others):
            return period
    return None


def _combined(histories: list[_History], period: date) -> float:
    first, *others = (series.values[period] for series in histories)
    return first - sum(others)


def _difference(now: float, before: float) -> float | None:
    return now - before


def _log_change(now: float, before: float) -> float | None:
    return math.log(now / before) if now > 0 and before > 0 else None


READINGS: tuple[Reading, ...] = (
    Reading("vix_level", (raw.VIX_CLOSE,), STALE_DAILY, _level),
    Reading(
        "vix_change_21d",
        (raw.VIX_CLOSE,),
        STALE_DAILY,
        _observations(21, timedelta(days=45), _difference),
    ),
    Reading("credit_spread_baa_aaa", (raw.MOODYS_BAA, raw.MOODYS_AAA), STALE_MONTHLY, _spread),
    Reading(
        "credit_spread_change_3m",
        (raw.MOODYS_BAA, raw.MOODYS_AAA),
        STALE_MONTHLY,
        _months(3, _difference),
    ),
    Reading(
        "wti_return_63d",
        (raw.WTI_SPOT,),
        STALE_DAILY,
        _observations(63, timedelta(days=120), _log_change),
    ),
    Reading("core_cpi_yoy", (raw.CORE_CPI,), STALE_MONTHLY, _months(12, _log_change)),
    Reading(
        "industrial_production_yoy",
        (raw.NOWCAST_PREFIX + "INDPRO",),
        STALE_MONTHLY,
        _months(12, _log_change),
    ),
    Reading(
        "payrolls_yoy", (raw.NOWCAST_PREFIX + "PAYEMS",), STALE_MONTHLY, _months(12, _log_change)
    ),
    Reading(
        "unemployment_change_12m",
        (raw.NOWCAST_PREFIX + "UNRATE",),
        STALE_MONTHLY,
        _months(12, _difference),
    ),
)

_WORDS: dict[str, tuple[str, str, int]] = {
    "vix_level": ("current VIXCLS", "percent per year", 0),
    "vix_change_21d": ("current VIXCLS - 21 observations before", "percentage points", 21),
    "credit_spread_baa_aaa": ("BAA - AAA of the newest common month", "percentage points", 0),
    "credit_spread_change_3m": ("credit_spread_baa_aaa - 3 months before", "percentage points", 63),
    "wti_return_63d": ("ln(current DCOILWTICO / 63 observations before)", "log change", 63),
    "core_cpi_yoy": ("ln(current CPILFESL / 12 months before)", "log change", 252),
    "industrial_production_yoy": ("ln(current INDPRO / 12 months before)", "log change", 252),
    "payrolls_yoy": ("ln(current PAYEMS / 12 months before)", "log change", 252),
    "unemployment_change_12m": ("current UNRATE - 12 months before", "percentage points", 252),
}

FEATURES: tuple[Feature, ...] = tuple(
    Feature(
        reading.name,
        "macro",
        f"{_WORDS[reading.name][0]}; null {reading.stale_after.days} days after its release",
        "own definition",
        _WORDS[reading.name][1],
        _WORDS[reading.name][2],
        reading.series,
    )
    for reading in READINGS
)


def compute(
    bars: pl.DataFrame, vintages: pl.DataFrame, features: FeaturesSection | None = None
) -> pl.DataFrame:
    """Compute the macro family.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`; only their sessions are read.
    vintages
        Rows of `core.macro_vintages`: every vintage of every series. A series that is absent
        leaves its features null.
    features
        Configuration: the switch. Switched off, all values are null.

    Returns
    -------
    polars.DataFrame
        Rows of ``features.macro``: one per universe and session.
    """
    features = features or FeaturesSection()
    if not features.alternative_data.macro_indicators:
        vintages = vintages.clear()
    frame = bars.select(_KEY).unique().sort(_KEY)
    for reading in READINGS:
        joined = asof_join(frame.select(_KEY), readings(vintages, reading))
        fresh = pl.col("ts") - pl.col("released_at") <= reading.stale_after
        frame = frame.with_columns(
            joined.select(pl.when(fresh).then(pl.col("value")).alias(reading.name)).to_series()
        )
    return undefined_to_null(frame)


def readings(vintages: pl.DataFrame, reading: Reading) -> pl.DataFrame:
    """Every value a feature ever had, with the instant it became known.

    Parameters
    ----------
    vintages
        Rows of `core.macro_vintages`.
    reading
        The feature.

    Returns
    -------
    polars.DataFrame
        ``known_at``, ``value`` (null where undefined) and ``released_at``, when the period it
        describes first became known: a revision of the past does not make a value fresh.
    """
    rows = vintages.filter(
        pl.col("series_id").is_in(reading.series), pl.col("value").is_finite()
    ).sort("known_at", "period", "series_id")
    return pl.DataFrame(
        list(_replay(rows, reading)),
        schema={
            "known_at": pl.Datetime("us", "UTC"),
            "value": pl.Float64,
            "released_at": pl.Datetime("us", "UTC"),
        },
        orient="row",
    )


def _replay(
    rows: pl.DataFrame, reading: Reading
) -> Iterator[tuple[datetime, float | None, datetime | None]]:
    histories = {name: _History() for name in reading.series}
    ordered = list(histories.values())
    columns = rows.select("known_at", "series_id", "period", "value")
    for known_at, group in itertools.groupby(columns.iter_rows(), key=lambda row: row[0]):
        for _, series_id, period, value in group:
            histories[series_id].update(period, value, known_at)
        found = reading.read(ordered)
        if found is None:
            yield known_at, None, None
        else:
            value, period = found
            yield known_at, value, max(series.first_known[period] for series in ordered)


def features_of(config: TradingConfig) -> tuple[Feature, ...]:
    """Definitions for the windows of `config`."""
    return FEATURES


def compute_from(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    """Compute the family from its tables; see `compute`."""
    return compute(inputs["bars"], inputs["vintages"], config.features)
