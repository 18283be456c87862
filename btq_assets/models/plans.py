"""From the configuration to what is fitted: one plan per model family.

Belongs here: reading ``config.models`` into specifications. Does not belong here: fitting.
"""

from __future__ import annotations

from btq_assets.config import TradingConfig
from btq_assets.models.chosen import chosen_columns
from btq_assets.models.gradient_boosting import LightGBMForecaster, LightGBMSpec
from btq_assets.models.ridge import RidgeForecaster, RidgeSpec
from btq_assets.models.transformer_gnn import (
    DEFAULT_FEATURES,
    TransformerGNNForecaster,
    TransformerGNNSpec,
)
from btq_assets.models.walk_forward import MakeForecaster, Plan


def ridge_plan(config: TradingConfig, *, code_version: str) -> Plan:
    """Both variants of ridge; it has no randomness, so one seed."""

    def make(variant: str, seed: int) -> RidgeForecaster:
        spec = RidgeSpec(variant=variant, alphas=config.models.ridge.alphas, seed=seed)
        return RidgeForecaster(spec, code_version=code_version)

    return _tabular(make, config)


def lightgbm_plan(config: TradingConfig, *, code_version: str) -> Plan:
    """Both variants of LightGBM; deterministic, so one seed."""

    def make(variant: str, seed: int) -> LightGBMForecaster:
        spec = LightGBMSpec(variant=variant, seed=seed, **config.models.lightgbm.model_dump())
        return LightGBMForecaster(spec, code_version=code_version)

    return _tabular(make, config)


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
    """The network, once per configured seed.

    It reads what the training set has of its compact feature set; all asset columns where the
    chosen families (``models.feature_families``) hold none of it.
    """
    offered = chosen_columns(config).asset
    compact = tuple(name for name in DEFAULT_FEATURES if name in offered)

    def make(variant: str, seed: int) -> TransformerGNNForecaster:
        return TransformerGNNForecaster(
            transformer_gnn_spec(config, seed=seed, variant=variant),
            code_version=code_version,
            device=device,
        )

    return Plan(
        make,
        variants=("base",),
        seeds=config.models.seeds,
        asset_features=compact or offered,
        market_features=(),
    )


def _tabular(make: MakeForecaster, config: TradingConfig) -> Plan:
    columns = chosen_columns(config)
    return Plan(
        make,
        variants=("base", "macro"),
        seeds=(0,),
        asset_features=columns.asset,
        market_features=columns.market,
    )
