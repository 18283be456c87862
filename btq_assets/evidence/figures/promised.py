"""Promised figures beside what the benchmarks last measured of them, and the verdict that follows.

Belongs here: reading the record, verdicts. Does not belong here: the promises (`promises`), figures
of a run of the backtests (`returns`), measuring (`tests/performance`). Nobody types a measured
figure: benchmarks append lines to ``measured.jsonl`` when asked to, and a promise without a line is
"not measured".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import polars as pl

from btq_assets.contracts.figures import FIGURES
from btq_assets.evidence.figures.promises import PROMISES, Direction, Promise

NOTHING_MEASURES = "nothing measures it yet"


class FigureError(ValueError):
    """The record cannot be read, or speaks of a figure nobody promised."""


def figures(record: str, code: Mapping[str, str] | None = None) -> pl.DataFrame:
    """Promised beside measured figures (rows of ``mart.figures``).

    Parameters
    ----------
    record
        Lines of JSON as the benchmarks write them: ``figure``, ``value``, ``sizes``, ``code``,
        ``commit``, ``clean``, ``cores``, ``load``, ``measured_at``. Of several lines of a figure the
        last one counts.
    code
        Version of the code each figure speaks of, as it is now; without it none is compared.

    Raises
    ------
    FigureError
        A line is no such object, or names a figure nobody promised.
    """
    last, now = _last_measured(record), code or {}
    rows = [_row(one, last.get(one.figure), now.get(one.figure)) for one in PROMISES]
    return pl.DataFrame(rows, schema=FIGURES.schema).sort(FIGURES.key)


def verdict(direction: Direction, promised: float | None, measured: float | None) -> str:
    """What follows from a promised and a measured figure."""
    if measured is None:
        return "not measured"
    if direction == "reported":
        return "reported"
    if promised is None:
        raise FigureError(f"a figure that is to be {direction} a bound has none")
    kept = measured >= promised if direction == "at least" else measured <= promised
    return "met" if kept else "not met"


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
            dict(said.get("sizes", {}))
        except (ValueError, KeyError, TypeError) as error:
            raise FigureError(f"line {number} of the record cannot be read: {error!r}") from error
        if figure not in known:
            raise FigureError(f"line {number} of the record: nobody promised {figure!r}")
        found[figure] = said
    return found


def _row(promise: Promise, said: Mapping[str, Any] | None, code: str | None) -> dict[str, Any]:
    row = {
        "figure": promise.figure,
        "description": promise.description,
        "unit": promise.unit,
        "direction": promise.direction,
        "promised": promise.target,
        "verdict": "not measured",
        "command": promise.command,
        "note": None if promise.command else NOTHING_MEASURES,
    }
    if said is None:
        return row
    if other := _other_sizes(promise, said):
        return row | {
            "note": f"{said['value']:g} with {other}, which the promise does not speak of"
        }
    value = float(said["value"])
    return row | {
        "measured": value,
        "verdict": verdict(promise.direction, promise.target, value),
        "code_commit": said.get("commit"),
        "code_clean": said.get("clean"),
        "cores": said.get("cores"),
        "load": said.get("load"),
        "measured_at": datetime.fromisoformat(said["measured_at"]),
        "note": _whose_code(said, code),
    }


def _other_sizes(promise: Promise, said: Mapping[str, Any]) -> str:
    """Sizes the figure was measured with where they are not those of the promise; else empty."""
    own = said.get("sizes", {})
    return ", ".join(
        f"{name} {own[name]:g}" if name in own else f"{name} not told"
        for name, size in promise.sizes.items()
        if ("sizes" in said or "code" in said) and own.get(name) != size
    )


def _whose_code(said: Mapping[str, Any], code: str | None) -> str | None:
    """What keeps the figure from being one of the code as it is; ``None`` where nothing does."""
    told = []
    if "code" not in said:
        told.append("the record does not say which code it measured beside the commit")
    elif code is not None and said["code"] != code:
        told.append("the code it measures has changed since that commit")
    if said.get("clean") is False:
        told.append("measured with changes that were not committed")
    return "; ".join(told) or None
