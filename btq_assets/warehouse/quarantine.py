"""Refused rows: kept as they came, once each, with the reason."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from btq_assets.contracts import quarantine
from btq_assets.contracts.base import TableContract, violations
from btq_assets.warehouse.versions import digest


def split_violations(
    frame: pl.DataFrame, contract: TableContract
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Separate possible rows from impossible ones.

    Returns
    -------
    tuple of polars.DataFrame
        The rows to keep, and the refused ones as ``table_name``, ``reason``, ``row_json``.
    """
    bad = violations(frame, contract)
    if bad.is_empty():
        return frame, rejected_rows(contract, [], [])
    kept = frame.with_row_index("row_index").join(bad, on="row_index", how="anti").drop("row_index")
    texts = [row_json(row) for row in bad.select(contract.column_names).iter_rows(named=True)]
    return kept, rejected_rows(contract, bad["reason"].to_list(), texts)


def row_json(row: dict[str, object]) -> str:
    """JSON text of one row; NaN and infinities as strings, times as ISO 8601."""
    import json

    plain = {
        name: value
        if value is None or isinstance(value, (bool, int, str))
        else (value if isinstance(value, float) and value - value == 0 else str(value))
        for name, value in row.items()
    }
    return json.dumps(plain)


def rejected_rows(contract: TableContract, reasons: list[str], texts: list[str]) -> pl.DataFrame:
    """Refused rows of one table, before they are stamped."""
    return pl.DataFrame(
        {"table_name": [contract.table] * len(reasons), "reason": reasons, "row_json": texts},
        schema={"table_name": pl.String, "reason": pl.String, "row_json": pl.String},
    )


def quarantine_rows(
    rejected: pl.DataFrame, default_table: str, run_id: str, now: datetime
) -> pl.DataFrame:
    """Rows for the quarantine ledger.

    Parameters
    ----------
    rejected
        ``reason``, ``row_json`` and optionally ``table_name``.
    default_table
        Table the rows were meant for where they do not say.
    run_id, now
        Run and time of the refusal.
    """
    if "table_name" not in rejected.columns:
        rejected = rejected.with_columns(table_name=pl.lit(default_table))
    rows = rejected.select("table_name", "reason", "row_json").unique(maintain_order=True)
    return rows.with_columns(
        row_id=pl.Series([digest(*row) for row in rows.iter_rows()], dtype=pl.String),
        run_id=pl.lit(run_id),
        received_at=pl.lit(now),
    ).select(quarantine.ROWS.column_names)
