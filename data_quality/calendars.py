"""Sessions of an exchange, for views that hold bars against them.

Belongs here: the one question views ask of a calendar. Does not belong here: decisions, fills and
everything else of time (`btq_assets.timeline`, which this package does not know).
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

import polars as pl

from btq_assets.contracts import new_york


@lru_cache(maxsize=16)
def sessions(calendar: str, first: date, last: date) -> pl.DataFrame:
    """Sessions from `first` to `last`: ``session``, ``opens_at`` and ``closes_at`` (UTC).

    Parameters
    ----------
    calendar
        Code of an ``exchange_calendars`` calendar (``XNYS``, ``24/7``, ...).
    """
    if new_york.knows(calendar, first, last):
        return new_york.sessions(first, last)
    import exchange_calendars

    found = exchange_calendars.get_calendar(
        calendar, start=str(first - timedelta(days=7)), end=str(last + timedelta(days=7))
    ).schedule
    stamp = pl.Datetime("us", "UTC")
    return pl.DataFrame(
        {
            "session": [at.date() for at in found.index],
            "opens_at": [at.to_pydatetime() for at in found["open"]],
            "closes_at": [at.to_pydatetime() for at in found["close"]],
        },
        schema={"session": pl.Date, "opens_at": stamp, "closes_at": stamp},
    ).filter(pl.col("session").is_between(first, last))
