"""Writes what a benchmark measured to the record behind ``mart.figures``, when asked to.

    BTQ_RECORD=1 python tests/performance/bench_startup.py

Without the variable nothing is written: a figure on record is one somebody meant to keep. With it
benchmarks that are short otherwise take the sizes the promises speak of. Any value but 1 is the file
to write to, in place of the packaged one.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
from pathlib import Path

from btq_assets.evidence.figures.promises import PROMISES
from btq_assets.warehouse import code_version

ASKED = os.environ.get("BTQ_RECORD", "")
PACKAGED = Path(__file__).parents[2] / "btq_assets" / "evidence" / "figures" / "measured.jsonl"
RECORD = PACKAGED if ASKED in ("", "1") else Path(ASKED)


def size(promised: int, short: int) -> int:
    """The size a promise speaks of where the figure is recorded, else a short one."""
    return promised if ASKED else short


def record(figure: str, value: float, **sizes: float) -> None:
    """Append a line with the figure, the code it was measured on and how busy the machine was.

    Parameters
    ----------
    figure
        A name in ``promises.PROMISES`` that has a command; any other is refused, so that no
        benchmark measures what `mart.figures` cannot show.
    value
        In the promise's unit.
    sizes
        What the figure was measured with, by the names the promise has; a figure of other sizes
        is shown as not measured.
    """
    promise = {one.figure: one for one in PROMISES if one.command}.get(figure)
    if promise is None:
        raise SystemExit(f"{figure}: nobody promised it; add it to promises.PROMISES")
    if not ASKED:
        return
    line = {
        "figure": figure,
        "value": float(f"{value:.4g}"),
        "sizes": sizes,
        "code": code_version(promise.code),
        "commit": _git("rev-parse", "--short", "HEAD"),
        # The record itself does not count: it grows while benchmarks run.
        "clean": not _git(
            "status", "--porcelain", "--", ".", f":!{PACKAGED.name}", f":!**/{PACKAGED.name}"
        ),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "measured_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }
    with RECORD.open("a") as out:
        out.write(json.dumps(line) + "\n")


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=PACKAGED.parents[2], check=True, capture_output=True, text=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(
            f"a figure is recorded with the commit it was measured on, and git does not say: {error}"
        ) from error
    return done.stdout.strip()
