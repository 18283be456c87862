"""What a step is about to read, and what the books say of it.

Belongs here: the frames of a step's inputs, their versions, those of the ledgers it reads, and its rows
in the books. Does not belong here: whether that means work (`execution`), writing (`committing`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from btq_assets.contracts import house
from btq_assets.contracts.base import TableContract
from btq_assets.warehouse.database import Warehouse
from btq_assets.warehouse.reading import read_table, stored_extent, table_exists
from btq_assets.warehouse.slices import StoredTable
from btq_assets.warehouse.versions import frame_version

if TYPE_CHECKING:
    import duckdb

    from btq_assets.warehouse.asset_factory import TableAsset

#: Rows of the books (`house.provenance`), by table.
StoredBooks = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class StepInputs:
    """Everything a step is computed from.

    Parameters
    ----------
    frames
        Inputs by parameter name: a frame each, or a `StoredTable` where the step reads in slices.
    versions
        Version of each input, by parameter name.
    ledgers
        Version of each ledger the step reads, by table.
    books
        What is on record of the inputs' and the outputs' tables.
    """

    frames: Mapping[str, Any]
    versions: Mapping[str, str]
    ledgers: Mapping[str, str]
    books: StoredBooks


def read_inputs(asset: TableAsset, warehouse: Warehouse) -> StepInputs:
    """Read what `asset` is computed from, in one look at the database.

    Raises
    ------
    WarehouseError
        A table it reads does not exist, and its absence is not for the asset to bear.
    """
    books: StoredBooks = {}
    frames: dict[str, Any] = {}
    ledgers: dict[str, str] = {}
    if asset.inputs or warehouse.paths.working_file.exists():
        with warehouse.reader() as connection:
            books = _books(connection, [c.table for c in (*asset.inputs.values(), *asset.outputs)])
            frames = {
                name: _input(asset, warehouse, connection, contract)
                for name, contract in asset.inputs.items()
            }
            ledgers = {
                contract.table: stored_extent(connection, contract)[1]
                for contract in asset.ledgers
                if table_exists(connection, contract)
            }
    versions = {
        name: books[contract.table]["data_version"]
        if contract.table in books
        else _version_of(frames[name], contract)
        for name, contract in asset.inputs.items()
    }
    return StepInputs(frames, versions, ledgers, books)


def _books(connection: duckdb.DuckDBPyConnection, tables: list[str]) -> StoredBooks:
    """Rows of the books about `tables`."""
    if not table_exists(connection, house.PROVENANCE):
        return {}
    rows = read_table(connection, house.PROVENANCE).filter(pl.col("table_name").is_in(tables))
    return {row["table_name"]: row for row in rows.iter_rows(named=True)}


def _input(
    asset: TableAsset,
    warehouse: Warehouse,
    connection: duckdb.DuckDBPyConnection,
    contract: TableContract,
) -> pl.DataFrame | StoredTable:
    """One input the way the asset wants it: in memory, to be read in slices, or empty if absent."""
    bears_absence = asset.absent_as_empty
    if asset.sliced and (bears_absence or table_exists(connection, contract)):
        return StoredTable(warehouse, contract)
    if bears_absence and not table_exists(connection, contract):
        return contract.empty()
    return read_table(connection, contract)


def _version_of(table: pl.DataFrame | StoredTable, contract: TableContract) -> str:
    if isinstance(table, pl.DataFrame):
        return frame_version(table, contract)
    return table.version()
