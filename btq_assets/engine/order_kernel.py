"""Compiled event engine: orders against a stream of events, in the order docs/engine.md states.

Belongs here: the walk over events. Does not belong here: what an order trades at (`fill_kernel`),
what a fill does (`settle_kernel`, `account_kernel`), queues (`queue_kernel`).
"""

from __future__ import annotations

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
    CASH,
    EXIT_VALUE,
    FACTOR,
    FLOW,
    FOR_BUYS,
    FOR_SELLS,
    FRESH,
    LEFT,
    MAINTAINED,
    MARK,
    MONTH_VALUE,
    NET,
    SHARES,
    accrue,
    act,
    book,
    excursion,
    month_of,
    remark,
    revalue,
    unit_value,
    write_trade,
)
from btq_assets.engine.codes import (
    CURRENCY,
    FX_COST,
    LIQUIDATION_FEE,
    LOT,
    MAINTENANCE,
    MIN_SHARES,
    MINIMUM,
    MULTIPLIER,
    NEVER,
    PARTICIPATION,
    PER_SHARE,
)
from btq_assets.engine.compiled import compiled
from btq_assets.engine.fill_kernel import (
    CANCEL,
    EXPIRE,
    FILL_AND_EXPIRE,
    attempt,
    commission_due,
    commission_rate,
    room,
)
from btq_assets.engine.queue_kernel import accept, end_orders, finish, forget, split_orders, trail
from btq_assets.engine.settle_kernel import priced, settle

_QUOTE, _FX = 1, 3
_FUNDING = 2
_TRAILING = 4
_FILLED, _CANCELLED, _EXPIRED = 3, 4, 6
_DELISTED, _BY_OWNER, _TIME_IN_FORCE, _LIQUIDATION = 4, 8, 9, 10
_DAY_NS = 86_400_000_000_000
_HALTED = 4
_EVERYTHING = (codes, kernel, account_kernel, fill_kernel, queue_kernel, settle_kernel)


@compiled(*_EVERYTHING, from_python=False)
def try_order(market, orders, desk, books, event, number, on_deciding_bar):
    """One order against one event."""
    state = desk.states[number]
    asset = market.asset[event]
    held = books.holdings[asset]
    factor = held[FACTOR]
    side = 1 if state.quantity > 0.0 else -1
    kind = 0 if orders.kind.size == 0 else orders.kind[number]
    time = market.time[event]
    event_kind = market.kind[event]
    if kind == _TRAILING and np.isnan(state.stop):
        seen = market.high[event] if event_kind == _QUOTE and side > 0 else market.open[event]
        state.stop = trail(orders, number, state, seen * factor)
    is_quote = event_kind == _QUOTE
    verdict, quantity, price, liquidity, moment, quoted, triggered, session = attempt(
        kind,
        0 if orders.force.size == 0 else orders.force[number],
        side,
        abs(state.quantity - state.filled),
        state.limit,
        state.stop,
        state.triggered != 0,
        state.rested != 0,
        state.session,
        orders.time[number] + desk.latency,
        NEVER if orders.expire_at.size == 0 else orders.expire_at[number],
        NEVER if orders.cancel_at.size == 0 else orders.cancel_at[number],
        event_kind,
        time,
        market.start[event],
        market.open[event] * factor,
        market.high[event] * factor,
        np.nan if is_quote else market.low[event] * factor,
        np.nan if is_quote else market.close[event] * factor,
        market.flags[event],
        market.session[event],
        held[FOR_BUYS] if side > 0 else held[FOR_SELLS],
        books.terms[asset, LOT],
        books.terms[asset, MIN_SHARES],
        desk.through,
        on_deciding_bar,
    )
    state.triggered = triggered
    state.session = session
    if session >= 0:
        state.rested = 1
    if verdict == EXPIRE:
        finish(state, _EXPIRED, _TIME_IN_FORCE, time)
    elif verdict == CANCEL:
        finish(state, _CANCELLED, _BY_OWNER, orders.cancel_at[number])
    elif quantity > 0.0:
        settle(
            market,
            desk,
            books,
            event,
            number,
            price,
            quantity,
            liquidity,
            moment,
            quoted,
            verdict == FILL_AND_EXPIRE,
        )


@compiled(*_EVERYTHING, from_python=False)
def gather(market, desk, books, begin, end):
    """Working orders of the assets of a tick, oldest first; what the events offer is noted."""
    n = 0
    in_turn = True
    for event in range(begin, end):
        asset = market.asset[event]
        held = books.holdings[asset]
        kind = market.kind[event]
        desk.event_of[asset] = event
        number = desk.first[asset]
        if number < 0:
            continue
        participation = books.terms[asset, PARTICIPATION]
        if kind == _QUOTE:
            held[FOR_BUYS] = room(kind, market.close[event], participation)
            held[FOR_SELLS] = room(kind, market.low[event], participation)
        else:
            held[FOR_BUYS] = room(kind, market.volume[event], participation)
            held[FOR_SELLS] = held[FOR_BUYS]
        while number >= 0:
            desk.gathered[n] = number
            in_turn = in_turn and (n == 0 or desk.gathered[n - 1] < number)
            n += 1
            number = desk.states[number].following
    if not in_turn:
        desk.gathered[:n] = np.sort(desk.gathered[:n])
    return n


@compiled(*_EVERYTHING, from_python=False)
def trade(market, orders, desk, books, begin, end, on_deciding_bar):
    """Orders against the events of a tick: sells, then buys, each oldest first."""
    n = gather(market, desk, books, begin, end)
    if n == 0:
        return
    buys = 0
    for k in range(n):
        number = desk.gathered[k]
        if desk.states[number].quantity > 0.0:
            desk.gathered[buys] = number
            buys += 1
        elif desk.states[number].status < _FILLED and (
            not on_deciding_bar or orders.time[number] == market.time[begin]
        ):
            event = desk.event_of[orders.asset[number]]
            try_order(market, orders, desk, books, event, number, on_deciding_bar)
    for k in range(buys):
        number = desk.gathered[k]
        if desk.states[number].status < _FILLED and (
            not on_deciding_bar or orders.time[number] == market.time[begin]
        ):
            event = desk.event_of[orders.asset[number]]
            try_order(market, orders, desk, books, event, number, on_deciding_bar)
    for event in range(begin, end):
        forget(desk, market.asset[event])


@compiled(*_EVERYTHING, from_python=False)
def liquidate(market, desk, books, begin, end):
    """Forced fills of the assets of a tick, at the first price of each."""
    for event in range(begin, end):
        asset = market.asset[event]
        if books.liquidating[asset] == 0 or market.flags[event] & _HALTED != 0:
            continue
        held = books.holdings[asset]
        price = market.open[event] * held[FACTOR]
        if np.isnan(price):
            continue
        quoted = np.nan
        if market.kind[event] == _QUOTE:
            ask = market.high[event] * held[FACTOR]
            quoted, price = 0.5 * (ask - price), 0.5 * (ask + price)
        shares = -held[SHARES]
        side = 1.0 if shares > 0.0 else -1.0
        quantity = abs(shares)
        spread, slippage, impact, permanent = priced(
            market, desk, books, event, asset, price, quantity, side, 0, np.nan, quoted
        )
        terms = books.terms
        value = quantity * price * terms[asset, MULTIPLIER]
        adverse = spread + slippage + (0.0 if np.isnan(impact) else impact)
        due, _ = commission_due(
            commission_rate(terms, desk.tiers, asset, 0, books.account[MONTH_VALUE]),
            terms[asset, PER_SHARE],
            terms[asset, MINIMUM],
            value + side * adverse,
            quantity,
            0.0,
            0.0,
        )
        book(
            books,
            market.time[event],
            -1,
            asset,
            shares,
            price,
            0,
            0,
            _LIQUIDATION,
            due,
            spread,
            slippage,
            impact,
            value * terms[asset, FX_COST] if terms[asset, CURRENCY] > 0.0 else 0.0,
            value * terms[asset, LIQUIDATION_FEE],
        )
        held[FACTOR] *= 1.0 + side * permanent
        books.liquidating[asset] = 0
        books.counts[2] -= 1


@compiled(*_EVERYTHING, from_python=False)
def mark_events(market, orders, desk, books, begin, end):
    """Last prices, excursions of open trades, levels of trailing stops."""
    for event in range(begin, end):
        asset = market.asset[event]
        held = books.holdings[asset]
        factor = held[FACTOR]
        close = market.close[event] * factor
        high, low = market.high[event] * factor, market.low[event] * factor
        if market.kind[event] == _QUOTE:
            bid, ask = market.open[event] * factor, high
            close = 0.5 * (bid + ask)
            high, low = bid, ask
        if np.isnan(close):
            continue
        remark(books, asset, close)
        if held[SHARES] != 0.0:
            if held[FRESH] != 0.0 or market.kind[event] == _QUOTE:
                excursion(held, close)
            else:
                excursion(held, high)
                excursion(held, low)
            held[FRESH] = 0.0
        if orders.kind.size > 0:
            number = desk.first[asset]
            while number >= 0:
                state = desk.states[number]
                if orders.kind[number] == _TRAILING and state.rested != 0 and state.triggered == 0:
                    best = low if state.quantity > 0.0 else high
                    state.stop = trail(orders, number, state, best)
                number = state.following


@compiled(*_EVERYTHING, from_python=False)
def take_action(actions, desk, books, k):
    """One row of the table of actions."""
    asset = actions.asset[k]
    if books.delisted[asset] == 1:
        return
    act(books, actions.time[k], asset, actions.kind[k], actions.value[k])
    if actions.kind[k] == 1:
        split_orders(desk, asset, actions.value[k])
    elif actions.kind[k] == 3:
        end_orders(desk, asset, _CANCELLED, _DELISTED, actions.time[k])


@compiled(*_EVERYTHING, from_python=False)
def call_margin(desk, books, time):
    """Below maintenance margin: orders are cancelled, every holding is marked for liquidation."""
    account = books.account
    if books.counts[2] > 0 or not account[CASH] + account[NET] < account[MAINTAINED]:
        return
    for asset in range(books.holdings.shape[0]):
        end_orders(desk, asset, _CANCELLED, _LIQUIDATION, time)
        if books.holdings[asset, SHARES] != 0.0:
            books.liquidating[asset] = 1
            books.counts[2] += 1


@compiled(*_EVERYTHING, from_python=False)
def record(books, s, equity, cash, gross, net, totals, shares, values):
    """Books at one snapshot; sums are rebuilt from scratch, so that no rounding travels."""
    revalue(books)
    total = 0.0
    size = 0.0
    for asset in range(books.holdings.shape[0]):
        held = books.holdings[asset, SHARES]
        value = 0.0
        if held != 0.0:
            value = held * books.holdings[asset, MARK] * unit_value(books, asset)
            total += value
            size += abs(value)
        if shares.shape[0] > 0:
            shares[s, asset] = held
            values[s, asset] = value
    cash[s] = books.account[CASH]
    equity[s] = books.account[CASH] + total
    gross[s] = size
    net[s] = total
    totals[s] = books.totals


@compiled(*_EVERYTHING, from_python=False)
def between_ticks(orders, desk, books, actions, until, last_kind, next_order, next_action):
    """Orders decided and actions due before `until`, by time.

    At `until` itself only actions of a kind before `last_kind` are taken.
    """
    while next_order < orders.time.size and orders.time[next_order] < until:
        while (
            next_action < actions.time.size and actions.time[next_action] <= orders.time[next_order]
        ):
            take_action(actions, desk, books, next_action)
            next_action += 1
        accept(orders, desk, books, next_order)
        next_order += 1
    while next_action < actions.time.size and (
        actions.time[next_action] < until
        or (actions.time[next_action] == until and actions.kind[next_action] < last_kind)
    ):
        take_action(actions, desk, books, next_action)
        next_action += 1
    return next_order, next_action


@compiled(*_EVERYTHING, from_python=False)
def new_rates(market, books, event):
    """Currency rates that lead a tick; holdings are valued with them from here on."""
    first = event
    now = market.time[event]
    while event < market.time.size and market.time[event] == now and market.kind[event] == _FX:
        books.fx[market.asset[event]] = market.close[event]
        event += 1
    if event > first:
        revalue(books)
    return event


@compiled(*_EVERYTHING)
def run_events(
    market,
    orders,
    desk,
    books,
    actions,
    cash_rate,
    debit_rate,
    day_count,
    on_deciding_bar,
    snapshots,
    equity,
    cash,
    gross,
    net,
    totals,
    shares,
    values,
):
    """Walk all events; see `order_simulation.simulate_orders` for the meaning of the arguments.

    Returns
    -------
    n_ticks : int
    """
    n_events = market.time.size
    seen = np.zeros(books.holdings.shape[0], np.int64)
    next_order, next_action, next_snapshot, n_ticks = 0, 0, 0, 0
    margin_calls = False
    for asset in range(books.holdings.shape[0]):
        margin_calls = margin_calls or books.terms[asset, MAINTENANCE] > 0.0
    event = 0
    last = NEVER
    while event < n_events:
        now = market.time[event]
        if now != last:
            while next_snapshot < snapshots.size and snapshots[next_snapshot] < now:
                next_order, next_action = between_ticks(
                    orders,
                    desk,
                    books,
                    actions,
                    snapshots[next_snapshot] + 1,
                    0,
                    next_order,
                    next_action,
                )
                record(books, next_snapshot, equity, cash, gross, net, totals, shares, values)
                next_snapshot += 1
            next_order, next_action = between_ticks(
                orders, desk, books, actions, now, _FUNDING, next_order, next_action
            )
            if last != NEVER and now // _DAY_NS != last // _DAY_NS:
                accrue(books, now // _DAY_NS - last // _DAY_NS, cash_rate, debit_rate, day_count)
                if month_of(now) != month_of(last):
                    books.account[MONTH_VALUE] = 0.0
            last = now
        n_ticks += 1
        begin = new_rates(market, books, event)
        end = begin
        while (
            end < n_events
            and market.time[end] == now
            and market.kind[end] != _FX
            and seen[market.asset[end]] != n_ticks
        ):
            seen[market.asset[end]] = n_ticks
            end += 1
        if books.counts[2] > 0:
            liquidate(market, desk, books, begin, end)
        trade(market, orders, desk, books, begin, end, False)
        mark_events(market, orders, desk, books, begin, end)
        if on_deciding_bar:
            while next_order < orders.time.size and orders.time[next_order] <= now:
                accept(orders, desk, books, next_order)
                next_order += 1
            trade(market, orders, desk, books, begin, end, True)
        if end == n_events or market.time[end] != now:
            while next_action < actions.time.size and actions.time[next_action] <= now:
                take_action(actions, desk, books, next_action)
                next_action += 1
        if margin_calls:
            call_margin(desk, books, now)
        event = end
    while next_snapshot < snapshots.size:
        record(books, next_snapshot, equity, cash, gross, net, totals, shares, values)
        next_snapshot += 1
    for asset in range(books.holdings.shape[0]):
        held = books.holdings[asset]
        if held[SHARES] != 0.0:
            side = 1 if held[SHARES] > 0.0 else -1
            left = held[LEFT] + abs(held[SHARES])
            value = held[EXIT_VALUE] + abs(held[SHARES]) * held[MARK]
            flow = held[FLOW] + held[SHARES] * held[MARK] * unit_value(books, asset)
            write_trade(books, asset, last, value, left, flow, side, 1)
    return n_ticks
