"""What the engines do with bad input: every row of the table in docs/engine.md.

Expected values are worked by hand from the rules of that page.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from order_cases import bars, fills, run, status

from btq_assets.engine.codes import ActionKind, Reason, TimeInForce
from btq_assets.engine.costs import CostModel
from btq_assets.engine.errors import EngineError
from btq_assets.engine.metrics import beta, calculate_information_ratio
from btq_assets.engine.order_simulation import simulate_orders
from btq_assets.engine.orders import action_table, order_table, orders_from_targets
from btq_assets.engine.simulation import simulate
from btq_assets.engine.stream import stream_from_bars, stream_from_panels
from btq_assets.engine.terms import Account

NAN = np.nan
RICH = Account(1_000.0)


def by_weights(prices, table, **options):
    """`simulate` without costs from 1,000 in cash."""
    table = np.array(table, dtype=float)
    return simulate(prices, prices, table, CostModel(), initial_cash=1_000, **options)


def by_orders(prices, table, force=TimeInForce.GTC, **options):
    """The same weights as orders of the event engine."""
    times = np.arange(len(prices))
    orders = orders_from_targets(times, np.array(table, dtype=float), force=int(force))
    return simulate_orders(stream_from_panels(times, prices), orders, RICH, **options)


def test_unknown_symbols():
    table = np.array([[0.5, 0.5]])
    with pytest.raises(EngineError, match=r"unknown symbols \['C'\]"):
        orders_from_targets([1], table, columns=["A", "C"], symbols=["A", "B"])
    with pytest.raises(EngineError, match=r"unknown symbols \['C'\]"):
        order_table(1, "C", 1.0, symbols=["A", "B"])
    with pytest.raises(EngineError, match="order 0 names asset 7; the market has 1"):
        simulate_orders(stream_from_panels([1, 2], np.ones((2, 1))), order_table(1, 7, 1.0), RICH)
    with pytest.raises(EngineError, match="shapes"):
        by_weights(np.ones((2, 3)), [[0.5, 0.5], [NAN, NAN]])


def test_weights_that_are_not_numbers():
    prices = np.full((3, 2), 10.0)
    for engine in (by_weights, by_orders):
        with pytest.raises(EngineError, match=r"row 1: weight of asset\(s\) \[0\] is NaN"):
            engine(prices, [[0.5, 0.5], [NAN, 0.5], [NAN, NAN]])
        with pytest.raises(EngineError, match="row 0: absolute weights sum to inf"):
            engine(prices, [[np.inf, 0], [NAN, NAN], [NAN, NAN]])
        silent = engine(prices, np.full((3, 2), NAN))
        assert silent.fills.size == 0
        assert silent.equity.tolist() == [1_000] * 3
    with pytest.raises(EngineError, match=r"order 1 .*its size is not a number"):
        order_table([1, 1], 0, [1.0, NAN])


def test_weights_above_the_limit():
    prices = np.full((3, 2), 10.0)
    rest = [[NAN, NAN]] * 2
    for engine in (by_weights, by_orders):
        with pytest.raises(
            EngineError, match=r"row 0: absolute weights sum to 1\.2, the limit is 1"
        ):
            engine(prices, [[0.6, 0.6], *rest])
        with pytest.raises(EngineError, match=r"row 0: absolute weights sum to 1\.2"):
            engine(prices, [[0.6, -0.6], *rest])
    assert by_weights(prices, [[0.6, -0.6], *rest], max_gross=1.2).fills.size == 2


def test_a_price_missing_on_the_rebalance_day():
    """Decided on bar 0, no price on bar 1: `simulate` drops the order; the event engine waits."""
    prices = np.array([[10.0, 10], [NAN, 10], [9, 10], [9, 10]])
    table = [[0.5, 0.5], [NAN, NAN], [NAN, NAN], [NAN, NAN]]
    dropped = by_weights(prices, table)
    assert dropped.fills["asset"].tolist() == [1]
    assert dropped.n_unpriced == 1
    waits = by_orders(prices, table)
    assert fills(waits) == [(1, 50, 10), (2, 50, 9)]
    ended = by_orders(prices, table, force=TimeInForce.DAY)
    assert status(ended) == ["EXPIRED", "FILLED"]
    held = np.array([[10.0], [10], [NAN], [12]])
    for engine in (by_weights, by_orders):
        done = engine(held, [[0.5], [NAN], [NAN], [NAN]])
        assert done.equity.tolist() == [1_000, 1_000, 1_000, 1_100]
    assert dropped.oldest_mark.tolist() == [0, 0, 0, 0]
    assert by_weights(held, [[0.5], [NAN], [NAN], [NAN]]).oldest_mark.tolist() == [0, 0, 1, 0]


def test_an_asset_never_priced():
    prices = np.array([[10.0, NAN], [10, NAN], [10, NAN]])
    table = [[0.5, 0.5], [NAN, NAN], [NAN, NAN]]
    assert by_weights(prices, table).n_unpriced == 1
    done = by_orders(prices, table)
    assert status(done) == ["FILLED", "REJECTED"]
    assert Reason(done.orders["reason"][1]) == Reason.NO_PRICE


def test_zero_volume():
    """`simulate` fills daily weights and cannot know the impact; the event engine waits."""
    flat = np.full((3, 1), 10.0)
    volume = np.array([[1e4], [0], [1e4]])
    done = simulate(
        flat,
        flat,
        np.array([[0.5], [NAN], [NAN]]),
        CostModel(impact_coefficient=1.0),
        initial_cash=1_000,
        volumes=volume,
        raw_prices=flat,
        volatility=np.full((3, 1), 0.02),
    )
    assert done.fills["bar"].tolist() == [1]
    assert np.isnan(done.fills["impact_cost"]).all()
    rows = [(10, 10, 10, 10, v) for v in (1e4, 0, 1e4)]
    assert fills(run(bars(rows), 5)) == [(3, 5, 10)]
    assert status(run(bars(rows), 5, force=TimeInForce.IOC)) == ["EXPIRED"]


def test_a_halted_symbol():
    """A halt is a flag of the event engine: it waits and marks; without a price neither trades."""
    rows = [(10, 10, 10, 10), (11, 11, 11, 11), (12, 12, 12, 12)]
    halted = np.array([[False], [True], [False]])
    done = run(bars(rows, halted=halted), 5)
    assert fills(done) == [(3, 5, 12)]
    assert status(run(bars(rows, halted=halted), 5, force=TimeInForce.DAY)) == ["EXPIRED"]
    prices = np.array([[10.0], [NAN], [12]])
    assert by_weights(prices, [[0.5], [NAN], [NAN]]).n_unpriced == 1


def test_a_delisted_symbol():
    """Held 50 at 10, last price 8 on bar 2: paid out, later weights come to nothing."""
    prices = np.array([[10.0], [10], [8], [NAN], [NAN]])
    table = [[0.5], [NAN], [NAN], [0.5], [NAN]]
    done = by_weights(prices, table, delisted_at=np.array([2]))
    assert done.fills["reason"].tolist() == [0, 1]
    assert done.equity.tolist() == [1_000, 1_000, 900, 900, 900]
    assert done.n_unpriced == 1
    ended = action_table([(2, 0, ActionKind.DELISTING, NAN)])
    done = by_orders(prices, table, actions=ended)
    assert fills(done) == [(1, 50, 10), (2, -50, 8)]
    assert done.equity.tolist() == [1_000, 1_000, 900, 900, 900]
    assert Reason(done.orders["reason"][1]) == Reason.DELISTED
    with pytest.raises(EngineError, match="has prices after"):
        by_orders(np.full((5, 1), 9.0), table, actions=ended)
    with pytest.raises(EngineError, match="asset 0 has prices after bar 2"):
        by_weights(np.full((5, 1), 9.0), table, delisted_at=np.array([2]))


def test_a_benchmark_of_another_length():
    for figure in (calculate_information_ratio, beta):
        with pytest.raises(EngineError, match="3 returns against 2 benchmark returns: pair them"):
            figure([0.1, 0.2, 0.1], [0.1, 0.2])
    missing = beta([0.1, NAN, 0.3, 0.2], [0.1, 0.5, 0.3, 0.2])
    assert missing == pytest.approx(1.0)


def test_bars_of_another_zone():
    """The same instants told in another zone are the same events; without a zone nobody knows."""
    days = pl.Series([date(2010, 1, 4), date(2010, 1, 5)]).cast(pl.Datetime("us", "UTC"))
    table = pl.DataFrame(
        {"symbol": ["A", "A"], "ts": days.dt.offset_by("21h")}
        | {name: [10.0, 11.0] for name in ("open", "high", "low", "close")}
        | {"volume": [1.0, 1.0]}
    )
    told = table.with_columns(pl.col("ts").dt.convert_time_zone("Asia/Tokyo"))
    one, two = stream_from_bars(table), stream_from_bars(told)
    assert np.array_equal(one.time, two.time)
    assert np.array_equal(one.session, two.session)
    with pytest.raises(EngineError, match="ts has no time zone"):
        stream_from_bars(table.with_columns(pl.col("ts").dt.replace_time_zone(None)))


def test_nothing_left():
    """Short 10 at 100 on 1,000; at 210 equity is -100: decisions come to nothing, in both engines."""
    prices = np.array([[100.0], [100], [210], [210], [210]])
    table = [[-1.0], [NAN], [0.5], [NAN], [NAN]]
    done = by_weights(prices, table)
    assert done.equity.tolist() == [1_000, 1_000, -100, -100, -100]
    assert done.n_ruined == 1
    done = by_orders(prices, table)
    assert done.equity.tolist() == [1_000, 1_000, -100, -100, -100]
    assert Reason(done.orders["reason"][1]) == Reason.RUINED
