"""The job `comparison` on a small world, in a real Dagster instance over a real warehouse."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from btq_assets.backtest.comparison import assets as judging
from btq_assets.config import TradingConfig
from btq_assets.contracts import comparison as tables
from btq_assets.contracts import core, evidence, models, regimes
from btq_assets.contracts.base import cast_to_contract
from btq_assets.contracts.checks import CheckContext
from btq_assets.definitions import build_definitions
from btq_assets.features.families import FAMILY
from btq_assets.models.assets import configured
from btq_assets.models.chosen import training_set_table
from btq_assets.models.comparison import assets as fitting
from btq_assets.models.folds import splits
from btq_assets.models.training_set import build
from btq_assets.warehouse import Step, TableOutput, table_asset
from btq_assets.warehouse.database import Warehouse
from btq_assets.warehouse.paths import DataPaths
from btq_assets.warehouse.resources import ConfigResource, DeviceResource, WarehouseResource

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
MODELS = ("ridge", "lightgbm", "mlp")
READ = ("technical", "quantum")


def settings(folder: Path, **comparison: Any) -> TradingConfig:
    return TradingConfig(
        universe={"main": "test"},
        warehouse={"path": str(folder), "lock_timeout_s": 5},
        portfolio={"covariance_window_sessions": 60},
        models={
            "feature_families": READ,
            "walk_forward": {
                "first_test": "2011-04-01",
                "test_months": 3,
                "max_folds": 1,
                "train_years": 1,
                "validation_months": 2,
            },
            "lightgbm": {"n_estimators": 5, "min_child_samples": 10},
            "mlp": {"model_dim": 8, "lookback_sessions": 3, "epochs": 1},
            "comparison": {
                "families": MODELS,
                "seeds": (7, 11),
                "ablation_seeds": 1,
                "horizons_sessions": (1, 5),
                "resamples": 100,
                **comparison,
            },
        },
    )


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> TradingConfig:
    return settings(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def given(config, make_bars_function) -> dict[Any, pl.DataFrame]:
    """What the job finds in the warehouse, by contract."""
    bars = make_bars_function(n_symbols=5, n_sessions=400, ohlcv=False)
    features = {name: FAMILY[name].compute({"bars": bars}, config) for name in READ}
    sessions = bars["ts"].unique().sort()
    states = pl.DataFrame(
        {
            "scope": "test",
            "ts": sessions,
            "p_calm": 0.5,
            "p_turbulent": 0.5,
            "state": ["calm", "turbulent"] * (sessions.len() // 2),
            "trend": "bull",
            "calm_volatility_annual": 0.1,
            "turbulent_volatility_annual": 0.3,
            "fitted_until": sessions,
            "converged": True,
        },
        schema=regimes.STATES.schema,
    )
    training_set = build(bars, features, regimes.STATES.empty(), config)
    return {
        core.BARS_1D: bars,
        regimes.STATES: states,
        training_set_table(config): training_set,
        models.SPLITS: splits(training_set, config),
    }


def store(given: dict[Any, pl.DataFrame], config: TradingConfig) -> None:
    """Put tables into the warehouse, each by a step of its own."""

    def stored(contract: Any, frame: pl.DataFrame) -> dg.AssetsDefinition | None:
        @table_asset(outputs=(contract,), source_version=lambda _: "given")
        def rows(step) -> TableOutput:
            """Rows as they are given."""
            return TableOutput(frame)

        return rows.definition(config)

    made = [stored(contract, frame) for contract, frame in given.items()]
    assert dg.materialize(
        made,
        resources={
            "trading": ConfigResource.of(config),
            "warehouse": WarehouseResource(path=config.warehouse.path, lock_timeout_s=5),
            "device": DeviceResource(device="cpu"),
        },
    ).success


def run(config: TradingConfig, *tables_wanted: str) -> dg.ExecuteInProcessResult:
    """The job, or some of its tables."""
    job = build_definitions(config).resolve_job_def("comparison")
    chosen = [dg.AssetKey(table.split(".")) for table in tables_wanted] or None
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(instance=instance, asset_selection=chosen)


def test_the_job_fits_judges_and_is_used_again(given, tmp_path):
    two = {"families": ("ridge", "lightgbm"), "components": ("quantum", "graph")}
    config = settings(tmp_path, **two)
    store(given, config)
    result = run(config)
    assert result.success
    checks = result.get_asset_check_evaluations()
    assert all(check.passed for check in checks), [c for c in checks if not c.passed]
    assert {"same_decisions", "trials_counted", "every_component_is_there", "fitted_before",
            "out_of_sample", "portfolios_differ", "left_out"} <= {c.check_name for c in checks}  # fmt: skip
    warehouse = Warehouse(DataPaths(tmp_path), 5)
    table = warehouse.read(tables.COMPARISON)
    assert dict(table.select("model", "n_seeds").iter_rows()) == {"ridge": 1, "lightgbm": 2}
    assert table["n_trials"].unique().to_list() == [3]
    assert set(warehouse.read(evidence.TRIALS)["strategy"]) == {
        "compared_ridge_0", "compared_lightgbm_7", "compared_lightgbm_11",
    }  # fmt: skip
    fits = warehouse.read(tables.FITS)
    whole = fits.filter(pl.col("without") == "nothing")
    assert dict(whole["model"].value_counts().iter_rows()) == {"ridge": 1, "lightgbm": 2}
    ablations = warehouse.read(tables.ABLATIONS).select("model", "without", "verdict", "why")
    assert ablations.filter(pl.col("without") == "graph")["why"].unique().to_list() == [
        "it has no edges between assets"
    ]
    quantum = ablations.filter(pl.col("without") == "quantum")
    assert quantum.height == 2
    assert "nothing to leave out" not in quantum["verdict"].to_list()
    plots = [
        name
        for event in result.get_asset_materialization_events()
        for name in event.step_materialization_data.materialization.metadata
    ]
    for title in ("Decay by horizon", "Rank IC by seed", "What a component is worth"):
        assert any(title in name for name in plots), title

    # another seed: what is random is fitted again, by itself, and ridge is not
    again = run(
        settings(tmp_path, **two, seeds=(7, 13)),
        *(f"models.compared_{m}" for m in ("ridge", "lightgbm")),
    )
    assert again.success
    assert warehouse.read(tables.COMPARED["lightgbm"])["seed"].unique().sort().to_list() == [7, 13]
    newest = (
        warehouse.read(tables.FITS).group_by("model", "without").agg(pl.col("recorded_at").max())
    )
    before = fits.group_by("model", "without").agg(pl.col("recorded_at").max())
    changed = newest.join(before, on=["model", "without", "recorded_at"], how="anti")
    assert changed.select("model", "without").rows() == [("lightgbm", "nothing")]


def step(config: TradingConfig, ledgers: dict[str, pl.DataFrame]) -> Step:
    return Step(
        config=config,
        run_id="test",
        now=NOW,
        log=lambda _: None,
        code_version="c",
        data_versions={"training_set": "d"},
        read_ledger=lambda contract: ledgers.get(contract.table, contract.empty()),
        artifacts=None,
    )


@pytest.fixture(scope="module")
def world(config, given) -> tuple[dict[str, pl.DataFrame], dict[str, pl.DataFrame]]:
    """Every table of the comparison by name, and the ledgers, without a warehouse."""
    by_name = {contract.table: frame for contract, frame in given.items()}
    ledgers: dict[str, pl.DataFrame] = {}
    for name in MODELS:
        for asset in (fitting.compared_asset(name), fitting.ablated_asset(name)):
            by_name |= compute(asset, by_name, config, ledgers, keep=True)
    for asset in (judging.comparison_returns, fitting.comparison_ablations, judging.comparison):
        by_name |= compute(asset, by_name, config, ledgers, keep=True)
    return by_name, ledgers


def compute(
    asset: Any,
    by_name: dict[str, pl.DataFrame],
    config: TradingConfig,
    ledgers: dict[str, pl.DataFrame],
    *,
    keep: bool = False,
) -> dict[str, pl.DataFrame]:
    asset = configured(asset, config)
    inputs = {
        name: by_name.get(contract.table, contract.empty())
        for name, contract in asset.inputs.items()
    }
    output = asset.compute(step(config, ledgers), **inputs)
    frames = output.frames
    if isinstance(frames, pl.DataFrame):
        frames = {asset.outputs[0].table: frames}
    if keep:
        for contract, rows in output.ledgers.items():
            held = ledgers.get(contract.table, contract.empty())
            ledgers[contract.table] = pl.concat([held, rows]).unique(contract.key, keep="last")
    return {
        contract.table: cast_to_contract(frames[contract.table], contract).sort(contract.key)
        for contract in asset.outputs
    }


def moved(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Other values under the same keys, of the kind that the readers of the table look at."""
    wobble = 1 + 0.5 * (pl.int_range(pl.len()) % 3)
    if table == "core.bars_1d":
        odd = pl.int_range(pl.len()) % 7 == 0
        return frame.with_columns(
            adj_close=pl.when(odd).then(pl.col("adj_close") * 1.05).otherwise("adj_close")
        )
    if table == "regimes.states":
        return frame.with_columns(state=pl.lit("calm"))
    if table == "models.splits":
        return frame.with_columns(train_start=pl.col("train_start") + pl.duration(days=120))
    if table == "models.training_set":
        return frame.with_columns(label=pl.col("label") * wobble)
    if table == "backtest.comparison_returns":
        return frame.with_columns(net_return=pl.col("net_return") * wobble)
    return frame.with_columns(forecast=pl.col("forecast").reverse())


EDGES = [
    pytest.param(make, table, id=f"{table}->{label}")
    for label, make, read in (
        ("compared_mlp", lambda: fitting.compared_asset("mlp"),
         ("models.training_set", "models.splits")),
        ("ablated_mlp", lambda: fitting.ablated_asset("mlp"),
         ("models.training_set", "models.splits")),
        ("comparison_returns", lambda: judging.comparison_returns,
         ("core.bars_1d", "regimes.states", *(f"models.compared_{n}" for n in MODELS))),
        ("comparison", lambda: judging.comparison,
         ("models.training_set", "core.bars_1d", "backtest.comparison_returns",
          *(f"models.compared_{n}" for n in MODELS))),
        ("comparison_ablations", lambda: fitting.comparison_ablations,
         ("models.training_set", *(f"models.{kind}_{n}" for kind in ("compared", "ablated")
                                   for n in MODELS))),
    )
    for table in read
]  # fmt: skip


@pytest.mark.parametrize(("make", "upstream"), EDGES)
def test_every_edge_moves_what_reads_it(make, upstream, world, config, monkeypatch):
    monkeypatch.setattr("btq_assets.plots.lines", lambda *_, **__: b"")
    monkeypatch.setattr("btq_assets.plots.bars", lambda *_, **__: b"")
    by_name, ledgers = world
    if upstream == "backtest.comparison_returns":
        # returns without their trial are refused; the trial is that of the changed returns
        ledgers = {**ledgers, evidence.TRIALS.table: _trials_of(moved(upstream, by_name[upstream]))}
    changed = {**by_name, upstream: moved(upstream, by_name[upstream])}
    asset = make()
    found = compute(asset, changed, config, ledgers)
    assert any(
        not frame.drop("model_id", strict=False).equals(
            by_name[table].drop("model_id", strict=False)
        )
        for table, frame in found.items()
    ), f"{upstream} moves nothing of {asset.outputs[0].table}"


def _trials_of(returns: pl.DataFrame) -> pl.DataFrame:
    from btq_assets.evidence.trials import trial_rows

    return pl.concat(
        trial_rows(
            rows.select("ts", "net_return"), strategy=str(name), universe="test",
            purpose="candidate", config={}, data_hash="d", code_version="c", seed=0, run_id="r",
            recorded_at=NOW,
        )[0]
        for (name,), rows in returns.group_by("strategy")
    )  # fmt: skip


def test_ledgers_count_and_time(world, config, monkeypatch):
    """Trials and fits are read, too: another trial is counted, other seconds are shown."""
    monkeypatch.setattr("btq_assets.plots.lines", lambda *_, **__: b"")
    monkeypatch.setattr("btq_assets.plots.bars", lambda *_, **__: b"")
    by_name, ledgers = world
    trials, fits = ledgers[evidence.TRIALS.table], ledgers[tables.FITS.table]
    rival = trials.head(1).with_columns(trial_id=pl.lit("another"), strategy=pl.lit("another"))
    slower = fits.with_columns(seconds=pl.col("seconds") + 1)
    table = tables.COMPARISON.table
    before = by_name[table]
    more = compute(judging.comparison, by_name, config, {**ledgers, evidence.TRIALS.table: pl.concat([trials, rival])})  # fmt: skip
    assert (more[table]["n_trials"] == before["n_trials"] + 1).all()
    late = compute(judging.comparison, by_name, config, {**ledgers, tables.FITS.table: slower})
    # one fold: a seed is one fit
    assert (late[table]["seconds"] - before["seconds"]).to_list() == pytest.approx([1.0] * 3)


def test_a_fit_that_saw_its_future_and_a_missing_row_are_refused(world, config):
    by_name, _ = world
    frame = by_name["models.compared_mlp"]
    asset = configured(fitting.compared_asset("mlp"), config)
    inputs = {name: by_name[contract.table] for name, contract in asset.inputs.items()}
    for wrong in (frame.filter(pl.col("seed") == 7).slice(3), frame.with_columns(fold=pl.lit(4))):
        context = CheckContext({asset.outputs[0].table: wrong}, inputs, config)
        assert not all(a.passed for group in asset.checks[:1] for a in group.answer(context))
    reduced = configured(fitting.ablated_asset("mlp"), config)
    short = by_name["models.ablated_mlp"].slice(3)
    context = CheckContext({reduced.outputs[0].table: short}, inputs, config)
    (answer,) = reduced.checks[0].answer(context)
    assert not answer.passed
    assert answer.message.startswith("without quantum")
    table = by_name[tables.ABLATIONS.table]
    (group,) = fitting.comparison_ablations.checks
    for wrong, passed in ((table, True), (table.slice(1), False)):
        (answer,) = group.answer(CheckContext({tables.ABLATIONS.table: wrong}, {}, config))
        assert answer.passed is passed


def test_a_fit_until_after_its_first_forecast_is_named(world, config):
    from btq_assets.models.comparison.architectures import compared_plan
    from btq_assets.models.comparison.fits import fitted_too_late, timed_fits

    by_name, _ = world
    plan = replace(compared_plan("ridge", config, code_version="c"), seeds=(0,))
    clocks = (iter(range(10)).__next__, iter(range(0, 100, 10)).__next__)
    (one,) = timed_fits(
        by_name["models.training_set"], by_name["models.splits"], plan, data_hash="d", clocks=clocks
    )
    assert (one.seconds, one.processor_seconds) == (1, 10)
    assert fitted_too_late([one]) == []
    late = replace(one, fit=replace(one.fit, fitted_until=NOW))
    (said,) = fitted_too_late([late])
    assert said.startswith("seed 0, fold 0: fitted until 2026-01-01")
