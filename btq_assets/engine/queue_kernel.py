"""Compiled life of orders before and after the market: sizing, queues, splits, cancels.

Belongs here: the arrays of orders and every change of an order that is not a fill. Does not belong
here: fills (`settle_kernel`), the walk over events (`order_kernel`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from btq_assets.engine import account_kernel, codes, column_kernel, fill_kernel, rebalance_kernel
from btq_assets.engine.column_kernel import at, has
from btq_assets.engine.compiled import compiled
from btq_assets.engine.fill_kernel import trailing_level
from btq_assets.engine.rebalance_kernel import DUST

_TRAILING = 4
_WORKING, _FILLED, _CANCELLED, _REJECTED = 1, 3, 4, 5
_NO_SIZE, _BELOW_MINIMUM, _DELISTED, _NO_PRICE, _RUINED = 1, 2, 4, 5, 6
_REPLACED, _LIQUIDATION, _NO_RATE = 7, 10, 11
_EVERYTHING = (codes, rebalance_kernel, account_kernel, fill_kernel, column_kernel)


class Orders(NamedTuple):
    """The arrays of an `orders.OrderTable`; None where no order has what the column says."""

    time: np.ndarray
    asset: np.ndarray
    size: np.ndarray
    kind: np.ndarray
    force: np.ndarray
    size_kind: np.ndarray
    limit: np.ndarray
    stop: np.ndarray
    trail_amount: np.ndarray
    trail_fraction: np.ndarray
    expire_at: np.ndarray
    cancel_at: np.ndarray
    parent: np.ndarray
    sibling: np.ndarray


@compiled(codes, from_python=False, build_in=True)
def finish(state, status, reason, time):
    """An order ends."""
    state.status = status
    state.reason = reason
    state.done_at = time


@compiled(*_EVERYTHING, from_python=False, build_in=True)
def sized(held, money, size, kind):
    """Signed shares an order asks for, and the reason when it asks for none."""
    if held.delisted != 0:
        return 0.0, _DELISTED
    if money.n_liquidating > 0:
        return 0.0, _LIQUIDATION
    if np.isnan(held.rate):
        return 0.0, _NO_RATE
    equity = money.cash + money.net
    if equity <= 0.0:
        return 0.0, _RUINED
    quantity = size
    if kind == 2 and size != 0.0:
        if np.isnan(held.mark):
            return 0.0, _NO_PRICE
        quantity = size * equity / (held.mark * held.multiplier * held.rate)
    if kind != 0:
        wanted = quantity
        quantity = wanted - held.shares
        if abs(quantity) <= DUST * max(abs(wanted), abs(held.shares)):
            return 0.0, _NO_SIZE
        if size == 0.0:
            return quantity, 0
    if held.lot > 0.0:
        quantity = np.trunc(quantity / held.lot * (1.0 + DUST)) * held.lot
    if quantity == 0.0:
        return 0.0, _NO_SIZE
    value = abs(quantity) * held.mark * held.multiplier
    if abs(quantity) < held.min_shares or value < held.min_value:
        return 0.0, _BELOW_MINIMUM
    return quantity, 0


@compiled(codes, from_python=False)
def end_orders(held, states, status, reason, time):
    """End every working order of an asset."""
    number = held.first
    while number >= 0:
        if states[number].status < _FILLED:
            finish(states[number], status, reason, time)
        number = states[number].following
    held.first = -1
    held.last = -1


@compiled(codes, from_python=False)
def end_targets(held, states, size_kind, time):
    """A new target of an asset ends what is left of its earlier one."""
    number = held.first
    while number >= 0:
        if size_kind[number] != 0 and states[number].status < _FILLED:
            finish(states[number], _CANCELLED, _REPLACED, time)
        number = states[number].following


@compiled(codes, from_python=False)
def split_orders(held, states, prices, ratio):
    """Working orders of an asset keep their value: more shares, lower prices."""
    number = held.first
    while number >= 0:
        state = states[number]
        state.quantity *= ratio
        state.filled *= ratio
        if prices.shape[0] > 0:
            prices[number, 0] /= ratio
            prices[number, 1] /= ratio
        number = state.following


@compiled(codes, from_python=False, build_in=True)
def forget(held, states):
    """Take ended orders out of the queue of an asset."""
    previous = -1
    number = held.first
    while number >= 0:
        following = states[number].following
        if states[number].status >= _FILLED:
            if previous < 0:
                held.first = following
            else:
                states[previous].following = following
        else:
            previous = number
        number = following
    held.last = previous


@compiled(*_EVERYTHING, from_python=False)
def trail(orders, prices, number, quantity, price):
    """Move the level of a trailing stop after `price`."""
    amount = at(orders.trail_amount, number, np.nan)
    fraction = at(orders.trail_fraction, number, np.nan)
    side = 1 if quantity > 0.0 else -1
    prices[number, 1] = trailing_level(side, prices[number, 1], price, amount, fraction)


@compiled(codes, from_python=False, build_in=True)
def clear(state):
    """An order of which nothing is known yet; its memory held another one."""
    state.quantity = 0.0
    state.filled = 0.0
    state.value = 0.0
    state.accrued = 0.0
    state.charged = 0.0
    state.done_at = 0
    state.session = -1
    state.following = -1
    state.status = 0
    state.reason = 0
    state.triggered = 0
    state.rested = 0


@compiled(*_EVERYTHING, from_python=False, build_in=True)
def accept(orders, states, prices, assets, money, number):
    """Size a new order by what is known at its decision, and queue it behind the others."""
    held = assets[orders.asset[number]]
    state = states[number]
    time = orders.time[number]
    kind = at(orders.size_kind, number, 0)
    clear(state)
    if kind != 0:
        end_targets(held, states, orders.size_kind, time)
    quantity, reason = sized(held, money, orders.size[number], kind)
    state.quantity = quantity
    if reason != 0:
        finish(state, _CANCELLED if reason == _NO_SIZE else _REJECTED, reason, time)
        return
    state.status = _WORKING
    if has(orders.kind):
        prices[number, 0] = at(orders.limit, number, np.nan)
        prices[number, 1] = at(orders.stop, number, np.nan)
        waits = at(orders.parent, number, -1) >= 0
        if at(orders.kind, number, 0) == _TRAILING and np.isnan(prices[number, 1]) and not waits:
            trail(orders, prices, number, quantity, held.mark)
    if held.first < 0:
        held.first = number
    else:
        states[held.last].following = number
    held.last = number
