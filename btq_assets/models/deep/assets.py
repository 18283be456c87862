"""One forecast table per network; all but the Transformer-GNN in a job of their own.

Belongs here: naming inputs, calling one pure function, metadata and plots. Does not belong here: any
computation. Heavy libraries are imported inside the steps.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from btq_assets.contracts import models
from btq_assets.contracts.base import TableContract
from btq_assets.models import fit_gates, gates
from btq_assets.models.assets import (
    FAMILIES_CONFIG,
    FOLD_CONFIG,
    SHARED_CODE,
    fits_output,
    not_hollow,
    stored,
    truncation,
    with_eta,
)
from btq_assets.models.catalogue import DEEP
from btq_assets.warehouse import Step, TableAsset, TableOutput

#: float32 sums depend a little on how many dates share a batch.
_TRUNCATION_TOLERANCE = 1e-4

#: Networks of the job `research`; the others are in the job `networks`.
_IN_RESEARCH = ("transformer_gnn",)

_CONTRACTS = {
    "transformer_gnn": models.FORECASTS_TRANSFORMER_GNN,
    "gat": models.FORECASTS_GAT,
    "tgn": models.FORECASTS_TGN,
    "hetero_gnn": models.FORECASTS_HETERO_GNN,
    "xlstm": models.FORECASTS_XLSTM,
    "lstm": models.FORECASTS_LSTM,
    "mlp": models.FORECASTS_MLP,
}


def deep_forecasts_asset(name: str) -> TableAsset:
    """The asset of the forecasts of one network."""
    family, contract = DEEP[name], _CONTRACTS[name]
    return TableAsset(
        compute=_forecasts(name, contract),
        outputs=(contract,),
        inputs={"training_set": models.TRAINING_SET, "splits": models.SPLITS},
        config=(
            *FOLD_CONFIG,
            f"models.{family.section}",
            "models.seeds",
            "features.correlation_window_sessions",
            *FAMILIES_CONFIG,
        ),
        code=(
            *SHARED_CODE,
            *(
                f"btq_assets.models.{module}"
                for module in (
                    "arrays",
                    "catalogue",
                    "deep.spec",
                    "deep.windowed",
                    family.module,
                    "graph",
                    "networks.heads",
                    *(f"networks.{network}" for network in family.networks),
                    "training",
                    "windows",
                )
            ),
        ),
        checks=(
            gates.out_of_sample(contract),
            gates.plausible_ic(contract),
            truncation,
            not_hollow,
        ),
        group="models" if name in _IN_RESEARCH else "networks",
        pool="gpu",
    )


def _forecasts(name: str, contract: TableContract) -> Callable[..., TableOutput]:
    def compute(step: Step, training_set: pl.DataFrame, splits: pl.DataFrame) -> TableOutput:
        from btq_assets.models.plans import deep_plan
        from btq_assets.models.walk_forward import fit_all

        plan = deep_plan(name, step.config, code_version=step.code_version, device=step.device)
        fits = fit_all(
            training_set,
            splits,
            plan,
            data_hash=step.data_versions["training_set"],
            progress=with_eta(step, name),
        )
        artifacts = stored(step, fits)
        forecaster = DEEP[name].load()
        loaded = {
            fit.model_id: forecaster.load(
                step.artifacts.path(path, sha256=sha256),
                code_version=step.code_version,
                device=step.device,
            )
            for fit in fits
            for path, sha256 in (artifacts[fit.model_id],)
        }
        answers = (
            fit_gates.truncation_outcome(
                fits,
                training_set,
                step.config,
                plan=None,
                n_dates=step.config.features.truncation_dates,
                relative_tolerance=_TRUNCATION_TOLERANCE,
                loaded=loaded,
            ),
            fit_gates.not_hollow_outcome(fits, training_set),
        )
        return fits_output(step, fits, contract, training_set, answers, artifacts)

    compute.__name__ = f"forecasts_{name}"
    compute.__doc__ = f"{DEEP[name].description[0].upper()}{DEEP[name].description[1:]}."
    return compute


(
    forecasts_transformer_gnn,
    forecasts_gat,
    forecasts_tgn,
    forecasts_hetero_gnn,
    forecasts_xlstm,
    forecasts_lstm,
    forecasts_mlp,
) = (deep_forecasts_asset(name) for name in _CONTRACTS)
