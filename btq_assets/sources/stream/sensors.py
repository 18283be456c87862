"""The sensor that commits what the recorder has left in the inbox: thin, no logic."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import dagster as dg

from btq_assets.config import TradingConfig
from btq_assets.sources.stream.arrivals import due

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def stream_sensor(config: TradingConfig, folder: Path, job: Any) -> dg.SensorDefinition:
    """Sensor that starts `job` when batches have arrived in `folder`, one run at a time.

    Parameters
    ----------
    config
        Gives the interval.
    folder
        The inbox.
    job
        Job that commits it.
    """

    @dg.sensor(
        name="stream_files",
        job=job,
        minimum_interval_seconds=config.sources.stream.sensor_seconds,
        description=f"Starts a run when the recorder has left batches in {folder.name}.",
    )
    def stream_files(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        import time

        from btq_assets.sources.stream.inbox import arrived

        if not folder.is_dir():
            return dg.SkipReason(
                f"{folder} does not exist; `python -m btq_assets record` makes and fills it"
            )
        busy = context.instance.get_run_records(
            dg.RunsFilter(job_name=job.name, statuses=_UNFINISHED), limit=1
        )
        if busy:
            return dg.SkipReason("the last batch is still being committed")
        names = [file.name for file in arrived(folder)]
        wanted, cursor = due(names, context.cursor, time.time())
        if not wanted:
            return dg.SensorResult(skip_reason="nothing new in the inbox", cursor=cursor)
        # The cursor counts attempts, so that the same files may be asked for again.
        key = hashlib.sha256(f"{cursor}|{'|'.join(names)}".encode()).hexdigest()[:16]
        request = dg.RunRequest(run_key=key, tags={"btq/stream_files": str(len(names))})
        return dg.SensorResult(run_requests=[request], cursor=cursor)

    return stream_files
