"""Compiled sharing of cash: the buys of one tick, all cut in the same proportion.

Belongs here: the largest fraction of a tick's buys that the account covers. Does not belong here:
filling them (`settle_kernel`, which checks margin once more).
"""

from __future__ import annotations

import numpy as np

from btq_assets.engine import codes, settle_kernel
from btq_assets.engine.compiled import compiled
from btq_assets.engine.settle_kernel import all_costs

_EVERYTHING = (codes, settle_kernel)


@compiled(*_EVERYTHING, from_python=False)
def part_of(quantity, holding, scale, lot, minimum):
    """A buy after scaling: what closes a short stays whole, the rest is cut, in whole lots."""
    if scale == 1.0:
        return quantity
    closing = min(quantity, max(-holding, 0.0))
    wanted = closing + scale * (quantity - closing)
    if lot > 0.0:
        wanted = np.floor(wanted / lot * (1.0 + 1e-12)) * lot
    return wanted if wanted >= max(minimum, 1e-12 * quantity) else 0.0


@compiled(*_EVERYTHING, from_python=False)
def fits(plans, n, scale, states, assets, money, tiers, tolerance):
    """Whether equity after the planned buys, each scaled, covers their initial margin."""
    equity = money.cash + money.net
    needed = money.initial
    for k in range(n):
        assets[plans[k].asset].planned = 0.0
    for k in range(n):
        plan = plans[k]
        held = assets[plan.asset]
        state = states[plan.number]
        unit = held.multiplier * held.rate
        before = held.shares + held.planned
        quantity = part_of(plan.quantity, before, scale, 0.0, 0.0)
        if quantity <= 0.0:
            continue
        mark = plan.price if np.isnan(held.mark) or held.planned != 0.0 else held.mark
        cost = all_costs(
            plan.half_spread,
            plan.volatility,
            plan.daily_volume,
            assets,
            plan.asset,
            money,
            tiers,
            plan.price,
            quantity,
            1.0,
            plan.liquidity,
            plan.limit,
            plan.quoted,
            state.accrued,
            state.charged,
        )[7]
        equity += before * (plan.price - mark) * unit - cost * held.rate
        grown = abs(before + quantity) * plan.price - abs(before) * mark
        needed += held.initial_margin * unit * grown
        held.planned += quantity
    return equity >= needed - tolerance * max(abs(equity), needed)


@compiled(*_EVERYTHING, from_python=False)
def buying_scale(plans, n, states, assets, money, tiers):
    """Largest fraction, by bisection, of the planned buys that the account covers."""
    if fits(plans, n, 1.0, states, assets, money, tiers, 1e-9):
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        if fits(plans, n, middle, states, assets, money, tiers, 0.0):
            low = middle
        else:
            high = middle
    return low
