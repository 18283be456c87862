"""Jobs: what is run together. `research` is all of it, and needs no partition key."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from btq_assets.warehouse.published_asset import PUBLISHED_KEY

#: Job → groups it materializes, each followed by publishing.
JOB_GROUPS: dict[str, tuple[str, ...]] = {
    "ingest": ("raw", "core"),
    "features": ("features", "regimes"),
    "train": ("models", "agents"),
    "backtest": ("portfolio", "backtest"),
    "risk": ("evidence", "risk", "mart", "report"),
}

DESCRIPTIONS = {
    "research": "Everything from source to published report, re-using what is unchanged.",
    "ingest": "Raw tables and the core built from them.",
    "features": "Feature families and regimes.",
    "train": "Training set, forecasts and agents.",
    "backtest": "Target weights and backtests.",
    "risk": "Evidence, risk, marts and the report.",
}

#: Dagster's own step events go to the UI; the console keeps to one line a table.
_QUIET_CONSOLE = {"loggers": {"console": {"config": {"log_level": "WARNING"}}}}


def unpartitioned_jobs(partitioned: Sequence[dg.AssetKey]) -> list[dg.UnresolvedAssetJobDefinition]:
    """`research` and one job per stage; partitioned assets have jobs of their own."""
    left_out = dg.AssetSelection.assets(*partitioned) if partitioned else None

    def job(name: str, selection: dg.AssetSelection) -> dg.UnresolvedAssetJobDefinition:
        return dg.define_asset_job(
            name,
            selection=selection - left_out if left_out else selection,
            description=DESCRIPTIONS[name],
            config=_QUIET_CONSOLE,
        )

    published = dg.AssetSelection.assets(PUBLISHED_KEY)
    return [
        job("research", dg.AssetSelection.all()),
        *(
            job(name, dg.AssetSelection.groups(*groups) | published)
            for name, groups in JOB_GROUPS.items()
        ),
    ]


def partitioned_job(
    name: str, keys: Sequence[dg.AssetKey], partitions: dg.PartitionsDefinition
) -> dg.UnresolvedAssetJobDefinition:
    """Job over the raw assets of one partitioned provider."""
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*keys),
        partitions_def=partitions,
        description="One month of a remote provider; the daily schedule asks for the current month.",
        config=_QUIET_CONSOLE,
    )
