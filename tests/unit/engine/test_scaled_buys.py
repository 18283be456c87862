"""Buys of one tick cut in the same proportion when cash is short: by hand, against the target-weight
engine, and invariants."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from order_cases import status

from btq_assets.engine.books import check_books
from btq_assets.engine.codes import Reason
from btq_assets.engine.costs import CostModel
from btq_assets.engine.order_simulation import simulate_orders
from btq_assets.engine.orders import order_table, orders_from_targets
from btq_assets.engine.simulation import simulate
from btq_assets.engine.stream import stream_from_panels
from btq_assets.engine.terms import Account, Instruments, OrderCosts


def run(prices, sizes, *, cash=1_000.0, margin=1.0, rule="scale", **options):
    """One order of each asset, decided on the first bar; books are checked."""
    prices = np.asarray(prices, dtype=float)
    n_bars, n_assets = prices.shape
    done = simulate_orders(
        stream_from_panels(np.arange(n_bars), prices),
        order_table(np.zeros(n_assets, dtype=int), np.arange(n_assets), sizes),
        Account(cash, initial_margin=margin, on_short_cash=rule),
        **options,
    )
    check_books(done, 1e-9)
    return done


def test_all_buys_are_cut_alike():
    """100 at 10 and 50 at 20 cost 2,000; there are 1,000: half of each. Refused: the second."""
    done = run([[10, 20]] * 3, [100.0, 50.0])
    assert done.fills["shares"] == pytest.approx([50, 25], rel=1e-12)
    assert status(done) == ["CANCELLED", "CANCELLED"]
    assert set(done.orders["reason"]) == {Reason.SHORT_OF_CASH}
    assert done.cash[-1] == pytest.approx(0, abs=1e-9)
    assert run([[10, 20]] * 3, [100.0, 50.0], rule="reject").fills["shares"].tolist() == [100]
    assert run([[10, 20]] * 3, [90.0, 50.0], rule="cut").fills["shares"] == pytest.approx([90, 5])


def test_costs_leverage_and_lots_count():
    """1 % on 2,000: `1000 / 2020`; half margin covers all; lots of 10: 40 and 20, not 49.5 and 24.75."""
    costs = OrderCosts(taker_bps=100)
    done = run([[10, 20]] * 3, [100.0, 50.0], costs=costs)
    assert done.fills["shares"] == pytest.approx([100 * 1000 / 2020, 50 * 1000 / 2020], rel=1e-12)
    assert run([[10, 20]] * 3, [100.0, 50.0], margin=0.5).fills["shares"].tolist() == [100, 50]
    lots = run([[10, 20]] * 3, [100.0, 50.0], costs=costs, instruments=Instruments(lot_size=10))
    assert lots.fills["shares"].tolist() == [40, 20]


def test_a_buy_that_closes_a_short_stays_whole():
    """Short 20 at 10 and cash 1,200: closing takes 200; 200 at 10 of the other is cut to 100."""
    prices = np.full((4, 2), 10.0)
    orders = order_table([0, 1, 1], [0, 0, 1], [-20.0, 20.0, 200.0])
    account = Account(1_000.0, on_short_cash="scale")
    done = simulate_orders(stream_from_panels(np.arange(4), prices), orders, account)
    check_books(done, 1e-9)
    assert done.fills["shares"] == pytest.approx([-20, 20, 100], rel=1e-12)


def test_sells_of_the_tick_pay_first_and_enough_cash_cuts_nothing():
    prices = np.full((5, 2), 10.0)
    orders = order_table([0, 2, 2], [0, 0, 1], [100.0, -100.0, 90.0])
    account = Account(1_000.0, on_short_cash="scale")
    done = simulate_orders(stream_from_panels(np.arange(5), prices), orders, account)
    assert done.fills["shares"].tolist() == [100, -100, 90]
    assert status(done) == ["FILLED"] * 3


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_target_weight_engine_scales_alike(seed):
    """`simulate` with its default: the same equity, fill by fill, commission and spread on."""
    random = np.random.default_rng(seed)
    n_bars, n_assets = 25, 4
    prices = 20 * np.exp(np.cumsum(random.normal(0, 0.05, (n_bars, n_assets)), axis=0))
    weights = random.dirichlet(np.ones(n_assets), n_bars)
    weights[random.random(n_bars) < 0.4] = np.nan
    peer = simulate(prices, prices, weights, CostModel(10, 20), initial_cash=1e5)
    done = simulate_orders(
        stream_from_panels(np.arange(n_bars), prices),
        orders_from_targets(np.arange(n_bars), weights),
        Account(1e5, on_short_cash="scale"),
        costs=OrderCosts(taker_bps=10, half_spread_bps=20),
    )
    check_books(done, 1e-9)
    assert peer.n_scaled_bars > 0 or np.isnan(weights[:-1]).all()
    assert np.abs(done.equity / peer.equity - 1).max() < 1e-9
    assert done.fills.size == peer.fills.size
    bought = done.fills["shares"][np.lexsort((done.fills["asset"], done.fills["time"]))]
    theirs = peer.fills["shares"][np.lexsort((peer.fills["asset"], peer.fills["bar"]))]
    assert np.allclose(bought, theirs, rtol=1e-7, atol=1e-7)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 0.5, 0.25]))
def test_never_more_than_leverage_allows(seed, margin):
    """Gross value at fill prices stays within equity over margin; books balance; nothing grows."""
    random = np.random.default_rng(seed)
    n_bars, n_assets, n = 30, 4, 60
    prices = np.broadcast_to(random.uniform(5, 100, n_assets), (n_bars, n_assets)).copy()
    row = np.sort(random.integers(0, n_bars - 1, n))
    orders = order_table(
        row,
        random.integers(0, n_assets, n),
        random.integers(1, 2_000, n) * random.choice([-1.0, 1], n),
    )
    done = simulate_orders(
        stream_from_panels(
            np.arange(n_bars),
            prices,
            volume=np.full(prices.shape, 1e4),
            volatility=np.full(n_bars, 0.02),
        ),
        orders,
        Account(1e4, initial_margin=margin, on_short_cash="scale"),
        costs=OrderCosts(taker_bps=5, half_spread_bps=3, impact_coefficient=0.5),
    )
    check_books(done, 1e-9)
    assert (done.gross * margin <= done.equity * (1 + 1e-8)).all()
    assert (np.abs(done.orders["filled"]) <= np.abs(done.orders["quantity"]) + 1e-9).all()
    assert (done.orders["reason"] == Reason.SHORT_OF_CASH).any()
    if margin == 1 and (done.shares >= 0).all():
        assert done.cash.min() >= -1e-3
