"""Invariants of the event engine on random markets, and its agreement with the fill model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btq_assets.engine import fills as live
from btq_assets.engine.books import book_gaps, check_books
from btq_assets.engine.codes import ActionKind, OrderKind, Reason
from btq_assets.engine.errors import EngineError
from btq_assets.engine.order_simulation import simulate_orders
from btq_assets.engine.orders import action_table, order_table, orders_from_targets
from btq_assets.engine.stream import stream_from_panels
from btq_assets.engine.terms import Account, Instruments, OrderCosts

NAN = np.nan
N_BARS, N_ASSETS, N_ORDERS = 30, 4, 60
RICH = Account(1e7, initial_margin=0.5, maintenance_margin=0.25, debit_rate=0.05, borrow_rate=0.02)
COSTS = OrderCosts(
    taker_bps=3,
    maker_bps=-0.5,
    per_share=0.002,
    minimum_commission=1.0,
    half_spread_bps=2,
    slippage_bps=1,
    impact_coefficient=0.8,
    temporary_impact=0.142,
    permanent_impact=0.314,
)


def market(random, n_assets=N_ASSETS):
    """Bars with gaps, some without volume; a day each."""
    shape = (N_BARS, n_assets)
    close = 50 * np.exp(np.cumsum(random.normal(0, 0.03, shape), axis=0))
    open_ = close * np.exp(random.normal(0, 0.01, shape))
    panels = {
        "open": open_,
        "high": np.fmax(open_, close) * np.exp(np.abs(random.normal(0, 0.01, shape))),
        "low": np.fmin(open_, close) * np.exp(-np.abs(random.normal(0, 0.01, shape))),
        "close": close,
        "volume": np.round(np.exp(random.normal(9, 1, shape))),
    }
    gaps = random.random(shape) < 0.1
    for panel in panels.values():
        panel[gaps] = NAN
    panels["volume"][random.random(shape) < 0.05] = 0
    days = np.arange(N_BARS) * 86_400_000_000_000
    return days, panels, random.uniform(0.01, 0.03, shape)


def draw_orders(random, days, closes):
    """Orders of every kind around the last price, all times in force."""
    row = np.sort(random.integers(0, N_BARS - 1, N_ORDERS))
    asset = random.integers(0, N_ASSETS, N_ORDERS).astype(np.int32)
    price = np.nan_to_num(closes[row, asset], nan=50.0) * np.exp(random.normal(0, 0.03, N_ORDERS))
    kind = random.integers(0, 9, N_ORDERS)
    force = random.integers(0, 5, N_ORDERS)
    force[kind >= OrderKind.MARKET_ON_OPEN] %= 2
    return {
        "time": days[row],
        "asset": asset,
        "size": random.integers(1, 2_000, N_ORDERS) * random.choice([-1.0, 1], N_ORDERS),
        "kind": kind,
        "force": force,
        "limit": price,
        "stop": np.where(
            kind == OrderKind.TRAILING_STOP, NAN, price * np.exp(random.normal(0, 0.02, N_ORDERS))
        ),
        "trail_amount": np.where(random.random(N_ORDERS) < 0.5, 1.5, NAN),
        "expire_at": days[row] + 3 * 86_400_000_000_000,
    }


def with_fraction(orders):
    fraction = np.where(np.isnan(orders["trail_amount"]), 0.03, NAN)
    return orders | {"trail_fraction": fraction}


def stream(days, panels, sigma):
    return stream_from_panels(days, volatility=sigma, **panels)


def events(random, days):
    rows = [
        (int(days[random.integers(1, N_BARS)]), int(random.integers(0, N_ASSETS)), kind, value)
        for kind, value in [
            (ActionKind.DIVIDEND, 0.7),
            (ActionKind.DIVIDEND, 0.2),
            (ActionKind.FUNDING, 0.001),
            (ActionKind.FUNDING, -0.002),
        ]
    ]
    return action_table(rows)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_books_balance_with_everything_on(seed):
    random = np.random.default_rng(seed)
    days, panels, sigma = market(random)
    orders = order_table(**with_fraction(draw_orders(random, days, panels["close"])))
    actions = events(random, days)
    split = (int(days[10]), 0, ActionKind.SPLIT, 2.0)
    rows = list(zip(actions.time, actions.asset, actions.kind, actions.value, strict=True))
    panels = {name: panel.copy() for name, panel in panels.items()}
    for name in ("open", "high", "low", "close"):
        panels[name][10:, 0] /= 2
    done = simulate_orders(
        stream(days, panels, sigma),
        orders,
        replace(RICH, initial_cash=2e5, on_short_cash="cut"),
        costs=COSTS,
        instruments=Instruments(lot_size=5, participation=0.1),
        actions=action_table([*rows, split]),
    )
    check_books(done, 1e-9)
    given = done.fills["order"] >= 0
    decided = orders.time[done.fills["order"][given]]
    assert (done.fills["time"][given] > decided).all()
    assert (np.abs(done.orders["filled"]) <= np.abs(done.orders["quantity"]) + 1e-9).all()


def test_the_check_of_the_books_sees_what_is_broken():
    """One share, one cent, one trade: each breaks an identity, and the check names it."""
    random = np.random.default_rng(1)
    days, panels, sigma = market(random)
    orders = order_table(**with_fraction(draw_orders(random, days, panels["close"])))
    done = simulate_orders(stream(days, panels, sigma), orders, RICH, costs=COSTS)
    check_books(done)
    for name, change in {
        "cash": lambda d: d.fills.__setitem__("price", d.fills["price"] * (1 + 1e-6)),
        "holdings": lambda d: d.shares.__setitem__((-1, 0), d.shares[-1, 0] + 1),
        "positions": lambda d: d.values.__setitem__((3, 1), d.values[3, 1] + 1),
        "trades": lambda d: d.trades.__setitem__("gross", d.trades["gross"] + 1),
        "costs": lambda d: d.costs.__setitem__((-1, 0), d.costs[-1, 0] + 1),
        "orders": lambda d: d.orders.__setitem__("filled", d.orders["filled"] + 1),
    }.items():
        broken = replace(
            done,
            **{
                k: getattr(done, k).copy()
                for k in ("fills", "shares", "values", "trades", "costs", "orders")
            },
        )
        change(broken)
        assert book_gaps(broken)[name] > 1e-9
        with pytest.raises(EngineError, match=f"{name} by"):
            check_books(broken)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, N_BARS))
def test_later_events_change_nothing_before(seed, cut):
    """Truncation: cut anywhere, books and fills up to the cut are equal to the last bit."""
    random = np.random.default_rng(seed)
    days, panels, sigma = market(random)
    orders = order_table(**with_fraction(draw_orders(random, days, panels["close"])))
    full = simulate_orders(stream(days, panels, sigma), orders, RICH, costs=COSTS)
    part = simulate_orders(
        stream(days[:cut], {k: v[:cut] for k, v in panels.items()}, sigma[:cut]),
        orders,
        RICH,
        costs=COSTS,
    )
    assert np.array_equal(full.equity[:cut], part.equity)
    assert np.array_equal(full.costs[:cut], part.costs)
    before = full.fills[full.fills["time"] <= days[cut - 1]]
    for name in before.dtype.names:
        assert np.array_equal(before[name], part.fills[name], equal_nan=name == "impact"), name


def test_a_later_run_leaves_earlier_results_alone():
    """Memory is lent again only once nobody holds a result: a view of it counts."""
    random = np.random.default_rng(4)
    days, panels, sigma = market(random)
    one = order_table(**with_fraction(draw_orders(random, days, panels["close"])))
    two = order_table(**with_fraction(draw_orders(random, days, panels["close"])))
    flow = stream(days, panels, sigma)
    first = simulate_orders(flow, one, RICH, costs=COSTS)
    kept = {name: getattr(first, name).copy() for name in ("orders", "fills", "trades")}
    view = first.fills["price"][1:]
    orders, trades = first.orders, first.trades
    del first
    for _ in range(3):
        simulate_orders(flow, two, RICH, costs=COSTS)
    assert np.array_equal(view, kept["fills"]["price"][1:])
    again = simulate_orders(flow, one, RICH, costs=COSTS)
    for name, found in (
        ("orders", orders),
        ("trades", trades),
        ("orders", again.orders),
        ("trades", again.trades),
        ("fills", again.fills),
    ):
        for field in found.dtype.names:
            nan = found[field].dtype.kind == "f"
            assert np.array_equal(found[field], kept[name][field], equal_nan=nan), field


def test_no_order_no_change():
    random = np.random.default_rng(2)
    days, panels, sigma = market(random)
    done = simulate_orders(stream(days, panels, sigma), order_table([], [], []), RICH, costs=COSTS)
    assert (done.equity == 1e7).all()
    assert done.fills.size == done.trades.size == 0
    assert not done.costs.any()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_scaling_cash_and_orders_scales_everything(seed):
    """Twice the cash, sizes and volumes: twice the equity (no minimum commission)."""
    random = np.random.default_rng(seed)
    days, panels, sigma = market(random)
    given_orders = with_fraction(draw_orders(random, days, panels["close"]))
    costs = replace(COSTS, minimum_commission=0.0)
    terms = Instruments(participation=0.05)
    one = simulate_orders(
        stream(days, panels, sigma),
        order_table(**given_orders),
        RICH,
        costs=costs,
        instruments=terms,
    )
    two = simulate_orders(
        stream(days, panels | {"volume": 2 * panels["volume"]}, sigma),
        order_table(**(given_orders | {"size": 2 * given_orders["size"]})),
        replace(RICH, initial_cash=2e7),
        costs=costs,
        instruments=terms,
    )
    assert np.allclose(two.equity, 2 * one.equity, rtol=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_symbols_does_not_matter(seed):
    """Cash short included: who is served first follows from the orders, not from columns."""
    random = np.random.default_rng(seed)
    days, panels, sigma = market(random)
    given_orders = with_fraction(draw_orders(random, days, panels["close"]))
    turn = random.permutation(N_ASSETS)
    account = replace(RICH, initial_cash=1e5)
    one = simulate_orders(
        stream(days, panels, sigma), order_table(**given_orders), account, costs=COSTS
    )
    other = simulate_orders(
        stream(days, {k: v[:, turn] for k, v in panels.items()}, sigma[:, turn]),
        order_table(**(given_orders | {"asset": np.argsort(turn)[given_orders["asset"]]})),
        account,
        costs=COSTS,
    )
    assert np.allclose(one.equity, other.equity, rtol=1e-12)
    assert np.array_equal(one.orders["status"], other.orders["status"])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_without_costs_nothing_is_lost_and_dearer_is_never_better(seed):
    """Market orders on constant prices: free trading keeps equity; each dearer rate keeps less."""
    random = np.random.default_rng(seed)
    days = np.arange(N_BARS)
    prices = np.broadcast_to(random.uniform(5, 100, N_ASSETS), (N_BARS, N_ASSETS)).copy()
    flat = stream_from_panels(
        days, prices, volume=np.full(prices.shape, 1e5), volatility=np.full(prices.shape, 0.02)
    )
    row = np.sort(random.integers(0, N_BARS - 1, N_ORDERS))
    orders = order_table(
        row,
        random.integers(0, N_ASSETS, N_ORDERS),
        random.integers(1, 500, N_ORDERS) * random.choice([-1.0, 1], N_ORDERS),
    )
    account = Account(1e7)
    free = simulate_orders(flat, orders, account)
    assert np.allclose(free.equity, 1e7, rtol=1e-15)
    last = free.equity
    for factor in (1.0, 2.0, 4.0):
        dear = OrderCosts(
            **{
                k: factor * getattr(COSTS, k)
                for k in (
                    "taker_bps",
                    "per_share",
                    "minimum_commission",
                    "half_spread_bps",
                    "slippage_bps",
                    "impact_coefficient",
                    "temporary_impact",
                )
            }
        )
        done = simulate_orders(flat, orders, account, costs=dear)
        assert done.fills.size == free.fills.size
        assert (done.equity <= last + 1e-6).all()
        assert done.equity[-1] < last[-1]
        last = done.equity


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from([1.0, 0.5, 0.25]), st.sampled_from(["reject", "cut"])
)
def test_never_more_exposure_than_leverage_allows(seed, margin, rule):
    """After each opening fill, gross value at the fill prices is within equity over margin."""
    random = np.random.default_rng(seed)
    days = np.arange(N_BARS)
    prices = np.broadcast_to(random.uniform(5, 100, N_ASSETS), (N_BARS, N_ASSETS)).copy()
    row = np.sort(random.integers(0, N_BARS - 1, N_ORDERS))
    orders = order_table(
        row,
        random.integers(0, N_ASSETS, N_ORDERS),
        random.integers(1, 2_000, N_ORDERS) * random.choice([-1.0, 1], N_ORDERS),
    )
    done = simulate_orders(
        stream_from_panels(days, prices),
        orders,
        Account(1e4, initial_margin=margin, on_short_cash=rule),
    )
    assert (done.gross * margin <= done.equity * (1 + 1e-8)).all()
    assert (done.orders["reason"] == Reason.SHORT_OF_CASH).any()
    if margin == 1 and (done.shares >= 0).all():
        assert done.cash.min() >= -1e-3


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_fill_model_by_itself_gives_the_same_fills(seed):
    """One order walked bar by bar through `fills.execute`, as a paper broker does."""
    random = np.random.default_rng(seed)
    days, panels, sigma = market(random)
    costs = replace(COSTS, permanent_impact=0.0)
    terms = Instruments(lot_size=5, participation=0.05)
    drawn = with_fraction(draw_orders(random, days, panels["close"]))
    one = {k: v[:1] for k, v in drawn.items()}
    asset, first = int(one["asset"][0]), int(np.flatnonzero(days == one["time"][0])[0])
    one["size"] = np.trunc(one["size"] / 5) * 5
    if one["size"][0] == 0:
        return
    done = simulate_orders(
        stream(days, panels, sigma), order_table(**one), RICH, costs=costs, instruments=terms
    )
    order = live.LiveOrder(
        quantity=float(one["size"][0]),
        kind=OrderKind(int(one["kind"][0])),
        force=live.TimeInForce(int(one["force"][0])),
        limit=float(one["limit"][0]),
        stop=float(one["stop"][0]),
        trail_amount=float(one["trail_amount"][0]),
        trail_fraction=float(one["trail_fraction"][0]),
        active_at=int(days[first]),
        expire_at=int(one["expire_at"][0]),
    )
    if order.kind == OrderKind.TRAILING_STOP:
        seen = panels["close"][: first + 1, asset]
        seen = seen[~np.isnan(seen)]
        if seen.size:
            move = seen[-1] * 0.03 if np.isnan(order.trail_amount) else 1.5
            order.stop = float(seen[-1] + order.side * move)
    model = live.FillTerms(costs, terms)
    found = []
    for t in range(first + 1, N_BARS):
        if not order.is_open:
            break
        bar = live.Bar(
            time=int(days[t]),
            start=int(days[t - 1]),
            session=t,
            opens_session=True,
            closes_session=True,
            volatility=float(sigma[t, asset]),
            **{k: float(v[t, asset]) for k, v in panels.items()},
        )
        fill = live.execute(order, bar, model)
        if fill is not None:
            found.append(fill)
    assert len(found) == done.fills.size
    for mine, theirs in zip(found, done.fills, strict=True):
        assert (mine.time, mine.quantity, mine.price) == (
            theirs["time"],
            theirs["shares"],
            theirs["price"],
        )
        for name in ("commission", "spread", "slippage", "impact"):
            assert getattr(mine, name) == pytest.approx(theirs[name], rel=1e-12, nan_ok=True), name
    assert order.status == done.orders["status"][0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": [NAN]}, "order 0 .*its size is not a number"),
        ({"kind": [12]}, "kind is not one of"),
        ({"kind": [1]}, "needs a limit"),
        ({"kind": [2]}, "needs a stop"),
        ({"kind": [1], "limit": [-3.0]}, "limit must be positive"),
        ({"kind": [4]}, "needs one of trail_amount"),
        ({"kind": [5], "force": [2]}, "lives until its auction"),
        ({"force": [4]}, "needs expire_at"),
        ({"asset": ["XYZ"], "symbols": ["A", "B"]}, r"unknown symbols \['XYZ'\]"),
        ({"asset": ["A"]}, "pass symbols="),
        ({"asset": [-1]}, "must be >= 0"),
    ],
)
def test_bad_orders_are_named(change, message):
    with pytest.raises(EngineError, match=message):
        order_table(**({"time": [1], "asset": [0], "size": [1.0]} | change))


def test_bad_targets_are_named():
    table = np.array([[0.5, 0.5], [NAN, NAN]])
    with pytest.raises(EngineError, match=r"row 0: weight of asset\(s\) \[1\] is NaN"):
        orders_from_targets([1, 2], np.array([[0.5, NAN], [0, 0]]))
    with pytest.raises(EngineError, match=r"sum to 1, the limit is 0\.9"):
        orders_from_targets([1, 2], table, max_gross=0.9)
    with pytest.raises(EngineError, match=r"unknown symbols \['C'\]"):
        orders_from_targets([1, 2], table, columns=["A", "C"], symbols=["A", "B"])
    assert len(orders_from_targets([1, 2], table)) == 2


@pytest.mark.parametrize(
    ("panels", "message"),
    [
        ({"close": np.array([[1.0], [-2]])}, "close of event 1 is -2"),
        ({"close": np.ones((2, 1)), "high": np.ones((3, 1))}, "high has shape"),
        (
            {
                "close": np.ones((2, 1)),
                "open": 2 * np.ones((2, 1)),
                "high": np.ones((2, 1)),
                "low": np.ones((2, 1)),
            },
            "bar 0: high and low do not enclose",
        ),
        ({"close": np.ones((2, 1)), "volume": -np.ones((2, 1))}, "volume is negative"),
        ({"close": np.ones((2, 1)), "session": [1, 0]}, "session must be"),
    ],
)
def test_bad_bars_are_named(panels, message):
    with pytest.raises(EngineError, match=message):
        stream_from_panels([1, 2], **panels)


def test_other_bad_arguments_are_named():
    flat = stream_from_panels([1, 2, 3], np.ones((3, 2)))
    none = order_table([], [], [])
    with pytest.raises(EngineError, match="order 0 names asset 5"):
        simulate_orders(flat, order_table(1, 5, 1.0), RICH)
    with pytest.raises(EngineError, match="asset_1 has prices after 1"):
        simulate_orders(flat, none, RICH, actions=action_table([(1, 1, ActionKind.DELISTING, NAN)]))
    with pytest.raises(EngineError, match="currency 2 has no row"):
        simulate_orders(flat, none, RICH, instruments=Instruments(currency=2))
    with pytest.raises(EngineError, match=r"lot_size has shape \(3,\)"):
        simulate_orders(flat, none, RICH, instruments=Instruments(lot_size=[1, 1, 1]))
    with pytest.raises(EngineError, match="latency = -1"):
        simulate_orders(flat, none, RICH, latency=-1)
    with pytest.raises(EngineError, match="action 0: kind 1 with value -1"):
        action_table([(1, 0, ActionKind.SPLIT, -1.0)])
    with pytest.raises(EngineError, match="maintenance_margin must not be above"):
        Account(1.0, initial_margin=0.2, maintenance_margin=0.3)
    with pytest.raises(EngineError, match="tiers start at"):
        OrderCosts(tiers=((5, 1, 1),))
    with pytest.raises(EngineError, match="taker_bps"):
        OrderCosts(taker_bps=-1)
    with pytest.raises(EngineError, match="time must have 3 rising values"):
        stream_from_panels([1, 1, 2], np.ones((3, 1)))
    with pytest.raises(EngineError, match="bid 3 above ask 2"):
        live.execute(live.LiveOrder(1.0), live.Quote(5, 3.0, 2.0), live.FillTerms())
    with pytest.raises(EngineError, match="LIMIT needs a positive limit"):
        live.LiveOrder(1.0, OrderKind.LIMIT)


def test_compiled_code_is_dropped_when_a_called_file_changes():
    """The stamp of stored code covers the files that a compiled function calls into."""
    from btq_assets.engine import fill_kernel
    from btq_assets.engine.compiled import compiled

    def of(*modules):
        return compiled(*modules)(lambda x: x)._cache._cache_file._source_stamp

    assert of() != of(fill_kernel)
    assert of(fill_kernel) == of(fill_kernel)
