"""Each check passes on what the room makes, and fails on what it must not let through."""

from __future__ import annotations

import polars as pl
import pytest

from btq_assets.contracts.checks import CheckContext
from btq_assets.portfolio.baselines import baseline_targets
from btq_assets.portfolio.gates import (
    forecast_matters_check,
    limits_check,
    perturb_history,
    returns_matter_check,
    turn_over,
)
from btq_assets.portfolio.kelly import kelly_targets
from btq_assets.portfolio.ranks import rank_targets

MODELS = ("ridge", "lightgbm", "transformer_gnn")


def recompute_rank(inputs, config, since):
    return rank_targets(
        {m: inputs[m] for m in MODELS}, inputs["bars"], inputs["states"], config, since=since
    )


def recompute_kelly(inputs, config, since):
    return kelly_targets({m: inputs[m] for m in MODELS}, inputs["bars"], config, since=since)


def recompute_baselines(inputs, config, since):
    return baseline_targets(inputs["bars"], inputs["splits"], config, since=since)


def answers(group, frame, case):
    inputs = {**case.forecasts, "bars": case.bars, "states": case.states, "splits": case.splits}
    context = CheckContext({"t": frame}, inputs, case.config)
    return {outcome.name: outcome for outcome in group.answer(context)}


@pytest.fixture
def ranks(case):
    return rank_targets(case.forecasts, case.bars, case.states, case.config)


def test_limits_and_completeness_pass_on_real_tables(case, ranks):
    assert all(outcome.passed for outcome in answers(limits_check(), ranks, case).values())
    even = baseline_targets(case.bars, case.splits, case.config)
    group = limits_check(once=("buy_and_hold",))
    assert all(outcome.passed for outcome in answers(group, even, case).values())
    # Buy and hold decides once; only where that is declared.
    assert not answers(limits_check(), even, case)["complete_cross_section"].passed


def first_row(frame):
    first = frame.row(0, named=True)
    return (
        (pl.col("strategy") == first["strategy"])
        & (pl.col("symbol") == first["symbol"])
        & (pl.col("ts") == first["ts"])
    )


@pytest.mark.parametrize("weight", [0.51, -0.51])
def test_one_position_over_its_limit_fails(case, ranks, weight):
    over = ranks.with_columns(
        weight=pl.when(first_row(ranks)).then(weight).otherwise(pl.col("weight") * 0.1)
    )
    outcome = answers(limits_check(), over, case)["limits"]
    assert not outcome.passed
    assert "max_position_size" in outcome.message


def test_gross_over_its_limit_fails(case, ranks):
    outcome = answers(limits_check(), ranks.with_columns(weight=pl.lit(0.3)), case)["limits"]
    assert not outcome.passed
    assert "max_gross_exposure" in outcome.message


def test_a_missing_cell_an_unknown_symbol_and_a_missing_decision_fail(case, ranks):
    name = "complete_cross_section"
    hole = ranks.filter(~first_row(ranks))
    assert "no weight for S00" in answers(limits_check(), hole, case)[name].message
    renamed = pl.concat([ranks, ranks.filter(first_row(ranks)).with_columns(symbol=pl.lit("NOPE"))])
    assert "unknown NOPE" in answers(limits_check(), renamed, case)[name].message
    skipped = ranks.filter((pl.col("ts") != case.decisions[4]) | (pl.col("strategy") != "lightgbm"))
    assert "5 of 6 strategies" in answers(limits_check(), skipped, case)[name].message


def test_forecasts_matter_and_a_strategy_that_ignores_them_fails(case, ranks):
    assert answers(forecast_matters_check(recompute_rank, MODELS), ranks, case)["not_hollow"].passed
    hollow = forecast_matters_check(lambda inputs, config, since: ranks, MODELS)
    assert "hollow" in answers(hollow, ranks, case)["not_hollow"].message

    # One strategy alone that ignores its forecast is enough to fail.
    def one_deaf(inputs, config, since):
        fresh = recompute_rank(inputs, config, since)
        deaf = ranks.filter((pl.col("strategy") == "ridge") & (pl.col("ts") >= since))
        return pl.concat([fresh.filter(pl.col("strategy") != "ridge"), deaf])

    outcome = answers(forecast_matters_check(one_deaf, MODELS), ranks, case)["not_hollow"]
    assert not outcome.passed
    assert "['ridge']" in outcome.message


def test_a_strategy_that_buys_what_is_forecast_to_fall_fails(case):
    def upside_down(inputs, config, since=None):
        turned = {m: inputs[m].with_columns(-pl.col("forecast")) for m in MODELS}
        return rank_targets(turned, inputs["bars"], inputs["states"], config, since=since)

    frame = upside_down({**case.forecasts, "bars": case.bars, "states": case.states}, case.config)
    outcome = answers(forecast_matters_check(upside_down, MODELS), frame, case)["not_hollow"]
    assert not outcome.passed


def test_kelly_may_find_nothing_to_believe_and_then_says_so(case):
    frame = kelly_targets(case.forecasts, case.bars, case.config)
    lenient = forecast_matters_check(recompute_kelly, MODELS, may_ignore=lambda config: True)
    assert answers(lenient, frame, case)["not_hollow"].passed
    inert = forecast_matters_check(lambda i, c, s: frame, MODELS, may_ignore=lambda config: True)
    outcome = answers(inert, frame, case)["not_hollow"]
    assert outcome.passed
    assert "no effect" in outcome.message


def test_returns_matter_and_a_frozen_table_fails(case):
    frame = baseline_targets(case.bars, case.splits, case.config)
    expected = {"momentum_12_1": "trend", "risk_parity": "volatility"}
    group = returns_matter_check(recompute_baselines, expected)
    assert answers(group, frame, case)["not_hollow"].passed
    frozen = returns_matter_check(lambda inputs, config, since: frame, expected)
    assert not answers(frozen, frame, case)["not_hollow"].passed
    with pytest.raises(ValueError, match="not known"):
        perturb_history(case.bars, "S00", "colour")


def test_turning_over_touches_one_cell_and_makes_it_the_lowest(case):
    before, at = case.forecasts["ridge"], case.decisions[2]
    after = turn_over(before, "S01", at)
    changed = (before["forecast"] != after["forecast"]).to_numpy()
    assert before.filter(changed).select("symbol", "ts").unique().rows() == [("S01", at)]
    here = after.filter((pl.col("ts") == at) & (pl.col("variant") == "base")).sort("forecast")
    assert here["symbol"][0] == "S01"
