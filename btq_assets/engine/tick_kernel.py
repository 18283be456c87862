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
    column_kernel,
    fill_kernel,
    link_kernel,
    queue_kernel,
    rebalance_kernel,
    scale_kernel,
    settle_kernel,
)
from btq_assets.engine.account_kernel import excursion, remark
from btq_assets.engine.codes import NEVER
from btq_assets.engine.column_kernel import at, has, price_at
from btq_assets.engine.compiled import compiled
from btq_assets.engine.fill_kernel import CANCEL, EXPIRE, FILL_AND_EXPIRE, attempt, room
from btq_assets.engine.link_kernel import active_from, open_is_for_another
from btq_assets.engine.queue_kernel import finish, forget, trail
from btq_assets.engine.scale_kernel import buying_scale, part_of
from btq_assets.engine.settle_kernel import settle

_BAR, _QUOTE = 0, 1
_TRAILING = 4
_FILLED, _CANCELLED, _REJECTED, _EXPIRED = 3, 4, 5, 6
_SHORT_OF_CASH, _BY_OWNER, _TIME_IN_FORCE = 3, 8, 9
_OPEN = 0
_SCALE = 2
_EVERYTHING = (
    codes,
    column_kernel,
    account_kernel,
    fill_kernel,
    link_kernel,
    queue_kernel,
    rebalance_kernel,
    scale_kernel,
    settle_kernel,
)


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
    gathered: np.ndarray
    plans: np.ndarray
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
def conditions(market, e):
    """Half-spread, daily volatility and daily volume in force at an event; NaN where unknown."""
    half_spread = np.nan if market.half_spread.size == 0 else market.half_spread[e]
    volatility = np.nan if market.volatility.size == 0 else market.volatility[e]
    if market.daily_volume.size > 0:
        return half_spread, volatility, market.daily_volume[e]
    return half_spread, volatility, market.volume[e] if market.kind[e] == _BAR else np.nan


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
        held.planned = 0.0
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
    """Orders against the events of a tick: sells, then buys, each oldest first.

    Where buys are scaled to the cash at hand they are gone through twice: once to see what they
    would take, once to fill them.
    """
    n = gather(market, books, begin, end)
    money = books.account[0]
    time = market.time[begin]
    scaling = money.cut == _SCALE
    scale, n_plans = 1.0, 0
    for k in range(3 * n if scaling else 2 * n):
        buys = k >= n
        planning = scaling and n <= k < 2 * n
        if scaling and k == 2 * n:
            scale = buying_scale(
                books.plans, n_plans, books.states, books.assets, money, books.tiers
            )
        number = books.gathered[k - 2 * n if k >= 2 * n else (k - n if buys else k)]
        state = books.states[number]
        if (state.quantity > 0.0) != buys or state.status >= _FILLED:
            continue
        if on_deciding_bar and orders.time[number] != time:
            continue
        active_at = orders.time[number] + money.latency
        if has(orders.parent) or has(orders.sibling):
            active_at = active_from(orders, books.states, number, money.latency, time)
            if state.status >= _FILLED:
                continue
        asset = orders.asset[number]
        held = books.assets[asset]
        e = held.event
        event_kind = market.kind[e]
        open_, high = market.open[e] * held.factor, market.high[e] * held.factor
        low, close = np.nan, 0.5 * (open_ + high)
        if event_kind != _QUOTE:
            low, close = market.low[e] * held.factor, market.close[e] * held.factor
        side = 1 if state.quantity > 0.0 else -1
        kind = at(orders.kind, number, 0)
        stop = price_at(orders.kind, books.prices, number, 1)
        if kind == _TRAILING and np.isnan(stop) and active_at != NEVER:
            seen = high if event_kind == _QUOTE and side > 0 else open_
            trail(orders, books.prices, number, state.quantity, seen)
            stop = price_at(orders.kind, books.prices, number, 1)
        limit = price_at(orders.kind, books.prices, number, 0)
        cancel_at = at(orders.cancel_at, number, NEVER)
        available = held.for_buys if side > 0 else held.for_sells
        verdict, quantity, price, liquidity, moment, quoted, triggered, session = attempt(
            kind,
            at(orders.force, number, 0),
            side,
            abs(state.quantity - state.filled),
            limit,
            stop,
            state.triggered != 0,
            state.rested != 0,
            state.session,
            active_at,
            at(orders.expire_at, number, NEVER),
            cancel_at,
            event_kind,
            time,
            market.start[e],
            open_,
            high,
            low,
            close,
            market.flags[e],
            market.session[e],
            available - held.planned if planning else available,
            held.lot,
            held.min_shares,
            money.through != 0,
            on_deciding_bar,
        )
        if (
            has(orders.sibling)
            and quantity > 0.0
            and moment != _OPEN
            and open_is_for_another(
                orders,
                books.states,
                books.prices,
                number,
                side,
                open_,
                market.start[e],
                time,
                money.latency,
            )
        ):
            continue
        half_spread, volatility, daily_volume = conditions(market, e)
        if planning:
            if quantity > 0.0:
                plan = books.plans[n_plans]
                plan.number, plan.asset, plan.liquidity = number, asset, liquidity
                plan.quantity, plan.price = quantity, price
                plan.limit, plan.quoted = limit, quoted
                plan.half_spread, plan.volatility = half_spread, volatility
                plan.daily_volume = daily_volume
                held.planned += quantity
                n_plans += 1
            continue
        state.triggered = triggered
        state.session = session
        state.rested = session >= 0
        if verdict == EXPIRE:
            finish(state, _EXPIRED, _TIME_IN_FORCE, time)
        elif verdict == CANCEL:
            finish(state, _CANCELLED, _BY_OWNER, cancel_at)
        elif quantity > 0.0:
            whole = quantity
            if scale != 1.0 and buys:
                quantity = part_of(quantity, held.shares, scale, held.lot, held.min_shares)
                if quantity <= 0.0:
                    ended = _REJECTED if state.filled == 0.0 else _CANCELLED
                    finish(state, ended, _SHORT_OF_CASH, time)
                    continue
            settle(
                time,
                event_kind,
                half_spread,
                volatility,
                daily_volume,
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
                quantity < whole,
            )
    if n > 0:
        for e in range(begin, end):
            forget(books.assets[market.asset[e]], books.states)


@compiled(*_EVERYTHING, from_python=False, build_in=True)
def mark_events(market, orders, books, begin, end):
    """Last prices, excursions of open trades, levels of trailing stops."""
    for e in range(begin, end):
        held = books.assets[market.asset[e]]
        number = held.first
        quote = market.kind[e] == _QUOTE
        if held.shares == 0.0 and number < 0:
            last = 0.5 * (market.open[e] + market.high[e]) if quote else market.close[e]
            if not np.isnan(last):
                held.mark = last * held.factor
            continue
        close = market.close[e] * held.factor
        if quote:
            close = 0.5 * (market.open[e] * held.factor + market.high[e] * held.factor)
        if np.isnan(close):
            continue
        low, high = market.low[e] * held.factor, market.high[e] * held.factor
        remark(held, books.account[0], close)
        if held.shares != 0.0:
            if held.fresh != 0 or quote:
                excursion(held, close, close)
            else:
                excursion(held, low, high)
            held.fresh = 0
        if not has(orders.kind):
            continue
        if quote:
            low, high = high, market.open[e] * held.factor
        while number >= 0:
            state = books.states[number]
            if (
                at(orders.kind, number, 0) == _TRAILING
                and state.rested != 0
                and state.triggered == 0
            ):
                best = low if state.quantity > 0.0 else high
                trail(orders, books.prices, number, state.quantity, best)
            number = state.following
