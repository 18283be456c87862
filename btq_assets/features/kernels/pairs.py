"""Covariance and correlation of two series.

Belongs here: statistics of pairs. Does not belong here: statistics of one series (`moments`,
which says how sums are taken and why).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from btq_assets.features.kernels.tiles import TILE, has_holes


@njit(cache=True, nogil=True, error_model="numpy")
def _pair_of(x, y, low, high):
    """Count, means, and sums of squares and products of the pairs that exist in ``[low:high]``."""
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
def _correlation(count, mean_x, mean_y, xx, yy, xy, still, still_share):
    """Correlation, NaN where a series does not move."""
    x_limit, y_limit = still + still_share * abs(mean_x), still + still_share * abs(mean_y)
    # Without branches and one root, so that neighbours are computed together. Where there is one
    # pair the divisor is zero, and nothing compares with the quotient.
    moves = (xx / (count - 1) > x_limit * x_limit) & (yy / (count - 1) > y_limit * y_limit)
    ratio = xy / np.sqrt(xx * yy)
    # Rounding alone can push a perfect correlation past one.
    ratio = 1.0 if ratio > 1.0 else ratio
    ratio = -1.0 if ratio < -1.0 else ratio
    return ratio if moves else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def pair(
    x, y, starts, windows, full, ddof, still, still_share, at, covariance_out, correlation_out
):  # fmt: skip
    """Rolling covariance and correlation.

    Parameters
    ----------
    x, y
        Values of all symbols, NaN where missing; a pair exists where both do.
    starts, windows, full, at
        As in `moments.sums`.
    ddof
        What the divisor of the covariance is less than the number of pairs.
    still, still_share
        No correlation where the sample deviation of either series is not above
        ``still + still_share |mean|``.
    covariance_out, correlation_out
        ``[W, >= at + len(x)]``, or ``[0, 0]`` for what is not wanted.
    """
    sx, sy = np.empty(TILE), np.empty(TILE)
    sxx, syy, sxy = np.empty(TILE), np.empty(TILE), np.empty(TILE)
    longest = windows[-1]
    for i in range(starts.size - 1):
        first, last = starts[i], starts[i + 1]
        for a in range(first, last, TILE):
            m = min(TILE, last - a)
            oldest = max(first, a - longest + 1)
            holes = (not full) and (has_holes(x, oldest, a + m) or has_holes(y, oldest, a + m))
            cx, cy = x[a : a + m], y[a : a + m]
            sxx[:m] = 0.0
            syy[:m] = 0.0
            sxy[:m] = 0.0
            for j in range(m):
                sx[j] = cx[j] - cx[j]
                sy[j] = cy[j] - cy[j]
            k = 1
            for w in range(windows.size):
                n = windows[w]
                while k < n:
                    low = max(first + k - a, 0)
                    if k + 2 <= n and a - first >= k + 1:
                        u0, u1 = x[a - k : a - k + m], x[a - k - 1 : a - k - 1 + m]
                        v0, v1 = y[a - k : a - k + m], y[a - k - 1 : a - k - 1 + m]
                        for j in range(m):
                            p0, p1 = u0[j] - cx[j], u1[j] - cx[j]
                            q0, q1 = v0[j] - cy[j], v1[j] - cy[j]
                            sx[j] = (sx[j] + p0) + p1
                            sy[j] = (sy[j] + q0) + q1
                            sxx[j] = (sxx[j] + p0 * p0) + p1 * p1
                            syy[j] = (syy[j] + q0 * q0) + q1 * q1
                            sxy[j] = (sxy[j] + p0 * q0) + p1 * q1
                        k += 2
                        continue
                    if low < m:
                        u, v = x[a + low - k : a + m - k], y[a + low - k : a + m - k]
                        ex, ey = cx[low:m], cy[low:m]
                        tx, ty, txx = sx[low:m], sy[low:m], sxx[low:m]
                        tyy, txy = syy[low:m], sxy[low:m]
                        for j in range(m - low):
                            p, q = u[j] - ex[j], v[j] - ey[j]
                            tx[j] += p
                            ty[j] += q
                            txx[j] += p * p
                            tyy[j] += q * q
                            txy[j] += p * q
                    k += 1
                head = min(max(first + n - 1 - a, 0), m)
                if covariance_out.shape[0] > 0:
                    to = covariance_out[w, at + a : at + a + m]
                    for j in range(head, m):
                        to[j] = (sxy[j] - sx[j] * sy[j] / n) / (n - ddof)
                if correlation_out.shape[0] > 0:
                    to = correlation_out[w, at + a : at + a + m]
                    for j in range(head, m):
                        xx = sxx[j] - sx[j] * sx[j] / n
                        yy = syy[j] - sy[j] * sy[j] / n
                        xy = sxy[j] - sx[j] * sy[j] / n
                        to[j] = _correlation(
                            n, cx[j] + sx[j] / n, cy[j] + sy[j] / n, xx, yy, xy, still, still_share
                        )
                for j in range(m):
                    whole = j >= head and not (holes and (np.isnan(sx[j]) or np.isnan(sy[j])))
                    if whole:
                        if not holes:
                            break
                        continue
                    t = a + j
                    covariance, correlation = np.nan, np.nan
                    if not full:
                        count, mx, my, xx, yy, xy = _pair_of(x, y, max(first, t - n + 1), t + 1)
                        covariance = xy / (count - ddof) if count > ddof else np.nan
                        correlation = _correlation(count, mx, my, xx, yy, xy, still, still_share)
                    if covariance_out.shape[0] > 0:
                        covariance_out[w, at + t] = covariance
                    if correlation_out.shape[0] > 0:
                        correlation_out[w, at + t] = correlation
