"""The generated market as an asset: opt-in, labelled, a function of its configuration."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import polars as pl

import btq_assets
from btq_assets.config import TradingConfig
from btq_assets.config.sections import WarehouseSection
from btq_assets.contracts import quarantine, raw
from btq_assets.contracts.base import TableContract
from btq_assets.contracts.checks import CheckContext
from btq_assets.definitions import build_definitions
from btq_assets.sources.market.assets import universe_membership
from btq_assets.sources.synthetic import assets
from btq_assets.sources.synthetic.assets import bars_synthetic
from btq_assets.sources.synthetic.checks import CHECKS
from btq_assets.warehouse import table_assets_of


def configured(**settings) -> TradingConfig:
    section = {"enabled": True, "n_symbols": 2, "n_sessions": 3, **settings}
    return TradingConfig(sources={"synthetic": section})


def test_generated_bars_are_stored_and_another_seed_replaces_them(run):
    assert run(bars_synthetic, config=configured()).success
    first = run.warehouse.read(raw.BARS_SYNTHETIC)
    assert first.height == 2 * 3 * (390 + 1)  # minutes, and a daily bar
    assert first["dataset"].str.starts_with("SYNTHETIC").all()
    assert run(bars_synthetic, config=configured(seed=8)).success
    second = run.warehouse.read(raw.BARS_SYNTHETIC)
    assert second.height == first.height
    assert not second["close"].equals(first["close"])


def test_planted_faults_that_are_impossible_go_to_quarantine(run):
    config = configured(n_sessions=6, bad_ticks_of_each_kind=2, outage_minutes=30)
    assert run(bars_synthetic, config=config).success
    stored = run.warehouse.read(raw.BARS_SYNTHETIC)
    refused = run.warehouse.read(quarantine.ROWS)
    # Two zero bars and both copies of two doubled ones; an outage of 30 minutes for two symbols.
    assert refused.height == 2 + 4
    minutes = stored.filter(freq="1m")
    assert minutes.height == 2 * 6 * 390 - 2 * 30 - 2 - 2
    assert stored.height == minutes.height + 2 * 6


def test_each_kind_is_an_asset_only_while_it_is_asked_for():
    def made(config: TradingConfig) -> set[str]:
        keys = build_definitions(config).resolve_asset_graph().executable_asset_keys
        return {
            key.path[-1] for key in keys if key.path[0] == "raw" and "synthetic" in key.path[-1]
        }

    assert made(TradingConfig()) == set()
    kinds = {
        kind: {contract.name for contract in contracts}
        for kind, contracts in raw.SYNTHETIC_KINDS.items()
    }
    all_kinds = made(configured())
    assert all_kinds == {"synthetic_truth", *set().union(*kinds.values())}
    for kind, names in kinds.items():
        without = made(configured(**{kind: False}))
        assert without == all_kinds - names, kind


def test_all_kinds_are_stored_alike_again_and_reused_when_asked_again(run):
    config = configured(tick_minutes=5, option_sessions=2, news_drift_bps=20)
    everything = table_assets_of(assets)
    assert len(everything) == 6
    first = run(*everything, config=config)
    assert first.success
    tables = [contract for asset in everything for contract in asset.outputs]
    stored = {contract.table: run.warehouse.read(contract) for contract in tables}
    for table, frame in stored.items():
        assert frame.height, table
        assert frame["dataset"].str.starts_with("SYNTHETIC").all(), table
    assert stored[raw.TRADES_SYNTHETIC.table]["via"].unique().to_list() == ["generated"]
    told = run(*everything, config=config).get_asset_materialization_events()
    assert all("reused" in event.materialization.metadata for event in told)
    forced = config.model_copy(update={"warehouse": WarehouseSection(force_recompute=True)})
    assert run(*everything, config=forced).success
    for contract in tables:
        assert run.warehouse.read(contract).equals(stored[contract.table]), contract.table


def test_rows_without_the_word_are_refused(run):
    def answers(contract: TableContract, frame: pl.DataFrame) -> dict[str, bool]:
        context = CheckContext({contract.table: frame}, {}, None)
        return {o.name: o.passed for group in CHECKS for o in group.answer(context)}

    frame = raw.BARS_SYNTHETIC.empty()
    assert answers(raw.BARS_SYNTHETIC, frame) == {
        "labelled_synthetic": True,
        "something_came": False,
    }
    row = frame.clear(1).with_columns(dataset=pl.lit("yahoo"))
    assert not answers(raw.BARS_SYNTHETIC, row)["labelled_synthetic"]
    news = raw.DOCUMENTS_SYNTHETIC.empty().clear(1)
    said = {"dataset": "SYNTHETIC_market", "label": "SYNTHETIC", "headline": "SYNTHETIC: news"}
    good = news.with_columns(**{name: pl.lit(text) for name, text in said.items()})
    assert answers(raw.DOCUMENTS_SYNTHETIC, good)["labelled_synthetic"]
    for name in said:
        bad = good.with_columns(pl.lit("news").alias(name))
        assert not answers(raw.DOCUMENTS_SYNTHETIC, bad)["labelled_synthetic"], name


def test_the_universe_is_its_own_and_nobody_else_may_enter(run):
    alone = {"sample": {"enabled": False}, "folder": {"enabled": False}}
    generated = {"synthetic": {"enabled": True, "n_symbols": 2, "n_sessions": 3}}
    config = TradingConfig(universe={"main": "synthetic"}, sources={**alone, **generated})
    assert run(universe_membership, config=config).success
    members = run.warehouse.read(raw.UNIVERSE_MEMBERSHIP)
    assert members.select("universe", "symbol", "source", "dataset").rows() == [
        ("synthetic", "SYN001", "synthetic", "SYNTHETIC_market"),
        ("synthetic", "SYN002", "synthetic", "SYNTHETIC_market"),
    ]
    assert members["caveat"].str.starts_with("SYNTHETIC").all()
    real = {"ecb": {"enabled": True, "symbols": ["USD"], "universe": "synthetic"}}
    mixed = TradingConfig(universe={"main": "synthetic"}, sources={**alone, **generated, **real})
    result = run(universe_membership, config=mixed, raise_on_error=False)
    assert not result.success
    assert "generated_apart" in str(result.all_node_events)
    assert run.warehouse.read(raw.UNIVERSE_MEMBERSHIP).height == 2


def test_no_feature_model_or_backtest_lies_downstream_of_the_truth():
    graph = build_definitions(configured()).resolve_asset_graph()
    found, waiting = set(), [dg.AssetKey(["raw", "synthetic_truth"])]
    while waiting:
        children = graph.get(waiting.pop()).child_keys - found
        found |= children
        waiting += children
    # The health page counts its rows, and everything is published.
    assert {"/".join(key.path[:1]) for key in found} <= {"mart", "report", "published"}
    assert dg.AssetKey(["mart", "data_health"]) in found
    package = Path(btq_assets.__file__).parent
    readers = {
        path.relative_to(package).parts[:2]
        for path in package.rglob("*.py")
        if "SYNTHETIC_TRUTH" in path.read_text()
    }
    # Declared, written, and listed among the tables that are on or off.
    assert readers == {("contracts", "raw"), ("sources", "synthetic"), ("sources", "repairs")}
    models = (package.parent / "dbt_project" / "models").rglob("*.sql")
    assert not [path.name for path in models if "synthetic_truth" in path.read_text()]
