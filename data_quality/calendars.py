"""Sessions of an exchange, for views that hold bars against them.

Belongs here: the one question views ask of a calendar. Does not belong here: decisions, fills and
everything else of time (`btq_assets.timeline`, which this package does not know).
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

import polars as pl

from btq_assets.contracts import new_york

_STAMP: pl.DataType = pl.Datetime("us", "UTC")
_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "session": pl.Date,
    "opens_at": _STAMP,
    "closes_at": _STAMP,
}


@lru_cache(maxsize=16)
def sessions(calendar: str, first: date, last: date) -> pl.DataFrame:
    """Sessions from `first` to `last`: ``session``, ``opens_at`` and ``closes_at`` (UTC).

    Parameters
    ----------
    calendar
        Code of an ``exchange_calendars`` calendar (``XNYS``, ``24/7``, ...).

    Returns
    -------
    polars.DataFrame
        Only sessions the calendar knows: that of Tokyo begins in 1997, for one.
    """
    if new_york.knows(calendar, first, last):
        return new_york.sessions(first, last)
    import exchange_calendars

    start, end = known(calendar, first - timedelta(days=7), last + timedelta(days=7))
    if start >= end:
        return pl.DataFrame(schema=_SCHEMA)
    found = exchange_calendars.get_calendar(calendar, start=str(start), end=str(end)).schedule
    return pl.DataFrame(
        {
            "session": [at.date() for at in found.index],
            "opens_at": [at.to_pydatetime() for at in found["open"]],
            "closes_at": [at.to_pydatetime() for at in found["close"]],
        },
        schema=_SCHEMA,
    ).filter(pl.col("session").is_between(first, last))


def known(calendar: str, first: date, last: date) -> tuple[date, date]:
    """The part of a stretch of days that a calendar knows; the first day later where it is none."""
    if new_york.knows(calendar, first, last):
        return first, last
    import exchange_calendars

    kind = exchange_calendars.get_calendar(calendar)
    earliest, latest = kind.bound_min(), kind.bound_max()
    return (
        first if earliest is None else max(first, earliest.date()),
        last if latest is None else min(last, latest.date()),
    )
