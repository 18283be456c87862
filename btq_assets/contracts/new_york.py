"""Days on which the New York Stock Exchange was or will be closed, or closes early, 1990 to 2029.

Belongs here: what `exchange_calendars` says of its calendar ``XNYS``, so that nobody waits for it
(most of a second in a new process) to place one session. A test holds every day against the
library; with another version of it the library itself is asked. Does not belong here: any other
calendar, and any rule of time (`btq_assets.timeline`).
"""

from __future__ import annotations

from datetime import date
from functools import cache
from importlib import metadata

import polars as pl

#: Version of ``exchange_calendars`` the days were taken from.
TAKEN_FROM = "4.13.2"
CALENDAR = "XNYS"
ZONE = "America/New_York"
FIRST_DAY, LAST_DAY = date(1990, 1, 1), date(2029, 12, 31)

#: Year: Mondays to Fridays without a session, as month-day.
_CLOSED = """
1990: 01-01 02-19 04-13 05-28 07-04 09-03 11-22 12-25
1991: 01-01 02-18 03-29 05-27 07-04 09-02 11-28 12-25
1992: 01-01 02-17 04-17 05-25 07-03 09-07 11-26 12-25
1993: 01-01 02-15 04-09 05-31 07-05 09-06 11-25 12-24
1994: 02-21 04-01 04-27 05-30 07-04 09-05 11-24 12-26
1995: 01-02 02-20 04-14 05-29 07-04 09-04 11-23 12-25
1996: 01-01 02-19 04-05 05-27 07-04 09-02 11-28 12-25
1997: 01-01 02-17 03-28 05-26 07-04 09-01 11-27 12-25
1998: 01-01 01-19 02-16 04-10 05-25 07-03 09-07 11-26 12-25
1999: 01-01 01-18 02-15 04-02 05-31 07-05 09-06 11-25 12-24
2000: 01-17 02-21 04-21 05-29 07-04 09-04 11-23 12-25
2001: 01-01 01-15 02-19 04-13 05-28 07-04 09-03 09-11 09-12 09-13 09-14 11-22 12-25
2002: 01-01 01-21 02-18 03-29 05-27 07-04 09-02 11-28 12-25
2003: 01-01 01-20 02-17 04-18 05-26 07-04 09-01 11-27 12-25
2004: 01-01 01-19 02-16 04-09 05-31 06-11 07-05 09-06 11-25 12-24
2005: 01-17 02-21 03-25 05-30 07-04 09-05 11-24 12-26
2006: 01-02 01-16 02-20 04-14 05-29 07-04 09-04 11-23 12-25
2007: 01-01 01-02 01-15 02-19 04-06 05-28 07-04 09-03 11-22 12-25
2008: 01-01 01-21 02-18 03-21 05-26 07-04 09-01 11-27 12-25
2009: 01-01 01-19 02-16 04-10 05-25 07-03 09-07 11-26 12-25
2010: 01-01 01-18 02-15 04-02 05-31 07-05 09-06 11-25 12-24
2011: 01-17 02-21 04-22 05-30 07-04 09-05 11-24 12-26
2012: 01-02 01-16 02-20 04-06 05-28 07-04 09-03 10-29 10-30 11-22 12-25
2013: 01-01 01-21 02-18 03-29 05-27 07-04 09-02 11-28 12-25
2014: 01-01 01-20 02-17 04-18 05-26 07-04 09-01 11-27 12-25
2015: 01-01 01-19 02-16 04-03 05-25 07-03 09-07 11-26 12-25
2016: 01-01 01-18 02-15 03-25 05-30 07-04 09-05 11-24 12-26
2017: 01-02 01-16 02-20 04-14 05-29 07-04 09-04 11-23 12-25
2018: 01-01 01-15 02-19 03-30 05-28 07-04 09-03 11-22 12-05 12-25
2019: 01-01 01-21 02-18 04-19 05-27 07-04 09-02 11-28 12-25
2020: 01-01 01-20 02-17 04-10 05-25 07-03 09-07 11-26 12-25
2021: 01-01 01-18 02-15 04-02 05-31 07-05 09-06 11-25 12-24
2022: 01-17 02-21 04-15 05-30 06-20 07-04 09-05 11-24 12-26
2023: 01-02 01-16 02-20 04-07 05-29 06-19 07-04 09-04 11-23 12-25
2024: 01-01 01-15 02-19 03-29 05-27 06-19 07-04 09-02 11-28 12-25
2025: 01-01 01-09 01-20 02-17 04-18 05-26 06-19 07-04 09-01 11-27 12-25
2026: 01-01 01-19 02-16 04-03 05-25 06-19 07-03 09-07 11-26 12-25
2027: 01-01 01-18 02-15 03-26 05-31 06-18 07-05 09-06 11-25 12-24
2028: 01-17 02-21 04-14 05-29 06-19 07-04 09-04 11-23 12-25
2029: 01-01 01-15 02-19 03-30 05-28 06-19 07-04 09-03 11-22 12-25
"""

#: The same: sessions that close at 13:00 in New York instead of 16:00.
_CLOSES_AT_13 = """
1993: 11-26
1994: 11-25
1995: 07-03 11-24
1996: 07-05 11-29 12-24
1997: 07-03 11-28 12-24 12-26
1998: 11-27 12-24
1999: 11-26 12-31
2000: 07-03 11-24
2001: 07-03 11-23 12-24
2002: 07-05 11-29 12-24
2003: 07-03 11-28 12-24 12-26
2004: 11-26
2005: 11-25
2006: 07-03 11-24
2007: 07-03 11-23 12-24
2008: 07-03 11-28 12-24
2009: 11-27 12-24
2010: 11-26
2011: 11-25
2012: 07-03 11-23 12-24
2013: 07-03 11-29 12-24
2014: 07-03 11-28 12-24
2015: 11-27 12-24
2016: 11-25
2017: 07-03 11-24
2018: 07-03 11-23 12-24
2019: 07-03 11-29 12-24
2020: 11-27 12-24
2021: 11-26
2022: 11-25
2023: 07-03 11-24
2024: 07-03 11-29 12-24
2025: 07-03 11-28 12-24
2026: 11-27 12-24
2027: 11-26
2028: 07-03 11-24
2029: 07-03 11-23 12-24
"""

#: The same: sessions that close at 14:00 in New York instead of 16:00.
_CLOSES_AT_14 = """
1990: 12-24
1991: 12-24
1992: 11-27 12-24
"""


def knows(calendar: str, start: date, end: date) -> bool:
    """Whether `sessions` is what the installed ``exchange_calendars`` would say of these days."""
    return calendar == CALENDAR and start >= FIRST_DAY and end <= LAST_DAY and is_current()


@cache
def is_current() -> bool:
    """Whether the installed ``exchange_calendars`` is the one the days were taken from."""
    try:
        return metadata.version("exchange_calendars") == TAKEN_FROM
    except metadata.PackageNotFoundError:
        return False


def sessions(start: date, end: date) -> pl.DataFrame:
    """Sessions from `start` to `end`, both included.

    Returns
    -------
    polars.DataFrame
        ``session`` (date), ``opens_at`` and ``closes_at`` (UTC), ascending; days outside 1990 to
        2029 left out.
    """
    days = pl.date_range(max(start, FIRST_DAY), min(end, LAST_DAY), eager=True)
    open_days = days.to_frame("session").filter(
        pl.col("session").dt.weekday() <= 5, ~pl.col("session").is_in(_days(_CLOSED))
    )
    closes = (
        pl.when(pl.col("session").is_in(_days(_CLOSES_AT_13)))
        .then(pl.time(13))
        .when(pl.col("session").is_in(_days(_CLOSES_AT_14)))
        .then(pl.time(14))
        .otherwise(pl.time(16))
    )
    return open_days.with_columns(opens_at=_instant(pl.time(9, 30)), closes_at=_instant(closes))


def _instant(clock: pl.Expr) -> pl.Expr:
    local = pl.col("session").dt.combine(clock, "us").dt.replace_time_zone(ZONE)
    return local.dt.convert_time_zone("UTC")


@cache
def _days(by_year: str) -> tuple[date, ...]:
    found: list[date] = []
    for line in by_year.strip().splitlines():
        year, _, days = line.partition(":")
        found += [date.fromisoformat(f"{year}-{day}") for day in days.split()]
    return tuple(found)
