"""Short connections to the working database, one writer at a time, nothing half-written.

Belongs here: opening, reading, and the three ways of writing (replace, replace a slice, append
what is new). Does not belong here: Dagster, checks, or any knowledge of a particular table.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from btq_assets.contracts.base import ContractError, TableContract
from btq_assets.warehouse.paths import DataPaths

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

#: Rows that DuckDB keeps, compresses and skips together.
_ROW_GROUP = 122_880

_FIRST_WAIT_S = 0.01
_LONGEST_WAIT_S = 0.25

#: DuckDB refuses two connections of different kinds to one file in one process.
_process_gate = threading.RLock()


class WarehouseError(RuntimeError):
    """The database cannot be opened, read or written; the message says what to do."""


@dataclass(frozen=True)
class Warehouse:
    """The working database.

    Parameters
    ----------
    paths
        Layout of the data folder.
    lock_timeout_s
        How long to wait for another writer, or for readers to let go, before giving up.
    """

    paths: DataPaths
    lock_timeout_s: float = 120.0

    @contextmanager
    def writer_lock(self) -> Iterator[None]:
        """Hold the lock every writer holds, dbt's included.

        Raises
        ------
        WarehouseError
            Another writer held it for longer than `lock_timeout_s`.
        """
        with self._file_lock(
            self.paths.lock_file,
            f"another process has been writing for {self.lock_timeout_s:g} s and holds "
            f"{self.paths.lock_file}; wait for it, or raise warehouse.lock_timeout_s",
        ):
            yield

    @contextmanager
    def _file_lock(self, file: Path, message: str) -> Iterator[None]:
        import filelock

        file.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(file, timeout=self.lock_timeout_s, poll_interval=_FIRST_WAIT_S)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise WarehouseError(message) from None
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the database for writing; commit on success, roll back on any error."""
        with self.writer_lock(), self.connection(read_only=False) as connection:
            connection.begin()
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def reader(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the database for reading.

        Raises
        ------
        WarehouseError
            There is no database yet, or a writer kept it for longer than `lock_timeout_s`.
        """
        if not self.paths.working_file.exists():
            raise WarehouseError(
                f"{self.paths.working_file} does not exist yet; run the job `ingest` or `research`"
            )
        with self.connection(read_only=True) as connection:
            yield connection

    @contextmanager
    def connection(self, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the database, wait for whoever has it, and close it again.

        Whoever wants to open next holds the turnstile meanwhile. Without it, readers that come and
        go could keep the file open between them for ever, and a writer would starve.
        """
        with _process_gate:
            with self._file_lock(
                self.paths.turnstile_file,
                f"{self.paths.working_file} could not be opened for {self.lock_timeout_s:g} s: "
                "others were waiting before; wait for them, or raise warehouse.lock_timeout_s",
            ):
                connection = self._open(read_only=read_only)
            try:
                connection.execute("SET TimeZone = 'UTC'")
                yield connection
            finally:
                connection.close()

    def _open(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        import duckdb

        file = self.paths.working_file
        file.parent.mkdir(parents=True, exist_ok=True)
        deadline, wait = time.monotonic() + self.lock_timeout_s, _FIRST_WAIT_S
        while True:
            try:
                return duckdb.connect(str(file), read_only=read_only)
            except duckdb.IOException as error:
                if "lock" not in str(error).lower():
                    raise WarehouseError(
                        f"{file} cannot be opened: {error}. If it is damaged, move it aside and run "
                        "the job `research`; the published copy is untouched"
                    ) from error
                if time.monotonic() > deadline:
                    raise WarehouseError(
                        f"{file} is held open by another process for more than "
                        f"{self.lock_timeout_s:g} s: {error}. Close that session; query "
                        f"{self.paths.published_file} instead, which nobody waits for"
                    ) from error
            time.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT_S)

    def read(self, contract: TableContract) -> pl.DataFrame:
        """All rows of a table, sorted by its key.

        Raises
        ------
        WarehouseError
            The table does not exist, or lacks a column of its contract.
        """
        with self.reader() as connection:
            return read_table(connection, contract)

    def read_or_empty(
        self,
        contract: TableContract,
        since: datetime | date | None = None,
        until: datetime | date | None = None,
        *,
        beside: pl.DataFrame | None = None,
    ) -> pl.DataFrame:
        """Rows of a table, all, between two times or `read_beside` others; none without a table."""
        if not self.paths.working_file.exists():
            return contract.empty()
        with self.reader() as connection:
            if not table_exists(connection, contract):
                return contract.empty()
            if beside is not None:
                return read_beside(connection, contract, beside)
            return read_table(connection, contract, since, until)

    def read_spans(self, contract: TableContract, spans: pl.DataFrame, order: str) -> pl.DataFrame:
        """Rows of some stretches of a table (`read_spans`); none without a table."""
        if not self.paths.working_file.exists() or spans.is_empty():
            return contract.empty()
        with self.reader() as connection:
            if not table_exists(connection, contract):
                return contract.empty()
            return read_spans(connection, contract, spans, order)

    def query(self, sql: str) -> pl.DataFrame:
        """Rows of any query."""
        with self.reader() as connection:
            return connection.execute(sql).pl()

    def has(self, contract: TableContract) -> bool:
        """Whether the table exists."""
        if not self.paths.working_file.exists():
            return False
        with self.reader() as connection:
            return table_exists(connection, contract)


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


def read_file(file: Path, contracts: Iterable[TableContract]) -> dict[str, pl.DataFrame]:
    """Tables of a published database, by ``schema.table``; readers of it wait for nobody."""
    import duckdb

    with duckdb.connect(str(file), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return {contract.table: read_table(connection, contract) for contract in contracts}


def ensure_table(connection: duckdb.DuckDBPyConnection, contract: TableContract) -> None:
    """Create schema and table when absent.

    An append-only table or a ledger whose columns changed is refused, since replacing it would
    lose what it holds.
    """
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {contract.layer}")
    connection.execute(contract.ddl())
    have = dict(
        connection.execute(
            "SELECT column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = ? AND table_name = ?",
            [contract.layer, contract.name],
        ).fetchall()
    )
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


def _stored_places(
    connection: duckdb.DuckDBPyConnection, contract: TableContract, frame: pl.DataFrame
) -> list[int]:
    """Positions of the rows of `frame` whose key is stored."""
    if not _count(connection, contract):
        return []
    keys = ", ".join(f'"{name}"' for name in contract.key)
    match = " AND ".join(f't."{name}" = f."{name}"' for name in contract.key)
    bounds, values = _key_bounds(contract, contract.key, frame)
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


def _key_bounds(
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


def read_beside(
    connection: duckdb.DuckDBPyConnection, contract: TableContract, frame: pl.DataFrame
) -> pl.DataFrame:
    """Stored rows about the same things as the rows of `frame`: all vintages of them, no others.

    Parameters
    ----------
    connection, contract
        The open database, and a table whose key ends with ``known_at``.
    frame
        Rows with the key's other columns.
    """
    key = [name for name in contract.key if name != "known_at"]
    if frame.is_empty():
        return contract.empty()
    columns = ", ".join(f't."{name}"' for name in contract.column_names)
    match = " AND ".join(f't."{name}" = f."{name}"' for name in key)
    bounds, values = _key_bounds(contract, key, frame)
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


def _count(connection: duckdb.DuckDBPyConnection, contract: TableContract) -> int:
    row = connection.execute(f"SELECT count(*) FROM {contract.table}").fetchone()
    return int(row[0]) if row else 0


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
        done[contract.table]["n_rows"] = _count(connection, contract)
    return done
