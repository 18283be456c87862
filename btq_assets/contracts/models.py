"""Tables of the models room: training set, splits, forecasts and registry."""

from __future__ import annotations

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import HORIZON, SYMBOL, TS, UNIVERSE, count, number, stamp, text

SPLITS = TableContract(
    layer="models",
    name="splits",
    description="Purged walk-forward folds. Boundaries come from the calendar and the configuration, never from where the data end.",
    columns=(
        UNIVERSE,
        count("fold", "Fold number, 0 first."),
        stamp("train_start", "First decision of the training segment."),
        stamp(
            "train_end",
            "Last decision of the training segment whose label is filled by validation_start.",
        ),
        stamp(
            "validation_start", "First decision of the early-stopping and hyper-parameter segment."
        ),
        stamp("validation_end", "Last decision of it whose label is filled by test_start."),
        stamp("test_start", "First decision of the test segment."),
        stamp("test_end", "Last decision of the test segment."),
        count("n_purged", "Decisions dropped because their label overlaps the next segment."),
    ),
    key=("universe", "fold"),
)


def forecasts_contract(model: str, description: str) -> TableContract:
    """Contract of ``models.forecasts_<model>``: out-of-sample forecasts of every fold."""
    return TableContract(
        layer="models",
        name=f"forecasts_{model}",
        description=description,
        columns=(
            UNIVERSE,
            SYMBOL,
            TS,
            HORIZON,
            text(
                "variant",
                "Feature set: base, or macro where macro and regime inputs are added.",
                allowed=("base", "macro"),
            ),
            count("seed", "Seed of the fit; 0 for deterministic models."),
            count("fold", "Walk-forward fold whose model made the forecast."),
            number(
                "forecast",
                "Forecast of the label (fill-to-fill return minus the universe mean at the same date).",
                nullable=False,
            ),
            text("model_id", "Registry row of the fitted model."),
        ),
        key=("universe", "symbol", "ts", "horizon_sessions", "variant", "seed"),
        kinds=("duckdb", "polars", "python"),
    )


FORECASTS_RIDGE = forecasts_contract(
    "ridge", "Out-of-sample forecasts of a ridge regression on in-fold standardised features."
)
FORECASTS_LIGHTGBM = forecasts_contract(
    "lightgbm", "Out-of-sample forecasts of LightGBM regression trees."
)
FORECASTS_TRANSFORMER_GNN = forecasts_contract(
    "transformer_gnn",
    "Out-of-sample forecasts of temporal self-attention per asset followed by graph attention over a trailing correlation graph.",
)

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
