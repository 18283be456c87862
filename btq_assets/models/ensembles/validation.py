"""Members on the first fold's validation segment, fitted on its training segment alone.

Belongs here: the fold inside the fold, and fitting it. Does not belong here: what is learnt from it
(`walk_forward`), what a family is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from btq_assets.contracts.ensembles import VALIDATION_FORECASTS
from btq_assets.models.ensembles.blending import KEY
from btq_assets.models.forecaster import ModelError
from btq_assets.models.walk_forward import Plan, fit_fold

if TYPE_CHECKING:
    from datetime import datetime

#: Last share of the training decisions that stops fits, in place of the validation segment.
STOPPING_SHARE = 0.15


def inner_fold(training_set: pl.DataFrame, fold: Mapping[str, Any]) -> dict[str, Any]:
    """A fold whose test segment is the validation segment of `fold`.

    Training ends where the last label is filled by the first decision that stops, and that stretch
    where its last label is filled by the first validation decision.

    Parameters
    ----------
    training_set
        ``models.training_set``.
    fold
        Row of ``models.splits``.

    Raises
    ------
    ModelError
        Too few training decisions to part with some.
    """
    decisions = (
        training_set.filter(
            (pl.col("universe") == fold["universe"])
            & pl.col("is_decision")
            & pl.col("ts").is_between(fold["train_start"], fold["train_end"])
        )
        .group_by("ts")
        .agg(pl.col("label_end_ts").max())
        .drop_nulls()
        .sort("ts")
    )
    ts, ends = decisions["ts"].to_list(), decisions["label_end_ts"].to_list()
    start = int(len(ts) * (1 - STOPPING_SHARE))
    train = [n for n in range(start) if ends[n] <= ts[start]] if start < len(ts) else []
    stop = [n for n in range(start, len(ts)) if ends[n] <= fold["validation_start"]]
    if not train or not stop:
        raise ModelError(
            f"{len(ts)} training decision(s) of fold {fold['fold']} are too few to fit on a part of "
            "them; take a longer models.walk_forward.train_years"
        )
    return {
        "universe": fold["universe"],
        "fold": fold["fold"],
        "train_start": ts[train[0]],
        "train_end": ts[train[-1]],
        "validation_start": ts[start],
        "validation_end": ts[stop[-1]],
        "test_start": fold["validation_start"],
        "test_end": fold["validation_end"],
    }


def validation_forecasts(
    training_set: pl.DataFrame,
    splits: pl.DataFrame,
    plans: Mapping[str, Plan],
    *,
    told: Callable[[str], None] = lambda _: None,
) -> pl.DataFrame:
    """Rows of ``models.validation_forecasts``: the first fold, base variant, mean over seeds.

    Parameters
    ----------
    training_set, splits
        ``models.training_set`` and ``models.splits``.
    plans
        What is fitted, by member.
    told
        Progress.
    """
    first = splits.sort("fold").row(0, named=True)
    fold = inner_fold(training_set, first)
    frames = []
    for name, plan in plans.items():
        fits = [
            fit_fold(training_set, fold, plan, "base", seed, data_hash="") for seed in plan.seeds
        ]
        until: datetime = max(fit.fitted_until for fit in fits)
        told(f"{name}: rank IC of the validation segment {fits[-1].test_rank_ic:+.4f}")
        frames.append(
            pl.concat([fit.forecasts.select(*KEY, "forecast") for fit in fits])
            .group_by(KEY)
            .agg(pl.col("forecast").mean())
            .with_columns(
                member=pl.lit(name),
                fold=pl.lit(first["fold"], pl.Int64),
                fitted_until=pl.lit(until),
            )
        )
    contract = VALIDATION_FORECASTS
    return pl.concat(frames).select(contract.column_names).sort(contract.key)
