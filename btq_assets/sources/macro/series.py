"""When each macro series becomes known, in which unit, and whether it was revised.

Belongs here: the publication lags and the words REVISED, VINTAGE and FINAL. Does not belong here:
reading files.

Lags are chosen late rather than early. A value that a participant could have had sooner costs a
little freshness; a value that comes too soon is a leak.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Literal

import polars as pl

from btq_assets.contracts import raw
from btq_assets.sources.vintages import ASSUMED_LAG, RECORDED

#: Time of day at which an assumed release counts as known: 9:00 or 10:00 in New York, after the
#: 8:30 releases and before the close that decisions are made on.
KNOWN_TIME_UTC = time(14, 0)


Cadence = Literal["day", "week", "month", "quarter", "year"]
Revision = Literal["REVISED", "VINTAGE", "FINAL"]


@dataclass(frozen=True)
class SeriesSpec:
    """What a column of a macro file means.

    Parameters
    ----------
    series_id
        Name in the table.
    column
        Name in the file.
    unit
        Unit of the value.
    cadence
        ``day`` or ``week`` (``period`` is the day, or the day the week is dated by, taken as its
        first), ``month``, ``quarter`` or ``year`` (its first day).
    lag_days
        Days from the end of the period to the assumed release.
    revision
        ``REVISED``, ``VINTAGE`` or ``FINAL``, as the contract defines them.
    reason
        Where the lag comes from.
    """

    series_id: str
    column: str
    unit: str
    cadence: Cadence
    lag_days: int
    revision: Revision
    reason: str


_FRENCH = (
    "the data library posts a month's factors some weeks after its end; values are recomputed "
    "whenever CRSP is"
)

SAMPLE_SERIES: tuple[SeriesSpec, ...] = (
    SeriesSpec(
        raw.VIX_CLOSE, "vix", "index points", "day", 1, "FINAL",
        "the index settles at 16:15 New York time, after the stock close",
    ),
    SeriesSpec(
        raw.WTI_SPOT, "DCOILWTICO", "USD per barrel", "day", 7, "FINAL",
        "the EIA publishes a week's daily spot prices on the Wednesday after it",
    ),
    SeriesSpec(
        raw.MOODYS_AAA, "AAA", "percent per year", "month", 7, "REVISED",
        "a monthly mean of daily yields, out in the first days of the next month; not known to be "
        "revised, but only the last form exists",
    ),
    SeriesSpec(
        raw.MOODYS_BAA, "BAA", "percent per year", "month", 7, "REVISED",
        "as AAA",
    ),
    SeriesSpec(
        raw.CORE_CPI, "CPILFESL", "index 1982-84=100", "month", 31, "REVISED",
        "released in the middle of the next month, on the 30th in October 2013 (shutdown); seasonal "
        "factors are revised for five years back every February",
    ),
    SeriesSpec(raw.MARKET_EXCESS_RETURN, "Mkt-RF", "percent per month", "month", 60, "REVISED", _FRENCH),
    SeriesSpec(raw.SIZE_FACTOR, "SMB", "percent per month", "month", 60, "REVISED", _FRENCH),
    SeriesSpec(raw.VALUE_FACTOR, "HML", "percent per month", "month", 60, "REVISED", _FRENCH),
    SeriesSpec(raw.RISK_FREE_RATE, "RF", "percent per month", "month", 60, "REVISED", _FRENCH),
)  # fmt: skip

_QUARTERLY = ("GDPC1", "ULCNFB", "A261RX1Q020SBEA")

#: FRED names and units of the New York Fed nowcast panel, as of 2016.
NOWCAST_UNITS = {
    "PAYEMS": "thousand persons",
    "JTSJOL": "thousand openings",
    "CPIAUCSL": "index 1982-84=100",
    "DGORDER": "million USD",
    "HSN1F": "thousand units per year",
    "RSAFS": "million USD",
    "UNRATE": "percent",
    "HOUST": "thousand units per year",
    "INDPRO": "index 2012=100",
    "PPIFIS": "index 2009-11=100",
    "DSPIC96": "billion chained 2009 USD per year",
    "BOPTEXP": "million USD",
    "BOPTIMP": "million USD",
    "WHLSLRIMSA": "million USD",
    "TTLCONS": "million USD per year",
    "IR": "index 2000=100",
    "CPILFESL": "index 1982-84=100",
    "PCEPILFE": "index 2009=100",
    "PCEPI": "index 2009=100",
    "PERMIT": "thousand units per year",
    "TCU": "percent of capacity",
    "BUSINV": "million USD",
    "IQ": "index 2000=100",
    "GACDISA066MSFRBNY": "diffusion index",
    "PCEC96": "billion chained 2009 USD per year",
    "GACDFSA066MSFRBPHI": "diffusion index",
    "GDPC1": "billion chained 2009 USD per year",
    "ULCNFB": "index 2009=100",
    "A261RX1Q020SBEA": "billion chained 2009 USD per year",
}

#: The prefix keeps the panel's CPILFESL apart from the revised-only series of the same name.
NOWCAST_SERIES: tuple[SeriesSpec, ...] = tuple(
    SeriesSpec(
        raw.NOWCAST_PREFIX + name,
        name,
        unit,
        "quarter" if name in _QUARTERLY else "month",
        0,
        "VINTAGE",
        "recorded: the date of the vintage",
    )
    for name, unit in NOWCAST_UNITS.items()
)


def first_known(period: pl.Expr, spec: SeriesSpec) -> pl.Expr:
    """Assumed release of a period: its last day, plus the lag, at 14:00 UTC."""
    last_day = {
        "day": period,
        "week": period.dt.offset_by("6d"),
        "month": period.dt.offset_by("1mo").dt.offset_by("-1d"),
        "quarter": period.dt.offset_by("1q").dt.offset_by("-1d"),
        "year": period.dt.offset_by("1y").dt.offset_by("-1d"),
    }[spec.cadence]
    return (
        (last_day + pl.duration(days=spec.lag_days))
        .dt.combine(KNOWN_TIME_UTC)
        .dt.replace_time_zone("UTC")
        .dt.cast_time_unit("us")
    )


def end_of(day: datetime) -> datetime:
    """Last second of a UTC day: a vintage of unknown hour is not known before it."""
    return day.replace(tzinfo=UTC) + timedelta(days=1) - timedelta(seconds=1)


def with_known_at(values: pl.DataFrame, spec: SeriesSpec, *, dataset: str) -> pl.DataFrame:
    """Rows of the contract for a series whose release dates are assumed.

    Parameters
    ----------
    values
        ``period`` (date) and ``value``; missing values already left out.
    """
    return values.select(
        series_id=pl.lit(spec.series_id),
        period=pl.col("period"),
        known_at=first_known(pl.col("period"), spec),
        known_at_basis=pl.lit(ASSUMED_LAG),
        value=pl.col("value"),
        unit=pl.lit(spec.unit),
        revision=pl.lit(spec.revision),
        dataset=pl.lit(dataset),
    )


def with_vintage(
    values: pl.DataFrame, spec: SeriesSpec, vintage: datetime, *, dataset: str
) -> pl.DataFrame:
    """Rows of the contract for a series as one dated vintage gave it."""
    return values.select(
        series_id=pl.lit(spec.series_id),
        period=pl.col("period"),
        known_at=pl.lit(end_of(vintage)).dt.cast_time_unit("us"),
        known_at_basis=pl.lit(RECORDED),
        value=pl.col("value"),
        unit=pl.lit(spec.unit),
        revision=pl.lit(spec.revision),
        dataset=pl.lit(dataset),
    )
