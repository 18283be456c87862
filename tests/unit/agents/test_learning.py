"""What an agent learns, and that it is the same agent every time and wherever it is loaded."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pytest

from btq_assets.agents.agent import TrainedAgent
from btq_assets.agents.environment import AdvancedTradingEnv
from btq_assets.agents.market import AgentError
from btq_assets.agents.ppo import train_agent
from btq_assets.agents.trainer import market_from_frame, train_rl_agent
from btq_assets.config import TradingConfig

#: A fold's share of the quick budget: 16,000 steps over four folds.
FOLD_STEPS = 4_000
TRAINED_UNTIL = 250


def train_environment(planted, config):
    return AdvancedTradingEnv(
        planted.market, config, last=TRAINED_UNTIL, episode_decisions=52, random_start=True
    )


def total_reward(env, policy):
    observation, _ = env.reset()
    total, done = 0.0, False
    while not done:
        observation, reward, terminated, truncated, _ = env.step(policy(observation, env))
        total += reward
        done = terminated or truncated
    return total


@pytest.fixture(scope="module")
def fitted(planted, free_hand):
    """One agent for the whole module: training is what takes time here."""
    env = train_environment(planted, free_hand)
    agent = train_agent(env, total_timesteps=FOLD_STEPS, seed=7)
    return SimpleNamespace(planted=planted, config=free_hand, env=env, agent=agent)


def test_ppo_learns_a_planted_edge_within_a_folds_quick_budget(fitted):
    # The oracle holds the asset with the best signal; 1/N earns noise. Decisions never trained on.
    market, signal = fitted.planted.market, fitted.planted.signal
    test = AdvancedTradingEnv(
        market, fitted.config, first=TRAINED_UNTIL + 5, scaler=fitted.env.scaler
    )

    def oracle(_, env):
        action = -np.ones(6)
        action[np.argmax(signal[env.position])] = 1.0
        return action

    optimal = total_reward(test, oracle)
    even = total_reward(test, lambda *_: np.array([1, 1, 1, 1, 1, -1.0]))
    learned = total_reward(test, lambda observation, _: fitted.agent.predict(observation))
    assert learned - even >= 0.5 * (optimal - even), (learned, even, optimal)
    assert len(fitted.agent.learning_curve) == 16
    assert fitted.agent.learning_curve[-1] > fitted.agent.learning_curve[0]


def test_what_was_learned_is_the_signal_and_not_the_noise(fitted):
    env = AdvancedTradingEnv(fitted.planted.market, fitted.config, scaler=fitted.env.scaler)
    observation, _ = env.reset()
    per_asset = observation[:-1].reshape(5, 5)

    def logit_of_first(column, value):
        changed = per_asset.copy()
        changed[0, column] = value
        return fitted.agent.predict(np.append(changed.ravel(), observation[-1]))[0]

    effect = [logit_of_first(c, 1.5) - logit_of_first(c, -1.5) for c in range(3)]
    assert effect[0] > 0.2
    assert effect[0] > 2 * max(abs(effect[1]), abs(effect[2]))


def test_permuting_assets_permutes_actions(fitted):
    random = np.random.default_rng(0)
    per_asset = random.normal(size=(5, 5)).astype(np.float32)
    per_asset[:, -1] = [1, 1, 0, 1, 1]
    order = random.permutation(5)
    before = fitted.agent.predict(np.append(per_asset.ravel(), np.float32(0.1)))
    after = fitted.agent.predict(np.append(per_asset[order].ravel(), np.float32(0.1)))
    assert after[:-1] == pytest.approx(before[:-1][order], abs=1e-6)
    assert after[-1] == pytest.approx(before[-1], abs=1e-6)


def test_same_seed_same_agent_and_saved_agent_is_the_same(fitted, tmp_path):
    config = TradingConfig(
        max_position_size=1.0, models={"rl": {"total_timesteps": 128, "n_steps": 128}}
    )
    one, two, other = (
        train_agent(train_environment(fitted.planted, config), total_timesteps=128, seed=seed)
        for seed in (7, 7, 8)
    )
    observations = np.random.default_rng(0).uniform(-1, 1, (50, 26)).astype(np.float32)
    assert np.array_equal(one.predict(observations), two.predict(observations))
    assert not np.allclose(one.predict(observations), other.predict(observations))
    one.save(tmp_path / "agent")
    assert sorted(p.name for p in (tmp_path / "agent").iterdir()) == [
        "agent.json", "policy.safetensors",
    ]  # fmt: skip
    again = TrainedAgent.load(tmp_path / "agent")
    assert np.array_equal(again.predict(observations), one.predict(observations))
    assert again.feature_names == one.feature_names
    assert again.spec["seed"] == 7
    assert np.array_equal(again.scaler.mean, one.scaler.mean)


def test_bad_agents_and_observations_are_named(fitted, tmp_path):
    with pytest.raises(AgentError, match="missing"):
        TrainedAgent.load(tmp_path)
    with pytest.raises(AgentError, match="shape"):
        fitted.agent.predict(np.zeros(25, np.float32))
    with pytest.raises(AgentError, match="finite"):
        fitted.agent.predict(np.full(26, np.nan, np.float32))
    fitted.agent.save(tmp_path)
    spec = tmp_path / "agent.json"
    spec.write_text(spec.read_text().replace('"noise_1",', ""))
    with pytest.raises(AgentError, match="do not fit"):
        TrainedAgent.load(tmp_path)


# --- the notebook's call --------------------------------------------------------------------


def tidy(bars) -> pl.DataFrame:
    return bars.with_columns(
        momentum=(pl.col("adj_close") / pl.col("adj_close").shift(20) - 1).over("symbol")
    )


def test_trainer_takes_polars_and_pandas_alike(bars):
    config = TradingConfig(models={"rl": {"n_steps": 64, "total_timesteps": 128}})
    frame = tidy(bars)
    agent = train_rl_agent(frame, ["momentum"], 64, config)
    same = train_rl_agent(frame.to_pandas().set_index("ts"), ["momentum"], 64, config)
    observation = np.random.default_rng(0).uniform(-1, 1, 13).astype(np.float32)
    assert np.array_equal(agent.predict(observation), same.predict(observation))
    assert agent.spec["timesteps"] == 64
    env = AdvancedTradingEnv.from_frame(frame, ["momentum"], config)
    assert env.action_space.shape == (5,)


def test_single_instrument_ohlcv_is_enough(bars):
    one = tidy(bars).filter(pl.col("symbol") == "S00").to_pandas()
    frame = pd.DataFrame(
        {"close": one["close"].to_numpy(), "momentum": one["momentum"].to_numpy()},
        index=pd.DatetimeIndex(one["session"]),
    )
    market = market_from_frame(frame, ["momentum"], TradingConfig())
    assert market.symbols == ("ASSET",)
    # 80 weeks of five sessions: Mondays from the first with 20 sessions behind it to the last.
    assert market.decision_rows.tolist() == list(range(20, 400, 5))


def test_trainer_names_what_is_wrong(bars):
    config, frame = TradingConfig(), tidy(bars)
    with pytest.raises(AgentError, match="typo"):
        market_from_frame(frame, ["typo"], config)
    with pytest.raises(AgentError, match="price column: None"):
        market_from_frame(frame.drop("adj_close", "close"), ["momentum"], config)
    with pytest.raises(AgentError, match="several rows"):
        market_from_frame(frame.drop("symbol"), ["momentum"], config)
    with pytest.raises(AgentError, match="not positive"):
        market_from_frame(frame.with_columns(adj_close=pl.lit(-1.0)), ["momentum"], config)
    with pytest.raises(AgentError, match="at least two"):
        market_from_frame(frame.head(10), ["momentum"], config)
    with pytest.raises(AgentError, match="total_timesteps"):
        train_rl_agent(frame, ["momentum"], 0, config)
