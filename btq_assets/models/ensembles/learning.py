"""What each ensemble learns for a fold: its rule and weights, and what they stand on.

Belongs here: the evidence a fold may use, how each rule learns from it, and equal weights where there is
nothing to learn. Does not belong here: rules and weights themselves (`rules`, `weighting`, `stacking`,
`gating`), the order of folds (`walk_forward`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

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
from btq_assets.models.forecaster import ModelError

if TYPE_CHECKING:
    from btq_assets.config import TradingConfig


@dataclass(frozen=True)
class FoldEvidence:
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

    @cached_property
    def n_dates(self) -> int:
        """Decisions that all members forecast out of sample with a label filled in time."""
        rows = self.labels.filter(
            pl.col("label").is_finite() & (pl.col("label_end_ts") <= self.until)
        ).select(KEY)
        for frame in self.members:
            rows = rows.join(frame.select(KEY), on=KEY, how="semi")
        return int(rows["ts"].n_unique())


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


Learn = Callable[[FoldEvidence, "TradingConfig"], Learnt]


def _equal_shares(evidence: FoldEvidence) -> tuple[float, ...]:
    n = len(evidence.members)
    return (1 / n,) * n


def _or_equal(learn: Learn) -> Learn:
    """The rule where there is evidence and skill in it, equal weights elsewhere."""

    def equal(evidence: FoldEvidence, basis: str) -> Learnt:
        shares = _equal_shares(evidence)
        return Learnt(Weighted(shares), {"": shares}, basis)

    def learnt(evidence: FoldEvidence, config: TradingConfig) -> Learnt:
        if evidence.n_dates < MINIMUM_DATES:
            return equal(evidence, "no evidence")
        try:
            return learn(evidence, config)
        except InSampleError:
            raise
        except ModelError:
            return equal(evidence, "no skill")

    return learnt


def _voting(evidence: FoldEvidence, config: TradingConfig) -> Learnt:
    shares = _equal_shares(evidence)
    rule: Rule = SignVote(shares) if config.models.ensembles.vote == "sign" else MeanRank(shares)
    return Learnt(rule, {"": shares}, "equal")


def _weighted(evidence: FoldEvidence, config: TradingConfig) -> Learnt:
    found = skill_weights(evidence.members, evidence.labels, until=evidence.until)
    return Learnt(
        Weighted(found.weights),
        {"": found.weights},
        "learnt",
        found.rank_ics,
        found.shrinkage,
        found.n_dates,
        found.fitted_until,
    )


def _stacked(evidence: FoldEvidence, config: TradingConfig) -> Learnt:
    settings = config.models.ensembles
    rule: Stacked = stack(
        evidence.members,
        evidence.labels,
        until=evidence.until,
        method=settings.stacking,
        penalty=settings.stacking_penalty,
    )
    # Only ratios of coefficients rank; with a sum of magnitudes of one, their unit is the members'.
    total = sum(abs(value) for value in rule.coefficients)
    shares = tuple(value / total for value in rule.coefficients)
    return Learnt(
        Stacked(shares, rule.fitted_until, rule.method, rule.n_rows),
        {"": shares},
        "learnt",
        n_dates=evidence.n_dates,
        learnt_until=rule.fitted_until,
    )


def _gated(evidence: FoldEvidence, config: TradingConfig) -> Learnt:
    pooled = skill_weights(evidence.members, evidence.labels, until=evidence.until)
    rule: RegimeGated = gate(
        evidence.members,
        evidence.labels,
        evidence.regimes,
        until=evidence.until,
        minimum_dates=config.models.ensembles.regime_dates,
    )
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
    "weighted": _or_equal(_weighted),
    "stacked": _or_equal(_stacked),
    "gated": _or_equal(_gated),
}
