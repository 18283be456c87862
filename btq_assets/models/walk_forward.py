"""Every fold, variant and seed of one model: fit before the test segment, forecast inside it.

Belongs here: the loop over folds. Does not belong here: what a model is, and where results go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import polars as pl

from btq_assets.contracts import models as tables
from btq_assets.models import scores
from btq_assets.models.folds import for_fold, panel_between
from btq_assets.models.forecaster import Explained, Forecaster, Progress, model_id
from btq_assets.models.labels import for_horizon

#: Makes an unfitted forecaster from variant and seed.
MakeForecaster = Callable[[str, int], Forecaster]

#: What the registry calls the horizon of a fit that no strategy reads.
FURTHER_HORIZON = "further_horizon_sessions"


@dataclass(frozen=True)
class Fit:
    """One fitted model and what it forecast out of sample.

    Parameters
    ----------
    model_id
        Identity: hash of model, variant, configuration, data, seed, fold and code.
    variant, seed, fold
        Which fit.
    forecaster
        The fitted model.
    forecasts
        ``universe``, ``symbol``, ``ts``, ``forecast`` of the test segment.
    fitted_from, fitted_until
        First decision, and last fill behind any label, that the fit used.
    test_rank_ic
        Mean rank IC of the test segment.
    offered
        Columns it could have read; those without a value in its training segment it did not.
    horizon
        Sessions of the further horizon it forecasts; ``None`` for the one strategies read.
    """

    model_id: str
    variant: str
    seed: int
    fold: int
    forecaster: Forecaster
    forecasts: pl.DataFrame
    fitted_from: datetime
    fitted_until: datetime
    test_rank_ic: float
    offered: tables.FeatureColumns
    horizon: int | None = None


@dataclass(frozen=True)
class Plan:
    """What is fitted.

    Parameters
    ----------
    make
        Makes an unfitted forecaster.
    variants
        ``base``, ``macro``; market-wide columns are offered to the latter only.
    seeds
        Seeds; ``(0,)`` for models without randomness.
    asset_features, market_features
        Columns on offer.
    further_horizons
        Horizons, in sessions, that are fitted beside the one strategies read, each by itself.
    """

    make: MakeForecaster
    variants: tuple[str, ...]
    seeds: tuple[int, ...]
    asset_features: tuple[str, ...] = tables.DEFAULT_COLUMNS.asset
    market_features: tuple[str, ...] = tables.DEFAULT_COLUMNS.market
    further_horizons: tuple[int, ...] = ()


def fit_fold(
    training_set: pl.DataFrame,
    fold: Mapping[str, Any],
    plan: Plan,
    variant: str,
    seed: int,
    *,
    data_hash: str,
    progress: Progress | None = None,
    horizon: int | None = None,
) -> Fit:
    """Fit one model on one fold and forecast its test segment.

    Parameters
    ----------
    training_set
        ``models.training_set``.
    fold
        One row of ``models.splits``.
    plan, variant, seed
        What to fit.
    data_hash
        Version of the training set.
    progress
        Passed on to the model.
    horizon
        A further horizon to fit instead of the one strategies read.
    """
    training_set = for_horizon(training_set, horizon)
    data = for_fold(
        training_set,
        fold,
        market=variant == "macro",
        asset_features=plan.asset_features,
        market_features=plan.market_features,
    )
    forecaster = plan.make(variant, seed).fit(data, progress)
    panel = panel_between(
        training_set.filter(pl.col("universe") == fold["universe"]),
        fold["test_start"],
        fold["test_end"],
        forecaster.history_sessions,
    )
    forecasts = forecaster.predict(panel)
    provenance = forecaster.provenance
    return Fit(
        model_id=model_id(
            model=provenance.model,
            variant=variant,
            config=asdict(forecaster.spec)
            | ({} if horizon is None else {FURTHER_HORIZON: horizon}),
            data_hash=data_hash,
            seed=seed,
            fold=int(fold["fold"]),
            code_version=provenance.code_version,
        ),
        variant=variant,
        seed=seed,
        fold=int(fold["fold"]),
        forecaster=forecaster,
        forecasts=forecasts,
        fitted_from=fold["train_start"],
        fitted_until=data.fitted_until(),
        test_rank_ic=scores.mean_rank_ic(forecasts, training_set),
        offered=tables.FeatureColumns(
            plan.asset_features, plan.market_features if variant == "macro" else ()
        ),
        horizon=horizon,
    )


def fit_all(
    training_set: pl.DataFrame,
    folds: pl.DataFrame,
    plan: Plan,
    *,
    data_hash: str,
    progress: Progress | None = None,
) -> list[Fit]:
    """Fit every variant and seed on every fold.

    `progress` is called after each fit with the number of fits done.
    """
    todo = [
        (fold, variant, seed, horizon)
        for horizon in (None, *plan.further_horizons)
        for variant in plan.variants
        for seed in plan.seeds
        for fold in folds.iter_rows(named=True)
    ]
    fits: list[Fit] = []
    for fold, variant, seed, horizon in todo:
        fits.append(
            fit_fold(training_set, fold, plan, variant, seed, data_hash=data_hash, horizon=horizon)
        )
        if progress is not None:
            found = {
                "fold": float(fold["fold"]),
                "seed": float(seed),
                "validation_rank_ic": float(fits[-1].forecaster.scores["validation_rank_ic"]),
            }
            progress(len(fits), len(todo), found)
    return fits


def forecasts_table(
    fits: Sequence[Fit], contract: tables.TableContract, horizon_sessions: int
) -> pl.DataFrame:
    """Forecasts of all fits as rows of ``models.forecasts_<model>``."""
    frames = [
        fit.forecasts.with_columns(
            horizon_sessions=pl.lit(fit.horizon or horizon_sessions, pl.Int64),
            variant=pl.lit(fit.variant),
            seed=pl.lit(fit.seed, pl.Int64),
            fold=pl.lit(fit.fold, pl.Int64),
            model_id=pl.lit(fit.model_id),
            **{
                column.name: pl.lit(None, column.dtype)
                for column in tables.DISTRIBUTION
                if column.name not in fit.forecasts.columns
            },
        )
        for fit in fits
    ]
    return pl.concat(frames).select(contract.column_names).sort(contract.key)


def importances_table(fits: Sequence[Fit]) -> pl.DataFrame:
    """Rows of ``models.importances_<model>``: one per feature of each fit strategies read."""
    rows = [
        {
            "universe": fit.forecasts["universe"][0],
            "variant": fit.variant,
            "seed": fit.seed,
            "fold": fit.fold,
            "feature": feature,
            "importance": share,
        }
        for fit in fits
        if isinstance(fit.forecaster, Explained) and fit.forecasts.height and fit.horizon is None
        for feature, share in fit.forecaster.importances().items()
    ]
    contract = tables.IMPORTANCES_RIDGE
    return pl.DataFrame(rows, schema=contract.schema).sort(contract.key)
