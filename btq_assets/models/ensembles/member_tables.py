"""Members of the tables of ensembles: which tables they are, what each forecast out of sample.

Belongs here: from a configuration to tables, from tables to one forecast per asset and decision. Does
not belong here: members of an ensemble in memory (`members`), combining them, Dagster.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl

from btq_assets.contracts import ensembles as tables
from btq_assets.contracts import portfolio
from btq_assets.contracts.base import TableContract
from btq_assets.models.catalogue import family_named
from btq_assets.models.ensembles.blending import KEY
from btq_assets.models.forecaster import ModelError

if TYPE_CHECKING:
    from btq_assets.config import TradingConfig

#: Member that is no model family: target weights of agents, by its strategy.
AGENTS = "ppo"


def members_of(config: TradingConfig) -> dict[str, TableContract]:
    """Tables of the members, by name.

    Raises
    ------
    ModelError
        A member is neither a family nor ``ppo``, or none of them is a family.
    """
    found = {}
    for name in config.models.ensembles.members:
        if name == AGENTS:
            found[name] = portfolio.TARGETS_PPO
        else:
            found[name] = tables.FAMILY_FORECASTS[family_named(name).name]
    if set(found) <= {AGENTS}:
        raise ModelError("models.ensembles.members names no model family")
    return found


def families_of(config: TradingConfig) -> dict[str, TableContract]:
    """Tables of the members that are model families, by name."""
    return {name: table for name, table in members_of(config).items() if name != AGENTS}


def member_forecasts(
    frames: Mapping[str, pl.DataFrame], splits: pl.DataFrame, config: TradingConfig
) -> dict[str, pl.DataFrame]:
    """One forecast per asset and decision of each member.

    Parameters
    ----------
    frames
        ``models.forecasts_<model>`` by model, base variant, the horizon strategies read, mean over
        seeds; ``portfolio.targets_ppo`` for the agents, whose weights are their forecasts.
    splits
        Folds of the agents' decisions.

    Returns
    -------
    dict
        ``universe``, ``symbol``, ``ts``, ``fold``, ``forecast``.
    """
    found = {}
    for name, frame in frames.items():
        if name == AGENTS:
            found[name] = _of_agents(frame, splits)
            continue
        found[name] = (
            frame.filter(
                (pl.col("variant") == "base")
                & (pl.col("horizon_sessions") == config.models.horizon_sessions)
            )
            .group_by(*KEY, "fold")
            .agg(pl.col("forecast").mean())
            .sort(KEY)
        )
    return found


def _of_agents(targets: pl.DataFrame, splits: pl.DataFrame) -> pl.DataFrame:
    parts = [
        targets.filter(
            (pl.col("universe") == fold["universe"])
            & pl.col("ts").is_between(fold["test_start"], fold["test_end"])
        ).select(*KEY, fold=pl.lit(fold["fold"], pl.Int64), forecast=pl.col("weight"))
        for fold in splits.iter_rows(named=True)
    ]
    return pl.concat(parts).sort(KEY)


def out_of_sample(
    tested: pl.DataFrame, validation: pl.DataFrame, splits: pl.DataFrame, name: str
) -> pl.DataFrame:
    """Forecasts of one member out of sample, those of the first validation segment among them.

    What a fold was fitted on was filled by its first test decision: the purge of `models.splits`.
    """
    first = validation.filter(pl.col("member") == name).select(*KEY, "forecast", "fitted_until")
    later = tested.join(
        splits.select("universe", "fold", fitted_until="test_start"), on=["universe", "fold"]
    ).select(*KEY, "forecast", "fitted_until")
    return pl.concat([first, later]).sort(KEY)
