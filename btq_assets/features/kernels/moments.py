"""Sums, means, deviations, and the straight line through a window.

Belongs here: statistics that are sums over one series. Does not belong here: order statistics
(`order`), pairs of series (`pairs`). Kernels take flat arrays; `rolling` takes matrices.

Sums run from the newest value of a window to its oldest, so that a longer window goes on where a
shorter one ended: several lengths cost as much as the longest. Squares and products are taken of
differences from the window's last value. It lies within ``sqrt(n - 1)`` deviations of the mean
(Samuelson, 1968), so what cancels is at most n times what remains: a relative error of the
variance below ``n^2`` roundings, and exactly zero where nothing moves.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from btq_assets.features.kernels.tiles import TILE, has_holes


@njit(cache=True, nogil=True, error_model="numpy")
def sums(x, starts, windows, full, mean, at, out):
    """Rolling sums or means.

    Parameters
    ----------
    x
        Values of all symbols, NaN where missing.
    starts
        ``int64[symbols + 1]``: where each symbol begins, and the length of `x`.
    windows
        ``int64[W]``, ascending lengths of the windows.
    full
        Whether a window needs all its values, or one.
    mean
        Whether sums are divided by the number of values.
    at
        Column of `out` that belongs to the first row of `x`.
    out
        ``[W, >= at + len(x)]``.
    """
    total = np.empty(TILE)
    longest = windows[-1]
    for i in range(starts.size - 1):
        first, last = starts[i], starts[i + 1]
        for a in range(first, last, TILE):
            m = min(TILE, last - a)
            holes = (not full) and has_holes(x, max(first, a - longest + 1), a + m)
            total[:m] = 0.0
            k = 0
            for w in range(windows.size):
                n = windows[w]
                while k < n:
                    # Rows before `low` lie less than k after the symbol's beginning.
                    low = max(first + k - a, 0)
                    if k + 4 <= n and a - first >= k + 3:
                        # Four values a round: one load and store of the sums instead of four.
                        v0, v1 = x[a - k : a - k + m], x[a - k - 1 : a - k - 1 + m]
                        v2, v3 = x[a - k - 2 : a - k - 2 + m], x[a - k - 3 : a - k - 3 + m]
                        for j in range(m):
                            total[j] = (((total[j] + v0[j]) + v1[j]) + v2[j]) + v3[j]
                        k += 4
                        continue
                    if low < m:
                        v, part = x[a + low - k : a + m - k], total[low:m]
                        for j in range(m - low):
                            part[j] += v[j]
                    k += 1
                if a - first >= n - 1 and not holes:
                    to, divisor = out[w, at + a : at + a + m], n if mean else 1
                    for j in range(m):
                        to[j] = total[j] / divisor
                    continue
                for j in range(m):
                    t = a + j
                    count = min(n, t - first + 1)
                    value = total[j]
                    if full and count < n:
                        value = np.nan
                    elif holes and np.isnan(value):
                        count, value = 0, 0.0
                        for p in range(max(first, t - n + 1), t + 1):
                            if not np.isnan(x[p]):
                                count += 1
                                value += x[p]
                        if count == 0:
                            value = np.nan
                    out[w, at + t] = value / count if mean else value


@njit(cache=True, nogil=True, error_model="numpy")
def _line_of(x, low, high):
    """Number of values in ``x[low:high]`` that exist, and sums about their means.

    Returns
    -------
    tuple
        Count, mean, mean age, sums of squares of values, of products of value and age, of squares
        of age. Age is the distance from the window's end, also where values are missing.
    """
    count = 0
    total = 0.0
    ages = 0.0
    for i in range(low, high):
        if not np.isnan(x[i]):
            count += 1
            total += x[i]
            ages += high - 1 - i
    if count == 0:
        return 0, np.nan, np.nan, np.nan, np.nan, np.nan
    mean, age = total / count, ages / count
    square = product = times = 0.0
    for i in range(low, high):
        if not np.isnan(x[i]):
            d, u = x[i] - mean, high - 1 - i - age
            square += d * d
            product += u * d
            times += u * u
    return count, mean, age, square, product, times


@njit(cache=True, nogil=True, error_model="numpy")
def line(
    x, starts, windows, full, ddof, per, still, still_share, at,
    mean_out, std_out, slope_out, rsquare_out, residual_out,
):  # fmt: skip
    """Rolling mean, deviation and least-squares line of values against time.

    Parameters
    ----------
    x, starts, windows, full, at
        As in `sums`.
    ddof
        What the divisor of the variance is less than the number of values.
    per
        Divisors of all results but R squared, one per row, or of length zero for none.
    still, still_share
        A window whose sample deviation is not above ``still + still_share |mean|`` has no
        R squared.
    mean_out, std_out, slope_out, rsquare_out, residual_out
        ``[W, >= at + len(x)]``, or ``[0, 0]`` for what is not wanted; the residual is the last
        value less its place on the line.
    """
    s1, s2, sp = np.empty(TILE), np.empty(TILE), np.empty(TILE)
    unit = np.ones(TILE)
    longest = windows[-1]
    want_mean, want_std = mean_out.shape[0] > 0, std_out.shape[0] > 0
    want_line = slope_out.shape[0] + rsquare_out.shape[0] + residual_out.shape[0] > 0
    for i in range(starts.size - 1):
        first, last = starts[i], starts[i + 1]
        for a in range(first, last, TILE):
            m = min(TILE, last - a)
            holes = (not full) and has_holes(x, max(first, a - longest + 1), a + m)
            current = x[a : a + m]
            if per.size > 0:
                unit[:m] = per[a : a + m]
            s1[:m] = 0.0
            s2[:m] = 0.0
            sp[:m] = 0.0
            # At age zero the difference is zero, or missing.
            for j in range(m):
                s1[j] = current[j] - current[j]
            k = 1
            for w in range(windows.size):
                n = windows[w]
                while k < n:
                    low = max(first + k - a, 0)
                    if k + 3 <= n and a - first >= k + 2:
                        v0, v1 = x[a - k : a - k + m], x[a - k - 1 : a - k - 1 + m]
                        v2 = x[a - k - 2 : a - k - 2 + m]
                        k0, k1, k2 = k * 1.0, k + 1.0, k + 2.0
                        if want_line:
                            for j in range(m):
                                c = current[j]
                                d0, d1, d2 = v0[j] - c, v1[j] - c, v2[j] - c
                                s1[j] = ((s1[j] + d0) + d1) + d2
                                s2[j] = ((s2[j] + d0 * d0) + d1 * d1) + d2 * d2
                                sp[j] = ((sp[j] + k0 * d0) + k1 * d1) + k2 * d2
                        else:
                            for j in range(m):
                                c = current[j]
                                d0, d1, d2 = v0[j] - c, v1[j] - c, v2[j] - c
                                s1[j] = ((s1[j] + d0) + d1) + d2
                                s2[j] = ((s2[j] + d0 * d0) + d1 * d1) + d2 * d2
                        k += 3
                        continue
                    if low < m:
                        v, c = x[a + low - k : a + m - k], current[low:m]
                        p1, p2, pp = s1[low:m], s2[low:m], sp[low:m]
                        for j in range(m - low):
                            d = v[j] - c[j]
                            p1[j] += d
                            p2[j] += d * d
                            pp[j] += k * d
                    k += 1
                head = min(max(first + n - 1 - a, 0), m)
                for j in range(head):
                    t = a + j
                    r = (np.nan, np.nan, np.nan, np.nan, np.nan)
                    if not full:
                        found = _line_of(x, first, t + 1)
                        r = _results(found, current[j], unit[j], ddof, still, still_share)
                    _write(r, w, at + t, mean_out, std_out, slope_out, rsquare_out, residual_out)
                age = (n - 1) / 2.0
                times = n * (n * n - 1.0) / 12.0
                if want_mean:
                    to = mean_out[w, at + a : at + a + m]
                    for j in range(head, m):
                        to[j] = (current[j] + s1[j] / n) / unit[j]
                if want_std:
                    to = std_out[w, at + a : at + a + m]
                    for j in range(head, m):
                        square = max(s2[j] - s1[j] * s1[j] / n, 0.0)
                        to[j] = np.sqrt(square / (n - ddof)) / unit[j]
                if slope_out.shape[0] > 0:
                    to = slope_out[w, at + a : at + a + m]
                    for j in range(head, m):
                        to[j] = -(sp[j] - age * s1[j]) / times / unit[j]
                if residual_out.shape[0] > 0:
                    to = residual_out[w, at + a : at + a + m]
                    for j in range(head, m):
                        # The line's end less the last value, both seen from the last value.
                        end = s1[j] / n - (sp[j] - age * s1[j]) / times * age
                        to[j] = -end / unit[j]
                if rsquare_out.shape[0] > 0:
                    to = rsquare_out[w, at + a : at + a + m]
                    for j in range(head, m):
                        square = s2[j] - s1[j] * s1[j] / n
                        product = sp[j] - age * s1[j]
                        limit = still + still_share * abs(current[j] + s1[j] / n)
                        share = product * product / (times * square)
                        share = 1.0 if share > 1.0 else share
                        to[j] = share if square / (n - 1) > limit * limit else np.nan
                if holes:
                    for j in range(head, m):
                        if np.isnan(s1[j]):
                            t = a + j
                            found = _line_of(x, t - n + 1, t + 1)
                            r = _results(found, current[j], unit[j], ddof, still, still_share)
                            _write(r, w, at + t, mean_out, std_out, slope_out, rsquare_out, residual_out)  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def _results(found, value, unit, ddof, still, still_share):
    """Mean, deviation, slope, R squared and residual from what `_line_of` found."""
    count, mean, age, square, product, times = found
    deviation = np.sqrt(square / (count - 1)) if count > 1 else np.nan
    divided = np.sqrt(square / (count - ddof)) if count > ddof else np.nan
    slope = product / times
    share = np.nan
    if deviation > still + still_share * abs(mean):
        share = min(product * product / (times * square), 1.0)
    return mean / unit, divided / unit, -slope / unit, share, (value - mean + slope * age) / unit


@njit(cache=True, nogil=True, error_model="numpy")
def _write(r, w, t, mean_out, std_out, slope_out, rsquare_out, residual_out):
    """Put results where they are wanted."""
    if mean_out.shape[0] > 0:
        mean_out[w, t] = r[0]
    if std_out.shape[0] > 0:
        std_out[w, t] = r[1]
    if slope_out.shape[0] > 0:
        slope_out[w, t] = r[2]
    if rsquare_out.shape[0] > 0:
        rsquare_out[w, t] = r[3]
    if residual_out.shape[0] > 0:
        residual_out[w, t] = r[4]


@njit(cache=True, nogil=True, error_model="numpy")
def weighted(x, starts, weights, out):
    """Rolling sum of ``weights[k] x[t - n + 1 + k]``; NaN where the window is not full.

    Parameters
    ----------
    x, starts
        As in `sums`.
    weights
        ``float64[n]``, that of the oldest value first.
    out
        As long as `x`.
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
            total[:m] = 0.0
            for k in range(n):
                values = x[a - n + 1 + k : a - n + 1 + k + m]
                w = weights[k]
                for j in range(m):
                    total[j] += w * values[j]
            for j in range(m):
                out[a + j] = total[j]
