"""dbt layers as Dagster steps: built once, re-used when nothing they read changed."""

from __future__ import annotations

import shutil

import dagster as dg
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts import all_contracts, house
from btq_assets.definitions import dbt_layers
from btq_assets.warehouse.database import Warehouse
from btq_assets.warehouse.dbt_layer import dbt_resource
from btq_assets.warehouse.paths import DataPaths
from btq_assets.warehouse.resources import ConfigResource, WarehouseResource


@pytest.fixture
def run(tmp_path, warehouse, monkeypatch):
    """Both layers over a copy of the tiny warehouse, whatever is configured outside."""
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "target"))
    monkeypatch.setenv("DBT_LOG_PATH", str(tmp_path / "logs"))
    paths = DataPaths(tmp_path)
    paths.working_file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(warehouse.file, paths.working_file)

    def execute(raise_on_error: bool = True, layers=()):
        config = TradingConfig()
        return dg.materialize(
            [layer.definition() for layer in layers or dbt_layers()],
            resources={
                "trading": ConfigResource.of(config),
                "warehouse": WarehouseResource(path=str(tmp_path), lock_timeout_s=5),
                "dbt": dbt_resource(),
            },
            raise_on_error=raise_on_error,
        )

    execute.warehouse = Warehouse(paths, 5)
    return execute


def reused(result) -> dict[str, bool]:
    return {
        event.materialization.asset_key.to_user_string(): "reused" in event.materialization.metadata
        for event in result.get_asset_materialization_events()
    }


def books(run) -> dict[str, str]:
    frame = run.warehouse.read(house.PROVENANCE)
    return dict(zip(frame["table_name"], frame["data_version"], strict=True))


def test_second_run_reuses_both_layers_and_a_changed_bar_rebuilds_them(run, capsys):
    first = run()
    built = reused(first)
    assert not any(built.values())
    assert {"core/bars_1d", "mart/leaderboard", "staging/stg_bars_sample"} <= set(built)
    quiet = capsys.readouterr().out
    assert "START test" not in quiet, "dbt's own lines are for its log and for failures"
    assert "dbt_core (dbt)" in quiet + capsys.readouterr().err
    versions = books(run)

    second = run()
    assert reused(second) == dict.fromkeys(built, True)
    told = {(c.asset_key, c.check_name): c.passed for c in first.get_asset_check_evaluations()}
    again = {(c.asset_key, c.check_name): c.passed for c in second.get_asset_check_evaluations()}
    assert again == told
    assert books(run) == versions

    with run.warehouse.transaction() as connection:
        connection.execute(
            "update raw.bars_sample set adj_close = adj_close * 1.01 "
            "where symbol = 'A' and ts = (select max(ts) from raw.bars_sample)"
        )
    third = reused(run())
    assert not third["core/bars_1d"]
    assert books(run)["core.bars_1d"] != versions["core.bars_1d"]


def test_failed_dbt_test_stores_nothing_in_the_books_and_says_what_dbt_said(run, capsys):
    run()
    versions = books(run)
    capsys.readouterr()
    with run.warehouse.transaction() as connection:
        connection.execute(
            "update raw.universe_membership set universe = 'us20' where universe = 'us_ohlcv'"
        )
    result = run(raise_on_error=False)
    assert not result.success
    assert "bars_1d_unique_key" in capsys.readouterr().out
    assert books(run) == versions


def test_inputs_of_a_layer_are_what_its_sql_reads():
    core, mart = dbt_layers()
    raw_tables = {contract.table for contract in all_contracts() if contract.layer == "raw"}
    of_core = {contract.table for contract in core.inputs}
    # Streams, funding and the books of the folder stay in raw so far.
    assert of_core - raw_tables == {"quality.repairs"}
    assert {"raw.bars_sample", "raw.bars_folder", "raw.universe_membership"} <= of_core
    read = {contract.table for contract in mart.inputs}
    # data_health counts the rows of these; the leaderboard joins those.
    assert {"features.technical", "regimes.states", "quarantine.rows", "core.bars_1d"} <= read
    assert {"backtest.equity", "evidence.deflated_sharpe", "models.registry"} <= read
    assert not {table for table in read if table.split(".")[0] in ("report", "house", "mart")}


def test_views_of_ticks_are_there_where_a_source_of_ticks_is_on(run):
    assert [layer.name for layer in dbt_layers({"raw.bars_sample"})] == ["dbt_core", "dbt_mart"]
    core, ticks, _ = dbt_layers({"raw.quotes_stream"})
    assert [contract.name for contract in ticks.outputs] == [
        "book_changes", "book_depth", "quotes", "trade_bars_1m", "trades",
    ]  # fmt: skip
    assert not {c.table for c in core.outputs} & {c.table for c in ticks.outputs}
    assert {"raw.trades_stream", "raw.book_stream", "raw.stream_gaps"} <= {
        contract.table for contract in ticks.inputs
    }
    # While nothing was on, the marts' step made an empty table of the name.
    with run.warehouse.transaction() as connection:
        connection.execute("drop view core.trades")
        connection.execute(next(c for c in ticks.outputs if c.name == "trades").ddl())
    first = run(layers=[ticks])
    assert not any(reused(first).values())
    checks = {c.check_name: c.passed for c in first.get_asset_check_evaluations()}
    assert checks["trades_keep_every_trade"]
    assert run.warehouse.query("select count(*) as n from core.trades")["n"].item() == 6
    assert dict(run.warehouse.read(house.PROVENANCE).select("table_name", "n_rows").iter_rows())[
        "core.trades"
    ] == 6  # fmt: skip
    assert all(reused(run(layers=[ticks])).values())
