"""Paths against closed forms, and the properties of both ways of drawing."""

import numpy as np
import pytest

from btq_assets.risk.measures import RiskError
from btq_assets.risk.simulation import simulate_paths

SIZE = {"n_paths": 2_000, "horizon_sessions": 100, "seed": 3}
HISTORY = np.random.default_rng(0).standard_t(5, 1_500) * 0.008 + 4e-4


def test_gaussian_terminal_return_has_its_closed_form_moments():
    found = simulate_paths(HISTORY, method="gaussian", n_paths=20_000, horizon_sessions=50, seed=1)
    mean, variance = HISTORY.mean(), HISTORY.var(ddof=1)
    expected = (1 + mean) ** 50
    spread = np.sqrt(((1 + mean) ** 2 + variance) ** 50 - expected**2)
    assert found.terminal_returns.mean() == pytest.approx(
        expected - 1, abs=4 * spread / np.sqrt(20_000)
    )
    assert found.terminal_returns.std() == pytest.approx(spread, rel=0.03)


def test_bootstrap_of_a_constant_history_is_compounding():
    found = simulate_paths(np.full(300, 0.001), **SIZE)
    assert found.terminal_returns == pytest.approx(1.001**100 - 1)
    assert (found.max_drawdowns == 0).all()
    assert found.probability_of_loss == 0


def test_one_path_by_hand():
    # A history of one repeated pair; blocks longer than the horizon replay it in order.
    history = np.tile([-0.5, 1.0], 50)
    found = simulate_paths(
        history, n_paths=50, horizon_sessions=2, seed=0, mean_block=1e9, with_fan=True
    )
    assert found.terminal_returns == pytest.approx(0.0)
    # Either it halves and doubles, or doubles and halves: both fall by half.
    assert found.max_drawdowns == pytest.approx(0.5)
    assert found.fan.shape == (5, 3)
    assert (found.fan[:, 0] == 1).all()


@pytest.mark.parametrize("method", ["block_bootstrap", "gaussian"])
def test_seeded(method):
    one, two = (simulate_paths(HISTORY, method=method, **SIZE) for _ in range(2))
    assert np.array_equal(one.terminal_returns, two.terminal_returns)
    other = simulate_paths(HISTORY, method=method, **(SIZE | {"seed": 4}))
    assert not np.array_equal(one.terminal_returns, other.terminal_returns)


@pytest.mark.parametrize("method", ["block_bootstrap", "gaussian"])
def test_doubled_returns_spread_wider(method):
    narrow, wide = (simulate_paths(k * HISTORY, method=method, **SIZE).statistics() for k in (1, 2))
    assert wide["terminal_return_p95"] > 1.5 * narrow["terminal_return_p95"]
    assert wide["max_drawdown_p95"] > 1.5 * narrow["max_drawdown_p95"]


def test_blocks_keep_what_independence_loses():
    # Long calm and long wild spells: blocks spread the volatility of paths, single days do not.
    random = np.random.default_rng(8)
    scale = np.repeat([0.002, 0.03], 750)
    history = random.normal(0, 1, 1_500) * scale
    blocks, days = (
        simulate_paths(history, mean_block=b, **SIZE).max_drawdowns.std() for b in (200, 1)
    )
    assert blocks > 1.5 * days


def test_quantiles_are_ordered():
    found = simulate_paths(HISTORY, **SIZE).statistics()
    terminal = [found[f"terminal_return_p{q:02d}"] for q in (1, 5, 25, 50, 75, 95, 99)]
    assert terminal == sorted(terminal)
    assert 0 <= found["max_drawdown_p50"] <= found["max_drawdown_p99"] <= 1


@pytest.mark.parametrize("history", [[0.1], [0.1, np.nan], [0.1, -1.0]])
def test_impossible_histories_are_refused(history):
    with pytest.raises(RiskError):
        simulate_paths(history, **SIZE)


def test_unknown_method_is_refused():
    with pytest.raises(RiskError, match="voodoo"):
        simulate_paths(HISTORY, method="voodoo", **SIZE)
