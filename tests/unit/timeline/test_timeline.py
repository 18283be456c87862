"""Time: the as-of join, decisions, fills, labels and purged folds. Values worked by hand."""

from __future__ import annotations

import datetime as dt
import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btq_assets import timeline

UTC = dt.UTC


def at(day: int, hour: int = 0) -> dt.datetime:
    return dt.datetime(2024, 1, day, hour, tzinfo=UTC)


def test_asof_join_reads_the_newest_row_known_by_then_and_never_a_later_one():
    left = pl.DataFrame({"ts": [at(3), at(1), at(2)]})
    right = pl.DataFrame({"known_at": [at(2, 1), at(2), at(1, 12)], "value": [3.0, 2.0, 1.0]})
    joined = timeline.asof_join(left, right)
    assert joined["ts"].to_list() == left["ts"].to_list()
    assert joined["value"].to_list() == [3.0, None, 2.0]


def test_asof_join_by_symbol_and_with_a_stale_limit():
    left = pl.DataFrame({"symbol": ["A", "B", "A"], "ts": [at(2), at(2), at(20)]})
    right = pl.DataFrame({"symbol": ["A", "B"], "known_at": [at(1), at(3)], "value": [1.0, 2.0]})
    joined = timeline.asof_join(left, right, by="symbol", max_age=dt.timedelta(days=10))
    assert joined["value"].to_list() == [1.0, None, None]


def test_asof_join_refuses_times_without_a_zone():
    naive = pl.DataFrame({"ts": [dt.datetime(2024, 1, 1)]})
    with pytest.raises(timeline.TimelineError, match="UTC"):
        timeline.asof_join(naive, pl.DataFrame({"known_at": [at(1)]}))


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(-5, 5)), min_size=1, max_size=30))
@settings(max_examples=40, deadline=None)
def test_asof_join_is_unmoved_by_rows_known_later(pairs):
    rows = pl.DataFrame(
        {"known_at": [at(day) for day, _ in pairs], "value": [float(v) for _, v in pairs]}
    )
    left = pl.DataFrame({"ts": [at(10)]})
    past = timeline.truncate(rows, at(10))
    assert timeline.asof_join(left, rows)["value"].to_list() == (
        timeline.asof_join(left, past)["value"].to_list() if past.height else [None]
    )


def test_sessions_are_those_of_the_exchange():
    # New York Stock Exchange, published: closed on 2001-09-11 and 12 to 14, and early close on
    # 2001-11-23 at 13:00 Eastern (18:00 UTC).
    sessions = timeline.session_closes("XNYS", dt.date(2001, 9, 10), dt.date(2001, 11, 23))
    days = sessions["session"].to_list()
    assert dt.date(2001, 9, 10) in days
    assert not {dt.date(2001, 9, day) for day in (11, 12, 13, 14)} & set(days)
    assert sessions["ts"][-1] == dt.datetime(2001, 11, 23, 18, tzinfo=UTC)
    assert sessions["ts"][0] == dt.datetime(2001, 9, 10, 20, tzinfo=UTC)


def test_decisions_open_a_week_and_cutting_the_data_moves_none():
    sessions = timeline.session_closes("XNYS", dt.date(2023, 12, 27), dt.date(2024, 1, 31))["ts"]
    decisions = timeline.decision_times(sessions, "week")
    # Mondays, and Tuesdays after New Year's Day and Martin Luther King Day.
    assert [stamp.date().day for stamp in decisions] == [2, 8, 16, 22, 29]
    for cut in range(3, len(sessions)):
        kept = sessions[:cut]
        expected = decisions.filter(decisions <= kept.max())
        assert timeline.decision_times(kept, "week").to_list() == expected.to_list()


def test_labels_run_from_the_fill_after_the_decision_to_the_fill_h_sessions_later():
    days = [at(day) for day in range(1, 7)]
    bars = pl.DataFrame(
        {"universe": "u", "symbol": "A", "ts": days, "adj_close": [1.0, 2, 4, 8, 16, 32]}
    )
    labels = timeline.forward_returns(bars, 2)
    # Decided at day 1, filled at day 2 (price 2), ends at day 4 (price 8): 8 / 2 - 1 = 3.
    assert labels["label"].to_list() == [3.0, 3.0, 3.0, None, None, None]
    assert labels["label_start_ts"].to_list()[:2] == [days[1], days[2]]
    assert labels["label_end_ts"].to_list()[:2] == [days[3], days[4]]


def test_an_asset_without_a_price_at_a_fill_has_no_label():
    days = [at(day) for day in range(1, 6)]
    full = pl.DataFrame({"universe": "u", "symbol": "A", "ts": days, "adj_close": [1.0] * 5})
    holed = full.with_columns(symbol=pl.lit("B")).filter(pl.col("ts") != days[2])
    labels = timeline.forward_returns(pl.concat([full, holed]), 1).filter(pl.col("symbol") == "B")
    # Sessions are the universe's: B's missing day 3 is not skipped over.
    assert labels["label"].to_list() == [None, None, None, None]
    assert labels.height == 4


def test_labels_do_not_see_back_adjustment():
    random = np.random.default_rng(1)
    prices = np.exp(random.normal(0, 0.01, 60).cumsum())
    days = [at(1) + dt.timedelta(days=i) for i in range(60)]
    bars = pl.DataFrame({"universe": "u", "symbol": "A", "ts": days, "adj_close": prices})
    scaled = bars.with_columns(pl.col("adj_close") * 7.3)
    np.testing.assert_allclose(
        timeline.forward_returns(bars, 5)["label"].drop_nulls(),
        timeline.forward_returns(scaled, 5)["label"].drop_nulls(),
        rtol=1e-12,
    )


def weekly_samples(years: int = 12) -> pl.DataFrame:
    start = dt.datetime(2000, 1, 3, 21, tzinfo=UTC)
    stamps = [start + dt.timedelta(weeks=i) for i in range(52 * years)]
    return pl.DataFrame({"ts": stamps}).with_columns(
        label_end_ts=pl.col("ts") + pl.duration(days=8)
    )


FOLD_SETTINGS = {
    "first_test": dt.date(2006, 1, 1),
    "test_months": 24,
    "max_folds": 3,
    "train_years": 4,
    "validation_months": 12,
}


def test_folds_are_purged_by_the_label_and_never_overlap():
    samples = weekly_samples()
    ends = dict(samples.iter_rows())
    folds = timeline.walk_forward_folds(samples, **FOLD_SETTINGS)
    assert len(folds) == 3
    for fold in folds:
        assert ends[fold.train_end] <= fold.validation_start
        assert ends[fold.validation_end] <= fold.test_start
        # A label of eight days with weekly decisions purges exactly one decision a boundary.
        assert fold.n_purged == 2
    for before, after in itertools.pairwise(folds):
        assert before.test_end < after.test_start


def test_fold_boundaries_do_not_depend_on_where_the_data_end():
    samples = weekly_samples()
    folds = timeline.walk_forward_folds(samples, **FOLD_SETTINGS)
    cut = samples.filter(pl.col("ts") <= dt.datetime(2008, 6, 1, tzinfo=UTC))
    truncated = timeline.walk_forward_folds(cut, **FOLD_SETTINGS)
    assert len(truncated) == 2
    assert truncated[0] == folds[0]
    assert truncated[1].test_start == folds[1].test_start
    assert truncated[1].validation_end == folds[1].validation_end


def test_folds_without_data_are_named():
    with pytest.raises(timeline.TimelineError, match="no validation decision"):
        timeline.walk_forward_folds(
            weekly_samples().filter(pl.col("ts") > dt.datetime(2006, 1, 1, tzinfo=UTC)),
            **FOLD_SETTINGS,
        )
    with pytest.raises(timeline.TimelineError, match="data end before"):
        timeline.walk_forward_folds(weekly_samples(2), **FOLD_SETTINGS)


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (dt.date(2024, 1, 31), 1, dt.date(2024, 2, 29)),
        (dt.date(2024, 1, 15), -13, dt.date(2022, 12, 15)),
        (dt.date(2023, 12, 1), 1, dt.date(2024, 1, 1)),
    ],
)
def test_add_months(day, months, expected):
    assert timeline.add_months(day, months) == expected
