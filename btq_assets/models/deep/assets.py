"""One forecast table per network; all but the Transformer-GNN in a job of their own.

Belongs here: naming inputs, calling one pure function, metadata and plots. Does not belong here: any
computation. Heavy libraries are imported inside the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import core, features, models
from btq_assets.contracts.base import TableContract
from btq_assets.contracts.checks import CheckOutcome
from btq_assets.models import fit_gates, gates
from btq_assets.models.assets import fits_output, not_hollow, stored, truncation
from btq_assets.models.catalogue import DEEP
from btq_assets.models.fingerprint import FAMILIES_CONFIG, FOLD_CONFIG, SHARED_CODE, network_code
from btq_assets.models.progress import with_eta
from btq_assets.models.text import gates as text_gates
from btq_assets.warehouse import Step, TableAsset, TableOutput

if TYPE_CHECKING:
    from btq_assets.models.walk_forward import Fit

#: float32 sums depend a little on how many dates share a batch.
_TRUNCATION_TOLERANCE = 1e-4

#: States of fits that nobody went on with are kept that long.
STATES_KEPT_DAYS = 30

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
    "ft_transformer": models.FORECASTS_FT_TRANSFORMER,
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
            "models.pretraining",
            "models.seeds",
            "features.correlation_window_sessions",
            *FAMILIES_CONFIG,
        ),
        code=(
            *SHARED_CODE,
            *network_code(family),
            *(f"btq_assets.models.{module}" for module in ("catalogue", "fit_workers", "workers")),
        ),
        checks=(
            gates.out_of_sample(contract),
            gates.plausible_ic(contract),
            truncation,
            not_hollow,
        ),
        group="models" if name in _IN_RESEARCH else "networks",
        pool="gpu",
        needs_device=True,
    )


def configured(asset: TableAsset, config: TradingConfig) -> TableAsset:
    """The asset with documents among its inputs, where a configuration lets its network read them."""
    if models.FORECASTS_TRANSFORMER_GNN not in asset.outputs or not _reads_documents(config):
        return asset
    return replace(
        asset,
        inputs={**asset.inputs, **_DOCUMENTS},
        config=(*asset.config, "models.text"),
        checks=(*asset.checks, text_gates.documents_known, text_gates.no_synthetic_text),
        source_version=_weights_version,
    )


#: What texts are read from: the documents, and whom each is about.
_DOCUMENTS = {"documents": core.DOCUMENTS, "document_scores": features.DOCUMENT_SCORES}


def _reads_documents(config: TradingConfig) -> bool:
    return "text" in config.models.transformer.modalities


def _weights_version(config: TradingConfig) -> str:
    from btq_assets.models.text.encoder_files import weights_version

    return weights_version(config.models.text.weights)


def _with_texts(
    step: Step, training_set: pl.DataFrame, texts: Mapping[str, pl.DataFrame]
) -> tuple[pl.DataFrame, list[CheckOutcome], dict[str, object]]:
    """The training set with the documents of its decisions, what gates say of them, what is told."""
    from btq_assets.models.text.spec import TextSpec

    spec = TextSpec(**step.config.models.text.model_dump())
    documents, scores = texts["documents"], texts["document_scores"]
    panel = text_gates.with_documents(training_set, documents, scores, spec)
    told = text_gates.told(panel, documents)
    step.log(f"text: {told['text']}")
    n_dates = step.config.features.truncation_dates
    answers = [
        text_gates.known_outcome(panel, documents, scores, spec, n_dates),
        text_gates.no_synthetic_outcome(panel, documents),
    ]
    return panel, answers, told


def _forecasts(name: str, contract: TableContract) -> Callable[..., TableOutput]:
    def compute(
        step: Step, training_set: pl.DataFrame, splits: pl.DataFrame, **texts: pl.DataFrame
    ) -> TableOutput:
        from btq_assets.models.forecaster import hash_of
        from btq_assets.models.plans import deep_plan
        from btq_assets.models.walk_forward import fit_all, forget_states
        from btq_assets.models.workers import Alone, workers_of

        training = step.config.models.training
        workers = workers_of(training, device=step.device)
        checkpoints = step.artifacts.paths.checkpoints if training.resume else None
        data_hash = step.data_versions["training_set"]
        of_texts: list[CheckOutcome] = []
        told: dict[str, object] = {}
        if texts:
            training_set, of_texts, told = _with_texts(step, training_set, texts)
            read = {key: step.data_versions[key] for key in ("training_set", *texts)}
            data_hash = hash_of([read, _weights_version(step.config)])
        plan = deep_plan(
            name,
            step.config,
            code_version=step.code_version,
            device=step.device,
            documents=bool(texts),
        )
        fits = fit_all(
            training_set,
            splits,
            plan,
            data_hash=data_hash,
            progress=with_eta(step, name),
            workers=None if isinstance(workers, Alone) else workers,
            checkpoints=checkpoints,
        )
        if resumed := sum(fit.resumed for fit in fits):
            step.log(f"{name}: {resumed} of {len(fits)} fits went on from a saved state")
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
            *of_texts,
        )
        if checkpoints is not None:
            forget_states(fits, checkpoints, step.now - timedelta(days=STATES_KEPT_DAYS))
        output = fits_output(step, fits, contract, training_set, answers, artifacts)
        return replace(output, metadata={**output.metadata, **told, **_text_scores(fits)})

    compute.__name__ = f"forecasts_{name}"
    compute.__doc__ = f"{DEEP[name].description[0].upper()}{DEEP[name].description[1:]}."
    return compute


def _text_scores(fits: Sequence[Fit]) -> dict[str, pl.DataFrame]:
    """How the fits read documents, where they do."""
    rows = [
        {"fold": fit.fold, "seed": fit.seed, **found}
        for fit in fits
        if (found := {k: v for k, v in fit.forecaster.scores.items() if "text" in k})
    ]
    return {"text_by_fit": pl.DataFrame(rows, infer_schema_length=None)} if rows else {}


(
    forecasts_transformer_gnn,
    forecasts_gat,
    forecasts_tgn,
    forecasts_hetero_gnn,
    forecasts_xlstm,
    forecasts_lstm,
    forecasts_mlp,
    forecasts_ft_transformer,
) = (deep_forecasts_asset(name) for name in _CONTRACTS)
