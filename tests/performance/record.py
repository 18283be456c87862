"""Writes what a benchmark measured to the record behind ``mart.figures``, when asked to.

    BTQ_RECORD=1 python tests/performance/bench_startup.py

Without the variable nothing is written: a figure on record is one somebody meant to keep.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
from pathlib import Path

RECORD = Path(__file__).parents[2] / "btq_assets" / "evidence" / "figures" / "measured.jsonl"


def record(figure: str, value: float) -> None:
    """Append a line with the figure, the code it was measured on and how busy the machine was."""
    if os.environ.get("BTQ_RECORD") != "1":
        return
    line = {
        "figure": figure,
        "value": float(f"{value:.4g}"),
        "commit": _git("rev-parse", "--short", "HEAD"),
        # The record itself does not count: it grows while benchmarks run.
        "clean": not _git(
            "status", "--porcelain", "--", ".", f":!{RECORD.name}", f":!**/{RECORD.name}"
        ),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "measured_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }
    with RECORD.open("a") as out:
        out.write(json.dumps(line) + "\n")


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=RECORD.parents[2], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()
