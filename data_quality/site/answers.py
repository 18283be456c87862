"""What Dagster recorded of checks, as plain rows.

Belongs here: reading the event log and, for refused rows and repairs, the published database. Does
not belong here: pages (`pages`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagster import DagsterInstance

#: Refused rows and repairs shown with a table.
SHOWN_ROWS = 20


@dataclass(frozen=True)
class Answer:
    """One answer of one check.

    Parameters
    ----------
    table, check
        ``schema.table`` and the name of the check.
    passed
        Whether the demand was met.
    blocking
        Whether a failure refuses the commit.
    message
        What was found.
    metadata
        Numbers and texts that came with it; ``sample`` is a Markdown table of failing rows.
    run_id, at
        Run, and time of the answer, UTC.
    """

    table: str
    check: str
    passed: bool
    blocking: bool
    message: str
    metadata: dict[str, Any]
    run_id: str
    at: datetime


@dataclass(frozen=True)
class Surroundings:
    """What the database says beside the checks, by table: rows to show, and how many there are."""

    health: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    repairs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    n_refused: dict[str, int] = field(default_factory=dict)
    n_repairs: dict[str, int] = field(default_factory=dict)


def recorded_answers(instance: DagsterInstance, n_runs: int) -> list[Answer]:
    """Answers of the last runs, oldest first.

    Parameters
    ----------
    instance
        Dagster's own storage, ``DAGSTER_HOME``.
    n_runs
        How many runs to look back.
    """
    from dagster import DagsterEventType

    found = [
        _answer(entry)
        for record in instance.get_run_records(limit=n_runs)
        for entry in instance.all_logs(
            record.dagster_run.run_id, of_type=DagsterEventType.ASSET_CHECK_EVALUATION
        )
    ]
    return sorted(found, key=lambda answer: answer.at)


def _answer(entry: Any) -> Answer:
    told = entry.dagster_event.asset_check_evaluation_data
    return Answer(
        table=".".join(told.asset_key.path),
        check=told.check_name,
        passed=told.passed,
        blocking=bool(told.blocking),
        message=told.description or "",
        metadata={name: value.value for name, value in told.metadata.items()},
        run_id=entry.run_id,
        at=datetime.fromtimestamp(entry.timestamp, UTC),
    )


def surroundings(file: Path) -> Surroundings:
    """Health, refused rows and repairs of every table; empty where there is no such file or table."""
    if not file.exists():
        return Surroundings()
    import duckdb

    with duckdb.connect(str(file), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")

        def first(table: str, order: str) -> list[dict[str, Any]]:
            """First rows of each table told of, with their number: quarantine may hold millions."""
            schema, name = table.split(".")
            there = connection.execute(
                "SELECT count(*) FROM information_schema.tables "
                "WHERE table_schema = ? AND table_name = ?",
                [schema, name],
            ).fetchone()
            if not there or not there[0]:
                return []
            return (
                connection.execute(
                    f"SELECT *, count(*) OVER (PARTITION BY table_name) AS n_rows_told FROM {table} "  # noqa: S608
                    f"QUALIFY row_number() OVER (PARTITION BY table_name ORDER BY {order}) <= ? "
                    f"ORDER BY table_name, {order}",
                    [SHOWN_ROWS],
                )
                .pl()
                .to_dicts()
            )

        refused = first("quarantine.rows", "received_at DESC, row_id")
        repairs = first("quality.repairs", "confidence DESC, key_json, column_name")
        return Surroundings(
            {row["table_name"]: row for row in first("mart.data_health", "table_name")},
            _by_table(refused),
            _by_table(repairs),
            {row["table_name"]: row["n_rows_told"] for row in refused},
            {row["table_name"]: row["n_rows_told"] for row in repairs},
        )


def _by_table(rows: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["table_name"], []).append(row)
    return found
