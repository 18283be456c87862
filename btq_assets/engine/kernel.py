"""Compiled accounting: size, fill, charge and value, one bar at a time.

Belongs here: every compiled function, in one file, because numba's cache does not notice a change
in a file that a compiled function calls into. Does not belong here: validation and reporting (see
`simulation`). Importing this module imports numba; compiled code is kept between processes.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Orders smaller than this fraction of the position are rounding, not trading.
DUST = 1e-12

FILL_DTYPE = np.dtype(
    [
        ("bar", np.int64),
        ("decided_bar", np.int64),
        ("asset", np.int64),
        ("shares", np.float64),
        ("price", np.float64),
        ("commission", np.float64),
        ("spread_cost", np.float64),
        ("impact_cost", np.float64),
        ("reason", np.int64),
    ]
)

REASON_REBALANCE = 0
REASON_DELISTED = 1


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
def _fill_costs(value, side, half_spread, commission, fee, impact_scale):
    """Commission, spread and impact of one fill; `fee` is what is charged per share, in all."""
    spread, impact = spread_and_impact(value, half_spread, impact_scale)
    return commission * (value + side * (spread + impact)) + fee, spread, impact


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True, nogil=True)
def run_bars(
    fill_prices,
    mark_prices,
    targets,
    decides,
    half_spread,
    commission,
    fee_per_share,
    impact_scale,
    initial_cash,
    size_at_fill,
    reject,
    lot_size,
    delisted_at,
    delist_after_missing,
    fills,
):
    """Walk all bars in event order; see `simulation.simulate` for the meaning of the arguments.

    Returns
    -------
    equity, cash, turnover, cost : float64[T]
    shares, marks : float64[T, N]
    oldest_mark : int64[T]
    counts : int64[5]
        Fills, orders without price, orders without cash, bars with scaled buys, decisions refused
        because equity was not positive.
    """
    n_bars, n = mark_prices.shape
    equity = np.empty(n_bars)
    cash_path = np.empty(n_bars)
    turnover = np.zeros(n_bars)
    cost_path = np.zeros(n_bars)
    shares_path = np.empty((n_bars, n))
    marks_path = np.empty((n_bars, n))
    oldest = np.zeros(n_bars, np.int64)
    counts = np.zeros(5, np.int64)

    shares = np.zeros(n)
    marks = np.full(n, np.nan)
    age = np.zeros(n, np.int64)
    wanted = np.empty(n)
    valued = np.empty(n)
    cash = initial_cash
    decided = -1
    for t in range(n_bars):
        # 1. positions in series that ended are settled at their last price
        for i in range(n):
            age[i] = age[i] + 1 if np.isnan(mark_prices[t, i]) else 0
            if shares[i] != 0.0 and (
                (delisted_at[i] >= 0 and t > delisted_at[i])
                or (delist_after_missing > 0 and age[i] >= delist_after_missing)
            ):
                fills[counts[0]].bar = t
                fills[counts[0]].decided_bar = t - 1
                fills[counts[0]].asset = i
                fills[counts[0]].shares = -shares[i]
                fills[counts[0]].price = marks[i]
                fills[counts[0]].commission = 0.0
                fills[counts[0]].spread_cost = 0.0
                fills[counts[0]].impact_cost = 0.0
                fills[counts[0]].reason = REASON_DELISTED
                counts[0] += 1
                cash += shares[i] * marks[i]
                shares[i] = 0.0

        # 2. orders decided on the bar before are filled at this bar's fill price
        if decided >= 0:
            before = cash
            for i in range(n):
                price = fill_prices[t, i]
                valued[i] = marks[i] if np.isnan(price) else price
                if shares[i] != 0.0:
                    before += shares[i] * valued[i]
            if size_at_fill:
                wanted = target_shares(targets[decided], before, fill_prices[t])
                if before <= 0.0:
                    counts[4] += 1
                    wanted[:] = np.nan
            for i in range(n):
                if np.isnan(wanted[i]) and before > 0.0:
                    counts[1] += 1
            (
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
            ) = rebalance(
                shares,
                cash,
                wanted,
                fill_prices[t],
                half_spread[t],
                commission,
                fee_per_share[t],
                impact_scale[t],
                reject,
                lot_size,
            )
            counts[1] += n_unpriced
            counts[2] += n_refused
            counts[3] += 1 if scale < 1.0 else 0
            turnover[t] = value_traded / before if before > 0.0 else np.nan
            cost_path[t] = cost
            for i in range(n):
                if filled[i] != 0.0:
                    k = counts[0]
                    fills[k].bar = t
                    fills[k].decided_bar = decided
                    fills[k].asset = i
                    fills[k].shares = filled[i]
                    fills[k].price = fill_prices[t, i]
                    fills[k].commission = commissions[i]
                    fills[k].spread_cost = spreads[i]
                    fills[k].impact_cost = impacts[i]
                    fills[k].reason = REASON_REBALANCE
                    counts[0] += 1
            decided = -1

        # 3. value everything at this bar's mark, or at the last known one
        value = cash
        for i in range(n):
            if not np.isnan(mark_prices[t, i]):
                marks[i] = mark_prices[t, i]
            elif np.isnan(marks[i]) and shares[i] != 0.0:
                marks[i] = fill_prices[t, i]  # bought on its first print, not marked yet
            if shares[i] != 0.0:
                value += shares[i] * marks[i]
                oldest[t] = max(oldest[t], age[i])
            shares_path[t, i] = shares[i]
            marks_path[t, i] = marks[i]
        equity[t] = value
        cash_path[t] = cash

        # 4. decide; the order waits for the next bar
        if decides[t]:
            if value <= 0.0:
                counts[4] += 1
            else:
                decided = t
                if not size_at_fill:
                    wanted = target_shares(targets[t], value, marks)
    return equity, cash_path, turnover, cost_path, shares_path, marks_path, oldest, counts
