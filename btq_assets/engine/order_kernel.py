"""Compiled event engine: the walk over a stream of events, in the order docs/engine.md states.

Belongs here: the clock: what happens when. Does not belong here: trading within a tick
(`tick_kernel`), accounts (`account_kernel`), queues (`queue_kernel`).
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
    tick_kernel,
)
from btq_assets.engine.account_kernel import accrue, act, month_of, revalue, worth, write_trade
from btq_assets.engine.codes import NEVER
from btq_assets.engine.column_kernel import has
from btq_assets.engine.compiled import compiled
from btq_assets.engine.link_kernel import end_links
from btq_assets.engine.queue_kernel import accept, clear, end_orders, split_orders
from btq_assets.engine.settle_kernel import liquidate
from btq_assets.engine.tick_kernel import conditions, mark_events, trade

_FX = 3
_SPLIT, _FUNDING, _DELISTING = 1, 2, 3
_CANCELLED = 4
_DELISTED, _LIQUIDATION = 4, 10
_DAY_NS = 86_400_000_000_000
_HALTED = 4
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
    tick_kernel,
)


class Actions(NamedTuple):
    """The arrays of an `orders.ActionTable`."""

    time: np.ndarray
    asset: np.ndarray
    kind: np.ndarray
    value: np.ndarray


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
    size, net, initial, maintained = 0.0, 0.0, 0.0, 0.0
    for asset in range(books.assets.size):
        held = books.assets[asset]
        value = worth(held)
        net += value
        size += abs(value)
        initial += abs(value) * held.initial_margin
        maintained += abs(value) * held.maintenance
        if books.shares.shape[0] > 0:
            books.shares[s, asset] = held.shares
            books.values[s, asset] = value
    money.net, money.initial, money.maintained = net, initial, maintained
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
    linked = has(orders.parent) or has(orders.sibling)
    if linked:
        for number in range(states.size):
            clear(states[number])
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
                half_spread, volatility, daily_volume = conditions(market, end)
                liquidate(
                    now,
                    market.kind[end],
                    market.open[end] * held.factor,
                    market.high[end] * held.factor,
                    half_spread,
                    volatility,
                    daily_volume,
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
    for number in range(next_order, states.size):
        clear(states[number])
    if linked:
        end_links(orders, states, money.latency, last)
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
