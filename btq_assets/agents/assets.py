"""Asset of the agents room: target weights of the PPO agents.

Belongs here: which tables are read, which checks gate a commit, what is shown and registered.
Does not belong here: training.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from btq_assets.contracts import core, models
from btq_assets.contracts import portfolio as tables
from btq_assets.contracts.checks import CheckContext, in_step_check
from btq_assets.evidence.truncation import truncation_check
from btq_assets.portfolio.gates import limits_check
from btq_assets.warehouse import Step, TableOutput, table_asset

if TYPE_CHECKING:
    from btq_assets.agents.walk_forward import FoldAgent


@table_asset(
    outputs=(tables.TARGETS_PPO,),
    inputs={"bars": core.BARS_1D, "splits": models.SPLITS},
    config=(
        "profile",
        "agents",
        "models.rl",
        "models.seeds",
        "models.decision_every",
        "portfolio.max_gross_exposure",
        "trading.max_position_size",
        "trading.initial_cash",
        "backtest.commission_bps",
        "backtest.spread_eras",
        "universe.main",
        "features.truncation_dates",
    ),
    code=(
        "btq_assets.agents",
        "btq_assets.portfolio.panel",
        "btq_assets.risk.limits",
        "btq_assets.engine",
        "btq_assets.timeline",
    ),
    checks=(
        limits_check(),
        in_step_check(
            "truncation",
            "The fitted agents, applied to data cut at seeded dates, want the same weights up to "
            "each date.",
        ),
        in_step_check(
            "not_hollow",
            "Turning an asset's features over changes the agents' weights, and weights vary in time.",
        ),
    ),
    group="portfolio",
)
def targets_ppo(step: Step, bars: pl.DataFrame, splits: pl.DataFrame) -> TableOutput:
    """PPO agents fitted on each fold's training segment, deciding its test segment."""
    from btq_assets.agents.gates import agents_matter
    from btq_assets.agents.walk_forward import apply_fold_agents, train_fold_agents

    agents = train_fold_agents(bars, splits, step.config, progress=step.log)
    frame = apply_fold_agents(agents, bars, step.config)
    context = CheckContext(
        {tables.TARGETS_PPO.table: frame}, {"bars": bars, "splits": splits}, step.config
    )
    truncation = truncation_check(
        tables.TARGETS_PPO,
        lambda inputs, config: apply_fold_agents(agents, inputs["bars"], config),
    ).answer(context)
    return TableOutput(
        frame,
        metadata={
            "n_agents": len(agents),
            "seeds": sorted({a.seed for a in agents}),
            "timesteps": sum(a.agent.spec["timesteps"] for a in agents),
            "first_reward_per_step": float(np.mean([a.agent.learning_curve[0] for a in agents])),
            "last_reward_per_step": float(np.mean([a.agent.learning_curve[-1] for a in agents])),
            "note": "costs in basis points alone: no per-share fee and no impact while training",
        },
        plots=_plots(agents, frame),
        ledgers={models.REGISTRY: _registry(step, agents)},
        answers=[*truncation, agents_matter(agents, frame, bars, step.config)],
    )


def _plots(agents: list[FoldAgent], frame: pl.DataFrame) -> Mapping[str, bytes]:
    from btq_assets import plots

    curves = {f"fold {a.fold} seed {a.seed}": np.array(a.agent.learning_curve) for a in agents}
    rollouts = np.arange(1, max(len(c) for c in curves.values()) + 1)
    padded = {k: np.pad(c, (0, len(rollouts) - len(c)), constant_values=np.nan)
              for k, c in curves.items()}  # fmt: skip
    wide = frame.pivot(on="symbol", index="ts", values="weight").sort("ts")
    symbols = [name for name in wide.columns if name != "ts"]
    largest = sorted(symbols, key=lambda s: -float(wide[s].fill_null(0.0).mean() or 0.0))[:6]  # type: ignore[arg-type]
    return {
        "learning curve": plots.lines(
            rollouts, padded, "Training reward per step, less that of the universe",
            "reward", xlabel="rollout",
        ),
        "weights": plots.lines(
            wide["ts"],
            {
                "all assets": wide.select(pl.sum_horizontal(symbols)).to_series(),
                **{s: wide[s] for s in largest},
            },
            "Wanted weights: all assets, and the six largest",
            "share of equity",
        ),
    }  # fmt: skip


def _registry(step: Step, agents: list[FoldAgent]) -> pl.DataFrame:
    from btq_assets.agents.registry import registry_row

    rows = []
    for fitted in agents:
        with tempfile.TemporaryDirectory() as folder:
            fitted.agent.save(Path(folder))
            path, sha256 = step.artifacts.put(Path(folder))
        rows.append(
            registry_row(
                fitted,
                config=step.config,
                code_version=step.code_version,
                data_versions=step.data_versions,
                artifact=(path, sha256),
                registered_at=step.now,
            )
        )
    return pl.DataFrame(rows, schema=models.REGISTRY.schema)
