"""Which feature families feed the models under a configuration, and the columns they bring.

Belongs here: reading ``models.feature_families``. Does not belong here: joining (`training_set`), and
what a family is (`features.families`).
"""

from __future__ import annotations

from btq_assets.config import TradingConfig
from btq_assets.contracts import features
from btq_assets.contracts import models as tables
from btq_assets.contracts.base import TableContract
from btq_assets.features.custom import all_families
from btq_assets.features.families import Family
from btq_assets.models.forecaster import ModelError


def chosen_families(config: TradingConfig) -> tuple[Family, ...]:
    """Families of ``models.feature_families``, in its order.

    Raises
    ------
    ModelError
        A family is not computed because the source it reads is switched off.
    """
    by_name = {family.name: family for family in all_families(config)}
    chosen = tuple(by_name[name] for name in config.models.feature_families)
    for family in chosen:
        if not family.enabled(config):
            raise ModelError(
                f"models.feature_families names {family.name!r}, but no source of what it reads "
                f"({', '.join(name for name in family.inputs if name != 'bars')}) is enabled; "
                "enable one under sources, or leave the family out"
            )
    return chosen


def chosen_tables(config: TradingConfig) -> dict[str, TableContract]:
    """Tables of the chosen families, by family name."""
    return {family.name: family.contract for family in chosen_families(config)}


def chosen_columns(config: TradingConfig) -> tables.FeatureColumns:
    """Feature columns the models are offered, those of the regimes among them."""
    return tables.feature_columns(chosen_tables(config).values())


def training_set_table(config: TradingConfig) -> TableContract:
    """Contract of ``models.training_set`` under a configuration."""
    return tables.training_set_contract(
        chosen_tables(config).values(),
        further_horizons=config.models.further_horizons,
        weighted=config.models.sample_weights != "none",
    )


def columns_of_family(config: TradingConfig, name: str) -> tuple[str, ...]:
    """Feature columns of one chosen family."""
    return features.columns_of(chosen_tables(config)[name])
