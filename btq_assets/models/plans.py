"""From the configuration to what is fitted: one plan per model family.

Belongs here: reading ``config.models`` into specifications. Does not belong here: fitting.
"""

from __future__ import annotations

from btq_assets.config import TradingConfig
from btq_assets.models.gradient_boosting import LightGBMForecaster, LightGBMSpec
from btq_assets.models.ridge import RidgeForecaster, RidgeSpec
from btq_assets.models.transformer_gnn import (
    DEFAULT_FEATURES,
    TransformerGNNForecaster,
    TransformerGNNSpec,
)
from btq_assets.models.walk_forward import Plan


def ridge_plan(config: TradingConfig, *, code_version: str) -> Plan:
    """Both variants of ridge; it has no randomness, so one seed."""

    def make(variant: str, seed: int) -> RidgeForecaster:
        spec = RidgeSpec(variant=variant, alphas=config.models.ridge.alphas, seed=seed)
        return RidgeForecaster(spec, code_version=code_version)

    return Plan(make, variants=("base", "macro"), seeds=(0,))


def lightgbm_plan(config: TradingConfig, *, code_version: str) -> Plan:
    """Both variants of LightGBM; deterministic, so one seed."""

    def make(variant: str, seed: int) -> LightGBMForecaster:
        spec = LightGBMSpec(variant=variant, seed=seed, **config.models.lightgbm.model_dump())
        return LightGBMForecaster(spec, code_version=code_version)

    return Plan(make, variants=("base", "macro"), seeds=(0,))


def transformer_gnn_spec(
    config: TradingConfig, *, seed: int, variant: str = "base", relative: bool = True
) -> TransformerGNNSpec:
    """Specification of the network under a configuration."""
    return TransformerGNNSpec(
        variant=variant,
        seed=seed,
        relative=relative,
        graph_window_sessions=config.features.correlation_window_sessions,
        horizon_sessions=config.models.horizon_sessions,
        **config.models.transformer.model_dump(),
    )


def transformer_gnn_plan(config: TradingConfig, *, code_version: str, device: str = "cpu") -> Plan:
    """The network on its compact feature set, once per configured seed."""

    def make(variant: str, seed: int) -> TransformerGNNForecaster:
        return TransformerGNNForecaster(
            transformer_gnn_spec(config, seed=seed, variant=variant),
            code_version=code_version,
            device=device,
        )

    return Plan(
        make, variants=("base",), seeds=config.models.seeds, asset_features=DEFAULT_FEATURES
    )
