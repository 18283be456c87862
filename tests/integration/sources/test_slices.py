"""What is computed a slice at a time equals what is computed of the whole at once."""

from __future__ import annotations

import datetime as dt

import dagster as dg
import numpy as np
import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts import core, house, quality, raw
from btq_assets.contracts.base import cast_to_contract
from btq_assets.sources.market.assets import bars_by_timeframe
from btq_assets.sources.market.resampling import timeframes
from btq_assets.sources.repairs.assets import repairs
from btq_assets.warehouse import slices
from btq_assets.warehouse.reading import table_exists
from btq_assets.warehouse.versions import frame_version
from btq_assets.warehouse.writing import append_new, replace_table

CONFIG = TradingConfig(sources={"folder": {"enabled": True, "freq": "1m"}})
MADE = (core.BARS_1M, core.BARS_5M, core.BARS_15M, core.BARS_1H)


def intraday(universe: str, symbol: str, n: int, *, calendar: str, seed: int) -> pl.DataFrame:
    """Minutes with gaps, from a session of New York in 2021 on."""
    random = np.random.default_rng(seed)
    minutes = np.sort(random.choice(3 * n, n, replace=False))
    start = dt.datetime(2021, 3, 12, 14, 0, tzinfo=dt.UTC)
    close = 50 + np.cumsum(random.normal(0, 0.05, n))
    stamps = [start + dt.timedelta(minutes=int(m)) for m in minutes]
    frame = pl.DataFrame(
        {
            "universe": universe,
            "symbol": symbol,
            "freq": "1m",
            "ts": stamps,
            "known_at": stamps,
            "revised_at": None,
            "open": close,
            "high": close + 0.1,
            "low": close - 0.1,
            "close": close,
            "volume": random.random(n),
            "calendar": calendar,
        }
    )
    return cast_to_contract(frame, core.BARS_INTRADAY)


@pytest.fixture
def bars() -> pl.DataFrame:
    parts = [
        intraday("coins", "BTC", 700, calendar="24/7", seed=1),
        intraday("coins", "ETH", 300, calendar="24/7", seed=2),
        intraday("stocks", "AAPL", 900, calendar="XNYS", seed=3),
        intraday("stocks", "BTC", 400, calendar="XNYS", seed=4),
    ]
    return pl.concat(parts).sort(core.BARS_INTRADAY.key)


def test_timeframes_in_slices_are_those_of_the_whole(run, bars, monkeypatch):
    with run.warehouse.transaction() as connection:
        replace_table(connection, core.BARS_INTRADAY, bars)
    read = []
    real = slices.StoredTable.read

    def spy(table, series):
        read.append(series.rows())
        return real(table, series)

    monkeypatch.setattr(slices, "SLICE_ROWS", 1_000)
    monkeypatch.setattr(slices.StoredTable, "read", spy)
    done = run(bars_by_timeframe, config=CONFIG)
    assert read == [
        [("coins", "BTC"), ("coins", "ETH")],
        [("stocks", "AAPL")],
        [("stocks", "BTC")],
    ]
    expected = timeframes(bars)
    books = {row["table_name"]: row for row in run.warehouse.read(house.PROVENANCE).to_dicts()}
    for contract in MADE:
        stored = run.warehouse.read(contract)
        assert stored.equals(expected[contract.name.removeprefix("bars_")])
        assert stored.height
        book = books[contract.table]
        assert book["data_version"] == frame_version(stored, contract)
        assert book["n_rows"] == stored.height
    (event, *_) = done.asset_materializations_for_node("core__bars_1m")
    assert event.metadata["dagster/row_count"].value == bars.height
    again = run(bars_by_timeframe, config=CONFIG)
    events = again.asset_materializations_for_node("core__bars_1m")
    assert all(event.metadata["reused"].value for event in events)


def test_a_slice_that_fails_its_check_leaves_the_old_tables_as_they_were(run, bars, monkeypatch):
    with run.warehouse.transaction() as connection:
        replace_table(connection, core.BARS_INTRADAY, bars.filter(symbol="ETH"))
    run(bars_by_timeframe, config=CONFIG)
    old = {contract: run.warehouse.read(contract) for contract in MADE}
    with run.warehouse.transaction() as connection:
        append_new(connection, core.BARS_INTRADAY, bars)
        connection.execute("DELETE FROM house.provenance")
    import btq_assets.sources.market.resampling as resampling

    def twice(rows):
        made = timeframes(rows)
        if "AAPL" in rows["symbol"]:
            made["1h"] = made["1h"].with_columns(pl.col("n_bars") * 1_000)
        return made

    monkeypatch.setattr(slices, "SLICE_ROWS", 1_000)
    monkeypatch.setattr(resampling, "timeframes", twice)
    with pytest.raises(dg.Failure, match="no_bar_counts_twice"):
        run(bars_by_timeframe, config=CONFIG)
    assert all(run.warehouse.read(contract).equals(old[contract]) for contract in MADE)
    monkeypatch.setattr(resampling, "timeframes", timeframes)
    run(bars_by_timeframe, config=CONFIG)
    assert run.warehouse.read(core.BARS_1M).height == bars.height
    with run.warehouse.reader() as connection:
        left = slices.Replacement(core.BARS_1M).beside
        assert not table_exists(connection, left)


def test_no_bars_make_empty_tables(run):
    with run.warehouse.transaction() as connection:
        replace_table(connection, core.BARS_INTRADAY, core.BARS_INTRADAY.empty())
    run(bars_by_timeframe, config=CONFIG)
    assert [run.warehouse.read(contract).height for contract in MADE] == [0, 0, 0, 0]


def test_series_are_read_together_while_they_fit():
    sizes = pl.DataFrame({"symbol": list("ABCDE"), "n_rows": [4, 5, 20, 1, 2]})
    groups = [group["symbol"].to_list() for group in slices.grouped(sizes, 10)]
    assert groups == [["A", "B"], ["C"], ["D", "E"]]
    assert slices.grouped(sizes.clear(), 10) == []


def test_repairs_in_slices_are_those_of_the_whole(run, monkeypatch):
    """Prices of six symbols, one of them a hundred times too high for a day."""
    random = np.random.default_rng(5)
    stamps = [dt.datetime(2021, 1, 4, 21, tzinfo=dt.UTC) + dt.timedelta(days=n) for n in range(120)]
    parts = []
    for number in range(6):
        close = 50 * np.exp(np.cumsum(random.normal(0, 0.01, 120)))
        close[30] *= 100 if number == 2 else 1
        close[60] *= 1.3 if number == 4 else 1
        columns = dict.fromkeys(("open", "high", "low", "close"), close)
        parts.append(
            pl.DataFrame(
                {
                    "dataset": "inbox", "symbol": f"S{number}", "freq": "1d", "ts": stamps,
                    "known_at": stamps, "known_at_basis": "assumed_lag", **columns,
                    "adj_close": None, "volume": 1.0, "currency": "USD",
                }
            )
        )  # fmt: skip
    with run.warehouse.transaction() as connection:
        append_new(connection, raw.BARS_FOLDER, cast_to_contract(pl.concat(parts), raw.BARS_FOLDER))
    run(repairs, config=CONFIG)
    whole = run.warehouse.read(quality.REPAIRS)
    assert set(whole["kind"]) == {"unit_100x", "bad_tick"}
    with run.warehouse.transaction() as connection:
        connection.execute("DELETE FROM house.provenance")
    read = []
    real = slices.StoredTable.read
    monkeypatch.setattr(slices, "SLICE_ROWS", 250)
    monkeypatch.setattr(
        slices.StoredTable, "read", lambda t, s: read.append(s.height) or real(t, s)
    )
    run(repairs, config=CONFIG)
    assert set(read) == {2}
    assert run.warehouse.read(quality.REPAIRS).equals(whole), "proposed_at of the first run stays"
