"""Encodings of sessions: a month worked by hand, and nothing of what comes later."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from btq_assets.models.windows.session_calendar import NAMES, encodings


def sessions(*days: str) -> pl.Series:
    return pl.Series([dt.datetime.fromisoformat(f"{day}T21:00:00+00:00") for day in days])


def column(found: np.ndarray, name: str) -> np.ndarray:
    return found[:, NAMES.index(name)]


def test_a_month_by_hand() -> None:
    """Thursday 28 and Friday 29 June, Monday 2 to Thursday 5 July 2012, and 9 July after a weekend."""
    found = encodings(
        sessions(
            "2012-06-28",
            "2012-06-29",
            "2012-07-02",
            "2012-07-03",
            "2012-07-05",
            "2012-07-06",
            "2012-07-09",
        )
    )
    assert found.shape == (7, len(NAMES))
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.exp(column(found, "gap")), [1, 1, 3, 1, 2, 1, 3], rtol=1e-6)
    # The last weekday of June; the first three of July: 2, 3, and 4, on which no session was.
    assert column(found, "turn_of_month").tolist() == [0, 1, 1, 1, 0, 0, 0]
    weekday = np.array([3, 4, 0, 1, 3, 4, 0])
    np.testing.assert_allclose(
        column(found, "weekday_sin"), np.sin(2 * np.pi * weekday / 7), atol=1e-6
    )
    place = [27 / 30, 28 / 30, 1 / 31, 2 / 31, 4 / 31, 5 / 31, 8 / 31]
    np.testing.assert_allclose(
        column(found, "month_cos"), np.cos(2 * np.pi * np.array(place)), atol=1e-6
    )


def test_the_turn_is_the_last_weekday_and_the_first_three() -> None:
    # 31 March 2012 was a Saturday, 1 February a Wednesday.
    ts = sessions(
        "2012-02-01", "2012-02-02", "2012-02-03", "2012-02-06", "2012-03-29", "2012-03-30"
    )
    assert column(encodings(ts), "turn_of_month").tolist() == [1, 1, 1, 0, 0, 1]


def test_later_sessions_change_nothing_and_earlier_ones_only_the_first_gap() -> None:
    ts = sessions("2020-01-30", "2020-01-31", "2020-02-03", "2020-02-10", "2020-04-30")
    whole = encodings(ts)
    np.testing.assert_array_equal(encodings(ts[:3]), whole[:3])
    np.testing.assert_array_equal(encodings(ts[1:])[1:], whole[2:])
    assert column(whole, "gap")[-1] == pytest.approx(np.log(30))  # 80 days, cut at 30
