"""What a re-fetch appends: nothing when nothing changed, a recorded vintage when something did."""

from __future__ import annotations

import datetime as dt

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from btq_assets.sources.vintages import new_vintages

START = dt.datetime(2020, 1, 1, 21, tzinfo=dt.UTC)
NOW = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
KEY = ("dataset", "symbol", "freq", "ts")


def bars(closes: list[float | None], *, basis: str = "assumed_lag") -> pl.DataFrame:
    stamps = [START + dt.timedelta(days=n) for n in range(len(closes))]
    return pl.DataFrame(
        {
            "dataset": "d",
            "symbol": "A",
            "freq": "1d",
            "ts": stamps,
            "known_at": stamps,
            "known_at_basis": basis,
            "close": closes,
        },
        schema_overrides={
            "close": pl.Float64,
            "ts": pl.Datetime("us", "UTC"),
            "known_at": pl.Datetime("us", "UTC"),
        },
    )


def test_first_fetch_is_taken_as_it_is():
    fetched = bars([1.0, 2.0])
    assert_frame_equal(new_vintages(fetched.head(0), fetched, NOW), fetched)


def test_unchanged_rows_add_nothing_and_new_rows_keep_their_time():
    stored = bars([1.0, None])
    added = new_vintages(stored, bars([1.0, None, 3.0]), NOW)
    assert added["ts"].to_list() == [START + dt.timedelta(days=2)]
    assert added["known_at"].to_list() == added["ts"].to_list()
    assert added["known_at_basis"].to_list() == ["assumed_lag"]


def test_changed_value_is_known_now_and_recorded():
    stored = bars([1.0, 2.0])
    added = new_vintages(stored, bars([1.0, 2.5]), NOW)
    assert added.select("close", "known_at", "known_at_basis").rows() == [(2.5, NOW, "recorded")]
    # A value that appears or disappears is a change too.
    assert new_vintages(stored, bars([None, 2.0]), NOW)["close"].to_list() == [None]
    assert new_vintages(bars([None]), bars([1.0]), NOW)["close"].to_list() == [1.0]


def test_a_row_that_fills_a_hole_is_known_now():
    # Days 0 and 2 were given without day 1; days 3 and 4 are news, and a day before all is history.
    whole = bars([1.0, 2.0, 3.0, 4.0, 5.0])
    stored = whole[[0, 2]]
    added = new_vintages(stored, whole, NOW)
    assert added.select("close", "known_at_basis").rows() == [
        (2.0, "late"), (4.0, "assumed_lag"), (5.0, "assumed_lag"),
    ]  # fmt: skip
    assert added["known_at"][0] == NOW
    assert new_vintages(whole[[2]], whole[[0, 2]], NOW)["known_at_basis"].to_list() == [
        "assumed_lag"
    ]
    # The row once stored is stored: asking again adds nothing.
    assert new_vintages(pl.concat([stored, added]), whole, NOW).is_empty()


def test_another_series_without_holes_and_months_out_of_order_are_not_late():
    other = bars([1.0, 2.0, 3.0]).with_columns(symbol=pl.lit("B"))
    stored = pl.concat([bars([1.0, 2.0, 3.0]), other[[0, 1]]])
    added = new_vintages(stored, pl.concat([bars([1.0, 2.0, 3.0]), other]), NOW)
    assert added["known_at_basis"].to_list() == ["assumed_lag"]
    # January and March are stored; February comes alone, and nobody had asked for it before.
    days = bars([float(n) for n in range(90)])
    assert set(new_vintages(days[:31].vstack(days[59:]), days[31:59], NOW)["known_at_basis"]) == {
        "assumed_lag"
    }


def test_only_the_newest_vintage_counts():
    stored = bars([1.0])
    after = pl.concat([stored, new_vintages(stored, bars([2.0]), NOW)])
    assert new_vintages(after, bars([2.0]), NOW).is_empty()
    back = new_vintages(after, bars([1.0]), NOW + dt.timedelta(days=1))
    assert back["close"].to_list() == [1.0]


def test_dated_vintages_enter_once_with_their_own_date():
    stored = bars([1.0], basis="recorded")
    later = stored.with_columns(known_at=pl.lit(NOW), close=pl.lit(1.5))
    fetched = pl.concat([stored, later])
    added = new_vintages(stored, fetched, NOW + dt.timedelta(days=9))
    assert_frame_equal(added, later)
    assert new_vintages(fetched, fetched, NOW + dt.timedelta(days=9)).is_empty()


def test_noise_below_the_tolerance_is_no_change():
    stored = bars([100.0, 100.0])
    fetched = bars([100.00001, 100.1])
    added = new_vintages(stored, fetched, NOW, relative_tolerance=1e-6)
    assert added["close"].to_list() == [100.1]
    assert new_vintages(stored, fetched, NOW).height == 2


closes = st.lists(st.sampled_from([None, 1.0, 2.0]), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None)
@given(fetches=st.lists(closes, min_size=1, max_size=5), seed=st.integers(0, 99))
def test_latest_stored_vintage_is_always_the_last_fetch(fetches, seed):
    """Append-only storage reproduces what the source said last, whatever the order of rows."""
    stored = bars([1.0]).clear()
    said: dict[dt.datetime, float | None] = {}
    for number, fetch in enumerate(fetches):
        now = NOW + dt.timedelta(days=number)
        frame = bars(fetch).sample(fraction=1.0, shuffle=True, seed=seed)
        added = new_vintages(stored, frame, now)
        stored = pl.concat([stored, added])
        said |= dict(frame.select("ts", "close").iter_rows())
        assert new_vintages(stored, frame, now).is_empty()
    assert not stored.select(*KEY, "known_at").is_duplicated().any()
    latest = stored.sort("known_at").unique(KEY, keep="last")
    assert dict(latest.select("ts", "close").iter_rows()) == said


def test_a_change_before_an_assumed_release_is_a_vintage_of_its_own():
    """A late lag may put a stored value into the future: its successor must not share its key."""
    stored = bars([1.0])
    early = START - dt.timedelta(days=5)
    added = new_vintages(stored, bars([1.5]), early)
    assert added["known_at"].to_list() == [START + dt.timedelta(microseconds=1)]
    after = pl.concat([stored, added])
    again = new_vintages(after, bars([1.7]), early + dt.timedelta(days=1))
    assert again["known_at"].to_list() == [START + dt.timedelta(microseconds=2)]
    assert not pl.concat([after, again]).select(*KEY, "known_at").is_duplicated().any()
