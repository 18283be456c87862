"""Remove what can be computed again; keep what cannot: raw rows, quarantine and ledgers."""

from __future__ import annotations

import importlib
import pkgutil

import btq_assets.contracts
from btq_assets.contracts import house
from btq_assets.contracts.base import TableContract
from btq_assets.warehouse.database import Warehouse
from btq_assets.warehouse.reading import is_view, table_exists


def declared_contracts() -> list[TableContract]:
    """Every table of the house, by layer and name."""
    found = {
        contract.table: contract
        for info in pkgutil.iter_modules(btq_assets.contracts.__path__)
        for contract in vars(importlib.import_module(f"btq_assets.contracts.{info.name}")).values()
        if isinstance(contract, TableContract)
    }
    return [found[table] for table in sorted(found)]


def drop_computed_tables(warehouse: Warehouse) -> list[str]:
    """Drop every table an asset or dbt computes from others; returns their names.

    Raw tables, the quarantine and all ledgers stay: nobody can make them again.
    """
    if not warehouse.paths.working_file.exists():
        return []
    dropped = []
    with warehouse.transaction() as connection:
        connection.execute("DROP SCHEMA IF EXISTS staging CASCADE")
        for contract in declared_contracts():
            if contract.layer == "raw" or contract.writer == "ledger":
                continue
            if table_exists(connection, contract):
                kind = "VIEW" if is_view(connection, contract) else "TABLE"
                connection.execute(f"DROP {kind} {contract.table}")
                dropped.append(contract.table)
            if table_exists(connection, house.PROVENANCE):
                connection.execute(
                    f"DELETE FROM {house.PROVENANCE.table} WHERE table_name = ?", [contract.table]
                )
    return dropped
