"""From the inbox into the tables: each event once, broken files named, files put away when stored."""

from __future__ import annotations

import datetime as dt
import shutil
import uuid

import dagster as dg
import polars as pl
import pytest
from stream_exchange import content, record, rows

from btq_assets.config import TradingConfig
from btq_assets.contracts import quarantine, raw
from btq_assets.definitions import build_definitions
from btq_assets.sources.stream import inbox
from btq_assets.sources.stream.assets import stream
from btq_assets.sources.stream.messages import Trade
from btq_assets.sources.stream.replay import ReplayServer

TABLES = (raw.TRADES_STREAM, raw.QUOTES_STREAM, raw.BOOK_STREAM, raw.STREAM_GAPS)


@pytest.fixture(scope="module")
def recording(tmp_path_factory, events):
    """An inbox with some gaps in it; copied by the tests."""
    folder = tmp_path_factory.mktemp("recording")
    losing = frozenset(range(400, 430))
    server = ReplayServer(events, tamper=lambda i, text: [] if i in losing else [text])
    record(server, folder, batch_rows=3_000)
    return folder


@pytest.fixture
def folder(tmp_path, recording):
    return shutil.copytree(recording, tmp_path / "inbox")


def configured(folder, **settings) -> TradingConfig:
    section = {"enabled": True, "folder": str(folder), "dataset": "SYNTHETIC_market", **settings}
    return TradingConfig(sources={"stream": section})


def test_what_was_recorded_is_committed_once_however_often_it_is_run(run, folder, ticks):
    config, n_files = configured(folder), len(inbox.arrived(folder))
    assert run(stream, config=config).success
    stored = {contract: run.warehouse.read(contract) for contract in TABLES}
    for name, truth in (("trades", ticks.trades), ("quotes", ticks.quotes)):
        contract = getattr(raw, f"{name.upper()}_STREAM")
        found = content(stored[contract], name)
        assert found.join(content(truth, name), on=found.columns, how="anti").is_empty()
    assert content(stored[raw.TRADES_STREAM], "trades").equals(content(ticks.trades, "trades"))
    assert stored[raw.BOOK_STREAM].height == rows(folder, "book").height
    assert stored[raw.STREAM_GAPS].filter(stream="trades")["outcome"].unique().to_list() == [
        "backfilled"
    ]
    assert len(inbox.arrived(folder)) == n_files  # put away once they are known to be stored
    assert run(stream, config=config).success
    assert inbox.arrived(folder) == []
    for contract in TABLES:
        assert run.warehouse.read(contract).equals(stored[contract])
    assert run.warehouse.read(raw.STREAM_FILES).height == n_files


def test_files_delivered_again_under_another_name_add_nothing(run, folder):
    config = configured(folder)
    run(stream, config=config)
    before = run.warehouse.read(raw.TRADES_STREAM)
    (first, *_) = inbox.arrived(folder)
    frame = pl.read_parquet(folder / first.name)
    inbox.write_batch(folder, first.stream, 999, frame, dt.datetime(2024, 1, 3, tzinfo=dt.UTC))
    assert run(stream, config=config).success
    assert run.warehouse.read(raw.TRADES_STREAM).equals(before)


def test_a_broken_file_goes_to_quarantine_and_the_others_are_committed(run, folder, ticks):
    files = inbox.arrived(folder)
    broken = next(file for file in files if file.stream == "quotes")
    (folder / broken.name).write_bytes(b"PAR1, and then nothing")
    config = configured(folder)
    assert run(stream, config=config).success
    trades = run.warehouse.read(raw.TRADES_STREAM)
    assert content(trades, "trades").equals(content(ticks.trades, "trades"))
    refused = run.warehouse.read(quarantine.ROWS).filter(
        pl.col("reason").str.contains("no readable Parquet")
    )
    assert broken.name in refused["reason"].item()
    run(stream, config=config)
    assert (folder / broken.name).parent.joinpath("broken", broken.name.split("/")[1]).exists()
    assert run.warehouse.read(quarantine.ROWS).height == refused.height


def test_an_impossible_row_is_refused_and_the_others_are_committed(run, tmp_path):
    good = Trade("X", 1, 1_704_207_600_000_000, 1_704_207_600_100_000, 5.0, 1.0, True)
    bad = Trade("X", 2, 1_704_207_600_000_000, 1_704_207_600_100_000, -5.0, 1.0, True)
    frame = inbox.frame_of("trades", [good.row("d"), bad.row("d")])
    inbox.write_batch(tmp_path, "trades", 0, frame, dt.datetime(2024, 1, 2, tzinfo=dt.UTC))
    assert run(stream, config=configured(tmp_path)).success
    assert run.warehouse.read(raw.TRADES_STREAM)["trade_id"].to_list() == [1]
    assert "price <= 0" in run.warehouse.read(quarantine.ROWS)["reason"].item()


def test_a_run_reads_so_many_files_and_the_next_goes_on(run, folder, ticks):
    half = -(-len(inbox.arrived(folder)) // 2)
    config = configured(folder, files_per_run=half)
    for _ in range(2):
        assert run(stream, config=config).success
    trades = run.warehouse.read(raw.TRADES_STREAM)
    assert content(trades, "trades").equals(content(ticks.trades, "trades"))


def test_an_inbox_that_is_not_there_is_an_empty_one(run, tmp_path):
    assert run(stream, config=configured(tmp_path / "nowhere")).success
    assert run.warehouse.read(raw.TRADES_STREAM).is_empty()


def test_the_sensor_asks_for_new_files_and_is_absent_without_the_stream(folder):
    without = build_definitions(TradingConfig())
    assert "stream_files" not in {sensor.name for sensor in without.sensors}
    definitions = build_definitions(configured(folder))
    assert definitions.resolve_job_def("ingest_stream") is not None
    sensor = definitions.resolve_sensor_def("stream_files")
    with dg.DagsterInstance.ephemeral() as instance:

        def look(cursor: str | None) -> dg.SensorResult:
            context = dg.build_sensor_context(
                instance=instance, cursor=cursor, definitions=definitions
            )
            return sensor.evaluate_tick(context)

        first = look(None)
        assert len(first.run_requests) == 1
        assert not look(first.cursor).run_requests
        frame = inbox.frame_of("trades", [])
        inbox.write_batch(folder, "trades", 10_000, frame, dt.datetime(2024, 1, 3, tzinfo=dt.UTC))
        second = look(first.cursor)
        assert len(second.run_requests) == 1
        assert second.run_requests[0].run_key != first.run_requests[0].run_key
        busy = dg.DagsterRun(
            job_name="ingest_stream", run_id=str(uuid.uuid4()),
            status=dg.DagsterRunStatus.STARTED,
        )  # fmt: skip
        instance.add_run(busy)
        skipped = look(None)
        assert "still being committed" in skipped.skip_message
