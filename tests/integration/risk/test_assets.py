"""The risk assets on a small backtest: what they commit, and that each check refuses bad data."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import dagster as dg
import numpy as np
import polars as pl
import pytest

from btq_assets.backtest.run import run_strategies
from btq_assets.config import TradingConfig
from btq_assets.contracts import backtest, core, risk
from btq_assets.contracts.checks import CheckContext
from btq_assets.risk import assets, checks
from btq_assets.risk.rolling import RollingRisk
from btq_assets.timeline import decision_times
from btq_assets.warehouse import Step, TableOutput, Warehouse, table_asset
from btq_assets.warehouse.paths import DataPaths
from btq_assets.warehouse.resources import ConfigResource, DeviceResource, WarehouseResource

CONFIG = TradingConfig(
    universe={"main": "test"},
    risk={"monte_carlo_paths": 500, "monte_carlo_horizon_sessions": 20},
    backtest={"bootstrap_samples": 100},
)
NOW = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
SYMBOLS = ("A", "B", "C", "D")


@pytest.fixture(scope="module")
def inputs() -> dict[str, pl.DataFrame]:
    random = np.random.default_rng(0)
    days = np.arange("2004-01-01", "2009-06-01", dtype="datetime64[D]")
    days = days[np.is_busday(days)]
    ts = pl.Series("ts", days).cast(pl.Datetime("us", "UTC")).dt.offset_by("21h")
    market = random.standard_t(5, len(days)) * 0.006
    frames = []
    for symbol in SYMBOLS:
        close = 50 * np.cumprod(1 + market + random.standard_t(5, len(days)) * 0.008)
        frames.append(
            pl.DataFrame(
                {
                    "universe": "test",
                    "symbol": symbol,
                    "ts": ts,
                    "session": ts.dt.date(),
                    "known_at": ts,
                    "revised_at": None,
                    **dict.fromkeys(("open", "high", "low", "close", "volume")),
                    **dict.fromkeys(("adj_open", "adj_high", "adj_low")),
                    "adj_close": close,
                },
                schema=core.BARS_1D.schema,
            )
        )
    bars = pl.concat(frames)
    decisions = decision_times(ts, "week")
    decisions = decisions.filter(decisions > dt.datetime(2008, 1, 1, tzinfo=dt.UTC))
    weights = {
        "one_over_n": np.full((len(decisions), 4), 0.25),
        "tilted": random.dirichlet(np.ones(4), len(decisions)) * 0.9,
        "cash": np.zeros((len(decisions), 4)),
    }
    targets = pl.concat(
        [
            pl.DataFrame({"ts": decisions})
            .join(pl.DataFrame({"symbol": SYMBOLS}), how="cross")
            .with_columns(
                strategy=pl.lit(name), universe=pl.lit("test"), weight=pl.Series(values.ravel())
            )
            for name, values in weights.items()
        ]
    )
    done = run_strategies(bars, targets, CONFIG, baselines={"one_over_n"})
    return {"bars": bars, "positions": done.positions, "equity": done.equity, "runs": done.runs}


def step() -> Step:
    return Step(
        config=CONFIG,
        run_id="test",
        now=NOW,
        log=print,
        code_version="t",
        data_versions={},
        read_ledger=lambda contract: contract.empty(),
        artifacts=None,
    )


@pytest.fixture(scope="module")
def measures(inputs) -> TableOutput:
    return assets.measures.compute(step(), **inputs)


@pytest.fixture(scope="module")
def scenarios(inputs) -> TableOutput:
    return assets.scenarios.compute(step(), **inputs)


def answers(groups, frames, inputs):
    context = CheckContext(frames, inputs, CONFIG)
    return {outcome.name: outcome for group in groups for outcome in group.answer(context)}


def changed(output: TableOutput, contract, expression) -> dict[str, pl.DataFrame]:
    frame = output.frames[contract.table].with_columns(expression)
    return {**output.frames, contract.table: frame}


def test_honest_tables_pass_every_check(inputs, measures, scenarios):
    for groups, output in (
        (checks.MEASURES_CHECKS, measures),
        (checks.SCENARIO_CHECKS, scenarios),
    ):
        for outcome in answers(groups, output.frames, inputs).values():
            assert outcome.passed, outcome.message


VALUE = pl.col("value")
HISTORICAL = pl.col("method") == "historical"
BAD_MEASURES = {
    "zeros": (VALUE * 0, "not_hollow"),
    "a constant": (VALUE * 0 + 0.02, "not_hollow"),
    "percent instead of fraction, at the end": (
        pl.when(pl.col("ts") == pl.col("ts").max())
        .then(VALUE * 100)
        .otherwise(VALUE)
        .alias("value"),
        "not_hollow",
    ),
    "losses negative": (-VALUE, "sane"),
    "CVaR below VaR": (
        pl.when(pl.col("measure") == "cvar").then(VALUE * 0.5).otherwise(VALUE).alias("value"),
        "sane",
    ),
    "levels swapped": (
        pl.when(HISTORICAL & (pl.col("level") == 0.99))
        .then(VALUE * 0.1)
        .otherwise(VALUE)
        .alias("value"),
        "sane",
    ),
    "the next session's VaR": (
        VALUE.shift(-1).over("strategy", "measure", "method", "level"),
        "truncation",
    ),
}


@pytest.mark.parametrize("case", BAD_MEASURES)
def test_bad_measures_are_refused(case, inputs, measures):
    expression, check = BAD_MEASURES[case]
    outcome = answers(checks.MEASURES_CHECKS, changed(measures, risk.MEASURES, expression), inputs)[
        check
    ]
    assert not outcome.passed
    assert outcome.message


def test_var_from_returns_not_yet_known_is_caught(inputs, measures, monkeypatch):
    from btq_assets.risk import rolling

    honest = rolling.rolling_risk

    def leaking(held, settings, *, last_dates=None) -> RollingRisk:
        # Scaled by the volatility of the whole sample, later sessions included.
        found = honest(held, settings, last_dates=last_dates)
        return replace(found, values=found.values * np.nanstd(held.returns))

    monkeypatch.setattr(rolling, "rolling_risk", leaking)
    output = assets.measures.compute(step(), **inputs)
    outcome = answers(checks.MEASURES_CHECKS, output.frames, inputs)["truncation"]
    assert not outcome.passed
    assert "risk.measures.value" in outcome.message


def test_positions_that_do_not_add_up_are_refused(inputs, measures):
    lost = inputs | {"positions": inputs["positions"].filter(pl.col("symbol") != "B")}
    outcome = answers(checks.MEASURES_CHECKS, measures.frames, lost)["weights_reproduce_exposure"]
    assert not outcome.passed
    assert "exposure" in outcome.message


BAD_SCENARIOS = {
    "uncovered without a note": (risk.STRESS, pl.lit("").alias("note"), "nothing_is_silent"),
    "figures outside the data": (
        risk.STRESS,
        pl.lit(-0.2).alias("window_return"),
        "nothing_is_silent",
    ),
    "a loss that does not scale": (
        risk.STRESS,
        pl.col("window_return") - 0.01,
        "stress_halves_with_weights",
    ),
    "annual instead of total": (
        risk.SIMULATIONS,
        pl.when(pl.col("statistic") == "terminal_return_mean")
        .then(VALUE + 0.5)
        .otherwise(VALUE)
        .alias("value"),
        "gaussian_paths_have_their_mean",
    ),
    "another depth": (risk.DRAWDOWNS, pl.col("depth") * 0.9, "deepest_drawdown_agrees"),
}


@pytest.mark.parametrize("case", BAD_SCENARIOS)
def test_bad_scenarios_are_refused(case, inputs, scenarios):
    contract, expression, check = BAD_SCENARIOS[case]
    found = answers(checks.SCENARIO_CHECKS, changed(scenarios, contract, expression), inputs)[check]
    assert not found.passed
    assert found.message


def test_every_edge_moves_the_result(inputs, measures, scenarios):
    def again(**other):
        return assets.measures.compute(step(), **(inputs | other)).frames[risk.MEASURES.table]

    base = measures.frames[risk.MEASURES.table]
    bars = inputs["bars"].with_columns(
        pl.when(pl.col("symbol") == "A")
        .then(pl.col("adj_close") ** 1.1)
        .otherwise("adj_close")
        .alias("adj_close")
    )
    halved = inputs["positions"].with_columns(pl.col("shares") / 2)
    richer = inputs["equity"].with_columns(pl.col("equity") * 2)
    fewer = inputs["runs"].filter(pl.col("strategy") != "tilted")
    for other in (
        {"bars": bars},
        {"positions": halved},
        {"equity": richer},
        {"runs": fewer},
    ):
        assert not again(**other).equals(base)
    one = again(positions=halved).filter(HISTORICAL)["value"].to_numpy()
    assert one == pytest.approx(base.filter(HISTORICAL)["value"].to_numpy() / 2)


def test_output_is_the_same_twice(inputs, measures, scenarios):
    for asset, output in ((assets.measures, measures), (assets.scenarios, scenarios)):
        again = asset.compute(step(), **inputs)
        assert all(again.frames[name].equals(frame) for name, frame in output.frames.items())
        assert again.plots == output.plots
        assert all(image.startswith(b"\x89PNG") for image in output.plots.values())


def test_assets_commit_through_dagster_and_a_bad_input_commits_nothing(inputs, tmp_path):
    tables = {
        "bars": core.BARS_1D,
        "positions": backtest.POSITIONS,
        "equity": backtest.EQUITY,
        "runs": backtest.RUNS,
    }

    def run(frames):
        @table_asset(outputs=tuple(tables.values()), source_version=lambda config: "1", reuse=False)
        def upstream(step: Step) -> TableOutput:
            """Tables of the test."""
            return TableOutput({contract.table: frames[name] for name, contract in tables.items()})

        return dg.materialize(
            [asset.definition(CONFIG) for asset in (upstream, assets.measures, assets.scenarios)],
            resources={
                "trading": ConfigResource.of(CONFIG),
                "warehouse": WarehouseResource(path=str(tmp_path), lock_timeout_s=5),
                "device": DeviceResource(device="cpu"),
            },
            raise_on_error=False,
        )

    warehouse = Warehouse(DataPaths(tmp_path), 5)
    assert run(inputs).success
    stored = {
        contract.table: warehouse.read(contract)
        for contract in (*assets.measures.outputs, *assets.scenarios.outputs)
    }
    assert all(frame.height for frame in stored.values())
    broken = inputs | {"positions": inputs["positions"].filter(pl.col("symbol") != "B")}
    result = run(broken)
    assert not result.success
    failed = {e.check_name for e in result.get_asset_check_evaluations() if not e.passed}
    assert "weights_reproduce_exposure" in failed
    assert warehouse.read(risk.MEASURES).equals(stored[risk.MEASURES.table])
