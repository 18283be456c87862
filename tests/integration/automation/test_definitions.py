"""The code location: what is in it, what loading it costs, and that every asset is complete."""

from __future__ import annotations

import subprocess
import sys

import dagster as dg
import pytest

from btq_assets.automation import jobs
from btq_assets.config import TradingConfig
from btq_assets.definitions import build_definitions, declared_assets
from btq_assets.models.catalogue import DEEP, FAMILIES
from btq_assets.warehouse.published_asset import PUBLISHED_KEY

#: Steps of the job `comparison`, by their first table.
COMPARISON = {
    *(f"models/{kind}_{name}" for kind in ("compared", "ablated") for name in FAMILIES),
    "backtest/comparison_returns",
    *(f"models/comparison{part}" for part in ("", "_ablations", "_decay", "_pairs", "_seeds")),
}

HEAVY = (
    "torch",
    "torch_geometric",
    "sklearn",
    "great_expectations",
    "statsmodels",
    "stable_baselines3",
    "lightgbm",
    "skfolio",
    "matplotlib",
    "plotly",
    "numba",
    "scipy",
    "ray",
    "yfinance",
    "exchange_calendars",
)


#: Tables of the job `ensembles`.
ENSEMBLES = {
    "models/ensemble_weights",
    "models/forecast_distributions",
    "models/intervals",
    "models/validation_forecasts",
    *(f"models/forecasts_ensemble_{rule}" for rule in ("gated", "stacked", "voting", "weighted")),
}


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions(TradingConfig())


def test_loading_the_code_location_imports_nothing_heavy():
    code = (
        "import sys; import btq_assets.definitions; "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_jobs_are_those_of_the_design(definitions):
    names = {
        job.name for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")
    }
    assert names == {
        "research",
        "ingest",
        "features",
        "train",
        "backtest",
        "risk",
        "controls",
        "controls_deep",
        "networks",
        "ensembles",
        "search",
        "comparison",
        "reproduce",
        "train_gpu",
    }


def test_research_covers_every_table_but_the_controls_in_at_most_65_steps(definitions):
    research = definitions.resolve_job_def("research")
    graph = definitions.resolve_asset_graph()
    apart = {key for key in graph.executable_asset_keys if graph.get(key).group_name in jobs.APART}
    assert {key.to_user_string() for key in apart} == {
        "evidence/controls",
        "evidence/controls_deep",
        "backtest/sensitivity",
        "models/forecasts_ft_transformer",
        "models/forecasts_gat",
        "models/forecasts_hetero_gnn",
        "models/forecasts_lstm",
        "models/forecasts_mlp",
        "models/forecasts_tgn",
        "models/forecasts_xlstm",
        *ENSEMBLES,
        "models/search_trials",
        "models/explanations_networks",
        "models/importance_networks",
        *COMPARISON,
    }
    assert research.asset_layer.executable_asset_keys == graph.executable_asset_keys - apart
    own = {"controls": {"evidence/controls", "backtest/sensitivity"}}
    own["controls_deep"] = {"evidence/controls_deep"}
    own["networks"] = {f"models/forecasts_{name}" for name in DEEP if name != "transformer_gnn"}
    own["networks"] |= {"models/explanations_networks", "models/importance_networks"}
    own["comparison"] = COMPARISON
    own["ensembles"] = ENSEMBLES
    own["search"] = {"models/search_trials"}
    for name, tables in own.items():
        made = definitions.resolve_job_def(name).asset_layer.executable_asset_keys - {PUBLISHED_KEY}
        assert {key.to_user_string() for key in made} == tables
    assert len(research.nodes) <= 65


def test_every_job_ends_with_publishing_everything_before_it(definitions):
    graph = definitions.resolve_asset_graph()
    tables = graph.executable_asset_keys - {PUBLISHED_KEY}
    assert graph.get(PUBLISHED_KEY).parent_keys == tables
    for job in definitions.resolve_all_job_defs():
        # A job without assets writes a ledger alone, which the next publishing shows.
        if not job.name.startswith("__") and job.name != "reproduce":
            assert PUBLISHED_KEY in job.asset_layer.executable_asset_keys


def test_every_table_is_described_owned_grouped_and_guarded(definitions):
    graph = definitions.resolve_asset_graph()
    for key in graph.executable_asset_keys - {PUBLISHED_KEY}:
        node = graph.get(key)
        where = key.to_user_string()
        assert node.description, where
        assert node.group_name not in (None, "default"), where
        if key.path[0] == "staging":
            continue
        assert node.kinds, where
        assert node.owners or key.path[0] in {"core", "mart"}, where
        checks = [graph.get(check) for check in node.check_keys]
        assert checks, where
        assert any(check.blocking for check in checks) or key.path[0] in {"core", "mart"}, where


def test_table_assets_show_their_columns(definitions):
    graph = definitions.resolve_asset_graph()
    for asset in declared_assets():
        for contract in asset.outputs:
            key = dg.AssetKey(list(contract.asset_key))
            if not graph.has(key):
                continue
            schema = graph.get(key).metadata["dagster/column_schema"]
            assert [column.name for column in schema.columns] == list(contract.column_names)


def test_one_table_has_one_writer():
    tables = [contract.table for asset in declared_assets() for contract in asset.outputs]
    assert len(tables) == len(set(tables))


def test_disabled_sources_are_absent_and_enabled_ones_present(definitions):
    folder, yahoo = dg.AssetKey(["raw", "bars_folder"]), dg.AssetKey(["raw", "bars_yahoo"])
    assert folder not in definitions.resolve_asset_graph().executable_asset_keys
    with_both = build_definitions(
        TradingConfig(sources={"folder": {"enabled": True}, "yahoo": {"enabled": True}})
    )
    graph = with_both.resolve_asset_graph()
    assert folder in graph.executable_asset_keys
    assert graph.get(yahoo).partitions_def.get_partition_keys()[0] == "2020-01-01"
    research = with_both.resolve_job_def("research")
    assert yahoo not in research.asset_layer.executable_asset_keys
    assert with_both.resolve_job_def("ingest_yahoo").partitions_def is not None


def test_overrides_replace_resources_and_executor():
    from btq_assets.warehouse.resources import WarehouseResource

    elsewhere = WarehouseResource(path="elsewhere")
    made = build_definitions(
        TradingConfig(), resources={"warehouse": elsewhere}, executor=dg.multiprocess_executor
    )
    assert made.resources["warehouse"] is elsewhere
    assert made.executor is dg.multiprocess_executor


def test_deep_training_waits_in_the_gpu_pool():
    pools = {asset.name: asset.pool for asset in declared_assets()}
    assert pools["models__forecasts_transformer_gnn"] == "gpu"
    assert pools["models__forecasts_ridge"] is None
