"""The sensor that notices files dropped in the inbox: thin, no logic (see `inbox.py`)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import dagster as dg

from btq_assets.config import TradingConfig
from btq_assets.sources.market.inbox import SeenFile, new_files


def look(folder: Path) -> list[SeenFile]:
    """Price files of `folder` as they are now; a file that vanishes meanwhile is left out."""
    from btq_assets.sources.market.providers.folder import price_files

    seen = []
    for file in price_files(folder):
        try:
            status = file.stat()
        except FileNotFoundError:
            continue
        seen.append(SeenFile(file.name, status.st_size, status.st_mtime_ns))
    return seen


def file_drop_sensor(
    config: TradingConfig, job: Any, *, interval_seconds: int = 30
) -> dg.SensorDefinition:
    """Sensor that starts `job` once for every batch of files that settled in the inbox.

    Parameters
    ----------
    config
        Gives the folder.
    job
        Job (or job name's definition) that reads the inbox.
    interval_seconds
        Time between two looks; a file is read after two equal ones.
    """
    folder = Path(config.sources.folder.path)

    @dg.sensor(
        name="inbox_files",
        job=job,
        minimum_interval_seconds=interval_seconds,
        description=f"Starts a run when price files dropped in {folder} are completely written.",
    )
    def inbox_files(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        if not folder.is_dir():
            return dg.SkipReason(
                f"{folder} does not exist; create it and drop CSV, JSON lines or Parquet in it"
            )
        ready, cursor = new_files(look(folder), context.cursor)
        if not ready:
            return dg.SensorResult(skip_reason="no new file has settled", cursor=cursor)
        batch = "|".join(f"{file.name}:{file.size_bytes}:{file.modified_ns}" for file in ready)
        request = dg.RunRequest(
            run_key=hashlib.sha256(batch.encode()).hexdigest()[:16],
            tags={"btq/files": ", ".join(file.name for file in ready)[:200]},
        )
        return dg.SensorResult(run_requests=[request], cursor=cursor)

    return inbox_files
