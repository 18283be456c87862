"""Dagster side of the loop on paper: its journals as tables. Thin, no logic."""

from __future__ import annotations

from btq_assets.contracts import execution_live as contracts
from btq_assets.warehouse import Step, TableOutput, table_asset


@table_asset(
    outputs=(contracts.ORDERS, contracts.FILLS, contracts.ACCOUNT),
    config=("execution.paper_folder",),
    code=("btq_assets.execution.live", "btq_assets.execution.orders"),
    group="execution",
    optional=lambda config: bool(config.execution.paper_folder),
    reuse=False,
)
def paper_accounts(step: Step) -> TableOutput:
    """Orders, fills and account of every paper account, as its journal has them now."""
    from btq_assets.execution.live.tables import all_accounts

    folder = step.artifacts.paths.root / step.config.execution.paper_folder
    frames, seen = all_accounts(folder, step.config.universe.main)
    account = frames[contracts.ACCOUNT.table]
    step.log(f"{len(seen)} paper account(s), {frames[contracts.ORDERS.table].height} orders")
    return TableOutput(
        frames,
        metadata={
            "accounts": ", ".join(seen) or "none",
            "newest_bar": str(account["ts"].max()) if account.height else "none",
            **{f"rows_{name.partition('.')[2]}": f.height for name, f in frames.items()},
        },
    )
