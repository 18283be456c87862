"""Outside events: a run that failed. The file-drop sensor lies with the folder source."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import dagster as dg

from btq_assets.warehouse.paths import DataPaths


def run_failure_recorder(paths: DataPaths) -> dg.SensorDefinition:
    """Append one JSON line per failed run to ``alerts/run_failures.jsonl`` in the data folder."""

    @dg.run_failure_sensor(
        name="run_failure_recorder",
        description="Writes each failed run, with the step and its message, to alerts/run_failures.jsonl.",
        monitor_all_code_locations=False,
    )
    def run_failure_recorder_fn(context: dg.RunFailureSensorContext) -> None:
        line = {
            "run_id": context.dagster_run.run_id,
            "job": context.dagster_run.job_name,
            "message": context.failure_event.message,
            "steps": [
                {"step": event.step_key, "message": event.message}
                for event in context.get_step_failure_events()
            ],
            "recorded_at": datetime.now(UTC).isoformat(),
        }
        file = paths.root / "alerts" / "run_failures.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as handle:
            handle.write(json.dumps(line) + "\n")
        context.log.error(f"run {line['run_id']} of {line['job']} failed; see {file}")

    return run_failure_recorder_fn
