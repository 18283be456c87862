"""Raw macro series: every vintage is a row."""

from __future__ import annotations

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import (
    KNOWN_AT,
    KNOWN_AT_BASIS,
    day,
    number,
    text,
)

#: Series of ``raw.macro_sample`` by meaning; the NY Fed panel's are ``FRBNY:<FRED name>``.
VIX_CLOSE = "VIXCLS"
WTI_SPOT = "DCOILWTICO"
MOODYS_AAA = "AAA"
MOODYS_BAA = "BAA"
CORE_CPI = "CPILFESL"
MARKET_EXCESS_RETURN = "Mkt-RF"
SIZE_FACTOR = "SMB"
VALUE_FACTOR = "HML"
RISK_FREE_RATE = "RF"
NOWCAST_PREFIX = "FRBNY:"


def macro_contract(source: str, description: str) -> TableContract:
    """Contract of ``raw.macro_<source>``: one row per series, period and vintage."""
    return TableContract(
        layer="raw",
        name=f"macro_{source}",
        description=description,
        columns=(
            text("series_id", "Series, in the provider's spelling."),
            day("period", "Day, or first day of the month or quarter, the value describes."),
            KNOWN_AT,
            KNOWN_AT_BASIS,
            number("value", "Value in the series' own unit.", nullable=False),
            text("unit", "Unit of the value."),
            text(
                "revision",
                "REVISED where only the last revised form exists (known_at assumes a lag), VINTAGE where known_at is the recorded date of a real-time vintage, FINAL for market closes, which are not revised.",
                allowed=("REVISED", "VINTAGE", "FINAL"),
            ),
            text("dataset", "File the row came from."),
        ),
        key=("series_id", "period", "known_at"),
        append_only=True,
        max_rejected_fraction=0.05,
        owner="team:data",
    )


MACRO_FRED = macro_contract(
    "fred",
    "Series from FRED's graph files, as they stood when fetched; release times are assumed.",
)
MACRO_ALFRED = macro_contract(
    "alfred",
    "Series from FRED's API with every archived vintage: known_at is the end of the day it came out.",
)
MACRO_TREASURY = macro_contract(
    "treasury",
    "Par yields of the US Treasury's daily curve, percent per year, known at 18:00 New York time.",
)
MACRO_CBOE = macro_contract("cboe", "Daily values of Cboe's volatility indices.")
MACRO_ECB = macro_contract(
    "ecb", "Interest rates and other series of the ECB Data Portal; release times are assumed."
)
MACRO_SAMPLE = macro_contract(
    "sample",
    "Macro and market-wide series that ship inside Python packages; every vintage is a row.",
)
