"""The inbox on a real DuckDB file: parts, corrections, breaks and what they cost."""

from __future__ import annotations

import datetime as dt
import os
import random
import signal
import subprocess
import sys
import time

import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts import house, raw
from btq_assets.sources.market.assets import bars_folder
from btq_assets.sources.market.providers import folder
from btq_assets.warehouse import database
from btq_assets.warehouse.committing import UNFINISHED
from btq_assets.warehouse.versions import frame_version

DAYS = [dt.date(2020, 1, day) for day in (2, 3, 6, 7, 8, 9, 10)]


@pytest.fixture
def inbox(tmp_path):
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def config(inbox):
    return TradingConfig(
        sources={"sample": {"enabled": False}, "folder": {"enabled": True, "path": str(inbox)}}
    )


def write(inbox, name: str, closes: list[float], first: int = 0) -> None:
    lines = [f"{day},{close}" for day, close in zip(DAYS[first:], closes, strict=False)]
    (inbox / name).write_text("\n".join(["date,close", *lines]))


def version(run, contract) -> str:
    books = run.warehouse.read(house.PROVENANCE)
    return books.filter(table_name=contract.table)["data_version"].item()


def test_a_second_file_is_read_alone_and_a_correction_becomes_a_vintage(
    run, inbox, config, monkeypatch
):
    opened: list[str] = []
    real = folder.price_file_parts

    def spy(name, *rest):
        opened.append(name)
        return real(name, *rest)

    monkeypatch.setattr(folder, "price_file_parts", spy)
    write(inbox, "A_1.csv", [1.0, 2.0])
    run(bars_folder, config=config)
    write(inbox, "A_2.csv", [2.5, 3.0], first=1)
    run(bars_folder, config=config)
    assert opened == ["A_1.csv", "A_2.csv"]
    stored = run.warehouse.read(raw.BARS_FOLDER)
    assert stored.select("close", "known_at_basis").rows() == [
        (1.0, "assumed_lag"), (2.0, "assumed_lag"), (2.5, "recorded"), (3.0, "assumed_lag"),
    ]  # fmt: skip
    assert version(run, raw.BARS_FOLDER) == frame_version(stored, raw.BARS_FOLDER)
    run(bars_folder, config=config)
    assert len(opened) == 2
    forced = config.model_copy(
        update={"warehouse": config.warehouse.model_copy(update={"force_recompute": True})}
    )
    run(bars_folder, config=forced)
    assert len(opened) == 4
    assert run.warehouse.read(raw.BARS_FOLDER).height == 5, "A_1 says 2.0 again, now"


def test_a_big_file_is_stored_in_parts_that_are_one_table(run, inbox, config, monkeypatch):
    for number in range(6):
        write(inbox, f"S{number}.csv", [float(number + 1)] * 7)
    whole = run(bars_folder, config=config)
    stored = run.warehouse.read(raw.BARS_FOLDER)
    with run.warehouse.transaction() as connection:
        for contract in (raw.BARS_FOLDER, raw.FOLDER_FILES):
            connection.execute(f"DELETE FROM {contract.table}")
        connection.execute("DELETE FROM house.provenance")
    real = folder.read_batches
    monkeypatch.setattr(folder, "read_batches", lambda *a, **k: real(*a, **{**k, "batch_rows": 10}))
    parts = run(bars_folder, config=config)
    assert run.warehouse.read(raw.BARS_FOLDER).equals(stored)
    assert version(run, raw.BARS_FOLDER) == frame_version(stored, raw.BARS_FOLDER)

    def shown(result) -> dict:
        (event,) = result.asset_materializations_for_node("raw__bars_folder")
        return {k: event.metadata[k].value for k in ("bars_new", "rows_added", "dagster/row_count")}

    assert shown(parts) == shown(whole) == dict.fromkeys(shown(whole), 42)
    books = run.warehouse.read(house.PROVENANCE)
    assert UNFINISHED not in books["fingerprint"].to_list()


def test_a_run_broken_off_between_parts_goes_on_where_it_ended(run, inbox, config, monkeypatch):
    for number in range(4):
        write(inbox, f"S{number}.csv", [float(number + 1)] * 7)
    real = folder.read_batches

    def broken(*arguments, **options):
        for number, batch in enumerate(real(*arguments, **{**options, "batch_rows": 7})):
            if number == 2:
                raise RuntimeError("pulled the plug")
            yield batch

    monkeypatch.setattr(folder, "read_batches", broken)
    assert not run(bars_folder, config=config, raise_on_error=False).success
    assert run.warehouse.read(raw.BARS_FOLDER).height == 14
    assert run.warehouse.read(raw.FOLDER_FILES).height == 2
    monkeypatch.setattr(folder, "read_batches", real)
    assert run(bars_folder, config=config).success
    stored = run.warehouse.read(raw.BARS_FOLDER)
    assert stored.height == 28
    assert stored["known_at_basis"].unique().to_list() == ["assumed_lag"]


WORKER = """
import sys, dagster as dg
from btq_assets.config import TradingConfig
from btq_assets.sources.market.assets import bars_folder
from btq_assets.sources.market.providers import folder
from btq_assets.warehouse.resources import ConfigResource, DeviceResource, WarehouseResource
real = folder.read_batches
folder.read_batches = lambda *a, **k: real(*a, **{**k, "batch_rows": 300})
config = TradingConfig(sources={"folder": {"enabled": True, "path": sys.argv[1], "calendar": "24/7"}})
print("ready", flush=True)
dg.materialize([bars_folder.definition(config)], resources={
    "trading": ConfigResource.of(config),
    "warehouse": WarehouseResource(path=sys.argv[2], lock_timeout_s=20),
    "device": DeviceResource(device="cpu"),
})
"""


@pytest.mark.slow
def test_an_ingest_killed_at_random_moments_ends_like_one_that_was_not(tmp_path, inbox):
    """kill -9 between 1.0 and 3.5 s after the start, until a run gets through; then compare."""
    from btq_assets.warehouse.database import Warehouse
    from btq_assets.warehouse.paths import DataPaths

    first = dt.date(2015, 1, 1)
    for number in range(12):
        days = [first + dt.timedelta(days=n) for n in range(300)]
        lines = [f"{day},{number + 1 + n / 100}" for n, day in enumerate(days)]
        (inbox / f"S{number:02d}.csv").write_text("\n".join(["date,close", *lines]))

    def start(root):
        return subprocess.Popen(
            [sys.executable, "-c", WORKER, str(inbox), str(root)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    moments, killed = random.Random(7), 0
    for attempt in range(12):
        worker = start(tmp_path / "killed")
        assert worker.stdout.readline() == b"ready\n"
        if attempt < 5:
            time.sleep(moments.uniform(0.5, 3.0))
            if worker.poll() is None:
                worker.send_signal(signal.SIGKILL)
                killed += 1
            worker.wait()
        else:
            assert worker.wait() == 0
            break
    assert killed
    assert start(tmp_path / "whole").wait() == 0
    broken, whole = (
        Warehouse(DataPaths(tmp_path / name), 20).read(raw.BARS_FOLDER)
        for name in ("killed", "whole")
    )
    assert whole.height == 3_600
    assert broken.equals(whole)


def test_new_rows_are_compared_with_the_vintages_of_the_same_bars_alone(run, inbox, config):
    write(inbox, "A_1.csv", [1.0] * 7)
    run(bars_folder, config=config)
    seen = []
    real = database.read_beside

    def read_beside(connection, contract, frame):
        found = real(connection, contract, frame)
        seen.append(found.height)
        return found

    write(inbox, "A_2.csv", [2.0], first=6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "read_beside", read_beside)
        run(bars_folder, config=config)
    assert seen == [1]
    closes = run.warehouse.read(raw.BARS_FOLDER).filter(pl.col("ts").dt.date() == DAYS[6])["close"]
    assert closes.to_list() == [1.0, 2.0]


def test_what_is_read_beside_other_rows_is_every_vintage_of_them(run, inbox, config):
    write(inbox, "A_1.csv", [1.0] * 7)
    write(inbox, "B_1.csv", [2.0] * 7)
    run(bars_folder, config=config)
    write(inbox, "A_2.csv", [3.0], first=2)
    run(bars_folder, config=config)
    stored = run.warehouse.read(raw.BARS_FOLDER)
    asked = stored.filter((pl.col("symbol") == "A") & (pl.col("ts").dt.date() >= DAYS[2])).head(3)
    found = run.warehouse.read_or_empty(raw.BARS_FOLDER, beside=asked)
    expected = stored.join(asked, on=["symbol", "ts"], how="semi")
    assert found.equals(expected)
    assert found["close"].to_list() == [1.0, 3.0, 1.0]
    assert run.warehouse.read_or_empty(raw.BARS_FOLDER, beside=asked.clear()).is_empty()


#: Reads an inbox part by part and says the most memory held after the third part, and in the end.
READER = """
import datetime as dt, sys
from pathlib import Path
from btq_assets.config import TradingConfig
from btq_assets.sources.market.providers.folder import read_batches
settings = TradingConfig(sources={"folder": {
    "enabled": True, "path": sys.argv[1], "calendar": "24/7", "freq": "1m"}}).sources.folder
def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
rows = n = 0
for batch in read_batches(settings, dt.datetime(2100, 1, 1, tzinfo=dt.UTC)):
    rows, n = rows + batch.rows.height, n + 1
    early = peak() if n == 3 else (0.0 if n < 3 else early)
print(rows, batch.share_read, early, peak())
"""


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for the peak")
@pytest.mark.parametrize("packed", ["csv", "csv.gz", "zip"])
def test_memory_does_not_grow_with_a_file_packed_or_not(inbox, packed):
    """120 MiB of text, read in parts of 4 MiB, may cost less than half as much beyond the third."""
    import gzip
    import zipfile

    import numpy as np

    header, lines = "ts,symbol,open,high,low,close,volume\n", 0
    text = inbox.parent / "X.csv"
    start = np.datetime64("1990-01-01T00:00")
    with text.open("w") as out:
        out.write(header)
        while out.tell() < 120 * 2**20:
            stamps = start + np.arange(lines, lines + 100_000).astype("timedelta64[m]")
            out.write(
                "".join(
                    f"{stamp}Z,X,10.{n:05d},11.{n:05d},9.{n:05d},10.{n:05d},{n}\n"
                    for n, stamp in enumerate(np.datetime_as_string(stamps, unit="m"))
                )
            )
            lines += 100_000
    if packed == "zip":
        with zipfile.ZipFile(
            inbox / "X.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1
        ) as archive:
            archive.write(text, "X.csv")
    elif packed == "csv.gz":
        with text.open("rb") as plain, gzip.open(inbox / "X.csv.gz", "wb", 1) as out:
            while piece := plain.read(1 << 22):
                out.write(piece)
    else:
        text.rename(inbox / "X.csv")
    told = subprocess.run(
        [sys.executable, "-c", READER, str(inbox)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ).stdout.split()
    rows, share, early, late = (float(found) for found in told)
    assert (rows, share) == (lines, 1.0)
    assert late - early < 60, f"{early:.0f} MiB after three parts, {late:.0f} MiB in the end"
