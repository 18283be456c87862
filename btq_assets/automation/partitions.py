"""Partitions exist only on raw assets of remote providers; everything else is incremental by content."""

from __future__ import annotations

import dagster as dg

from btq_assets.config import TradingConfig


def provider_months(config: TradingConfig) -> dg.MonthlyPartitionsDefinition:
    """Months from the configured start of the provider up to and including the current one."""
    return dg.MonthlyPartitionsDefinition(
        start_date=f"{config.sources.yahoo.start_month}-01", end_offset=1, timezone="UTC"
    )
