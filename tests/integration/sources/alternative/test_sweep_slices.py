"""Sweeps of stretches of days equal those of all trades at once, and cost no more memory."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts import house
from btq_assets.contracts.core_alternative import OPTION_SWEEPS, OPTION_TRADES
from btq_assets.sources.alternative import option_sweeps as module
from btq_assets.sources.alternative.assets import option_sweeps
from btq_assets.warehouse import slices
from btq_assets.warehouse.versions import frame_version
from btq_assets.warehouse.writing import replace_table

CONFIG = TradingConfig(sources={"option_sweeps": {"enabled": True, "min_prints": 3}})


def trades(n_days: int, seed: int = 3) -> pl.DataFrame:
    """Bursts of prints of eight contracts, most of them around midnight."""
    random = np.random.default_rng(seed)
    start = np.datetime64("2024-06-03T00:00:00", "us")
    rows = []
    for day in range(n_days):
        for burst in range(150):
            contract = f"BTC-28JUN24-{int(random.integers(60, 64))}000-{'CP'[burst % 2]}"
            # The half of them within 300 ms of the end of the day.
            late = 86_400_000 - int(random.integers(0, 300))
            at = late if random.random() < 0.5 else int(random.integers(0, 86_000_000))
            price, side = float(random.integers(20, 80)) / 1_000, random.choice(["buy", "sell"])
            for _ in range(int(random.integers(1, 7))):
                rows.append(
                    (contract, start + np.timedelta64(day * 86_400_000 + at, "ms"), price, side)
                )
                at += int(random.integers(0, 300))
                price += 0.0005 * float(random.integers(0, 2)) * (1 if side == "buy" else -1)
    ts = np.array([row[1] for row in rows])
    return (
        pl.DataFrame(
            {
                "contract_id": [row[0] for row in rows],
                "ts": pl.Series(ts).dt.replace_time_zone("UTC"),
                "price": [row[2] for row in rows],
                "side": [str(row[3]) for row in rows],
            }
        )
        .sort("contract_id", "ts", maintain_order=True)
        .with_row_index("number")
        .select(
            source=pl.lit("deribit"), dataset=pl.lit("deribit"), underlying=pl.lit("BTC"),
            contract_id="contract_id", kind=pl.lit("call"), strike=pl.lit(70_000.0),
            expiry=pl.lit(dt.date(2024, 6, 28)),
            expires_at=pl.lit(dt.datetime(2024, 6, 28, 8, tzinfo=dt.UTC)),
            trade_id=pl.col("number").cast(pl.String), trade_seq=pl.col("number").cast(pl.Int64),
            ts="ts", known_at=pl.col("ts") + pl.duration(seconds=5), price="price",
            amount=pl.lit(1.3), side="side", iv_provider=pl.lit(0.6),
            mark_price=pl.col("price"), index_price=pl.lit(60_000.0),
            tick_direction=pl.lit(None, dtype=OPTION_TRADES.schema["tick_direction"]),
            block_trade_id=pl.lit(None, dtype=pl.String), combo_id=pl.lit(None, dtype=pl.String),
            liquidation=pl.lit(None, dtype=OPTION_TRADES.schema["liquidation"]),
            premium_unit=pl.lit("underlying"), currency=pl.lit("USD"),
        )
        .cast(dict(OPTION_TRADES.schema))
    )  # fmt: skip


def test_the_table_made_in_stretches_of_days_is_that_of_the_whole(run, monkeypatch):
    frame = trades(6)
    with run.warehouse.transaction() as connection:
        replace_table(connection, OPTION_TRADES, frame)
    read = []
    real = slices.StoredTable.between
    monkeypatch.setattr(slices, "SLICE_ROWS", 1_000)
    monkeypatch.setattr(
        slices.StoredTable,
        "between",
        lambda table, *span: read.append(real(table, *span)) or read[-1],
    )
    done = run(option_sweeps, config=CONFIG)
    assert len(read) > 2
    assert sum(part.height for part in read) == frame.height
    expected = module.option_sweeps(frame, CONFIG.sources.option_sweeps)
    over_midnight = expected.filter(pl.col("started_at").dt.date() < pl.col("ts").dt.date())
    assert over_midnight.height >= 5, "a cut at midnight must have something to part"
    stored = run.warehouse.read(OPTION_SWEEPS)
    assert stored.equals(expected)
    (book,) = run.warehouse.read(house.PROVENANCE).filter(table_name=OPTION_SWEEPS.table).to_dicts()
    assert book["data_version"] == frame_version(stored, OPTION_SWEEPS)
    (event,) = done.asset_materializations_for_node("core__option_sweeps")
    assert event.metadata["sweeps"].value == stored.height
    assert event.metadata["trades"].value == frame.height


def test_no_trades_make_an_empty_table(run):
    with run.warehouse.transaction() as connection:
        replace_table(connection, OPTION_TRADES, OPTION_TRADES.empty())
    run(option_sweeps, config=CONFIG)
    assert run.warehouse.read(OPTION_SWEEPS).is_empty()


#: Finds the sweeps of a stored table a day at a time and says its most memory after three days and
#: in the end.
READER = """
import sys
from pathlib import Path
from types import SimpleNamespace
from btq_assets.config import TradingConfig
from btq_assets.contracts.core_alternative import OPTION_TRADES
from btq_assets.sources.alternative.assets import option_sweeps
from btq_assets.warehouse import StoredTable, Warehouse, slices
from btq_assets.warehouse.paths import DataPaths
slices.SLICE_ROWS = 1
step = SimpleNamespace(config=TradingConfig(), log=print)
table = StoredTable(Warehouse(DataPaths(Path(sys.argv[1]))), OPTION_TRADES)
def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
n = 0
for part in option_sweeps.compute(step, trades=table):
    n += 1
    if n == 3:
        early = peak()
print(n, part.metadata["trades"], early, peak())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for the peak")
def test_memory_does_not_grow_with_the_number_of_days(run, tmp_path):
    """Twenty days of 100,000 trades, about 500 MB in memory, cost little more than three."""
    n_days, per_day = 20, 100_000
    with run.warehouse.transaction() as connection:
        replace_table(connection, OPTION_TRADES, trades(1).head(1))
        connection.execute(
            f"INSERT INTO {OPTION_TRADES.table} SELECT d.* REPLACE ("
            "'BTC-28JUN24-' || (60 + n % 7) || '000-C' AS contract_id, 'n' || n AS trade_id, "
            "n AS trade_seq, ts + to_milliseconds(n * 864) AS ts, "
            "known_at + to_milliseconds(n * 864) AS known_at) "
            f"FROM {OPTION_TRADES.table} d, range(1, {n_days * per_day}) t(n)"
        )
    told = (
        subprocess.run(
            [sys.executable, "-c", READER, str(run.warehouse.paths.root)],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        .stdout.split("trades\n")[-1]
        .split()
    )
    n, n_trades, early, late = (float(found) for found in told)
    assert n >= n_days
    assert n_trades == n_days * per_day
    assert late - early < 60, f"{early:.0f} MiB after three days, {late:.0f} MiB in the end"
