"""Quantum-inspired family, recomputed by hand from its written definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from polars.testing import assert_frame_equal
from scipy.stats import norm

from btq_assets.config import TradingConfig
from btq_assets.features import quantum


def _entropy(matrix: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    entropy, contribution, information = quantum.density_entropy(matrix[None])
    return float(entropy[0, 0]), contribution[0], information[0]


def test_independent_assets_have_full_entropy_and_no_shared_information():
    entropy, contribution, information = _entropy(np.eye(8))
    assert entropy == pytest.approx(1)
    np.testing.assert_allclose(contribution, 1)
    np.testing.assert_allclose(information, 0, atol=1e-12)


def test_one_common_motion_has_no_entropy():
    entropy, contribution, information = _entropy(np.ones((8, 8)))
    assert entropy == pytest.approx(0, abs=1e-9)
    assert np.isnan(contribution).all()
    assert np.isnan(information).all()


def test_two_assets_have_closed_forms():
    # Eigenvalues of [[1, c], [c, 1]] / 2 are (1 + c) / 2 and (1 - c) / 2; I = -ln(1 - c^2) / 2.
    c = 0.6
    entropy, contribution, information = _entropy(np.array([[1, c], [c, 1]]))
    weights = np.array([0.8, 0.2])
    assert entropy == pytest.approx(-(weights * np.log(weights)).sum() / math.log(2))
    np.testing.assert_allclose(contribution, [1, 1])
    np.testing.assert_allclose(information, -0.5 * math.log(1 - c**2))


def test_contributions_add_up_and_the_loner_contributes_most():
    # Assets 0 and 1 move together, 2 is independent: it carries more of the mixture.
    matrix = np.array([[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1.0]])
    _, contribution, information = _entropy(matrix)
    assert contribution.mean() == pytest.approx(1)
    assert contribution[2] > contribution[0] == pytest.approx(contribution[1])
    assert information[2] == pytest.approx(0, abs=1e-12)


def test_entanglement_of_a_panel_is_that_of_its_last_window(make_bars):
    bars = make_bars(5, 200)
    frame = quantum.compute(bars)
    prices = np.column_stack(
        [bars.filter(symbol=f"S{n:02d}")["adj_close"].to_numpy() for n in range(5)]
    )
    returns = prices[1:] / prices[:-1] - 1
    entropy, contribution, information = _entropy(np.corrcoef(returns[-63:].T))
    last = frame.filter(ts=frame["ts"].max()).sort("symbol")
    np.testing.assert_allclose(last["entanglement_entropy"], entropy, rtol=1e-9)
    np.testing.assert_allclose(last["entanglement_contribution"], contribution, rtol=1e-9)
    np.testing.assert_allclose(last["entanglement_mutual_information"], information, rtol=1e-8)


def test_oscillator_by_hand(make_bars):
    bars = make_bars(1, 220)
    w = 63
    y = np.log(bars["adj_close"].to_numpy())
    t = np.arange(w)
    d = np.full(len(y), np.nan)
    for end in range(w - 1, len(y)):
        window = y[end - w + 1 : end + 1]
        d[end] = y[end] - np.polyval(np.polyfit(t, window, 1), w - 1)
    x = np.full(len(y), np.nan)
    for end in range(2 * w - 2, len(y)):
        window = d[end - w + 1 : end + 1]
        x[end] = (d[end] - window.mean()) / window.std(ddof=1)
    v = np.diff(x)
    m = v[-1] / v[-w:].std(ddof=1)
    last = quantum.compute(bars).row(-1, named=True)
    assert last["oscillator_energy"] == pytest.approx((x[-1] ** 2 + m**2) / 2, rel=1e-8)
    assert last["oscillator_phase"] == pytest.approx(math.atan2(m, x[-1]), rel=1e-8)


def test_collapse_by_hand(make_bars):
    bars = make_bars(1, 400)
    r = np.diff(np.log(bars["adj_close"].to_numpy()))
    z = [r[n] / r[n - 252 : n].std(ddof=1) for n in range(252, len(r))]
    edges = np.concatenate([[-np.inf], norm.ppf(np.arange(1, 10) / 10), [np.inf]])

    def concentration(values):
        shares = np.histogram(values, edges)[0] / len(values)
        return np.sum(shares**2)

    last = quantum.compute(bars).row(-1, named=True)
    now, before = concentration(z[-63:]), concentration(z[-84:-21])
    assert last["collapse_concentration"] == pytest.approx(now, rel=1e-12)
    assert last["collapse_change"] == pytest.approx(now - before, rel=1e-9)


def test_a_calm_after_a_storm_is_a_collapse(make_bars):
    # Returns a hundredth of last year's all fall in the two middle deciles: 1/2 in place of 1/10.
    prices = np.concatenate([np.zeros(300), np.zeros(100)])
    moves = np.where(np.arange(400) % 2, 1.0, -1.0) * np.where(np.arange(400) < 330, 0.02, 0.0002)
    bars = make_bars(1, 400).with_columns(adj_close=np.exp(prices + np.cumsum(moves)))
    assert quantum.compute(bars)["collapse_concentration"][-1] == pytest.approx(0.5, rel=0.01)


@pytest.mark.parametrize(
    ("switch", "members"),
    [
        ("harmonic_oscillator", 2),
        ("wave_function_collapse", 2),
        ("entanglement", 3),
        ("enable", 7),
    ],
)
def test_a_member_switched_off_is_null_and_changes_no_other(switch, members, make_bars):
    bars = make_bars(2, 400)
    config = TradingConfig(features={"quantum_features": {switch: False}})
    full, found = quantum.compute(bars), quantum.compute(bars, config.features)
    off = [name for name in full.columns if found[name].is_null().all()]
    assert len(off) == members
    assert_frame_equal(found.drop(off), full.drop(off))
