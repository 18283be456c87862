"""What is compared: a plan for every architecture of the catalogue, whole and without a component.

Belongs here: from the catalogue and the configuration to plans. Does not belong here: fitting (`fits`).
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.models import plans
from btq_assets.models.catalogue import FAMILIES, ModelFamily, family_named
from btq_assets.models.chosen import columns_of_family
from btq_assets.models.folds import null_columns
from btq_assets.models.forecaster import ModelError
from btq_assets.models.walk_forward import Plan

#: What is left out of an architecture that is whole.
NOTHING = "nothing"

#: Feature set compared: columns with a value per asset.
VARIANT = "base"

#: Architectures without any randomness: one seed says all.
_WITHOUT_RANDOMNESS = ("ridge",)

#: Option of a network's section by which a component is switched off, and what it is called.
_OPTIONS = {
    "graph": ("use_graph", "edges between assets"),
    "temporal_attention": ("temporal_attention", "attention over time"),
}

#: Feature families behind a component.
_FEATURES = {"sentiment": ("sentiment", "sentiment_flow"), "quantum": ("quantum",)}


def compared_families(config: TradingConfig) -> tuple[ModelFamily, ...]:
    """Families that are compared: those of ``models.comparison.families``, else all there are.

    Raises
    ------
    ModelError
        A name of none; the error names the known ones.
    """
    named = config.models.comparison.families
    return tuple(map(family_named, named)) if named else tuple(FAMILIES.values())


def has_randomness(name: str) -> bool:
    """Whether another seed gives other forecasts."""
    return name not in _WITHOUT_RANDOMNESS


def is_compared(name: str, config: TradingConfig) -> bool:
    """Whether a family is among those compared."""
    return name in [family.name for family in compared_families(config)]


def compared_plan(
    name: str,
    config: TradingConfig,
    *,
    code_version: str,
    device: str = "cpu",
    without: str = NOTHING,
) -> Plan:
    """How an architecture is fitted for the comparison.

    Networks are trained for at most ``models.comparison.epochs`` epochs; all else is as in their
    own tables.

    Parameters
    ----------
    name
        A family of the catalogue.
    without
        A component, or `NOTHING`.

    Raises
    ------
    ModelError
        The architecture does not have the component; see `nothing_to_leave_out`.
    """
    family = family_named(name)
    chosen = _capped(config, family)
    if without in _OPTIONS:
        chosen = _with_section(chosen, family, {_OPTIONS[without][0]: False})
    plan = _plan(family, chosen, code_version, device)
    if without != NOTHING:
        if reason := nothing_to_leave_out(name, config, without):
            raise ModelError(f"{name} without {without}: {reason}")
        left_out = _columns(without, config)
        kept = tuple(column for column in plan.asset_features if column not in left_out)
        plan = replace(plan, asset_features=kept)
    return replace(plan, variants=(VARIANT,), seeds=seeds_of(name, config, without=without))


def seeds_of(name: str, config: TradingConfig, *, without: str = NOTHING) -> tuple[int, ...]:
    """Seeds an architecture is fitted with."""
    settings = config.models.comparison
    if not has_randomness(name):
        return (0,)
    return settings.seeds if without == NOTHING else settings.seeds[: settings.ablation_seeds]


def nothing_to_leave_out(
    name: str, config: TradingConfig, component: str, training_set: pl.DataFrame | None = None
) -> str:
    """Why an architecture cannot be fitted without a component; empty where it can.

    Parameters
    ----------
    training_set
        ``models.training_set``, to see whether the columns of a family hold any value.
    """
    family = family_named(name)
    if component in _OPTIONS:
        option, called = _OPTIONS[component]
        has = family.is_deep and getattr(getattr(config.models, family.section), option, False)
        return "" if has else f"it has no {called}"
    read = _plan(family, config, "unversioned", "cpu").asset_features
    named = _columns(component, config)
    own = [column for column in read if column in named]
    if not own:
        return f"it reads no {component} feature"
    if training_set is not None and set(null_columns(training_set, own)) == set(own):
        return f"no {component} feature has a value"
    return "" if len(own) < len(read) else f"it reads nothing but {component} features"


def components_of(name: str, config: TradingConfig, training_set: pl.DataFrame) -> tuple[str, ...]:
    """Components of ``models.comparison.components`` that the architecture has."""
    return tuple(
        component
        for component in config.models.comparison.components
        if not nothing_to_leave_out(name, config, component, training_set)
    )


def features_left_in(columns: tuple[str, ...], component: str, config: TradingConfig) -> list[str]:
    """Columns of a component that are still among `columns`; none for a part of a network."""
    named = _columns(component, config)
    return [column for column in columns if column in named]


def _plan(family: ModelFamily, config: TradingConfig, code_version: str, device: str) -> Plan:
    return plans.plan_of(family.name, config, code_version=code_version, device=device)


def _columns(component: str, config: TradingConfig) -> frozenset[str]:
    """Feature columns behind a component, of the families that are chosen."""
    families = _FEATURES.get(component, ())
    chosen = [name for name in families if name in config.models.feature_families]
    return frozenset(column for name in chosen for column in columns_of_family(config, name))


def _capped(config: TradingConfig, family: ModelFamily) -> TradingConfig:
    limit = config.models.comparison.epochs
    if limit is None or not family.is_deep:
        return config
    own = getattr(config.models, family.section).epochs
    return _with_section(config, family, {"epochs": min(own, limit)})


def _with_section(
    config: TradingConfig, family: ModelFamily, changes: dict[str, object]
) -> TradingConfig:
    section = getattr(config.models, family.section).model_copy(update=changes)
    models = config.models.model_copy(update={family.section: section})
    return config.model_copy(update={"models": models})
