"""The environment: accounting identity with the engine, API conformance, time, reward."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from btq_assets.agents.environment import AdvancedTradingEnv
from btq_assets.agents.market import AgentError, FeatureScaler, TradingMarket
from btq_assets.config import TradingConfig
from btq_assets.engine.costs import CostModel
from btq_assets.engine.simulation import simulate


def rollout(env, weights_of_step, start=0):
    """Drive the environment with given weights; returns rewards and infos."""
    env.reset(options={"start": start})
    rewards, infos, done = [], [], False
    while not done:
        _, reward, terminated, truncated, info = env.step_weights(weights_of_step(env))
        rewards.append(reward)
        infos.append(info)
        done = terminated or truncated
    return rewards, infos


@pytest.mark.parametrize("cost", [0.0, 0.0007])
def test_equity_is_that_of_the_engine_on_the_same_weights(planted, cost):
    # Peer: engine.simulate, bar by bar; with zero cost and with 7 bps commission and half-spread.
    market = planted.market
    market = TradingMarket(
        market.symbols, market.prices, market.decision_rows, market.features,
        np.full(len(market.prices), cost), cost, market.feature_names,
    )  # fmt: skip
    random = np.random.default_rng(1)
    wanted = random.dirichlet(np.ones(6), len(market.decision_rows))[:, :5]
    env = AdvancedTradingEnv(market)
    rollout(env, lambda e: wanted[e.position])
    targets = np.full(market.prices.shape, np.nan)
    targets[market.decision_rows[:-1]] = wanted[:-1]
    peer = simulate(
        market.prices,
        market.prices,
        targets,
        CostModel(commission_bps=cost * 1e4, half_spread_bps=cost * 1e4),
        initial_cash=1_000_000.0,
    )
    first, last = market.decision_rows[[0, -1]]
    daily = np.concatenate(env.daily_equity)
    assert daily == pytest.approx(peer.equity[first + 1 : last + 1], rel=1e-9)
    assert env.account.shares == pytest.approx(peer.shares[last], rel=1e-9)


def test_identity_holds_with_gaps_and_a_series_that_ends(planted):
    market = planted.market
    prices = market.prices.copy()
    prices[300:, 0] = np.nan  # ends: settled by the engine after 21 missing sessions
    prices[500:508, 1] = np.nan  # a gap: orders dropped, valued at the last price
    prices[700:721, 2] = np.nan  # settled at 720, and back at 721 before the next fill
    market = TradingMarket(
        market.symbols, prices, market.decision_rows, market.features,
        market.half_spread, 0.0, market.feature_names,
    )  # fmt: skip
    env = AdvancedTradingEnv(market)
    # Weights that go on wanting what has no price, as a careless agent might.
    wanted = np.random.default_rng(2).dirichlet(np.ones(6), len(market.decision_rows))[:, :5]
    rollout(env, lambda e: wanted[e.position])
    targets = np.full(prices.shape, np.nan)
    targets[market.decision_rows[:-1]] = wanted[:-1]
    peer = simulate(prices, prices, targets, CostModel(), initial_cash=1_000_000.0)
    first, last = market.decision_rows[[0, -1]]
    daily = np.concatenate(env.daily_equity)
    assert daily == pytest.approx(peer.equity[first + 1 : last + 1], rel=1e-9)


def test_gymnasium_and_stable_baselines_accept_it(planted):
    from stable_baselines3.common.env_checker import check_env as sb3_check_env

    env = AdvancedTradingEnv(planted.market, random_start=True, episode_decisions=20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env, skip_render_check=True)
        sb3_check_env(env)


def test_an_overridden_reward_is_used(planted):
    class Thrifty(AdvancedTradingEnv):
        def _calculate_reward(self, return_rate, transaction_cost):
            return -1000.0 * transaction_cost

    market = planted.market
    market = TradingMarket(
        market.symbols, market.prices, market.decision_rows, market.features,
        market.half_spread, 0.001, market.feature_names,
    )  # fmt: skip
    env = Thrifty(market)
    env.reset()
    _, reward, *_, info = env.step(np.zeros(6, np.float32))
    assert reward == pytest.approx(-1000.0 * info["transaction_cost"])
    assert info["transaction_cost"] > 0


def test_default_reward_is_the_scaled_net_return(planted):
    config = TradingConfig(agents={"reward_scale": 10.0})
    rewards, infos = rollout(AdvancedTradingEnv(planted.market, config), lambda e: np.full(5, 0.2))
    assert rewards == pytest.approx([10.0 * info["net_return"] for info in infos])


def test_the_deciding_bar_never_fills(planted):
    # The fill bar's price sets how much cash is left; the deciding bar's price sets the shares.
    market = planted.market
    row = int(market.decision_rows[10])
    env = AdvancedTradingEnv(market)
    env.reset(options={"start": 10})
    weights = np.array([0.4, 0, 0, 0, 0])
    env.step_weights(weights)
    shares = 0.4 * 1_000_000 / market.prices[row, 0]
    assert env.account.shares[0] == pytest.approx(shares)
    assert env.account.cash == pytest.approx(1_000_000 - shares * market.prices[row + 1, 0])


def test_the_future_changes_no_observation(planted):
    market = planted.market
    later = market.prices.copy()
    cut = int(market.decision_rows[50])
    later[cut + 1 :] *= 1.5
    other = TradingMarket(
        market.symbols, later, market.decision_rows, market.features,
        market.half_spread, 0.0, market.feature_names,
    )  # fmt: skip
    seen = []
    for each in (market, other):
        env = AdvancedTradingEnv(each)
        env.reset()
        observations = [env.observe()]
        for _ in range(50):
            observations.append(env.step(np.linspace(-1, 1, 6, dtype=np.float32))[0])
        seen.append(np.array(observations))
    assert np.array_equal(*seen)


def test_actions_become_weights_within_limits(planted):
    env = AdvancedTradingEnv(planted.market, TradingConfig(max_position_size=0.25))
    env.reset()
    # Equal logits: softmax over five assets and cash.
    assert env.weights_of(np.zeros(6)) == pytest.approx(np.full(5, 1 / 6))
    # All on one asset: capped, the excess to the others, the rest in cash only if all are full.
    assert env.weights_of(np.array([1, -1, -1, -1, -1, -1])) == pytest.approx([0.25, *[
        (env.weights_of(np.array([1, -1, -1, -1, -1, -1])).sum() - 0.25) / 4] * 4])  # fmt: skip
    cash = env.weights_of(np.array([-1, -1, -1, -1, -1, 1]))
    assert cash.sum() == pytest.approx(5 * np.exp(-10) / (1 + 5 * np.exp(-10)))
    with pytest.raises(AgentError, match="not finite"):
        env.weights_of(np.array([np.nan] * 6))


def test_an_asset_that_is_not_known_gets_nothing(planted):
    market = planted.market
    features = market.features.copy()
    features[3, 2, 0] = np.nan
    hidden = TradingMarket(
        market.symbols, market.prices, market.decision_rows, features,
        market.half_spread, 0.0, market.feature_names,
    )  # fmt: skip
    env = AdvancedTradingEnv(hidden)
    env.reset(options={"start": 3})
    assert env.weights_of(np.ones(6))[2] == 0
    assert np.isfinite(env.observe()).all()


def test_scaling_is_fitted_on_the_visited_range_only(planted):
    market = planted.market
    later = market.features.copy()
    later[201:] = 99.0
    other = TradingMarket(
        market.symbols, market.prices, market.decision_rows, later,
        market.half_spread, 0.0, market.feature_names,
    )  # fmt: skip
    one, two = (FeatureScaler.fit(each, 0, 200) for each in (market, other))
    assert np.array_equal(one.mean, two.mean)
    assert one.mean == pytest.approx(market.features[:201].mean(axis=(0, 1)))


def test_episode_ends_and_starts_are_bounded(planted):
    env = AdvancedTradingEnv(
        planted.market, first=10, last=100, episode_decisions=20, random_start=True
    )
    starts = set()
    for seed in range(60):
        env.reset(seed=seed)
        starts.add(env.position)
        for step in range(20):
            *_, truncated, _ = env.step(np.zeros(6, np.float32))
            assert truncated == (step == 19)
    assert min(starts) >= 10
    assert max(starts) <= 80
    assert len(starts) > 20
    env = AdvancedTradingEnv(planted.market, first=0, last=1)
    env.reset()
    env.step(np.zeros(6, np.float32))
    with pytest.raises(AgentError, match="reset"):
        env.step(np.zeros(6, np.float32))


def test_bad_markets_are_named(planted):
    market = planted.market
    parts = [
        market.symbols, market.prices, market.decision_rows, market.features,
        market.half_spread, 0.0, market.feature_names,
    ]  # fmt: skip
    for place, value, match in (
        (3, market.features[:, :, :2], "features have shape"),
        (4, market.half_spread[1:], "half_spread"),
        (2, market.decision_rows[::-1], "ascending"),
    ):
        with pytest.raises(AgentError, match=match):
            TradingMarket(*parts[:place], value, *parts[place + 1 :])
    with pytest.raises(AgentError, match="at least two"):
        AdvancedTradingEnv(market, first=5, last=5)
    with pytest.raises(AgentError, match="outside"):
        AdvancedTradingEnv(market).reset(options={"start": 10_000})
    blank = TradingMarket(*parts[:3], np.full_like(market.features, np.nan), *parts[4:])
    with pytest.raises(AgentError, match="no symbol has all of"):
        AdvancedTradingEnv(blank)
