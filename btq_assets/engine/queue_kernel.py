"""Compiled life of orders before and after the market: sizing, queues, splits, cancels.

Belongs here: the arrays an event run works on, and every change of an order that is not a fill.
Does not belong here: fills (`settle_kernel`), the walk over events (`order_kernel`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from btq_assets.engine import account_kernel, codes, fill_kernel
from btq_assets.engine.account_kernel import CASH, MARK, NET, SHARES, unit_value
from btq_assets.engine.codes import CURRENCY, LOT, MIN_SHARES, MIN_VALUE, MULTIPLIER
from btq_assets.engine.compiled import compiled
from btq_assets.engine.fill_kernel import trailing_level
from btq_assets.engine.kernel import DUST

_TRAILING = 4
_WORKING, _FILLED, _CANCELLED, _REJECTED = 1, 3, 4, 5
_NO_SIZE, _BELOW_MINIMUM, _DELISTED, _NO_PRICE, _RUINED = 1, 2, 4, 5, 6
_REPLACED, _LIQUIDATION, _NO_RATE = 7, 10, 11


class Market(NamedTuple):
    """The arrays of a `stream.MarketStream`."""

    time: np.ndarray
    start: np.ndarray
    asset: np.ndarray
    kind: np.ndarray
    flags: np.ndarray
    session: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    half_spread: np.ndarray
    volatility: np.ndarray
    daily_volume: np.ndarray


class Orders(NamedTuple):
    """The arrays of an `orders.OrderTable`, with the latency already in `active_at`."""

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


class Desk(NamedTuple):
    """Orders on their way: states, the queue of each asset, and rules of the run."""

    states: np.ndarray
    first: np.ndarray
    last: np.ndarray
    event_of: np.ndarray
    gathered: np.ndarray
    tiers: np.ndarray
    latency: int
    through: bool
    cut: bool


class Actions(NamedTuple):
    """The arrays of an `orders.ActionTable`."""

    time: np.ndarray
    asset: np.ndarray
    kind: np.ndarray
    value: np.ndarray


@compiled(codes, from_python=False)
def finish(state, status, reason, time):
    """An order ends."""
    state.status = status
    state.reason = reason
    state.done_at = time


@compiled(codes, account_kernel, from_python=False)
def sized(orders, books, number, asset):
    """Signed shares an order asks for, and the reason when it asks for none."""
    held = books.holdings[asset]
    mark = held[MARK]
    size = orders.size[number]
    kind = 0 if orders.size_kind.size == 0 else orders.size_kind[number]
    terms = books.terms[asset]
    if books.delisted[asset] == 1:
        return 0.0, _DELISTED
    if books.counts[2] > 0:
        return 0.0, _LIQUIDATION
    if np.isnan(books.fx[int(terms[CURRENCY])]):
        return 0.0, _NO_RATE
    if books.account[CASH] + books.account[NET] <= 0.0:
        return 0.0, _RUINED
    quantity = size
    if kind == 2 and size != 0.0:
        if np.isnan(mark):
            return 0.0, _NO_PRICE
        equity = books.account[CASH] + books.account[NET]
        quantity = size * equity / (mark * unit_value(books, asset))
    if kind != 0:
        wanted = quantity
        quantity = wanted - held[SHARES]
        if abs(quantity) <= DUST * max(abs(wanted), abs(held[SHARES])):
            return 0.0, _NO_SIZE
    if kind != 0 and size == 0.0:
        return quantity, 0
    if terms[LOT] > 0.0:
        quantity = np.trunc(quantity / terms[LOT] * (1.0 + DUST)) * terms[LOT]
    if quantity == 0.0:
        return 0.0, _NO_SIZE
    too_little = not np.isnan(mark) and abs(quantity) * mark * terms[MULTIPLIER] < terms[MIN_VALUE]
    if abs(quantity) < terms[MIN_SHARES] or too_little:
        return 0.0, _BELOW_MINIMUM
    return quantity, 0


@compiled(codes, account_kernel, from_python=False)
def replace_targets(orders, desk, number, asset):
    """A new target of an asset ends what is left of its earlier one."""
    other = desk.first[asset]
    while other >= 0:
        state = desk.states[other]
        if orders.size_kind[other] != 0 and state.status < _FILLED:
            finish(state, _CANCELLED, _REPLACED, orders.time[number])
        other = state.following


@compiled(codes, fill_kernel, from_python=False)
def trail(orders, number, state, price):
    """Level of a trailing stop after `price`."""
    amount = np.nan if orders.trail_amount.size == 0 else orders.trail_amount[number]
    fraction = np.nan if orders.trail_fraction.size == 0 else orders.trail_fraction[number]
    side = 1 if state.quantity > 0.0 else -1
    return trailing_level(side, state.stop, price, amount, fraction)


@compiled(codes, account_kernel, fill_kernel, from_python=False)
def accept(orders, desk, books, number):
    """Size a new order by what is known at its decision, and queue it behind the others."""
    asset = orders.asset[number]
    state = desk.states[number]
    state.accepted_at = orders.time[number]
    state.following = -1
    state.session = -1
    if orders.size_kind.size > 0 and orders.size_kind[number] != 0:
        replace_targets(orders, desk, number, asset)
    quantity, reason = sized(orders, books, number, asset)
    state.quantity = quantity
    if reason != 0:
        finish(state, _CANCELLED if reason == _NO_SIZE else _REJECTED, reason, orders.time[number])
        return
    state.status = _WORKING
    state.limit = np.nan if orders.limit.size == 0 else orders.limit[number]
    state.stop = np.nan if orders.stop.size == 0 else orders.stop[number]
    if orders.kind.size > 0 and orders.kind[number] == _TRAILING and np.isnan(state.stop):
        state.stop = trail(orders, number, state, books.holdings[asset, MARK])
    if desk.first[asset] < 0:
        desk.first[asset] = number
    else:
        desk.states[desk.last[asset]].following = number
    desk.last[asset] = number


@compiled(codes, from_python=False)
def forget(desk, asset):
    """Take ended orders out of the queue of an asset."""
    previous = -1
    number = desk.first[asset]
    while number >= 0:
        following = desk.states[number].following
        if desk.states[number].status >= _FILLED:
            if previous < 0:
                desk.first[asset] = following
            else:
                desk.states[previous].following = following
        else:
            previous = number
        number = following
    desk.last[asset] = previous


@compiled(codes, from_python=False)
def end_orders(desk, asset, status, reason, time):
    """End every working order of an asset."""
    number = desk.first[asset]
    while number >= 0:
        state = desk.states[number]
        if state.status < _FILLED:
            finish(state, status, reason, time)
        number = state.following
    desk.first[asset] = -1
    desk.last[asset] = -1


@compiled(codes, from_python=False)
def split_orders(desk, asset, ratio):
    """Working orders of an asset keep their value: more shares, lower prices."""
    number = desk.first[asset]
    while number >= 0:
        state = desk.states[number]
        state.quantity *= ratio
        state.filled *= ratio
        state.limit /= ratio
        state.stop /= ratio
        number = state.following
