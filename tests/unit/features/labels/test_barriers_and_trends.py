"""Labels by hand, against a regression, and free of prices outside their path."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btq_assets import timeline
from btq_assets.features import FeatureError
from btq_assets.features.labels import meta_labels, trend_scanning, triple_barrier
from btq_assets.features.labels.barriers import daily_volatility
from btq_assets.features.labels.paths import UNFINISHED, Paths, paths_of
from btq_assets.features.labels.table import forward

START = dt.datetime(2010, 1, 4, 21, tzinfo=dt.UTC)


def paths(close, *, open_=None, high=None, low=None) -> Paths:
    """One symbol with these prices; ranges unknown unless given."""
    column = np.asarray(close, dtype=float)[:, None]
    unknown = np.full(column.shape, np.nan)
    ts = pl.Series([START + dt.timedelta(days=n) for n in range(len(column))])
    extra = [
        unknown if given is None else np.asarray(given, dtype=float)[:, None]
        for given in (open_, high, low)
    ]
    return Paths("u", ts, ("A",), column, *extra, np.ones(column.shape, dtype=np.int64))


def barrier(given: Paths, volatility=0.01, **options):
    options = {"sessions": 3, "profit": 2.0, "stop": 1.0, **options}
    return triple_barrier(given, np.full(given.close.shape, volatility), **options)


# A decision on session 0 fills at 100 on session 1; barriers at 102 and 99 until session 4.
@pytest.mark.parametrize(
    ("after", "value", "span", "gained"),
    [
        ([101, 102.5, 90, 90], 1, 2, 0.025),  # up first; what follows does not matter
        ([101, 98.5, 110, 110], -1, 2, -0.015),
        ([101, 101.5, 99.5, 110], 0, 3, -0.005),  # the vertical barrier
        ([102, 0.5, 0.5, 0.5], 1, 1, 0.02),  # touching is enough
        ([99, 200, 200, 200], -1, 1, -0.01),
    ],
)
def test_the_first_barrier_touched_is_the_label(after, value, span, gained):
    found = barrier(paths([7, 100, *after]))
    assert found.value[0, 0] == value
    assert found.span[0, 0] == span
    assert found.end[0, 0] == 1 + span
    assert found.path_return[0, 0] == pytest.approx(gained)


def test_a_price_on_a_barrier_touches_it():
    # Barriers at exactly 150 and 75, numbers that binary fractions hold.
    for price, label in ((150, 1), (75, -1)):
        assert barrier(paths([7, 100, price, 100, 100]), volatility=0.25).value[0, 0] == label


def test_a_path_that_goes_on_has_no_label_and_a_touched_one_has():
    found = barrier(paths([7, 100, 101, 101]))
    assert np.isnan(found.value).all()
    assert (found.end == UNFINISHED).all()
    assert barrier(paths([7, 100, 101, 103])).value[0, 0] == 1


def test_a_missing_bar_touches_nothing_and_a_missing_end_is_no_label():
    nan = float("nan")
    assert barrier(paths([7, 100, nan, 103, 90])).span[0, 0] == 2
    assert np.isnan(barrier(paths([7, 100, 101, nan, nan, 105])).value[0, 0])
    assert np.isnan(barrier(paths([7, nan, 101, 103, 105])).value[0, 0])  # no fill


def test_ranges_touch_before_closes_and_the_stop_comes_first():
    close = [7, 100, 100.5, 101, 101]
    both = {"open_": [7, 100, 100, 100, 100], "high": [7, 100, 103, 101, 101], "low": [7, 100, 98, 100, 100]}  # fmt: skip
    found = barrier(paths(close, **both), touch="range")
    assert (found.value[0, 0], found.span[0, 0]) == (-1, 1)
    assert found.path_return[0, 0] == pytest.approx(-0.01)  # sold at the barrier
    assert barrier(paths(close, **both)).value[0, 0] == 0  # closes alone see none of it
    gap = {"open_": [7, 100, 95, 100, 100], "high": [7, 100, 97, 101, 101], "low": [7, 100, 94, 100, 100]}  # fmt: skip
    found = barrier(paths([7, 100, 96, 101, 101], **gap), touch="range")
    assert found.path_return[0, 0] == pytest.approx(-0.05)  # sold at the open beyond it
    # Without a range a bar is judged at its close.
    assert barrier(paths([7, 100, 102, 1, 1]), touch="range").path_return[0, 0] == pytest.approx(0.02)  # fmt: skip


def test_a_short_position_meets_the_barriers_mirrored():
    given = paths([7, 100, 97.5, 100, 100])
    short = np.full(given.close.shape, -1.0)
    found = barrier(given, side=short)
    assert found.value[0, 0] == 1
    assert found.path_return[0, 0] == pytest.approx(-0.025)  # of the price, side ignored
    assert meta_labels(found, short).value[0, 0] == 1
    wrong = barrier(paths([7, 100, 103, 100, 100]), side=short)
    assert wrong.value[0, 0] == -1
    assert meta_labels(wrong, short).value[0, 0] == 0
    nobody = np.full(given.close.shape, np.nan)
    assert np.isnan(meta_labels(barrier(given, side=nobody), nobody).value).all()


def test_the_volatility_is_that_of_pandas(make_bars):
    # Snippet 3.1: returns.ewm(span=100).std(), of simple returns.
    bars = make_bars(1, 200)
    returns = bars["adj_close"].to_pandas().pct_change()
    expected = returns.ewm(span=100, min_periods=20).std().to_numpy()
    np.testing.assert_allclose(daily_volatility(bars, 100)[:, 0], expected, rtol=1e-10)


def test_trends_are_those_of_a_regression():
    from scipy.stats import linregress

    random = np.random.default_rng(1)
    close = np.exp(np.cumsum(random.normal(0, 0.02, 60)))
    found = trend_scanning(paths(close), shortest=5, longest=12)
    for decision in (0, 17, 40):
        t = {}
        for span in range(5, 13):
            fit = linregress(np.arange(span + 1), np.log(close[decision + 1 : decision + 2 + span]))
            t[span] = fit.slope / fit.stderr
        best = max(t, key=lambda span: abs(t[span]))
        assert found.t_value[decision, 0] == pytest.approx(t[best], rel=1e-8)
        assert found.value[decision, 0] == np.sign(t[best])
        assert found.span[decision, 0] == best
        assert found.end[decision, 0] == decision + 1 + 12  # which span is best is known only then
        assert found.path_return[decision, 0] == pytest.approx(
            close[decision + 1 + best] / close[decision + 1] - 1
        )
    assert np.isnan(found.value[60 - 13 :]).all()
    assert np.isfinite(found.value[: 60 - 13]).all()


def test_perfect_and_flat_trends_have_a_label_but_no_statistic():
    rising = trend_scanning(paths(np.exp(0.01 * np.arange(20))), shortest=3, longest=6)
    assert rising.value[0, 0] == 1
    assert np.isnan(rising.t_value[0, 0])
    flat = trend_scanning(paths(np.full(20, 5.0)), shortest=3, longest=6)
    assert (flat.value[0, 0], flat.t_value[0, 0]) == (0, 0)


@settings(max_examples=40, deadline=None)
@given(
    decision=st.integers(0, 60),
    seed=st.integers(0, 10_000),
    kind=st.sampled_from(["close", "range", "trend", "forward"]),
)
def test_no_label_reads_prices_before_its_fill_or_after_its_end(decision, seed, kind):
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.02, 80)))
    high = close * np.exp(np.abs(random.normal(0, 0.01, 80)))
    low = close * np.exp(-np.abs(random.normal(0, 0.01, 80)))

    def label(close, high, low):
        given = paths(close, open_=close, high=high, low=low)
        if kind == "trend":
            return trend_scanning(given, shortest=3, longest=8)
        if kind == "forward":
            frame = pl.DataFrame(
                {"universe": "u", "symbol": "A", "ts": given.ts, "adj_close": close}
            )
            return forward(frame, 5)
        return triple_barrier(
            given,
            np.full(given.close.shape, 0.02),
            sessions=8,
            profit=2.0,
            stop=2.0,
            touch=kind,
        )

    found = label(close, high, low)
    fill, end = decision + timeline.FILL_LAG_SESSIONS, found.end[decision, 0]
    assert end > fill
    outside = (np.arange(80) < fill) | (np.arange(80) > end)
    noise = np.where(outside, np.exp(random.normal(0, 1, 80)), 1.0)
    again = label(close * noise, high * noise, low * noise)
    for name in ("value", "end", "span", "path_return"):
        assert getattr(again, name)[decision, 0] == getattr(found, name)[decision, 0]


def test_paths_keep_gaps_and_when_bars_were_known(make_bars):
    bars = make_bars(2, 6)
    late = bars.with_columns(
        known_at=pl.when(pl.int_range(pl.len()) == 2)
        .then(pl.col("known_at") + dt.timedelta(days=30))
        .otherwise("known_at")
    ).filter(pl.int_range(pl.len()) != 8)
    given = paths_of(late)
    assert np.isnan(given.close[2, 1])
    assert given.known_at[2, 1] == 0
    assert given.known_at[2, 0] > given.known_at[5, 0]
    assert given.close[0].tolist() == [1, 1]


def test_impossible_settings_are_named():
    given = paths([1, 1, 1])
    with pytest.raises(FeatureError, match="positive"):
        barrier(given, stop=0)
    with pytest.raises(FeatureError, match="shortest"):
        trend_scanning(given, shortest=1, longest=3)
