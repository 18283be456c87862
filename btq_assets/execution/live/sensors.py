"""The sensor that imports journals of paper accounts when they have grown: thin, no logic."""

from __future__ import annotations

from pathlib import Path

import dagster as dg


def paper_sensor(folder: Path, table: dg.AssetKey) -> dg.SensorDefinition:
    """Sensor that has the tables of `folder` made anew when a journal in it has grown.

    Parameters
    ----------
    folder
        Holds one folder per paper account.
    table
        One table of the asset that imports them.
    """

    @dg.sensor(
        name="paper_journals",
        target=dg.AssetSelection.assets(table),
        minimum_interval_seconds=60,
        description=f"Imports orders, fills and account when a journal below {folder.name} has grown.",
    )
    def paper_journals(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        from btq_assets.execution.live.tables import journals

        cursor = ",".join(
            f"{name}:{path.stat().st_size}" for name, path in journals(folder).items()
        )
        if not cursor:
            return dg.SkipReason(f"no journal below {folder}; LiveTradingEngine makes them")
        if cursor == context.cursor:
            return dg.SkipReason("no journal has grown")
        return dg.SensorResult(run_requests=[dg.RunRequest(run_key=cursor)], cursor=cursor)

    return paper_journals
