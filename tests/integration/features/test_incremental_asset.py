"""A family's asset computes the tail where only sessions were added, and all of it otherwise."""

from __future__ import annotations

import dagster as dg
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from btq_assets.config import TradingConfig
from btq_assets.contracts import core
from btq_assets.contracts.features import TECHNICAL
from btq_assets.features.assets import FAMILY_ASSETS
from btq_assets.features.families import FAMILY
from btq_assets.warehouse import TableOutput, Warehouse, table_asset
from btq_assets.warehouse.paths import DataPaths
from btq_assets.warehouse.resources import ConfigResource, DeviceResource, WarehouseResource

ASSET = next(asset for asset in FAMILY_ASSETS if asset.outputs[0] is TECHNICAL)


@pytest.fixture(scope="module")
def all_bars(pytestconfig) -> pl.DataFrame:
    shared = str(pytestconfig.rootpath / "tests" / "conftest.py")
    plugins = pytestconfig.pluginmanager.get_plugins()
    make = next(p for p in plugins if getattr(p, "__file__", None) == shared).make_bars
    return make(3, 800, universe="us20", seed=2)


@pytest.fixture
def run(tmp_path):
    def execute(bars: pl.DataFrame, config: TradingConfig | None = None) -> str:
        config = config or TradingConfig()
        version = str(bars.hash_rows().sum())

        @table_asset(outputs=(core.BARS_1D,), source_version=lambda _: version)
        def stored_bars(step) -> TableOutput:
            """Bars as they are given."""
            return TableOutput(bars)

        result = dg.materialize(
            [asset.definition(config) for asset in (stored_bars, ASSET)],
            resources={
                "trading": ConfigResource.of(config),
                "warehouse": WarehouseResource(path=str(tmp_path), lock_timeout_s=5),
                "device": DeviceResource(device="cpu"),
            },
        )
        (event,) = result.asset_materializations_for_node(ASSET.name)
        return str(event.metadata["computed"].value)

    execute.warehouse = Warehouse(DataPaths(tmp_path), 5)
    return execute


def test_one_more_session_computes_the_tail_and_a_revision_all(run, all_bars):
    sessions = all_bars["ts"].unique().sort()
    older = all_bars.filter(pl.col("ts") < sessions[-1])
    assert run(older) == "full: nothing is stored yet"
    assert run(all_bars) == f"incremental: 1 sessions, from {sessions[-1]}"
    stored = run.warehouse.read(TECHNICAL)
    expected = FAMILY["technical"].compute({"bars": all_bars}, TradingConfig())
    assert_frame_equal(stored, expected, rel_tol=1e-12, abs_tol=1e-14)
    revised = all_bars.with_columns(
        adj_close=pl.when(pl.col("ts") == sessions[300]).then(pl.col("adj_close") * 1.001).otherwise("adj_close")
    )  # fmt: skip
    assert run(revised) == "full: older rows of core.bars_1d changed, or came late"
    expected = FAMILY["technical"].compute({"bars": revised}, TradingConfig())
    assert_frame_equal(run.warehouse.read(TECHNICAL), expected, check_exact=True)


def test_another_configuration_code_or_library_computes_all(run, all_bars, monkeypatch):
    sessions = all_bars["ts"].unique().sort()
    run(all_bars.filter(pl.col("ts") < sessions[-3]))
    other = TradingConfig(features={"correlation_window_sessions": 90})
    two = all_bars.filter(pl.col("ts") < sessions[-2])
    assert run(two, other) == "full: configuration changed"
    monkeypatch.setattr("btq_assets.warehouse.execution.code_version", lambda modules: "another")
    assert run(all_bars.filter(pl.col("ts") < sessions[-1]), other) == "full: code changed"
    versions = "btq_assets.warehouse.versions.library_versions"
    monkeypatch.setattr(versions, lambda: {"polars": "another"})
    assert run(all_bars, other) == "full: contracts or libraries changed"


def test_rows_taken_from_the_table_behind_the_books_are_noticed(run, all_bars):
    sessions = all_bars["ts"].unique().sort()
    run(all_bars.filter(pl.col("ts") < sessions[-1]))
    with run.warehouse.transaction() as connection:
        connection.execute("DELETE FROM features.technical WHERE symbol = 'S01'")
    assert run(all_bars) == "full: the stored rows are not those that were committed"
