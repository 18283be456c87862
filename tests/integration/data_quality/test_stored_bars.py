"""A second file is judged beside what the first one left in the table, through Dagster."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts import raw
from btq_assets.sources.market.assets import bars_folder
from btq_assets.warehouse.database import Warehouse
from btq_assets.warehouse.paths import DataPaths
from btq_assets.warehouse.resources import ConfigResource, DeviceResource, WarehouseResource


def csv(first: dt.date, closes: list[float]) -> str:
    days = pl.date_range(first, first + dt.timedelta(days=60), eager=True)
    days = days.filter(days.dt.weekday() <= 5).head(len(closes))
    lines = [f"{day},{c},{c},{c},{c},{c},100" for day, c in zip(days, closes, strict=True)]
    return "\n".join(["Date,Open,High,Low,Close,Adj Close,Volume", *lines, ""])


@pytest.fixture
def ingest(tmp_path: Path) -> Iterator[object]:
    (tmp_path / "inbox").mkdir()
    config = TradingConfig(sources={"folder": {"enabled": True, "path": str(tmp_path / "inbox")}})

    def run(name: str, text: str) -> dict[str, bool]:
        (tmp_path / "inbox" / name).write_text(text)
        result = dg.materialize(
            [bars_folder.definition(config)],
            resources={
                "trading": ConfigResource.of(config),
                "warehouse": WarehouseResource(path=str(tmp_path / "data"), lock_timeout_s=5),
                "device": DeviceResource(device="cpu"),
            },
        )
        return {e.check_name: e.passed for e in result.get_asset_check_evaluations()}

    return run


def test_a_file_in_another_unit_a_month_later_is_told(ingest) -> None:
    """The second file is sound in itself: only beside the first are its prices in cents."""
    first = [10 + 0.01 * (i % 7) for i in range(15)]
    assert all(ingest("XYZ.2020-01.csv", csv(dt.date(2020, 1, 6), first)).values())
    answers = ingest("XYZ.2020-02.csv", csv(dt.date(2020, 1, 27), [c * 100 for c in first]))
    assert {name for name, passed in answers.items() if not passed} == {"no_split_sized_return"}


def test_a_gap_and_a_run_that_begin_before_the_file_are_told(ingest) -> None:
    ingest(
        "XYZ.2020-01.csv", csv(dt.date(2020, 1, 6), [10.0 + i / 100 for i in range(4)] + [11.0] * 6)
    )
    answers = ingest("XYZ.2020-02.csv", csv(dt.date(2020, 2, 3), [11.0] * 6 + [11.5]))
    assert {name for name, passed in answers.items() if not passed} == {
        "covers_the_sessions_of_its_dataset", "no_gap_in_sessions", "no_stale_prices",
    }  # fmt: skip


def test_spans_are_read_and_nothing_else(tmp_path: Path) -> None:
    stamps = [dt.datetime(2020, 1, day, 21, tzinfo=dt.UTC) for day in range(1, 11)]
    rows = pl.DataFrame(
        {
            "dataset": "d", "symbol": ["A"] * 10 + ["B"] * 10, "freq": "1d", "ts": stamps * 2,
            "known_at": stamps * 2, "known_at_basis": "assumed_lag", "close": 1.0, "currency": "USD",
        }
    ).with_columns(pl.lit(None, pl.Float64).alias(n) for n in ("open", "high", "low", "adj_close", "volume"))  # fmt: skip
    warehouse = Warehouse(DataPaths(tmp_path))
    spans = pl.DataFrame(
        {
            "dataset": "d", "symbol": ["A", "C"], "freq": "1d",
            "since": [stamps[2], stamps[0]], "until": [stamps[4], stamps[9]],
        }
    )  # fmt: skip
    assert warehouse.read_spans(raw.BARS_FOLDER, spans, "ts").is_empty(), "before there is a table"
    with warehouse.transaction() as connection:
        connection.execute("create schema raw")
        connection.execute(raw.BARS_FOLDER.ddl())
        connection.register("bars", rows.select(raw.BARS_FOLDER.column_names).to_arrow())
        connection.execute("insert into raw.bars_folder select * from bars")
    found = warehouse.read_spans(raw.BARS_FOLDER, spans, "ts")
    assert found.select("symbol", "ts").rows() == [("A", stamp) for stamp in stamps[2:5]]
    assert found.schema == raw.BARS_FOLDER.schema
