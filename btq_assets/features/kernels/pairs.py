"""Covariance and correlation of two series.

Belongs here: statistics of pairs. Does not belong here: statistics of one series (`moments`,
which says how sums are taken and why).
"""

from __future__ import annotations

import numpy as np
from numba import njit

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
                n, p, low = windows[w], 1, longest - windows[w]
                _begin(bx, by, now, low, size)
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
                        low += p
                        _double(bx, by, now, then, p, low, size)
                        now, then = then, now
                        p *= 2
                    else:
                        low += 1
                        _older(bx, by, now, p, low, size)
                        p += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _room(size):
    return np.empty(size), np.empty(size), np.empty(size), np.empty(size), np.empty(size)


@njit(cache=True, nogil=True, error_model="numpy")
def _begin(x, y, now, low, size):
    """Sums of one pair: zero, or missing."""
    _less_itself(x, low, size, now[0])
    _less_itself(y, low, size, now[1])
    for k in range(2, 5):
        to = now[k][low:size]
        for j in range(to.size):
            to[j] = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _less_itself(x, low, size, to):
    values, out = x[low:size], to[low:size]
    for j in range(out.size):
        out[j] = values[j] - values[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _older(x, y, now, p, low, size):
    """Add to the last `p` pairs the one before them."""
    x0, x1 = x[low:size], x[low - p : size - p]
    y0, y1 = y[low:size], y[low - p : size - p]
    sx, sxx = now[0][low:size], now[2][low:size]
    sy, syy, sxy = now[1][low:size], now[3][low:size], now[4][low:size]
    for j in range(x0.size):
        g = x1[j] - x0[j]
        sx[j] += g
        sxx[j] += g * g
    for j in range(x0.size):
        g = y1[j] - y0[j]
        sy[j] += g
        syy[j] += g * g
    for j in range(x0.size):
        sxy[j] += (x1[j] - x0[j]) * (y1[j] - y0[j])


@njit(cache=True, nogil=True, error_model="numpy")
def _double(x, y, now, then, p, low, size):
    """Add to the last `p` pairs the `p` before them, seen from the window's last pair."""
    _double_one(x, now[0], now[2], then[0], then[2], p, low, size)
    _double_one(y, now[1], now[3], then[1], then[3], p, low, size)
    x0, x1, sx = x[low:size], x[low - p : size - p], now[0][low - p : size - p]
    y0, y1, sy = y[low:size], y[low - p : size - p], now[1][low - p : size - p]
    s0, s1, to = now[4][low:size], now[4][low - p : size - p], then[4][low:size]
    count = 1.0 * p
    for j in range(x0.size):
        g, h = x1[j] - x0[j], y1[j] - y0[j]
        to[j] = s0[j] + (s1[j] + g * sy[j] + h * (sx[j] + count * g))


@njit(cache=True, nogil=True, error_model="numpy")
def _double_one(x, sums, squares, to_sums, to_squares, p, low, size):
    x0, x1 = x[low:size], x[low - p : size - p]
    s0, s1, s = sums[low:size], sums[low - p : size - p], to_sums[low:size]
    q0, q1, q = squares[low:size], squares[low - p : size - p], to_squares[low:size]
    count = 1.0 * p
    for j in range(x0.size):
        g = x1[j] - x0[j]
        moved = s1[j] + count * g
        s[j] = s0[j] + moved
        q[j] = q0[j] + (q1[j] + g * (s1[j] + moved))


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
