"""The source assets on a real DuckDB file: what is stored, refused, re-used and never lost."""

from __future__ import annotations

import datetime as dt
import json
from urllib.parse import parse_qs, urlsplit

import dagster as dg
import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts import quarantine, raw
from btq_assets.sources import packaged
from btq_assets.sources.assets import provider_asset
from btq_assets.sources.macro.assets import macro_sample
from btq_assets.sources.market.assets import bars_folder, bars_sample, universe_membership
from btq_assets.sources.market.registry import ENTRIES, YAHOO
from btq_assets.sources.market.sensors import file_drop_sensor
from btq_assets.sources.sentiment.assets import documents_sample

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
    assert all(provider_asset(entry).definition(config) is None for entry in ENTRIES)


MONTHS = dg.MonthlyPartitionsDefinition(start_date="2024-01-01", timezone="UTC")


@pytest.fixture
def fetch_months(yahoo, run):
    """Materialize the asset of Yahoo for a month, or from one month to another."""

    def execute(first: str, last: str | None = None, **settings):
        config = TradingConfig(
            sources={
                "yahoo": {
                    "enabled": True, "symbols": ["SPY"], "base_url": yahoo.url, "max_attempts": 1,
                    "answers_fresh_hours": 0, "calls_per_minute": 6_000, **settings,
                }
            }
        )  # fmt: skip
        tags = {
            "dagster/asset_partition_range_start": first,
            "dagster/asset_partition_range_end": last or first,
        }
        asset = provider_asset(YAHOO).definition(config, MONTHS)
        return dg.materialize(
            [asset],
            resources=run.resources(config),
            raise_on_error=False,
            **({"tags": tags} if last else {"partition_key": first}),
        )

    return execute


def test_a_month_of_yahoo_is_fetched_and_fetched_again(yahoo, run, fetch_months):
    yahoo.answers["SPY"] = yahoo.chart([100.0, 101.0])
    assert fetch_months("2024-03-01").success
    assert run.warehouse.read(raw.BARS_YAHOO)["close"].to_list() == [100.0, 101.0]
    assert fetch_months("2024-03-01").success
    assert run.warehouse.read(raw.BARS_YAHOO).height == 2
    yahoo.answers["SPY"] = yahoo.chart([100.0, 99.0])
    assert fetch_months("2024-03-01").success
    stored = run.warehouse.read(raw.BARS_YAHOO).sort("ts", "known_at")
    assert stored.select("close", "known_at_basis").rows() == [
        (100.0, "assumed_lag"), (101.0, "assumed_lag"), (99.0, "recorded"),
    ]  # fmt: skip


def test_a_month_that_fails_leaves_the_others_of_its_range_stored(yahoo, run, fetch_months):
    opens = [dt.datetime(2024, month, 5, 14, 30, tzinfo=dt.UTC) for month in (1, 2, 3)]

    def respond(path: str):
        """A bar on the fifth of the month that is asked for; February is down."""
        if "period1" not in path:
            return real(path)
        start = int(parse_qs(urlsplit(path).query)["period1"][0])
        (opened,) = (o for o in opens if 0 <= o.timestamp() - start < 10 * 86_400)
        if opened.month == 2 and february_is_down:
            return 503, "down"
        answer = yahoo.chart([100.0 + opened.month])
        answer["chart"]["result"][0]["timestamp"] = [int(opened.timestamp())]
        return 200, json.dumps(answer)

    real, yahoo.respond = yahoo.respond, respond
    yahoo.answers["SPY"] = yahoo.chart([1.0])
    february_is_down = True
    result = fetch_months("2024-01-01", "2024-03-01")
    assert not result.success
    (failure,) = result.get_step_failure_events()
    said = str(failure.event_specific_data.error_display_string)
    assert "1 of 3 partitions of raw__bars_yahoo failed, the other 2 are stored" in said
    assert "2024-02-01: yahoo gave no bars of 'SPY' in 1 attempts" in said
    assert run.warehouse.read(raw.BARS_YAHOO)["close"].to_list() == [101.0, 103.0]
    told = [e for e in result.all_events if e.event_type_value == "ASSET_MATERIALIZATION"]
    assert {(e.asset_key.path[-1], e.partition) for e in told} == {
        (table, month)
        for table in ("bars_yahoo", "corporate_actions_yahoo")
        for month in ("2024-01-01", "2024-03-01")
    }
    february_is_down = False
    assert fetch_months("2024-02-01").success
    unbroken = run.warehouse.read(raw.BARS_YAHOO)["close"].sort().to_list()
    assert unbroken == [101.0, 102.0, 103.0]


def test_enabled_providers_have_members_in_universes_of_their_own(run):
    config = TradingConfig(
        sources={
            "yahoo": {"enabled": True, "symbols": ["SPY"]},
            "binance": {"enabled": True, "symbols": ["BTCUSDT"]},
            "ccxt": {"enabled": True, "symbols": ["BTC/USD", "BTC/USD:USD"]},
            "ecb": {"enabled": True, "symbols": ["USD"]},
            "alpha_vantage": {"enabled": True},
            "nasdaq_data_link": {"enabled": True},
        }
    )
    run(universe_membership, config=config)
    members = run.warehouse.read(raw.UNIVERSE_MEMBERSHIP).filter(
        ~pl.col("source").is_in(["sample"])
    )
    shown = members.sort("universe", "symbol").select(
        "universe", "symbol", "source", "dataset", "calendar", "currency", "price_basis"
    )
    adjusted, plain = "ohlcv_with_adjusted_close", "unadjusted"
    assert shown.rows() == [
        ("alpha_vantage", "IBM", "alpha_vantage", "alpha_vantage", "XNYS", "USD", plain),
        ("crypto", "BTCUSDT", "binance", "binance_spot", "24/7", "USDT", adjusted),
        ("crypto_ccxt", "BTC/USD", "ccxt", "ccxt_kraken", "24/7", "USD", adjusted),
        ("crypto_ccxt", "BTC/USD:USD", "ccxt", "ccxt_kraken", "24/7", "USD", plain),
        ("fx_ecb", "EURUSD", "ecb", "ecb_reference_rates_web", "24/5", "USD", "reference_rate"),
        ("wiki", "AAPL", "nasdaq_data_link", "WIKI", "XNYS", "USD", adjusted),
        ("yahoo", "SPY", "yahoo", "yahoo_chart", "XNYS", "USD", adjusted),
    ]


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
