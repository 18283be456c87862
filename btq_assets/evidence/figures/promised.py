"""Figures that are promised, and what the benchmarks last measured of them.

Belongs here: the promises, and the verdict that follows from a record. Does not belong here: measuring
(`tests/performance`), reading the record. Nobody types a measured figure: benchmarks append lines to
``measured.jsonl`` when asked to, and a promise without a line is "not measured".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import polars as pl

from btq_assets.contracts.figures import FIGURES

_STARTUP = "python tests/performance/bench_startup.py"
_INGEST = "python tests/performance/bench_ingest.py"
_LIVE = "python tests/performance/bench_live.py"
_ORDERS = "python tests/performance/bench_orders.py"


@dataclass(frozen=True)
class Promise:
    """One promised figure.

    Parameters
    ----------
    figure
        Short name, which the record uses.
    description
        What is measured, against what.
    unit
        Unit of the figure.
    direction
        On which side of `target` a figure keeps the promise.
    target
        What is promised.
    command
        What measures it; ``None`` where what it is about is not built.
    """

    figure: str
    description: str
    unit: str
    direction: Literal["at least", "at most"]
    target: float
    command: str | None


PROMISES = (
    Promise(
        "startup_seconds",
        "Import of btq_assets.definitions beyond dagster and dagster_dbt, median of fresh processes.",
        "s", "at most", 1.5, _STARTUP,
    ),
    Promise(
        "storing_ratio",
        "Contract, commit and version of 1.1 M daily rows against a bare polars read and DuckDB "
        "insert, seconds of the processor.",
        "ratio", "at most", 3.0, _INGEST,
    ),
    Promise(
        "resampling_rate",
        "Bars of a minute to all longer timeframes.",
        "bars per second", "at least", 5e6, _INGEST,
    ),
    Promise(
        "session_share",
        "One session added to ten years of 250 symbols, without the suite, over the full ingest, "
        "seconds of the processor beyond Dagster's own.",
        "share", "at most", 0.02, _INGEST,
    ),
    Promise(
        "session_share_with_suite",
        "The same with the suite of expectations.",
        "share", "at most", 0.02, _INGEST,
    ),
    Promise(
        "live_update_p99",
        "Features of one new daily bar of 500 symbols in the streaming path, 99th percentile.",
        "ms", "at most", 20.0, _LIVE,
    ),
    Promise(
        "orders_to_vectorbt",
        "A million orders of 1,000 assets, warm, over vectorbt's fastest engine that is installed "
        "(orders only on its side), seconds of the processor.",
        "ratio", "at most", 0.5, _ORDERS,
    ),
    Promise(
        "book_events_rate",
        "Book updates with orders among them through the event engine, per second of one core.",
        "events per second", "at least", 1e6, _ORDERS,
    ),
    Promise(
        "backtrader_speedup",
        "Bars per second over Backtrader's, the same orders on every bar, seconds of the processor.",
        "ratio", "at least", 500.0, _ORDERS,
    ),
    Promise(
        "engine_first_call",
        "First call of the event engine in a new process, compiled code stored, seconds of the "
        "processor.",
        "s", "at most", 2.0, _ORDERS,
    ),
    Promise("inference_time", "A forecast of a deep model.", "ms", "at most", 10.0, None),
    Promise(
        "gpu_training_speedup", "Training on a GPU against the processor.",
        "ratio", "at least", 5.0, None,
    ),
    Promise(
        "memory_saved", "Memory saved by optimising a deep model.", "share", "at least", 0.4, None,
    ),
)  # fmt: skip


class FigureError(ValueError):
    """The record cannot be read, or speaks of a figure nobody promised."""


def figures(record: str) -> pl.DataFrame:
    """Promised beside measured figures (``mart.figures``).

    Parameters
    ----------
    record
        Lines of JSON as the benchmarks write them: ``figure``, ``value``, ``commit``, ``clean``,
        ``cores``, ``load``, ``measured_at``. Of several lines of a figure the last one counts.

    Raises
    ------
    FigureError
        A line is no such object, or names a figure nobody promised.
    """
    last = _last_measured(record)
    return pl.DataFrame(
        [_row(promise, last.get(promise.figure)) for promise in PROMISES], schema=FIGURES.schema
    ).sort(FIGURES.key)


def _last_measured(record: str) -> dict[str, Mapping[str, Any]]:
    known = {promise.figure for promise in PROMISES if promise.command is not None}
    found: dict[str, Mapping[str, Any]] = {}
    for number, line in enumerate(record.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            said = json.loads(line)
            figure, _ = said["figure"], float(said["value"])
            datetime.fromisoformat(said["measured_at"])
        except (ValueError, KeyError, TypeError) as error:
            raise FigureError(f"line {number} of the record cannot be read: {error!r}") from error
        if figure not in known:
            raise FigureError(f"line {number} of the record: nobody promised {figure!r}")
        found[figure] = said
    return found


def _row(promise: Promise, said: Mapping[str, Any] | None) -> dict[str, Any]:
    row = {
        "figure": promise.figure,
        "description": promise.description,
        "unit": promise.unit,
        "direction": promise.direction,
        "promised": promise.target,
        "verdict": "not measured" if promise.command else "not built",
        "command": promise.command,
    }
    if said is None:
        return row
    value = float(said["value"])
    kept = value >= promise.target if promise.direction == "at least" else value <= promise.target
    return row | {
        "measured": value,
        "verdict": "met" if kept else "missed",
        "code_commit": said.get("commit"),
        "code_clean": said.get("clean"),
        "cores": said.get("cores"),
        "load": said.get("load"),
        "measured_at": datetime.fromisoformat(said["measured_at"]),
    }
