"""The catalogue: every feature of every family, as rows.

Belongs here: collecting the definitions. Does not belong here: definitions themselves.
"""

from __future__ import annotations

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import features as contracts
from btq_assets.features import (
    cross_asset,
    macro,
    microstructure,
    quantum,
    sentiment,
    technical,
    volatility,
)
from btq_assets.features.definitions import Feature


def definitions(config: TradingConfig | None = None) -> tuple[Feature, ...]:
    """All features, family by family, for the windows of `config`."""
    settings = (config or TradingConfig()).features
    return (
        *technical.FEATURES,
        *volatility.FEATURES,
        *microstructure.FEATURES,
        *quantum.features_for(settings.quantum_features.window_sessions),
        *cross_asset.features_for(settings.correlation_window_sessions),
        *sentiment.FEATURES,
        *macro.FEATURES,
    )


def catalogue(config: TradingConfig | None = None) -> pl.DataFrame:
    """Rows of ``features.catalogue``.

    Parameters
    ----------
    config
        Configuration: windows and switches.
    """
    config = config or TradingConfig()
    off = set(quantum.switched_off(config.features))
    alternative = config.features.alternative_data
    if not alternative.sentiment_analysis:
        off |= {feature.name for feature in sentiment.FEATURES}
    if not alternative.macro_indicators:
        off |= {feature.name for feature in macro.FEATURES}
    rows = [
        {
            "name": feature.name,
            "family": feature.family,
            "formula": feature.formula,
            "source": feature.source,
            "unit": feature.unit,
            "lookback_sessions": feature.lookback_sessions,
            "needs": ", ".join(feature.needs),
            "scale_invariant": feature.scale_invariant,
            "enabled": feature.name not in off,
        }
        for feature in definitions(config)
    ]
    return pl.DataFrame(rows, schema=contracts.CATALOGUE.schema)
