"""The replay of vintages: the newest values as known, against a plain recomputation."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btq_assets.features.as_known import (
    Window,
    as_known,
    change_over_days,
    newest,
    standard_score,
)

UTC = dt.UTC
START = dt.datetime(2020, 1, 1, tzinfo=UTC)
VINTAGES = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 12), st.floats(-5, 5)),
    min_size=1, max_size=25, unique_by=lambda row: row[:2],
)  # fmt: skip


def _rows(rows) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "series": "a",
            "period": [START.date() + dt.timedelta(days=day) for day, _, _ in rows],
            "known_at": [START + dt.timedelta(hours=hour) for _, hour, _ in rows],
            "value": [value for *_, value in rows],
        },
        schema_overrides={"known_at": pl.Datetime("us", "UTC")},
    )


def _sum_before(window: Window) -> float:
    return float(window.values_before.sum()) if window.values_before.size else float("nan")


@settings(max_examples=60, deadline=None)
@given(rows=VINTAGES, length=st.integers(1, 5))
def test_every_instant_shows_the_newest_vintage_of_the_newest_periods(rows, length):
    measures = {
        "newest": newest,
        "total": lambda w: float(w.values.sum()),
        "before": _sum_before,
    }
    found = as_known(_rows(rows), measures, by=["series"], length=length)
    hours = sorted({hour for _, hour, _ in rows})
    assert found.height == len(hours)
    previous = None
    for hour, row in zip(hours, found.iter_rows(named=True), strict=True):
        known: dict[int, tuple[int, float]] = {}
        for day, at, value in rows:
            if at <= hour and (day not in known or at > known[day][0]):
                known[day] = (at, value)
        shown = [known[day][1] for day in sorted(known)[-length:]]
        released = min(at for day, at, _ in rows if day == max(known))
        assert row["newest"] == shown[-1]
        assert row["total"] == float(np.array(shown).sum())
        assert row["before"] == previous
        assert row["released_at"] == START + dt.timedelta(hours=released)
        assert row["is_release"] == (released == hour)
        previous = row["total"]


def test_changes_over_days_need_that_very_day():
    change = change_over_days(7, logarithmic=True)
    rows = [(0, 0, 2.0), (6, 6, 3.0), (7, 7, 4.0), (8, 8, 5.0)]
    found = as_known(_rows(rows), {"change": change}, by=["series"], length=10)
    assert found["change"].to_list() == [None, None, pytest.approx(math.log(2)), None]


def test_what_does_not_vary_or_is_no_number_has_no_score():
    assert standard_score(np.array([1.0, 2.0, 6.0])) == pytest.approx(3 / math.sqrt(7))
    assert math.isnan(standard_score(np.full(9, 0.1)))
    assert math.isnan(standard_score(np.array([1.0, np.nan, 2.0])))


def test_rows_without_a_number_are_left_out():
    rows = _rows([(0, 0, 1.0), (1, 1, float("nan")), (2, 2, float("inf"))])
    found = as_known(rows, {"newest": newest}, by=["series"], length=3)
    assert found["newest"].to_list() == [1.0]
    assert as_known(rows.clear(), {"newest": newest}, by=["series"], length=3).is_empty()
