"""Market-wide features."""

from __future__ import annotations

from btq_assets.contracts.columns import number
from btq_assets.contracts.features.family import family

MACRO = family(
    "macro",
    "Market-wide values known at ts; null once older than the stale limit of their series.",
    (
        number("vix_level", "CBOE volatility index, percent per year.", minimum=0),
        number(
            "vix_change_21d", "Change of the index over 21 of its observations, percentage points."
        ),
        number("credit_spread_baa_aaa", "Moody's Baa minus Aaa yield, percentage points."),
        number(
            "credit_spread_change_3m", "Change of that spread over 3 months, percentage points."
        ),
        number("wti_return_63d", "Log change of the WTI oil price over 63 of its observations."),
        number("core_cpi_yoy", "Log change of core consumer prices over 12 months."),
        number(
            "industrial_production_yoy",
            "Log change of industrial production over 12 months, vintages known at ts.",
        ),
        number(
            "payrolls_yoy", "Log change of non-farm payrolls over 12 months, vintages known at ts."
        ),
        number(
            "unemployment_change_12m",
            "Change of the unemployment rate over 12 months, percentage points, vintages known at ts.",
        ),
    ),
    market_wide=True,
)
