"""Rows of the gates ledger.

Belongs here: turning answers into rows of `evidence.gates`. Does not belong here: the gates
themselves (`truncation`, `deflation`) and writing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from btq_assets.contracts import evidence

#: A candidate passes when the true Sharpe beats luck with this probability.
DEFLATED_SHARPE_THRESHOLD = 0.95


@dataclass(frozen=True)
class GateAnswer:
    """One gate's answer on one subject (a table or a strategy)."""

    subject: str
    gate: str
    passed: bool
    detail: str
    value: float | None = None


def gate_rows(answers: Iterable[GateAnswer], *, run_id: str, recorded_at: datetime) -> pl.DataFrame:
    """Rows of ``evidence.gates``.

    Parameters
    ----------
    answers
        One per subject and gate.
    run_id, recorded_at
        Run that asked, and when (UTC).
    """
    rows = [
        {
            "subject": answer.subject,
            "gate": answer.gate,
            "run_id": run_id,
            "passed": answer.passed,
            "value": answer.value,
            "detail": answer.detail,
            "recorded_at": recorded_at,
        }
        for answer in answers
    ]
    return pl.DataFrame(rows, schema=evidence.GATES.schema)


def deflated_sharpe_answers(table: pl.DataFrame) -> list[GateAnswer]:
    """Answer of the deflated-Sharpe gate on each candidate; a null does not pass.

    Parameters
    ----------
    table
        Rows of ``evidence.deflated_sharpe``.
    """
    return [
        GateAnswer(
            subject=row["strategy"],
            gate="deflated_sharpe",
            passed=(row["deflated_sharpe"] or 0.0) > DEFLATED_SHARPE_THRESHOLD,
            detail=row["note"]
            or f"at least {row['n_trials']} trials, demanded above {DEFLATED_SHARPE_THRESHOLD}",
            value=row["deflated_sharpe"],
        )
        for row in table.iter_rows(named=True)
    ]
