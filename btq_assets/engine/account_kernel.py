"""Compiled books: holdings, cash, trades, margin, financing and actions.

Belongs here: what a fill or the passing of time does to an account. Does not belong here: whether
an order trades (`fill_kernel`), the walk over events (`order_kernel`).

Assets, account, fills and trades are structured arrays of `codes`, changed in place.
"""

from __future__ import annotations

import numpy as np

from btq_assets.engine import codes
from btq_assets.engine.compiled import compiled

_DAY_NS = 86_400_000_000_000


@compiled(codes, from_python=False, build_in=True)
def remark(held, money, price):
    """Value the holding of one asset at `price` from now on."""
    shares = held.shares
    if shares != 0.0:
        change = (price - held.mark) * shares * held.multiplier * held.rate
        money.net += change
        size = change if shares > 0.0 else -change
        money.initial += size * held.initial_margin
        money.maintained += size * held.maintenance
    held.mark = price


@compiled(codes, from_python=False, build_in=True)
def worth(held):
    """Value of a holding in account currency."""
    return held.shares * held.mark * held.multiplier * held.rate if held.shares != 0.0 else 0.0


@compiled(codes, from_python=False)
def revalue(assets, money):
    """Sums over all holdings from scratch: after currency rates moved, and at every snapshot."""
    net = 0.0
    initial = 0.0
    maintained = 0.0
    for i in range(assets.size):
        held = assets[i]
        if held.shares != 0.0:
            value = worth(held)
            net += value
            initial += abs(value) * held.initial_margin
            maintained += abs(value) * held.maintenance
    money.net = net
    money.initial = initial
    money.maintained = maintained


@compiled(codes, from_python=False, build_in=True)
def excursion(held, low, high):
    """Widen the excursions of the open trade to a range, as fractions of its mean entry price."""
    entry = held.entry_value / held.entered
    up = high / entry - 1.0
    down = up if low == high else low / entry - 1.0
    if held.shares > 0.0:
        held.mae = max(held.mae, -down)
        held.mfe = max(held.mfe, up)
    else:
        held.mae = max(held.mae, up)
        held.mfe = max(held.mfe, -down)


@compiled(codes, from_python=False)
def write_trade(held, asset, money, trades, time, exit_value, left, flow, side, is_open):
    """One row for the trade of an asset: from flat to flat, or to the end of the run."""
    k = money.n_trades
    money.n_trades = k + 1
    if k >= trades.size:
        return
    row = trades[k]
    row.asset = asset
    row.side = side
    row.is_open = is_open
    row.n_fills = held.n_fills
    row.opened_at = held.opened_at
    row.closed_at = time
    row.shares = held.entered
    row.entry_price = held.entry_value / held.entered
    row.exit_price = exit_value / left
    row.gross = flow
    row.costs = held.costs
    row.carry = held.carry
    row.mae = held.mae
    row.mfe = held.mfe


@compiled(codes, from_python=False, build_in=True)
def into_trade(held, asset, money, trades, time, shares, price, cost, fresh):
    """A fill, or the part of one that does not cross zero, into the open trade of its asset."""
    before = held.shares
    amount = abs(shares)
    if before == 0.0:
        held.opened_at = time
        held.entered = 0.0
        held.entry_value = 0.0
        held.left = 0.0
        held.exit_value = 0.0
        held.flow = 0.0
        held.costs = 0.0
        held.carry = 0.0
        held.mae = 0.0
        held.mfe = 0.0
        held.n_fills = 0
        held.fresh = fresh
    held.flow -= shares * price * held.multiplier * held.rate
    held.costs += cost
    held.n_fills += 1
    if before * shares >= 0.0:
        held.entered += amount
        held.entry_value += amount * price
        held.shares = before + shares
        return
    held.left += amount
    held.exit_value += amount * price
    excursion(held, price, price)
    held.shares = before + shares
    if abs(held.shares) <= 1e-12 * abs(before):
        held.shares = 0.0
        side = 1 if before > 0.0 else -1
        write_trade(
            held, asset, money, trades, time, held.exit_value, held.left, held.flow, side, 0
        )


@compiled(codes, from_python=False, build_in=True)
def book(
    held,
    asset,
    money,
    fills,
    trades,
    time,
    order,
    shares,
    price,
    liquidity,
    moment,
    reason,
    commission,
    spread,
    slippage,
    impact,
    conversion,
    liquidation,
):
    """One fill into cash, holdings, trades, totals and the record; costs in the asset's currency.

    The holding is valued at the fill price from here on, until the event ends.
    """
    rate = held.rate
    unit = held.multiplier * rate
    known_impact = 0.0 if np.isnan(impact) else impact
    cost = (commission + spread + slippage + known_impact + conversion + liquidation) * rate
    remark(held, money, price)
    before = held.shares
    fresh = 0 if moment == 0 else 1
    rest = shares
    rest_cost = cost
    if before * shares < 0.0 and abs(shares) > abs(before) * (1.0 + 1e-12):
        part = abs(before) / abs(shares)
        into_trade(held, asset, money, trades, time, -before, price, cost * part, fresh)
        rest = shares + before
        rest_cost = cost * (1.0 - part)
    into_trade(held, asset, money, trades, time, rest, price, rest_cost, fresh)
    grown = (abs(held.shares) - abs(before)) * price * unit
    money.cash -= shares * price * unit + cost
    money.net += (held.shares - before) * price * unit
    money.initial += grown * held.initial_margin
    money.maintained += grown * held.maintenance
    money.month_value += abs(shares) * price * unit
    money.commission += commission * rate
    money.spread += spread * rate
    money.slippage += slippage * rate
    money.impact += known_impact * rate
    money.fx += conversion * rate
    money.liquidation += liquidation * rate
    k = money.n_fills
    money.n_fills = k + 1
    if k >= fills.size:
        return
    row = fills[k]
    row.time = time
    row.order = order
    row.asset = asset
    row.liquidity = liquidity
    row.moment = moment
    row.reason = reason
    row.shares = shares
    row.price = price
    row.fx_rate = rate
    row.commission = commission * rate
    row.spread = spread * rate
    row.slippage = slippage * rate
    row.impact = impact * rate
    row.fx = conversion * rate
    row.liquidation = liquidation * rate


@compiled(codes, from_python=False, build_in=True)
def covered(held, money, shares, price, cost):
    """Whether equity after a fill would cover the initial margin; a smaller position always may."""
    after = held.shares + shares
    if abs(after) <= abs(held.shares) and after * held.shares >= 0.0:
        return True
    unit = held.multiplier * held.rate
    mark = price if np.isnan(held.mark) else held.mark
    equity = money.cash + money.net + held.shares * (price - mark) * unit - cost
    needed = money.initial + held.initial_margin * unit * (
        abs(after) * price - abs(held.shares) * mark
    )
    return equity >= needed - 1e-9 * max(abs(equity), needed)


@compiled(codes, from_python=False)
def accrue(assets, money, days):
    """Interest and borrow fees of `days` on the balances of now.

    Free cash is cash less the proceeds of short sales; it earns. Borrowed cash is cash below zero.
    Gains on margined assets count as cash, what they are worth does not.
    """
    share = days / money.day_count
    settled = money.cash
    short = 0.0
    for i in range(assets.size):
        held = assets[i]
        if held.shares == 0.0:
            continue
        value = worth(held)
        if held.margined != 0:
            settled += value
        elif value < 0.0:
            short -= value
            fee = -value * held.borrow * share
            held.carry -= fee
            money.borrow += fee
            money.cash -= fee
    earned = max(0.0, settled - short) * money.cash_rate * share
    paid = max(0.0, -settled) * money.debit_rate * share
    money.cash += earned - paid
    money.interest += paid - earned


@compiled(codes, from_python=False)
def act(held, asset, money, fills, trades, time, kind, value):
    """Dividend, split, funding or delisting of one asset; its orders are the caller's."""
    if kind == 1:
        held.shares *= value
        held.mark /= value
        held.entered *= value
        held.left *= value
        return
    if kind == 3:
        held.delisted = 1
        money.n_liquidating -= held.liquidating
        held.liquidating = 0
    if held.shares == 0.0:
        return
    if kind == 0:
        received = held.shares * value * held.multiplier * held.rate
        money.dividends -= received
        money.cash += received
        held.carry += received
    elif kind == 2:
        paid = worth(held) * value
        money.funding += paid
        money.cash -= paid
        held.carry -= paid
    else:
        # a worthless share is paid nothing; the record keeps the price of zero
        price = held.mark if np.isnan(value) else value
        book(
            held,
            asset,
            money,
            fills,
            trades,
            time,
            -1,
            -held.shares,
            price,
            0,
            0,
            4,
            0.0,
            0.0,
            0.0,
            0.0,
            0.0,
            0.0,
        )


@compiled(codes)
def month_of(time):
    """Months since year 0 of a time in nanoseconds UTC (days from civil, Hinnant 2013)."""
    z = time // _DAY_NS + 719_468
    era = z // 146_097
    day = z - era * 146_097
    year = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    rest = day - (365 * year + year // 4 - year // 100)
    shifted = (5 * rest + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return (year + era * 400 + (1 if month <= 2 else 0)) * 12 + month
