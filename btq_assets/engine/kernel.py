"""Compiled accounting of target weights: the walk over bars.

Belongs here: the clock: what happens on a bar, in which order. Does not belong here: filling the
orders of a bar (`rebalance_kernel`), validation and reporting (see `simulation`). Importing this
module imports numba; compiled code is kept between processes.
"""

from __future__ import annotations

import numpy as np

from btq_assets.engine import rebalance_kernel
from btq_assets.engine.compiled import compiled
from btq_assets.engine.rebalance_kernel import DUST, rebalance, target_shares

__all__ = [
    "DUST",
    "FILL_DTYPE",
    "REASON_DELISTED",
    "REASON_REBALANCE",
    "rebalance",
    "run_bars",
    "target_shares",
]

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


@compiled(rebalance_kernel, allocates=True)
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
