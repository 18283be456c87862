"""Intervals around forecasts of models and ensembles, and the share of outcomes inside them.

Belongs here: rows of ``models.intervals`` and their coverage. Does not belong here: how an interval is
found (`conformal`), forecasts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from btq_assets.contracts.ensembles import INTERVALS
from btq_assets.models.conformal import adaptive_intervals

if TYPE_CHECKING:
    from btq_assets.config import TradingConfig

_KEY = ["universe", "symbol", "ts"]


def intervals(
    forecasts: Mapping[str, pl.DataFrame], training_set: pl.DataFrame, config: TradingConfig
) -> pl.DataFrame:
    """Rows of ``models.intervals``.

    Parameters
    ----------
    forecasts
        Forecasts out of sample of the base variant over the horizon strategies read, by model; seeds
        are averaged.
    training_set
        ``models.training_set``: labels, each of which counts once it is filled.
    config
        ``models.intervals``.
    """
    settings = config.models.intervals
    labels = training_set.select(*_KEY, "label", "label_end_ts")
    frames = []
    for model, frame in forecasts.items():
        mean = (
            frame.filter(
                (pl.col("variant") == "base")
                & (pl.col("horizon_sessions") == config.models.horizon_sessions)
            )
            .group_by(*_KEY, "horizon_sessions", "fold")
            .agg(pl.col("forecast").mean())
        )
        found = adaptive_intervals(
            mean.join(labels, on=_KEY, how="left"),
            miss_rate=settings.miss_rate,
            step=settings.step,
            window=settings.window,
            minimum_scores=settings.minimum_scores,
        )
        bounded = pl.col("upper").is_finite()
        frames.append(
            found.join(mean.select(*_KEY, "horizon_sessions", "fold"), on=_KEY).with_columns(
                model=pl.lit(model),
                is_unbounded=pl.col("upper").is_infinite().fill_null(False),
                lower=pl.when(bounded).then("lower"),
                upper=pl.when(bounded).then("upper"),
            )
        )
    return pl.concat(frames).select(INTERVALS.column_names).sort(INTERVALS.key)


def coverage_by_fold(intervals: pl.DataFrame, training_set: pl.DataFrame) -> pl.DataFrame:
    """Share of filled labels inside their interval, by model and fold.

    An unbounded interval holds whatever came; a row without an interval is not counted.

    Returns
    -------
    polars.DataFrame
        ``model``, ``fold``, ``n_outcomes``, ``n_dates``, ``coverage``, ``mean_width`` (bounded ones).
    """
    inside = pl.col("is_unbounded") | pl.col("label").is_between("lower", "upper")
    return (
        intervals.join(training_set.select(*_KEY, "label"), on=_KEY)
        .filter(
            pl.col("label").is_finite() & (pl.col("lower").is_not_null() | pl.col("is_unbounded"))
        )
        .group_by("model", "fold")
        .agg(
            pl.len().cast(pl.Int64).alias("n_outcomes"),
            pl.col("ts").n_unique().cast(pl.Int64).alias("n_dates"),
            inside.mean().alias("coverage"),
            (pl.col("upper") - pl.col("lower")).mean().alias("mean_width"),
        )
        .sort("model", "fold")
    )


def wrong_coverage(
    by_fold: pl.DataFrame, *, miss_rate: float, tolerance: float
) -> dict[str, float]:
    """Models whose share inside is further from the promise than `tolerance` and chance allow.

    Chance is three standard errors of a share of so many outcomes, as if a date were one outcome:
    those of one date fall together.

    Parameters
    ----------
    by_fold
        `coverage_by_fold`.
    """
    found = {}
    for (model,), rows in by_fold.group_by("model", maintain_order=True):
        n = int(rows["n_outcomes"].sum())
        share = float((rows["coverage"] * rows["n_outcomes"]).sum() / n)
        chance = 3 * float(np.sqrt(miss_rate * (1 - miss_rate) / int(rows["n_dates"].sum())))
        if abs(share - (1 - miss_rate)) > tolerance + chance:
            found[str(model)] = round(share, 4)
    return found
