"""What loading the code location costs beyond Dagster itself.

    python tests/performance/bench_startup.py

Each round is a fresh process that imports dagster, then dagster_dbt, then
``btq_assets.definitions``. The target is printed beside the figure; nothing passes or fails.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

from record import record

ROUNDS = 7
TARGET_S = 1.5

PROBE = """
import json, time
marks = [time.perf_counter()]
import dagster
marks.append(time.perf_counter())
import dagster_dbt
marks.append(time.perf_counter())
import btq_assets.definitions
marks.append(time.perf_counter())
print(json.dumps([b - a for a, b in zip(marks, marks[1:])]))
"""


def main() -> None:
    """Print the median of each part."""
    rounds = []
    for _ in range(ROUNDS):
        done = subprocess.run(
            [sys.executable, "-c", PROBE], check=True, capture_output=True, text=True
        )
        rounds.append(json.loads(done.stdout.splitlines()[-1]))
    dagster_s, dbt_s, ours_s = (statistics.median(part) for part in zip(*rounds, strict=True))
    print(f"import dagster                  {dagster_s:6.2f} s (median of {ROUNDS})")
    print(f"import dagster_dbt              {dbt_s:6.2f} s")
    print(f"import btq_assets.definitions   {ours_s:6.2f} s beyond them (target < {TARGET_S} s)")
    record("startup_seconds", ours_s)


if __name__ == "__main__":
    main()
