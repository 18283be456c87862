"""Every remote provider of bars as an asset: stored, fetched again without repeats, quarantined."""

from __future__ import annotations

import datetime as dt
import io
import zipfile

import dagster as dg
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts import quarantine
from btq_assets.sources.assets import provider_asset
from btq_assets.sources.market import registry

MONTHS = dg.MonthlyPartitionsDefinition(start_date="2024-01-01", timezone="UTC")
DAY = 86_400_000
OPEN = round(dt.datetime(2024, 3, 4, tzinfo=dt.UTC).timestamp() * 1_000)


def klines() -> list:
    def row(at: int, price: float) -> list:
        cells = [f"{price:.2f}"] * 4
        return [at, *cells, "5.0", at + DAY - 1, "0", 1, "0", "0", "0"]

    return [row(OPEN, 100.0), row(OPEN + DAY, 101.0), [OPEN + 2 * DAY, *[None] * 11]]


def archive() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("eurofxref-hist.csv", "Date,USD,\n2024-03-05,1.09,\n2024-03-04,one,\n")
    return packed.getvalue()


def alpha_vantage() -> dict:
    bar = {"1. open": "1.0", "2. high": "2.0", "3. low": "0.5", "4. close": "1.5", "5. volume": "9"}
    series = {"2024-03-04": bar, "2024-03-05": bar, "2024-03-09": bar}
    return {"Meta Data": {}, "Time Series (Daily)": series}


def data_link() -> dict:
    columns = ["Date", "Close", "Adj. Close", "Ex-Dividend", "Split Ratio"]
    rows = [["2018-01-03", 172.23, 168.0, 0.5, 1.0], ["2018-01-06", 1.0, 1.0, 0.0, 1.0]]
    return {"dataset": {"column_names": columns, "frequency": "daily", "data": rows}}


CASES = {
    "binance": (registry.BINANCE, klines, {"bars_binance": 2}),
    "ecb": (registry.ECB, archive, {"bars_ecb": 1}),
    "alpha_vantage": (
        registry.ALPHA_VANTAGE,
        alpha_vantage,
        {"bars_alpha_vantage": 2, "corporate_actions_alpha_vantage": 0},
    ),
    "nasdaq_data_link": (
        registry.NASDAQ_DATA_LINK,
        data_link,
        {"bars_nasdaq_data_link": 1, "corporate_actions_nasdaq_data_link": 1},
    ),
}
SETTINGS = {"ecb": {"symbols": ["USD"]}, "binance": {"symbols": ["BTCUSDT"]}}


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_provider_is_stored_once_and_its_bad_rows_are_in_quarantine(name, server, run, waits):
    entry, body, counts = CASES[name]
    server.answer = lambda request: server.Reply(body())
    config = TradingConfig(
        sources={
            name: {
                "enabled": True, "base_url": server.url, "calls_per_minute": 6_000,
                "answers_fresh_hours": 0, "max_attempts": 1, **SETTINGS.get(name, {}),
            }
        }
    )  # fmt: skip
    asset = provider_asset(entry, {"ALPHA_VANTAGE_KEY": "PLANTED5ECRET"})
    cut = MONTHS if entry.partitions else None
    for _ in range(2):
        result = dg.materialize(
            [asset.definition(config, cut)],
            resources=run.resources(config),
            **({"partition_key": "2024-03-01"} if cut else {}),
        )
        assert result.success
        stored = {c.name: run.warehouse.read(c) for c in entry.contracts}
        assert {table: frame.height for table, frame in stored.items()} == counts
    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert checks["first_sight_at_bar_end"]
    refused = run.warehouse.read(quarantine.ROWS)
    assert set(refused["table_name"]) == {entry.contracts[0].table}
    assert refused["reason"].n_unique() == 1
    told = str([event.event_specific_data for event in result.all_events])
    assert "PLANTED5ECRET" not in told
