"""Every fold, variant and seed of one model: fit before the test segment, forecast inside it.

Belongs here: the loop over folds. Does not belong here: what a model is, and where results go.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from btq_assets.contracts import models as tables
from btq_assets.contracts.base import TableContract
from btq_assets.models import scores
from btq_assets.models.folds import for_fold, panel_between
from btq_assets.models.forecaster import Explained, Forecaster, Progress, model_id
from btq_assets.models.labels import for_horizon
from btq_assets.models.training import memory

if TYPE_CHECKING:
    from btq_assets.models.workers import Workers

#: Makes an unfitted forecaster from variant and seed.
MakeForecaster = Callable[[str, int], Forecaster]

#: Name of a saved state in the folder of its fit.
STATE_FILE = "state.safetensors"

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
    peak
        Memory the fit took at most, and ``device`` where it ran.
    resumed
        Whether it went on from a saved state.
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
    peak: memory.PeakMemory | None = None
    device: str = "cpu"
    resumed: bool = False


@dataclass(frozen=True)
class Task:
    """One fit of a plan: a row of ``models.splits``, variant, seed and further horizon."""

    fold: Mapping[str, Any]
    variant: str
    seed: int
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
    load
        Reads a saved model of the plan; without it fits stay in this process.
    save_every_steps
        Steps between two saved states of a fit; ``None`` where models keep no state.
    """

    make: MakeForecaster
    variants: tuple[str, ...]
    seeds: tuple[int, ...]
    asset_features: tuple[str, ...] = tables.DEFAULT_COLUMNS.asset
    market_features: tuple[str, ...] = tables.DEFAULT_COLUMNS.market
    further_horizons: tuple[int, ...] = ()
    load: Callable[[Path], Forecaster] | None = None
    save_every_steps: int | None = None


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
    checkpoints: Path | None = None,
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
    checkpoints
        Folder of saved states, one folder a fit, from which a fit that was killed goes on; ``None``
        keeps none.
    """
    training_set = for_horizon(training_set, horizon)
    data = for_fold(
        training_set,
        fold,
        market=variant == "macro",
        asset_features=plan.asset_features,
        market_features=plan.market_features,
    )
    forecaster: Any = plan.make(variant, seed)
    device = getattr(forecaster, "device", "cpu")

    def identity(model: str, code_version: str) -> str:
        return model_id(
            model=model,
            variant=variant,
            config=asdict(forecaster.spec)
            | ({} if horizon is None else {FURTHER_HORIZON: horizon}),
            data_hash=data_hash,
            seed=seed,
            fold=int(fold["fold"]),
            code_version=code_version,
        )

    memory.begin(device)
    resumed = False
    if checkpoints is not None and plan.save_every_steps is not None:
        from btq_assets.models.training.checkpoint_files import FileCheckpoints

        own = checkpoints / identity(forecaster.family, forecaster.code_version)
        states = FileCheckpoints(own / STATE_FILE, plan.save_every_steps)
        resumed = states.path.exists()
        forecaster = forecaster.fit(data, progress, checkpoints=states)
    else:
        forecaster = forecaster.fit(data, progress)
    peak = memory.peak(device)
    panel = panel_between(
        training_set.filter(pl.col("universe") == fold["universe"]),
        fold["test_start"],
        fold["test_end"],
        forecaster.history_sessions,
    )
    forecasts = forecaster.predict(panel)
    provenance = forecaster.provenance
    return Fit(
        model_id=identity(provenance.model, provenance.code_version),
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
        peak=peak,
        device=device,
        resumed=resumed,
    )


def fit_all(
    training_set: pl.DataFrame,
    folds: pl.DataFrame,
    plan: Plan,
    *,
    data_hash: str,
    progress: Callable[[float, int, Mapping[str, float]], None] | None = None,
    workers: Workers | None = None,
    checkpoints: Path | None = None,
) -> list[Fit]:
    """Fit every variant and seed on every fold.

    `progress` is called after each fit with the number of fits done and that of all, and within a fit,
    where it is made by this process, after each of its epochs (or trees, or penalties) with a fraction
    more. On `workers` fits are made beside one another and are the same to the last bit, in the same
    order. For `checkpoints` see `fit_fold`.
    """
    todo = [
        Task(fold, variant, seed, horizon)
        for horizon in (None, *plan.further_horizons)
        for variant in plan.variants
        for seed in plan.seeds
        for fold in folds.iter_rows(named=True)
    ]
    done = 0

    def came(fit: Fit) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            found = {
                "fold": float(fit.fold),
                "seed": float(fit.seed),
                "validation_rank_ic": float(fit.forecaster.scores["validation_rank_ic"]),
            }
            progress(done, len(todo), found)

    def within(epoch: int, epochs: int, found: Mapping[str, float]) -> None:
        if progress is not None:
            # One part more than epochs: there are forecasts to come.
            progress(done + epoch / (epochs + 1), len(todo), found)

    if workers is not None:
        from btq_assets.models.fit_workers import Work, fit_on

        return fit_on(workers, Work(training_set, plan, data_hash, checkpoints), todo, came)
    fits: list[Fit] = []
    for task in todo:
        fits.append(
            fit_fold(
                training_set,
                task.fold,
                plan,
                task.variant,
                task.seed,
                data_hash=data_hash,
                progress=None if progress is None else within,
                horizon=task.horizon,
                checkpoints=checkpoints,
            )
        )
        came(fits[-1])
    return fits


def forget_states(fits: Sequence[Fit], checkpoints: Path, before: datetime) -> None:
    """Remove the saved states of `fits`, and those nobody has touched since `before`."""
    for fit in fits:
        shutil.rmtree(checkpoints / fit.model_id, ignore_errors=True)
    for state in checkpoints.glob(f"*/{STATE_FILE}"):
        if state.stat().st_mtime < before.timestamp():
            shutil.rmtree(state.parent, ignore_errors=True)


def forecasts_table(
    fits: Sequence[Fit], contract: TableContract, horizon_sessions: int
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
