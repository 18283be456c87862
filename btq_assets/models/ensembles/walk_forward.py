"""Ensembles fold by fold: weights from what was filled before a fold, forecasts of its test segment.

Belongs here: the order of folds, rows of the tables. Does not belong here: what is learnt (`learning`),
rules (`rules`), which tables the members are (`member_tables`), fitting members (`validation`), Dagster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from btq_assets.contracts import ensembles as tables
from btq_assets.contracts.forecasts import DISTRIBUTION
from btq_assets.models.ensembles.blending import KEY
from btq_assets.models.ensembles.learning import RULES, FoldEvidence, Learnt
from btq_assets.models.ensembles.member_tables import AGENTS, out_of_sample
from btq_assets.models.ensembles.rules import MeanRank, Rule
from btq_assets.models.forecaster import ModelError, hash_of

if TYPE_CHECKING:
    from btq_assets.config import TradingConfig

#: Ranks are spread evenly over a width of one: their standard deviation is its 12th root's inverse.
_SPREAD_OF_RANKS = 12**-0.5


@dataclass(frozen=True)
class Ensembled:
    """All ensembles over all folds.

    Parameters
    ----------
    forecasts
        Rows of ``models.forecasts_ensemble_<rule>``, by rule.
    weights
        Rows of ``models.ensemble_weights``.
    """

    forecasts: Mapping[str, pl.DataFrame]
    weights: pl.DataFrame


def ensembles(
    members: Mapping[str, pl.DataFrame],
    validation: pl.DataFrame,
    training_set: pl.DataFrame,
    splits: pl.DataFrame,
    states: pl.DataFrame,
    config: TradingConfig,
    *,
    until: str = "test_start",
) -> Ensembled:
    """Every ensemble of every fold.

    Parameters
    ----------
    members
        Forecasts of the test segments, one row per asset and decision, by member; see
        `member_tables.member_forecasts`.
    validation
        ``models.validation_forecasts``.
    training_set
        ``models.training_set``: labels.
    splits
        ``models.splits``.
    states
        ``regimes.states``, for the gate.
    config
        ``models.ensembles``.
    until
        Column of `splits` until which labels may have been filled; anything but ``test_start`` leaks,
        and is there to show that the leak is caught.

    Raises
    ------
    ModelError
        Fewer than two members, or none of them a model family.
    """
    names = list(members)
    if len(names) < 2:
        raise ModelError(f"an ensemble needs two members at least, there are {names}")
    regimes = _regimes(states, config.universe.main)
    labels = training_set.filter("is_decision").select(*KEY, "label", "label_end_ts")
    seen = {name: out_of_sample(members[name], validation, splits, name) for name in names}
    parts: dict[str, list[pl.DataFrame]] = {rule: [] for rule in tables.ENSEMBLES}
    weights: list[dict[str, Any]] = []
    for fold in splits.sort("fold").iter_rows(named=True):
        own = [members[name].filter(pl.col("fold") == fold["fold"]) for name in names]
        if all(frame.is_empty() for frame in own):
            continue
        before = pl.col("ts") < fold[until]
        evidence = FoldEvidence(
            [seen[name].filter(before) for name in names], labels, regimes, fold[until]
        )
        unit = _unit([f for name, f in zip(names, evidence.members, strict=True) if name != AGENTS])
        for rule, learn in RULES.items():
            learnt = learn(evidence, config)
            identity = hash_of([rule, names, fold["fold"], dict(learnt.weights)])
            weights += _weight_rows(rule, fold, names, learnt, identity)
            combined = learnt.rule.combine([f.select(*KEY, "forecast") for f in own])
            parts[rule].append(_rows(combined, fold, config, identity, unit * _scale(learnt.rule)))
    if not weights:
        raise ModelError("no fold of models.splits has a forecast of any member")
    return Ensembled(
        {
            rule: pl.concat(found).select(contract.column_names).sort(contract.key)
            for rule, contract in tables.ENSEMBLES.items()
            for found in (parts[rule],)
        },
        pl.DataFrame(weights, schema=tables.ENSEMBLE_WEIGHTS.schema).sort(
            tables.ENSEMBLE_WEIGHTS.key
        ),
    )


def _regimes(states: pl.DataFrame, universe: str) -> pl.DataFrame:
    """Calm and turbulent, with the probabilities known at each session."""
    own = states.filter(pl.col("scope") == universe)
    parts = [
        own.select(
            known_at="ts", regime=pl.lit(name), probability=pl.col(f"p_{name}").cast(pl.Float64)
        )
        for name in ("calm", "turbulent")
    ]
    return pl.concat(parts).sort("known_at", "regime")


def _unit(frames: Sequence[pl.DataFrame]) -> float:
    """Median over dates of how far forecasts of one date lie apart, mean over members."""
    found = []
    for frame in frames:
        spreads = frame.group_by("universe", "ts").agg(pl.col("forecast").std())["forecast"]
        median = spreads.drop_nulls().median()
        if median:
            found.append(float(median))  # type: ignore[arg-type]
    if not found:
        raise ModelError(
            "no member of the ensemble is a model family with forecasts before the fold, so that its "
            "forecasts have no unit; name one in models.ensembles.members"
        )
    return float(np.mean(found))


def _scale(rule: Rule) -> float:
    return 1 / _SPREAD_OF_RANKS if isinstance(rule, MeanRank) else 1.0


def _rows(
    combined: pl.DataFrame,
    fold: Mapping[str, Any],
    config: TradingConfig,
    identity: str,
    unit: float,
) -> pl.DataFrame:
    nulls = {column.name: pl.lit(None, column.dtype) for column in DISTRIBUTION}
    return combined.select(
        *KEY,
        pl.lit(config.models.horizon_sessions, pl.Int64).alias("horizon_sessions"),
        pl.lit("base").alias("variant"),
        pl.lit(0, pl.Int64).alias("seed"),
        pl.lit(fold["fold"], pl.Int64).alias("fold"),
        pl.col("forecast") * unit,
        pl.lit(identity).alias("model_id"),
    ).with_columns(**nulls)


def _weight_rows(
    rule: str, fold: Mapping[str, Any], names: Sequence[str], learnt: Learnt, identity: str
) -> list[dict[str, Any]]:
    return [
        {
            "universe": fold["universe"],
            "rule": rule,
            "fold": fold["fold"],
            "regime": regime,
            "member": name,
            "weight": weights[place],
            "basis": learnt.basis,
            "rank_ic": None if learnt.rank_ics is None else learnt.rank_ics[place],
            "shrinkage": learnt.shrinkage,
            "n_dates": learnt.n_dates,
            "learnt_until": learnt.learnt_until,
            "used_from": fold["test_start"],
            "model_id": identity,
        }
        for regime, weights in learnt.weights.items()
        for place, name in enumerate(names)
    ]
