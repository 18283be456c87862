"""Features of one's own: a line of configuration, and the house's gates."""

from __future__ import annotations

import sys
import textwrap

import dagster as dg
import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts import core
from btq_assets.definitions import build_definitions
from btq_assets.features import FeatureError, QuantumFeatureEngine
from btq_assets.features.assets import custom_assets
from btq_assets.features.catalogue import catalogue
from btq_assets.features.custom import _read, custom_family
from btq_assets.warehouse import TableOutput, Warehouse, table_asset
from btq_assets.warehouse.paths import DataPaths
from btq_assets.warehouse.resources import ConfigResource, DeviceResource, WarehouseResource

HONEST = """
    import polars as pl
    from btq_assets.features import Feature

    FEATURES = (
        Feature("own_gap", "custom", "adj_open / p[t-1] - 1", "own definition", "fraction", 1,
                ("adj_open", "adj_close"),
                expression=pl.col("adj_open") / pl.col("adj_close").shift(1) - 1),
        Feature("own_trend", "custom", "p / mean10(p) - 1", "own definition", "fraction", 9,
                ("adj_close",), expression=pl.col("_p") / pl.col("_p").rolling_mean(10) - 1),
    )
"""
LEAKING = HONEST.replace("pl.col(\"_p\") / pl.col(\"_p\")", "pl.col(\"_p\").shift(-1) / pl.col(\"_p\")")  # fmt: skip


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module of a user, and gives its name."""
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    (tmp_path / "code").mkdir()

    def write(text: str, name: str) -> TradingConfig:
        (tmp_path / "code" / f"{name}.py").write_text(textwrap.dedent(text))
        return TradingConfig(features={"custom_modules": [name]})

    yield write
    _read.cache_clear()
    for name in [n for n in sys.modules if n.startswith("a_users_")]:
        del sys.modules[name]


@pytest.fixture
def bars(pytestconfig) -> pl.DataFrame:
    shared = str(pytestconfig.rootpath / "tests" / "conftest.py")
    plugins = pytestconfig.pluginmanager.get_plugins()
    make = next(p for p in plugins if getattr(p, "__file__", None) == shared).make_bars
    return make(3, 300, universe="us20", seed=9)


def _run(config, bars, path, **options):
    @table_asset(outputs=(core.BARS_1D,), source_version=lambda _: "1")
    def stored_bars(step) -> TableOutput:
        """Bars as they are given."""
        return TableOutput(bars)

    return dg.materialize(
        [asset.definition(config) for asset in (stored_bars, *custom_assets(config))],
        resources={
            "trading": ConfigResource.of(config),
            "warehouse": WarehouseResource(path=str(path), lock_timeout_s=5),
            "device": DeviceResource(device="cpu"),
        },
        **options,
    )


def test_expressions_of_a_users_module_become_a_checked_table(module, bars, tmp_path):
    config = module(HONEST, "a_users_features")
    result = _run(config, bars, tmp_path / "data")
    family = custom_family(config)
    stored = Warehouse(DataPaths(tmp_path / "data"), 5).read(family.contract)
    assert stored.columns == ["universe", "symbol", "ts", "own_gap", "own_trend"]
    assert stored.height == bars.height
    first = bars.filter(symbol="S01").sort("ts")
    gap = first["adj_open"][7] / first["adj_close"][6] - 1  # the formula, by hand
    assert stored.filter(symbol="S01")["own_gap"][7] == pytest.approx(gap, rel=1e-14)
    checks = {c.check_name: c.passed for c in result.get_asset_check_evaluations()}
    assert checks["truncation"]
    assert checks["present"]
    assert len(checks) > 5  # the suite


def test_a_leaking_expression_is_refused_before_it_is_stored(module, bars, tmp_path):
    config = module(LEAKING, "a_users_leak")
    result = _run(config, bars, tmp_path / "data", raise_on_error=False)
    assert not result.success
    failed = {c.check_name for c in result.get_asset_check_evaluations() if not c.passed}
    assert "truncation" in failed
    stored = Warehouse(DataPaths(tmp_path / "data"), 5).read_or_empty(
        custom_family(config).contract
    )
    assert stored.is_empty()


def test_the_catalogue_the_graph_and_the_engine_know_them(module, bars):
    config = module(HONEST, "a_users_more")
    rows = catalogue(config).filter(family="custom")
    assert rows["name"].to_list() == ["own_gap", "own_trend"]
    assert rows["enabled"].all()
    assert catalogue(TradingConfig()).filter(family="custom").is_empty()
    found = QuantumFeatureEngine(config).engineer_features(
        bars.select("symbol", "ts", "open", "high", "low", "close", "volume")
    )
    assert found["own_trend"].drop_nulls().len() > 0
    own, panel, judged = (
        dg.AssetKey(["features", name]) for name in ("custom", "panel", "quality")
    )
    graph = build_definitions(config).resolve_asset_graph()
    assert own in graph.materializable_asset_keys
    # The panel and the judgement of all features wait for them.
    assert own in graph.get(panel).parent_keys
    assert own in graph.get(judged).parent_keys
    without = build_definitions(TradingConfig()).resolve_asset_graph()
    assert own not in without.materializable_asset_keys
    assert own not in without.get(judged).parent_keys


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("X = 1", "offers no FEATURES"),
        ("FEATURES = (1,)", "holds int, not Feature"),
        (HONEST.replace("own_gap", "rsi_14"), "taken by technical"),
        (HONEST.replace("own_gap", "own_trend"), "taken by a_users_"),
        (HONEST.replace("own_gap", "Own Gap"), "small letters"),
        (HONEST.replace('expression=pl.col("_p") / pl.col("_p").rolling_mean(10) - 1', ""), "no expression"),
        ("import a_users_missing_package", "no module 'a_users_missing_package'"),
    ],
)  # fmt: skip
def test_modules_that_do_not_fit_are_named(text, message, module):
    name = f"a_users_{abs(hash(message))}"
    with pytest.raises(FeatureError, match=message):
        custom_family(module(text, name))


def test_a_name_that_is_no_module_is_refused_by_the_configuration():
    with pytest.raises(ValueError, match="custom_modules"):
        TradingConfig(features={"custom_modules": ["../evil.py"]})
