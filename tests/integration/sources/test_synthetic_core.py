"""The generated market alone, through the real dbt core: it arrives whole, and in its own universe."""

from __future__ import annotations

import dagster as dg
import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts import core, core_alternative, core_ticks, raw
from btq_assets.contracts.base import TableContract
from btq_assets.definitions import dbt_layers
from btq_assets.features import assets as feature_assets
from btq_assets.sources.market.assets import bars_by_timeframe, universe_membership
from btq_assets.sources.repairs.assets import repairs
from btq_assets.sources.synthetic import assets
from btq_assets.warehouse import Step, table_assets_of
from btq_assets.warehouse.dbt_layer import dbt_resource

N_SYMBOLS, N_SESSIONS = 2, 3
CONFIG = TradingConfig(
    universe={"main": "synthetic"},
    sources={
        "sample": {"enabled": False},
        "folder": {"enabled": False},
        "synthetic": {
            "enabled": True,
            "n_symbols": N_SYMBOLS,
            "n_sessions": N_SESSIONS,
            "tick_minutes": 3,
            "option_sessions": 1,
        },
    },
)


@pytest.mark.slow
def test_generated_rows_of_every_kind_reach_core_and_daily_bars_are_made_of_sessions(
    run, tmp_path, monkeypatch
):
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "target"))
    monkeypatch.setenv("DBT_LOG_PATH", str(tmp_path / "logs"))
    tables = [*table_assets_of(assets), universe_membership, repairs, bars_by_timeframe]
    layers = dbt_layers({contract.table for asset in tables for contract in asset.outputs})[:-1]
    assert [layer.name for layer in layers] == ["dbt_core", "dbt_ticks"]
    result = dg.materialize(
        [
            *(asset.definition(CONFIG) for asset in tables),
            *(layer.definition() for layer in layers),
        ],
        resources={**run.resources(CONFIG), "dbt": dbt_resource()},
    )
    assert result.success

    def stored(contract: TableContract) -> pl.DataFrame:
        return run.warehouse.read(contract)

    daily, minutes = stored(core.BARS_1D), stored(core.BARS_1M)
    assert set(daily["universe"]) == set(minutes["universe"]) == {"synthetic"}
    assert minutes.height == N_SYMBOLS * N_SESSIONS * 390
    assert stored(core.BARS_5M).height == N_SYMBOLS * N_SESSIONS * 390 // 5
    made = (
        minutes.sort("symbol", "ts")
        .group_by("symbol", pl.col("ts").dt.date().alias("session"), maintain_order=True)
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum(),
        )
    )
    assert daily.height == N_SYMBOLS * N_SESSIONS
    assert daily.select(made.columns).equals(made)
    assert (daily["adj_close"] == daily["close"]).all()

    kinds = {
        core_alternative.OPTION_QUOTES: raw.OPTION_QUOTES_SYNTHETIC,
        core_alternative.ONCHAIN_METRICS: raw.ONCHAIN_SYNTHETIC,
        core.DOCUMENTS: raw.DOCUMENTS_SYNTHETIC,
    }
    for shown, came in kinds.items():
        rows = stored(shown)
        assert rows.height == stored(came).height > 0, shown.table
        assert rows["source"].unique().to_list() == ["synthetic"]
    assert stored(core.DOCUMENTS)["label"].unique().to_list() == ["SYNTHETIC"]
    ticks = {
        core_ticks.TRADES: raw.TRADES_SYNTHETIC,
        core_ticks.QUOTES: raw.QUOTES_SYNTHETIC,
        core_ticks.BOOK_CHANGES: raw.BOOK_SYNTHETIC,
    }
    for shown, came in ticks.items():
        rows = stored(shown)
        assert rows.height == stored(came).height > 0, shown.table
        assert set(rows.select("universe", "source").iter_rows()) == {("synthetic", "synthetic")}
    levels = stored(core_ticks.BOOK_DEPTH)["level"]
    assert (levels.min(), levels.max()) == (1, core_ticks.DEPTH_LEVELS)


def test_features_leave_the_generated_universe_alone_unless_it_is_named(make_bars_function, step):
    real = make_bars_function(2, 60, universe="us20")
    generated = make_bars_function(2, 60, universe="synthetic", seed=1)
    both = pl.concat([real, generated])
    (technical,) = [
        asset
        for asset in table_assets_of(feature_assets)
        if asset.outputs[0].table == "features.technical"
    ]

    def universes(config: TradingConfig, bars: pl.DataFrame) -> set[str]:
        frame = technical.compute(step(config), bars=bars).frames
        assert isinstance(frame, pl.DataFrame)
        return set(frame["universe"])

    named = TradingConfig(universe={"main": "synthetic"})
    assert universes(TradingConfig(), both) == {"us20"}
    assert universes(named, both) == {"us20", "synthetic"}
    # Naming it makes every family anew: a stored one would lack the rows.
    for asset in table_assets_of(feature_assets):
        if core.BARS_1D in asset.inputs.values():
            marks = [config.fingerprint(asset.config) for config in (TradingConfig(), named)]
            assert marks[0] != marks[1], asset.name


@pytest.fixture
def step(tmp_path):
    import datetime as dt

    from btq_assets.warehouse.artifacts import ArtifactStore
    from btq_assets.warehouse.paths import DataPaths

    def made(config: TradingConfig) -> Step:
        return Step(
            config=config,
            run_id="test",
            now=dt.datetime(2024, 3, 1, tzinfo=dt.UTC),
            log=lambda message: None,
            code_version="test",
            data_versions={},
            read_ledger=lambda contract, *_, **__: contract.empty(),
            artifacts=ArtifactStore(DataPaths(tmp_path)),
        )

    return made
