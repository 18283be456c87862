"""Writing to a real DuckDB file: what large inserts cost on disk, and that nothing moves."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import count, number, text
from btq_assets.warehouse import Warehouse
from btq_assets.warehouse.paths import DataPaths
from btq_assets.warehouse.writing import commit_frames

PLACES = TableContract(
    layer="raw",
    name="places",
    description="Numbered rows.",
    columns=(count("place", "Place."), text("name", "Name."), number("value", "Value.")),
    key=("place",),
    append_only=True,
)


def rows(n: int) -> pl.DataFrame:
    values = np.random.default_rng(0).normal(size=n)
    places = pl.int_range(n, dtype=pl.Int64, eager=True)
    # In pieces of no particular size, as frames are that were put together from parts.
    whole = pl.DataFrame({"place": places, "name": ["x"] * n, "value": values})
    return pl.concat([whole.head(0), *(whole.slice(at, 125_388) for at in range(0, n, 125_388))])


def stored(folder, n: int) -> tuple[pl.DataFrame, int]:
    warehouse = Warehouse(DataPaths(folder))
    with warehouse.transaction() as connection:
        commit_frames(connection, {PLACES: rows(n)}, distinct=True)
    found = warehouse.query(f"SELECT * FROM {PLACES.table}")  # as they lie, in no asked order
    return found, warehouse.paths.working_file.stat().st_size


@pytest.mark.parametrize("n", [0, 1, 122_880, 122_881, 300_001])
def test_rows_are_stored_once_each_in_the_order_they_came(tmp_path, n):
    found, _ = stored(tmp_path, n)
    assert found.equals(rows(n))


def test_a_large_insert_is_written_to_the_file_once(tmp_path):
    n = 1_200_000
    _, size = stored(tmp_path, n)
    # Random doubles do not compress, the other two columns do almost wholly: 8 bytes a row, and
    # blocks of 256 KiB that are not full. Handed over as it lay it was twice that.
    assert size < 1.3 * 8 * n
