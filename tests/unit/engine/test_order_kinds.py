"""Every kind of order and time in force against bars worked by hand (tables in docs/engine.md)."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from order_cases import NAN, bars, fills, run, status

from btq_assets.engine.codes import Moment, OrderKind, SizeKind, TimeInForce
from btq_assets.engine.order_simulation import simulate_orders
from btq_assets.engine.orders import order_table
from btq_assets.engine.stream import stream_from_bars, stream_from_panels
from btq_assets.engine.terms import Account, Instruments
from btq_assets.engine.ticks import stream_from_ticks

K, T = OrderKind, TimeInForce
#: The market of docs/engine.md: open, high, low, close, volume; one session a bar.
DAYS = [
    (100.0, 101, 99, 100, 1_000),
    (102.0, 106, 101, 105, 1_000),
    (104.0, 104, 97, 98, 1_000),
    (95.0, 99, 94, 97, 1_000),
]

#: kind, size, prices -> time and price of the one fill (None: none), and the status.
CASES = [
    ("market buys at the next open", K.MARKET, 10, {}, (2, 102), "FILLED"),
    ("market sells at the next open", K.MARKET, -10, {}, (2, 102), "FILLED"),
    ("limit below the open waits for the low", K.LIMIT, 10, {"limit": 101.5}, (2, 101.5), "FILLED"),
    ("limit above the open gets the open", K.LIMIT, 10, {"limit": 103}, (2, 102), "FILLED"),
    ("limit gapped through gets the open", K.LIMIT, 10, {"limit": 96}, (4, 95), "FILLED"),
    ("limit never reached", K.LIMIT, 10, {"limit": 93}, None, "WORKING"),
    ("limit sells at the high", K.LIMIT, -10, {"limit": 105.5}, (2, 105.5), "FILLED"),
    ("stop buys at its price", K.STOP, 10, {"stop": 104}, (2, 104), "FILLED"),
    ("stop gapped through gets the open", K.STOP, -10, {"stop": 96}, (4, 95), "FILLED"),
    ("stop sells at its price", K.STOP, -10, {"stop": 100}, (3, 100), "FILLED"),
    (
        "stop-limit with room trades at the stop",
        K.STOP_LIMIT,
        10,
        {"stop": 104, "limit": 104.5},
        (2, 104),
        "FILLED",
    ),
    (
        # fired at 104 inside bar 2, whose close of 105 is beyond 103; bar 3 opens at 104, falls
        "stop-limit without room waits for its limit",
        K.STOP_LIMIT,
        10,
        {"stop": 104, "limit": 103},
        (3, 103),
        "FILLED",
    ),
    (
        # fired at 94.5 inside bar 4, whose close of 97 is surely later and within 96
        "stop-limit whose close is within the limit trades there",
        K.STOP_LIMIT,
        -10,
        {"stop": 94.5, "limit": 96},
        (4, 96),
        "FILLED",
    ),
    (
        "stop-limit left behind by the price",
        K.STOP_LIMIT,
        -10,
        {"stop": 99.5, "limit": 99.6},
        None,
        "WORKING",
    ),
    (
        # level 100 - 3 = 97 at the decision; bar 2 ends with level 106 - 3 = 103; bar 3 falls
        "trailing stop follows the high of finished bars",
        K.TRAILING_STOP,
        -10,
        {"trail_amount": 3},
        (3, 103),
        "FILLED",
    ),
    (
        # buy: lowest 99.?: level 100 * 1.05 = 105 at the decision, reached at 105 inside bar 2
        "trailing stop by fraction buys",
        K.TRAILING_STOP,
        10,
        {"trail_fraction": 0.05},
        (2, 105),
        "FILLED",
    ),
    ("market on open", K.MARKET_ON_OPEN, 10, {}, (2, 102), "FILLED"),
    ("limit on open, auction within", K.LIMIT_ON_OPEN, 10, {"limit": 102.5}, (2, 102), "FILLED"),
    ("limit on open, auction beyond", K.LIMIT_ON_OPEN, 10, {"limit": 101.5}, None, "EXPIRED"),
    ("market on close", K.MARKET_ON_CLOSE, 10, {}, (2, 105), "FILLED"),
    ("limit on close, auction within", K.LIMIT_ON_CLOSE, -10, {"limit": 104}, (2, 105), "FILLED"),
    ("limit on close, auction beyond", K.LIMIT_ON_CLOSE, -10, {"limit": 106}, None, "EXPIRED"),
]


@pytest.mark.parametrize(
    ("kind", "size", "prices", "fill", "end"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_golden_kinds(kind, size, prices, fill, end):
    done = run(bars(DAYS), size, kind=kind, **prices)
    assert fills(done) == ([] if fill is None else [(fill[0], size, fill[1])])
    assert status(done) == [end]


#: force, kind, prices, more -> fills and status, on DAYS with participation 1 % (10 shares a bar).
FORCES = [
    ("GTC goes on", T.GTC, K.MARKET, {}, [(2, 10, 102), (3, 10, 104), (4, 5, 95)], "FILLED"),
    ("DAY ends with its session", T.DAY, K.MARKET, {}, [(2, 10, 102)], "EXPIRED"),
    ("IOC takes what there is", T.IOC, K.MARKET, {}, [(2, 10, 102)], "EXPIRED"),
    ("FOK takes all or nothing", T.FOK, K.MARKET, {}, [], "EXPIRED"),
    ("IOC limit looks at the open only", T.IOC, K.LIMIT, {"limit": 101.5}, [], "EXPIRED"),
    (
        "GTT ends at its time",
        T.GTT,
        K.MARKET,
        {"expire_at": 3},
        [(2, 10, 102), (3, 10, 104)],
        "EXPIRED",
    ),
    ("cancelled by its owner", T.GTC, K.MARKET, {"cancel_at": 2}, [(2, 10, 102)], "CANCELLED"),
]


@pytest.mark.parametrize(
    ("force", "kind", "more", "expected", "end"),
    [c[1:] for c in FORCES],
    ids=[c[0] for c in FORCES],
)
def test_golden_time_in_force(force, kind, more, expected, end):
    done = run(
        bars(DAYS),
        25,
        kind=kind,
        force=force,
        **more,
        options={"instruments": Instruments(participation=0.01)},
    )
    assert fills(done) == expected
    assert status(done) == [end]


def test_partial_fills_come_in_whole_lots_and_not_too_small():
    """12 of 1,000 shares are allowed: lots of 5 give 10, and a minimum of 20 gives nothing."""
    lots = Instruments(participation=0.012, lot_size=5)
    assert [f[1] for f in fills(run(bars(DAYS), 23, options={"instruments": lots}))] == [10, 10]
    minimum = Instruments(participation=0.012, min_shares=20)
    assert fills(run(bars(DAYS), 25, options={"instruments": minimum})) == []


def test_orders_below_the_minimum_are_refused():
    for terms in (
        Instruments(min_shares=11),
        Instruments(min_value=1_001),
        Instruments(lot_size=20),
    ):
        done = run(bars(DAYS), 10, options={"instruments": terms})
        assert fills(done) == []
        assert status(done)[0] in ("REJECTED", "CANCELLED")


def test_nothing_trades_without_volume_while_halted_or_without_price():
    """Zero volume, a halt, a missing bar: the order waits, a position is valued at the last price."""
    idle = [DAYS[0], (*DAYS[1][:4], 0), *DAYS[2:]]
    assert fills(run(bars(idle), 10)) == [(3, 10, 104)]
    halted = np.array([[False], [True], [False], [False]])
    assert fills(run(bars(DAYS, halted=halted), 10)) == [(3, 10, 104)]
    gap = [DAYS[0], (NAN,) * 5, *DAYS[2:]]
    done = run(bars(gap), 10)
    assert fills(done) == [(3, 10, 104)]
    assert done.equity[1] == 100_000
    assert status(run(bars(gap), 10, force=T.DAY)) == ["EXPIRED"]


def test_two_orders_share_the_volume_of_a_bar_oldest_first():
    done = run(bars(DAYS), [8, 8], options={"instruments": Instruments(participation=0.01)})
    assert fills(done) == [(2, 8, 102), (2, 2, 102), (3, 6, 104)]


def test_an_order_takes_part_only_in_bars_that_begin_after_it():
    """Decided inside bar 2 (1, 2]: it cannot have the open of that bar."""
    market = stream_from_panels([10, 20, 30], np.array([[100.0], [105], [98]]))
    assert fills(run(market, 1, time=15)) == [(30, 1, 98)]
    assert fills(run(market, 1, time=10)) == [(20, 1, 105)]
    assert fills(run(market, 1, time=10, options={"latency": 5})) == [(30, 1, 98)]


def test_the_deciding_bar_is_out_of_reach_unless_danger_is_asked_for():
    market = bars(DAYS)
    assert fills(run(market, 1)) == [(2, 1, 102)]
    dangerous = run(market, 1, options={"allow_fill_on_deciding_bar_DANGER": True})
    assert fills(dangerous) == [(1, 1, 100)]


def test_limits_that_are_only_touched():
    touched = run(bars(DAYS), 10, kind=K.LIMIT, limit=101, options={"limit_fills": "through"})
    assert fills(touched)[0][0] == 3
    assert fills(run(bars(DAYS), 10, kind=K.LIMIT, limit=101))[0][0] == 2


def test_sessions_of_intraday_bars():
    """Two sessions of two bars: auctions and DAY follow the session, not the bar."""
    market = bars(DAYS, session=[0, 0, 1, 1])
    assert fills(run(market, 1, kind=K.MARKET_ON_OPEN)) == [(3, 1, 104)]
    assert fills(run(market, 1, kind=K.MARKET_ON_CLOSE)) == [(2, 1, 105)]
    assert fills(run(market, 1, kind=K.MARKET_ON_CLOSE, time=2)) == [(4, 1, 97)]
    assert status(run(market, 1, kind=K.LIMIT, limit=98, force=T.DAY)) == ["EXPIRED"]
    assert fills(run(market, 1, kind=K.LIMIT, limit=98, force=T.DAY, time=2)) == [(3, 1, 98)]


def test_two_exchanges_on_one_clock():
    """Tokyo (06:00 UTC) and New York (21:00 UTC): each order waits for its own next bar.

    Decided at Tokyo's close on the 4th: New York's bar of the 4th began on the 1st (no other start
    is given), so the order waits for the bar of the 5th; with its real start it takes the 4th.
    """
    rows = [
        ("7203", "2010-01-04 06:00", 10.0),
        ("7203", "2010-01-05 06:00", 11.0),
        ("7203", "2010-01-06 06:00", 12.0),
        ("IBM", "2010-01-01 21:00", 100.0),
        ("IBM", "2010-01-04 21:00", 101.0),
        ("IBM", "2010-01-05 21:00", 102.0),
    ]
    table = pl.DataFrame(
        {
            "symbol": [r[0] for r in rows],
            "ts": pl.Series([r[1] for r in rows]).str.to_datetime(time_zone="UTC"),
            **{name: [r[2] for r in rows] for name in ("open", "high", "low", "close")},
            "volume": 1e6,
        }
    )
    zones = {"7203": "Asia/Tokyo", "IBM": "America/New_York"}
    market = stream_from_bars(table, zones=zones)
    assert market.session[0] == 14610  # 2010-01-01 in New York
    decided = int(table["ts"].dt.epoch("ns")[0])
    done = run(market, [1, 1], time=decided, asset=["IBM", "7203"], symbols=market.symbols)
    hours = dict(zip(done.fills["asset"], done.fills["time"], strict=True))
    assert hours[1] == int(table["ts"].dt.epoch("ns")[5])
    assert hours[0] == int(table["ts"].dt.epoch("ns")[1])
    opens = table.with_columns(
        start=pl.when(pl.col("symbol") == "IBM")
        .then(pl.col("ts") - pl.duration(hours=6, minutes=30))
        .otherwise(pl.col("ts") - pl.duration(hours=6))
    )
    done = run(stream_from_bars(opens, zones=zones), 1, time=decided, asset=1)
    assert done.fills["price"][0] == 101


def test_quotes_and_trades_by_hand():
    """Market buys at the ask (mid and half the spread), a limit waits for the ask or a trade."""
    ticks = pl.DataFrame(
        {
            "symbol": ["A"] * 5,
            "ts": [1, 2, 3, 4, 5],
            "bid": [99.0, 99, NAN, 100, 101],
            "ask": [101.0, 101, NAN, 102, 103],
            "bid_size": [5.0, 5, NAN, 5, 5],
            "ask_size": [5.0, 5, NAN, 5, 5],
            "price": [NAN, NAN, 98.5, NAN, NAN],
            "size": [NAN, NAN, 30.0, NAN, NAN],
        }
    )
    market = stream_from_ticks(ticks, snapshots=[1, 2, 3, 4, 5])
    done = run(market, 7, kind=K.MARKET)
    assert [(f["time"], f["shares"], f["price"], f["spread"]) for f in done.fills] == [
        (2, 5, 100, 5),
        (3, 2, 98.5, 0),
    ]
    # 5 bought for 505 in all at time 2, mid 100: equity falls by half the spread
    assert done.equity[1] == 100_000 - 5
    resting = run(market, 7, kind=K.LIMIT, limit=98.5)
    assert fills(resting) == [(3, 7, 98.5)]
    assert resting.fills["spread"][0] == 0
    stop = run(market, 5, kind=K.STOP, stop=102)
    assert [(f["time"], f["price"], f["spread"]) for f in stop.fills] == [(4, 101, 5)]


def test_targets_by_weight_and_by_shares():
    """Half of 100,000 at the close of 100 is 500 shares, bought at 102; then a target of 200."""
    market = bars(DAYS)
    done = run(market, 0.5, size_kind=SizeKind.TARGET_WEIGHT)
    assert fills(done) == [(2, 500, 102)]
    done = run(market, [0.5, 200], time=[1, 2], size_kind=[2, 1])
    assert fills(done) == [(2, 500, 102), (3, -300, 104)]
    # an unfinished target is replaced: 10 of 500 were bought when 200 is asked for
    slow = Instruments(participation=0.01)
    done = run(market, [500, 20], time=[1, 2], size_kind=1, options={"instruments": slow})
    assert fills(done) == [(2, 10, 102), (3, 10, 104)]
    assert status(done) == ["CANCELLED", "FILLED"]


def test_excursions_of_trades_by_hand():
    """Bought at the open of 102: high 106, low 97 before the exit at the open of 95.

    MFE (106 - 102) / 102, MAE (102 - 94)/102 would count the bar after the exit: it ends at 95.
    A stop entered inside its bar counts that bar's close only: 104, close 105.
    """
    done = run(bars(DAYS), [10, -10], time=[1, 3])
    trade = done.trades[0]
    assert (trade["entry_price"], trade["exit_price"], trade["gross"]) == (102, 95, -70)
    assert trade["mfe"] == pytest.approx(4 / 102)
    assert trade["mae"] == pytest.approx(7 / 102)
    inside = run(bars(DAYS[:2]), 10, kind=K.STOP, stop=104).trades[0]
    assert (inside["mfe"], inside["mae"]) == (pytest.approx(1 / 104), 0)
    assert inside["is_open"] == 1
    short = run(bars(DAYS), [-10, 10], time=[1, 3]).trades[0]
    assert (short["side"], short["gross"]) == (-1, 70)
    assert short["mae"] == pytest.approx(4 / 102)


def test_crossing_zero_ends_one_trade_and_begins_another():
    done = run(bars(DAYS), [10, -25], time=[1, 2])
    assert [(t["side"], t["shares"], t["is_open"]) for t in done.trades] == [
        (1, 10, 0),
        (-1, 15, 1),
    ]
    assert [t["gross"] for t in done.trades] == [20, 15 * (104 - 97)]
    assert done.fills["moment"].tolist() == [Moment.OPEN, Moment.OPEN]


def test_target_weights_agree_with_the_target_weight_engine():
    """The same weights, costs and prices through both engines: equity equal to 1e-12."""
    from btq_assets.engine.costs import CostModel
    from btq_assets.engine.orders import orders_from_targets
    from btq_assets.engine.simulation import simulate
    from btq_assets.engine.terms import OrderCosts

    random = np.random.default_rng(3)
    n_bars, n_assets = 300, 8
    opens = 50 * np.exp(np.cumsum(random.normal(0, 0.02, (n_bars, n_assets)), axis=0))
    closes = opens * np.exp(random.normal(0, 0.01, opens.shape))
    volumes = np.exp(random.normal(12, 0.5, opens.shape))
    sigma = random.uniform(0.01, 0.03, opens.shape)
    weights = random.dirichlet(np.ones(n_assets), n_bars) * 0.8
    weights[random.random(n_bars) < 0.5] = NAN
    model = CostModel(5, 8, 0.005, 1.0)
    peer = simulate(
        opens,
        closes,
        weights,
        model,
        initial_cash=1e6,
        volumes=volumes,
        raw_prices=opens,
        volatility=sigma,
    )
    times = np.arange(n_bars)
    market = stream_from_panels(
        times,
        closes,
        open=opens,
        high=np.fmax(opens, closes),
        low=np.fmin(opens, closes),
        volume=volumes,
        volatility=sigma,
    )
    done = simulate_orders(
        market, orders_from_targets(times, weights), Account(1e6), costs=OrderCosts.of(model)
    )
    assert done.fills.size == peer.fills.size > 500
    assert np.abs(done.equity / peer.equity - 1).max() < 1e-12
    assert done.costs[-1, 3] == pytest.approx(np.nansum(peer.fills["impact_cost"]), rel=1e-12)


def test_order_table_sorts_by_time_and_keeps_turns():
    table = order_table([2, 1, 1], 0, [1.0, 2, 3])
    assert table.size.tolist() == [2, 3, 1]


@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_datetimes_of_any_unit_are_nanoseconds(unit):
    days = np.array(["2020-01-01", "2020-01-02", "2020-01-03"], dtype=f"datetime64[{unit}]")
    market = stream_from_panels(days, np.array([[1.0], [2], [3]]))
    done = run(market, 1, time=days[1], force=T.GTT, expire_at=days[2])
    assert fills(done) == [(1_578_009_600_000_000_000, 1, 3)]
