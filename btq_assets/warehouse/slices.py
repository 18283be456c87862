"""Tables that are read a slice at a time, and replaced by parts without anyone seeing half of one.

Belongs here: which series make a slice, reading one, and swapping a table for what was written beside
it. Does not belong here: Dagster, checks, and what a slice means.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from btq_assets.contracts.base import TableContract
from btq_assets.warehouse.database import Warehouse
from btq_assets.warehouse.reading import stored_extent, table_exists
from btq_assets.warehouse.versions import added_version, frame_version
from btq_assets.warehouse.writing import append_rows

if TYPE_CHECKING:
    import duckdb

#: Rows that are read together: a slice ends with the series that reaches them.
SLICE_ROWS = 1_000_000

#: What the table that is being written is called until it takes its place.
_BESIDE = "__unfinished"


@dataclass(frozen=True)
class StoredTable:
    """A table of the warehouse that is not in memory.

    Parameters
    ----------
    warehouse, contract
        The database, and the table.
    """

    warehouse: Warehouse
    contract: TableContract

    @property
    def height(self) -> int:
        """Number of rows; 0 where there is no table."""
        if not self.warehouse.has(self.contract):
            return 0
        return int(self.warehouse.query(f"SELECT count(*) AS n FROM {self.contract.table}").item())

    def version(self) -> str:
        """Version of what it holds, found out without holding it (`reading.stored_extent`)."""
        if not self.warehouse.has(self.contract):
            return frame_version(self.contract.empty(), self.contract)
        with self.warehouse.reader() as connection:
            return stored_extent(connection, self.contract)[1]

    def sizes(self, by: Sequence[str]) -> pl.DataFrame:
        """Rows of each series: the columns `by`, ``n_rows``; sorted by the columns."""
        if not self.warehouse.has(self.contract):
            empty = self.contract.empty().select(by)
            return empty.with_columns(n_rows=pl.lit(None, dtype=pl.Int64))
        names = ", ".join(f'"{name}"' for name in by)
        return self.warehouse.query(
            f"SELECT {names}, count(*) AS n_rows FROM {self.contract.table} "
            f"GROUP BY {names} ORDER BY {names}"
        )

    def read(self, series: pl.DataFrame) -> pl.DataFrame:
        """Rows of some series, sorted by the table's key.

        Parameters
        ----------
        series
            The columns that name a series, one row each.
        """
        contract = self.contract
        if not self.warehouse.has(contract) or series.is_empty():
            return contract.empty()
        columns = ", ".join(f't."{name}"' for name in contract.column_names)
        match = " AND ".join(f't."{name}" = s."{name}"' for name in series.columns)
        # The bounds let DuckDB leave out blocks of rows.
        bounds = " AND ".join(f'"{name}" BETWEEN ? AND ?' for name in series.columns)
        values = [v for name in series.columns for v in (series[name].min(), series[name].max())]
        with self.warehouse.reader() as connection:
            connection.register("_series", series.to_arrow())
            found = connection.execute(
                f"SELECT {columns} FROM (SELECT * FROM {contract.table} WHERE {bounds}) t "
                f"SEMI JOIN _series s ON {match}",
                values,
            ).pl()
            connection.unregister("_series")
        return found.cast(dict(contract.schema)).sort(contract.key)  # type: ignore[arg-type]

    def whole(self) -> pl.DataFrame:
        """All rows, sorted by the table's key."""
        return self.warehouse.read_or_empty(self.contract)

    def slices(self, by: Sequence[str]) -> Iterator[pl.DataFrame]:
        """The rows, whole series together, about `SLICE_ROWS` at a time."""
        for series in grouped(self.sizes(by)):
            yield self.read(series)

    def spans(self, by: str) -> list[tuple[datetime, datetime]]:
        """First and last time of stretches that are read together, in order.

        Each is of whole days (UTC) by the column `by`: as many as fit in `SLICE_ROWS`, and at least
        one.
        """
        if not self.warehouse.has(self.contract):
            return []
        days = self.warehouse.query(
            f'SELECT min("{by}") AS since, max("{by}") AS until, count(*) AS n_rows '
            f"FROM {self.contract.table} GROUP BY date_trunc('day', \"{by}\") ORDER BY since"
        )
        return [(group["since"][0], group["until"][-1]) for group in grouped(days)]

    def between(self, by: str, since: datetime, until: datetime) -> pl.DataFrame:
        """Rows whose `by` lies between two times, both included, sorted by the table's key."""
        span = pl.DataFrame({"since": [since], "until": [until]})
        return self.warehouse.read_spans(self.contract, span, by)


def grouped(sizes: pl.DataFrame, most_rows: int | None = None) -> list[pl.DataFrame]:
    """Series that are read together, in order: as many as fit, and at least one.

    Parameters
    ----------
    sizes
        One row a series, with ``n_rows``.
    most_rows
        Rows that fit; by default `SLICE_ROWS`.
    """
    most_rows = SLICE_ROWS if most_rows is None else most_rows
    groups, waiting, n_rows = [], 0, 0
    names = sizes.drop("n_rows")
    for place, size in enumerate(sizes["n_rows"]):
        if place > waiting and n_rows + size > most_rows:
            groups.append(names[waiting:place])
            waiting, n_rows = place, 0
        n_rows += size
    if waiting < names.height:
        groups.append(names[waiting:])
    return groups


class Replacement:
    """A table that is written beside the one it will replace.

    Readers see the old table until `take_place`, and then all of the new one.
    """

    def __init__(self, contract: TableContract) -> None:
        self.contract = contract
        self.beside = replace(contract, name=f"{contract.name}{_BESIDE}")
        self.version = frame_version(contract.empty(), contract)
        self.n_rows = 0

    def begin(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Drop what a run that broke off has left."""
        if table_exists(connection, self.beside):
            connection.execute(f"DROP TABLE {self.beside.table}")

    def add(self, connection: duckdb.DuckDBPyConnection, frame: pl.DataFrame) -> None:
        """Write a part; no two parts may share a key."""
        added = append_rows(connection, self.beside, frame, distinct=True)
        self.version = added_version(self.version, added, self.contract)
        self.n_rows += added.height

    def take_place(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Put what was written in the place of the table."""
        if not table_exists(connection, self.beside):
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {self.contract.layer}")
            connection.execute(self.beside.ddl())
        connection.execute(f"DROP TABLE IF EXISTS {self.contract.table}")
        connection.execute(f"ALTER TABLE {self.beside.table} RENAME TO {self.contract.name}")
