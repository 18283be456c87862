"""Publishing: readers and runs never wait for one another, and a leftover log is set aside."""

from __future__ import annotations

import datetime as dt
import stat
import subprocess
import sys

import duckdb
import pytest

from btq_assets.warehouse.database import Warehouse
from btq_assets.warehouse.errors import WarehouseError
from btq_assets.warehouse.paths import DataPaths
from btq_assets.warehouse.publishing import publish

NOW = dt.datetime(2024, 5, 6, 7, 8, 9, tzinfo=dt.UTC)


@pytest.fixture
def warehouse(tmp_path):
    return Warehouse(DataPaths(tmp_path), 5)


def store(warehouse: Warehouse, value: int) -> None:
    with warehouse.transaction() as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS mart")
        connection.execute(f"CREATE OR REPLACE TABLE mart.answer AS SELECT {value} AS value")
        connection.execute("CREATE OR REPLACE VIEW mart.shown AS SELECT * FROM btq.mart.answer")


def published_value(warehouse: Warehouse) -> int:
    with duckdb.connect(str(warehouse.paths.published_file), read_only=True) as connection:
        return connection.execute("SELECT value FROM mart.shown").fetchone()[0]


def test_published_file_is_a_read_only_copy_in_which_views_work(warehouse):
    store(warehouse, 1)
    published = publish(warehouse, NOW)
    assert published_value(warehouse) == 1
    assert published.n_tables == 2
    assert stat.S_IMODE(warehouse.paths.published_file.stat().st_mode) == 0o444


def test_an_open_session_stops_nothing_and_is_stopped_by_nothing(warehouse):
    store(warehouse, 1)
    publish(warehouse, NOW)
    session = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True);"
        "print('open', flush=True); input();"
        "print(c.execute('select value from mart.shown').fetchone()[0])"
    )
    reader = subprocess.Popen(
        [sys.executable, "-c", session, str(warehouse.paths.published_file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert reader.stdout.readline() == "open\n"
    store(warehouse, 2)
    publish(warehouse, NOW)
    assert published_value(warehouse) == 2
    assert reader.communicate("\n")[0] == "1\n", "the open session keeps the file it opened"


def test_a_leftover_write_ahead_log_is_set_aside_and_named(warehouse):
    store(warehouse, 1)
    publish(warehouse, NOW)
    wal = warehouse.paths.published_file.with_name("btq.duckdb.wal")
    wal.write_bytes(b"left by a killed session")
    store(warehouse, 2)
    published = publish(warehouse, NOW)
    assert published.set_aside.name == "btq.duckdb.wal.set-aside-20240506T070809"
    assert published.set_aside.read_bytes() == b"left by a killed session"
    assert not wal.exists()
    assert published_value(warehouse) == 2


def test_nothing_to_publish_is_named(warehouse):
    with pytest.raises(WarehouseError, match="nothing to publish"):
        publish(warehouse, NOW)


def test_a_failed_transaction_leaves_what_was_stored(warehouse):
    store(warehouse, 1)
    with pytest.raises(RuntimeError, match="midway"), warehouse.transaction() as connection:
        connection.execute("DROP TABLE mart.answer CASCADE")
        raise RuntimeError("midway")
    assert warehouse.query("SELECT value FROM mart.answer")["value"].to_list() == [1]


def test_a_damaged_working_file_is_named_and_the_published_one_still_serves(warehouse):
    store(warehouse, 1)
    publish(warehouse, NOW)
    warehouse.paths.working_file.write_bytes(b"not a database" * 1000)
    with pytest.raises(WarehouseError, match="cannot be opened"):
        warehouse.query("SELECT 1")
    assert published_value(warehouse) == 1
