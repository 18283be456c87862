"""Training sets, forecasters and their walk-forward runs.

Read `training_set` (what is learnt), `forecaster` (what a model is), then one model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from btq_assets.models.deep.transformer_gnn import TransformerGNNForecaster, TransformerGNNSpec
    from btq_assets.models.ensemble import ModelEnsemble, blend_forecasts
    from btq_assets.models.folds import TrainingSet
    from btq_assets.models.forecaster import (
        Forecaster,
        MismatchError,
        MissingFeatureError,
        ModelError,
        Progress,
        TrainingDivergedError,
    )
    from btq_assets.models.gradient_boosting import LightGBMForecaster, LightGBMSpec
    from btq_assets.models.registry import model_at
    from btq_assets.models.ridge import RidgeForecaster, RidgeSpec
    from btq_assets.models.saved import load_forecaster
    from btq_assets.models.trainer import train_transformer_model

_HOME = {
    "Forecaster": "forecaster",
    "LightGBMForecaster": "gradient_boosting",
    "LightGBMSpec": "gradient_boosting",
    "MismatchError": "forecaster",
    "MissingFeatureError": "forecaster",
    "ModelEnsemble": "ensemble",
    "ModelError": "forecaster",
    "Progress": "forecaster",
    "RidgeForecaster": "ridge",
    "RidgeSpec": "ridge",
    "TrainingDivergedError": "forecaster",
    "TrainingSet": "folds",
    "TransformerGNNForecaster": "deep.transformer_gnn",
    "TransformerGNNSpec": "deep.transformer_gnn",
    "blend_forecasts": "ensemble",
    "load_forecaster": "saved",
    "model_at": "registry",
    "train_transformer_model": "trainer",
}

__all__ = [
    "Forecaster",
    "LightGBMForecaster",
    "LightGBMSpec",
    "MismatchError",
    "MissingFeatureError",
    "ModelEnsemble",
    "ModelError",
    "Progress",
    "RidgeForecaster",
    "RidgeSpec",
    "TrainingDivergedError",
    "TrainingSet",
    "TransformerGNNForecaster",
    "TransformerGNNSpec",
    "blend_forecasts",
    "load_forecaster",
    "model_at",
    "train_transformer_model",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
