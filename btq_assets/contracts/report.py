"""Tables of the reports room."""

from __future__ import annotations

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import count, text

RISK_REPORT = TableContract(
    layer="report",
    name="risk_report",
    description="Where the last self-contained HTML report lies, and the hash of what it says.",
    columns=(
        text("report", "Name of the report."),
        text("path", "Path relative to the data folder."),
        text("sha256", "Hash of the file."),
        text("verdict", "The sentence the report opens with."),
        count("n_caveats", "Skips, fallbacks, null families and quick settings it lists."),
        text("results_hash", "Hash over forecasts, targets, equity and metrics."),
    ),
    key=("report",),
)
