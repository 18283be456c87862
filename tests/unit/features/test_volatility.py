"""Volatility family against closed forms, a plain recursion and a simulated diffusion."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from btq_assets.features import volatility


@pytest.fixture(scope="module")
def rows(make_bars):
    bars = make_bars(1, 400, seed=5)
    return bars, volatility.compute(bars)


def _log_returns(bars: pl.DataFrame) -> np.ndarray:
    return np.diff(np.log(bars["adj_close"].to_numpy()))


def test_realised_and_ratios_match_numpy(rows):
    bars, frame = rows
    r = _log_returns(bars)
    last = frame.row(-1, named=True)
    short = np.array([r[n - 21 : n].std(ddof=1) for n in range(21, len(r) + 1)])
    root = math.sqrt(252)
    assert last["volatility_21_annual"] == pytest.approx(short[-1] * root, rel=1e-10)
    assert last["volatility_63_annual"] == pytest.approx(r[-63:].std(ddof=1) * root, rel=1e-10)
    assert last["volatility_ratio_21_252"] == pytest.approx(
        short[-1] / r[-252:].std(ddof=1), rel=1e-9
    )
    assert last["volatility_of_volatility_63"] == pytest.approx(
        short[-63:].std(ddof=1) / short[-63:].mean(), rel=1e-9
    )
    assert last["downside_volatility_63_annual"] == pytest.approx(
        math.sqrt(252 * np.mean(np.minimum(r[-63:], 0) ** 2)), rel=1e-10
    )
    assert last["absolute_return_autocorrelation_63"] == pytest.approx(
        np.corrcoef(np.abs(r[-63:]), np.abs(r[-64:-1]))[0, 1], rel=1e-9
    )


def test_ewma_is_the_riskmetrics_recursion(rows):
    # v = 0.94 v + 0.06 r^2, divided by the weight given out so far, 1 - 0.94^n.
    bars, frame = rows
    variance, weight = 0.0, 0.0
    for r in _log_returns(bars):
        variance, weight = 0.94 * variance + 0.06 * r * r, 0.94 * weight + 0.06
    assert frame["volatility_ewma_annual"][-1] == pytest.approx(
        math.sqrt(252 * variance / weight), rel=1e-10
    )


def test_range_estimators_on_one_repeated_bar(make_bars):
    # Each session: open 100, high 104, low 98, close 101, so a mean is the value of one bar.
    bar = {"adj_open": 100.0, "adj_high": 104.0, "adj_low": 98.0, "adj_close": 101.0}
    bars = make_bars(1, 30).with_columns(pl.lit(value).alias(name) for name, value in bar.items())
    last = volatility.compute(bars).row(-1, named=True)
    o, h, l, c = (math.log(value) for value in bar.values())  # noqa: E741
    parkinson = (h - l) ** 2 / (4 * math.log(2))
    garman_klass = 0.5 * (h - l) ** 2 - (2 * math.log(2) - 1) * (c - o) ** 2
    rogers_satchell = (h - c) * (h - o) + (l - c) * (l - o)
    assert last["parkinson_21_annual"] == pytest.approx(math.sqrt(252 * parkinson))
    assert last["garman_klass_21_annual"] == pytest.approx(math.sqrt(252 * garman_klass))
    assert last["rogers_satchell_21_annual"] == pytest.approx(math.sqrt(252 * rogers_satchell))


def test_range_estimators_recover_a_simulated_volatility(make_bars):
    # A driftless diffusion at 20 % a year, 2,000 steps a day. The discrete path misses its
    # extremes a little: each estimator is low by a few per cent at most.
    n_days, n_steps, annual = 1_000, 2_000, 0.20
    step = annual / math.sqrt(252 * n_steps)
    path = np.cumsum(np.random.default_rng(6).normal(0, step, (n_days, n_steps)), axis=1)
    path = np.hstack([np.zeros((n_days, 1)), path])
    path += np.concatenate([[0], np.cumsum(path[:-1, -1])])[:, None]
    prices = {
        "adj_open": path[:, 0],
        "adj_high": path.max(axis=1),
        "adj_low": path.min(axis=1),
        "adj_close": path[:, -1],
    }
    bars = make_bars(1, n_days).with_columns(
        pl.Series(name, np.exp(value)) for name, value in prices.items()
    )
    frame = volatility.compute(bars)[20::21]
    for name in ("parkinson", "garman_klass", "rogers_satchell"):
        variance = (frame[f"{name}_21_annual"] ** 2).mean()
        assert math.sqrt(variance) == pytest.approx(annual, rel=0.06), name
