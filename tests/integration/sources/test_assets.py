"""The source assets on a real DuckDB file: what is stored, refused, re-used and never lost."""

from __future__ import annotations

import datetime as dt
from functools import partial

import dagster as dg
import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts import quarantine, raw
from btq_assets.sources import packaged
from btq_assets.sources.macro.assets import macro_sample
from btq_assets.sources.market.assets import (
    bars_folder,
    bars_sample,
    bars_yahoo,
    universe_membership,
)
from btq_assets.sources.market.providers import yahoo as yahoo_provider
from btq_assets.sources.market.sensors import file_drop_sensor
from btq_assets.sources.sentiment.assets import documents_sample
from btq_assets.warehouse import Step

SAMPLE = (universe_membership, macro_sample, documents_sample)


def latest(result, contract) -> dict:
    key = dg.AssetKey(list(contract.asset_key))
    (event,) = result.asset_materializations_for_node("__".join(contract.asset_key))
    assert event.asset_key == key
    return {name: entry.value for name, entry in event.metadata.items()}


def test_sample_tables_are_stored_whole_and_reused(run):
    config = TradingConfig()
    assert run(*SAMPLE, config=config).success
    members = run.warehouse.read(raw.UNIVERSE_MEMBERSHIP)
    assert members.group_by("universe").len().sort("universe").rows() == [
        ("benchmark", 1), ("fx", 17), ("us20", 20), ("us_ohlcv", 8),
    ]  # fmt: skip
    assert run.warehouse.read(raw.MACRO_SAMPLE).height == 25_920
    documents = run.warehouse.read(raw.DOCUMENTS_SAMPLE)
    assert set(documents["symbol"]) == set(members.filter(universe="us20")["symbol"])
    again = run(*SAMPLE, config=config)
    for contract in (raw.UNIVERSE_MEMBERSHIP, raw.MACRO_SAMPLE, raw.DOCUMENTS_SAMPLE):
        assert latest(again, contract)["reused"]
    other_seed = TradingConfig(sources={"sample": {"synthetic_documents_seed": 5}})
    run(*SAMPLE, config=other_seed)
    rewritten = run.warehouse.read(raw.DOCUMENTS_SAMPLE)
    assert not set(rewritten["doc_id"]) & set(documents["doc_id"])
    assert run.warehouse.read(raw.MACRO_SAMPLE).height == 25_920


def test_documents_follow_the_members_of_the_main_universe(run):
    """The edge is real: another universe upstream, other symbols downstream."""
    config = TradingConfig(universe={"main": "us_ohlcv"})
    run(universe_membership, documents_sample, config=config)
    assert set(run.warehouse.read(raw.DOCUMENTS_SAMPLE)["symbol"]) == {
        "AAPL", "AMZN", "FB", "GOOG", "IBM", "MSFT", "NFLX", "NVDA",
    }  # fmt: skip


def test_bars_of_the_sample_are_stored_with_licences_and_plots(run):
    result = run(bars_sample, config=TradingConfig())
    stored = run.warehouse.read(raw.BARS_SAMPLE)
    assert stored.height == 321_278
    shown = latest(result, raw.BARS_SAMPLE)
    assert "Public domain" in shown["licenses"]
    assert shown["plot: us20 rebased"].startswith("![us20 rebased](data:image/png")
    assert shown["dagster/row_count"] == 321_278


def test_tampered_package_stops_the_run_and_leaves_what_is_stored(run, monkeypatch):
    config = TradingConfig()
    run(macro_sample, config=config)
    real = packaged._resource_bytes

    def tampered(file):
        content = real(file)
        return content + b" " if file.dataset == "arch_vix" else content

    monkeypatch.setattr(packaged, "_resource_bytes", tampered)
    result = run(macro_sample, config=config, raise_on_error=False)
    assert not result.success
    (failure,) = result.get_step_failure_events()
    assert "pip install --force-reinstall arch==8.0.0" in str(
        failure.event_specific_data.error_display_string
    )
    assert run.warehouse.read(raw.MACRO_SAMPLE).height == 25_920


BAD_LINES = """Date,Open,High,Low,Close,Adj Close,Volume
2020-01-06,10,11,9,10.5,5.25,100
2020-01-03,10,11,9,10.5,5.25,100
2020-01-02,10,11,9,-10.5,5.25,100
2020-01-07,10,11,9,NaN,5.25,100
2020-01-08,10,inf,9,10.5,5.25,100
2020-01-09,10,9,11,10.5,5.25,100
2020-01-10,10,11,9,10.5,5.25,100
2020-01-10,10,11,9,10.6,5.25,100
2020-01-11,10,11,9,10.5,5.25,100
2020-01-13 10:00,10,11,9,10.5,5.25,100
2020-01-14,ten,11,9,10.5,5.25,100
2020-01-15,10,11,9
"""


@pytest.fixture
def inbox(tmp_path):
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def folder_config(inbox):
    return TradingConfig(sources={"folder": {"enabled": True, "path": str(inbox)}})


def test_every_bad_row_is_in_quarantine_with_its_reason_and_the_good_ones_are_stored(
    run, inbox, folder_config
):
    (inbox / "XYZ.csv").write_text(BAD_LINES)
    (inbox / "cut.parquet").write_bytes(b"PAR1 and then nothing")
    (inbox / "empty.csv").write_bytes(b"")
    (inbox / "wrong.csv").write_text("a,b\n1,2\n")
    run(bars_folder, universe_membership, config=folder_config)
    stored = run.warehouse.read(raw.BARS_FOLDER)
    assert stored["ts"].dt.date().to_list() == [dt.date(2020, 1, 3), dt.date(2020, 1, 6)]
    refused = run.warehouse.read(quarantine.ROWS)
    assert set(refused["table_name"]) == {"raw.bars_folder"}
    reasons = " | ".join(refused["reason"])
    for reason in (
        "close <= 0", "close is not finite", "high is not finite", "high < low",
        "duplicate key (dataset, symbol, freq, ts, known_at)", "2020-01-11 is not a session of XNYS",
        "has no zone; set sources.folder.timezone", "open 'ten' is not a number",
        "4 fields where the header has 7", "cut.parquet: is truncated or not Parquet",
        "empty.csv: the file is empty", "wrong.csv: no column is a date or time",
    ):  # fmt: skip
        assert reason in reasons
    # 5 impossible values, one of them a pair; 4 unreadable lines; 3 unreadable files.
    assert refused.height == 4 + 2 + 4 + 3
    members = run.warehouse.read(raw.UNIVERSE_MEMBERSHIP).filter(universe="folder")
    assert members.select("symbol", "price_basis").rows() == [("XYZ", "ohlcv_with_adjusted_close")]


def test_an_edited_file_adds_a_vintage_and_loses_nothing(run, inbox, folder_config):
    header = "Date,Close,Adj Close\n"
    (inbox / "A.csv").write_text(f"{header}2020-01-02,10,10\n2020-01-03,11,11\n")
    run(bars_folder, config=folder_config)
    (inbox / "A.csv").write_text(f"{header}2020-01-03,12,12\n2020-01-06,13,13\n")
    run(bars_folder, config=folder_config)
    stored = run.warehouse.read(raw.BARS_FOLDER).sort("ts", "known_at")
    assert stored["close"].to_list() == [10.0, 11.0, 12.0, 13.0]
    assert stored["known_at_basis"].to_list() == [
        "assumed_lag", "assumed_lag", "recorded", "assumed_lag",
    ]  # fmt: skip
    # The same content under another name says nothing new.
    (inbox / "A.csv").rename(inbox / "A_copy.csv")
    result = run(bars_folder, config=folder_config)
    assert latest(result, raw.BARS_FOLDER)["bars_new"] == 0
    assert run.warehouse.read(raw.BARS_FOLDER).height == 4


def test_an_odd_series_is_stored_with_a_warning(run, inbox, folder_config):
    """Pence for pounds: possible row by row, so it warns and does not hold back the inbox."""
    (inbox / "A.csv").write_text("Date,Close,Adj Close\n2020-01-02,10,10\n2020-01-03,1010,1010\n")
    result = run(bars_folder, config=folder_config)
    assert result.success
    assert run.warehouse.read(raw.BARS_FOLDER).height == 2
    answers = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert not answers["no_unit_error"].passed
    assert answers["no_unit_error"].severity == dg.AssetCheckSeverity.WARN


def test_sources_that_are_off_are_absent_from_the_graph():
    config = TradingConfig()
    assert bars_folder.definition(config) is None
    assert bars_yahoo.definition(config) is None


def test_a_month_of_yahoo_is_fetched_and_fetched_again(yahoo, monkeypatch):
    config = TradingConfig(sources={"yahoo": {"enabled": True, "symbols": ["SPY"]}})
    monkeypatch.setattr(
        yahoo_provider, "fetch_month", partial(yahoo_provider.fetch_month, base_url=yahoo.url)
    )
    stored = [raw.BARS_YAHOO.empty()]

    def fetch() -> pl.DataFrame:
        step = Step(
            config=config,
            run_id="test",
            now=dt.datetime(2024, 6, 1, tzinfo=dt.UTC),
            log=lambda message: None,
            code_version="test",
            data_versions={},
            read_ledger=lambda contract: stored[-1],
            artifacts=None,
            partition_key="2024-03-01",
        )
        added = bars_yahoo.compute(step).frames
        stored.append(pl.concat([stored[-1], added]))
        return added

    yahoo.answers["SPY"] = yahoo.chart([100.0, 101.0])
    assert fetch()["close"].to_list() == [100.0, 101.0]
    assert fetch().is_empty()
    yahoo.answers["SPY"] = yahoo.chart([100.0, 99.0])
    assert fetch()["known_at_basis"].to_list() == ["recorded"]


def test_sensor_starts_one_run_for_files_that_have_settled(inbox, folder_config):
    @dg.op
    def nothing() -> None: ...

    @dg.job
    def ingest() -> None:
        nothing()

    sensor = file_drop_sensor(folder_config, ingest)
    cursor = None

    def look():
        nonlocal cursor
        with dg.build_sensor_context(cursor=cursor) as context:
            data = sensor.evaluate_tick(context)
        cursor = data.cursor
        return data.run_requests

    assert not look()
    (inbox / "A.csv").write_text("Date,Close\n")
    assert not look()
    (request,) = look()
    assert request.tags["btq/files"] == "A.csv"
    assert not look()
    inbox.joinpath("A.csv").unlink()
    inbox.rmdir()
    assert not look()
