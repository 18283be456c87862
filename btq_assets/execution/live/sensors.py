"""The sensor that imports journals of paper accounts when they have grown: thin, no logic."""

from __future__ import annotations

from pathlib import Path

import dagster as dg


def paper_sensor(folder: Path, table: dg.AssetKey) -> dg.SensorDefinition:
    """Sensor that has the tables of `folder` made anew when a journal in it has changed.

    A tick raises `journal.JournalError` where a journal that changed is damaged: a run could not
    import it.

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
        import json

        from btq_assets.execution.live.journal import read_journal
        from btq_assets.execution.live.tables import journals

        found = journals(folder)
        stats = {name: path.stat() for name, path in found.items()}
        now = {name: [stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()}
        known = context.cursor or ""
        before = json.loads(known) if known.startswith("{") else {}
        if not now:
            return dg.SkipReason(f"no journal below {folder}; LiveTradingEngine makes them")
        if now == before:
            return dg.SkipReason("no journal has grown")
        for name in now:
            if now[name] != before.get(name):
                read_journal(found[name])
        cursor = json.dumps(now, sort_keys=True)
        return dg.SensorResult(run_requests=[dg.RunRequest(run_key=cursor)], cursor=cursor)

    return paper_journals
