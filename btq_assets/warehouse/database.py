"""Short connections to the working database, one writer at a time, nothing half-written.

Belongs here: locks, opening, transactions. Does not belong here: how rows are read (`reading`) and
written (`writing`), Dagster, checks, or any knowledge of a particular table.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from btq_assets.contracts.base import TableContract
from btq_assets.warehouse.errors import WarehouseError
from btq_assets.warehouse.paths import DataPaths
from btq_assets.warehouse.reading import read_beside, read_spans, read_table, table_exists

if TYPE_CHECKING:
    import duckdb

_FIRST_WAIT_S = 0.01
_LONGEST_WAIT_S = 0.25

#: DuckDB refuses two connections of different kinds to one file in one process.
_process_gate = threading.RLock()


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
