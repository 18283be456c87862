"""Tables of the features room: one table per family, and the catalogue of them all.

Belongs here: names, meaning and units of the columns. Does not belong here: formulas, which live
beside the code that computes them (`btq_assets.features`); a test keeps the two in agreement.

Every feature is a nullable float: null where its history is too short, its input is missing or
its value is undefined. A window of ``n`` sessions counts the symbol's own bars.
"""

from __future__ import annotations

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.features.alpha101 import ALPHA101
from btq_assets.contracts.features.alpha158 import ALPHA158
from btq_assets.contracts.features.alpha360 import ALPHA360
from btq_assets.contracts.features.bars import MICROSTRUCTURE, QUANTUM, TECHNICAL, VOLATILITY
from btq_assets.contracts.features.calendar_effects import CALENDAR
from btq_assets.contracts.features.catalogue import CATALOGUE, REQUIREMENTS
from btq_assets.contracts.features.cross_asset import CROSS_ASSET
from btq_assets.contracts.features.dark_pool import DARK_POOL
from btq_assets.contracts.features.fractional import FRACTIONAL
from btq_assets.contracts.features.intraday import INTRADAY
from btq_assets.contracts.features.labels import LABELS
from btq_assets.contracts.features.macro import MACRO
from btq_assets.contracts.features.macro_curve import MACRO_CURVE
from btq_assets.contracts.features.multi_timeframe import MULTI_TIMEFRAME
from btq_assets.contracts.features.onchain import ONCHAIN
from btq_assets.contracts.features.options_flow import OPTIONS_FLOW
from btq_assets.contracts.features.panel import panel_contract
from btq_assets.contracts.features.quality import QUALITY
from btq_assets.contracts.features.realised_volatility import REALISED_VOLATILITY
from btq_assets.contracts.features.sentiment import DOCUMENT_SCORES, SENTIMENT
from btq_assets.contracts.features.sentiment_flow import SENTIMENT_FLOW
from btq_assets.contracts.features.structure import CROSS_ASSET_STRUCTURE, SECTOR_RELATIVE
from btq_assets.contracts.features.talib import TALIB
from btq_assets.contracts.features.tick_microstructure import TICK_MICROSTRUCTURE
from btq_assets.contracts.features.volatility_models import VOLATILITY_MODELS
from btq_assets.contracts.features.volume import VOLUME

#: Contract of each family, by family name, in the order of the catalogue.
FAMILY_CONTRACTS: dict[str, TableContract] = {
    contract.name: contract
    for contract in (
        TECHNICAL,
        VOLATILITY,
        MICROSTRUCTURE,
        QUANTUM,
        CROSS_ASSET,
        SENTIMENT,
        MACRO,
        FRACTIONAL,
        CROSS_ASSET_STRUCTURE,
        SECTOR_RELATIVE,
        ALPHA101,
        ALPHA158,
        ALPHA360,
        TALIB,
        VOLUME,
        MULTI_TIMEFRAME,
        INTRADAY,
        TICK_MICROSTRUCTURE,
        VOLATILITY_MODELS,
        REALISED_VOLATILITY,
        CALENDAR,
        MACRO_CURVE,
        OPTIONS_FLOW,
        DARK_POOL,
        ONCHAIN,
        SENTIMENT_FLOW,
    )
}

FAMILIES = tuple(FAMILY_CONTRACTS)

#: Published sets of many formulas: tables of their own, not part of the panel.
NAMED_SETS = ("alpha101", "alpha158", "alpha360", "talib")

#: Families whose rows are no daily bars.
NOT_DAILY = ("intraday", "tick_microstructure")

#: The user's own family: its columns follow from `features.custom_modules`.
CUSTOM = "custom"

PANEL = panel_contract(
    (c for name, c in FAMILY_CONTRACTS.items() if name not in (*NAMED_SETS, *NOT_DAILY)),
    (FAMILY_CONTRACTS[name] for name in NOT_DAILY),
)

__all__ = [
    "ALPHA101",
    "ALPHA158",
    "ALPHA360",
    "CALENDAR",
    "CATALOGUE",
    "CROSS_ASSET",
    "CROSS_ASSET_STRUCTURE",
    "CUSTOM",
    "DARK_POOL",
    "DOCUMENT_SCORES",
    "FAMILIES",
    "FAMILY_CONTRACTS",
    "FRACTIONAL",
    "INTRADAY",
    "LABELS",
    "MACRO",
    "MACRO_CURVE",
    "MICROSTRUCTURE",
    "MULTI_TIMEFRAME",
    "NAMED_SETS",
    "NOT_DAILY",
    "ONCHAIN",
    "OPTIONS_FLOW",
    "PANEL",
    "QUALITY",
    "QUANTUM",
    "REALISED_VOLATILITY",
    "REQUIREMENTS",
    "SECTOR_RELATIVE",
    "SENTIMENT",
    "SENTIMENT_FLOW",
    "TALIB",
    "TECHNICAL",
    "TICK_MICROSTRUCTURE",
    "VOLATILITY",
    "VOLATILITY_MODELS",
    "VOLUME",
    "columns_of",
    "feature_names",
]


def feature_names(family: str) -> tuple[str, ...]:
    """Feature columns of a family in order, without key columns and flags.

    Raises
    ------
    KeyError
        There is no such family.
    """
    return columns_of(FAMILY_CONTRACTS[family])


def columns_of(contract: TableContract) -> tuple[str, ...]:
    """Feature columns of a family's table in order, without key columns and flags."""
    return tuple(c.name for c in contract.columns if c.name not in contract.key and c.is_float)
