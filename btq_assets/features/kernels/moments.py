"""Sums, means, deviations, and the straight line through a window.

Belongs here: statistics that are sums over one series. Does not belong here: order statistics
(`order`), pairs of series (`pairs`). Kernels take flat arrays; `rolling` takes matrices.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from btq_assets.features.kernels.tiles import TILE, add_windows


@njit(cache=True, nogil=True, error_model="numpy")
def _spread_of(x, low, high, ddof):
    """Number, sum and standard deviation of the values that exist in ``x[low:high]``."""
    count = 0
    total = 0.0
    for i in range(low, high):
        if not np.isnan(x[i]):
            count += 1
            total += x[i]
    if count == 0:
        return 0, np.nan, np.nan
    mean = total / count
    square = 0.0
    for i in range(low, high):
        if not np.isnan(x[i]):
            square += (x[i] - mean) ** 2
    return count, total, np.sqrt(square / (count - ddof)) if count > ddof else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def spread(x, starts, n, full, ddof, per, sum_out, mean_out, std_out):
    """Rolling sum, mean and standard deviation; an output of length zero is not computed.

    Parameters
    ----------
    x
        Values of all symbols, NaN where missing.
    starts
        Where each symbol begins, and the length of `x`.
    n, full
        Window and rule.
    ddof
        What the divisor of the variance is less than the number of values.
    per
        Divisors of mean and deviation, one per row, or of length zero for none.
    sum_out, mean_out, std_out
        Results, as long as `x`.
    """
    total, mean, square = np.empty(TILE), np.empty(TILE), np.empty(TILE)
    sums, means, stds, divided = sum_out.size > 0, mean_out.size > 0, std_out.size > 0, per.size > 0
    for i in range(starts.size - 1):
        first, last = starts[i], starts[i + 1]
        head = min(first + n - 1, last)
        for t in range(first, head):
            count, found, deviation = 0, np.nan, np.nan
            if not full:
                count, found, deviation = _spread_of(x, first, t + 1, ddof)
            unit = per[t] if divided else 1.0
            if sums:
                sum_out[t] = found
            if means:
                mean_out[t] = found / count / unit
            if stds:
                std_out[t] = deviation / unit
        for a in range(head, last, TILE):
            m = min(TILE, last - a)
            low = a - n + 1
            add_windows(x, low, n, m, total)
            if stds:
                for j in range(m):
                    mean[j] = total[j] / n
                    square[j] = 0.0
                for k in range(n):
                    values = x[low + k : low + k + m]
                    for j in range(m):
                        d = values[j] - mean[j]
                        square[j] += d * d
            for j in range(m):
                t = a + j
                count, found = n, total[j]
                deviation = np.sqrt(square[j] / (n - ddof)) if stds else np.nan
                if np.isnan(found) and not full:
                    count, found, deviation = _spread_of(x, t - n + 1, t + 1, ddof)
                unit = per[t] if divided else 1.0
                if sums:
                    sum_out[t] = found
                if means:
                    mean_out[t] = found / count / unit
                if stds:
                    std_out[t] = deviation / unit


@njit(cache=True, nogil=True, error_model="numpy")
def _line_of(x, low, high):
    """Count, mean, sum of squares, and of squares and products with time, of ``x[low:high]``.

    Time is the position in the window, also where values are missing; it is centred on those
    that exist. The last number is their mean position, counted from the window's end.
    """
    count = 0
    total = 0.0
    place = 0.0
    for i in range(low, high):
        if not np.isnan(x[i]):
            count += 1
            total += x[i]
            place += i - (high - 1)
    if count == 0:
        return 0, np.nan, np.nan, np.nan, np.nan, np.nan
    mean, middle = total / count, place / count
    square = product = times = 0.0
    for i in range(low, high):
        if not np.isnan(x[i]):
            d, w = x[i] - mean, i - (high - 1) - middle
            square += d * d
            product += w * d
            times += w * w
    return count, mean, square, product, times, middle


@njit(cache=True, nogil=True, error_model="numpy")
def line(
    x, starts, n, full, per, still, still_share,
    mean_out, std_out, slope_out, rsquare_out, residual_out,
):  # fmt: skip
    """Rolling mean, sample deviation and least-squares line through values against time.

    Parameters
    ----------
    x, starts, n, full, per
        As in `spread`; `per` divides all but R squared.
    still, still_share
        A window whose deviation is not above ``still + still_share |mean|`` has no R squared.
    mean_out, std_out, slope_out, rsquare_out, residual_out
        Results, as long as `x`; the residual is the last value less its place on the line.
    """
    total, square, product = np.empty(TILE), np.empty(TILE), np.empty(TILE)
    divided = per.size > 0
    centre = (n - 1) / 2.0
    all_times = n * (n * n - 1.0) / 12.0
    for i in range(starts.size - 1):
        first, last = starts[i], starts[i + 1]
        head = min(first + n - 1, last)
        a = first
        while a < last:
            # Windows that end before `head` are cut short by the symbol's beginning.
            b = min(a + TILE, last)
            if a < head:
                b = min(b, head)
            m = b - a
            whole = a >= head
            if whole:
                low = a - n + 1
                add_windows(x, low, n, m, total)
                for j in range(m):
                    total[j] /= n
                    square[j] = 0.0
                    product[j] = 0.0
                for k in range(n):
                    values = x[low + k : low + k + m]
                    w = k - centre
                    for j in range(m):
                        d = values[j] - total[j]
                        square[j] += d * d
                        product[j] += w * d
            for j in range(m):
                t = a + j
                count, mean, ss, sp, st, middle = 0, np.nan, np.nan, np.nan, np.nan, np.nan
                if whole and not np.isnan(total[j]):
                    count, mean, ss, sp = n, total[j], square[j], product[j]
                    st, middle = all_times, -centre
                elif not full:
                    count, mean, ss, sp, st, middle = _line_of(x, max(first, t - n + 1), t + 1)
                unit = per[t] if divided else 1.0
                deviation = np.sqrt(ss / (count - 1)) if count > 1 else np.nan
                slope = sp / st
                mean_out[t] = mean / unit
                std_out[t] = deviation / unit
                slope_out[t] = slope / unit
                moves = deviation > still + still_share * abs(mean)
                rsquare_out[t] = sp * sp / (st * ss) if moves else np.nan
                residual_out[t] = (x[t] - (mean - slope * middle)) / unit
            a = b


@njit(cache=True, nogil=True, error_model="numpy")
def weighted(x, starts, weights, out):
    """Rolling sum of ``weights[k] x[t - n + 1 + k]``; NaN where the window is not full.

    Parameters
    ----------
    x, starts, out
        As in `spread`.
    weights
        ``float64[n]``, that of the oldest value first.
    """
    n = weights.size
    total = np.empty(TILE)
    for i in range(starts.size - 1):
        first, last = starts[i], starts[i + 1]
        head = min(first + n - 1, last)
        for t in range(first, head):
            out[t] = np.nan
        for a in range(head, last, TILE):
            m = min(TILE, last - a)
            for j in range(m):
                total[j] = 0.0
            for k in range(n):
                values = x[a - n + 1 + k : a - n + 1 + k + m]
                w = weights[k]
                for j in range(m):
                    total[j] += w * values[j]
            for j in range(m):
                out[a + j] = total[j]
