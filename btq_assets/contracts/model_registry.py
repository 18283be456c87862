"""Ledgers of fitted models: what each was fitted on, its stages, attempts to fit it again.

Belongs here: rows that outlive the tables they came from. Does not belong here: weights, which lie in the
artefact store.
"""

from __future__ import annotations

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import count, flag, number, stamp, text

REGISTRY = TableContract(
    layer="models",
    name="registry",
    description="One row per fitted model: what it was fitted on, with which code and seed, and where its weights lie.",
    columns=(
        text("model_id", "Hash of model, configuration, data and seed."),
        text("model", "Model family."),
        text("variant", "Feature set."),
        count("fold", "Walk-forward fold."),
        count("seed", "Seed of the fit."),
        stamp("fitted_from", "First decision used."),
        stamp("fitted_until", "Last fill used by any label."),
        text("feature_hash", "Hash of the ordered feature names."),
        text("config_json", "Typed configuration of the fit."),
        text("code_version", "Hash of the code that fitted it."),
        text("versions_json", "Versions of the libraries that matter."),
        text("metrics_json", "Training curves and validation scores."),
        text("artifact_path", "Folder of the weights, relative to the artefact store."),
        text("artifact_hash", "sha256 over the folder's files."),
        stamp("registered_at", "When it was registered, UTC."),
    ),
    key=("model_id",),
    writer="ledger",
)

STAGES = TableContract(
    layer="models",
    name="stages",
    description="Every change of a model's stage. A model without a row is a candidate. Champions are made by the verdict and the gates of the strategy they serve, and by nothing else.",
    columns=(
        text("model_id", "Registered model."),
        text("strategy", "Strategy it serves."),
        text("stage", "Stage from then on.", allowed=("champion", "retired")),
        stamp("changed_at", "When, UTC."),
        text("run_id", "Run that judged."),
        text("reason", "What the evidence said."),
    ),
    key=("model_id", "strategy", "changed_at"),
    writer="ledger",
)

REPRODUCTIONS = TableContract(
    layer="models",
    name="reproductions",
    description="Every attempt to fit a registered model again from what the registry says of it, and whether it came out the same.",
    columns=(
        text("model_id", "Registered model."),
        text("run_id", "Run that fitted it again."),
        stamp("at", "When, UTC."),
        text(
            "verdict",
            "identical: the same bytes. within tolerance: other bytes under other libraries or another device, figures within models.reproduction. differs: neither. altered: the stored artefact is not the registered one. data changed, code changed: not fitted again.",
            allowed=(
                "identical",
                "within tolerance",
                "differs",
                "altered",
                "data changed",
                "code changed",
            ),
        ),
        flag(
            "identical_bytes",
            "Whether the folder fitted again hashes to the registered one; null where none was fitted.",
            nullable=True,
        ),
        flag("same_versions", "Whether libraries and device are those of the registry."),
        number(
            "largest_forecast_difference",
            "Largest difference to the forecasts stored of it, as a share of their standard deviation; null where none are stored or none was fitted.",
            minimum=0,
        ),
        number(
            "rank_ic_difference",
            "Mean rank correlation of the test segment, fitted again less registered; null where either has none.",
        ),
        text("reason", "What was found."),
    ),
    key=("model_id", "run_id"),
    writer="ledger",
)
