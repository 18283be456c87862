"""Covariance and correlation of two series.

Belongs here: statistics of pairs. Does not belong here: statistics of one series (`moments`,
which says how sums are taken and why).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from btq_assets.features.kernels.doubling import (
    and_one,
    double,
    double_products,
    few,
    few_products,
    first_step,
    older,
    older_products,
    one,
    zero,
)
from btq_assets.features.kernels.tiles import doubles, has_holes, load, tile_rows


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
    # Without branches and with one root, so that neighbours are computed together.
    x_limit, y_limit = x_limit * x_limit * (count - 1), y_limit * y_limit * (count - 1)
    moves = (xx > x_limit) & (yy > y_limit)
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
    longest = windows[-1]
    base = longest - 1
    tile = tile_rows(longest)
    bx, by = np.empty(tile + base), np.empty(tile + base)
    # Of the last p pairs, less the last of them: sums of x, y, x^2, y^2 and xy.
    now, then = _room(tile + base), _room(tile + base)
    done = np.empty(windows.size, np.bool_)
    squared = correlation_out.shape[0] > 0
    for i in range(starts.size - 1):
        first, last = starts[i], starts[i + 1]
        for a in range(first, last, tile):
            m = min(tile, last - a)
            size = base + m
            load(x, first, a - base, a + m, np.nan, 1.0, bx)
            load(y, first, a - base, a + m, np.nan, 1.0, by)
            known = base - min(base, a - first)
            holes = (not full) and (has_holes(bx, known, size) or has_holes(by, known, size))
            done[:] = False
            for w in range(windows.size - 1, -1, -1):
                if done[w]:
                    continue
                n = windows[w]
                p = first_step(n, windows)
                low = longest - n + p - 1
                if p == 1:
                    one(bx, now[0], now[2], low, size)
                    one(by, now[1], now[3], low, size)
                    zero(now[4], low, size)
                else:
                    few(bx, now[0], now[2], p, low, size)
                    few(by, now[1], now[3], p, low, size)
                    few_products(bx, by, now[4], p, low, size)
                while True:
                    for v in range(windows.size):
                        if windows[v] != p:
                            continue
                        done[v] = True
                        if covariance_out.shape[0] > 0:
                            to = covariance_out[v, at + a : at + a + m]
                            _put_covariance(now, base, p, ddof, to)
                        if correlation_out.shape[0] > 0:
                            to = correlation_out[v, at + a : at + a + m]
                            _put_correlation(bx, by, now, base, p, still, still_share, to)
                        if full:
                            continue
                        head = min(max(first + p - 1 - a, 0), m)
                        for j in range(m if holes else head):
                            gap = np.isnan(now[0][base + j]) or np.isnan(now[1][base + j])
                            if j >= head and not gap:
                                continue
                            t = a + j
                            found = _pair_of(x, y, max(first, t - p + 1), t + 1)
                            if covariance_out.shape[0] > 0:
                                freedom = found[0] - ddof
                                value = found[5] / freedom if freedom > 0 else np.nan
                                covariance_out[v, at + t] = value
                            if correlation_out.shape[0] > 0:
                                value = _correlation(
                                    found[0], found[1], found[2], found[3], found[4], found[5],
                                    still, still_share,
                                )  # fmt: skip
                                correlation_out[v, at + t] = value
                    if p == n:
                        break
                    if p > 1 and doubles(n, p):
                        odd = and_one(n, p, windows)
                        low += p + odd
                        double(
                            bx, now[0], now[2], then[0], then[2], p, odd, low, size, squared
                        )  # fmt: skip
                        double(
                            by, now[1], now[3], then[1], then[3], p, odd, low, size, squared
                        )  # fmt: skip
                        double_products(
                            bx, by, now[0], now[1], now[4], then[4], p, odd, low, size
                        )  # fmt: skip
                        now, then = then, now
                        p += p + odd
                    else:
                        low += 1
                        older(bx, now[0], now[2], p, low, size, squared)
                        older(by, now[1], now[3], p, low, size, squared)
                        older_products(bx, by, now[4], p, low, size)
                        p += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _room(size):
    return np.empty(size), np.empty(size), np.empty(size), np.empty(size), np.empty(size)


@njit(cache=True, nogil=True, error_model="numpy")
def _put_covariance(now, base, n, ddof, to):
    last = base + to.size
    sx, sy, sxy = now[0][base:last], now[1][base:last], now[4][base:last]
    share, freedom = 1.0 / n, 1.0 / (n - ddof)
    for j in range(to.size):
        to[j] = (sxy[j] - sx[j] * sy[j] * share) * freedom


@njit(cache=True, nogil=True, error_model="numpy")
def _put_correlation(x, y, now, base, n, still, still_share, to):
    last = base + to.size
    x0, sx, sxx = x[base:last], now[0][base:last], now[2][base:last]
    y0, sy, syy = y[base:last], now[1][base:last], now[3][base:last]
    sxy = now[4][base:last]
    share = 1.0 / n
    for j in range(to.size):
        mx, my = sx[j] * share, sy[j] * share
        to[j] = _correlation(
            n, x0[j] + mx, y0[j] + my, sxx[j] - sx[j] * mx, syy[j] - sy[j] * my,
            sxy[j] - sx[j] * my, still, still_share,
        )  # fmt: skip
