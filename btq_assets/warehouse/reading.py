"""Rows out of an open database, in a contract's types and order.

Belongs here: reading a whole table, a part of one between two times, the vintages beside other rows,
stretches of series. Does not belong here: opening the database (`database`), writing (`writing`), or
any knowledge of a particular table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from btq_assets.contracts.base import ContractError, TableContract
from btq_assets.warehouse.errors import WarehouseError
from btq_assets.warehouse.versions import ROWS_AT_A_TIME, added_version, frame_version

if TYPE_CHECKING:
    import duckdb


def is_view(connection: duckdb.DuckDBPyConnection, contract: TableContract) -> bool:
    """Whether the table is a view over others."""
    found = connection.execute(
        "SELECT table_type FROM information_schema.tables "
        "WHERE table_schema = ? AND table_name = ?",
        [contract.layer, contract.name],
    ).fetchone()
    return found is not None and found[0] == "VIEW"


def table_exists(connection: duckdb.DuckDBPyConnection, contract: TableContract) -> bool:
    """Whether the table exists in the open database."""
    return bool(
        connection.execute(
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = ? AND table_name = ?",
            [contract.layer, contract.name],
        ).fetchone()[0]  # type: ignore[index]
    )


def count_rows(connection: duckdb.DuckDBPyConnection, contract: TableContract) -> int:
    """Rows of a table or view."""
    row = connection.execute(f"SELECT count(*) FROM {contract.table}").fetchone()
    return int(row[0]) if row else 0


def read_table(
    connection: duckdb.DuckDBPyConnection,
    contract: TableContract,
    since: datetime | date | None = None,
    until: datetime | date | None = None,
) -> pl.DataFrame:
    """Rows of a table in the open database, sorted by its key, in the contract's types.

    Parameters
    ----------
    connection, contract
        The open database, and the table.
    since, until
        First and last value of the contract's `time_column` to read; by default all.

    Raises
    ------
    WarehouseError
        The table does not exist, or lacks a column of its contract.
    ContractError
        A bound is given and the table has no column that says when.
    """
    import duckdb

    columns = ", ".join(f'"{name}"' for name in contract.column_names)
    order = ", ".join(f'"{name}"' for name in contract.key)
    bounds = [(sign, value) for sign, value in ((">=", since), ("<=", until)) if value is not None]
    if bounds and contract.time_column is None:
        raise ContractError(f"{contract.table} has no time column to be read by")
    where = " AND ".join(["true", *(f'"{contract.time_column}" {sign} ?' for sign, _ in bounds)])
    try:
        frame = connection.execute(
            f"SELECT {columns} FROM {contract.table} WHERE {where} ORDER BY {order}",
            [value for _, value in bounds],
        ).pl()
    except duckdb.CatalogException:
        raise WarehouseError(
            f"table {contract.table} does not exist yet; materialize the asset "
            f"{'/'.join(contract.asset_key)} first"
        ) from None
    except duckdb.BinderException as error:
        raise WarehouseError(
            f"table {contract.table} does not match its contract ({error}); materialize "
            f"{'/'.join(contract.asset_key)} again"
        ) from None
    return frame.cast(dict(contract.schema))  # type: ignore[arg-type]


def stored_extent(
    connection: duckdb.DuckDBPyConnection, contract: TableContract
) -> tuple[int, str]:
    """Number of rows of a table and the version of what it holds (`versions.frame_version`).

    Rows pass by a batch at a time and unsorted, for a version is a sum over rows: memory does not grow
    with the table. The hashes cannot be left to DuckDB, whose `hash` may change with its version.
    """
    columns = ", ".join(f'"{name}"' for name in contract.column_names)
    version, n_rows = frame_version(contract.empty(), contract), 0
    batches = connection.execute(f"SELECT {columns} FROM {contract.table}").fetch_record_batch(
        ROWS_AT_A_TIME
    )
    for batch in batches:
        rows = pl.DataFrame(pl.from_arrow(batch)).cast(dict(contract.schema))  # type: ignore[arg-type]
        version = added_version(version, rows, contract)
        n_rows += rows.height
    return n_rows, version


def read_file(file: Path, contracts: Iterable[TableContract]) -> dict[str, pl.DataFrame]:
    """Tables of a published database, by ``schema.table``; readers of it wait for nobody."""
    import duckdb

    with duckdb.connect(str(file), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return {contract.table: read_table(connection, contract) for contract in contracts}


def read_beside(
    connection: duckdb.DuckDBPyConnection, contract: TableContract, frame: pl.DataFrame
) -> pl.DataFrame:
    """Stored rows about the same things as the rows of `frame`: all vintages of them, no others.

    Parameters
    ----------
    connection, contract
        The open database, and a table.
    frame
        Rows with columns of the key: all but ``known_at`` give the vintages of those rows, the name
        of a series alone gives the series.

    Raises
    ------
    ContractError
        `frame` has no column of the key.
    """
    key = [name for name in contract.key if name != "known_at" and name in frame.columns]
    if not key:
        raise ContractError(f"{contract.table}: rows by {frame.columns}, its key is {contract.key}")
    if frame.is_empty():
        return contract.empty()
    columns = ", ".join(f't."{name}"' for name in contract.column_names)
    match = " AND ".join(f't."{name}" = f."{name}"' for name in key)
    bounds, values = key_bounds(contract, key, frame)
    connection.register("_keys", frame.select(key).to_arrow())
    try:
        found = connection.execute(
            f"SELECT {columns} FROM (SELECT * FROM {contract.table} WHERE {bounds}) t "
            f"SEMI JOIN _keys f ON {match}",
            values,
        ).pl()
    finally:
        connection.unregister("_keys")
    return found.cast(dict(contract.schema)).sort(contract.key)  # type: ignore[arg-type]


def read_spans(
    connection: duckdb.DuckDBPyConnection,
    contract: TableContract,
    spans: pl.DataFrame,
    order: str,
) -> pl.DataFrame:
    """Stored rows of some series, each between two values of a column.

    Parameters
    ----------
    connection, contract
        The open database, and the table.
    spans
        One row a series: the columns that name it, ``since`` and ``until`` (both included).
    order
        Column the bounds are of.
    """
    of = [name for name in spans.columns if name not in ("since", "until")]
    columns = ", ".join(f't."{name}"' for name in contract.column_names)
    match = " AND ".join(
        [*(f't."{name}" = s."{name}"' for name in of), f't."{order}" BETWEEN s.since AND s.until']
    )
    # The outer bounds let DuckDB leave out blocks of rows; the join alone would read all of them.
    connection.register("_spans", spans.to_arrow())
    try:
        found = connection.execute(
            f"SELECT {columns} FROM (SELECT * FROM {contract.table} "
            f'WHERE "{order}" BETWEEN ? AND ?) t JOIN _spans s ON {match}',
            [spans["since"].min(), spans["until"].max()],
        ).pl()
    finally:
        connection.unregister("_spans")
    return found.cast(dict(contract.schema)).sort(contract.key)  # type: ignore[arg-type]


def key_bounds(
    contract: TableContract, key: Sequence[str], frame: pl.DataFrame
) -> tuple[str, list[object]]:
    """Condition, and its parameters, that every stored row with a key of `frame` meets.

    DuckDB keeps the bounds of each block of rows: a session added to ten years reads the last
    blocks alone.
    """
    bounded = [
        name
        for name in key
        if contract.schema[name].is_temporal() or contract.schema[name] == pl.String
    ]
    values: list[object] = [v for name in bounded for v in (frame[name].min(), frame[name].max())]
    return " AND ".join(["true", *(f'"{name}" BETWEEN ? AND ?' for name in bounded)]), values
