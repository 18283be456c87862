"""Scenarios, crises and stresses as the graph calls them, and every check on what it must refuse."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from btq_assets.backtest.robustness import crises, tables
from btq_assets.backtest.robustness.assets import scenarios, stressed
from btq_assets.backtest.run import run_strategies, union_of_targets
from btq_assets.config import TradingConfig
from btq_assets.contracts import backtest as contracts
from btq_assets.contracts import evidence, portfolio, regimes
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.checks import CheckContext
from btq_assets.timeline import decision_times
from btq_assets.warehouse import Step

TARGETS = {
    "rank": ("tilted", [0.7, 0.1, 0.1, 0.1]),
    "kelly": ("one_over_n_again", [0.25] * 4),
    "hrp": ("hrp", [0.2, 0.2, 0.3, 0.3]),
    "ppo": ("ppo", [0.0, 0.0, 0.5, 0.5]),
    "baselines": ("one_over_n", [0.25] * 4),
    "regime": ("one_over_n_regime", [0.15] * 4),
}


@pytest.fixture(scope="module")
def settings() -> TradingConfig:
    few = {
        "bootstrap_samples": 100,
        "stress_cost_bps": [0, 50],
        "stress_delay_bars": [1],
        "stress_universe_draws": 2,
    }
    return TradingConfig(universe={"main": "test"}, backtest=few)


@pytest.fixture(scope="module")
def inputs(make_bars_function, settings) -> dict[str, pl.DataFrame]:
    """Bars of 2010, over the flash crash, with labels of both kinds of state."""
    bars = make_bars_function(ohlcv=True)
    decisions = decision_times(bars["ts"], "week")
    found: dict[str, pl.DataFrame] = {"bars": bars}
    for table, (name, weights) in TARGETS.items():
        rows = [
            (name, "test", f"S{i:02d}", ts, weight * (0.8 if number % 2 else 1.0))
            for number, ts in enumerate(decisions)
            for i, weight in enumerate(weights)
        ]
        found[table] = pl.DataFrame(rows, schema=portfolio.TARGETS_RANK.schema, orient="row")
    done = run_strategies(
        bars,
        union_of_targets({name: found[name] for name in TARGETS}),
        settings,
        baselines=("one_over_n",),
    )
    found |= {"runs": done.runs, "equity": done.equity}
    ts = bars["ts"].unique().sort()
    random = np.random.default_rng(5)
    for name, contract, words in (
        ("market_states", regimes.MARKET_STATES, ["bull", "bear", "sideways"]),
        ("volatility_states", regimes.VOLATILITY_STATES, ["low", "normal", "high"]),
    ):
        states = pl.DataFrame({"scope": "test", "ts": ts, "state": random.choice(words, len(ts))})
        states = states.with_columns(
            state=pl.when(pl.int_range(pl.len()) < 20).then(None).otherwise("state")
        )
        other = {c: pl.lit(None) for c in contract.column_names if c not in states.columns}
        found[name] = states.with_columns(**other).select(contract.column_names)
    return found


def step(config: TradingConfig) -> Step:
    return Step(
        config=config,
        run_id="test",
        now=dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        log=print,
        code_version="t",
        data_versions={},
        read_ledger=lambda contract: contract.empty(),
        artifacts=None,
    )


@pytest.fixture(scope="module")
def outputs(settings, inputs):
    """Output, frames by table, and the inputs each asset was handed, by name of the asset."""
    made = {}
    for asset in (scenarios, stressed):
        own = {name: inputs[name] for name in asset.inputs}
        output = asset.compute(step(settings), **own)
        tables_of = output.frames
        if not isinstance(tables_of, dict):
            tables_of = {asset.outputs[0].table: tables_of}
        frames = {c.table: cast_to_contract(tables_of[c.table], c) for c in asset.outputs}
        made[asset.name] = (asset, output, frames, own)
    return made


def answers(made, settings, **changed) -> dict[str, bool]:
    asset, _, frames, own = made
    context = CheckContext(
        frames=frames | changed.pop("frames", {}), inputs=own | changed, config=settings
    )
    return {
        answer.name: answer.passed for group in asset.checks for answer in group.answer(context)
    }


def test_tables_satisfy_their_contracts_and_checks(outputs, settings):
    for made in outputs.values():
        asset, _, frames, _ = made
        for contract in asset.outputs:
            assert frames[contract.table].height
            assert violations(frames[contract.table], contract).is_empty(), contract.table
        assert all(answers(made, settings).values())


def test_slices_of_every_run_add_up_to_the_run(outputs, inputs):
    table = outputs[scenarios.name][2][contracts.SCENARIOS.table]
    assert set(table["run_id"]) == set(inputs["runs"]["run_id"])
    n_returns = inputs["equity"].group_by("run_id").agg(n=pl.col("net_return").count())
    whole = (
        table.group_by("run_id", "dimension")
        .agg(pl.col("n_days").sum())
        .join(n_returns, on="run_id")
    )
    assert whole.height == 3 * inputs["runs"].height
    assert (whole["n_days"] == whole["n"]).all()
    few = table.filter((pl.col("n_days") > 0) & (pl.col("n_days") < 60))
    assert few["note"].str.starts_with("too few days").all()
    assert few["sharpe"].null_count() == few.height > 0


def test_both_tables_of_slices_agree_on_the_days_of_a_state(inputs, settings):
    """`backtest.slices` and `backtest.scenarios`: the same names, days and volatility."""
    done = run_strategies(
        inputs["bars"],
        union_of_targets({name: inputs[name] for name in TARGETS}),
        settings,
        baselines=("one_over_n",),
        states={
            k.removesuffix("_states"): inputs[k] for k in ("market_states", "volatility_states")
        },
    )
    scenarios_of = tables.scenario_table(
        done.equity, inputs["market_states"], inputs["volatility_states"], "test"
    ).rename({"scenario": "slice"})
    cut = done.slices.filter(
        pl.col("dimension").is_in(list(contracts.DAY_STATES)), metric="annual_volatility"
    )
    keys = ["run_id", "dimension", "slice"]
    both = cut.join(scenarios_of, on=keys, how="inner")
    assert both.height == cut.height
    assert (both["n"] == both["n_days"]).all()
    missing = scenarios_of.join(cut, on=keys, how="anti")
    traded = missing.filter(pl.col("strategy") != "sp500_price_index")
    assert traded["n_days"].sum() == 0  # a state without days has no row of slices
    known = both.drop_nulls("value")
    assert known.height > 20
    assert (known["value"] - known["annual_volatility"]).abs().max() < 1e-12
    assert both.filter(pl.col("value").is_null())["annual_volatility"].null_count() == (
        both.height - known.height
    )


def test_days_of_both_states_at_once_are_in_both(outputs):
    """Days of bull_high_volatility and so on, summed over one state, are those of the other."""
    table = outputs[scenarios.name][2][contracts.SCENARIOS.table]
    days = {
        (row["run_id"], row["dimension"], row["scenario"]): row["n_days"]
        for row in table.iter_rows(named=True)
    }
    for run_id in table["run_id"].unique():
        for market in contracts.DAY_STATES["market"]:
            parts = sum(
                days[run_id, "market_volatility", f"{market}_{level}_volatility"]
                for level in contracts.DAY_STATES["volatility"]
            )
            assert parts == days[run_id, "market", market]  # both tables begin on the same day
    assert (
        table.filter(dimension="market_volatility", scenario="bull_high_volatility")["n_days"].min()
        > 0
    )


def test_crises_the_data_cover_are_counted_and_the_others_listed(outputs):
    table = outputs[scenarios.name][2][contracts.CRISES.table]
    covered = set(table.filter("covered")["crisis"])
    # bars of January 2010 to July 2011
    assert covered == {"euro_crisis_2010", "flash_crash_2010"}
    assert set(table["crisis"]) == {crisis.name for crisis in crises.CRISES}
    missed = table.filter(~pl.col("covered"))
    assert missed["note"].str.starts_with("not covered: the window is").all()
    plain = table.filter(strategy="one_over_n", crisis="flash_crash_2010")
    assert plain["return_above_one_over_n"].to_list() == [0.0]


def test_stresses_are_trials_that_never_count_as_candidates(outputs, inputs):
    _, output, frames, _ = outputs[stressed.name]
    trials = cast_to_contract(output.ledgers[evidence.TRIALS], evidence.TRIALS)
    assert violations(trials, evidence.TRIALS).is_empty()
    assert set(trials["purpose"]) == {"stress"}
    table = frames[contracts.STRESSES.table]
    recorded = table.drop_nulls("trial_id")
    assert set(recorded["trial_id"]) == set(trials["trial_id"])
    # six strategies; two costs, one delay, half liquidity, two draws
    assert trials["trial_id"].n_unique() == recorded.height == 6 * 6
    assert set(table.filter(pl.col("trial_id").is_null())["kind"]) == {"none", "bootstrap"}
    assert set(table["strategy"]) == {name for name, _ in TARGETS.values()}
    note = table.filter(kind="universe")["note"][0]
    assert note.startswith("20% of the symbols left out")


def test_a_strategy_is_compared_with_one_over_n_under_the_same_stress(outputs):
    """The weights of 1/N under another name are never above it, whatever the stress."""
    table = outputs[stressed.name][2][contracts.STRESSES.table]
    again = table.filter(strategy="one_over_n_again")
    assert set(again["mean_above_one_over_n_annual"]) == {0.0}
    assert table.filter(strategy="one_over_n")["mean_above_one_over_n_annual"].null_count() == 10
    assert again.filter(kind="cost")["sharpe"].n_unique() == 2


def test_stressed_runs_are_the_same_again(settings, inputs, outputs):
    again = stressed.compute(step(settings), **{name: inputs[name] for name in stressed.inputs})
    output = outputs[stressed.name][1]
    assert again.ledgers[evidence.TRIALS].equals(output.ledgers[evidence.TRIALS])


def changed(frame: pl.DataFrame, **columns) -> pl.DataFrame:
    """`frame` with columns of its first row with days changed."""
    first = pl.int_range(pl.len()) == pl.lit(0)
    return frame.with_columns(
        pl.when(first).then(value).otherwise(pl.col(name)).alias(name)
        for name, value in columns.items()
    )


@pytest.mark.parametrize(
    ("check", "break_it"),
    [
        ("slices_partition_the_days", lambda f: changed(f, n_days=pl.col("n_days") + 1)),
        ("slices_partition_the_days", lambda f: changed(f, log_growth=pl.col("log_growth") + 0.01)),
        ("slices_partition_the_days", lambda f: f.filter(pl.col("dimension") == "market")),
        ("slices_partition_the_days", lambda f: f.filter(pl.col("run_id") != f["run_id"][0])),
    ],
)
def test_slices_that_do_not_partition_are_refused(outputs, settings, check, break_it):
    made = outputs[scenarios.name]
    name = contracts.SCENARIOS.table
    assert not answers(made, settings, frames={name: break_it(made[2][name])})[check]


def test_slices_by_the_state_of_the_same_day_are_refused(outputs, settings, inputs):
    """Labels moved one bar earlier are the state of the day itself: known only after it."""
    made = outputs[scenarios.name]
    moved = {
        name: inputs[name].sort("ts").with_columns(pl.col("state").shift(-1))
        for name in ("market_states", "volatility_states")
    }
    peeking = tables.scenario_table(inputs["equity"], **moved, scope="test")
    found = answers(made, settings, frames={contracts.SCENARIOS.table: peeking})
    assert not found["state_known_before_the_day"]
    assert found["slices_partition_the_days"]


def test_a_hollow_table_is_refused(outputs, settings, inputs):
    """Figures of another history do not answer to a return planted in this one."""
    made = outputs[scenarios.name]
    name = contracts.SCENARIOS.table
    hollow = made[2][name].with_columns(log_growth=pl.lit(0.1))
    assert not answers(made, settings, frames={name: hollow})["not_hollow"]


@pytest.mark.parametrize(
    "break_it",
    [
        lambda f: f.filter(pl.col("crisis") != "covid_2020"),
        lambda f: f.with_columns(covered=pl.lit(True)),
        lambda f: f.with_columns(covered=pl.lit(False), note=pl.lit("not covered")),
    ],
)
def test_crises_left_out_or_invented_are_refused(outputs, settings, break_it):
    made = outputs[scenarios.name]
    name = contracts.CRISES.table
    found = answers(made, settings, frames={name: break_it(made[2][name])})
    assert not found["every_window_is_listed"]


@pytest.mark.parametrize(
    ("check", "break_it"),
    [
        ("unstressed_is_the_run", lambda f: f.filter(pl.col("strategy") != "hrp")),
        (
            "unstressed_is_the_run",
            lambda f: f.with_columns(annual_return=pl.col("annual_return") + 1e-6),
        ),
        (
            "costs_bite",  # the dearer case has the figures of the cheaper one
            lambda f: f.with_columns(
                annual_return=pl.when(pl.col("kind") == "cost")
                .then(pl.col("annual_return").max().over("strategy", "kind"))
                .otherwise("annual_return")
            ),
        ),
        (
            "costs_bite",
            lambda f: f.with_columns(
                parameter=pl.when(pl.col("kind") == "cost")
                .then(50 - pl.col("parameter"))
                .otherwise("parameter")
            ),
        ),
    ],
)
def test_stresses_that_change_nothing_are_refused(outputs, settings, check, break_it):
    made = outputs[stressed.name]
    name = contracts.STRESSES.table
    assert not answers(made, settings, frames={name: break_it(made[2][name])})[check]


def test_without_one_over_n_there_is_nothing_to_compare_with(settings, inputs):
    own = {name: inputs[name] for name in stressed.inputs}
    own["runs"] = own["runs"].filter(pl.col("strategy") != "one_over_n")
    with pytest.raises(ValueError, match="no run of one_over_n"):
        stressed.compute(step(settings), **own)


@pytest.mark.parametrize("edge", ["equity", "market_states", "volatility_states"])
def test_every_edge_moves_the_slices(settings, inputs, outputs, edge):
    own = {name: inputs[name] for name in scenarios.inputs}
    if edge == "equity":
        own[edge] = own[edge].with_columns(pl.col("net_return") / 2)
    else:
        own[edge] = own[edge].with_columns(pl.col("state").reverse())
    again = scenarios.compute(step(settings), **own).frames[contracts.SCENARIOS.table]
    table = outputs[scenarios.name][2][contracts.SCENARIOS.table]
    keys = ["run_id", "dimension", "scenario"]
    both = table.join(again, on=keys, suffix="_again")
    moved = both.filter(pl.col("log_growth") != pl.col("log_growth_again"))
    wanted = {"equity": {"market", "volatility"}}.get(edge, {edge.removesuffix("_states")})
    wanted |= {"market_volatility"}  # both states at once: moved by either
    assert set(moved["dimension"]) == wanted


@pytest.mark.parametrize("edge", ["bars", "rank"])
def test_every_edge_moves_the_stresses(settings, inputs, outputs, edge):
    own = {name: inputs[name] for name in stressed.inputs}
    if edge == "bars":
        late = own["bars"]["ts"].unique().sort()[200]
        scaled = (pl.col("symbol") == "S00") & (pl.col("ts") >= late)
        own["bars"] = own["bars"].with_columns(
            pl.when(scaled).then(pl.col(name) * 2).otherwise(name).alias(name)
            for name in ("adj_close", "adj_open")
        )
    else:
        own[edge] = own[edge].with_columns(pl.col("weight") / 2)
    again = stressed.compute(step(settings), **own).frames
    if isinstance(again, dict):
        again = again[contracts.STRESSES.table]
    table = outputs[stressed.name][2][contracts.STRESSES.table]
    both = table.join(again, on=["strategy", "kind", "case"], suffix="_again")
    moved = set(both.filter(pl.col("annual_return") != pl.col("annual_return_again"))["strategy"])
    assert moved == (
        {"tilted"} if edge == "rank" else {name for name, _ in TARGETS.values()} - {"ppo"}
    )
