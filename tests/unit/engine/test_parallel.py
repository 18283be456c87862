"""Independent runs at once are what they are alone."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from btq_assets.engine.codes import OrderKind
from btq_assets.engine.errors import EngineError
from btq_assets.engine.order_simulation import simulate_orders
from btq_assets.engine.orders import order_table
from btq_assets.engine.parallel import simulate_together
from btq_assets.engine.stream import stream_from_panels
from btq_assets.engine.terms import Account, OrderCosts

NAMES = ("equity", "cash", "costs", "shares", "values", "orders", "fills", "trades")


def one(seed: int):
    random = np.random.default_rng(seed)
    prices = 50 * np.exp(np.cumsum(random.normal(0, 0.01, (60, 5)), axis=0))
    row = np.repeat(np.arange(59), 5)
    orders = order_table(row, np.tile(np.arange(5), 59), random.integers(-20, 20, row.size) + 0.5)
    return simulate_orders(
        stream_from_panels(np.arange(60), prices), orders, Account(1e6), costs=OrderCosts(5)
    )


def same(first, second):
    for name in NAMES:
        left, right = getattr(first, name), getattr(second, name)
        for field in left.dtype.names or (...,):
            assert np.array_equal(left[field], right[field]), (name, field)


def test_threads_change_no_bit_and_share_no_memory():
    alone = [one(seed) for seed in range(6)]
    together = simulate_together([partial(one, seed) for seed in range(6)], threads=3)
    for mine, theirs in zip(alone, together, strict=True):
        same(mine, theirs)
    for first in range(6):
        for second in range(first):
            for name in NAMES:
                left, right = getattr(together[first], name), getattr(together[second], name)
                assert not np.shares_memory(left, right)


def test_a_column_of_defaults_changes_no_bit():
    """Market orders run without the code of limits and stops; the full code gives the same."""
    plain = one(3)
    random = np.random.default_rng(3)
    prices = 50 * np.exp(np.cumsum(random.normal(0, 0.01, (60, 5)), axis=0))
    row = np.repeat(np.arange(59), 5)
    sizes = random.integers(-20, 20, row.size) + 0.5
    orders = order_table(
        row,
        np.tile(np.arange(5), 59),
        sizes,
        kind=np.full(row.size, OrderKind.MARKET),
        limit=np.full(row.size, np.nan),
    )
    full = simulate_orders(
        stream_from_panels(np.arange(60), prices), orders, Account(1e6), costs=OrderCosts(5)
    )
    assert orders.kind.size == row.size
    same(plain, full)


def test_a_broken_run_is_told():
    def broken():
        done = one(1)
        done.fills["price"] *= 1.01
        return done

    with pytest.raises(EngineError, match="the books do not balance"):
        simulate_together([partial(one, 0), broken])
    with pytest.raises(EngineError, match="threads = 0"):
        simulate_together([], threads=0)
