"""Gaps against the calendar: sessions are those of the exchange, and every missing one counts."""

from __future__ import annotations

import datetime as dt

import exchange_calendars
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btq_assets.config import TradingConfig
from btq_assets.contracts import raw
from btq_assets.contracts.base import cast_to_contract
from btq_assets.contracts.checks import CheckContext
from data_quality import bar_views, calendars, stamp_views, suites

CODES = ("XNYS", "XLON", "XTKS", "24/7", "24/5")
DAY = dt.timedelta(days=1)

dates = st.dates(dt.date(1995, 1, 2), dt.date(2024, 12, 31))


def bars(stamps: list[dt.datetime], freq: str = "1d", symbol: str = "A") -> pl.DataFrame:
    frame = pl.DataFrame(
        {
            "dataset": "d", "symbol": symbol, "freq": freq, "ts": stamps, "known_at": stamps,
            "known_at_basis": "assumed_lag", "currency": "USD",
            "close": [100 + i % 7 for i in range(len(stamps))],
        }
    )  # fmt: skip
    absent = [name for name in raw.BARS_YAHOO.column_names if name not in frame.columns]
    return cast_to_contract(
        frame.with_columns(pl.lit(None).alias(n) for n in absent), raw.BARS_YAHOO
    )


def closes(code: str, first: dt.date, last: dt.date) -> list[dt.datetime]:
    return calendars.sessions(code, first, last)["closes_at"].to_list()


def intervals(code: str, first: dt.date, last: dt.date, minutes: int) -> list[dt.datetime]:
    """Ends of the bars of a length: from each open on, the last one cut short by the close."""
    found = []
    for _, opens_at, closes_at in calendars.sessions(code, first, last).rows():
        end = opens_at
        while end < closes_at:
            end = min(end + dt.timedelta(minutes=minutes), closes_at)
            found.append(end)
    return found


def test_sessions_are_those_the_exchange_published() -> None:
    """Closed 2001-09-11 to 14; 2001-11-23, the day after Thanksgiving, until 13:00 in New York."""
    days = calendars.sessions("XNYS", dt.date(2001, 9, 10), dt.date(2001, 9, 17))["session"]
    assert days.to_list() == [dt.date(2001, 9, 10), dt.date(2001, 9, 17)]
    (half,) = calendars.sessions("XNYS", dt.date(2001, 11, 23), dt.date(2001, 11, 25)).rows()
    assert half[1:] == (
        dt.datetime(2001, 11, 23, 14, 30, tzinfo=dt.UTC),
        dt.datetime(2001, 11, 23, 18, tzinfo=dt.UTC),
    )


@settings(max_examples=12, deadline=None)
@given(
    code=st.sampled_from(CODES), first=dates, n_days=st.integers(0, 400), cut=st.integers(0, 400)
)
def test_sessions_of_two_stretches_are_those_of_the_whole(code, first, n_days, cut) -> None:
    last = first + n_days * DAY
    middle = first + min(cut, n_days) * DAY
    whole = calendars.sessions(code, first, last)
    parts = [calendars.sessions(code, first, middle)]
    if middle < last:
        parts.append(calendars.sessions(code, middle + DAY, last))
    assert pl.concat(parts).rows() == whole.rows()
    assert (whole["opens_at"] < whole["closes_at"]).all()
    assert whole["session"].is_sorted()
    assert whole["session"].is_unique().all()
    # The calendar library itself, asked directly.
    begins = {"XTKS": dt.date(1997, 1, 1)}.get(code, dt.date.min)
    peer = exchange_calendars.get_calendar(
        code, start=str(max(first - 10 * DAY, begins)), end=str(max(last, begins) + 10 * DAY)
    )
    told = [at.date() for at in peer.sessions if first <= at.date() <= last]
    assert whole["session"].to_list() == told


@settings(max_examples=25, deadline=None)
@given(missing=st.sets(st.integers(1, 61), max_size=40))
def test_every_session_that_no_series_has_counts_as_missing(missing) -> None:
    """2020-01-02 to 2020-03-31 are 62 sessions in New York; first and last bar stay."""
    stamps = closes("XNYS", dt.date(2020, 1, 2), dt.date(2020, 4, 1))
    assert len(stamps) == 63
    kept = [stamp for n, stamp in enumerate(stamps) if n not in missing]
    latest = bar_views.latest_bars(bars(kept))
    told = bar_views.series(latest, "XNYS")["session_coverage"].to_list()
    assert told == [pytest.approx(len(kept) / 63)]
    # Without a calendar a day all series of the dataset lack is not known to be a session.
    assert bar_views.series(latest)["session_coverage"].to_list() == [1.0]


@settings(max_examples=15, deadline=None)
@given(missing=st.sets(st.integers(1, 197), max_size=100), minutes=st.sampled_from([5]))
def test_every_interval_of_the_opening_hours_counts(missing, minutes) -> None:
    """Wednesday to Friday of Thanksgiving 2019: 78, none and 42 bars of five minutes; Monday 78."""
    stamps = intervals("XNYS", dt.date(2019, 11, 27), dt.date(2019, 12, 2), minutes)
    assert len(stamps) == 78 + 42 + 78
    kept = [stamp for n, stamp in enumerate(stamps) if n not in missing or n == 197]
    latest = bar_views.latest_bars(bars(kept, "5m"))
    found = stamp_views.intraday(latest, "XNYS").row(0, named=True)
    assert found["grid_coverage"] == pytest.approx(len(kept) / 198)
    assert stamp_views.intraday(latest)["grid_coverage"].to_list() == [1.0]


def test_a_market_that_never_closes_is_held_to_every_day() -> None:
    stamps = [dt.datetime(2020, 1, 2, tzinfo=dt.UTC) + n * DAY for n in range(100)]
    kept = [stamp for n, stamp in enumerate(stamps) if n % 10 != 5]
    found = bar_views.series(bar_views.latest_bars(bars(kept)))
    assert found["session_coverage"].to_list() == [pytest.approx(0.9)]


def test_bars_older_than_their_calendar_are_held_to_what_others_have() -> None:
    """Tokyo's calendar begins in 1997; bars of 1995 must not stop the step."""
    old = [dt.datetime(1995, 1, 2, 6, tzinfo=dt.UTC) + n * DAY for n in range(700)]
    old = [stamp for stamp in old if stamp.weekday() < 5 and stamp.year < 1997]
    new = closes("XTKS", dt.date(1997, 1, 1), dt.date(1997, 12, 31))
    assert len(new) == 245  # the sessions of 1997, as the exchange counts them
    rows = pl.concat(
        [bars([*old, *new]), bars([*old[:5], *old[10:], *new[:-2:2], new[-1]], symbol="B")]
    )
    found = bar_views.series(bar_views.latest_bars(rows), "XTKS")
    n_old = len(old)
    assert found["session_coverage"].to_list() == [
        1.0, pytest.approx((n_old - 5 + 123) / (n_old + 245)),
    ]  # fmt: skip
    only_old = bar_views.latest_bars(bars(old))
    assert bar_views.series(only_old, "XTKS")["session_coverage"].to_list() == [1.0]


def test_the_calendar_of_the_source_is_the_one_that_is_asked() -> None:
    """Every session of one week in twenty is missing in all series: no series betrays it."""
    stamps = closes("XNYS", dt.date(2019, 1, 2), dt.date(2020, 12, 31))
    kept = [stamp for n, stamp in enumerate(stamps) if n % 100 not in (50, 51, 52, 53, 54)]
    rows = pl.concat([bars(kept, symbol=symbol) for symbol in "AB"])
    rows = rows.cast(dict(raw.BARS_FOLDER.schema))
    config = TradingConfig(sources={"folder": {"calendar": "XNYS"}})
    failed = {}
    for name, group in {
        "configured": suites.raw_bars_suite(raw.BARS_FOLDER, freq="1d"),
        "named": suites.raw_bars_suite(raw.BARS_FOLDER, freq="1d", calendar="XNYS"),
        "other": suites.raw_bars_suite(raw.BARS_FOLDER, freq="1d", calendar="24/5"),
    }.items():
        outcomes = group.answer(CheckContext({raw.BARS_FOLDER.table: rows}, {}, config))
        told = next(o for o in outcomes if o.name == "covers_the_sessions_of_its_dataset")
        failed[name] = told.metadata.get("sample", "").rsplit("|", 2)[-2:-1]
    # 25 of 505 sessions; of 521 weekdays 41.
    assert failed["configured"] == failed["named"] == [f" {480 / 505:.6g} "]
    assert failed["other"] == [f" {480 / 522:.6g} "]


def test_an_hour_cut_short_by_the_close_is_a_bar() -> None:
    """Six and a half hours are seven bars of an hour, the three and a half of a half day four."""
    stamps = intervals("XNYS", dt.date(2019, 11, 27), dt.date(2019, 12, 2), 60)
    assert len(stamps) == 7 + 4 + 7
    found = stamp_views.intraday(bar_views.latest_bars(bars(stamps, "1h")), "XNYS")
    assert found["grid_coverage"].to_list() == [1.0]
