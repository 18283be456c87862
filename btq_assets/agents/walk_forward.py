"""Agents trained on each fold's training segment, applied to its test decisions.

Belongs here: which agent was fitted on what, and who decides when. Does not belong here: the
fitting itself (`ppo`), and tables' checks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from btq_assets.agents.agent import TrainedAgent
from btq_assets.agents.environment import AdvancedTradingEnv
from btq_assets.agents.market import AgentError, TradingMarket
from btq_assets.agents.ppo import EPISODE_DECISIONS, train_agent
from btq_assets.config import TradingConfig
from btq_assets.portfolio.panel import PricePanel, microseconds, targets_frame
from btq_assets.timeline import decision_times

STRATEGY = "ppo"


@dataclass(frozen=True)
class FoldAgent:
    """An agent and the fold it belongs to.

    Parameters
    ----------
    fold, seed
        Fold number and seed of the fit.
    test_start, test_end
        First and last decision it makes.
    fitted_from, fitted_until
        First decision and last session it learned from.
    agent
        The fitted agent.
    """

    fold: int
    seed: int
    test_start: datetime
    test_end: datetime
    fitted_from: datetime
    fitted_until: datetime
    agent: TrainedAgent


def agent_seeds(config: TradingConfig) -> tuple[int, ...]:
    """Seeds trained per fold: the first of ``models.seeds`` under ``quick``, else all of them."""
    return config.models.seeds[:1] if config.profile == "quick" else config.models.seeds


def train_fold_agents(
    bars: pl.DataFrame,
    splits: pl.DataFrame,
    config: TradingConfig,
    progress: Callable[[str], None] | None = None,
) -> list[FoldAgent]:
    """Fit one agent per fold and seed on the training segment alone.

    ``models.rl.total_timesteps`` are shared equally. Nothing after the last training decision is
    read: prices are cut there before features are made.

    Parameters
    ----------
    bars, splits
        `core.bars_1d` and `models.splits`.
    progress
        Called with a line per fitted agent.

    Returns
    -------
    list of FoldAgent
        By fold, then seed.

    Raises
    ------
    AgentError
        There is no fold, or a training segment has fewer than two decisions.
    """
    universe = config.universe.main
    folds = splits.filter(pl.col("universe") == universe).sort("fold")
    if folds.is_empty():
        raise AgentError(f"models.splits holds no fold of universe {universe!r}")
    seeds = agent_seeds(config)
    steps = -(config.models.rl.total_timesteps // -(folds.height * len(seeds)))
    fitted = []
    for fold in folds.iter_rows(named=True):
        known = bars.filter(
            (pl.col("universe") == universe) & (pl.col("known_at") <= fold["train_end"])
        )
        panel = PricePanel.from_bars(known, universe)
        rows = _decisions_between(panel, fold["train_start"], fold["train_end"], config)
        if len(rows) < 2:
            raise AgentError(
                f"fold {fold['fold']}: {len(rows)} decision(s) from {fold['train_start']} to "
                f"{fold['train_end']}; an agent needs at least two"
            )
        market = TradingMarket.from_panel(panel, rows, config)
        for seed in seeds:
            environment = AdvancedTradingEnv(
                market, config, episode_decisions=EPISODE_DECISIONS, random_start=True
            )
            agent = train_agent(environment, total_timesteps=steps, seed=seed)
            stamps = panel.stamps(rows[[0, -1]])
            fitted.append(
                FoldAgent(
                    fold["fold"], seed, fold["test_start"], fold["test_end"], stamps[0], stamps[1],
                    agent,
                )
            )  # fmt: skip
            if progress is not None:
                curve = agent.learning_curve
                progress(
                    f"ppo fold {fold['fold']} seed {seed}: {agent.spec['timesteps']} steps, "
                    f"reward per step {curve[0]:+.3f} -> {curve[-1]:+.3f}"
                )
    return fitted


def apply_fold_agents(
    agents: Sequence[FoldAgent], bars: pl.DataFrame, config: TradingConfig
) -> pl.DataFrame:
    """Let each fold's agents decide its test decisions, one portfolio throughout.

    The portfolio starts in cash at the first test decision and passes from fold to fold; with
    several seeds, each sees the portfolio held, and the mean of their weights is wanted.

    Returns
    -------
    polars.DataFrame
        Rows of `portfolio.targets_ppo`, strategy ``ppo``.

    Raises
    ------
    AgentError
        No test decision falls in the bars, or some decision has no agent.
    """
    panel = PricePanel.from_bars(bars, config.universe.main)
    start, end = min(a.test_start for a in agents), max(a.test_end for a in agents)
    rows = _decisions_between(panel, start, end, config)
    if len(rows) == 0:
        raise AgentError(f"no decision from {start} to {end} in {panel.universe}")
    weights = np.zeros((len(rows), panel.n_symbols))
    # The session before the first decision is there because an environment needs two; no agent
    # decides on it.
    market = TradingMarket.from_panel(panel, np.append(rows[0] - 1, rows), config)
    environment = AdvancedTradingEnv(market, config, scaler=agents[0].agent.scaler)
    environment.begin(1)
    for place, ts in enumerate(panel.stamps(rows)):
        deciding = [a for a in agents if a.test_start <= ts <= a.test_end]
        if not deciding:
            raise AgentError(f"the decision at {ts} falls in no test segment of any agent")
        wanted = [
            environment.weights_of(a.agent.predict(environment.observe(a.agent.scaler)))
            for a in deciding
        ]
        weights[place] = np.mean(wanted, axis=0)
        if place < len(rows) - 1:
            environment.step_weights(weights[place])
    return targets_frame(panel, {STRATEGY: (rows, weights)})


def _decisions_between(
    panel: PricePanel, start: datetime, end: datetime, config: TradingConfig
) -> np.ndarray:
    every = panel.stamps(np.arange(len(panel.ts_us)))
    decisions = decision_times(every, config.models.decision_every)
    inside = decisions.filter(decisions.is_between(start, end))
    return np.searchsorted(panel.ts_us, microseconds(inside))
