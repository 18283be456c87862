"""Compiled trading of one tick: events against the orders that wait for them.

Belongs here: what happens to orders and marks between two times. Does not belong here: what an
order trades at (`fill_kernel`), what a fill does (`settle_kernel`), the clock (`order_kernel`).

Big tuples of arrays are dear to pass: functions that take them are always built into their
caller, all others get single records.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from btq_assets.engine import (
    account_kernel,
    codes,
    fill_kernel,
    kernel,
    queue_kernel,
    settle_kernel,
)
from btq_assets.engine.account_kernel import excursion, remark
from btq_assets.engine.codes import NEVER
from btq_assets.engine.compiled import compiled
from btq_assets.engine.fill_kernel import CANCEL, EXPIRE, FILL_AND_EXPIRE, attempt, room
from btq_assets.engine.queue_kernel import finish, forget, trail
from btq_assets.engine.settle_kernel import settle

_BAR, _QUOTE = 0, 1
_TRAILING = 4
_FILLED, _CANCELLED, _EXPIRED = 3, 4, 6
_BY_OWNER, _TIME_IN_FORCE = 8, 9
_EVERYTHING = (codes, kernel, account_kernel, fill_kernel, queue_kernel, settle_kernel)


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


class Books(NamedTuple):
    """What a run changes in place: records of `codes`, and the paths of its snapshots."""

    states: np.ndarray
    prices: np.ndarray
    assets: np.ndarray
    account: np.ndarray
    event: np.ndarray
    gathered: np.ndarray
    tiers: np.ndarray
    fills: np.ndarray
    trades: np.ndarray
    times: np.ndarray
    equity: np.ndarray
    cash: np.ndarray
    gross: np.ndarray
    net: np.ndarray
    costs: np.ndarray
    shares: np.ndarray
    values: np.ndarray


@compiled(*_EVERYTHING, from_python=False, build_in=True)
def load(market, books, e):
    """Event `e` into the scratch record, its prices moved by permanent impact so far."""
    event = books.event[0]
    factor = books.assets[market.asset[e]].factor
    kind = market.kind[e]
    event.time = market.time[e]
    event.start = market.start[e]
    event.kind = kind
    event.flags = market.flags[e]
    event.session = market.session[e]
    event.open = market.open[e] * factor
    event.high = market.high[e] * factor
    if kind == _QUOTE:
        event.low = np.nan
        event.close = 0.5 * (event.open + event.high)
    else:
        event.low = market.low[e] * factor
        event.close = market.close[e] * factor
    event.half_spread = np.nan if market.half_spread.size == 0 else market.half_spread[e]
    event.volatility = np.nan if market.volatility.size == 0 else market.volatility[e]
    if market.daily_volume.size > 0:
        event.daily_volume = market.daily_volume[e]
    else:
        event.daily_volume = market.volume[e] if kind == _BAR else np.nan


@compiled(codes, from_python=False)
def sort_numbers(numbers, n):
    """Put the first `n` in order in place (Shell 1959, gaps of Knuth)."""
    gap = 1
    while gap < n // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for k in range(gap, n):
            number = numbers[k]
            place = k
            while place >= gap and numbers[place - gap] > number:
                numbers[place] = numbers[place - gap]
                place -= gap
            numbers[place] = number
        gap //= 3


@compiled(*_EVERYTHING, from_python=False, build_in=True)
def gather(market, books, begin, end):
    """Working orders of the assets of a tick, oldest first; what the events offer is noted."""
    n = 0
    in_turn = True
    for e in range(begin, end):
        held = books.assets[market.asset[e]]
        kind = market.kind[e]
        held.event = e
        number = held.first
        if number < 0:
            continue
        if kind == _QUOTE:
            held.for_buys = room(kind, market.close[e], held.participation)
            held.for_sells = room(kind, market.low[e], held.participation)
        else:
            held.for_buys = room(kind, market.volume[e], held.participation)
            held.for_sells = held.for_buys
        while number >= 0:
            books.gathered[n] = number
            in_turn = in_turn and (n == 0 or books.gathered[n - 1] < number)
            n += 1
            number = books.states[number].following
    if not in_turn:
        sort_numbers(books.gathered, n)
    return n


@compiled(*_EVERYTHING, from_python=False, build_in=True)
def trade(market, orders, books, begin, end, on_deciding_bar):
    """Orders against the events of a tick: sells, then buys, each oldest first."""
    n = gather(market, books, begin, end)
    money = books.account[0]
    event = books.event[0]
    for k in range(2 * n):
        number = books.gathered[k if k < n else k - n]
        state = books.states[number]
        if (state.quantity > 0.0) == (k < n) or state.status >= _FILLED:
            continue
        if on_deciding_bar and orders.time[number] != market.time[begin]:
            continue
        asset = orders.asset[number]
        held = books.assets[asset]
        load(market, books, held.event)
        side = 1 if state.quantity > 0.0 else -1
        kind = 0 if orders.kind.size == 0 else orders.kind[number]
        if kind == _TRAILING and np.isnan(books.prices[number, 1]):
            seen = event.high if event.kind == _QUOTE and side > 0 else event.open
            trail(orders, books.prices, number, state.quantity, seen)
        limit = np.nan if books.prices.shape[0] == 0 else books.prices[number, 0]
        cancel_at = NEVER if orders.cancel_at.size == 0 else orders.cancel_at[number]
        verdict, quantity, price, liquidity, moment, quoted, triggered, session = attempt(
            kind,
            0 if orders.force.size == 0 else orders.force[number],
            side,
            abs(state.quantity - state.filled),
            limit,
            np.nan if books.prices.shape[0] == 0 else books.prices[number, 1],
            state.triggered != 0,
            state.rested != 0,
            state.session,
            orders.time[number] + money.latency,
            NEVER if orders.expire_at.size == 0 else orders.expire_at[number],
            cancel_at,
            event.kind,
            event.time,
            event.start,
            event.open,
            event.high,
            event.low,
            event.close,
            event.flags,
            event.session,
            held.for_buys if side > 0 else held.for_sells,
            held.lot,
            held.min_shares,
            money.through != 0,
            on_deciding_bar,
        )
        state.triggered = triggered
        state.session = session
        state.rested = session >= 0
        if verdict == EXPIRE:
            finish(state, _EXPIRED, _TIME_IN_FORCE, event.time)
        elif verdict == CANCEL:
            finish(state, _CANCELLED, _BY_OWNER, cancel_at)
        elif quantity > 0.0:
            settle(
                event,
                books.assets,
                asset,
                money,
                books.fills,
                books.trades,
                books.tiers,
                state,
                number,
                limit,
                price,
                quantity,
                liquidity,
                moment,
                quoted,
                verdict == FILL_AND_EXPIRE,
            )
    if n > 0:
        for e in range(begin, end):
            forget(books.assets[market.asset[e]], books.states)


@compiled(*_EVERYTHING, from_python=False, build_in=True)
def mark_events(market, orders, books, begin, end):
    """Last prices, excursions of open trades, levels of trailing stops."""
    event = books.event[0]
    for e in range(begin, end):
        held = books.assets[market.asset[e]]
        number = held.first
        if held.shares == 0.0 and number < 0:
            close = market.close[e]
            if market.kind[e] == _QUOTE:
                close = 0.5 * (market.open[e] + market.high[e])
            if not np.isnan(close):
                held.mark = close * held.factor
            continue
        load(market, books, e)
        if np.isnan(event.close):
            continue
        remark(held, books.account[0], event.close)
        if held.shares != 0.0:
            if held.fresh != 0 or event.kind == _QUOTE:
                excursion(held, event.close, event.close)
            else:
                excursion(held, event.low, event.high)
            held.fresh = 0
        if orders.kind.size == 0:
            continue
        low = event.high if event.kind == _QUOTE else event.low
        high = event.open if event.kind == _QUOTE else event.high
        while number >= 0:
            state = books.states[number]
            if orders.kind[number] == _TRAILING and state.rested != 0 and state.triggered == 0:
                best = low if state.quantity > 0.0 else high
                trail(orders, books.prices, number, state.quantity, best)
            number = state.following
