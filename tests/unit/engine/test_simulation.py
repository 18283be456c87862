"""The engine against cases worked by hand (docs/engine.md) and against its own invariants."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btq_assets.engine.costs import CostModel
from btq_assets.engine.errors import EngineError
from btq_assets.engine.simulation import simulate

NAN = np.nan
COSTS = CostModel(commission_bps=10, half_spread_bps=50)


def weights(n_bars: int, n_assets: int, rows: dict[int, list[float]]) -> np.ndarray:
    table = np.full((n_bars, n_assets), NAN)
    for bar, row in rows.items():
        table[bar] = row
    return table


def test_golden_two_assets_by_hand():
    """Every number is worked out in docs/engine.md."""
    prices = np.array([[10.0, 20], [10, 20], [12, 20], [11, 25]])
    done = simulate(
        prices, prices, weights(4, 2, {0: [0.4, 0.4], 2: [0, 0.8]}), COSTS, initial_cash=1_000
    )
    assert done.equity == pytest.approx([1000, 995.196, 1075.196, 1129.10414802], abs=1e-9)
    assert done.cash == pytest.approx([1000, 195.196, 195.196, 53.90814802], abs=1e-9)
    assert done.shares.tolist()[1] == [40, 20]
    assert done.shares[3] == pytest.approx([0, 43.00784], abs=1e-12)
    assert done.cost == pytest.approx([0, 4.804, 0, 2.6378 + 3.45405198], abs=1e-9)
    # equity before the trades of bar 3, at bar 3's prices: 195.196 + 40 * 11 + 20 * 25
    assert done.turnover == pytest.approx([0, 0.8, 0, (440 + 575.196) / 1135.196], abs=1e-12)
    assert done.fills["bar"].tolist() == [1, 1, 3, 3]
    assert done.fills["decided_bar"].tolist() == [0, 0, 2, 2]
    assert done.fills["commission"] == pytest.approx([0.402, 0.402, 0.4378, 0.57807198])
    assert done.fills["spread_cost"] == pytest.approx([2, 2, 2.2, 2.87598])
    assert done.n_rejected == 0
    assert done.identity_error < 1e-12


def test_fill_price_differs_from_mark():
    """Sized at the close of 10, filled at the open of 11, valued at the close of 12."""
    marks = np.array([[10.0], [12], [12]])
    opens = np.array([[9.0], [11], [12]])
    done = simulate(opens, marks, weights(3, 1, {0: [0.5]}), CostModel(), initial_cash=1_000)
    assert done.shares[:, 0].tolist() == [0, 50, 50]
    assert done.equity.tolist() == [1000, 1000 - 550 + 600, 1050]


def test_sizing_at_the_fill():
    prices = np.array([[10.0], [12.5], [12.5]])
    done = simulate(
        prices, prices, weights(3, 1, {0: [0.5]}), CostModel(), initial_cash=1_000, sizing="fill"
    )
    assert done.shares[1, 0] == 40  # 500 / 12.5, not 500 / 10


def test_short_cash_scales_all_buys_with_costs():
    """Two buys of 625 at the fill need 1250 * 1.005 * 1.001 = 1257.50625; there is 1000."""
    prices = np.array([[10.0, 10], [12.5, 12.5], [12.5, 12.5]])
    done = simulate(prices, prices, weights(3, 2, {0: [0.5, 0.5]}), COSTS, initial_cash=1_000)
    assert done.shares[1] == pytest.approx([50 * 1000 / 1257.50625] * 2, rel=1e-12)
    assert 0 <= done.cash[1] < 1e-6
    assert (done.n_scaled_bars, done.n_rejected) == (1, 0)


def test_short_cash_refuses_the_order_it_does_not_cover():
    """Order of 625 (628.753125 with costs) is filled, the second is refused, a small third fits."""
    prices = np.array([[10.0, 10, 10], [12.5, 12.5, 10], [12.5, 12.5, 10]])
    done = simulate(
        prices,
        prices,
        weights(3, 3, {0: [0.5, 0.45, 0.05]}),
        COSTS,
        initial_cash=1_000,
        on_short_cash="reject",
    )
    assert done.shares[1].tolist() == [50, 0, 5]
    assert done.cash[1] == pytest.approx(1000 - 675 * 1.005 * 1.001, abs=1e-9)
    assert (done.n_refused_cash, done.n_rejected) == (1, 1)


def test_sells_pay_for_buys_of_the_same_bar():
    prices = np.array([[10.0, 10]] * 4)
    done = simulate(
        prices,
        prices,
        weights(4, 2, {0: [0.0, 1.0], 1: [1.0, 0.0]}),
        CostModel(),
        initial_cash=1_000,
        on_short_cash="reject",
    )
    assert done.shares[2] == pytest.approx([100, 0])
    assert done.n_rejected == 0


def test_square_root_impact_and_per_share_fee_by_hand():
    """Value 1000 of 100,000 traded: impact 1 * 0.02 * sqrt(0.01) = 0.2 % = 2.

    100 adjusted shares at 10 are 20 raw shares at 50: the fee of 0.05 a share is 1.
    """
    one = np.ones((3, 1))
    done = simulate(
        10 * one,
        10 * one,
        weights(3, 1, {0: [0.1]}),
        CostModel(commission_per_share=0.05, impact_coefficient=1.0),
        initial_cash=10_000,
        raw_prices=50 * one,
        volumes=2_000 * one,
        volatility=0.02 * one,
    )
    fill = done.fills[0]
    assert fill["impact_cost"] == pytest.approx(2.0)
    assert fill["commission"] == pytest.approx(1.0)
    assert done.cash[1] == pytest.approx(10_000 - 1_000 - 3)
    assert done.notes == ()


def test_short_cash_scales_with_impact_too():
    """Buys and their impact, which grows with the power 1.5, use up the cash and no more.

    The value bought solves ``v + 0.02 * v * sqrt(v / 100,000) = 1000``.
    """
    one = np.ones((3, 1))
    done = simulate(
        10 * one,
        10 * one,
        weights(3, 1, {0: [1.0]}),
        CostModel(impact_coefficient=1.0),
        initial_cash=1_000,
        raw_prices=50 * one,
        volumes=2_000 * one,
        volatility=0.02 * one,
    )
    value = done.shares[1, 0] * 10
    assert value + 0.02 * value * np.sqrt(value / 1e5) == pytest.approx(1_000, abs=1e-6)
    assert 0 <= done.cash[1] < 1e-6


def test_unknown_volume_charges_no_impact_and_says_so():
    one = np.ones((3, 1))
    costs = CostModel(commission_per_share=0.05, impact_coefficient=1.0)
    done = simulate(one, one, weights(3, 1, {0: [0.5]}), costs, initial_cash=100)
    assert np.isnan(done.fills["impact_cost"]).all()
    assert done.cost.sum() == 0
    assert len(done.notes) == 2


def test_missing_price_drops_the_order_and_values_at_the_last_price():
    prices = np.array([[10.0, 20], [10, NAN], [11, NAN], [11, 20]])
    done = simulate(prices, prices, weights(4, 2, {0: [0.5, 0.5]}), CostModel(), initial_cash=1_000)
    assert done.shares[-1].tolist() == [50, 0]  # not filled, and not tried again at bar 3
    assert (done.n_unpriced, done.n_rejected) == (1, 1)
    held = np.array([[10.0], [10], [NAN], [NAN], [9]])
    done = simulate(held, held, weights(5, 1, {0: [0.5]}), CostModel(), initial_cash=1_000)
    assert done.equity.tolist() == [1000, 1000, 1000, 1000, 950]
    assert done.oldest_mark.tolist() == [0, 0, 1, 2, 0]


def test_an_asset_never_priced_cannot_be_sized():
    prices = np.array([[10.0, NAN]] * 3)
    done = simulate(prices, prices, weights(3, 2, {0: [0.5, 0.5]}), CostModel(), initial_cash=1_000)
    assert (done.n_unpriced, done.shares[-1].tolist()) == (1, [50, 0])


def test_delisted_position_is_settled_at_its_last_price_on_the_next_bar():
    prices = np.array([[10.0], [10], [8], [NAN], [NAN]])
    done = simulate(
        prices,
        prices,
        weights(5, 1, {0: [0.5]}),
        COSTS,
        initial_cash=1_000,
        delisted_at=np.array([2]),
    )
    settled = done.fills[-1]
    assert (settled["bar"], settled["shares"], settled["price"], settled["reason"]) == (
        3,
        -50,
        8,
        1,
    )
    assert settled["commission"] == settled["spread_cost"] == 0
    assert done.equity[3] == done.cash[3] == done.equity[2]
    assert done.identity_error < 1e-12


def test_a_gap_is_the_end_of_a_series_only_after_it_has_lasted():
    prices = np.array([[10.0], [10], [8], [NAN], [NAN], [NAN], [NAN]])
    done = simulate(
        prices,
        prices,
        weights(7, 1, {0: [0.5]}),
        CostModel(),
        initial_cash=1_000,
        delist_after_missing=3,
    )
    assert done.shares[:, 0].tolist() == [0, 50, 50, 50, 50, 0, 0]
    assert done.fills["reason"].tolist() == [0, 1]


def test_short_position_by_hand():
    """Sell 50 short at 10 for 500; at 8 the position owes 400: equity 1100."""
    prices = np.array([[10.0], [10], [8]])
    done = simulate(prices, prices, weights(3, 1, {0: [-0.5]}), CostModel(), initial_cash=1_000)
    assert done.equity.tolist() == [1000, 1000, 1100]
    assert done.cash.tolist() == [1000, 1500, 1500]


def test_ruin_stops_deciding():
    prices = np.array([[10.0], [10], [40], [40]])
    done = simulate(
        prices, prices, weights(4, 1, {0: [-0.5], 2: [0.5]}), CostModel(), initial_cash=1_000
    )
    assert done.equity[2] == -500
    assert done.n_ruined == 1
    assert "equity was not positive" in done.notes[0]


def test_lots_cut_orders_to_whole_multiples():
    prices = np.array([[7.0], [7.1], [7.1]])
    done = simulate(
        prices, prices, weights(3, 1, {0: [1.0]}), COSTS, initial_cash=1_000, lot_size=1.0
    )
    # 142.86 shares wanted; 140 cost 140 * 7.1 * 1.005 * 1.001 = 999.97, 141 would cost 1007.11
    assert done.shares[1, 0] == 140


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, w: w.__setitem__((0, 1), NAN), r"row 0: weight of asset\(s\) \[1\] is NaN"),
        (lambda p, w: w.__setitem__((0, 1), 0.8), "row 0: absolute weights sum to 1.3"),
        (lambda p, w: w.__setitem__((0, 1), -0.8), "sum to 1.3, the limit is 1"),
        (lambda p, w: w.__setitem__((0, 1), np.inf), "sum to inf"),
        (lambda p, w: p.__setitem__((2, 1), -1.0), r"prices\[2, 1\] = -1"),
        (lambda p, w: p.__setitem__((2, 1), 0.0), "must be positive"),
        (lambda p, w: p.__setitem__((2, 1), np.inf), "must be positive"),
    ],
)
def test_bad_input_is_named(change, message):
    prices = np.full((4, 2), 10.0)
    table = weights(4, 2, {0: [0.5, 0.5]})
    change(prices, table)
    with pytest.raises(EngineError, match=message):
        simulate(prices, prices, table, CostModel(), initial_cash=1_000)


def test_other_bad_arguments_are_named():
    prices = np.full((4, 2), 10.0)
    table = weights(4, 2, {0: [0.5, 0.5]})
    with pytest.raises(EngineError, match="shapes"):
        simulate(prices, prices[:3], table, CostModel(), initial_cash=1_000)
    with pytest.raises(EngineError, match="initial_cash = 0"):
        simulate(prices, prices, table, CostModel(), initial_cash=0)
    with pytest.raises(EngineError, match="half_spread_bps has shape"):
        simulate(prices, prices, table, CostModel(half_spread_bps=np.ones(3)), initial_cash=1_000)
    with pytest.raises(EngineError, match="asset 1 has prices after bar 1"):
        simulate(prices, prices, table, CostModel(), initial_cash=1, delisted_at=np.array([-1, 1]))
    with pytest.raises(EngineError, match="commission_bps = -1"):
        CostModel(commission_bps=-1)
    with pytest.raises(EngineError, match="below 10,000"):
        CostModel(half_spread_bps=10_000)


@st.composite
def markets(draw):
    """Prices with gaps, weights (long and short) decided on some bars, and costs."""
    seed = draw(st.integers(0, 2**32 - 1))
    n_bars, n_assets = draw(st.integers(3, 40)), draw(st.integers(1, 6))
    shorts, gaps = draw(st.booleans()), draw(st.booleans())
    random = np.random.default_rng(seed)
    prices = 20 * np.exp(np.cumsum(random.normal(0, 0.05, (n_bars, n_assets)), axis=0))
    if gaps:
        prices[random.random(prices.shape) < 0.15] = NAN
    table = random.dirichlet(np.ones(n_assets + 1), n_bars)[:, :n_assets]
    if shorts:
        table *= random.choice([-1, 1], table.shape)
    table[random.random(n_bars) < 0.5] = NAN
    costs = CostModel(draw(st.floats(0, 50)), draw(st.floats(0, 100)))
    return prices, table, costs


@settings(max_examples=60, deadline=None)
@given(markets())
def test_books_balance_and_fills_follow_decisions(market):
    prices, table, costs = market
    done = simulate(prices, prices, table, costs, initial_cash=1e6, delist_after_missing=3)
    assert done.identity_error <= 1e-9
    assert np.allclose(done.cash + done.position_values.sum(axis=1), done.equity, rtol=1e-12)
    assert (done.fills["bar"] > done.fills["decided_bar"]).all()
    orders = done.fills[done.fills["reason"] == 0]
    assert not np.isnan(table[orders["decided_bar"], 0]).any()


@settings(max_examples=40, deadline=None)
@given(markets(), st.data())
def test_later_bars_change_nothing_before(market, data):
    """Truncation: cut anywhere, everything up to the cut is equal to the last bit."""
    prices, table, costs = market
    cut = data.draw(st.integers(1, len(prices)))
    full = simulate(prices, prices, table, costs, initial_cash=1e6, delist_after_missing=3)
    part = simulate(
        prices[:cut], prices[:cut], table[:cut], costs, initial_cash=1e6, delist_after_missing=3
    )
    for name in ("equity", "cash", "turnover", "cost", "shares"):
        assert np.array_equal(getattr(full, name)[:cut], getattr(part, name)), name
    assert np.array_equal(full.fills[full.fills["bar"] < cut], part.fills)


@settings(max_examples=30, deadline=None)
@given(markets())
def test_invariances(market):
    prices, table, costs = market
    n_assets = prices.shape[1]
    done = simulate(prices, prices, table, costs, initial_cash=1e6)
    richer = simulate(prices, prices, table, costs, initial_cash=2e6)
    assert np.allclose(richer.equity, 2 * done.equity, rtol=1e-9)
    order = np.random.default_rng(n_assets).permutation(n_assets)
    mixed = simulate(prices[:, order], prices[:, order], table[:, order], costs, initial_cash=1e6)
    assert np.allclose(mixed.equity, done.equity, rtol=1e-9)
    # a symbol's price history times a constant (a split) changes no value
    scale = np.linspace(0.1, 7, n_assets)
    split = simulate(prices * scale, prices * scale, table, costs, initial_cash=1e6)
    assert np.allclose(split.equity, done.equity, rtol=1e-9)
    idle = simulate(prices, prices, np.full_like(table, NAN), costs, initial_cash=1e6)
    assert (idle.equity == 1e6).all()
    assert idle.fills.size == 0


@settings(max_examples=60, deadline=None)
@given(markets(), st.sampled_from(["scale", "reject"]))
def test_never_spends_more_cash_than_is_held(market, rule):
    prices, table, costs = market
    done = simulate(prices, prices, np.abs(table), costs, initial_cash=1e6, on_short_cash=rule)
    assert done.cash.min() >= -1e-6


@settings(max_examples=30, deadline=None)
@given(markets(), st.floats(0, 20), st.floats(0, 20))
def test_one_rebalance_costs_more_when_rates_are_higher(market, commission, spread):
    """The first rebalance, with cash to spare: more cost, less equity; at no cost, none is lost."""
    prices, table, costs = market
    table = np.abs(table) / 4
    first = np.full_like(table, NAN)
    first[0] = np.nan_to_num(table[0], nan=0.1 / table.shape[1])
    dearer = CostModel(costs.commission_bps + commission, costs.half_spread_bps + spread)
    runs = [
        simulate(prices, prices, first, model, initial_cash=1e6)
        for model in (CostModel(), costs, dearer)
    ]
    assert runs[0].cost.sum() == 0
    assert runs[0].equity[1] == pytest.approx(1e6)
    assert runs[0].cost.sum() <= runs[1].cost.sum() <= runs[2].cost.sum() + 1e-9
    assert runs[0].equity[1] + 1e-6 >= runs[1].equity[1] >= runs[2].equity[1] - 1e-6
