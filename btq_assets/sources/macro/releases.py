"""When series of remote providers become known: a table of lags, and late defaults for the rest.

Belongs here: what is known about single series, and the rule for those nobody described. Does not
belong here: asking providers, and the packaged series (`series.py`).

A lag runs from the last day of the period to the release at 14:00 UTC, and is the longest delay
known, rounded up. That includes the closures of the US government of October 2013 and of October
and November 2025, which held some releases back by two months. Where real-time vintages exist they
are the better answer: see the provider ``alfred``.
"""

from __future__ import annotations

import polars as pl

from btq_assets.sources.macro.series import SAMPLE_SERIES, Cadence, Revision, SeriesSpec

_H15 = (
    "H.15 appears on the next business day; a Friday before a holiday is out on Tuesday, four days "
    "later; a market rate is not revised"
)

#: Beside the packaged series. Units as FRED states them.
_DESCRIBED: tuple[SeriesSpec, ...] = (
    *(
        SeriesSpec(name, name, "percent per year", "day", 5, "FINAL", _H15)
        for name in (
            "DGS1MO", "DGS3MO", "DGS6MO", "DGS1", "DGS2", "DGS3", "DGS5", "DGS7", "DGS10", "DGS20",
            "DGS30", "DFII10", "T10YIE", "T10Y2Y", "T10Y3M", "DFF", "DTB3", "BAMLH0A0HYM2",
        )
    ),
    SeriesSpec(
        "CPIAUCSL", "CPIAUCSL", "index 1982-84=100", "month", 31, "REVISED",
        "as CPILFESL: the middle of the next month, on the 30th in October 2013",
    ),
    SeriesSpec(
        "PAYEMS", "PAYEMS", "thousand persons", "month", 52, "REVISED",
        "first Friday of the next month; September 2025 came 51 days late",
    ),
    SeriesSpec(
        "UNRATE", "UNRATE", "percent", "month", 52, "REVISED",
        "with PAYEMS; seasonal factors are revised for five years back every January",
    ),
    SeriesSpec(
        "INDPRO", "INDPRO", "index 2017=100", "month", 65, "REVISED",
        "the middle of the next month; September 2025 came in the first days of December",
    ),
    SeriesSpec(
        "FEDFUNDS", "FEDFUNDS", "percent per year", "month", 7, "FINAL",
        "a monthly mean of daily rates, out in the first days of the next month",
    ),
    SeriesSpec(
        "GDPC1", "GDPC1", "billion chained USD per year", "quarter", 90, "REVISED",
        "about 30 days; the third quarter of 2025 came after 84",
    ),
    SeriesSpec(
        "ICSA", "ICSA", "claims", "week", 60, "REVISED",
        "five days; weeks of September 2025 came after 54",
    ),
)  # fmt: skip

DESCRIBED: dict[str, SeriesSpec] = {spec.series_id: spec for spec in (*SAMPLE_SERIES, *_DESCRIBED)}

#: Days for a series nobody described, by the distance of its periods; chosen later than the release
#: of any regular statistic of that distance known here.
DEFAULT_LAG_DAYS: dict[Cadence, int] = {
    "day": 7,
    "week": 60,
    "month": 75,
    "quarter": 125,
    "year": 366,
}

#: Unit of a series whose provider does not say.
UNSTATED_UNIT = "as published"

#: Longest median distance of periods, in days, that still counts as the cadence.
_LONGEST_DISTANCE: tuple[tuple[float, Cadence], ...] = (
    (4.5, "day"),
    (10.0, "week"),
    (45.0, "month"),
    (120.0, "quarter"),
)


def cadence_of(periods: pl.Series) -> Cadence:
    """How often a series comes, by the median distance of its periods.

    A series of fewer than three periods counts as yearly: the latest of all assumptions.
    """
    distances = periods.unique().sort().diff().drop_nulls().dt.total_days()
    if len(distances) < 2:
        return "year"
    median = float(distances.median())  # type: ignore[arg-type]
    return next((name for longest, name in _LONGEST_DISTANCE if median <= longest), "year")


def spec_of(
    series_id: str,
    cadence: Cadence,
    *,
    unit: str = UNSTATED_UNIT,
    revision: Revision = "REVISED",
) -> SeriesSpec:
    """What is known about a series, or the late default of its cadence.

    A described series that comes less often than described (some graphs aggregate) gets the
    default of what came.
    """
    described = DESCRIBED.get(series_id)
    if described is not None and described.cadence == cadence:
        return described
    return SeriesSpec(
        series_id,
        series_id,
        described.unit if described else unit,
        cadence,
        DEFAULT_LAG_DAYS[cadence],
        revision,
        f"default of a series that comes every {cadence}",
    )
