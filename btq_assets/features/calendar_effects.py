"""Calendar family: where a session stands in its week, month, quarter and year.

Belongs here: counts and cyclic encodings of the exchange calendar as it was planned. Does not
belong here: dates of events that no source of the house knows (meetings of central banks).

A calendar of today also lists closures nobody knew of before: an attack, a storm, a day of
mourning. Counts that look ahead take such a day for the session it was planned to be; counts that
look back know that it was none. The truncation gate cannot see this, since the calendar is the
same before and after a cut; a test of its own does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import new_york
from btq_assets.features.definitions import Feature, undefined_to_null

_KEY = ("universe", "ts")
_DAY = np.timedelta64(1, "D")
#: Farthest a holiday is looked for, so that the length of the history does not matter.
_FAR = 365
_TURN_AFTER, _QUARTER_END, _SHORT = 3, 5, 0.8

#: Closures of the New York Stock Exchange that were in no calendar printed before: the funeral of a
#: president (1994, 2004, 2007, 2018, 2025), the attacks of 2001, the storm of 2012.
UNPLANNED_XNYS = tuple(
    date.fromisoformat(day)
    for day in (
        "1994-04-27", "2001-09-11", "2001-09-12", "2001-09-13", "2001-09-14", "2004-06-11",
        "2007-01-02", "2012-10-29", "2012-10-30", "2018-12-05", "2025-01-09",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """A stretch of an exchange's calendar, as it was planned and as it came.

    Parameters
    ----------
    first, last
        Days between which it is complete.
    sessions
        Days with a session, ``datetime64[D]``, ascending.
    hours
        Hours each of them lasts.
    planned
        These and the days on which a session was planned but not held.
    """

    first: np.datetime64
    last: np.datetime64
    sessions: np.ndarray
    hours: np.ndarray
    planned: np.ndarray


@lru_cache(maxsize=32)
def plan_of(calendar: str, first: date, last: date) -> Plan | None:
    """The calendar from `first` to `last`, clipped to what it knows; ``None`` where that is nothing or there is none.

    Parameters
    ----------
    calendar
        Code of an ``exchange_calendars`` calendar.
    """
    if new_york.knows(calendar, first, last):
        found = new_york.sessions(first, last)
        return _plan(
            first,
            last,
            found["session"].to_numpy(),
            (found["closes_at"] - found["opens_at"]).to_numpy(),
            np.array(UNPLANNED_XNYS, "datetime64[D]"),
        )
    import exchange_calendars
    from exchange_calendars.errors import InvalidCalendarName

    try:
        kind = exchange_calendars.get_calendar(calendar, start="2020-01-01", end="2020-03-01")
    except InvalidCalendarName:
        return None
    low, high = kind.bound_min(), kind.bound_max()
    first = first if low is None else max(first, low.date())
    last = last if high is None else min(last, high.date())
    if last - first < timedelta(days=31):
        return None
    known = exchange_calendars.get_calendar(calendar, start=str(first), end=str(last))
    schedule = known.schedule
    return _plan(
        first,
        last,
        schedule.index.to_numpy(),
        (schedule["close"] - schedule["open"]).to_numpy(),
        np.array([day.date() for day in known.adhoc_holidays], "datetime64[D]"),
    )


def _plan(
    first: date, last: date, sessions: np.ndarray, lengths: np.ndarray, unplanned: np.ndarray
) -> Plan:
    days = sessions.astype("datetime64[D]")
    inside = unplanned[(unplanned >= np.datetime64(first)) & (unplanned <= np.datetime64(last))]
    return Plan(
        np.datetime64(first, "D"),
        np.datetime64(last, "D"),
        days,
        lengths.astype("timedelta64[s]").astype(float) / 3600,
        np.union1d(days, inside),
    )


def columns(days: np.ndarray, plan: Plan | None) -> dict[str, np.ndarray]:
    """Values at each of `days`.

    Parameters
    ----------
    days
        ``datetime64[D]``, in any order.
    plan
        Calendar; without one only what a wall calendar says is known.

    Returns
    -------
    dict of numpy.ndarray
        One float64 array per feature, NaN where undefined.
    """
    weekday = (days.astype("datetime64[D]").view("int64") + 3) % 7  # 1970-01-01 was a Thursday
    months = days.astype("datetime64[M]")
    month = months.view("int64") % 12
    values = {name: np.full(days.shape, np.nan) for name in _NAMES}
    values["calendar_weekday_sin"], values["calendar_weekday_cos"] = _circle(weekday / 7)
    values["calendar_month_sin"], values["calendar_month_cos"] = _circle(month / 12)
    third = third_friday(months)
    monday = days - weekday.astype("timedelta64[D]")
    in_week = (monday == third - 4 * _DAY).astype(float)
    values["calendar_option_expiry_week"] = in_week
    values["calendar_triple_witching_week"] = in_week * (month % 3 == 2)
    if plan is None or not days.size:
        return values
    placed = _placed(days, months, month, third, plan)
    # At the ends of what a calendar knows a count would stop short.
    known = (days >= plan.first + 7 * _DAY) & (days + 100 * _DAY <= plan.last)
    return values | {name: np.where(known, found, np.nan) for name, found in placed.items()}


def _placed(
    days: np.ndarray, months: np.ndarray, month: np.ndarray, third: np.ndarray, plan: Plan
) -> dict[str, np.ndarray]:
    def held_until(end: np.ndarray) -> np.ndarray:
        return np.searchsorted(plan.sessions, end.astype("datetime64[D]"), side="right")

    def planned_until(end: np.ndarray) -> np.ndarray:
        return np.searchsorted(plan.planned, end.astype("datetime64[D]"), side="right")

    month_end = (months + 1).astype("datetime64[D]") - _DAY
    quarter_end = (months + (3 - month % 3)).astype("datetime64[D]") - _DAY
    until_now = planned_until(days)
    into = held_until(days - _DAY) - held_until(months.astype("datetime64[D]") - _DAY)
    left = planned_until(month_end) - until_now
    left_in_quarter = planned_until(quarter_end) - until_now
    sin, cos = _circle(into / (into + left + 1))
    after = plan.planned[np.minimum(until_now, plan.planned.size - 1)]
    before_at = held_until(days - _DAY) - 1
    before = plan.sessions[np.maximum(before_at, 0)]
    # Expiry is on the third Friday, or on the planned session before it.
    expiry = np.where(third >= days, third, third_friday(months + 1))
    to_expiry = np.maximum(planned_until(expiry) - planned_until(days), 0)
    return {
        "calendar_month_phase_sin": sin,
        "calendar_month_phase_cos": cos,
        "calendar_sessions_into_month": into.astype(float),
        "calendar_sessions_left_in_month": left.astype(float),
        "calendar_turn_of_month": ((left == 0) | (into < _TURN_AFTER)).astype(float),
        "calendar_sessions_left_in_quarter": left_in_quarter.astype(float),
        "calendar_quarter_end": (left_in_quarter < _QUARTER_END).astype(float),
        "calendar_sessions_to_option_expiry": to_expiry.astype(float),
        **_holidays(days, plan),
        "calendar_days_to_next_session": (after - days) / _DAY,
        "calendar_pre_holiday": (_weekdays_between(days, after) > 0).astype(float),
        "calendar_post_holiday": np.where(
            before_at >= 0, (_weekdays_between(before, days) > 0).astype(float), np.nan
        ),
        **_lengths(days, plan),
    }


def _holidays(days: np.ndarray, plan: Plan) -> dict[str, np.ndarray]:
    span = np.arange(plan.first, plan.last + _DAY)
    weekdays = span[np.is_busday(span)]
    to_come = np.setdiff1d(weekdays, plan.planned)
    gone = np.setdiff1d(weekdays, plan.sessions)
    ahead = _at(to_come, np.searchsorted(to_come, days, side="right")) - days
    behind = days - _at(gone, np.searchsorted(gone, days, side="left") - 1)
    near = {
        "calendar_days_to_holiday": ahead / _DAY,
        "calendar_days_since_holiday": behind / _DAY,
    }
    return {name: np.where(value <= _FAR, value, np.nan) for name, value in near.items()}


def _lengths(days: np.ndarray, plan: Plan) -> dict[str, np.ndarray]:
    at = np.minimum(np.searchsorted(plan.sessions, days), plan.sessions.size - 1)
    held = plan.sessions[at] == days
    years = plan.sessions.astype("datetime64[Y]").view("int64")
    longest = np.zeros(years.max() - years.min() + 1)
    np.maximum.at(longest, years - years.min(), plan.hours)
    usual = longest[years[at] - years.min()]
    return {
        "calendar_session_hours": np.where(held, plan.hours[at], np.nan),
        "calendar_half_day": np.where(held, (plan.hours[at] < _SHORT * usual) * 1.0, np.nan),
    }


def _at(days: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Element at each place; not-a-time outside."""
    padded = np.concatenate([days, [np.datetime64("NaT")]])
    return padded[np.where((place >= 0) & (place < days.size), place, days.size)]


def _weekdays_between(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Mondays to Fridays after `start` and before `end`."""
    return np.busday_count(start + _DAY, np.maximum(end, start + _DAY))


def third_friday(months: np.ndarray) -> np.ndarray:
    """Third Friday of each month (``datetime64[M]``), on which monthly options expire."""
    first = months.astype("datetime64[D]")
    weekday = (first.view("int64") + 3) % 7
    return first + ((4 - weekday) % 7 + 14).astype("timedelta64[D]")


def _circle(turns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.sin(2 * np.pi * turns), np.cos(2 * np.pi * turns)


def calendar_of(instruments: pl.DataFrame) -> dict[str, str]:
    """Calendar of each universe: the one most of its instruments trade by."""
    counted = instruments.group_by("universe", "calendar").len()
    ordered = counted.sort("universe", "len", "calendar", descending=[False, True, False])
    return dict(ordered.unique("universe", keep="first").select("universe", "calendar").rows())


def compute(bars: pl.DataFrame, instruments: pl.DataFrame) -> pl.DataFrame:
    """Compute the calendar family.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`; only their sessions are read.
    instruments
        Rows of `core.instruments`, for the calendar of each universe. A universe without one has
        only the day of the week, the month and the week of option expiry.

    Returns
    -------
    polars.DataFrame
        Rows of ``features.calendar``: one per universe and session.
    """
    calendars = calendar_of(instruments)
    frame = bars.group_by(_KEY).agg(pl.col("session").max()).sort(_KEY)
    parts = []
    for part in frame.partition_by("universe", maintain_order=True):
        calendar = calendars.get(part["universe"][0])
        first, last = part["session"].min(), part["session"].max()
        plan = None
        if calendar is not None and isinstance(first, date) and isinstance(last, date):
            # Whole years and one more on each side: where a history ends changes no count.
            plan = plan_of(calendar, date(first.year - 1, 1, 1), date(last.year + 1, 12, 31))
        values = columns(part["session"].to_numpy().astype("datetime64[D]"), plan)
        parts.append(part.select(_KEY).with_columns(pl.Series(n, v) for n, v in values.items()))
    empty = frame.clear().select(*_KEY, *(pl.lit(None, pl.Float64).alias(n) for n in _NAMES))
    return undefined_to_null(pl.concat([empty, *parts]))


_PLANNED = "planned sessions: those of the exchange calendar and the ones it lost unannounced"
_OWN = "own definition"

#: Name, formula, source, unit.
_WORDS: tuple[tuple[str, str, str, str], ...] = (
    ("calendar_weekday_sin", "sin(2 pi weekday / 7), Monday 0", _OWN, "-1 to 1"),
    ("calendar_weekday_cos", "cos(2 pi weekday / 7), Monday 0", _OWN, "-1 to 1"),
    ("calendar_month_sin", "sin(2 pi (month - 1) / 12)", _OWN, "-1 to 1"),
    ("calendar_month_cos", "cos(2 pi (month - 1) / 12)", _OWN, "-1 to 1"),
    ("calendar_month_phase_sin", "sin(2 pi into / (into + left + 1)); into and left the sessions into and left in the month", _OWN, "-1 to 1"),
    ("calendar_month_phase_cos", "cos of the same angle", _OWN, "-1 to 1"),
    ("calendar_sessions_into_month", "sessions held in the month before this one", _OWN, "sessions"),
    ("calendar_sessions_left_in_month", f"planned sessions of the month after this one; {_PLANNED}", _OWN, "sessions"),
    ("calendar_turn_of_month", "[left in month = 0 or into month < 3]", "Lakonishok and Smidt 1988, days -1 to +3", "0 or 1"),
    ("calendar_sessions_left_in_quarter", "planned sessions of the quarter after this one", _OWN, "sessions"),
    ("calendar_quarter_end", "[left in quarter < 5]", _OWN, "0 or 1"),
    ("calendar_option_expiry_week", "[Monday of the week + 4 days is a third Friday]", "Stoll and Whaley 1987, own window", "0 or 1"),
    ("calendar_triple_witching_week", "the same in March, June, September, December", "Stoll and Whaley 1987, own window", "0 or 1"),
    ("calendar_sessions_to_option_expiry", "planned sessions after this one, up to the next third Friday", _OWN, "sessions"),
    ("calendar_days_to_holiday", "next weekday without a planned session - day; null beyond 365", _OWN, "days"),
    ("calendar_days_since_holiday", "day - last weekday without a session; null beyond 365", _OWN, "days"),
    ("calendar_days_to_next_session", "next planned session - day", _OWN, "days"),
    ("calendar_pre_holiday", "[a weekday lies between this and the next planned session]", "Ariel 1990", "0 or 1"),
    ("calendar_post_holiday", "[a weekday lies between the session before and this one]", "Ariel 1990", "0 or 1"),
    ("calendar_session_hours", "close - open", _OWN, "hours"),
    ("calendar_half_day", "[hours < 0.8 of the longest session of the year]", _OWN, "0 or 1"),
)  # fmt: skip
_NAMES = tuple(name for name, *_ in _WORDS)

FEATURES: tuple[Feature, ...] = tuple(
    Feature(name, "calendar", formula, source, unit, 0, ("session", "calendar"))
    for name, formula, source, unit in _WORDS
)


def features_of(config: TradingConfig) -> tuple[Feature, ...]:
    """Definitions; no window is configurable."""
    return FEATURES


def compute_from(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    """Compute the family from its tables; see `compute`."""
    return compute(inputs["bars"], inputs["instruments"])
