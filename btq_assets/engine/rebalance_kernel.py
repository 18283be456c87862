"""Compiled rebalancing of one bar: size, fill and charge.

Belongs here: what target weights buy and sell on one bar, and what it costs. Does not belong here:
the walk over bars (`kernel`), validation and reporting (`simulation`).
"""

from __future__ import annotations

import numpy as np

from btq_assets.engine.compiled import compiled

#: Orders smaller than this fraction of the position are rounding, not trading.
DUST = 1e-12


@compiled(allocates=True)
def target_shares(weights, equity, prices):
    """Shares that make each position the wanted share of equity.

    Parameters
    ----------
    weights, prices
        ``float64[N]``; a weight of zero needs no price.
    equity
        Currency.

    Returns
    -------
    float64[N]
        ``weight * equity / price``; NaN (no order) where the price is missing.
    """
    wanted = np.empty(weights.size)
    for i in range(weights.size):
        wanted[i] = 0.0 if weights[i] == 0.0 else weights[i] * equity / prices[i]
    return wanted


@compiled(allocates=True)
def spread_and_impact(value, half_spread, impact_scale):
    """Half-spread and square-root impact of a fill of `value`; the event engine charges them too.

    Parameters
    ----------
    value
        Currency, ``|shares| * price`` before costs.
    half_spread
        Fraction of value.
    impact_scale
        The impact fraction of a fill of value ``v`` is ``impact_scale * sqrt(v)``; NaN charges 0.

    Returns
    -------
    spread, impact : float
        Currency.
    """
    impact = 0.0 if np.isnan(impact_scale) else value * impact_scale * np.sqrt(value)
    return value * half_spread, impact


@compiled(allocates=True)
def _fill_costs(value, side, half_spread, commission, fee, impact_scale):
    """Commission, spread and impact of one fill; `fee` is what is charged per share, in all."""
    spread, impact = spread_and_impact(value, half_spread, impact_scale)
    return commission * (value + side * (spread + impact)) + fee, spread, impact


@compiled(allocates=True)
def _affordable(linear, power, cash):
    """Largest ``s`` in [0, 1] with ``linear * s + power * s**1.5 <= cash``.

    The left side is convex and increasing, so Newton's steps from 1 approach the root from above.
    """
    if cash <= 0.0:
        return 0.0
    s = 1.0
    for _ in range(50):
        excess = linear * s + power * s * np.sqrt(s) - cash
        step = excess / (linear + 1.5 * power * np.sqrt(s))
        s -= step
        if step <= 1e-16 * s:
            break
    # a hair less, so that rounding never spends more cash than is held
    return max(0.0, min(1.0, s) * (1.0 - 1e-14))


@compiled(allocates=True)
def rebalance(
    shares,
    cash,
    wanted,
    prices,
    half_spread,
    commission,
    fee_per_share,
    impact_scale,
    reject,
    lot_size,
):
    """Fill the orders of one bar: sells first, then buys as far as cash goes.

    This is the accounting step that both `simulate` and the trading environment use.

    Parameters
    ----------
    shares
        ``float64[N]``, holdings; CHANGED IN PLACE.
    cash
        Currency before the fills.
    wanted
        ``float64[N]``, holdings after the fills; NaN gives no order for that asset.
    prices
        ``float64[N]``, fill prices before costs; an order without a price is dropped.
    half_spread, commission
        Fractions of value (basis points / 10,000).
    fee_per_share
        ``float64[N]``, currency per share of `shares`.
    impact_scale
        ``float64[N]``; the impact fraction of a fill of value ``v`` is ``impact_scale * sqrt(v)``.
        NaN where it is unknown, and then nothing is charged.
    reject
        When cash does not cover the buys with their costs: ``True`` refuses each buy, in column
        order, that the remaining cash does not cover; ``False`` scales all buys pro rata.
    lot_size
        Orders are cut to whole multiples; 0 allows fractions.

    Returns
    -------
    cash : float
        After fills and costs.
    value_traded : float
        Sum of ``|shares| * price``.
    cost : float
        Commission, spread and impact.
    n_unpriced, n_refused : int
        Orders dropped for want of a price, and of cash.
    scale : float
        Fraction of the wanted buys that was filled.
    filled, commissions, spreads, impacts : float64[N]
        Signed shares and costs of each fill; impact is NaN where it is unknown.
    """
    n = shares.size
    filled = np.zeros(n)
    commissions = np.zeros(n)
    spreads = np.zeros(n)
    impacts = np.zeros(n)
    n_unpriced = 0
    n_refused = 0
    linear = 0.0
    power = 0.0
    value_traded = 0.0
    cost = 0.0
    for i in range(n):
        if np.isnan(wanted[i]):
            continue
        delta = wanted[i] - shares[i]
        if lot_size > 0.0:
            delta = np.trunc(delta / lot_size * (1.0 + DUST)) * lot_size
        if abs(delta) <= DUST * max(abs(wanted[i]), abs(shares[i])):
            continue
        if np.isnan(prices[i]):
            n_unpriced += 1
            continue
        value = abs(delta) * prices[i]
        fee = fee_per_share[i] * abs(delta)
        paid, spread, impact = _fill_costs(
            value, np.sign(delta), half_spread, commission, fee, impact_scale[i]
        )
        if delta > 0.0:
            filled[i] = delta
            linear += value * (1.0 + half_spread) * (1.0 + commission) + fee
            power += impact * (1.0 + commission)
        elif spread + impact + paid >= value:
            n_refused += 1  # selling would cost more than it brings
        else:
            filled[i] = delta
            shares[i] = wanted[i] if lot_size == 0.0 else shares[i] + delta
            cash += value - spread - impact - paid
            commissions[i] = paid
            spreads[i] = spread
            impacts[i] = np.nan if np.isnan(impact_scale[i]) else impact
            value_traded += value
            cost += paid + spread + impact

    scale = 1.0
    if not reject and linear + power > cash:
        scale = _affordable(linear, power, cash)
    for i in range(n):
        if filled[i] <= 0.0:
            continue
        delta = filled[i] * scale
        if lot_size > 0.0:
            delta = np.floor(delta / lot_size * (1.0 + DUST)) * lot_size
        value = delta * prices[i]
        paid, spread, impact = _fill_costs(
            value, 1.0, half_spread, commission, fee_per_share[i] * delta, impact_scale[i]
        )
        if delta <= 0.0 or (reject and value + spread + impact + paid > cash):
            filled[i] = 0.0
            n_refused += 1
            continue
        filled[i] = delta
        shares[i] = wanted[i] if scale == 1.0 and lot_size == 0.0 else shares[i] + delta
        cash -= value + spread + impact + paid
        commissions[i] = paid
        spreads[i] = spread
        impacts[i] = np.nan if np.isnan(impact_scale[i]) else impact
        value_traded += value
        cost += paid + spread + impact
    return (
        cash,
        value_traded,
        cost,
        n_unpriced,
        n_refused,
        scale,
        filled,
        commissions,
        spreads,
        impacts,
    )
