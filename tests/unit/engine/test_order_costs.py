"""Every kind of cost, carry and action, worked by hand (tables in docs/engine.md)."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from order_cases import NAN, bars, fills, run, status

from btq_assets.engine.codes import COST_NAMES, ActionKind, OrderKind, Reason
from btq_assets.engine.orders import action_table
from btq_assets.engine.stream import stream_from_panels
from btq_assets.engine.terms import Account, Instruments, OrderCosts
from btq_assets.engine.ticks import with_currency_rates

FLAT = [(100.0, 100, 100, 100, 10_000)] * 5


def paid(done, kind):
    return done.costs[-1, COST_NAMES.index(kind)]


#: cost, shares, kind of cost, what a fill of 100 shares at 100 (value 10,000) pays
COSTS = [
    ("commission by value", OrderCosts(taker_bps=10), "commission", 10.0),
    ("commission per share", OrderCosts(per_share=0.005), "commission", 0.5),
    ("minimum per order", OrderCosts(per_share=0.005, minimum_commission=1), "commission", 1.0),
    ("half-spread", OrderCosts(half_spread_bps=5), "spread", 5.0),
    ("slippage", OrderCosts(slippage_bps=3), "slippage", 3.0),
    # 10,000 * 0.5 * 0.02 * sqrt(100 / 10,000)
    ("square-root impact", OrderCosts(impact_coefficient=0.5), "impact", 10.0),
    # 10,000 * 0.142 * 0.02 * (100 / 10,000) ** 0.6 = 28.4 * 0.0630957344480193
    ("temporary impact", OrderCosts(temporary_impact=0.142), "impact", 1.79191885832375),
    # half of 0.314 * 0.02 * 0.01 on 10,000
    ("permanent impact", OrderCosts(permanent_impact=0.314), "impact", 0.314),
]


@pytest.mark.parametrize(
    ("costs", "kind", "cost"), [c[1:] for c in COSTS], ids=[c[0] for c in COSTS]
)
@pytest.mark.parametrize("side", [1, -1])
def test_golden_costs(costs, kind, cost, side):
    done = run(bars(FLAT, volatility=np.full(5, 0.02)), 100 * side, options={"costs": costs})
    assert paid(done, kind) == pytest.approx(cost, rel=1e-12)
    moved = 1 + side * 0.314 * 0.02 * 0.01 if kind == "impact" and costs.permanent_impact else 1
    assert done.equity[-1] == pytest.approx(100_000 - cost + side * 10_000 * (moved - 1), rel=1e-12)


def test_commission_is_charged_on_the_executed_value():
    costs = OrderCosts(taker_bps=10, half_spread_bps=50, slippage_bps=50)
    done = run(bars(FLAT), [100, -100], time=[1, 2], options={"costs": costs})
    assert done.fills["commission"] == pytest.approx([10.1, 9.9])


def test_makers_pay_their_rate_and_no_spread():
    costs = OrderCosts(
        taker_bps=10, maker_bps=-2, half_spread_bps=50, slippage_bps=5, impact_coefficient=1
    )
    market = bars([FLAT[0], (101, 102, 99, 100, 1_000)], volatility=np.full(2, 0.02))
    done = run(market, 100, kind=OrderKind.LIMIT, limit=100, options={"costs": costs})
    assert fills(done) == [(2, 100, 100)]
    assert paid(done, "commission") == pytest.approx(-2.0)
    assert paid(done, "spread") == paid(done, "slippage") == paid(done, "impact") == 0


def test_a_limit_is_never_executed_beyond_itself():
    """Open 100, limit 100.3: spread and slippage of 1 % would be 1.0 a share, 0.3 is paid."""
    costs = OrderCosts(half_spread_bps=60, slippage_bps=40)
    done = run(bars(FLAT), 100, kind=OrderKind.LIMIT, limit=100.3, options={"costs": costs})
    assert (paid(done, "spread"), paid(done, "slippage")) == pytest.approx((18, 12))


def test_auctions_pay_no_spread():
    costs = OrderCosts(half_spread_bps=60, slippage_bps=40)
    done = run(bars(FLAT), 100, kind=OrderKind.MARKET_ON_CLOSE, options={"costs": costs})
    assert (paid(done, "spread"), paid(done, "slippage")) == pytest.approx((0, 40))


def test_the_minimum_is_paid_once_per_order():
    """Ten shares a bar at 0.05: 0.5, 1.0, 1.5 accrued against a minimum of 0.8."""
    costs = OrderCosts(per_share=0.05, minimum_commission=0.8)
    done = run(
        bars(FLAT), 30, options={"costs": costs, "instruments": Instruments(participation=0.001)}
    )
    assert done.fills["commission"] == pytest.approx([0.8, 0.2, 0.5])


def test_tiers_start_anew_each_month():
    """Value 10,000 a trade: 10 bps until 15,000 are traded in the month, then 5."""
    days = np.array(
        ["2020-01-29", "2020-01-30", "2020-01-31", "2020-02-03", "2020-02-04"],
        dtype="datetime64[ns]",
    )
    market = stream_from_panels(days, np.full((5, 1), 100.0))
    costs = OrderCosts(tiers=((0, 10, 10), (15_000, 5, 5)))
    done = run(
        market, [100, -100, 100, -100], time=days.astype(np.int64)[:4], options={"costs": costs}
    )
    assert done.fills["commission"] == pytest.approx([10, 10, 10, 10])
    early = np.array(["2020-01-27", *days.astype(str)[:4]], dtype="datetime64[ns]")
    market = stream_from_panels(early, np.full((5, 1), 100.0))
    done = run(
        market, [100, -100, 100, -100], time=early.astype(np.int64)[:4], options={"costs": costs}
    )
    # 28 would be none: fills on 29, 30, 31 January and 3 February
    assert done.fills["commission"] == pytest.approx([10, 10, 5, 10])


def test_permanent_impact_moves_later_prices():
    """0.5 * 0.02 * 0.01 = 1 bp a fill: bought at 100, marked and sold at 100.01."""
    costs = OrderCosts(permanent_impact=0.5)
    done = run(
        bars(FLAT, volatility=np.full(5, 0.02)), [100, -100], time=[1, 2], options={"costs": costs}
    )
    assert done.fills["price"] == pytest.approx([100, 100.01])
    assert done.values[1, 0] == pytest.approx(10_001)


def test_unknown_volume_charges_no_impact_and_says_so():
    done = run(
        bars([row[:4] for row in FLAT]), 100, options={"costs": OrderCosts(impact_coefficient=1)}
    )
    assert np.isnan(done.fills["impact"][0])
    assert "impact not charged on 1 fill" in done.notes[0]


def at(day, hour=21):
    return int(dt.datetime(2020, 1, day, hour, tzinfo=dt.UTC).timestamp()) * 1_000_000_000


def test_borrow_fees_and_interest_by_hand():
    """Short 500 at 100 on 2 January; 7.3 % a year to borrow, 3.65 % on free cash.

    Borrow 50,000 * 0.073 / 365 = 10 a day. Free cash is 150,000 - 50,000 = 100,000: 10 a day.
    From 2 to 3 January one day, from 3 to 6 January three.
    """
    days = [at(1), at(2), at(3), at(6)]
    account = Account(100_000, cash_rate=0.0365, borrow_rate=0.073)
    done = run(stream_from_panels(days, np.full((4, 1), 100.0)), -500, time=at(1), account=account)
    borrow, interest = (COST_NAMES.index(name) for name in ("borrow", "interest"))
    assert done.costs[:, borrow] == pytest.approx([0, 0, 10, 40])
    # 10 on 100,000 from 1 to 2 January, then a day on 100,010, then three on 100,010.001
    assert -done.costs[:, interest] == pytest.approx([0, 10, 20.001, 50.0040003], rel=1e-12)
    assert done.trades["carry"][0] == pytest.approx(-40)


def test_borrowed_cash_costs_the_debit_rate():
    """Twice equity: 2,000 shares at 100 of 100,000; 100,000 borrowed at 7.3 % is 20 a day."""
    account = Account(100_000, initial_margin=0.5, debit_rate=0.073)
    done = run(
        stream_from_panels([at(1), at(2), at(3)], np.full((3, 1), 100.0)),
        2_000,
        time=at(1),
        account=account,
    )
    assert done.cash[1] == -100_000
    assert paid(done, "interest") == pytest.approx(20)


def test_margined_contracts_borrow_nothing():
    """Ten futures of 100 units: notional 100,000 on 100,000, gains are cash, no debit interest."""
    account = Account(100_000, initial_margin=0.1, debit_rate=0.073, borrow_rate=0.1)
    terms = Instruments(multiplier=100, margined=True)
    prices = np.array([[100.0], [100], [101], [101]])
    market = stream_from_panels([at(1), at(2), at(3), at(6)], prices)
    done = run(market, 50, time=at(1), account=account, options={"instruments": terms})
    assert done.equity[-1] == 100_000 + 50 * 100 * 1
    assert paid(done, "interest") == paid(done, "borrow") == 0


def test_funding_of_a_perpetual_by_hand():
    """Rate 1 bp on 10 contracts at 100: the long pays 0.1; a position of the same time pays."""
    actions = action_table([(2, 0, ActionKind.FUNDING, 1e-4), (3, 0, ActionKind.FUNDING, -2e-4)])
    done = run(bars(FLAT), 10, options={"actions": actions})
    funding = done.costs[:, COST_NAMES.index("funding")]
    assert funding == pytest.approx([0, 0.1, -0.1, -0.1, -0.1])


def test_dividends_go_to_who_holds_before_the_bar():
    """Ex at time 2: bought in bar 2, none; ex at time 3: 10 shares receive 1.5 each, shorts pay."""
    actions = action_table([(2, 0, ActionKind.DIVIDEND, 9.0), (3, 0, ActionKind.DIVIDEND, 1.5)])
    for shares in (10, -10):
        done = run(bars(FLAT), shares, options={"actions": actions})
        assert paid(done, "dividends") == pytest.approx(-1.5 * shares)
        assert done.trades["carry"][0] == pytest.approx(1.5 * shares)


def test_split_changes_holdings_and_orders_and_no_value():
    """2 for 1 at time 3: 10 shares become 20 at 50; a resting stop of 80 becomes one of 40."""
    split = [FLAT[0], FLAT[1], (50.0, 50, 50, 50, 20_000), (39.0, 39, 39, 39, 20_000)]
    done = run(
        bars(split),
        [10, -10],
        kind=[0, 2],
        stop=[NAN, 80],
        options={"actions": action_table([(3, 0, ActionKind.SPLIT, 2.0)])},
    )
    assert done.equity[:3] == pytest.approx([100_000] * 3)
    assert done.shares[:, 0].tolist() == [0, 10, 20, 0]
    assert fills(done) == [(2, 10, 100), (4, -20, 39)]
    assert done.trades["gross"][0] == pytest.approx(-220)


@pytest.mark.parametrize(("price", "cash"), [(NAN, 100_000), (30.0, 99_300), (0.0, 99_000)])
def test_delisting_pays_out_and_ends_orders(price, cash):
    market = bars([*FLAT[:3], (NAN,) * 5])
    done = run(
        market,
        [10, 5, 5],
        time=[1, 2, 3],
        kind=[0, 1, 0],
        limit=[NAN, 90, NAN],
        options={"actions": action_table([(3, 0, ActionKind.DELISTING, price)])},
    )
    assert done.cash[-1] == done.equity[-1] == cash
    assert status(done) == ["FILLED", "CANCELLED", "REJECTED"]
    assert {int(r) for r in done.orders["reason"][1:]} == {Reason.DELISTED}


def test_maintenance_margin_liquidates_everything_at_the_next_event():
    """3,900 shares at 100 on 100,000 (a quarter down): at 80 equity is 22,000 < 25 % of 312,000.

    The stop order is cancelled, and everything is sold at the next open of 78, 1 % fee on top.
    """
    rows = [FLAT[0], FLAT[1], (100, 100, 80, 80, 10_000), (78, 79, 78, 79, 10_000)]
    account = Account(100_000, initial_margin=0.25, maintenance_margin=0.25)
    done = run(
        bars(rows),
        [3_900, -3_900],
        kind=[0, 2],
        stop=[NAN, 70],
        account=account,
        options={"costs": OrderCosts(liquidation_bps=100)},
    )
    assert fills(done) == [(2, 3_900, 100), (4, -3_900, 78)]
    assert done.fills["reason"].tolist() == [0, Reason.LIQUIDATION]
    assert paid(done, "liquidation") == pytest.approx(3_042)
    assert done.equity[-1] == pytest.approx(100_000 - 3_900 * 22 - 3_042)
    assert status(done) == ["FILLED", "CANCELLED"]


def test_currency_conversion_by_hand():
    """100 shares at 50 francs at 1.10, cost of conversion 20 bps: 5,500 and 11. Rate to 1.20.

    Equity: 100,000 - 11 + 100 * 50 * 0.10; sold at 1.20, another 6,000 * 20 bps = 12.
    """
    market = with_currency_rates(
        stream_from_panels([1, 2, 3, 4], np.full((4, 1), 50.0)),
        [3],
        [1],
        [1.2],
        initial=[1.0, 1.1],
    )
    done = run(
        market,
        [100, -100],
        time=[1, 3],
        options={"costs": OrderCosts(fx_bps=20), "instruments": Instruments(currency=1)},
    )
    assert done.equity == pytest.approx([100_000, 99_989, 100_489, 100_477])
    assert paid(done, "fx") == pytest.approx(23)
    assert done.trades["gross"][0] == pytest.approx(500)


def test_no_rate_no_order():
    market = with_currency_rates(
        stream_from_panels([1, 2], np.full((2, 1), 50.0)), [], [], [], initial=[1.0, NAN]
    )
    done = run(market, 100, options={"instruments": Instruments(currency=1)})
    assert [int(r) for r in done.orders["reason"]] == [Reason.NO_CURRENCY_RATE]


@pytest.mark.parametrize(
    ("rule", "bought", "end"), [("reject", 0, "REJECTED"), ("cut", 990, "CANCELLED")]
)
def test_an_order_beyond_margin_is_refused_or_cut(rule, bought, end):
    """1,000 shares at 100 with 1 % commission need 101,000: lots of 10 fit 990 (99,990)."""
    account = Account(100_000, on_short_cash=rule)
    done = run(
        bars(FLAT),
        1_000,
        account=account,
        options={"costs": OrderCosts(taker_bps=100), "instruments": Instruments(lot_size=10)},
    )
    assert done.shares[-1, 0] == bought
    assert status(done) == [end]
    assert done.orders["reason"][0] == Reason.SHORT_OF_CASH


def test_sells_pay_for_buys_of_the_same_tick():
    market = stream_from_panels([1, 2, 3, 4], np.full((4, 2), 100.0))
    done = run(market, [1_000, 1_000, -1_000], time=[1, 2, 2], asset=[0, 1, 0])
    assert status(done) == ["FILLED"] * 3
