"""Compiled event engine: orders against a stream of events, in the order docs/engine.md states.

Belongs here: the walk over events. Does not belong here: what an order trades at (`fill_kernel`),
what a fill does (`settle_kernel`, `account_kernel`), queues (`queue_kernel`).

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
from btq_assets.engine.account_kernel import (
    accrue,
    act,
    excursion,
    month_of,
    remark,
    revalue,
    worth,
    write_trade,
)
from btq_assets.engine.codes import NEVER
from btq_assets.engine.compiled import compiled
from btq_assets.engine.fill_kernel import CANCEL, EXPIRE, FILL_AND_EXPIRE, attempt, room
from btq_assets.engine.queue_kernel import accept, end_orders, finish, forget, split_orders, trail
from btq_assets.engine.settle_kernel import liquidate, settle

_BAR, _QUOTE, _FX = 0, 1, 3
_SPLIT, _FUNDING, _DELISTING = 1, 2, 3
_TRAILING = 4
_FILLED, _CANCELLED, _EXPIRED = 3, 4, 6
_DELISTED, _BY_OWNER, _TIME_IN_FORCE, _LIQUIDATION = 4, 8, 9, 10
_DAY_NS = 86_400_000_000_000
_HALTED = 4
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


class Actions(NamedTuple):
    """The arrays of an `orders.ActionTable`."""

    time: np.ndarray
    asset: np.ndarray
    kind: np.ndarray
    value: np.ndarray


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
                excursion(held, event.close)
            else:
                excursion(held, event.high)
                excursion(held, event.low)
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


@compiled(*_EVERYTHING, from_python=False)
def take_action(assets, asset, money, states, prices, fills, trades, time, kind, value):
    """One row of the table of actions."""
    held = assets[asset]
    if held.delisted != 0:
        return
    act(held, asset, money, fills, trades, time, kind, value)
    if kind == _SPLIT:
        split_orders(held, states, prices, value)
    elif kind == _DELISTING:
        end_orders(held, states, _CANCELLED, _DELISTED, time)


@compiled(*_EVERYTHING, from_python=False)
def call_margin(assets, money, states, time):
    """Below maintenance margin: orders are cancelled, every holding is marked for liquidation."""
    if money.n_liquidating > 0 or not money.cash + money.net < money.maintained:
        return
    for asset in range(assets.size):
        held = assets[asset]
        end_orders(held, states, _CANCELLED, _LIQUIDATION, time)
        if held.shares != 0.0:
            held.liquidating = 1
            money.n_liquidating += 1


@compiled(*_EVERYTHING, from_python=False)
def record(books, s):
    """Books at one snapshot; sums are rebuilt from scratch, so that no rounding travels."""
    money = books.account[0]
    revalue(books.assets, money)
    size = 0.0
    for asset in range(books.assets.size):
        held = books.assets[asset]
        value = worth(held)
        size += abs(value)
        if books.shares.shape[0] > 0:
            books.shares[s, asset] = held.shares
            books.values[s, asset] = value
    books.cash[s] = money.cash
    books.equity[s] = money.cash + money.net
    books.gross[s] = size
    books.net[s] = money.net
    books.costs[s, 0] = money.commission
    books.costs[s, 1] = money.spread
    books.costs[s, 2] = money.slippage
    books.costs[s, 3] = money.impact
    books.costs[s, 4] = money.fx
    books.costs[s, 5] = money.liquidation
    books.costs[s, 6] = money.borrow
    books.costs[s, 7] = money.interest
    books.costs[s, 8] = money.funding
    books.costs[s, 9] = money.dividends


@compiled(*_EVERYTHING, from_python=False)
def between_ticks(orders, books, actions, until, last_kind, next_order, next_action):
    """Orders decided and actions due before `until`, by time.

    At `until` itself only actions of a kind before `last_kind` are taken.
    """
    money = books.account[0]
    while True:
        order_at = orders.time[next_order] if next_order < orders.time.size else NEVER
        action_at = actions.time[next_action] if next_action < actions.time.size else NEVER
        if action_at < NEVER and action_at <= order_at:
            if action_at > until or (action_at == until and actions.kind[next_action] >= last_kind):
                return next_order, next_action
            take_action(
                books.assets,
                actions.asset[next_action],
                money,
                books.states,
                books.prices,
                books.fills,
                books.trades,
                action_at,
                actions.kind[next_action],
                actions.value[next_action],
            )
            next_action += 1
        elif order_at < until:
            accept(orders, books.states, books.prices, books.assets, money, next_order)
            next_order += 1
        else:
            return next_order, next_action


@compiled(*_EVERYTHING, from_python=False)
def new_rate(assets, currency, rate):
    """A currency rate; the caller values the holdings again."""
    for asset in range(assets.size):
        if assets[asset].currency == currency:
            assets[asset].rate = rate


@compiled(*_EVERYTHING)
def run_events(market, orders, books, actions, passes):
    """Walk all events; see `order_simulation.simulate_orders` for the meaning of the arguments.

    There is a second of `passes` where orders may trade on the bar of their decision.

    Returns
    -------
    n_ticks : int
    """
    n_events = market.time.size
    assets, states, money = books.assets, books.states, books.account[0]
    next_order, next_action, next_snapshot, n_ticks = 0, 0, 0, 0
    margin_calls = False
    for asset in range(assets.size):
        margin_calls = margin_calls or assets[asset].maintenance > 0.0
    e = 0
    last = NEVER
    while e < n_events:
        now = market.time[e]
        if now != last:
            while next_snapshot < books.times.size and books.times[next_snapshot] < now:
                until = books.times[next_snapshot] + 1
                next_order, next_action = between_ticks(
                    orders, books, actions, until, 0, next_order, next_action
                )
                record(books, next_snapshot)
                next_snapshot += 1
            next_order, next_action = between_ticks(
                orders, books, actions, now, _FUNDING, next_order, next_action
            )
            if last != NEVER and now // _DAY_NS != last // _DAY_NS:
                accrue(assets, money, now // _DAY_NS - last // _DAY_NS)
                if month_of(now) != month_of(last):
                    money.month_value = 0.0
            last = now
        n_ticks += 1
        begin = e
        while begin < n_events and market.time[begin] == now and market.kind[begin] == _FX:
            new_rate(assets, market.asset[begin], market.close[begin])
            begin += 1
        if begin > e:
            revalue(assets, money)
        end = begin
        while end < n_events and market.time[end] == now and market.kind[end] != _FX:
            held = assets[market.asset[end]]
            if held.seen == n_ticks:
                break
            held.seen = n_ticks
            if held.liquidating != 0 and market.flags[end] & _HALTED == 0:
                load(market, books, end)
                liquidate(
                    books.event[0],
                    assets,
                    market.asset[end],
                    money,
                    books.fills,
                    books.trades,
                    books.tiers,
                )
            end += 1
        for on_deciding_bar in range(passes):
            if on_deciding_bar == 1:
                while next_order < orders.time.size and orders.time[next_order] <= now:
                    accept(orders, states, books.prices, assets, money, next_order)
                    next_order += 1
            trade(market, orders, books, begin, end, on_deciding_bar == 1)
            if on_deciding_bar == 0:
                mark_events(market, orders, books, begin, end)
        if end == n_events or market.time[end] != now:
            next_order, next_action = between_ticks(
                orders, books, actions, now, _DELISTING + 1, next_order, next_action
            )
        if margin_calls:
            call_margin(assets, money, states, now)
        e = end
    while next_snapshot < books.times.size:
        record(books, next_snapshot)
        next_snapshot += 1
    revalue(assets, money)
    for asset in range(assets.size):
        held = assets[asset]
        if held.shares != 0.0:
            write_trade(
                held,
                asset,
                money,
                books.trades,
                last,
                held.exit_value + abs(held.shares) * held.mark,
                held.left + abs(held.shares),
                held.flow + worth(held),
                1 if held.shares > 0.0 else -1,
                1,
            )
    return n_ticks
