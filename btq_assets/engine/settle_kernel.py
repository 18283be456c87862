"""Compiled fills of orders: costs, margin, the books, the order's progress.

Belongs here: what happens once an order trades. Does not belong here: whether it does
(`fill_kernel`), queues (`queue_kernel`).
"""

from __future__ import annotations

import numpy as np

from btq_assets.engine import account_kernel, codes, fill_kernel, kernel, queue_kernel
from btq_assets.engine.account_kernel import (
    FACTOR,
    FOR_BUYS,
    FOR_SELLS,
    MARK,
    MONTH_VALUE,
    SHARES,
    book,
    covered,
    remark,
    unit_value,
)
from btq_assets.engine.codes import (
    CURRENCY,
    FX_COST,
    LOT,
    MIN_SHARES,
    MINIMUM,
    MULTIPLIER,
    PER_SHARE,
)
from btq_assets.engine.compiled import compiled
from btq_assets.engine.fill_kernel import charge, commission_due, commission_rate
from btq_assets.engine.queue_kernel import finish

_BAR, _QUOTE = 0, 1
_PARTIAL, _FILLED, _CANCELLED, _REJECTED, _EXPIRED = 2, 3, 4, 5, 6
_SHORT_OF_CASH, _TIME_IN_FORCE = 3, 9


@compiled(codes, kernel, account_kernel, fill_kernel, queue_kernel, from_python=False)
def priced(market, desk, books, event, asset, price, quantity, side, liquidity, limit, quoted):
    """Costs of a fill apart from commission, and its permanent impact."""
    half_spread = np.nan if market.half_spread.size == 0 else market.half_spread[event]
    sigma = np.nan if market.volatility.size == 0 else market.volatility[event]
    if market.daily_volume.size > 0:
        volume = market.daily_volume[event]
    else:
        volume = market.volume[event] if market.kind[event] == _BAR else np.nan
    return charge(
        books.terms,
        asset,
        price,
        quantity,
        side,
        liquidity,
        limit,
        half_spread,
        quoted,
        sigma,
        volume,
    )


@compiled(codes, kernel, account_kernel, fill_kernel, queue_kernel, from_python=False)
def all_costs(market, desk, books, event, state, asset, price, quantity, side, liquidity, quoted):
    """Every cost of a fill of an order, in the currency of the asset."""
    spread, slippage, impact, permanent = priced(
        market, desk, books, event, asset, price, quantity, side, liquidity, state.limit, quoted
    )
    terms = books.terms
    value = quantity * price * terms[asset, MULTIPLIER]
    adverse = spread + slippage + (0.0 if np.isnan(impact) else impact)
    due, accrued = commission_due(
        commission_rate(terms, desk.tiers, asset, liquidity, books.account[MONTH_VALUE]),
        terms[asset, PER_SHARE],
        terms[asset, MINIMUM],
        value + side * adverse,
        quantity,
        state.accrued,
        state.charged,
    )
    conversion = value * terms[asset, FX_COST] if terms[asset, CURRENCY] > 0.0 else 0.0
    return spread, slippage, impact, permanent, due, accrued, conversion, adverse + due + conversion


@compiled(codes, kernel, account_kernel, fill_kernel, queue_kernel, from_python=False)
def affordable(market, desk, books, event, state, asset, price, most, side, liquidity, quoted):
    """Largest quantity up to `most` whose fill the account covers, by bisection, in whole lots."""
    held = books.holdings[asset, SHARES]
    unit = unit_value(books, asset) / books.terms[asset, MULTIPLIER]
    low = min(most, abs(held)) if held * side < 0.0 else 0.0
    high = most
    for _ in range(60):
        middle = 0.5 * (low + high)
        cost = all_costs(
            market, desk, books, event, state, asset, price, middle, side, liquidity, quoted
        )[7]
        if covered(books, asset, side * middle, price, cost * unit):
            low = middle
        else:
            high = middle
    lot = books.terms[asset, LOT]
    if lot > 0.0:
        low = np.floor(low / lot * (1.0 + 1e-12)) * lot
    return low if low >= max(books.terms[asset, MIN_SHARES], 1e-12 * most) else 0.0


@compiled(codes, kernel, account_kernel, fill_kernel, queue_kernel, from_python=False)
def settle(market, desk, books, event, number, price, quantity, liquidity, moment, quoted, ends):
    """Check margin, book a fill of an order, move the order on."""
    state = desk.states[number]
    asset = market.asset[event]
    time = market.time[event]
    side = 1.0 if state.quantity > 0.0 else -1.0
    rate = books.fx[int(books.terms[asset, CURRENCY])]
    spread, slippage, impact, permanent, due, accrued, conversion, cost = all_costs(
        market, desk, books, event, state, asset, price, quantity, side, liquidity, quoted
    )
    short = not covered(books, asset, side * quantity, price, cost * rate)
    if short and desk.cut:
        quantity = affordable(
            market, desk, books, event, state, asset, price, quantity, side, liquidity, quoted
        )
        spread, slippage, impact, permanent, due, accrued, conversion, cost = all_costs(
            market, desk, books, event, state, asset, price, quantity, side, liquidity, quoted
        )
    if short and (quantity <= 0.0 or not desk.cut):
        finish(state, _REJECTED if state.filled == 0.0 else _CANCELLED, _SHORT_OF_CASH, time)
        return
    before = state.quantity - state.filled
    done = quantity >= abs(before)
    traded = before if done else side * quantity
    book(
        books,
        time,
        number,
        asset,
        traded,
        price,
        liquidity,
        moment,
        0,
        due,
        spread,
        slippage,
        impact,
        conversion,
        0.0,
    )
    state.filled = state.quantity if done else state.filled + traded
    state.value += quantity * price
    state.accrued = accrued
    state.charged += due
    state.status = _PARTIAL
    held = books.holdings[asset]
    held[FOR_BUYS if side > 0.0 else FOR_SELLS] -= quantity
    if market.kind[event] != _QUOTE:
        held[FOR_SELLS if side > 0.0 else FOR_BUYS] -= quantity
    if permanent > 0.0:
        held[FACTOR] *= 1.0 + side * permanent
        remark(books, asset, held[MARK] * (1.0 + side * permanent))
    if done:
        finish(state, _FILLED, 0, time)
    elif short:
        finish(state, _CANCELLED, _SHORT_OF_CASH, time)
    elif ends:
        finish(state, _EXPIRED, _TIME_IN_FORCE, time)
