"""Rows into an open database: replace a table, replace a slice, append what is new.

Belongs here: the ways of writing, and which one a contract asks for. Does not belong here: opening the
database and its transactions (`database`), or any knowledge of a particular table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl

from btq_assets.contracts.base import ContractError, TableContract
from btq_assets.warehouse.reading import count_rows, key_bounds

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

#: Rows that DuckDB keeps, compresses and skips together.
_ROW_GROUP = 122_880


def commit_frames(
    connection: duckdb.DuckDBPyConnection,
    frames: Mapping[TableContract, pl.DataFrame],
    *,
    distinct: bool = False,
) -> dict[str, dict[str, object]]:
    """Write each frame the way its contract says; returns what was done, by table.

    ``added`` holds the rows that an append-only table did not have. `distinct` says that no frame
    repeats a key, as is so after `quarantine.split_violations`.
    """
    done: dict[str, dict[str, object]] = {}
    for contract, frame in frames.items():
        if contract.append_only or contract.writer == "ledger":
            added = append_rows(connection, contract, frame, distinct=distinct)
            done[contract.table] = {"rows_added": added.height, "added": added}
        elif contract.slice_by is not None:
            done[contract.table] = {"slices": replace_slices(connection, contract, frame)}
        else:
            replace_table(connection, contract, frame)
            done[contract.table] = {}
        done[contract.table]["n_rows"] = count_rows(connection, contract)
    return done


def ensure_table(connection: duckdb.DuckDBPyConnection, contract: TableContract) -> None:
    """Create schema and table when absent.

    An append-only table or a ledger whose columns changed is refused, since replacing it would
    lose what it holds.
    """
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {contract.layer}")
    connection.execute(contract.ddl())
    # The catalogue's views are made of all columns of all tables each time: ten times as slow.
    described = connection.execute(f"DESCRIBE {contract.table}").fetchall()
    have = {name: dtype for name, dtype, *_ in described}
    want = {column.name: column.duckdb_type for column in contract.columns}
    aliases = {"TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ"}
    if {name: aliases.get(dtype, dtype) for name, dtype in have.items()} != want:
        raise ContractError(
            f"{contract.table} holds columns {have}, its contract says {want}; it keeps what was "
            "stored before: migrate it by hand or rename it"
        )


def replace_table(
    connection: duckdb.DuckDBPyConnection, contract: TableContract, frame: pl.DataFrame
) -> None:
    """Replace the whole table, whatever columns it had before."""
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {contract.layer}")
    connection.execute(f"DROP TABLE IF EXISTS {contract.table}")
    connection.execute(contract.ddl())
    _insert(connection, contract, frame)


def replace_slices(
    connection: duckdb.DuckDBPyConnection, contract: TableContract, frame: pl.DataFrame
) -> list[str]:
    """Replace the slices that occur in `frame`; returns them."""
    if contract.slice_by is None:
        raise ContractError(f"{contract.table} declares no slice")
    ensure_table(connection, contract)
    slices = frame.get_column(contract.slice_by).unique().sort()
    connection.register("_slices", pl.DataFrame({"slice": slices}).to_arrow())
    connection.execute(
        f'DELETE FROM {contract.table} WHERE "{contract.slice_by}" IN (SELECT slice FROM _slices)'
    )
    connection.unregister("_slices")
    _insert(connection, contract, frame)
    return [str(value) for value in slices]


def append_new(
    connection: duckdb.DuckDBPyConnection, contract: TableContract, frame: pl.DataFrame
) -> int:
    """Add the rows whose key is not stored yet; returns how many. Stored rows never change."""
    return append_rows(connection, contract, frame).height


def append_rows(
    connection: duckdb.DuckDBPyConnection,
    contract: TableContract,
    frame: pl.DataFrame,
    *,
    distinct: bool = False,
) -> pl.DataFrame:
    """Add the rows whose key is not stored yet; returns them.

    Parameters
    ----------
    connection, contract, frame
        The open database, the table and the rows.
    distinct
        The rows are known to have different keys: nobody need look again.
    """
    ensure_table(connection, contract)
    if frame.is_empty():
        return frame
    if not distinct:
        frame = frame.unique(contract.key, keep="first", maintain_order=True)
    places = _stored_places(connection, contract, frame)
    if places:
        number = pl.int_range(pl.len(), dtype=pl.Int64)
        frame = frame.filter(~number.is_in(places))
    _insert(connection, contract, frame)
    return frame


def upsert(
    connection: duckdb.DuckDBPyConnection, contract: TableContract, frame: pl.DataFrame
) -> None:
    """Replace the rows with the keys of `frame`."""
    ensure_table(connection, contract)
    match = " AND ".join(f'{contract.table}."{name}" = f."{name}"' for name in contract.key)
    connection.register("_rows", frame.to_arrow())
    connection.execute(f"DELETE FROM {contract.table} USING _rows f WHERE {match}")
    connection.unregister("_rows")
    _insert(connection, contract, frame)


def _stored_places(
    connection: duckdb.DuckDBPyConnection, contract: TableContract, frame: pl.DataFrame
) -> list[int]:
    """Positions of the rows of `frame` whose key is stored."""
    if not count_rows(connection, contract):
        return []
    keys = ", ".join(f'"{name}"' for name in contract.key)
    match = " AND ".join(f't."{name}" = f."{name}"' for name in contract.key)
    bounds, values = key_bounds(contract, contract.key, frame)
    numbered = frame.select(contract.key).with_row_index("_place")
    connection.register("_keys", numbered.to_arrow())
    try:
        rows = connection.execute(
            f"SELECT f._place FROM _keys f SEMI JOIN "
            f"(SELECT {keys} FROM {contract.table} WHERE {bounds}) t ON {match}",
            values,
        ).fetchall()
    finally:
        connection.unregister("_keys")
    return [int(row[0]) for row in rows]


def _insert(
    connection: duckdb.DuckDBPyConnection, contract: TableContract, frame: pl.DataFrame
) -> None:
    columns = ", ".join(f'"{name}"' for name in contract.column_names)
    connection.register("_frame", _row_groups(frame.select(contract.column_names)))
    try:
        connection.execute(f"INSERT INTO {contract.table} ({columns}) SELECT {columns} FROM _frame")
    finally:
        connection.unregister("_frame")


def _row_groups(frame: pl.DataFrame) -> pa.Table | pa.RecordBatchReader:
    """The rows in pieces of a row group each, one behind the other.

    Of any other pieces DuckDB makes row groups that are not full, and writes the whole table a second
    time when it closes: twice the time, twice the file.
    """
    if frame.height <= _ROW_GROUP:
        return frame.to_arrow()
    import pyarrow as pa

    pieces = (
        batch
        for start in range(0, frame.height, _ROW_GROUP)
        for batch in frame.slice(start, _ROW_GROUP).rechunk().to_arrow().to_batches()
    )
    return pa.RecordBatchReader.from_batches(frame.head(0).to_arrow().schema, pieces)
