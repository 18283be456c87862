"""Orders the target-weight engine could not fill, by hand, and against the engine's own counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btq_assets.engine.costs import CostModel
from btq_assets.engine.simulation import simulate
from btq_assets.engine.unfilled import REASONS, unfilled_orders

NAN = np.nan


def orders_of(prices, targets, costs=None, cash=1_000.0, **options):
    prices, targets = np.array(prices, dtype=float), np.array(targets, dtype=float)
    done = simulate(prices, prices, targets, costs or CostModel(), initial_cash=cash, **options)
    kept = {name: options[name] for name in ("sizing", "lot_size") if name in options}
    return done, unfilled_orders(done, targets, prices, **kept)


def test_buys_scaled_to_the_cash_leave_what_costs_take():
    """1,000 in cash, all of it wanted at 10, 1 % commission: 100 ordered, 1,000/10.10 = 99.0099
    bought, 0.990099 missed until the decision of bar 2."""
    done, found = orders_of(
        [[10.0]] * 4, [[1.0], [NAN], [0.0], [NAN]], CostModel(commission_bps=100)
    )
    assert found.size == done.n_scaled_bars == 1
    row = found[0]
    assert (row["decided_bar"], row["bar"], row["until_bar"]) == (0, 1, 2)
    assert row["wanted"] == 100.0
    assert row["wanted"] - row["filled"] == pytest.approx(100 - 1_000 / 10.1, rel=1e-12)
    assert REASONS[row["reason"]] == "cash"


def test_an_order_without_a_price_is_missed_whole():
    """Half of 1,000 in each of two at 10: 50 shares; the second has no price at bar 1. Nothing is
    decided again, so it is missed until the last bar. The sale of bar 3 has no bar to fill at."""
    done, found = orders_of([[10, 10], [10, NAN], [10, 12], [10, 12]],
                            [[0.5, 0.5], [NAN, NAN], [NAN, NAN], [0.0, 0.0]])  # fmt: skip
    assert done.n_rejected == 1
    assert found.tolist() == [(0, 1, 3, 1, 50.0, 0.0, REASONS.index("no_price"))]


def test_refused_orders_and_sales_that_cost_more_than_they_bring():
    """60 % and 60 % of 1,000 at 10 with gross 1.2: the first 60 are bought, 60 more find 400."""
    done, found = orders_of([[10, 10]] * 2, [[0.6, 0.6], [NAN, NAN]],
                            on_short_cash="reject", max_gross=1.2)  # fmt: skip
    assert [(r["asset"], r["wanted"], r["filled"]) for r in found] == [(1, 60.0, 0.0)]
    assert done.n_refused_cash == 1
    # 100 shares of 10; a fee of 11 a share to sell them at bar 3 brings less than nothing
    prices = np.array([[10.0]] * 4)
    targets = np.array([[0.4], [NAN], [0.0], [NAN]])
    fee = CostModel(commission_per_share=11.0)
    raw = np.array([[10_000.0], [10_000.0], [10.0], [10.0]])
    done = simulate(prices, prices, targets, fee, initial_cash=1_000.0, raw_prices=raw)
    found = unfilled_orders(done, targets, prices)
    assert [REASONS[r["reason"]] for r in found] == ["cost"]
    assert found["wanted"] == -done.shares[1]


def test_what_is_below_a_lot_was_never_ordered():
    """105 wanted, lots of 10: 100 ordered and bought; nothing was missed."""
    done, found = orders_of([[10.0]] * 3, [[1.0], [NAN], [NAN]], cash=1_050.0, lot_size=10.0)
    assert done.shares[-1, 0] == 100.0
    assert found.size == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["decision", "fill"]),
       st.sampled_from(["scale", "reject"]), st.sampled_from([0.0, 1.0]))  # fmt: skip
def test_orders_without_any_fill_are_as_many_as_the_engine_refused(seed, sizing, short, lot):
    random = np.random.default_rng(seed)
    prices = 50 * np.exp(np.cumsum(random.normal(0, 0.02, (30, 3)), axis=0))
    prices[random.random(prices.shape) < 0.05] = NAN
    prices[0] = 50.0
    targets = random.dirichlet(np.ones(3), 30) * random.choice([0.9, 1.0], (30, 1))
    targets[random.random(30) < 0.5] = NAN
    done, found = orders_of(prices, targets, CostModel(commission_bps=20, half_spread_bps=5.0),
                            sizing=sizing, on_short_cash=short, lot_size=lot)  # fmt: skip
    assert np.count_nonzero(found["filled"] == 0) == done.n_rejected
    partly = found[found["filled"] != 0]
    assert np.all(np.abs(partly["filled"]) < np.abs(partly["wanted"]))
    # zero costs and cash to spare: everything with a price is filled
    free, none = orders_of(prices, targets * 0.5, sizing=sizing, lot_size=lot)
    assert np.all(none["reason"] == REASONS.index("no_price"))
    assert none.size == free.n_unpriced
