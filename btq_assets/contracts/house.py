"""The warehouse's own books: what each table was last computed from."""

from __future__ import annotations

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import count, stamp, text

PROVENANCE = TableContract(
    layer="house",
    name="provenance",
    description="For every table: the version of its content, and of everything it was computed from.",
    columns=(
        text("table_name", "Table, as schema.table."),
        text(
            "fingerprint", "Hash of input versions, code, configuration; equal means nothing to do."
        ),
        text("data_version", "Hash of the table's content."),
        text("code_version", "Hash of the source code that computed it."),
        text("config_hash", "Hash of the configuration sections it reads."),
        text("inputs_json", "Data version of each input."),
        text("checks_json", "Answers of its checks, as given when it was computed."),
        text("run_id", "Dagster run that computed it."),
        count("n_rows", "Rows in the table."),
        stamp("committed_at", "When it was committed, UTC."),
    ),
    key=("table_name",),
    writer="ledger",
    owner="team:platform",
)
