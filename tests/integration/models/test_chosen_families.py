"""The families a configuration names feed the models, from their tables to the report on features."""

from __future__ import annotations

import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import jinja2
import polars as pl
import pytest

from btq_assets.config import ConfigError, TradingConfig, feature_families
from btq_assets.contracts import core, features, models, regimes
from btq_assets.definitions import configured_assets
from btq_assets.features.custom import _read, custom_family
from btq_assets.features.families import FAMILY
from btq_assets.models import chosen, summary
from btq_assets.models.forecaster import MismatchError, MissingFeatureError, ModelError
from btq_assets.models.plans import deep_plan, lightgbm_plan, ridge_plan
from btq_assets.models.walk_forward import fit_fold
from btq_assets.warehouse import TableOutput, Warehouse, table_asset
from btq_assets.warehouse.paths import DataPaths
from btq_assets.warehouse.resources import ConfigResource, DeviceResource, WarehouseResource

OWN = """
    import polars as pl
    from btq_assets.features import Feature

    FEATURES = (
        Feature("own_body", "custom", "adj_close / adj_open - 1", "own definition", "fraction", 0,
                ("adj_open", "adj_close"),
                expression=pl.col("adj_close") / pl.col("adj_open") - 1),
    )
"""


def configuration(*families: str, **of_features: Any) -> TradingConfig:
    return TradingConfig(
        universe={"main": "test"},
        features={"correlation_window_sessions": 40, "truncation_dates": 1, **of_features},
        models={
            "feature_families": families,
            "walk_forward": {
                "first_test": "2011-06-01",
                "test_months": 3,
                "max_folds": 1,
                "train_years": 1,
                "validation_months": 3,
            },
            "lightgbm": {"min_child_samples": 20, "n_estimators": 40},
        },
    )


@pytest.fixture(scope="module")
def bars(pytestconfig: pytest.Config) -> pl.DataFrame:
    plugins = pytestconfig.pluginmanager.get_plugins()
    shared = next(
        p for p in plugins if str(getattr(p, "__file__", "")).endswith("tests/conftest.py")
    )
    return shared.make_bars(n_symbols=5, n_sessions=460)


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A user's module with one feature; gives its name."""
    (tmp_path / "a_models_users_features.py").write_text(textwrap.dedent(OWN))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "a_models_users_features"
    _read.cache_clear()
    sys.modules.pop("a_models_users_features", None)


def _stored(contract: Any, frame: pl.DataFrame, version: str) -> Any:
    @table_asset(outputs=(contract,), source_version=lambda _: version)
    def given(step) -> TableOutput:
        """Rows as they are given."""
        return TableOutput(frame)

    return given


_FITS = ("models.training_set", "models.forecasts_ridge", "models.forecasts_lightgbm")
_REPORTED = (*_FITS, "features.quality", "features.catalogue")


def _run(
    config: TradingConfig,
    tables: dict[Any, pl.DataFrame],
    folder: Path,
    version: str,
    wanted: tuple[str, ...] = _REPORTED,
) -> Warehouse:
    assets = [_stored(contract, frame, version) for contract, frame in tables.items()]
    assets += [a for a in configured_assets(config) if a.outputs[0].table in wanted]
    result = dg.materialize(
        [asset.definition(config) for asset in assets],
        resources={
            "trading": ConfigResource.of(config),
            "warehouse": WarehouseResource(path=str(folder), lock_timeout_s=5),
            "device": DeviceResource(device="cpu"),
        },
    )
    assert result.success
    return Warehouse(DataPaths(folder), 5)


def _report(folder: Path) -> pl.DataFrame:
    """Rows of ``mart.feature_report``, by its own SQL."""
    root = Path(__file__).parents[3]
    text = (root / "dbt_project" / "models" / "mart" / "feature_report.sql").read_text()
    sql = jinja2.Template(text).render(source=lambda layer, name: f"{layer}.{name}")
    with duckdb.connect(str(DataPaths(folder).working_file), read_only=True) as connection:
        return connection.execute(sql).pl()


def _tables(config: TradingConfig, bars: pl.DataFrame) -> dict[Any, pl.DataFrame]:
    found = {core.BARS_1D: bars, regimes.STATES: regimes.STATES.empty()}
    for family in chosen.chosen_families(config):
        found[family.contract] = family.compute({"bars": bars}, config)
    return found


@pytest.mark.slow
def test_alpha158_feeds_ridge_and_lightgbm_and_stands_in_the_report(bars, tmp_path):
    """Chosen, it is in the training set, in the fits, in the report; changed, forecasts change."""
    config = configuration("technical", "alpha158")
    tables, folder = _tables(config, bars), tmp_path / "data"
    warehouse = _run(config, tables, folder, "1")
    names = features.feature_names("alpha158")
    table = warehouse.read(chosen.training_set_table(config))
    assert set(names) <= set(table.columns)
    assert "oscillator_energy" not in table.columns
    compared = table.select("symbol", "ts", "alpha158_roc_20").join(
        tables[features.ALPHA158].select("symbol", "ts", again="alpha158_roc_20"),
        on=["symbol", "ts"],
    )
    assert compared["alpha158_roc_20"].equals(compared["again"])
    report = _report(folder).filter(family="alpha158")
    assert set(report["feature"]) == set(names)
    leaned_on = report.filter(pl.col("n_fits") > 0)
    assert leaned_on.height > 140  # all but those without a value: no VWAP is in any source
    assert leaned_on["importance_ridge"].min() > 0
    assert leaned_on["importance_lightgbm"].max() > 0
    assert _report(folder).filter(family="technical")["importance_ridge"].count() > 0

    before = {c: warehouse.read(c) for c in (models.FORECASTS_RIDGE, models.FORECASTS_LIGHTGBM)}
    other = pl.col("alpha158_roc_20").reverse().over("symbol")
    tables[features.ALPHA158] = tables[features.ALPHA158].with_columns(alpha158_roc_20=other)
    _run(config, tables, folder, "2", _FITS)
    for contract, frame in before.items():
        after = warehouse.read(contract)
        assert after.select("symbol", "ts", "variant").equals(
            frame.select("symbol", "ts", "variant")
        )
        assert not after["forecast"].equals(frame["forecast"])

    # Another choice is another table: nothing is re-used, nothing of the old one is left.
    fewer = configuration("technical")
    _run(fewer, tables, folder, "2", _FITS[:2])
    columns = warehouse.read(chosen.training_set_table(fewer)).columns
    assert not set(names) & set(columns)
    ridge = warehouse.read(models.FORECASTS_RIDGE)
    assert not ridge["forecast"].equals(before[models.FORECASTS_RIDGE]["forecast"])


@pytest.mark.slow
def test_a_users_features_feed_the_models(bars, own_module, tmp_path):
    config = configuration("volatility", "custom", custom_modules=(own_module,))
    folder = tmp_path / "data"
    warehouse = _run(config, _tables(config, bars), folder, "1")
    assert "own_body" in warehouse.read(chosen.training_set_table(config)).columns
    (row,) = _report(folder).filter(feature="own_body").to_dicts()
    assert row["family"] == "custom"
    assert row["importance_ridge"] > 0
    for table in ("models.training_set", "features.quality"):
        (asset,) = [a for a in configured_assets(config) if a.outputs[0].table == table]
        assert asset.inputs["custom"].column_names == custom_family(config).contract.column_names


def _fit(config: TradingConfig, bars: pl.DataFrame, plan: Any, **changed: Any) -> Any:
    from btq_assets.models.folds import splits
    from btq_assets.models.training_set import build

    tables = {
        contract.name: changed.get(contract.name, lambda frame: frame)(frame)
        for contract, frame in _tables(config, bars).items()
    }
    frame = build(bars, tables, regimes.STATES.empty(), config)
    fold = splits(frame, config).row(0, named=True)
    return fit_fold(frame, fold, plan, "base", 0, data_hash="d"), frame


@pytest.mark.parametrize("plan", [ridge_plan, lightgbm_plan])
def test_a_fit_names_its_features_and_refuses_others(plan, bars, tmp_path):
    config = configuration("technical", "alpha158")
    fit, frame = _fit(config, bars, plan(config, code_version="v"))
    names = fit.forecaster.provenance.feature_names
    assert "alpha158_roc_20" in names
    # The VWAP has no source, so it has no value: offered, left out, and said so.
    assert "alpha158_vwap_0" in summary.left_out([fit])
    with pytest.raises(MissingFeatureError, match="alpha158_roc_20"):
        fit.forecaster.predict(frame.drop("alpha158_roc_20"))
    fit.forecaster.save(tmp_path / "model")
    present = chosen.chosen_columns(configuration("technical")).asset
    with pytest.raises(MismatchError, match=r"has unexpected.*alpha158_"):
        type(fit.forecaster).load(tmp_path / "model", feature_names=present)


def test_a_changed_value_of_a_chosen_family_changes_the_forecasts(bars):
    config = configuration("technical", "alpha158")
    plan = ridge_plan(config, code_version="v")
    (before, _), column = _fit(config, bars, plan), "alpha158_roc_20"
    other = pl.col(column).reverse().over("symbol")
    after, _ = _fit(config, bars, plan, alpha158=lambda frame: frame.with_columns(other))
    assert not after.forecasts["forecast"].equals(before.forecasts["forecast"])


def test_the_network_keeps_its_compact_set_or_reads_all_of_what_there_is():
    usual = deep_plan("transformer_gnn", TradingConfig(), code_version="v")
    compact = [n for n in usual.asset_features if n in features.feature_names("technical")]
    plan = deep_plan("transformer_gnn", configuration("technical", "alpha158"), code_version="v")
    assert list(plan.asset_features) == compact
    plan = deep_plan("transformer_gnn", configuration("alpha158"), code_version="v")
    assert plan.asset_features == features.feature_names("alpha158")


def test_the_default_choice_is_the_table_there_was():
    table = chosen.training_set_table(TradingConfig())
    assert (table.columns, table.key) == (models.TRAINING_SET.columns, models.TRAINING_SET.key)
    assert chosen.chosen_columns(TradingConfig()) == models.DEFAULT_COLUMNS
    default = {a.outputs[0].table: a for a in configured_assets(TradingConfig())}
    given = default["models.forecasts_ridge"].inputs["training_set"]
    assert given.columns == models.TRAINING_SET.columns


def test_names_of_the_configuration_are_those_of_the_families():
    daily = set(features.FAMILIES) - set(features.NOT_DAILY)
    named = (*feature_families.ASSET_FAMILIES, *feature_families.MARKET_FAMILIES)
    assert set(named) == daily
    wide = {n for n in daily if "symbol" not in FAMILY[n].contract.key}
    assert set(feature_families.MARKET_FAMILIES) == wide
    assert set(feature_families.NAMED_SETS) == set(features.NAMED_SETS)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"models": {"feature_families": ["alpha15"]}}, "did you mean 'alpha158'"),
        ({"models": {"feature_families": ["alpha101"]}}, "add it to features.named_sets"),
        ({"models": {"feature_families": ["custom"]}}, "features.custom_modules names no module"),
        ({"models": {"feature_families": ["macro", "macro"]}}, "repeats macro"),
        ({"models": {"feature_families": []}}, "feature_families"),
        ({"models": {"ablations": ["quantom"]}}, "feeds no model; did you mean 'quantum'"),
        ({"models": {"ablations": ["macro"]}}, "one value for the whole market"),
    ],
)  # fmt: skip
def test_a_choice_that_cannot_be_is_refused_by_name(settings, message):
    with pytest.raises(ConfigError, match=message):
        TradingConfig(**settings)


def test_a_family_whose_source_is_off_is_refused():
    with pytest.raises(ModelError, match=r"'onchain'.*no source.*onchain_metrics"):
        chosen.chosen_families(configuration("technical", "onchain"))


def test_a_chosen_family_can_be_left_out(bars):
    from btq_assets.models.ablation import left_in

    config = configuration("technical", "alpha158").model_copy()
    plan = ridge_plan(config, code_version="v")
    without = replace(plan, asset_features=features.feature_names("technical"))
    fit, _ = _fit(config, bars, without)
    one = type("One", (), {"family": "alpha158", "fits": [fit]})
    assert left_in(one, config) == set()
    whole, _ = _fit(config, bars, plan)
    one = type("One", (), {"family": "alpha158", "fits": [whole]})
    assert "alpha158_roc_20" in left_in(one, config)
