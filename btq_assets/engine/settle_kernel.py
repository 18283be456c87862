"""Compiled fills of orders: costs, margin, the books, the order's progress.

Belongs here: what happens once an order trades. Does not belong here: whether it does
(`fill_kernel`), queues (`queue_kernel`).
"""

from __future__ import annotations

import numpy as np

from btq_assets.engine import account_kernel, codes, fill_kernel, queue_kernel, rebalance_kernel
from btq_assets.engine.account_kernel import book, covered, remark
from btq_assets.engine.compiled import compiled
from btq_assets.engine.fill_kernel import charge, commission_due, commission_rate
from btq_assets.engine.queue_kernel import finish

_QUOTE = 1
_PARTIAL, _FILLED, _CANCELLED, _REJECTED, _EXPIRED = 2, 3, 4, 5, 6
_SHORT_OF_CASH, _TIME_IN_FORCE, _LIQUIDATION = 3, 9, 10
_EVERYTHING = (codes, rebalance_kernel, account_kernel, fill_kernel, queue_kernel)


@compiled(*_EVERYTHING, from_python=False, build_in=True)
def all_costs(
    half_spread,
    volatility,
    daily_volume,
    assets,
    asset,
    money,
    tiers,
    price,
    quantity,
    side,
    liquidity,
    limit,
    quoted,
    accrued,
    charged,
):
    """Every cost of a fill, in the currency of the asset.

    Returns
    -------
    spread, slippage, impact, permanent, commission, accrued, conversion, all : float
    """
    held = assets[asset]
    spread, slippage, impact, permanent = charge(
        assets,
        asset,
        price,
        quantity,
        side,
        liquidity,
        limit,
        half_spread,
        quoted,
        volatility,
        daily_volume,
    )
    value = quantity * price * held.multiplier
    adverse = spread + slippage + (0.0 if np.isnan(impact) else impact)
    due, accrued = commission_due(
        commission_rate(assets, tiers, asset, liquidity, money.month_value),
        held.per_share,
        held.minimum,
        value + side * adverse,
        quantity,
        accrued,
        charged,
    )
    conversion = value * held.fx_cost if held.currency > 0 else 0.0
    return spread, slippage, impact, permanent, due, accrued, conversion, adverse + due + conversion


@compiled(*_EVERYTHING, from_python=False)
def affordable(
    half_spread,
    volatility,
    daily_volume,
    assets,
    asset,
    money,
    tiers,
    state,
    limit,
    price,
    most,
    side,
    liquidity,
    quoted,
):
    """Largest quantity up to `most` whose fill the account covers, by bisection, in whole lots."""
    held = assets[asset]
    low = min(most, abs(held.shares)) if held.shares * side < 0.0 else 0.0
    high = most
    for _ in range(60):
        middle = 0.5 * (low + high)
        cost = all_costs(
            half_spread,
            volatility,
            daily_volume,
            assets,
            asset,
            money,
            tiers,
            price,
            middle,
            side,
            liquidity,
            limit,
            quoted,
            state.accrued,
            state.charged,
        )[7]
        if covered(held, money, side * middle, price, cost * held.rate):
            low = middle
        else:
            high = middle
    if held.lot > 0.0:
        low = np.floor(low / held.lot * (1.0 + 1e-12)) * held.lot
    return low if low >= max(held.min_shares, 1e-12 * most) else 0.0


@compiled(*_EVERYTHING, from_python=False, build_in=True)
def settle(
    time,
    kind,
    half_spread,
    volatility,
    daily_volume,
    assets,
    asset,
    money,
    fills,
    trades,
    tiers,
    state,
    number,
    limit,
    price,
    quantity,
    liquidity,
    moment,
    quoted,
    ends,
    scaled,
):
    """Check margin, book a fill of an order, move the order on.

    `scaled` says that `quantity` was cut before, for want of cash.
    """
    held = assets[asset]
    side = 1.0 if state.quantity > 0.0 else -1.0
    short = False
    while True:
        spread, slippage, impact, permanent, due, accrued, conversion, cost = all_costs(
            half_spread,
            volatility,
            daily_volume,
            assets,
            asset,
            money,
            tiers,
            price,
            quantity,
            side,
            liquidity,
            limit,
            quoted,
            state.accrued,
            state.charged,
        )
        if short or covered(held, money, side * quantity, price, cost * held.rate):
            break
        short = True
        quantity = (
            affordable(
                half_spread,
                volatility,
                daily_volume,
                assets,
                asset,
                money,
                tiers,
                state,
                limit,
                price,
                quantity,
                side,
                liquidity,
                quoted,
            )
            if money.cut != 0
            else 0.0
        )
        if quantity <= 0.0:
            status = _REJECTED if state.filled == 0.0 else _CANCELLED
            finish(state, status, _SHORT_OF_CASH, time)
            return
    before = state.quantity - state.filled
    done = quantity >= abs(before)
    traded = before if done else side * quantity
    book(
        held,
        asset,
        money,
        fills,
        trades,
        time,
        number,
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
    if side > 0.0 or kind != _QUOTE:
        held.for_buys -= quantity
    if side < 0.0 or kind != _QUOTE:
        held.for_sells -= quantity
    if permanent > 0.0:
        moved = 1.0 + side * permanent
        held.factor *= moved
        remark(held, money, held.mark * moved)
    if done:
        finish(state, _FILLED, 0, time)
    elif short or scaled:
        finish(state, _CANCELLED, _SHORT_OF_CASH, time)
    elif ends:
        finish(state, _EXPIRED, _TIME_IN_FORCE, time)


@compiled(*_EVERYTHING, from_python=False)
def liquidate(
    time,
    kind,
    open_,
    high,
    half_spread,
    volatility,
    daily_volume,
    assets,
    asset,
    money,
    fills,
    trades,
    tiers,
):
    """Forced fill of a whole holding at the first price of an event."""
    held = assets[asset]
    price = open_
    quoted = np.nan
    if kind == _QUOTE:
        price, quoted = 0.5 * (open_ + high), 0.5 * (high - open_)
    if np.isnan(price):
        return
    shares = -held.shares
    side = 1.0 if shares > 0.0 else -1.0
    spread, slippage, impact, permanent, due, _, conversion, _ = all_costs(
        half_spread,
        volatility,
        daily_volume,
        assets,
        asset,
        money,
        tiers,
        price,
        abs(shares),
        side,
        0,
        np.nan,
        quoted,
        0.0,
        0.0,
    )
    fee = abs(shares) * price * held.multiplier * held.liquidation_fee
    book(
        held,
        asset,
        money,
        fills,
        trades,
        time,
        -1,
        shares,
        price,
        0,
        0,
        _LIQUIDATION,
        due,
        spread,
        slippage,
        impact,
        conversion,
        fee,
    )
    held.factor *= 1.0 + side * permanent
    held.liquidating = 0
    money.n_liquidating -= 1
