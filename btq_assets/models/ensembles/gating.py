"""Weights of each regime, learnt on the dates on which it was known to rule.

Belongs here: splitting evidence by regime. Does not belong here: finding regimes (`regimes`), and
applying weights (`rules.RegimeGated`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import polars as pl

from btq_assets.models.ensembles.evidence import Evidence, evidence_of
from btq_assets.models.ensembles.rules import RegimeGated
from btq_assets.models.ensembles.weighting import MINIMUM_DATES, SkillWeights, weights_from
from btq_assets.models.forecaster import ModelError


def gate(
    forecasts: Sequence[pl.DataFrame],
    labels: pl.DataFrame,
    regimes: pl.DataFrame,
    *,
    until: datetime,
    minimum_dates: int = 26,
) -> RegimeGated:
    """Weights by skill within each regime, those of all dates where a regime was too rare.

    Parameters
    ----------
    forecasts, labels, until
        As in `weighting.skill_weights`; forecasts out of sample.
    regimes
        As in `rules.RegimeGated`. A date belongs to the regime likeliest by what was known at it.
    minimum_dates
        A regime with fewer dates, or in which no member has skill, gets the weights of all dates.

    Raises
    ------
    InSampleError, ModelError
        See `weighting.skill_weights`.
    """
    if minimum_dates < MINIMUM_DATES:
        raise ModelError(f"minimum_dates = {minimum_dates}: at least {MINIMUM_DATES} are needed")
    evidence = evidence_of(forecasts, labels, until)
    pooled = weights_from(evidence)
    spare = RegimeGated({}, regimes, pooled.weights)
    at = spare.shares_at(evidence.rows["ts"], len(forecasts))
    rows = evidence.rows.join(at.select("ts", "regime"), on="ts", how="left", maintain_order="left")
    found: dict[str, tuple[float, ...]] = {}
    for name in sorted(rows["regime"].drop_nulls().unique()):
        mask = rows["regime"].eq_missing(name)
        if rows.filter(mask)["ts"].n_unique() < minimum_dates:
            continue
        part = replace(
            evidence, rows=evidence.rows.filter(mask), target=evidence.target[mask.to_numpy()]
        )
        own = _skill_or_none(part)
        if own is not None:
            found[name] = own.weights
    return RegimeGated(found, regimes, pooled.weights)


def _skill_or_none(part: Evidence) -> SkillWeights | None:
    try:
        return weights_from(part)
    except ModelError:
        return None
