"""Outcomes of checks on their way to Dagster and to the books.

Belongs here: the contract's own check, and what Dagster is told. Does not belong here: any other
check (`contracts.checks`, the rooms, `data_quality`).
"""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg
import polars as pl

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.checks import CheckOutcome, CheckSpec
from btq_assets.warehouse import metadata as md

CONTRACT_CHECK = "contract"

#: A check of a table, and its outcome.
Answer = tuple[TableContract, CheckSpec, CheckOutcome]


def worst(answers: Iterable[Answer]) -> list[Answer]:
    """Answer of each check over all partitions: the first one that did not pass, else the last."""
    found: dict[tuple[str, str], Answer] = {}
    for contract, spec, outcome in answers:
        known = found.get((contract.table, spec.name))
        if known is None or known[2].passed:
            found[contract.table, spec.name] = (contract, spec, outcome)
    return list(found.values())


def tolerance(contract: TableContract) -> str:
    """How many refused rows a contract bears, in words."""
    share = contract.max_rejected_fraction
    if not share:
        return "no row may be refused."
    if share >= 1:
        return "rows that break it are refused, the others kept."
    return f"at most {share:.0%} of the rows may be refused."


def contract_outcome(
    contract: TableContract, kept: pl.DataFrame, rejected: pl.DataFrame
) -> CheckOutcome:
    """Answer of the check every table has: whether few enough rows were refused."""
    total = kept.height + rejected.height
    share = rejected.height / total if total else 0.0
    reasons = rejected["reason"].value_counts(sort=True).head(5).rows()
    passed = share <= contract.max_rejected_fraction
    found = ", ".join(f"{n} × {reason}" for reason, n in reasons)
    message = f"{rejected.height} of {total} rows refused ({share:.2%})" + (
        f": {found}" if found else ""
    )
    if not passed:
        message += (
            f"; at most {contract.max_rejected_fraction:.0%} may be. Look at quarantine.rows "
            f"where table_name = '{contract.table}', mend the source and run again"
        )
    return CheckOutcome(
        CONTRACT_CHECK, passed, message, {"rows": total, "rows_refused": rejected.height}
    )


def check_result(
    contract: TableContract, spec: CheckSpec, outcome: CheckOutcome
) -> dg.AssetCheckResult:
    """An outcome as Dagster stores it."""
    return dg.AssetCheckResult(
        asset_key=list(contract.asset_key),
        check_name=spec.name,
        passed=outcome.passed,
        severity=dg.AssetCheckSeverity.ERROR if spec.blocking else dg.AssetCheckSeverity.WARN,
        description=outcome.message or None,
        metadata={name: md.value(item) for name, item in outcome.metadata.items()},
    )
