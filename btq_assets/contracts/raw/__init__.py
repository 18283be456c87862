"""Raw tables: rows as a source gave them, append-only, one table per source."""

from __future__ import annotations

from btq_assets.contracts.raw.macro import (
    CORE_CPI,
    MACRO_SAMPLE,
    MARKET_EXCESS_RETURN,
    MOODYS_AAA,
    MOODYS_BAA,
    NOWCAST_PREFIX,
    RISK_FREE_RATE,
    SIZE_FACTOR,
    VALUE_FACTOR,
    VIX_CLOSE,
    WTI_SPOT,
    macro_contract,
)
from btq_assets.contracts.raw.market import (
    BAR_RULES,
    BARS_FOLDER,
    BARS_SAMPLE,
    BARS_YAHOO,
    FREQUENCIES,
    UNIVERSE_MEMBERSHIP,
    bars_contract,
    corporate_actions_contract,
    funding_contract,
)
from btq_assets.contracts.raw.sentiment import DOCUMENTS_SAMPLE

__all__ = [
    "BARS_FOLDER",
    "BARS_SAMPLE",
    "BARS_YAHOO",
    "BAR_RULES",
    "CORE_CPI",
    "DOCUMENTS_SAMPLE",
    "FREQUENCIES",
    "MACRO_SAMPLE",
    "MARKET_EXCESS_RETURN",
    "MOODYS_AAA",
    "MOODYS_BAA",
    "NOWCAST_PREFIX",
    "RISK_FREE_RATE",
    "SIZE_FACTOR",
    "UNIVERSE_MEMBERSHIP",
    "VALUE_FACTOR",
    "VIX_CLOSE",
    "WTI_SPOT",
    "bars_contract",
    "corporate_actions_contract",
    "funding_contract",
    "macro_contract",
]
