"""The sessions of New York that are kept beside the library against the library itself."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from btq_assets import timeline
from btq_assets.contracts import new_york
from btq_assets.sources.market import sessions as market_sessions
from data_quality import calendars

_SPANS = [
    (new_york.FIRST_DAY, new_york.LAST_DAY),
    (dt.date(2001, 9, 10), dt.date(2001, 9, 18)),  # four days closed
    (dt.date(2023, 11, 24), dt.date(2023, 11, 24)),  # one session, closes at 13:00
    (dt.date(2024, 1, 6), dt.date(2024, 1, 7)),  # a weekend
]


@pytest.fixture
def without_table(monkeypatch):
    """Ask the library, as with another version of it."""
    caches = (timeline.session_closes, calendars.sessions, market_sessions.calendar_facts)

    def ask() -> None:
        monkeypatch.setattr(new_york, "is_current", lambda: False)
        for cached in caches:
            cached.cache_clear()

    for cached in caches:
        cached.cache_clear()
    yield ask
    for cached in caches:
        cached.cache_clear()


def test_days_are_taken_from_the_installed_library():
    assert new_york.is_current(), (
        "exchange_calendars has another version: hold the days of contracts/new_york.py against it "
        "(the next test names the differences) and write down the version"
    )


def test_every_session_is_the_library_s(without_table):
    ours = [
        (timeline.session_closes("XNYS", *span), calendars.sessions("XNYS", *span))
        for span in _SPANS
    ]
    without_table()
    for span, (closes, sessions) in zip(_SPANS, ours, strict=True):
        theirs = calendars.sessions("XNYS", *span)
        differing = sessions.join(theirs, on=theirs.columns, how="anti")["session"].to_list()
        absent = theirs.join(sessions, on=theirs.columns, how="anti")["session"].to_list()
        assert (differing, absent) == ([], [])
        assert_frame_equal(sessions, theirs)
        assert_frame_equal(closes, timeline.session_closes("XNYS", *span))


def test_facts_are_the_library_s(without_table):
    ours = market_sessions.calendar_facts("XNYS")
    without_table()
    assert market_sessions.calendar_facts("XNYS") == ours


def test_the_library_is_asked_for_what_the_table_does_not_know():
    assert not new_york.knows("XETR", dt.date(2020, 1, 1), dt.date(2020, 2, 1))
    assert not new_york.knows("XNYS", dt.date(1989, 12, 29), dt.date(1990, 1, 5))
    # Christmas Eve 1980 was a Wednesday, and the exchange closed at 14:00 (its list of holidays).
    before = timeline.session_closes("XNYS", dt.date(1980, 12, 23), dt.date(1980, 12, 26))
    assert before["session"].to_list() == [
        dt.date(1980, 12, 23),
        dt.date(1980, 12, 24),
        dt.date(1980, 12, 26),
    ]


def test_one_session_is_placed_without_importing_the_library():
    code = (
        "import datetime as dt, sys\n"
        "import polars as pl\n"
        "from btq_assets.sources.market.sessions import at_session_close\n"
        "rows = pl.DataFrame({'session': [dt.date(2019, 12, 24)], '_row_json': ['{}']})\n"
        "ts = at_session_close(rows, 'XNYS').rows['ts'].item()\n"
        "assert ts == dt.datetime(2019, 12, 24, 18, tzinfo=dt.timezone.utc), ts\n"
        "assert 'exchange_calendars' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_sessions_ascend_without_weekends():
    days = new_york.sessions(new_york.FIRST_DAY, new_york.LAST_DAY)
    assert days["session"].is_sorted()
    assert days.filter(pl.col("session").dt.weekday() > 5).is_empty()
    # 253 sessions in 2008 (NYSE Group, annual report: trading days).
    assert days.filter(pl.col("session").dt.year() == 2008).height == 253
