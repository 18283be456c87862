"""Partitions exist only on raw assets of remote providers; everything else is incremental by content."""

from __future__ import annotations

import dagster as dg

from btq_assets.config import TradingConfig
from btq_assets.warehouse.asset_factory import TableAsset


def partitions_of(asset: TableAsset, config: TradingConfig) -> dg.PartitionsDefinition | None:
    """Months or days of a remote provider, from its configured start up to and including now."""
    if asset.partitions is None or asset.remote is None:
        return None
    section = getattr(config.sources, asset.remote)
    if asset.partitions == "month":
        return dg.MonthlyPartitionsDefinition(
            start_date=f"{section.start_month}-01", end_offset=1, timezone="UTC"
        )
    return dg.DailyPartitionsDefinition(start_date=section.start_day, end_offset=1, timezone="UTC")
