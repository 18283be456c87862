"""Ensembles fold by fold: weights from what was filled before a fold, forecasts of its test segment.

Belongs here: the order of evidence, learning and combining. Does not belong here: rules and weights
themselves (`rules`, `weighting`, `stacking`, `gating`), fitting members (`validation`), Dagster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from btq_assets.contracts import ensembles as tables
from btq_assets.models.ensembles.blending import KEY
from btq_assets.models.ensembles.evidence import InSampleError
from btq_assets.models.ensembles.gating import gate
from btq_assets.models.ensembles.rules import (
    MeanRank,
    RegimeGated,
    Rule,
    SignVote,
    Stacked,
    Weighted,
)
from btq_assets.models.ensembles.stacking import stack
from btq_assets.models.ensembles.weighting import MINIMUM_DATES, skill_weights
from btq_assets.models.forecaster import ModelError, hash_of

if TYPE_CHECKING:
    from btq_assets.config import TradingConfig

#: Member that is no model family: target weights of agents, by its strategy.
AGENTS = "ppo"

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


@dataclass(frozen=True)
class Evidence:
    """What a fold's weights may be learnt from.

    Parameters
    ----------
    members
        Forecasts out of sample, one frame per member: ``universe``, ``symbol``, ``ts``, ``forecast``,
        ``fitted_until``.
    labels
        ``universe``, ``symbol``, ``ts``, ``label``, ``label_end_ts``.
    regimes
        ``known_at``, ``regime``, ``probability``.
    until
        First decision of the fold's test segment: labels filled later are left out.
    """

    members: Sequence[pl.DataFrame]
    labels: pl.DataFrame
    regimes: pl.DataFrame
    until: datetime


@dataclass(frozen=True)
class Learnt:
    """A rule, and what it stands on."""

    rule: Rule
    weights: Mapping[str, tuple[float, ...]]
    basis: str
    rank_ics: tuple[float, ...] | None = None
    shrinkage: float | None = None
    n_dates: int = 0
    learnt_until: datetime | None = None


Learn = Callable[[Evidence, "TradingConfig"], Learnt]


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
        `member_forecasts`.
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
    seen = {name: _seen(members[name], validation, splits, name) for name in names}
    parts: dict[str, list[pl.DataFrame]] = {rule: [] for rule in tables.ENSEMBLES}
    weights: list[dict[str, Any]] = []
    for fold in splits.sort("fold").iter_rows(named=True):
        own = [members[name].filter(pl.col("fold") == fold["fold"]) for name in names]
        if all(frame.is_empty() for frame in own):
            continue
        before = pl.col("ts") < fold[until]
        evidence = Evidence(
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


def _seen(
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
    nulls = {column.name: pl.lit(None, column.dtype) for column in tables.models.DISTRIBUTION}
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


def _equal(evidence: Evidence, basis: str) -> Learnt:
    n = len(evidence.members)
    shares = (1 / n,) * n
    return Learnt(Weighted(shares), {"": shares}, basis)


def _voting(evidence: Evidence, config: TradingConfig) -> Learnt:
    n = len(evidence.members)
    shares = (1 / n,) * n
    rule: Rule = SignVote(shares) if config.models.ensembles.vote == "sign" else MeanRank(shares)
    return Learnt(rule, {"": shares}, "equal")


def _weighted(evidence: Evidence, config: TradingConfig) -> Learnt:
    if _dates(evidence) < MINIMUM_DATES:
        return _equal(evidence, "no evidence")
    try:
        found = skill_weights(evidence.members, evidence.labels, until=evidence.until)
    except InSampleError:
        raise
    except ModelError:
        return _equal(evidence, "no skill")
    return Learnt(
        Weighted(found.weights),
        {"": found.weights},
        "learnt",
        found.rank_ics,
        found.shrinkage,
        found.n_dates,
        found.fitted_until,
    )


def _stacked(evidence: Evidence, config: TradingConfig) -> Learnt:
    settings = config.models.ensembles
    n_dates = _dates(evidence)
    if n_dates < MINIMUM_DATES:
        return _equal(evidence, "no evidence")
    try:
        rule: Stacked = stack(
            evidence.members,
            evidence.labels,
            until=evidence.until,
            method=settings.stacking,
            penalty=settings.stacking_penalty,
        )
    except InSampleError:
        raise
    except ModelError:
        return _equal(evidence, "no skill")
    # Only ratios of coefficients rank; with a sum of magnitudes of one, their unit is the members'.
    total = sum(abs(value) for value in rule.coefficients)
    shares = tuple(value / total for value in rule.coefficients)
    return Learnt(
        Stacked(shares, rule.fitted_until, rule.method, rule.n_rows),
        {"": shares},
        "learnt",
        n_dates=n_dates,
        learnt_until=rule.fitted_until,
    )


def _gated(evidence: Evidence, config: TradingConfig) -> Learnt:
    n_dates = _dates(evidence)
    if n_dates < MINIMUM_DATES:
        return _equal(evidence, "no evidence")
    try:
        pooled = skill_weights(evidence.members, evidence.labels, until=evidence.until)
        rule: RegimeGated = gate(
            evidence.members,
            evidence.labels,
            evidence.regimes,
            until=evidence.until,
            minimum_dates=config.models.ensembles.regime_dates,
        )
    except InSampleError:
        raise
    except ModelError:
        return _equal(evidence, "no skill")
    weights = {"": tuple(rule.otherwise or pooled.weights), **rule.weights}
    return Learnt(
        rule,
        weights,
        "learnt",
        n_dates=pooled.n_dates,
        learnt_until=pooled.fitted_until,
    )


#: How each ensemble learns.
RULES: dict[str, Learn] = {
    "voting": _voting,
    "weighted": _weighted,
    "stacked": _stacked,
    "gated": _gated,
}


def _dates(evidence: Evidence) -> int:
    """Decisions that all members forecast out of sample with a label filled in time."""
    rows = evidence.labels.filter(
        pl.col("label").is_finite() & (pl.col("label_end_ts") <= evidence.until)
    ).select(KEY)
    for frame in evidence.members:
        rows = rows.join(frame.select(KEY), on=KEY, how="semi")
    return int(rows["ts"].n_unique())
