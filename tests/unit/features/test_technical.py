"""Technical family against closed forms and plain-Python versions of the published recursions."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from btq_assets.features import technical


def _bars(prices: np.ndarray) -> pl.DataFrame:
    start = dt.datetime(2020, 1, 1, 21, tzinfo=dt.UTC)
    return pl.DataFrame(
        {
            "universe": "u",
            "symbol": "a",
            "ts": [start + dt.timedelta(days=n) for n in range(len(prices))],
            "adj_close": prices,
        }
    )


@pytest.fixture(scope="module")
def walk() -> np.ndarray:
    return 80 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.02, 400)))


def test_constant_growth_has_closed_forms():
    # p[t] = g^t: every mean is a geometric sum.
    g, n = 1.001, 300
    last = technical.compute(_bars(g ** np.arange(n))).row(-1, named=True)
    geometric = {k: k * (1 - 1 / g) / (1 - g**-k) - 1 for k in (50, 200)}
    assert last["return_1d"] == pytest.approx(g - 1, rel=1e-10)
    assert last["return_63d"] == pytest.approx(g**63 - 1, rel=1e-10)
    assert last["momentum_12_1"] == pytest.approx(g**231 - 1, rel=1e-10)
    assert last["rsi_14"] == pytest.approx(100)
    assert last["distance_sma_50"] == pytest.approx(geometric[50], rel=1e-9)
    assert last["distance_sma_200"] == pytest.approx(geometric[200], rel=1e-9)
    assert last["distance_high_252"] == 0


def test_rsi_is_wilders_recursion(walk):
    # Wilder (1978): averages start as the mean of the first 14 moves, then a = (13 a + x) / 14.
    moves = np.diff(walk)
    gain, loss = np.maximum(moves, 0), np.maximum(-moves, 0)
    g, l = gain[:14].mean(), loss[:14].mean()  # noqa: E741
    expected = [100 * g / (g + l)]
    for up, down in zip(gain[14:], loss[14:], strict=True):
        g, l = (13 * g + up) / 14, (13 * l + down) / 14  # noqa: E741
        expected.append(100 * g / (g + l))
    found = technical.compute(_bars(walk))["rsi_14"].drop_nulls().to_numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def _ema(values: np.ndarray, n: int) -> np.ndarray:
    """EMA with factor 2 / (n + 1), started at the mean of the first n values."""
    result = [values[:n].mean()]
    for value in values[n:]:
        result.append(result[-1] + (value - result[-1]) * 2 / (n + 1))
    return np.array(result)


def test_macd_follows_talib_start_up(walk):
    # TA-Lib starts both averages so that they end their seeds at the same bar, the 26th.
    line = _ema(walk[14:], 12) - _ema(walk, 26)
    signal = _ema(line, 9)
    expected = (line[8:] - signal) / walk[33:]
    found = technical.compute(_bars(walk))["macd_histogram_to_price"].drop_nulls().to_numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-12)


def test_bollinger_z_uses_the_population_deviation(walk):
    window = walk[-20:]
    expected = (walk[-1] - window.mean()) / window.std()
    assert technical.compute(_bars(walk))["bollinger_z_20"][-1] == pytest.approx(expected, rel=1e-9)


def test_distance_to_the_high_looks_back_252_sessions_only():
    prices = np.full(300, 100.0)
    prices[40] = 200.0  # 259 sessions before the end: out of the window
    prices[60] = 125.0  # inside it
    found = technical.compute(_bars(prices))["distance_high_252"]
    assert found[-1] == pytest.approx(100 / 125 - 1)
    assert found[290] == pytest.approx(100 / 200 - 1)
