"""Compiled books: holdings, cash, trades, margin, financing and actions.

Belongs here: what a fill or the passing of time does to an account. Does not belong here: whether
an order trades (`fill_kernel`), the walk over events (`order_kernel`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from btq_assets.engine import codes
from btq_assets.engine.codes import (
    BORROW,
    C_BORROW,
    C_COMMISSION,
    C_DIVIDENDS,
    C_FUNDING,
    C_FX,
    C_IMPACT,
    C_INTEREST,
    C_LIQUIDATION,
    C_SLIPPAGE,
    C_SPREAD,
    CURRENCY,
    INITIAL_MARGIN,
    MAINTENANCE,
    MARGINED,
    MULTIPLIER,
)
from btq_assets.engine.compiled import compiled

#: Columns of the holdings, ``float64[N, N_HOLDING]``. The trade columns describe the open trade.
(
    SHARES,
    MARK,
    FACTOR,
    FOR_BUYS,
    FOR_SELLS,
    ENTERED,
    ENTRY_VALUE,
    LEFT,
    EXIT_VALUE,
    FLOW,
    COSTS,
    CARRY,
    ADVERSE,
    FAVOURABLE,
    N_FILLS,
    FRESH,
) = range(16)
N_HOLDING = 16

#: Entries of the account.
CASH, NET, INITIAL, MAINTAINED, MONTH_VALUE = range(5)
N_ACCOUNT = 5

_DAY_NS = 86_400_000_000_000


class Books(NamedTuple):
    """Everything a fill changes; arrays are changed in place.

    ``counts`` holds the number of fills, trades, and assets being liquidated.
    """

    holdings: np.ndarray
    opened_at: np.ndarray
    account: np.ndarray
    totals: np.ndarray
    fx: np.ndarray
    terms: np.ndarray
    fills: np.ndarray
    trades: np.ndarray
    counts: np.ndarray
    liquidating: np.ndarray
    delisted: np.ndarray


@compiled(codes, from_python=False)
def unit_value(books, asset):
    """Account currency per unit of price of one share."""
    return books.terms[asset, MULTIPLIER] * books.fx[int(books.terms[asset, CURRENCY])]


@compiled(codes, from_python=False)
def remark(books, asset, price):
    """Value a holding at `price` from now on."""
    held = books.holdings[asset]
    shares = held[SHARES]
    if shares != 0.0:
        unit = unit_value(books, asset)
        change = (price - held[MARK]) * shares * unit
        books.account[NET] += change
        size = change if shares > 0.0 else -change
        books.account[INITIAL] += size * books.terms[asset, INITIAL_MARGIN]
        books.account[MAINTAINED] += size * books.terms[asset, MAINTENANCE]
    held[MARK] = price


@compiled(codes, from_python=False)
def revalue(books):
    """Sums over all holdings from scratch: after currency rates moved, and at every snapshot."""
    net = 0.0
    initial = 0.0
    maintained = 0.0
    for asset in range(books.holdings.shape[0]):
        shares = books.holdings[asset, SHARES]
        if shares != 0.0:
            value = shares * books.holdings[asset, MARK] * unit_value(books, asset)
            net += value
            initial += abs(value) * books.terms[asset, INITIAL_MARGIN]
            maintained += abs(value) * books.terms[asset, MAINTENANCE]
    books.account[NET] = net
    books.account[INITIAL] = initial
    books.account[MAINTAINED] = maintained


@compiled(codes, from_python=False)
def excursion(held, price):
    """Widen the excursions of the open trade to `price`, as fractions of its mean entry price."""
    entry = held[ENTRY_VALUE] / held[ENTERED]
    gain = (price - entry) / entry
    if held[SHARES] < 0.0:
        gain = -gain
    held[ADVERSE] = max(held[ADVERSE], -gain)
    held[FAVOURABLE] = max(held[FAVOURABLE], gain)


@compiled(codes, from_python=False)
def write_trade(books, asset, time, exit_value, left, flow, side, is_open):
    """One row for the trade of `asset`: from flat to flat, or to the end of the run."""
    held = books.holdings[asset]
    k = books.counts[1]
    books.counts[1] += 1
    if k >= books.trades.size:
        return
    row = books.trades[k]
    row.asset = asset
    row.side = side
    row.is_open = is_open
    row.n_fills = int(held[N_FILLS])
    row.opened_at = books.opened_at[asset]
    row.closed_at = time
    row.shares = held[ENTERED]
    row.entry_price = held[ENTRY_VALUE] / held[ENTERED]
    row.exit_price = exit_value / left if left > 0.0 else np.nan
    row.gross = flow
    row.costs = held[COSTS]
    row.carry = held[CARRY]
    row.mae = held[ADVERSE]
    row.mfe = held[FAVOURABLE]


@compiled(codes, from_python=False)
def into_trade(books, asset, time, shares, price, cost, fresh):
    """A fill, or the part of one that does not cross zero, into the open trade of its asset."""
    held = books.holdings[asset]
    before = held[SHARES]
    amount = abs(shares)
    unit = unit_value(books, asset)
    if before == 0.0:
        books.opened_at[asset] = time
        for column in range(ENTERED, N_FILLS + 1):
            held[column] = 0.0
        held[FRESH] = fresh
    held[FLOW] -= shares * price * unit
    held[COSTS] += cost
    held[N_FILLS] += 1.0
    if before * shares >= 0.0:
        held[ENTERED] += amount
        held[ENTRY_VALUE] += amount * price
        held[SHARES] = before + shares
        return
    held[LEFT] += amount
    held[EXIT_VALUE] += amount * price
    excursion(held, price)
    held[SHARES] = before + shares
    if abs(held[SHARES]) <= 1e-12 * abs(before):
        held[SHARES] = 0.0
        side = 1 if before > 0.0 else -1
        write_trade(books, asset, time, held[EXIT_VALUE], held[LEFT], held[FLOW], side, 0)


@compiled(codes, from_python=False)
def book(
    books,
    time,
    order,
    asset,
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
    held = books.holdings[asset]
    rate = books.fx[int(books.terms[asset, CURRENCY])]
    multiplier = books.terms[asset, MULTIPLIER]
    known_impact = 0.0 if np.isnan(impact) else impact
    cost = (commission + spread + slippage + known_impact + conversion + liquidation) * rate
    remark(books, asset, price)
    before = held[SHARES]
    value = abs(shares) * price * multiplier * rate
    fresh = 0.0 if moment == 0 else 1.0
    if before * shares < 0.0 and abs(shares) > abs(before) * (1.0 + 1e-12):
        part = abs(before) / abs(shares)
        into_trade(books, asset, time, -before, price, cost * part, fresh)
        held[SHARES] = 0.0
        into_trade(books, asset, time, shares + before, price, cost * (1.0 - part), fresh)
    else:
        into_trade(books, asset, time, shares, price, cost, fresh)
    grown = (abs(held[SHARES]) - abs(before)) * price * multiplier * rate
    account = books.account
    account[CASH] -= shares * price * multiplier * rate + cost
    account[NET] += (held[SHARES] - before) * price * multiplier * rate
    account[INITIAL] += grown * books.terms[asset, INITIAL_MARGIN]
    account[MAINTAINED] += grown * books.terms[asset, MAINTENANCE]
    account[MONTH_VALUE] += value
    totals = books.totals
    totals[C_COMMISSION] += commission * rate
    totals[C_SPREAD] += spread * rate
    totals[C_SLIPPAGE] += slippage * rate
    totals[C_IMPACT] += known_impact * rate
    totals[C_FX] += conversion * rate
    totals[C_LIQUIDATION] += liquidation * rate
    k = books.counts[0]
    books.counts[0] += 1
    if k >= books.fills.size:
        return
    row = books.fills[k]
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


@compiled(codes, from_python=False)
def covered(books, asset, shares, price, cost):
    """Whether equity after a fill would cover the initial margin; a smaller position always may."""
    held = books.holdings[asset]
    after = held[SHARES] + shares
    if abs(after) <= abs(held[SHARES]) and after * held[SHARES] >= 0.0:
        return True
    unit = unit_value(books, asset)
    mark = price if np.isnan(held[MARK]) else held[MARK]
    account = books.account
    equity = account[CASH] + account[NET] + held[SHARES] * (price - mark) * unit - cost
    needed = account[INITIAL] + books.terms[asset, INITIAL_MARGIN] * unit * (
        abs(after) * price - abs(held[SHARES]) * mark
    )
    return equity >= needed - 1e-9 * max(abs(equity), needed)


@compiled(codes, from_python=False)
def accrue(books, days, cash_rate, debit_rate, day_count):
    """Interest and borrow fees of `days` on the balances of now.

    Free cash is cash less the proceeds of short sales; it earns. Borrowed cash is cash below zero.
    Gains on margined assets count as cash, what they are worth does not.
    """
    share = days / day_count
    settled = books.account[CASH]
    short = 0.0
    for asset in range(books.holdings.shape[0]):
        shares = books.holdings[asset, SHARES]
        if shares == 0.0:
            continue
        value = shares * books.holdings[asset, MARK] * unit_value(books, asset)
        if books.terms[asset, MARGINED] > 0.0:
            settled += value
        elif value < 0.0:
            short -= value
            fee = -value * books.terms[asset, BORROW] * share
            books.holdings[asset, CARRY] -= fee
            books.totals[C_BORROW] += fee
            books.account[CASH] -= fee
    earned = max(0.0, settled - short) * cash_rate * share
    paid = max(0.0, -settled) * debit_rate * share
    books.account[CASH] += earned - paid
    books.totals[C_INTEREST] += paid - earned


@compiled(codes, from_python=False)
def carry(books, asset, kind, paid):
    """Cash that a holding costs (or brings, negative), booked to its trade."""
    books.account[CASH] -= paid
    books.totals[kind] += paid
    books.holdings[asset, CARRY] -= paid


@compiled(codes, from_python=False)
def act(books, time, asset, kind, value):
    """Dividend, split, funding or delisting of one asset; orders are the caller's."""
    held = books.holdings[asset]
    if kind == 1:
        held[SHARES] *= value
        held[MARK] /= value
        held[ENTERED] *= value
        held[LEFT] *= value
        return
    if kind == 3:
        books.delisted[asset] = 1
        if books.liquidating[asset] == 1:
            books.liquidating[asset] = 0
            books.counts[2] -= 1
    if held[SHARES] == 0.0:
        return
    if kind == 0:
        carry(books, asset, C_DIVIDENDS, -held[SHARES] * value * unit_value(books, asset))
    elif kind == 2:
        worth = held[SHARES] * held[MARK] * unit_value(books, asset)
        carry(books, asset, C_FUNDING, worth * value)
    else:
        # a worthless share is paid nothing; the record keeps the price of zero
        price = held[MARK] if np.isnan(value) else value
        shares = -held[SHARES]
        book(books, time, -1, asset, shares, price, 0, 0, 4, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@compiled(codes, from_python=False)
def month_of(time):
    """Months since 1970 of a time in nanoseconds UTC (days from civil, Hinnant 2013)."""
    z = time // _DAY_NS + 719_468
    era = z // 146_097
    day = z - era * 146_097
    year = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    rest = day - (365 * year + year // 4 - year // 100)
    shifted = (5 * rest + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return (year + era * 400 + (1 if month <= 2 else 0)) * 12 + month
