"""Fold by fold: who was trained on what, who decides when, and what the asset refuses."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from btq_assets.agents import assets
from btq_assets.agents.agent import TrainedAgent
from btq_assets.agents.environment import AdvancedTradingEnv
from btq_assets.agents.gates import agents_matter
from btq_assets.agents.market import FEATURES, AgentError, TradingMarket, trailing_features
from btq_assets.agents.walk_forward import agent_seeds, apply_fold_agents, train_fold_agents
from btq_assets.config import TradingConfig
from btq_assets.contracts import models
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.checks import CheckContext
from btq_assets.evidence.truncation import truncation_check
from btq_assets.portfolio.panel import PricePanel
from btq_assets.warehouse import Step


@pytest.fixture(scope="module")
def agents(two_folds):
    return train_fold_agents(two_folds.bars, two_folds.splits, two_folds.config)


@pytest.fixture(scope="module")
def frame(two_folds, agents):
    return apply_fold_agents(agents, two_folds.bars, two_folds.config)


def test_budget_is_shared_and_seeds_are_stated(two_folds, agents):
    # 256 steps over 2 folds and one seed: 128 each, two rollouts of 64.
    assert [(a.fold, a.seed, a.agent.spec["timesteps"]) for a in agents] == [
        (0, 7, 128),
        (1, 7, 128),
    ]
    assert agent_seeds(TradingConfig()) == (7,)
    assert agent_seeds(TradingConfig(profile="full")) == (7, 11, 13, 17, 19)


def test_fitted_numbers_are_those_of_the_saved_tensors(two_folds, agents, tmp_path):
    from safetensors.torch import load_file

    agent = agents[0].agent
    agent.save(tmp_path)
    (tensors,) = tmp_path.glob("*.safetensors")
    assert agent.n_parameters == sum(value.numel() for value in load_file(tensors).values())
    assert 0 < agent.spec["n_observations"] <= two_folds.bars.height


def test_training_reads_nothing_after_its_segment(two_folds, agents):
    first = two_folds.splits.row(0, named=True)
    later = pl.col("ts") > first["train_end"]
    changed = two_folds.bars.with_columns(
        adj_close=pl.when(later).then(pl.col("adj_close") * 3).otherwise("adj_close")
    )
    one_fold = two_folds.splits.head(1)
    config = TradingConfig(
        universe={"main": "test"},
        trading={"max_position_size": 0.5},
        models={"rl": {"n_steps": 64, "total_timesteps": 128}},
    )
    (again,) = train_fold_agents(changed, one_fold, config)
    observations = np.random.default_rng(0).uniform(-1, 1, (20, 29)).astype(np.float32)
    assert np.array_equal(again.agent.predict(observations), agents[0].agent.predict(observations))
    assert again.fitted_until == first["train_end"]


def test_targets_cover_all_test_decisions_within_limits(two_folds, frame):
    assert frame["ts"].unique().sort().to_list() == two_folds.decisions[100:].to_list()
    assert frame.height == 4 * len(two_folds.decisions[100:])
    assert frame["weight"].max() <= 0.5
    assert frame.group_by("ts").agg(pl.col("weight").sum())["weight"].max() <= 1


def test_applying_agents_to_cut_data_gives_the_same_weights_at_every_cut(two_folds, agents, frame):
    table = "portfolio.targets_ppo"
    inputs = {"bars": two_folds.bars, "splits": two_folds.splits}

    def outcome_of(compute):
        check = truncation_check(table, compute, n_dates=10_000)
        stored = {table: compute(inputs, two_folds.config)}
        return next(iter(check.answer(CheckContext(stored, inputs, two_folds.config))))

    honest = outcome_of(lambda i, c: apply_fold_agents(agents, i["bars"], c))
    assert honest.passed, honest.message

    def leaking(inputs, config):
        # Features of an average that includes tomorrow.
        smooth = pl.col("adj_close").rolling_mean(3, center=True, min_samples=1).over("symbol")
        return apply_fold_agents(agents, inputs["bars"].with_columns(adj_close=smooth), config)

    assert not outcome_of(leaking).passed


def test_each_fold_has_its_own_agent_deciding(two_folds, agents, frame):
    lazy = SimpleNamespace(**vars(agents[1]))
    lazy.agent = constant_agent()
    changed = apply_fold_agents([agents[0], lazy], two_folds.bars, two_folds.config)
    boundary = agents[1].test_start
    same = pl.col("ts") < boundary
    assert changed.filter(same).equals(frame.filter(same))
    later = changed.filter(~same)["weight"].to_numpy()
    assert later == pytest.approx(0.2)  # softmax of equal logits over four assets and cash
    gap = [agents[0], SimpleNamespace(**{**vars(lazy), "test_start": boundary + dt.timedelta(9)})]
    with pytest.raises(AgentError, match="no test segment"):
        apply_fold_agents(gap, two_folds.bars, two_folds.config)


def test_agents_see_the_portfolio_their_weights_made(two_folds, agents, frame):
    # Peer: the environment driven by the plain gymnasium loop over the first fold's decisions.
    panel = PricePanel.from_bars(two_folds.bars, "test")
    rows = panel.rows_of(two_folds.decisions[100:120])
    market = TradingMarket.from_panel(panel, rows, two_folds.config)
    env = AdvancedTradingEnv(market, two_folds.config, scaler=agents[0].agent.scaler)
    observation, _ = env.reset()
    weights, done = [], False
    while not done:
        action = agents[0].agent.predict(observation)
        observation, _, _, done, info = env.step(action)
        weights.append(info["weights"])
    stored = frame.sort("ts", "symbol")["weight"].to_numpy().reshape(-1, 4)[:19]
    assert np.array(weights) == pytest.approx(stored, abs=1e-12)


def constant_agent() -> TrainedAgent:
    """An agent that looks at nothing."""
    import torch

    from btq_assets.agents.market import FeatureScaler
    from btq_assets.agents.network import SharedEncoder, SharedHead

    encoder, head = SharedEncoder(len(FEATURES)), SharedHead()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.zero_()
    n = len(FEATURES)
    return TrainedAgent(encoder, head, FeatureScaler(np.zeros(n), np.ones(n)), FEATURES)


def test_not_hollow_passes_a_trained_agent_and_fails_one_that_looks_at_nothing(
    two_folds, agents, frame
):
    assert agents_matter(agents, frame, two_folds.bars, two_folds.config).passed
    blind = [SimpleNamespace(**{**vars(a), "agent": constant_agent()}) for a in agents]
    weights = apply_fold_agents(blind, two_folds.bars, two_folds.config)
    outcome = agents_matter(blind, weights, two_folds.bars, two_folds.config)
    assert not outcome.passed
    assert "changes no weight" in outcome.message


def test_bad_splits_are_named(two_folds):
    other = two_folds.splits.with_columns(universe=pl.lit("other"))
    with pytest.raises(AgentError, match="no fold of universe"):
        train_fold_agents(two_folds.bars, other, two_folds.config)
    short = two_folds.splits.with_columns(train_end=pl.col("train_start"))
    with pytest.raises(AgentError, match="at least two"):
        train_fold_agents(two_folds.bars, short, two_folds.config)
    early = two_folds.splits.with_columns(
        train_start=pl.lit(two_folds.decisions[5]), train_end=pl.lit(two_folds.decisions[20])
    )
    with pytest.raises(AgentError, match="no symbol has all of"):
        train_fold_agents(two_folds.bars, early, two_folds.config)


def test_features_by_hand_and_invariant_to_back_adjustment(two_folds):
    panel = PricePanel.from_bars(two_folds.bars, "test")
    row = 400
    found = trailing_features(panel, np.array([row]), 21)[0, 2]
    prices = panel.prices[:, 2]
    returns = prices[row - 20 : row + 1] / prices[row - 21 : row] - 1
    sigma = returns.std(ddof=1)
    assert found == pytest.approx(
        [
            (prices[row] / prices[row - 5] - 1) / (sigma * 5**0.5),
            (prices[row] / prices[row - 21] - 1) / (sigma * 21**0.5),
            (prices[row - 21] / prices[row - 252] - 1) / (sigma * 231**0.5),
            np.log(sigma * 252**0.5),
            prices[row] / prices[row - 252 : row + 1].max() - 1,
        ]
    )
    scaled = PricePanel(panel.universe, panel.symbols, panel.ts_us, panel.prices * 7.0, None)
    rows = np.array([251, 300, 500])
    one, two = (trailing_features(each, rows, 21) for each in (panel, scaled))
    assert two == pytest.approx(one, nan_ok=True)
    assert np.isnan(one[0]).all()  # one session short of a year
    market = TradingMarket.from_panel(panel, rows, two_folds.config)
    assert market.available.any(axis=1).tolist() == [False, True, True]


def test_asset_registers_its_agents_and_passes_its_checks(two_folds, tmp_path):
    stored = []

    def put(folder):
        stored.append(TrainedAgent.load(folder))
        return f"artifacts/{len(stored)}", "0" * 64

    step = Step(
        config=two_folds.config,
        run_id="test",
        now=dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        log=lambda message: None,
        code_version="c",
        data_versions={"bars": "b", "splits": "s"},
        read_ledger=lambda contract: contract.empty(),
        artifacts=SimpleNamespace(put=put),  # type: ignore[arg-type]
    )
    inputs = {"bars": two_folds.bars, "splits": two_folds.splits}
    output = assets.targets_ppo.compute(step, **inputs)
    (contract,) = assets.targets_ppo.outputs
    frame = cast_to_contract(output.frames, contract)
    answers = {answer.name: answer for answer in output.answers}
    context = CheckContext({contract.table: frame}, inputs, two_folds.config, answers)
    outcomes = [o for group in assets.targets_ppo.checks for o in group.answer(context)]
    assert {o.name for o in outcomes} == {
        "limits", "complete_cross_section", "truncation", "not_hollow",
    }  # fmt: skip
    assert all(o.passed for o in outcomes), outcomes
    registry = cast_to_contract(output.ledgers[models.REGISTRY], models.REGISTRY)
    assert violations(registry, models.REGISTRY).is_empty()
    assert registry["model_id"].n_unique() == len(stored) == 2
    assert registry["fitted_until"].to_list() == two_folds.splits["train_end"].to_list()
    assert len(output.plots) == 2
    # A step that forgets to answer fails.
    silent = CheckContext({contract.table: frame}, inputs, two_folds.config)
    unanswered = [o for group in assets.targets_ppo.checks[1:] for o in group.answer(silent)]
    assert not any(o.passed for o in unanswered)
    # The same run gives the same weights; another price history gives others.
    assert assets.targets_ppo.compute(step, **inputs).frames.equals(output.frames)
    other = two_folds.bars.with_columns(
        adj_close=pl.when(pl.col("symbol") == "AA")
        .then(pl.col("adj_close").pow(2))
        .otherwise("adj_close")
    )
    changed = assets.targets_ppo.compute(step, bars=other, splits=two_folds.splits).frames
    assert not changed.equals(output.frames)
    fewer = assets.targets_ppo.compute(step, bars=two_folds.bars, splits=two_folds.splits.head(1))
    assert fewer.frames["ts"].n_unique() == 20
