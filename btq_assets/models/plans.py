"""From the configuration to what is fitted: one plan per model family.

Belongs here: reading ``config.models`` into specifications. Does not belong here: fitting.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from btq_assets.config import TradingConfig
from btq_assets.models.catalogue import family_named
from btq_assets.models.chosen import chosen_columns
from btq_assets.models.deep.spec import WindowedSpec
from btq_assets.models.deep.windowed import DEFAULT_FEATURES
from btq_assets.models.forecaster import Forecaster
from btq_assets.models.gradient_boosting import LightGBMForecaster, LightGBMSpec
from btq_assets.models.ridge import RidgeForecaster, RidgeSpec
from btq_assets.models.text.spec import TextSpec
from btq_assets.models.training.running import Running
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
    name: str,
    config: TradingConfig,
    *,
    seed: int,
    variant: str = "base",
    relative: bool = True,
    documents: bool = False,
) -> WindowedSpec:
    """Specification of a network under a configuration.

    Parameters
    ----------
    name
        A deep family of `catalogue.FAMILIES`.
    relative
        ``False`` for a single asset, whose return itself is learnt.
    documents
        Whether the panel has a column of documents; without, the modality ``text`` is left out.
    """
    family = family_named(name)
    spec_type: type[WindowedSpec] = family.load().spec_type
    section = getattr(config.models, family.section).model_dump()
    if "text" in section.get("modalities", ()):
        if documents:
            section["text"] = TextSpec(**config.models.text.model_dump())
        else:
            section["modalities"] = tuple(n for n in section["modalities"] if n != "text")
    return spec_type(
        variant=variant,
        seed=seed,
        relative=relative,
        graph_window_sessions=config.features.correlation_window_sessions,
        horizon_sessions=config.models.horizon_sessions,
        pretraining=config.models.pretraining,
        **section,
    )


def deep_plan(
    name: str,
    config: TradingConfig,
    *,
    code_version: str,
    device: str = "cpu",
    documents: bool = False,
) -> Plan:
    """A network, once per configured seed.

    It reads what the training set has of the compact feature set; all asset columns where the
    chosen families (``models.feature_families``) hold none of it, or the network reads columns one by
    one (`WindowedForecaster.compact`). Besides, the columns of the
    modalities it fuses, and with `documents` the texts of the panel.
    """
    columns = chosen_columns(config)
    offered = columns.asset
    compact = tuple(column for column in DEFAULT_FEATURES if column in offered)
    forecaster = family_named(name).load()
    read = compact if compact and forecaster.compact else offered
    both = (*offered, *columns.market)
    named = getattr(deep_spec(name, config, seed=0), "modalities", ())
    fused = [both[place] for places in groups_of(both, named).values() for place in places]

    training = config.models.training
    return Plan(
        MakeDeep(name, config, code_version, device, documents),
        variants=("base",),
        seeds=config.models.seeds,
        asset_features=(*read, *(column for column in fused if column not in read)),
        market_features=(),
        further_horizons=config.models.further_horizons,
        load=partial(forecaster.load, device=device),
        save_every_steps=training.save_every_steps if training.resume else None,
    )


@dataclass(frozen=True)
class MakeDeep:
    """Makes unfitted networks of one family; can be sent to another process."""

    name: str
    config: TradingConfig
    code_version: str
    device: str
    documents: bool = False

    def __call__(self, variant: str, seed: int) -> Forecaster:
        """The forecaster of a variant and a seed."""
        made: Forecaster = family_named(self.name).load()(
            deep_spec(self.name, self.config, seed=seed, variant=variant, documents=self.documents),
            code_version=self.code_version,
            device=self.device,
            running=Running.of(self.config.models.training),
        )
        return made


def plan_of(name: str, config: TradingConfig, *, code_version: str, device: str = "cpu") -> Plan:
    """The plan of any family of `catalogue.FAMILIES`."""
    tabular = {"ridge": ridge_plan, "lightgbm": lightgbm_plan}
    if name in tabular:
        return tabular[name](config, code_version=code_version)
    return deep_plan(name, config, code_version=code_version, device=device)


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
