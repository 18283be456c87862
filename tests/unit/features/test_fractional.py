"""Fractional family against closed forms, and the choice of its order against statsmodels."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btq_assets.config import TradingConfig
from btq_assets.features import FeatureError, fractional


def test_weights_are_the_binomial_series():
    # (1 - B)^d = sum (-1)^k C(d, k) B^k, Hosking (1981), equation 2; by the gamma function.
    for order in (0.3, 0.5, 0.85):
        found = fractional.weights(order, 1e-12, longest=60)
        expected = [
            math.gamma(k - order) / (math.gamma(-order) * math.gamma(k + 1)) for k in range(60)
        ]
        np.testing.assert_allclose(found, expected, rtol=1e-10)
    np.testing.assert_allclose(fractional.weights(0.5, 1e-9, 5), [1, -1 / 2, -1 / 8, -1 / 16, -5 / 128])  # fmt: skip


def test_the_cut_off_keeps_weights_down_to_itself():
    kept = fractional.weights(0.4, 1e-3)
    longer = fractional.weights(0.4, 1e-9)
    assert abs(kept[-1]) >= 1e-3 > abs(longer[kept.size])


def test_the_difference_is_the_weighted_sum_from_the_oldest_price():
    random = np.random.default_rng(1)
    x = np.cumsum(random.normal(size=200))
    kernel = fractional.weights(0.4, 1e-3)
    found = fractional.fractional_difference(x, kernel)
    t, size = 150, kernel.size
    by_hand = sum(kernel[k] * (x[t - k] - x[t - size + 1]) for k in range(size))
    assert found[t] == pytest.approx(by_hand, rel=1e-12)
    assert np.isnan(found[: size - 1]).all()
    assert np.isfinite(found[size - 1 :]).all()


def test_order_one_gives_returns():
    # (1 - B)^1 is the plain first difference: weights 1, -1.
    x = np.cumsum(np.random.default_rng(2).normal(size=50))
    found = fractional.fractional_difference(x, fractional.weights(1.0, 1e-6))
    np.testing.assert_allclose(found[1:], np.diff(x), atol=1e-13)


def test_differences_undo_fractional_noise():
    # (1 - B)^0.4 of (1 - B)^-0.4 of white noise is the noise: Hosking (1981), section 2.
    random = np.random.default_rng(3)
    noise = random.normal(size=6_000)
    integrate = np.cumprod([1.0] + [(0.4 + k - 1) / k for k in range(1, 3_000)])
    fractional_noise = np.convolve(noise, integrate)[: noise.size]
    kernel = fractional.weights(0.4, 1e-9, longest=1_260)
    found = fractional._moving(fractional_noise, kernel)[3_000:]
    assert np.corrcoef(found, noise[3_000:])[0, 1] > 0.999


def test_the_family_standardises_its_own_value(make_bars):
    frame = fractional.compute(make_bars(1, 500))
    x = frame["fractional_log_price"]
    window = x[-63:].to_numpy()
    last = frame.row(-1, named=True)
    z = (window[-1] - window.mean()) / window.std(ddof=1)
    assert last["fractional_log_price_z_63"] == pytest.approx(z, rel=1e-10)
    assert last["fractional_log_price_change_5d"] == pytest.approx(x[-1] - x[-6], rel=1e-12)
    stated = {f.name: f.lookback_sessions for f in fractional.features_of(TradingConfig())}
    assert {name: frame[name].is_not_null().arg_max() for name in stated} == stated


def test_the_dickey_fuller_statistic_is_that_of_statsmodels():
    from statsmodels.tsa.stattools import adfuller

    random = np.random.default_rng(4)
    for values in (random.normal(size=400), np.cumsum(random.normal(size=400))):
        expected = adfuller(values, maxlag=1, regression="c", autolag=None)
        assert fractional.dickey_fuller(values) == pytest.approx(expected[0], rel=1e-9)
        rejected = expected[0] < expected[4]["5%"]
        assert fractional._rejects_unit_root(values) == rejected


def test_the_least_order_grows_with_memory():
    random = np.random.default_rng(5)
    noise = random.normal(size=2_000)
    assert fractional.least_order(noise, 1e-3) == 0.05
    walk = fractional.least_order(np.cumsum(noise), 1e-3)
    assert walk is not None
    assert walk > 0.05
    assert fractional.least_order(np.cumsum(noise)[:100], 1e-3) is None
    assert fractional.least_order(np.zeros(2_000), 1e-3) is None


def test_orders_are_chosen_before_the_first_test_only(make_bars):
    bars = make_bars(2, 900)
    config = TradingConfig(
        features={"fractional": {"choose_order": True, "weight_cutoff": 1e-3}},
        models={"walk_forward": {"first_test": "2012-01-02"}},
    )
    frame = fractional.compute(bars, config)
    before = frame.filter(pl.col("ts") < pl.datetime(2012, 1, 2, time_zone="UTC"))
    assert before["fractional_log_price"].null_count() == before.height
    orders = fractional.chosen_orders(bars, config)
    assert orders["order"].null_count() == 0
    # What comes after the first test has no say.
    late = pl.col("ts") >= pl.datetime(2012, 1, 2, time_zone="UTC")
    bent = bars.with_columns(
        adj_close=pl.when(late).then(pl.lit(7.0)).otherwise(pl.col("adj_close"))
    )
    assert fractional.chosen_orders(bent, config).equals(orders)
    cut = bars.filter(pl.col("ts") <= bars["ts"].unique().sort()[800])
    again = fractional.compute(cut, config)
    assert again.equals(frame.filter(pl.col("ts") <= cut["ts"].max()))


def test_impossible_settings_are_named():
    for order, cutoff, longest in ((0, 1e-3, 10), (0.4, 0, 10), (0.4, 1e-3, 1)):
        with pytest.raises(FeatureError, match="above 0"):
            fractional.weights(order, cutoff, longest)


@settings(max_examples=20, deadline=None)
@given(
    level=st.floats(-20, 20),
    order=st.floats(0.05, 1.0),
    values=st.lists(st.floats(-1, 1), min_size=60, max_size=80),
)
def test_the_level_of_the_price_does_not_matter(level, order, values):
    kernel = fractional.weights(order, 1e-3, longest=50)
    x = np.array(values)
    np.testing.assert_allclose(
        fractional.fractional_difference(x + level, kernel),
        fractional.fractional_difference(x, kernel),
        atol=1e-12,
    )
