"""Sums, means, deviations, and the straight line through a window.

Belongs here: statistics that are sums over one series. Does not belong here: order statistics
(`order`), pairs of series (`pairs`). Kernels take flat arrays; `rolling` takes matrices.

Windows are doubled (`tiles`), so that sums are of halves of halves: their rounding grows with the
logarithm of the length. Squares and products are taken of differences from the window's last
value, and moved to a new last value when older values are added. The last value lies within
``sqrt(n - 1)`` deviations of the mean (Samuelson, 1968), so what cancels is at most n times what
remains: a relative error of the variance below ``n^2`` roundings, and exactly zero where nothing
moves.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from btq_assets.features.kernels.doubling import (
    and_one,
    double,
    double_aged,
    few,
    few_aged,
    first_step,
    older,
    older_aged,
    one,
    zero,
)
from btq_assets.features.kernels.tiles import doubles, has_holes, load, tile_rows


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
    longest = windows[-1]
    base = longest - 1
    tile = tile_rows(longest)
    b, room = np.empty(tile + base), np.empty((2, tile + base))
    done = np.empty(windows.size, np.bool_)
    for i in range(starts.size - 1):
        first, last = starts[i], starts[i + 1]
        for a in range(first, last, tile):
            m = min(tile, last - a)
            size = base + m
            load(x, first, a - base, a + m, np.nan if full else 0.0, 1.0, b)
            holes = (not full) and has_holes(b, 0, size)
            done[:] = False
            for w in range(windows.size - 1, -1, -1):
                if done[w]:
                    continue
                n = windows[w]
                total, to, p, low = b, room[0], 1, longest - n
                while True:
                    for v in range(windows.size):
                        if windows[v] == p:
                            done[v] = True
                            found = out[v, at + a : at + a + m]
                            _put_sums(total, b, base, p, a - first, full, mean, holes, found)
                    if p == n:
                        break
                    low += p if doubles(n, p) else 1
                    _add(total, total if doubles(n, p) else b, to, p, low, size)
                    total, to = to, room[1] if p == 1 else total
                    p += p if doubles(n, p) else 1


@njit(cache=True, nogil=True, error_model="numpy")
def _add(total, older, to, p, low, size):
    """Sums of the values before to those of the last `p`."""
    s0, s1, out = total[low:size], older[low - p : size - p], to[low:size]
    for j in range(out.size):
        out[j] = s0[j] + s1[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _put_sums(total, b, base, n, since, full, mean, holes, to):
    """Sums or means of `n` values; `since` rows of the history lie before the tile."""
    s = total[base : base + to.size]
    if full or (since >= n - 1 and not holes):
        divisor = n if mean else 1
        for j in range(to.size):
            to[j] = s[j] / divisor
        return
    for j in range(to.size):
        count = min(n, since + j + 1)
        value = s[j]
        if holes and np.isnan(value):
            oldest = base + j - count + 1
            count, value = 0, 0.0
            for p in range(oldest, base + j + 1):
                if not np.isnan(b[p]):
                    count += 1
                    value += b[p]
            if count == 0:
                value = np.nan
        to[j] = value / count if mean else value


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
    longest = windows[-1]
    base = longest - 1
    tile = tile_rows(longest)
    b, unit = np.empty(tile + base), np.ones(tile)
    # Of the last p values, less the last of them: sums, of squares, and of products with age.
    now, then = _room(tile + base), _room(tile + base)
    done = np.empty(windows.size, np.bool_)
    sloped = slope_out.shape[0] + rsquare_out.shape[0] + residual_out.shape[0] > 0
    for i in range(starts.size - 1):
        first, last = starts[i], starts[i + 1]
        for a in range(first, last, tile):
            m = min(tile, last - a)
            size = base + m
            load(x, first, a - base, a + m, np.nan, 1.0, b)
            holes = (not full) and has_holes(b, base - min(base, a - first), size)
            if per.size > 0:
                _invert(per[a : a + m], unit)
            done[:] = False
            for w in range(windows.size - 1, -1, -1):
                if done[w]:
                    continue
                n = windows[w]
                p = first_step(n, windows)
                low = longest - n + p - 1
                if p == 1:
                    one(b, now[0], now[1], low, size)
                    zero(now[2], low, size)
                else:
                    few(b, now[0], now[1], p, low, size)
                    if sloped:
                        few_aged(b, now[2], p, low, size)
                while True:
                    for v in range(windows.size):
                        if windows[v] != p:
                            continue
                        done[v] = True
                        head = 0 if full else min(max(first + p - 1 - a, 0), m)
                        _put_line(
                            b, now, unit, base, m, head, p, ddof, still, still_share, v, at + a,
                            mean_out, std_out, slope_out, rsquare_out, residual_out,
                        )  # fmt: skip
                        for j in range(0 if head > 0 or holes else m, m):
                            if j < head or np.isnan(now[0][base + j]):
                                t = a + j
                                found = _line_of(x, max(first, t - p + 1), t + 1)
                                r = _results(found, x[t], 1.0 / unit[j], ddof, still, still_share)
                                _write(
                                    r, v, at + t, mean_out, std_out, slope_out, rsquare_out,
                                    residual_out,
                                )  # fmt: skip
                    if p == n:
                        break
                    if p > 1 and doubles(n, p):
                        odd = and_one(n, p, windows)
                        low += p + odd
                        double(
                            b, now[0], now[1], then[0], then[1], p, odd, low, size, True
                        )  # fmt: skip
                        if sloped:
                            double_aged(b, now[0], now[2], then[2], p, odd, low, size)
                        now, then = then, now
                        p += p + odd
                    else:
                        low += 1
                        older(b, now[0], now[1], p, low, size, True)
                        if sloped:
                            older_aged(b, now[2], p, low, size)
                        p += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _room(size):
    return np.empty(size), np.empty(size), np.empty(size)


@njit(cache=True, nogil=True, error_model="numpy")
def _invert(per, unit):
    for j in range(per.size):
        unit[j] = 1.0 / per[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _put_line(
    b, now, unit, base, m, head, n, ddof, still, still_share, w, at,
    mean_out, std_out, slope_out, rsquare_out, residual_out,
):  # fmt: skip
    """Results of the windows of `n` values from the row `head` of a tile on.

    `unit` holds one over the divisors.
    """
    first, last, at, to_row = base + head, base + m, at + head, at + m
    current, s1, s2, sp = b[first:last], now[0][first:last], now[1][first:last], now[2][first:last]
    unit = unit[head:m]
    share, freedom = 1.0 / n, 1.0 / (n - ddof)
    age, times = (n - 1) / 2.0, 12.0 / (n * (n * n - 1.0))
    if mean_out.shape[0] > 0:
        to = mean_out[w, at:to_row]
        for j in range(to.size):
            to[j] = (current[j] + s1[j] * share) * unit[j]
    if std_out.shape[0] > 0:
        to = std_out[w, at:to_row]
        for j in range(to.size):
            square = s2[j] - s1[j] * s1[j] * share
            # Not below zero by rounding; what is missing stays so.
            square = 0.0 if square < 0.0 else square
            to[j] = np.sqrt(square * freedom) * unit[j]
    if slope_out.shape[0] > 0:
        to = slope_out[w, at:to_row]
        for j in range(to.size):
            to[j] = -(sp[j] - age * s1[j]) * times * unit[j]
    if residual_out.shape[0] > 0:
        to = residual_out[w, at:to_row]
        for j in range(to.size):
            # The line's end less the last value, both seen from the last value.
            end = s1[j] * share - (sp[j] - age * s1[j]) * times * age
            to[j] = -end * unit[j]
    if rsquare_out.shape[0] > 0:
        to = rsquare_out[w, at:to_row]
        for j in range(to.size):
            square = s2[j] - s1[j] * s1[j] * share
            product = sp[j] - age * s1[j]
            limit = still + still_share * abs(current[j] + s1[j] * share)
            explained = product * product * times / square
            explained = 1.0 if explained > 1.0 else explained
            to[j] = explained if square > (n - 1) * limit * limit else np.nan


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
    tile = tile_rows(n)
    total = np.empty(tile)
    for i in range(starts.size - 1):
        first, last = starts[i], starts[i + 1]
        head = min(first + n - 1, last)
        for t in range(first, head):
            out[t] = np.nan
        for a in range(head, last, tile):
            m = min(tile, last - a)
            total[:m] = 0.0
            for k in range(n):
                values = x[a - n + 1 + k : a - n + 1 + k + m]
                w = weights[k]
                for j in range(m):
                    total[j] += w * values[j]
            for j in range(m):
                out[a + j] = total[j]
