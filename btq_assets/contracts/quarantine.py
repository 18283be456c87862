"""Rows that were refused, as they came, with the reason."""

from __future__ import annotations

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import stamp, text

ROWS = TableContract(
    layer="quarantine",
    name="rows",
    description="Every refused row as it came, the table it was meant for and why it was refused.",
    columns=(
        text("row_id", "Hash of table, reason and content: the same bad row is kept once."),
        text("table_name", "Table the row was meant for."),
        text("reason", "Every rule the row breaks, joined by '; '."),
        text("row_json", "The row as it came, as JSON."),
        text("run_id", "Dagster run that met it."),
        stamp("received_at", "When it was refused, UTC."),
    ),
    key=("row_id",),
    writer="ledger",
    owner="team:data",
)
