"""What was ordered and not filled, priced after Perold (1988), by hand and against checks."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from order_cases import bars as event_bars
from order_cases import run as event_run

from btq_assets.backtest.run import run_strategies
from btq_assets.config import TradingConfig
from btq_assets.contracts import backtest, portfolio
from btq_assets.contracts import execution as contracts
from btq_assets.contracts.base import violations
from btq_assets.contracts.checks import CheckContext
from btq_assets.engine.codes import TimeInForce
from btq_assets.engine.terms import Account, Instruments
from btq_assets.execution import checks
from btq_assets.execution.cost_analysis import by_strategy, transaction_costs
from btq_assets.execution.shortfall import ShortfallError, of_orders

RUNS = pl.DataFrame({"run_id": ["r"], "universe": ["test"]})


def test_a_participation_limit_leaves_its_opportunity_cost():
    """1,000 wanted at a close of 100; 10 % of 4,000 shares trade at the open of 102: 400 filled, a
    day order, 600 missed until the close of 105. Delay 400 x 2 = 800, missed 600 x 5 = 3,000: 3,800
    of 100,000, 380 bps. Without the limit all 1,000 are filled: 2,000 and nothing missed."""
    days = event_bars([(100.0, 101, 99, 100, 4_000), (102.0, 106, 101, 105, 4_000)])
    day_order = {"force": int(TimeInForce.DAY), "account": Account(200_000.0)}

    def shortfall(**limit):
        done = event_run(days, 1_000, options={"instruments": Instruments(**limit)}, **day_order)
        (order,) = of_orders(done, np.array([100.0]), np.array([102.0]), np.array([105.0]))
        return done.orders["filled"][0], order

    filled, limited = shortfall(participation=0.1)
    assert filled == 400.0
    assert (limited.delay, limited.opportunity) == (800.0, 3_000.0)
    assert (limited.total, limited.bps) == (3_800.0, 380.0)
    filled, free = shortfall()
    assert (filled, free.opportunity, free.total) == (1_000.0, 0.0, 2_000.0)


def test_orders_and_prices_that_do_not_belong_together_are_named():
    done = event_run(event_bars([(100.0, 101, 99, 100, 9), (102.0, 106, 101, 105, 9)]), 10)
    one = np.array([100.0])
    with pytest.raises(ShortfallError, match="prices of"):
        of_orders(done, np.array([1.0, 2.0]), one, one)
    done.multiplier[:] = 50.0
    with pytest.raises(ShortfallError, match="contracts"):
        of_orders(done, one, one, one)


def orders(bars, wanted, filled):
    """One order of S00 decided on bar 5, ended on bar 6, missed until bar 10."""
    ts = bars["ts"].unique().sort()
    trades = pl.DataFrame(
        [{"run_id": "r", "strategy": "s", "symbol": "S00", "decided_at": ts[5],
          "filled_at": ts[6], "shares": filled, "price": 10.3, "commission": 0.5,
          "spread_cost": 2.0, "impact_cost": 1.0, "reason": "rebalance"}],
        schema=backtest.TRADES.schema,
    )  # fmt: skip
    if not filled:
        trades = trades.clear()
    missed = pl.DataFrame(
        [{"run_id": "r", "strategy": "s", "symbol": "S00", "decided_at": ts[5],
          "ended_at": ts[6], "horizon_at": ts[10], "wanted_shares": wanted,
          "filled_shares": filled, "unfilled_shares": wanted - filled, "reason": "cash"}],
        schema=backtest.UNFILLED_ORDERS.schema,
    )  # fmt: skip
    return trades, missed if wanted != filled else missed.clear()


@pytest.fixture
def priced(bars):
    """Decided at a close of 10, open 10.2, and a close of 11 at the end of the horizon (bar 10)."""
    ts = bars["ts"].unique().sort()
    close = pl.when(pl.col("ts") == ts[10]).then(11.0).otherwise(10.0)
    return bars.with_columns(adj_close=close, adj_open=10.2, adj_high=10.6, adj_low=10.0)


def answers(frame, trades, bars, unfilled):
    inputs = {"trades": trades, "unfilled": unfilled, "runs": RUNS, "bars": bars}
    context = CheckContext({contracts.TRANSACTION_COSTS.table: frame}, inputs, None)
    return {a.name: a.passed for group in checks.ALL for a in group.answer(context)}


@pytest.mark.parametrize(
    ("filled", "opportunity", "total", "bps"),
    [
        # 100 at 10.3 against 10: 30, and 3.5 charged, of 1,000 on paper; nothing missed
        (100.0, 0.0, 33.5, 335.0),
        # 60 at 10.3: 18, and 3.5; 40 missed from 10 to 11: 40
        (60.0, 40.0, 61.5, 615.0),
        # nothing filled, nothing charged: 100 missed
        (0.0, 100.0, 100.0, 1_000.0),
    ],
)
def test_a_hundred_shares_wanted_by_hand(priced, filled, opportunity, total, bps):
    trades, missed = orders(priced, 100.0, filled)
    costs = transaction_costs(trades, RUNS, priced, missed)
    assert violations(costs, contracts.TRANSACTION_COSTS).is_empty()
    row = costs.row(0, named=True)
    assert row["opportunity_cost"] == pytest.approx(opportunity)
    assert row["unfilled_shares"] == 100.0 - filled
    assert row["shortfall_cost"] == pytest.approx(total)
    assert row["shortfall_bps"] == pytest.approx(bps)
    assert row["unknown"] == ""
    if filled:
        assert by_strategy(costs)["opportunity_bps"][0] == pytest.approx(
            1e4 * opportunity / (filled * 10.3)
        )
        assert answers(costs, trades, priced, missed) == {
            "parts_sum_to_shortfall": True, "not_hollow": True,
        }  # fmt: skip
        lost = costs.with_columns(opportunity_cost=pl.col("opportunity_cost") + 1.0)
        assert not answers(lost, trades, priced, missed)["parts_sum_to_shortfall"]
    else:
        assert (row["value"], row["fill_price"], row["waiting_cost"]) == (0.0, None, 0.0)
        assert by_strategy(costs)["opportunity_bps"][0] is None
        assert answers(costs, trades, priced, missed)["parts_sum_to_shortfall"]
        assert not answers(costs.clear(), trades, priced, missed)["parts_sum_to_shortfall"]


def test_a_missing_close_at_the_end_of_the_horizon_is_said(priced):
    trades, missed = orders(priced, 100.0, 60.0)
    hole = priced.filter(pl.col("ts") != missed["horizon_at"][0])
    row = transaction_costs(trades, RUNS, hole, missed).row(0, named=True)
    assert row["opportunity_cost"] is None
    assert row["unknown"] == "opportunity: no size or no price of what was missed"
    assert row["shortfall_cost"] == pytest.approx(18 + 3.5)


def test_the_hollow_check_refuses_an_opportunity_that_no_price_moves(priced, monkeypatch):
    trades, missed = orders(priced, 100.0, 60.0)
    good = transaction_costs(trades, RUNS, priced, missed)

    def blind(*given):
        row = transaction_costs(*given)
        return row.with_columns(opportunity_cost=pl.lit(good["opportunity_cost"][0]))

    monkeypatch.setattr(checks, "transaction_costs", blind)
    assert not answers(good, trades, priced, missed)["not_hollow"]


def test_the_engine_s_own_unfilled_orders_add_up(bars):
    """1/N of all cash with costs: each buying day leaves what the costs take; the check of the
    backtest sees a fill that is not the order's and an order that is not stored."""
    from btq_assets.backtest.unfilled_checks import ORDERS_ADD_UP

    stamps = bars["ts"].unique().sort().gather_every(20)
    targets = pl.DataFrame(
        [("one_over_n", "test", symbol, ts, 0.25) for ts in stamps for symbol in
         sorted(bars["symbol"].unique())],
        schema=portfolio.TARGETS_RANK.schema, orient="row",
    )  # fmt: skip
    hole = bars.filter(~((pl.col("symbol") == "S02") & (pl.col("ts") == bars["ts"][21])))
    config = TradingConfig(universe={"main": "test"}, backtest={"bootstrap_samples": 100})
    tables = run_strategies(hole, targets, config, baselines=["one_over_n"]).by_table()
    missed = tables[backtest.UNFILLED_ORDERS.table]
    assert violations(missed, backtest.UNFILLED_ORDERS).is_empty()
    assert set(missed["reason"]) == {"cash", "no_price"}
    costs = transaction_costs(
        tables[backtest.TRADES.table], tables[backtest.RUNS.table], hole, missed
    )
    assert costs["opportunity_cost"].null_count() == 0
    assert costs.filter(pl.col("unfilled_shares") != 0).height == missed.height
    assert costs.filter(pl.col("shares") == 0).height == 1

    def answer(**changed):
        (told,) = ORDERS_ADD_UP.answer(CheckContext(tables | changed, {}, None))
        return told.passed

    table = backtest.UNFILLED_ORDERS.table
    assert answer()
    assert not answer(**{table: missed.with_columns(pl.col("filled_shares") * 1.01)})
    assert not answer(**{table: missed.with_columns(pl.col("wanted_shares") * -1)})
    assert not answer(**{table: missed.filter(pl.col("filled_shares") != 0)})
