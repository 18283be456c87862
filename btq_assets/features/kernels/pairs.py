"""Covariance and correlation of two series.

Belongs here: statistics of pairs. Does not belong here: statistics of one series (`moments`).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from btq_assets.features.kernels.tiles import TILE, add_windows


@njit(cache=True, nogil=True, error_model="numpy")
def _pair_of(x, y, low, high):
    """Count, sums of squares and of products of the pairs that exist in ``[low:high]``."""
    count = 0
    sum_x = sum_y = 0.0
    for i in range(low, high):
        if not (np.isnan(x[i]) or np.isnan(y[i])):
            count += 1
            sum_x += x[i]
            sum_y += y[i]
    if count == 0:
        return 0, np.nan, np.nan, np.nan, np.nan, np.nan
    mean_x, mean_y = sum_x / count, sum_y / count
    xx = yy = xy = 0.0
    for i in range(low, high):
        if not (np.isnan(x[i]) or np.isnan(y[i])):
            a, b = x[i] - mean_x, y[i] - mean_y
            xx += a * a
            yy += b * b
            xy += a * b
    return count, mean_x, mean_y, xx, yy, xy


@njit(cache=True, nogil=True, error_model="numpy")
def pair(x, y, starts, n, full, ddof, still, still_share, covariance_out, correlation_out):
    """Rolling covariance and correlation; an output of length zero is not computed.

    Parameters
    ----------
    x, y
        Values of all symbols, NaN where missing; a pair exists where both do.
    starts, n, full
        As in `moments.spread`.
    ddof
        What the divisor of the covariance is less than the number of pairs.
    still, still_share
        No correlation where the sample deviation of either series is not above
        ``still + still_share |mean|``.
    covariance_out, correlation_out
        Results, as long as `x`.
    """
    mean_x, mean_y = np.empty(TILE), np.empty(TILE)
    sum_xx, sum_yy, sum_xy = np.empty(TILE), np.empty(TILE), np.empty(TILE)
    for i in range(starts.size - 1):
        first, last = starts[i], starts[i + 1]
        head = min(first + n - 1, last)
        a = first
        while a < last:
            b = min(a + TILE, last)
            if a < head:
                b = min(b, head)
            m = b - a
            whole = a >= head
            if whole:
                low = a - n + 1
                add_windows(x, low, n, m, mean_x)
                add_windows(y, low, n, m, mean_y)
                for j in range(m):
                    mean_x[j] /= n
                    mean_y[j] /= n
                    sum_xx[j] = 0.0
                    sum_yy[j] = 0.0
                    sum_xy[j] = 0.0
                for k in range(n):
                    left = x[low + k : low + k + m]
                    right = y[low + k : low + k + m]
                    for j in range(m):
                        u = left[j] - mean_x[j]
                        v = right[j] - mean_y[j]
                        sum_xx[j] += u * u
                        sum_yy[j] += v * v
                        sum_xy[j] += u * v
            for j in range(m):
                t = a + j
                count, mx, my, xx, yy, xy = 0, np.nan, np.nan, np.nan, np.nan, np.nan
                if whole and not (np.isnan(mean_x[j]) or np.isnan(mean_y[j])):
                    count, mx, my = n, mean_x[j], mean_y[j]
                    xx, yy, xy = sum_xx[j], sum_yy[j], sum_xy[j]
                elif not full:
                    count, mx, my, xx, yy, xy = _pair_of(x, y, max(first, t - n + 1), t + 1)
                if covariance_out.size > 0:
                    covariance_out[t] = xy / (count - ddof) if count > ddof else np.nan
                if correlation_out.size > 0:
                    correlation_out[t] = np.nan
                    if (
                        count > 1
                        and np.sqrt(xx / (count - 1)) > still + still_share * abs(mx)
                        and np.sqrt(yy / (count - 1)) > still + still_share * abs(my)
                    ):
                        # Rounding alone can push a perfect correlation past one.
                        ratio = xy / np.sqrt(xx * yy)
                        correlation_out[t] = min(1.0, max(-1.0, ratio))
            a = b
