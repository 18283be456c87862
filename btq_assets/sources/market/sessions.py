"""From a calendar day to the instant its bar ends.

Belongs here: session closes for dated rows, and the refusal of days without a session. Does not
belong here: reading dates out of text (see `times.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time, timedelta
from functools import lru_cache

import polars as pl

from btq_assets.contracts import new_york
from btq_assets.sources.errors import SourceError
from btq_assets.sources.rows import Parsed, split
from btq_assets.timeline import session_closes

#: The ECB publishes its reference rates at about 16:00 Central European time, which is 15:00 UTC
#: in winter and 14:00 UTC in summer: 15:00 UTC is never too early.
ECB_PUBLICATION_UTC = time(15, 0)

# Dates beyond are typing errors, and calendars are slow or fail on them.
_EARLIEST, _LATEST = date(1900, 1, 1), date(2100, 1, 1)
_SHARED_SPAN = (date(1990, 1, 1), date(2029, 12, 31))
_MARGIN = timedelta(days=10)


@dataclass(frozen=True)
class CalendarFacts:
    """What is needed of an exchange calendar.

    Parameters
    ----------
    zone
        Time zone of the exchange.
    first_day, last_day
        Days between which its sessions are known.
    """

    zone: str
    first_day: date
    last_day: date


@lru_cache(maxsize=32)
def calendar_facts(calendar: str) -> CalendarFacts:
    """Zone and span of an ``exchange_calendars`` calendar.

    Raises
    ------
    SourceError
        There is no such calendar.
    """
    if calendar == new_york.CALENDAR and new_york.is_current():
        return CalendarFacts(new_york.ZONE, _EARLIEST, _LATEST)
    import exchange_calendars
    from exchange_calendars.errors import InvalidCalendarName

    try:
        # Two months are enough to ask for zone and bounds, and cost nothing to lay out.
        found = exchange_calendars.get_calendar(calendar, start="2020-01-01", end="2020-03-01")
    except InvalidCalendarName:
        raise SourceError(
            f"calendar {calendar!r} does not exist; write a code of exchange_calendars, such as "
            "'XNYS' or '24/7'"
        ) from None
    low, high = found.bound_min(), found.bound_max()
    return CalendarFacts(
        str(found.tz),
        max(_EARLIEST, low.date() + _MARGIN) if low is not None else _EARLIEST,
        min(_LATEST, high.date() - _MARGIN) if high is not None else _LATEST,
    )


def closes_between(calendar: str, first: date, last: date) -> pl.DataFrame:
    """Sessions and closes that cover `first` to `last`, and possibly more on both sides.

    Asking ``exchange_calendars`` costs a second, whatever the length: all long spans share one.
    """
    if new_york.knows(calendar, first, last):
        return session_closes(calendar, first, last)
    facts = calendar_facts(calendar)
    if last - first > timedelta(days=366):
        first, last = min(first, _SHARED_SPAN[0]), max(last, _SHARED_SPAN[1])
    return session_closes(calendar, max(first, facts.first_day), min(last, facts.last_day))


def at_session_close(rows: pl.DataFrame, calendar: str) -> Parsed:
    """Give each dated row the close of its session as ``ts``; refuse days without a session.

    Parameters
    ----------
    rows
        Column ``session`` (date), never null; with the column of `rows.as_it_came`.
    calendar
        Code of an ``exchange_calendars`` calendar.
    """
    facts = calendar_facts(calendar)
    covered = split(
        rows,
        pl.when(~pl.col("session").is_between(facts.first_day, facts.last_day)).then(
            pl.format(
                f"{{}} is outside {facts.first_day} to {facts.last_day}, the days for which the "
                f"sessions of {calendar} are known",
                pl.col("session"),
            )
        ),
    )
    if covered.rows.is_empty():
        nothing = covered.rows.with_columns(ts=pl.lit(None, dtype=pl.Datetime("us", "UTC")))
        return Parsed(nothing, covered.rejected)
    first, last = covered.rows["session"].min(), covered.rows["session"].max()
    closes = closes_between(calendar, first, last)  # type: ignore[arg-type]
    joined = covered.rows.join(closes, on="session", how="left", maintain_order="left")
    reason = pl.when(pl.col("ts").is_null()).then(
        pl.format(f"{{}} is not a session of {calendar}", pl.col("session"))
    )
    found = split(joined, reason)
    return Parsed(found.rows, pl.concat([covered.rejected, found.rejected]))


def at_ecb_publication(rows: pl.DataFrame) -> Parsed:
    """Give each dated row 15:00 UTC of its day as ``ts``; refuse weekends."""
    reason = pl.when(pl.col("session").dt.weekday() > 5).then(
        pl.format("{} is a weekend: the ECB sets no rate", pl.col("session"))
    )
    kept = split(rows, reason)
    stamped = kept.rows.with_columns(
        ts=pl.col("session").dt.combine(ECB_PUBLICATION_UTC).dt.replace_time_zone("UTC")
    )
    return Parsed(stamped, kept.rejected)
