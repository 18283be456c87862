"""The catalogue: every feature of every family, as rows.

Belongs here: collecting the definitions. Does not belong here: definitions themselves.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import features as contracts
from btq_assets.features.custom import all_families
from btq_assets.features.definitions import Feature
from btq_assets.features.families import Family


def definitions(config: TradingConfig | None = None) -> tuple[Feature, ...]:
    """All features, family by family, for the windows of `config`."""
    config = config or TradingConfig()
    return tuple(feature for family in all_families(config) for feature in family.features(config))


def catalogue(config: TradingConfig | None = None) -> pl.DataFrame:
    """Rows of ``features.catalogue``.

    Parameters
    ----------
    config
        Configuration: windows and switches.
    """
    config = config or TradingConfig()
    rows = [row for family in all_families(config) for row in _rows(family, config)]
    return pl.DataFrame(rows, schema=contracts.CATALOGUE.schema)


def _rows(family: Family, config: TradingConfig) -> Iterator[dict[str, object]]:
    alternative = config.features.alternative_data
    off = set(family.switched_off(config.features))
    absent = (
        not family.enabled(config)
        or (family.name in ("sentiment", "sentiment_flow") and not alternative.sentiment_analysis)
        or (family.name in ("macro", "macro_curve") and not alternative.macro_indicators)
    )
    for feature in family.features(config):
        yield {
            "name": feature.name,
            "family": feature.family,
            "formula": feature.formula,
            "source": feature.source,
            "unit": feature.unit,
            "lookback_sessions": feature.lookback_sessions,
            "requires": family.requirement(feature),
            "needs": ", ".join(feature.needs),
            "recursive": feature.recursive,
            "scale_invariant": feature.scale_invariant,
            "enabled": not absent and feature.name not in off,
        }
