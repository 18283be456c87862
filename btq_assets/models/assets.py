"""The models room in the asset graph: training set, splits and one forecast table per model.

Belongs here: naming inputs, calling one pure function, metadata and plots. Does not belong here:
any computation. Heavy libraries are imported inside the steps.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import core, evidence, features, models, raw, regimes
from btq_assets.contracts.base import TableContract
from btq_assets.contracts.checks import CheckOutcome, in_step_check
from btq_assets.models import fit_gates, gates
from btq_assets.models.chosen import chosen_tables, training_set_table
from btq_assets.models.fingerprint import FAMILIES_CONFIG, FOLD_CONFIG, SHARED_CODE
from btq_assets.models.labels import reads_table
from btq_assets.models.progress import with_eta
from btq_assets.warehouse import Step, TableAsset, TableOutput, table_asset

if TYPE_CHECKING:
    from btq_assets.models.walk_forward import Fit, Plan

truncation = in_step_check(
    "truncation",
    "Forecasts at or before seeded dates are the same when everything later is removed.",
)
not_hollow = in_step_check(
    "not_hollow",
    "Assets get different forecasts on each date, and negated features change their ranking.",
)
_left_out = in_step_check("left_out", "No fit was given a feature of the family left out of it.")


def training_set_asset(config: TradingConfig) -> TableAsset:
    """The asset of the training set, made of the families a configuration chooses."""
    table = training_set_table(config)
    return TableAsset(
        compute=_training_set,
        outputs=(table, models.SPLITS),
        inputs={
            "bars": core.BARS_1D,
            **chosen_tables(config),
            "regimes": regimes.STATES,
            "membership": raw.UNIVERSE_MEMBERSHIP,
            **({"labels": features.LABELS} if reads_table(config) else {}),
        },
        config=(*FOLD_CONFIG, *FAMILIES_CONFIG, "features.labels"),
        code=(
            "btq_assets.features.labels",
            "btq_assets.models.chosen",
            "btq_assets.models.labels",
            "btq_assets.models.training_set",
            "btq_assets.models.folds",
            "btq_assets.models.gates",
            "btq_assets.timeline",
            __name__,
        ),
        checks=(
            gates.purge,
            gates.label_horizon,
            gates.no_synthetic_sentiment,
            gates.training_set_truncation(table),
        ),
        group="models",
    )


def configured(asset: TableAsset, config: TradingConfig) -> TableAsset:
    """The asset with the training set a configuration chooses in place of the default one."""
    table = training_set_table(config)
    if any(contract.table == table.table for contract in asset.outputs):
        return training_set_asset(config)
    if all(contract.table != table.table for contract in asset.inputs.values()):
        return asset
    inputs = {n: table if c.table == table.table else c for n, c in asset.inputs.items()}
    return replace(asset, inputs=inputs)


def _training_set(
    step: Step,
    bars: pl.DataFrame,
    regimes: pl.DataFrame,
    membership: pl.DataFrame,
    labels: pl.DataFrame | None = None,
    **families: pl.DataFrame,
) -> TableOutput:
    """Features known at each session, relative labels, and purged walk-forward folds."""
    from btq_assets import plots
    from btq_assets.models import training_set as room
    from btq_assets.models.folds import splits

    frame = room.build(bars, families, regimes, step.config, membership, labels)
    folds = splits(frame, step.config)
    decisions = frame.filter("is_decision")
    dispersion = decisions.group_by("ts").agg(pl.col("label").std()).drop_nulls().sort("ts")
    nulls = room.null_families(frame, step.config)
    step.log(f"{decisions['ts'].n_unique():,} decisions, {folds.height} folds")
    return TableOutput(
        {models.TRAINING_SET.table: frame, models.SPLITS.table: folds},
        metadata={
            "n_decisions": decisions["ts"].n_unique(),
            "n_symbols": frame["symbol"].n_unique(),
            "n_sectors": frame["sector"].drop_nulls().n_unique(),
            "n_labelled_decision_rows": decisions["label"].count(),
            "n_folds": folds.height,
            "feature_families": ", ".join(step.config.models.feature_families),
            "null_families": ", ".join(f"{name} ({what})" for name, what in nulls.items())
            or "none",
            "folds": folds,
        },
        plots={
            "Dispersion of labels": plots.lines(
                dispersion["ts"],
                {"cross-sectional standard deviation": dispersion["label"]},
                f"Fill-to-fill returns over {step.config.models.horizon_sessions} sessions",
                "standard deviation across assets",
            )
        },
    )


#: The training set of the default families.
training_set = training_set_asset(TradingConfig())


@table_asset(
    outputs=(models.FORECASTS_RIDGE, models.IMPORTANCES_RIDGE),
    inputs={"training_set": models.TRAINING_SET, "splits": models.SPLITS},
    config=(*FOLD_CONFIG, "models.ridge", *FAMILIES_CONFIG),
    code=(*SHARED_CODE, "btq_assets.models.ridge"),
    checks=(
        gates.out_of_sample(models.FORECASTS_RIDGE),
        gates.plausible_ic(models.FORECASTS_RIDGE),
        truncation,
        not_hollow,
    ),
    group="models",
)
def forecasts_ridge(step: Step, training_set: pl.DataFrame, splits: pl.DataFrame) -> TableOutput:
    """Ridge on cross-sectional ranks, without and with market-wide interactions."""
    from btq_assets.models.plans import ridge_plan

    return _tabular(
        step,
        training_set,
        splits,
        ridge_plan(step.config, code_version=step.code_version),
        (models.FORECASTS_RIDGE, models.IMPORTANCES_RIDGE),
        n_dates=step.config.features.truncation_dates,
        linear=True,
    )


@table_asset(
    outputs=(models.FORECASTS_LIGHTGBM, models.IMPORTANCES_LIGHTGBM),
    inputs={"training_set": models.TRAINING_SET, "splits": models.SPLITS},
    config=(*FOLD_CONFIG, "models.lightgbm", *FAMILIES_CONFIG),
    code=(*SHARED_CODE, "btq_assets.models.gradient_boosting"),
    checks=(
        gates.out_of_sample(models.FORECASTS_LIGHTGBM),
        gates.plausible_ic(models.FORECASTS_LIGHTGBM),
        truncation,
        not_hollow,
    ),
    group="models",
)
def forecasts_lightgbm(step: Step, training_set: pl.DataFrame, splits: pl.DataFrame) -> TableOutput:
    """LightGBM on cross-sectional ranks, without and with raw market-wide columns."""
    from btq_assets.models.plans import lightgbm_plan

    return _tabular(
        step,
        training_set,
        splits,
        lightgbm_plan(step.config, code_version=step.code_version),
        (models.FORECASTS_LIGHTGBM, models.IMPORTANCES_LIGHTGBM),
        n_dates=1,
    )


def _tabular(
    step: Step,
    training_set: pl.DataFrame,
    splits: pl.DataFrame,
    plan: Plan,
    tables: tuple[TableContract, TableContract],
    *,
    n_dates: int,
    linear: bool = False,
) -> TableOutput:
    """Fit a tabular model on every fold; forecasts, importances, and what gates say of the fits.

    Parameters
    ----------
    tables
        Of forecasts and of importances.
    n_dates
        Dates of the truncation check, each of which fits again.
    linear
        See `fit_gates.not_hollow_outcome`.
    """
    from btq_assets.models import fit_plots
    from btq_assets.models.walk_forward import fit_all, importances_table

    forecasts, importances = tables
    fits = fit_all(
        training_set,
        splits,
        plan,
        data_hash=step.data_versions["training_set"],
        progress=with_eta(step, forecasts.name.removeprefix("forecasts_")),
    )
    answers = (
        fit_gates.truncation_outcome(fits, training_set, step.config, plan=plan, n_dates=n_dates),
        fit_gates.not_hollow_outcome(fits, training_set, linear=linear),
    )
    output = fits_output(step, fits, forecasts, training_set, answers)
    assert isinstance(output.frames, pl.DataFrame)
    leaned_on = importances_table(fits)
    return replace(
        output,
        frames={forecasts.table: output.frames, importances.table: leaned_on},
        plots={**output.plots, **fit_plots.of_importances(leaned_on)},
    )


@table_asset(
    outputs=(models.ABLATIONS,),
    inputs={
        "training_set": models.TRAINING_SET,
        "splits": models.SPLITS,
        "ridge": models.FORECASTS_RIDGE,
        "lightgbm": models.FORECASTS_LIGHTGBM,
    },
    config=(
        *FOLD_CONFIG,
        "models.ridge",
        "models.lightgbm",
        "models.ablations",
        "backtest",
        *FAMILIES_CONFIG,
    ),
    code=(
        *SHARED_CODE,
        *(f"btq_assets.models.{name}" for name in ("ablation", "gradient_boosting", "ridge")),
        "btq_assets.engine.costs",
        "btq_assets.evidence",
    ),
    checks=(_left_out,),
    group="models",
    optional=lambda config: bool(config.models.ablations),
)
def ablations(
    step: Step,
    training_set: pl.DataFrame,
    splits: pl.DataFrame,
    ridge: pl.DataFrame,
    lightgbm: pl.DataFrame,
) -> TableOutput:
    """Ridge and LightGBM fitted without each configured family, against the forecasts with it."""
    from btq_assets.models import ablation as room

    found, ledger = [], []
    for one in room.ablations(
        training_set,
        splits,
        {"ridge": ridge, "lightgbm": lightgbm},
        step.config,
        code_version=step.code_version,
        data_hash=step.data_versions["training_set"],
    ):
        step.log(f"{one.model} without {one.family}: {one.row['difference']:+.4f} rank IC")
        found.append(one)
        ledger += room.trials(
            one,
            training_set,
            step.config,
            code_version=step.code_version,
            data_hash=step.data_versions["training_set"],
            run_id=step.run_id,
            recorded_at=step.now,
        )
    frame = room.ablations_table(found)
    return TableOutput(
        frame,
        metadata={"ablations": frame},
        ledgers={
            evidence.TRIALS: pl.concat([trial for trial, _ in ledger]),
            evidence.TRIAL_RETURNS: pl.concat([returns for _, returns in ledger]),
        },
        answers=(room.left_out_outcome(found, step.config),),
    )


def fits_output(
    step: Step,
    fits: Sequence[Fit],
    contract: TableContract,
    training_set: pl.DataFrame,
    answers: Sequence[CheckOutcome],
    artifacts: Mapping[str, tuple[str, str]] | None = None,
) -> TableOutput:
    """Forecasts of all fits, what is shown of them, and their rows of the registry."""
    from btq_assets.models import fit_plots, registry, summary, tracking, walk_forward

    kept = stored(step, fits) if artifacts is None else artifacts
    not_tracked = tracking.tell(
        step.config.models.training.tracker,
        fits,
        kept,
        step.artifacts.paths.root / "tracking",
        log=step.log,
    )
    forecasts = walk_forward.forecasts_table(fits, contract, step.config.models.horizon_sessions)
    scores = summary.scores_by_fold(fits)
    step.log(summary.one_line(fits))
    for note in summary.notes(fits):
        step.log(note)
    curves = {
        **summary.training_curves(fits),
        **(steps := summary.training_curves(fits, summary.STEP_CURVES)),
    }
    return TableOutput(
        forecasts,
        metadata={
            "mean_rank_ic": summary.mean_rank_ic(fits),
            "validation_scores": scores,
            "features": ", ".join(fits[-1].forecaster.provenance.feature_names),
            "left_out_features": ", ".join(summary.left_out(fits)) or "none",
            **({"notes": "; ".join(notes)} if (notes := summary.notes(fits)) else {}),
            **({"not_tracked": "; ".join(not_tracked)} if not_tracked else {}),
            **({"training_curves": pl.DataFrame(curves)} if steps else {}),
            **summary.peak_memory(fits),
        },
        plots=fit_plots.of_fits(fits),
        ledgers={models.REGISTRY: registry.registry_rows(fits, kept, step.now)},
        answers=tuple(answers),
    )


def stored(step: Step, fits: Sequence[Fit]) -> dict[str, tuple[str, str]]:
    """Save every model and put it into the artefact store: path and hash by ``model_id``."""
    stored = {}
    for fit in fits:
        with tempfile.TemporaryDirectory() as folder:
            fit.forecaster.save(Path(folder))
            stored[fit.model_id] = step.artifacts.put(Path(folder))
    return stored
