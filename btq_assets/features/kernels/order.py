"""Extremes and ranks.

Belongs here: largest and smallest values of windows, their places, and the rank of the last.
Does not belong here: quantiles (`quantiles`), sums (`moments`).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from btq_assets.features.kernels.tiles import doubles, has_holes, load, tile_rows


@njit(cache=True, nogil=True, error_model="numpy")
def _extreme_of(x, low, high, sign):
    """Largest ``sign x`` of those that exist in ``x[low:high]``, and its place from one.

    The place is what numpy's argmax says, for which a missing value is an extreme.
    """
    best, place, missing = np.nan, np.nan, 0.0
    for i in range(low, high):
        value = sign * x[i]
        if np.isnan(value):
            if missing == 0.0:
                missing = i - low + 1.0
        elif np.isnan(best) or value > best:
            best = value
            place = i - low + 1.0
    if missing > 0.0 and not np.isnan(best):
        place = missing
    return best, place


@njit(cache=True, nogil=True, error_model="numpy")
def extreme(x, starts, windows, full, sign, at, value_out, place_out):
    """Rolling maximum (`sign` 1) or minimum (-1) and its first place in the window, from one.

    Parameters
    ----------
    x, starts, windows, full, at
        As in `moments.sums`.
    sign
        1.0 or -1.0.
    value_out, place_out
        ``[W, >= at + len(x)]``, or ``[0, 0]`` for what is not wanted.
    """
    longest = windows[-1]
    base = longest - 1
    tile = tile_rows(longest)
    b, ages = np.empty(tile + base), np.empty((3, tile + base))
    room = np.empty((2, tile + base))
    done = np.empty(windows.size, np.bool_)
    places = place_out.shape[0] > 0
    for i in range(starts.size - 1):
        first, last = starts[i], starts[i + 1]
        for a in range(first, last, tile):
            m = min(tile, last - a)
            size = base + m
            load(x, first, a - base, a + m, np.nan, sign, b)
            holes = has_holes(b, base - min(base, a - first), size)
            done[:] = False
            for w in range(windows.size - 1, -1, -1):
                if done[w]:
                    continue
                n, p, low = windows[w], 1, longest - windows[w]
                best, age, to, to_age = b, ages[2], room[0], ages[0]
                age[:] = 0.0
                while True:
                    for v in range(windows.size):
                        if windows[v] != p:
                            continue
                        done[v] = True
                        if value_out.shape[0] > 0:
                            out = value_out[v, at + a : at + a + m]
                            _put_values(best, base, sign, out)
                        if places:
                            out = place_out[v, at + a : at + a + m]
                            _put_places(age, base, p, a - first, out)
                        head = min(max(first + p - 1 - a, 0), m)
                        for j in range(m if holes else (head if full else 0)):
                            t = a + j
                            count = min(p, t - first + 1)
                            gap = holes and has_holes(x, t - count + 1, t + 1)
                            if not gap and (count == p or not full):
                                continue
                            value, place = np.nan, np.nan
                            if not full:
                                value, place = _extreme_of(x, t - count + 1, t + 1, sign)
                            if value_out.shape[0] > 0:
                                value_out[v, at + t] = sign * value
                            if places:
                                place_out[v, at + t] = place
                    if p == n:
                        break
                    twice = doubles(n, p)
                    low += p if twice else 1
                    if places:
                        _larger_at(best, age, b, twice, to, to_age, p, low, size)
                        age, to_age = to_age, ages[1] if p == 1 else age
                    else:
                        _larger(best, best if twice else b, to, p, low, size)
                    best, to = to, room[1] if p == 1 else best
                    p += p if twice else 1


@njit(cache=True, nogil=True, error_model="numpy")
def _larger(best, older, to, p, low, size):
    """The larger of the best of `p` values and that of those before them."""
    v0, v1, out = best[low:size], older[low - p : size - p], to[low:size]
    for j in range(out.size):
        # In this order a missing value before the history's beginning is left out.
        out[j] = v1[j] if v1[j] > v0[j] else v0[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _larger_at(best, age, b, twice, to, to_age, p, low, size):
    """The same with ages; of equal values the older, for it is the first."""
    older = best if twice else b
    v0, v1, out = best[low:size], older[low - p : size - p], to[low:size]
    g0, g1, out_age = age[low:size], age[low - p : size - p], to_age[low:size]
    before = 1.0 * p
    if twice:
        for j in range(out.size):
            out_age[j] = g1[j] + before if v1[j] >= v0[j] else g0[j]
    else:
        for j in range(out.size):
            out_age[j] = before if v1[j] >= v0[j] else g0[j]
    for j in range(out.size):
        out[j] = v1[j] if v1[j] > v0[j] else v0[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _put_values(best, base, sign, to):
    values = best[base : base + to.size]
    for j in range(to.size):
        to[j] = sign * values[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _put_places(age, base, n, since, to):
    ages = age[base : base + to.size]
    for j in range(to.size):
        to[j] = n - ages[j]
    # Windows that begin with the history are shorter.
    for j in range(min(max(n - 1 - since, 0), to.size)):
        to[j] = since + j + 1 - ages[j]


@njit(cache=True, nogil=True, error_model="numpy")
def rank(x, starts, windows, full, at, out):
    """Rolling rank of the last value, ties averaged, as a share of the values that exist.

    Parameters
    ----------
    x, starts, windows, full, at, out
        As in `moments.sums`.
    """
    longest = windows[-1]
    base = longest - 1
    tile = tile_rows(longest)
    b, below = np.empty(tile + base), np.empty(tile)
    for i in range(starts.size - 1):
        first, last = starts[i], starts[i + 1]
        for a in range(first, last, tile):
            m = min(tile, last - a)
            load(x, first, a - base, a + m, np.nan, 1.0, b)
            holes = has_holes(b, base - min(base, a - first), base + m)
            # Twice one half: for the value itself, and because ranks begin with one.
            below[:m] = 2.0
            k = 1
            for w in range(windows.size):
                n = windows[w]
                while k < n:
                    if k + 4 <= n:
                        _count_four(b, base, k, below[:m])
                        k += 4
                    else:
                        _count_one(b, base, k, below[:m])
                        k += 1
                to = out[w, at + a : at + a + m]
                head = min(max(first + n - 1 - a, 0), m)
                if not holes:
                    counted, whole = below[head:m], to[head:m]
                    for j in range(whole.size):
                        whole[j] = counted[j] * 0.5 / n
                for j in range(m if holes else head):
                    t = a + j
                    count = min(n, t - first + 1)
                    place = below[j] * 0.5
                    if (full and count < n) or (holes and np.isnan(x[t])):
                        place = np.nan
                    elif holes:
                        present = 0
                        for p in range(t - count + 1, t + 1):
                            present += 0 if np.isnan(x[p]) else 1
                        # A missing value is not less than another, so only the count is new.
                        place = np.nan if full and present < n else place
                        count = present
                    to[j] = place / count


@njit(cache=True, nogil=True, error_model="numpy")
def _count_four(b, base, k, below):
    """Count values `k` to ``k + 3`` rows ago: once where less, once where not more."""
    m = below.size
    c = b[base : base + m]
    v0, v1 = b[base - k : base - k + m], b[base - k - 1 : base - k - 1 + m]
    v2, v3 = b[base - k - 2 : base - k - 2 + m], b[base - k - 3 : base - k - 3 + m]
    for j in range(m):
        s = below[j]
        s += 1.0 if v0[j] < c[j] else 0.0
        s += 1.0 if v0[j] <= c[j] else 0.0
        s += 1.0 if v1[j] < c[j] else 0.0
        s += 1.0 if v1[j] <= c[j] else 0.0
        s += 1.0 if v2[j] < c[j] else 0.0
        s += 1.0 if v2[j] <= c[j] else 0.0
        s += 1.0 if v3[j] < c[j] else 0.0
        s += 1.0 if v3[j] <= c[j] else 0.0
        below[j] = s


@njit(cache=True, nogil=True, error_model="numpy")
def _count_one(b, base, k, below):
    c, v = b[base : base + below.size], b[base - k : base - k + below.size]
    for j in range(below.size):
        below[j] += (1.0 if v[j] < c[j] else 0.0) + (1.0 if v[j] <= c[j] else 0.0)
