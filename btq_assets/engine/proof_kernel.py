"""Compiled proof of the books of an event run: fills and trades added up once more.

Belongs here: one pass over fills, orders and trades that reads neither cash nor holdings of the
account until it compares. Does not belong here: which gap is too large (`books`).
"""

from __future__ import annotations

import numpy as np

from btq_assets.engine import codes
from btq_assets.engine.compiled import compiled


@compiled(codes, from_python=False, build_in=True)
def wider(worst, gap):
    """The larger of two gaps; not a number is the largest of all."""
    size = abs(gap)
    return size if size > worst or np.isnan(size) else worst


@compiled(codes, from_python=False, build_in=True)
def known(cost):
    """A cost, zero where it is unknown."""
    return 0.0 if np.isnan(cost) else cost


@compiled(codes)
def prove_fills(
    fills,
    times,
    equity,
    cash,
    costs,
    shares,
    values,
    multiplier,
    initial_cash,
    split_time,
    split_asset,
    split_ratio,
    holding,
    of_orders,
    gaps,
):
    """Rebuild cash, costs and holdings of every snapshot from fills, and value the holdings.

    Parameters
    ----------
    fills, times, equity, cash, costs, shares, values, multiplier, initial_cash
        Of an `order_simulation.OrderSimulation`.
    split_time, split_asset, split_ratio
        Splits by time; one at the time of a fill acts before it.
    holding, of_orders
        ``float64[N]`` and ``float64[M]`` of zeros: shares by asset, and by order, after all fills.
    gaps
        ``float64[4]``, changed: cash, costs and positions relative to equity, holdings to the
        largest.

    Returns
    -------
    bool
        False, and nothing proved, where a fill is earlier than the one before it.
    """
    most = 1.0
    before = np.int64(-9223372036854775808)
    spent = 0.0
    commission, spread, slippage = 0.0, 0.0, 0.0
    impact, conversion, liquidation = 0.0, 0.0, 0.0
    k, split = 0, 0
    for s in range(times.size + 1):
        last = s == times.size
        while k < fills.size and (last or fills[k].time <= times[s]):
            fill = fills[k]
            if fill.time < before:
                return False
            before = fill.time
            while split < split_time.size and split_time[split] <= fill.time:
                holding[split_asset[split]] *= split_ratio[split]
                split += 1
            holding[fill.asset] += fill.shares
            if fill.order >= 0:
                of_orders[fill.order] += fill.shares
            paid = known(fill.commission)
            commission += paid
            part = known(fill.spread)
            spread += part
            paid += part
            part = known(fill.slippage)
            slippage += part
            paid += part
            part = known(fill.impact)
            impact += part
            paid += part
            part = known(fill.fx)
            conversion += part
            paid += part
            part = known(fill.liquidation)
            liquidation += part
            paid += part
            unit = multiplier[fill.asset] * fill.fx_rate
            spent += fill.shares * fill.price * unit + paid
            k += 1
        if last:
            break
        while split < split_time.size and split_time[split] <= times[s]:
            holding[split_asset[split]] *= split_ratio[split]
            split += 1
        size = max(abs(equity[s]), initial_cash)
        flows = costs[s, 6] + costs[s, 7] + costs[s, 8] + costs[s, 9]
        gaps[0] = wider(gaps[0], (initial_cash - spent - flows - cash[s]) / size)
        gaps[1] = wider(gaps[1], (commission - costs[s, 0]) / size)
        gaps[1] = wider(gaps[1], (spread - costs[s, 1]) / size)
        gaps[1] = wider(gaps[1], (slippage - costs[s, 2]) / size)
        gaps[1] = wider(gaps[1], (impact - costs[s, 3]) / size)
        gaps[1] = wider(gaps[1], (conversion - costs[s, 4]) / size)
        gaps[1] = wider(gaps[1], (liquidation - costs[s, 5]) / size)
        if shares.shape[0] > 0:
            worst, value = gaps[3], 0.0
            for asset in range(holding.size):
                worst = wider(worst, holding[asset] - shares[s, asset])
                most = max(most, abs(shares[s, asset]))
                value += values[s, asset]
            gaps[2] = wider(gaps[2], (cash[s] + value - equity[s]) / size)
            gaps[3] = worst
    gaps[3] /= most
    return True


@compiled(codes)
def prove_orders(orders, of_orders):
    """Largest gap between what orders say was filled and their fills, relative to shares above 1."""
    worst = 0.0
    for number in range(orders.size):
        filled = orders[number].filled
        worst = wider(worst, (of_orders[number] - filled) / max(1.0, abs(filled)))
    return worst


@compiled(codes)
def earned(trades):
    """Gross profits of all trades less their costs, plus their carry."""
    gross, costs, carry = 0.0, 0.0, 0.0
    for k in range(trades.size):
        gross += trades[k].gross
        costs += trades[k].costs
        carry += trades[k].carry
    return gross - costs + carry
