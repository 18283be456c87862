"""The asset of transaction costs as the graph calls it, on the engine's own fills."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from btq_assets.backtest.run import run_strategies
from btq_assets.config import TradingConfig
from btq_assets.contracts import backtest, portfolio
from btq_assets.contracts import execution as contracts
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.checks import CheckContext
from btq_assets.execution.assets import transaction_costs
from btq_assets.timeline import decision_times
from btq_assets.warehouse import Step


@pytest.fixture(params=["ohlcv", "closes"])
def inputs(request, bars, close_only_bars):
    market = bars if request.param == "ohlcv" else close_only_bars
    settings = TradingConfig(universe={"main": "test"}, backtest={"bootstrap_samples": 100})
    symbols = sorted(market["symbol"].unique())
    decisions = decision_times(market["ts"], "week")
    random = np.random.default_rng(3)
    rows = [
        (strategy, "test", symbol, ts, float(weight))
        for strategy in ("one_over_n", "ridge")
        for ts in decisions
        for symbol, weight in zip(
            symbols,
            np.full(4, 0.25) if strategy == "one_over_n" else random.dirichlet(np.ones(4)),
            strict=True,
        )
    ]
    targets = pl.DataFrame(rows, schema=portfolio.TARGETS_RANK.schema, orient="row")
    done = run_strategies(
        market, targets, settings, baselines=frozenset({"one_over_n"}), code_version="t"
    ).by_table()
    return {
        "trades": done[backtest.TRADES.table],
        "unfilled": done[backtest.UNFILLED_ORDERS.table],
        "runs": done[backtest.RUNS.table],
        "bars": market,
    }


def step():
    return Step(
        config=TradingConfig(),
        run_id="test",
        now=dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        log=print,
        code_version="t",
        data_versions={},
        read_ledger=lambda contract: contract.empty(),
        artifacts=None,
    )


def test_the_engine_s_fills_are_analysed_checked_and_drawn(inputs):
    output = transaction_costs.compute(step(), **inputs)
    frame = cast_to_contract(output.frames, contracts.TRANSACTION_COSTS)
    assert violations(frame, contracts.TRANSACTION_COSTS).is_empty()
    assert frame.height == inputs["trades"].height > 300
    context = CheckContext({contracts.TRANSACTION_COSTS.table: frame}, inputs, step().config)
    for group in transaction_costs.checks:
        assert [a.message for a in group.answer(context) if not a.passed] == []
    assert all(png.startswith(b"\x89PNG") for png in output.plots.values())
    opens = inputs["bars"]["adj_open"].null_count() == 0
    # the engine fills at the open where there is one: all of the waiting is delay
    assert (frame["delay_cost"].null_count() == 0) == opens
    assert ("impact of each strategy" in output.plots) == opens
    assert "shortfall in parts" in output.plots
    if opens:
        assert frame["timing_cost"].abs().max() == 0.0
    assert "opportunity" not in output.metadata["unknown"]
    # the costs of buying with all cash leave something unfilled, and nothing of it is unknown
    assert frame["opportunity_cost"].null_count() == 0
    missed = frame.filter(pl.col("unfilled_shares") != 0)
    assert missed.height == inputs["unfilled"].height > 10
    assert (missed["opportunity_cost"] != 0).any()
    summary = output.metadata["summary"]
    assert set(summary["strategy"]) == {"one_over_n", "ridge"}


@pytest.mark.parametrize("edge", ["trades", "unfilled", "runs", "bars"])
def test_every_edge_matters(inputs, edge):
    before = transaction_costs.compute(step(), **inputs).frames
    moved = {
        "trades": lambda f: f.with_columns(pl.col("spread_cost") + 1.0),
        "unfilled": lambda f: f.with_columns(pl.col("unfilled_shares") + 1.0),
        "runs": lambda f: f.filter(pl.col("strategy") != "ridge"),
        "bars": lambda f: f.with_columns(pl.col("adj_close") * 1.01),
    }[edge](inputs[edge])
    if edge == "runs":
        with pytest.raises(ValueError, match="unknown run"):
            transaction_costs.compute(step(), **(inputs | {edge: moved}))
        return
    after = transaction_costs.compute(step(), **(inputs | {edge: moved})).frames
    if edge == "unfilled":
        changed = before["shortfall_cost"] != after["shortfall_cost"]
        assert changed.sum() == (before["unfilled_shares"] != 0).sum() == moved.height
        return
    assert (before["shortfall_cost"] != after["shortfall_cost"]).all()
