"""Calendar family: dates anyone can look up, and closures nobody could foresee."""

from __future__ import annotations

import datetime as dt

import exchange_calendars
import numpy as np
import polars as pl
import pytest

from btq_assets.features import calendar_effects
from btq_assets.features.calendar_effects import columns, plan_of

NEW_YORK = ("XNYS", dt.date(2000, 1, 1), dt.date(2026, 12, 31))


def _at(*days: str, plan=NEW_YORK) -> dict[str, list[float]]:
    found = columns(np.array(days, "datetime64[D]"), plan_of(*plan))
    return {name.removeprefix("calendar_"): value.tolist() for name, value in found.items()}


def test_thanksgiving_of_2012_by_hand():
    # Wednesday before, the shortened Friday after (13:00), and the Monday after it.
    found = _at("2012-11-21", "2012-11-23", "2012-11-26")
    assert found["pre_holiday"] == [1, 0, 0]
    assert found["post_holiday"] == [0, 1, 0]
    assert found["days_to_holiday"] == [1, 32, 29]  # the 22nd, then Christmas Day
    assert found["days_since_holiday"][1:] == [1, 4]
    assert found["days_to_next_session"] == [2, 3, 1]
    assert found["session_hours"] == [6.5, 3.5, 6.5]
    assert found["half_day"] == [0, 1, 0]


def test_month_quarter_and_expiry_by_hand():
    # March 2024: 20 sessions, Good Friday on the 29th; third Friday and triple witching on the 15th.
    found = _at("2024-03-01", "2024-03-11", "2024-03-15", "2024-03-22", "2024-03-28", "2024-04-03")
    assert found["sessions_into_month"] == [0, 6, 10, 15, 19, 2]
    assert found["sessions_left_in_month"] == [19, 13, 9, 4, 0, 19]
    assert found["turn_of_month"] == [1, 0, 0, 0, 1, 1]
    assert found["quarter_end"] == [0, 0, 0, 1, 1, 0]
    assert found["option_expiry_week"] == [0, 1, 1, 0, 0, 0]
    assert found["triple_witching_week"] == [0, 1, 1, 0, 0, 0]
    # After the 22nd: four sessions in March, then April 1 to 19 without a holiday, fifteen.
    assert found["sessions_to_option_expiry"] == [10, 4, 0, 19, 15, 12]


def test_sessions_left_in_a_quarter_by_hand():
    # 2024: January had 21 sessions, February and March 20 each; April and May 22 each, June 19.
    found = _at("2024-01-02", "2024-03-21", "2024-03-22", "2024-03-28", "2024-04-03")
    assert found["sessions_left_in_quarter"] == [60, 5, 4, 0, 60]
    assert found["quarter_end"] == [0, 0, 1, 1, 0]


def test_a_third_friday_without_a_session_expires_the_day_before():
    # Good Friday 2014 was the third Friday of April.
    assert _at("2014-04-16", "2014-04-17")["sessions_to_option_expiry"] == [1, 0]


def test_nobody_foresaw_an_unplanned_closure():
    # Hurricane Sandy closed October 29 and 30, 2012; the Friday before, both were to be sessions.
    found = _at("2012-10-26", "2012-10-31")
    assert found["sessions_left_in_month"] == [3, 0]
    assert found["days_to_next_session"] == [3, 1]
    assert found["days_to_holiday"][0] == 27  # Thanksgiving, not the storm
    assert found["days_since_holiday"] == [53, 1]  # Labor Day; then the storm, which has come
    assert found["post_holiday"] == [0, 1]
    # The terror attacks, seen from the day before.
    assert _at("2001-09-10")["days_to_holiday"] == [73]


def test_unplanned_closures_are_those_of_the_library():
    known = exchange_calendars.get_calendar("XNYS", start="1990-01-01", end="2026-12-31")
    adhoc = sorted(day.date() for day in known.adhoc_holidays if day.year >= 1990)
    assert sorted(calendar_effects.UNPLANNED_XNYS) == adhoc


def test_the_table_of_new_york_and_the_library_agree(monkeypatch):
    days = np.arange(np.datetime64("2011-01-03"), np.datetime64("2013-12-31"))
    span = ("XNYS", dt.date(2010, 1, 1), dt.date(2014, 12, 31))
    quick = columns(days, plan_of(*span))
    monkeypatch.setattr(calendar_effects.new_york, "knows", lambda *_: False)
    plan_of.cache_clear()
    slow = columns(days, plan_of(*span))
    plan_of.cache_clear()
    for name, value in quick.items():
        np.testing.assert_array_equal(value, slow[name], err_msg=name)


def test_where_the_history_ends_changes_no_count():
    days = np.arange(np.datetime64("2012-01-03"), np.datetime64("2012-12-31"))
    short = columns(days, plan_of("XNYS", dt.date(2011, 1, 1), dt.date(2013, 12, 31)))
    long = columns(days, plan_of("XNYS", dt.date(2001, 1, 1), dt.date(2020, 12, 31)))
    for name, value in short.items():
        np.testing.assert_array_equal(value, long[name], err_msg=name)


@pytest.mark.parametrize("calendar", ["24/7", "24/5"])
def test_markets_without_holidays_have_none(calendar):
    found = _at("2012-11-21", "2012-11-23", plan=(calendar, *NEW_YORK[1:]))
    assert np.isnan(found["days_to_holiday"]).all()
    assert found["pre_holiday"] == [0, 0]
    assert found["session_hours"] == [24, 24]
    assert found["days_to_next_session"] == ([1, 1] if calendar == "24/7" else [1, 3])


def test_a_universe_without_a_calendar_keeps_what_a_wall_calendar_says(make_bars, world):
    bars = make_bars(1, 40, universe="elsewhere")
    frame = calendar_effects.compute(bars, world["instruments"])
    assert frame["calendar_weekday_cos"].null_count() == 0
    assert frame["calendar_days_to_next_session"].is_null().all()


def test_another_calendar_changes_the_counts(make_bars, world):
    bars = make_bars(1, 60, universe="us20")
    other = world["instruments"].with_columns(calendar=pl.lit("24/5"))
    here = calendar_effects.compute(bars, world["instruments"])
    there = calendar_effects.compute(bars, other)
    name = "calendar_sessions_left_in_month"
    assert here[name].to_list() != there[name].to_list()
