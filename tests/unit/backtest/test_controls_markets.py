"""Markets for controls: what each keeps and destroys, and the stated Sharpe ratio of the edge."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from btq_assets.backtest.controls.markets import (
    ControlBase,
    bars_of,
    control_market,
    cross_sectional_scores,
    persistent_noise,
    planted_edge,
)
from btq_assets.backtest.controls.settings import CONTROLS, NULLS, ControlSettings
from btq_assets.backtest.market import BacktestError
from btq_assets.contracts import core
from btq_assets.contracts.base import cast_to_contract
from btq_assets.timeline import decision_times

SETTINGS = ControlSettings()


def base_market(n_returns: int = 1_000, n_assets: int = 10, seed: int = 3) -> ControlBase:
    """One factor, own noise, and means that differ: something momentum could find."""
    random = np.random.default_rng(seed)
    market = random.standard_t(5, n_returns) * 0.007
    own = random.standard_t(5, (n_returns, n_assets)) * 0.01
    returns = 3e-4 + np.linspace(-1e-3, 1e-3, n_assets) + market[:, None] + own
    ts = pl.datetime_range(
        dt.datetime(2012, 1, 2, 21), dt.datetime(2030, 1, 1, 21), "1d", time_zone="UTC", eager=True
    )
    ts = ts.filter(ts.dt.weekday() <= 5).head(n_returns + 1).dt.cast_time_unit("us")
    return ControlBase("made", tuple(f"S{k:02d}" for k in range(n_assets)), ts, returns)


BASE = base_market()


@pytest.mark.parametrize("control", [*NULLS, "leak"])
def test_on_a_null_no_asset_is_better_than_another(control):
    market = control_market(BASE, control, 5, SETTINGS)
    returns = np.diff(np.log(market.traded), axis=0)
    drift = BASE.log_returns.mean()
    if control in ("null_dates", "null_phases"):
        # every asset's mean is the market's, to rounding: returns only moved, or kept their mean
        np.testing.assert_allclose(returns.mean(axis=0), drift, atol=1e-12)
    else:
        # resampled or exchanged: equal in expectation, five standard errors of the noise
        error = returns.std(axis=0) / np.sqrt(len(returns))
        assert (np.abs(returns.mean(axis=0) - drift) < 5 * error).all()
    again = control_market(BASE, control, 5, SETTINGS)
    np.testing.assert_array_equal(market.traded, again.traded)
    other = control_market(BASE, control, 6, SETTINGS)
    assert not np.array_equal(market.traded, other.traded)


def test_nulls_that_move_labels_leave_the_features_where_they_were():
    for control in ("null_dates", "null_assets"):
        first, second = (control_market(BASE, control, seed, SETTINGS) for seed in (1, 2))
        np.testing.assert_array_equal(first.seen, second.seen)
        moved = np.diff(np.log(first.traded), axis=0)
        kept = np.diff(np.log(first.seen), axis=0)
        # the same returns, elsewhere
        np.testing.assert_allclose(np.sort(moved.ravel()), np.sort(kept.ravel()), atol=1e-12)
        assert abs(np.corrcoef(moved.ravel(), kept.ravel())[0, 1]) < 0.6
    whole = control_market(BASE, "null_bootstrap", 1, SETTINGS)
    np.testing.assert_array_equal(whole.seen, whole.traded)


def test_an_edge_has_the_stated_sharpe_ratio():
    """Ranked by the signal, the difference to 1/N has the stated Sharpe ratio.

    By construction the mean gain is ``sharpe * sd / sqrt(252)``; measured here by a portfolio made
    independently of the code, over 40 years, where the standard error of a Sharpe ratio is 0.16.
    """
    base = base_market(10_000)
    noise = control_market(base, "null_bootstrap", 1, SETTINGS)
    returns = np.diff(np.log(noise.traded), axis=0)
    ts = pl.datetime_range(
        dt.datetime(1980, 1, 1, 21), dt.datetime(2030, 1, 1, 21), "1d", time_zone="UTC", eager=True
    )
    ts = ts.filter(ts.dt.weekday() <= 5).head(10_001)
    signal = persistent_noise((10_001, 10), 0.95, 7)
    for stated in (1.0, 3.0):
        edged = returns + planted_edge(returns, signal, ts, stated)
        decides = set(decision_times(ts, "week").to_list())
        active, difference = np.zeros(10), []
        pending = None
        for t, at in enumerate(ts.to_list()):
            if t > 0:
                difference.append(float(active @ edged[t - 1]))
            # filled at the end of the bar after the decision
            if pending is not None:
                active, pending = pending, None
            if at in decides:
                ranks = np.argsort(np.argsort(signal[t]))
                pending = 2 * ranks / (10 * 9) - 0.1
        found = np.mean(difference) / np.std(difference) * np.sqrt(252)
        without = found - stated
        assert abs(without) < 3 * 0.16 + 0.1, (stated, found)


def test_signal_and_scores():
    noise = persistent_noise((20_000, 3), 0.9, 1)
    assert np.corrcoef(noise[1:, 0], noise[:-1, 0])[0, 1] == pytest.approx(0.9, abs=0.02)
    np.testing.assert_allclose(noise.std(axis=0), 1.0, atol=0.1)
    np.testing.assert_array_equal(cross_sectional_scores(np.array([[5.0, 1.0, 3.0]])), [[1, -1, 0]])


def test_the_base_takes_whole_series_only_and_names_what_is_missing():
    bars = bars_of(
        control_market(BASE, "null_bootstrap", 1, SETTINGS), np.full((1_001, 10), 100.0)
    ).with_columns(pl.col("adj_close") * (1 + pl.col("ts").rank() / 1e6))
    assert cast_to_contract(bars, core.BARS_1D).height == 10_010
    holed = bars.filter((pl.col("symbol") != "S03") | (pl.col("ts") != BASE.ts[500]))
    made = ControlBase.from_bars(holed, "made", 900)
    assert len(made.symbols) == 9
    assert made.log_returns.shape == (900, 9)
    with pytest.raises(BacktestError, match="over 2000"):
        ControlBase.from_bars(bars, "made", 2_000)
    with pytest.raises(BacktestError, match="'null' is none of"):
        control_market(BASE, "null", 1, SETTINGS)


def test_every_control_is_made():
    small = replace(SETTINGS, planted_sharpe=2.0)
    for control in CONTROLS:
        market = control_market(BASE, control, 0, small)
        assert market.traded.shape == (1_001, 10)
        assert (market.planted_sharpe == 2.0) == (control == "planted")
