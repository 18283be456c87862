"""Compiled parts of a sweep that release Python's lock: choose weights, prove books, sum up.

Belongs here: what runs once for each parameter set beside the engine's own kernel. Does not belong
here: accounting (`engine.kernel.run_bars` alone fills, charges and values). No function here calls
into another file, so that numba's stored code stays true.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Statistics of one set, in the order `summarise` writes them.
STATISTICS = (
    "final_equity",
    "mean_return",
    "volatility",
    "sharpe_per_period",
    "skewness",
    "kurtosis",
    "annual_return",
    "max_drawdown",
    "turnover_mean",
    "total_cost",
    "n_returns",
)


@njit(cache=True, nogil=True)
def rank_order(scores):
    """Columns of each row from the highest score to the lowest, and how many have one.

    Parameters
    ----------
    scores
        ``float64[T, N]``; NaN has no rank. Equal scores keep the order of columns.

    Returns
    -------
    order : int32[T, N]
        ``-1`` after the last score.
    n_scored : int64[T]
    """
    n_bars, n = scores.shape
    order = np.full((n_bars, n), -1, np.int32)
    n_scored = np.zeros(n_bars, np.int64)
    for t in range(n_bars):
        m = 0
        for i in range(n):
            if np.isnan(scores[t, i]):
                continue
            k = m
            # insertion from below: stable, and N is small
            while k > 0 and scores[t, order[t, k - 1]] < scores[t, i]:
                order[t, k] = order[t, k - 1]
                k -= 1
            order[t, k] = i
            m += 1
        n_scored[t] = m
    return order, n_scored


@njit(cache=True, nogil=True)
def top_ranked(order, n_scored, first, top_k, every, threshold, gross, short, weights):
    """Equal weights in the best `top_k`, decided every so many bars, written into `weights`.

    Parameters
    ----------
    order, n_scored
        From `rank_order`.
    first
        First bar that may decide; the others follow every `every` bars.
    top_k
        Assets held; fewer where fewer have a score.
    threshold
        One-way turnover between two decisions, ``sum(|new - last|) / 2``, below which the new one
        is not taken.
    gross
        Sum of absolute weights.
    short
        Whether the worst `top_k` are sold short, each side with half of `gross`. Where fewer than
        ``2 * top_k`` assets have a score there is no position.
    weights
        ``float64[T, N]``, OVERWRITTEN; a row of NaN takes no decision.
    """
    n_bars, n = weights.shape
    last = np.zeros(n)
    new = np.zeros(n)
    decided = False
    weights[:] = np.nan
    for t in range(first, n_bars, every):
        new[:] = 0.0
        m = n_scored[t]
        if short:
            if m >= 2 * top_k:
                for k in range(top_k):
                    new[order[t, k]] = 0.5 * gross / top_k
                    new[order[t, m - 1 - k]] = -0.5 * gross / top_k
        elif m > 0:
            held = min(top_k, m)
            for k in range(held):
                new[order[t, k]] = gross / held
        moved = 0.0
        for i in range(n):
            moved += abs(new[i] - last[i])
        if decided and 0.5 * moved < threshold:
            continue
        decided = True
        for i in range(n):
            weights[t, i] = new[i]
            last[i] = new[i]


@njit(cache=True, nogil=True)
def deciding_rows(weights, limit, decides):
    """Which rows decide; the engine's `checked_targets` without a copy.

    Returns
    -------
    int
        First row that is partly NaN or whose absolute sum exceeds `limit`; -1 when all are fit.
    """
    for t in range(weights.shape[0]):
        missing = 0
        total = 0.0
        for i in range(weights.shape[1]):
            if np.isnan(weights[t, i]):
                missing += 1
            else:
                total += abs(weights[t, i])
        decides[t] = missing == 0
        if missing not in (0, weights.shape[1]) or not total <= limit:
            return t
    return -1


@njit(cache=True, nogil=True)
def largest_gap(fills, n_fills, marks, equity, initial_cash):
    """Largest relative gap between equity and the books, as `engine.simulation.ledger_equity`.

    Holdings and cash are rebuilt from the fills alone, in their order.
    """
    n_bars, n = marks.shape
    held = np.zeros(n)
    spent = 0.0
    k = 0
    worst = 0.0
    for t in range(n_bars):
        while k < n_fills and fills[k].bar == t:
            impact = fills[k].impact_cost
            spent += (
                fills[k].shares * fills[k].price
                + fills[k].commission
                + fills[k].spread_cost
                + (0.0 if np.isnan(impact) else impact)
            )
            held[fills[k].asset] += fills[k].shares
            k += 1
        books = initial_cash - spent
        for i in range(n):
            if held[i] != 0.0:
                books += held[i] * marks[t, i]
        worst = max(worst, abs(equity[t] - books) / max(abs(equity[t]), initial_cash))
    return worst if k == n_fills else np.inf


@njit(cache=True, nogil=True)
def summarise(equity, turnover, cost, periods_per_year, row, returns):
    """Statistics of one path into `row`, in the order of ``STATISTICS``; formulas of the house.

    `engine.metrics` and `evidence.sharpe.sharpe_moments` hold the definitions; the tests compare.

    Parameters
    ----------
    equity, turnover, cost
        ``float64[T]`` of `run_bars`.
    periods_per_year
        Annualisation.
    row
        ``float64[len(STATISTICS)]``, OVERWRITTEN.
    returns
        ``float64[T - 1]``, OVERWRITTEN with simple returns.
    """
    n = equity.size - 1
    total = 0.0
    logs = 0.0
    ruined = False
    peak = equity[0]
    fall = 0.0
    for t in range(n):
        returns[t] = equity[t + 1] / equity[t] - 1
        total += returns[t]
        if returns[t] <= -1.0:
            ruined = True
        else:
            logs += np.log1p(returns[t])
        peak = max(peak, equity[t + 1])
        fall = max(fall, 1 - equity[t + 1] / peak)
    mean = total / n
    second = 0.0
    third = 0.0
    fourth = 0.0
    for t in range(n):
        d = returns[t] - mean
        second += d * d
        third += d * d * d
        fourth += d * d * d * d
    second /= n
    third /= n
    fourth /= n
    row[0] = equity[n]
    row[1] = mean
    row[2] = np.sqrt(second * n / (n - 1))
    if second <= (1e-14 * max(1.0, abs(mean))) ** 2:
        row[3] = np.nan
        row[4] = np.nan
        row[5] = np.nan
    else:
        row[3] = mean / row[2]
        row[4] = third / second**1.5
        row[5] = fourth / second**2
    row[6] = -1.0 if ruined else np.expm1(logs * periods_per_year / n)
    row[7] = fall
    traded = 0.0
    paid = 0.0
    n_turnover = 0
    for t in range(n + 1):
        paid += cost[t]
        if t > 0 and not np.isnan(turnover[t]):
            traded += turnover[t]
            n_turnover += 1
    row[8] = traded / n_turnover if n_turnover else np.nan
    row[9] = paid
    row[10] = n
