"""The room's assets on a small world: every check answered, every edge real, weights kept."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import instrument_frames
import numpy as np
import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts import evidence, features, models, regimes
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.checks import CheckContext
from btq_assets.features import cross_asset, technical, volatility
from btq_assets.models import assets, fit_gates
from btq_assets.models.deep import assets as deep_assets
from btq_assets.models.forecaster import MismatchError
from btq_assets.models.plans import deep_plan
from btq_assets.models.ridge import RidgeForecaster
from btq_assets.warehouse import Step, TableOutput
from btq_assets.warehouse.artifacts import ArtifactStore
from btq_assets.warehouse.paths import DataPaths

NOW = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def config() -> TradingConfig:
    return TradingConfig(
        universe={"main": "test"},
        features={"correlation_window_sessions": 40},
        models={
            "seeds": (7,),
            "walk_forward": {
                "first_test": "2012-03-01",
                "test_months": 3,
                "max_folds": 2,
                "train_years": 1,
                "validation_months": 4,
            },
            "lightgbm": {"min_child_samples": 20, "n_estimators": 40},
            "transformer": {
                "model_dim": 8,
                "num_heads": 2,
                "lookback_sessions": 5,
                "epochs": 2,
                "graph_neighbours": 2,
            },
        },
    )


@pytest.fixture(scope="module")
def inputs(pytestconfig: pytest.Config, config: TradingConfig) -> dict[str, pl.DataFrame]:
    plugins = pytestconfig.pluginmanager.get_plugins()
    shared = next(
        p for p in plugins if str(getattr(p, "__file__", "")).endswith("tests/conftest.py")
    )
    bars = shared.make_bars(n_symbols=6, n_sessions=720)
    read = config.models.feature_families
    found = {family: features.FAMILY_CONTRACTS[family].empty() for family in read}
    found |= {
        "bars": bars,
        "membership": instrument_frames.membership(bars),
        "technical": technical.compute(bars, config.features),
        "volatility": volatility.compute(bars, config.features),
        "cross_asset": cross_asset.compute(bars, config),
    }
    sessions = bars["ts"].unique().sort()
    share = np.linspace(0.1, 0.9, sessions.len())
    found["regimes"] = pl.DataFrame(
        {
            "scope": "test",
            "ts": sessions,
            "p_calm": 1 - share,
            "p_turbulent": share,
            "state": "calm",
            "trend": "bull",
            "calm_volatility_annual": 0.1,
            "turbulent_volatility_annual": 0.3,
            "fitted_until": sessions,
            "converged": True,
        },
        schema=regimes.STATES.schema,
    )
    return found


@pytest.fixture(scope="module")
def step(config: TradingConfig, tmp_path_factory: pytest.TempPathFactory) -> Step:
    return Step(
        config=config,
        run_id="test",
        now=NOW,
        log=lambda message: None,
        code_version="v1",
        data_versions={"training_set": "d1"},
        read_ledger=lambda contract: contract.empty(),
        artifacts=ArtifactStore(DataPaths(tmp_path_factory.mktemp("data"))),
    )


def answers(
    asset: Any, output: TableOutput, inputs: dict[str, pl.DataFrame], config: TradingConfig
) -> dict[str, Any]:
    frames = output.frames
    if isinstance(frames, pl.DataFrame):
        frames = {asset.outputs[0].table: frames}
    cast = {c.table: cast_to_contract(frames[c.table], c) for c in asset.outputs}
    for contract in asset.outputs:
        assert violations(cast[contract.table], contract).is_empty()
    context = CheckContext(cast, inputs, config, {o.name: o for o in output.answers})
    return {o.name: o for group in asset.checks for o in group.answer(context)}


def forecasts_of(asset: Any, output: TableOutput) -> pl.DataFrame:
    frames = output.frames
    return frames if isinstance(frames, pl.DataFrame) else frames[asset.outputs[0].table]


@pytest.fixture(scope="module")
def prepared(
    step: Step, inputs: dict[str, pl.DataFrame], config: TradingConfig
) -> dict[str, pl.DataFrame]:
    output = assets.training_set.compute(step, **inputs)
    found = answers(assets.training_set, output, inputs, config)
    assert {name for name, outcome in found.items() if not outcome.passed} == set()
    assert "sentiment (all null)" in output.metadata["null_families"]
    assert output.plots
    return {
        "training_set": output.frames[models.TRAINING_SET.table],
        "splits": output.frames[models.SPLITS.table],
    }


@pytest.mark.parametrize(
    ("asset", "n_fits"),
    [
        (assets.forecasts_ridge, 4),
        (assets.forecasts_lightgbm, 4),
        (deep_assets.forecasts_transformer_gnn, 2),
    ],
    ids=["ridge", "lightgbm", "transformer_gnn"],
)
def test_forecasts_with_every_check_answered(
    asset: Any, n_fits: int, step: Step, prepared: dict[str, pl.DataFrame], config: TradingConfig
) -> None:
    output = asset.compute(step, **prepared)
    found = answers(asset, output, prepared, config)
    assert {name for name, outcome in found.items() if not outcome.passed} == set()
    assert set(found) == {"out_of_sample", "plausible_ic", "truncation", "not_hollow"}
    registry = cast_to_contract(output.ledgers[models.REGISTRY], models.REGISTRY)
    assert registry.height == n_fits
    assert set(forecasts_of(asset, output)["model_id"]) == set(registry["model_id"])
    for row in registry.iter_rows(named=True):
        folder = step.artifacts.path(row["artifact_path"], sha256=row["artifact_hash"])
        assert (folder / "model.json").is_file()
        assert "validation_rank_ic" in json.loads(row["metrics_json"])
    again = asset.compute(step, **prepared)
    assert forecasts_of(asset, again).equals(forecasts_of(asset, output))


def test_a_consumer_refuses_a_model_of_other_code(
    step: Step, prepared: dict[str, pl.DataFrame]
) -> None:
    output = assets.forecasts_ridge.compute(step, **prepared)
    row = output.ledgers[models.REGISTRY].row(0, named=True)
    with pytest.raises(MismatchError, match="code version is 'v1', expected 'v2'"):
        RidgeForecaster.load(step.artifacts.path(row["artifact_path"]), code_version="v2")


@pytest.mark.parametrize(
    ("family", "column"),
    [
        ("technical", "return_5d"),
        ("volatility", "volatility_21_annual"),
        ("regimes", "p_turbulent"),
    ],
)
def test_every_edge_into_the_forecasts_moves_them(
    family: str,
    column: str,
    step: Step,
    inputs: dict[str, pl.DataFrame],
    prepared: dict[str, pl.DataFrame],
) -> None:
    order = pl.col(column).reverse()
    changed = {**inputs, family: inputs[family].with_columns(order.alias(column))}
    table = assets.training_set.compute(step, **changed).frames[models.TRAINING_SET.table]
    ridge = assets.forecasts_ridge
    before = forecasts_of(ridge, ridge.compute(step, **prepared))
    again = ridge.compute(step, training_set=table, splits=prepared["splits"])
    after = forecasts_of(ridge, again)
    assert not after["forecast"].equals(before["forecast"])


@pytest.mark.parametrize("name", ["ridge", "lightgbm"])
def test_importances_of_a_fit_sum_to_one(
    name: str, step: Step, prepared: dict[str, pl.DataFrame]
) -> None:
    asset = getattr(assets, f"forecasts_{name}")
    output = asset.compute(step, **prepared)
    table = output.frames[asset.outputs[1].table]
    totals = table.group_by("variant", "seed", "fold").agg(pl.col("importance").sum())
    assert totals["importance"].to_list() == pytest.approx([1.0] * totals.height)
    assert set(table["variant"]) == {"base", "macro"}
    assert "Mean importance over fits" in output.plots


def test_a_family_left_out_is_measured_and_recorded_as_a_control(
    step: Step, prepared: dict[str, pl.DataFrame], config: TradingConfig
) -> None:
    chosen = config.models.model_copy(update={"ablations": ("technical",)})
    without = replace(step, config=config.model_copy(update={"models": chosen}))
    inputs = dict(prepared)
    for asset in (assets.forecasts_ridge, assets.forecasts_lightgbm):
        name = asset.outputs[0].name.removeprefix("forecasts_")
        inputs[name] = forecasts_of(asset, asset.compute(step, **prepared))
    output = assets.ablations.compute(without, **inputs)
    found = answers(assets.ablations, output, inputs, without.config)
    assert found["left_out"].passed
    assert isinstance(output.frames, pl.DataFrame)
    assert output.frames["model"].to_list() == ["lightgbm", "ridge"]
    trials = output.ledgers[evidence.TRIALS]
    assert trials["purpose"].unique().to_list() == ["control"]
    assert trials["trial_id"].n_unique() == 4
    # Only a configuration that names a family has the asset.
    assert assets.ablations.definition(TradingConfig()) is None
    assert assets.ablations.definition(TradingConfig(profile="full")) is not None


@pytest.mark.slow
def test_network_refitted_on_truncated_data_is_the_same(
    prepared: dict[str, pl.DataFrame], config: TradingConfig
) -> None:
    """Deep truncation: one fold fitted again from what was known, equal to 1e-6."""
    from btq_assets.models.walk_forward import fit_fold

    plan = deep_plan("transformer_gnn", config, code_version="v1")
    fold = prepared["splits"].row(0, named=True)
    fit = fit_fold(prepared["training_set"], fold, plan, "base", 7, data_hash="d")
    outcome = fit_gates.truncation_outcome(
        [fit], prepared["training_set"], config, plan=plan, n_dates=2, relative_tolerance=1e-6
    )
    assert outcome.passed, outcome.message


def test_importing_the_assets_loads_no_heavy_library() -> None:
    code = (
        "import sys, btq_assets.models.assets, btq_assets.models;"
        "heavy = {'torch', 'torch_geometric', 'sklearn', 'lightgbm', 'pandas', 'matplotlib',"
        " 'scipy', 'numba'} & set(sys.modules); print(sorted(heavy)); assert not heavy"
    )
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)
