"""From the configuration to what is fitted: one plan per model family.

Belongs here: reading ``config.models`` into specifications. Does not belong here: fitting.
"""

from __future__ import annotations

from btq_assets.config import TradingConfig
from btq_assets.models.catalogue import family_named
from btq_assets.models.chosen import chosen_columns
from btq_assets.models.deep.spec import WindowedSpec
from btq_assets.models.deep.windowed import DEFAULT_FEATURES
from btq_assets.models.forecaster import Forecaster
from btq_assets.models.gradient_boosting import LightGBMForecaster, LightGBMSpec
from btq_assets.models.ridge import RidgeForecaster, RidgeSpec
from btq_assets.models.text.spec import TextSpec
from btq_assets.models.walk_forward import MakeForecaster, Plan
from btq_assets.models.windows.modalities import groups_of


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


def deep_spec(
    name: str, config: TradingConfig, *, seed: int, variant: str = "base", relative: bool = True
) -> WindowedSpec:
    """Specification of a network under a configuration.

    Parameters
    ----------
    name
        A deep family of `catalogue.FAMILIES`.
    relative
        ``False`` for a single asset, whose return itself is learnt.
    """
    family = family_named(name)
    spec_type: type[WindowedSpec] = family.load().spec_type
    section = getattr(config.models, family.section).model_dump()
    if "text" in section.get("modalities", ()):
        section["text"] = TextSpec(**config.models.text.model_dump())
    return spec_type(
        variant=variant,
        seed=seed,
        relative=relative,
        graph_window_sessions=config.features.correlation_window_sessions,
        horizon_sessions=config.models.horizon_sessions,
        pretraining=config.models.pretraining,
        **section,
    )


def deep_plan(name: str, config: TradingConfig, *, code_version: str, device: str = "cpu") -> Plan:
    """A network, once per configured seed.

    It reads what the training set has of the compact feature set; all asset columns where the
    chosen families (``models.feature_families``) hold none of it. Besides, the columns of the
    modalities it fuses.
    """
    columns = chosen_columns(config)
    offered = columns.asset
    compact = tuple(column for column in DEFAULT_FEATURES if column in offered)
    read = compact or offered
    both = (*offered, *columns.market)
    named = getattr(deep_spec(name, config, seed=0), "modalities", ())
    fused = [both[place] for places in groups_of(both, named).values() for place in places]
    forecaster = family_named(name).load()

    def make(variant: str, seed: int) -> Forecaster:
        made: Forecaster = forecaster(
            deep_spec(name, config, seed=seed, variant=variant),
            code_version=code_version,
            device=device,
        )
        return made

    return Plan(
        make,
        variants=("base",),
        seeds=config.models.seeds,
        asset_features=(*read, *(column for column in fused if column not in read)),
        market_features=(),
        further_horizons=config.models.further_horizons,
    )


def _tabular(make: MakeForecaster, config: TradingConfig) -> Plan:
    columns = chosen_columns(config)
    return Plan(
        make,
        variants=("base", "macro"),
        seeds=(0,),
        asset_features=columns.asset,
        market_features=columns.market,
        further_horizons=config.models.further_horizons,
    )
