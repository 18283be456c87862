"""Extremes, ranks and quantiles.

Belongs here: order statistics of windows. Does not belong here: sums (`moments`).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from btq_assets.features.kernels.tiles import TILE, has_holes

#: Histories whose windows are kept in order side by side.
LANES = 32


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
    best, age = np.empty(TILE), np.empty(TILE)
    longest = windows[-1]
    values, places = value_out.shape[0] > 0, place_out.shape[0] > 0
    for i in range(starts.size - 1):
        first, last = starts[i], starts[i + 1]
        for a in range(first, last, TILE):
            m = min(TILE, last - a)
            holes = has_holes(x, max(first, a - longest + 1), a + m)
            current = x[a : a + m]
            for j in range(m):
                best[j] = sign * current[j]
                age[j] = 0.0
            k = 1
            for w in range(windows.size):
                n = windows[w]
                while k < n:
                    low = max(first + k - a, 0)
                    if k + 2 <= n and a - first >= k + 1:
                        v0, v1 = x[a - k : a - k + m], x[a - k - 1 : a - k - 1 + m]
                        k0, k1 = k * 1.0, k + 1.0
                        for j in range(m):
                            b, g = best[j], age[j]
                            d0, d1 = sign * v0[j], sign * v1[j]
                            # Not less: the oldest of equal values is the first.
                            g = k0 if d0 >= b else g
                            b = d0 if d0 >= b else b
                            g = k1 if d1 >= b else g
                            b = d1 if d1 >= b else b
                            best[j] = b
                            age[j] = g
                        k += 2
                        continue
                    if low < m:
                        v, pb, pg = x[a + low - k : a + m - k], best[low:m], age[low:m]
                        for j in range(m - low):
                            d = sign * v[j]
                            pg[j] = k if d >= pb[j] else pg[j]
                            pb[j] = d if d >= pb[j] else pb[j]
                    k += 1
                if a - first >= n - 1 and not holes:
                    if values:
                        to = value_out[w, at + a : at + a + m]
                        for j in range(m):
                            to[j] = sign * best[j]
                    if places:
                        to = place_out[w, at + a : at + a + m]
                        for j in range(m):
                            to[j] = n - age[j]
                    continue
                for j in range(m):
                    t = a + j
                    count = min(n, t - first + 1)
                    value, place = sign * best[j], count - age[j]
                    if full and count < n:
                        value, place = np.nan, np.nan
                    elif holes and has_holes(x, t - count + 1, t + 1):
                        value, place = np.nan, np.nan
                        if not full:
                            value, place = _extreme_of(x, t - count + 1, t + 1, sign)
                            value *= sign
                    if values:
                        value_out[w, at + t] = value
                    if places:
                        place_out[w, at + t] = place


@njit(cache=True, nogil=True, error_model="numpy")
def rank(x, starts, windows, full, at, out):
    """Rolling rank of the last value, ties averaged, as a share of the values that exist.

    Parameters
    ----------
    x, starts, windows, full, at, out
        As in `moments.sums`.
    """
    below = np.empty(TILE)
    longest = windows[-1]
    for i in range(starts.size - 1):
        first, last = starts[i], starts[i + 1]
        for a in range(first, last, TILE):
            m = min(TILE, last - a)
            holes = has_holes(x, max(first, a - longest + 1), a + m)
            current = x[a : a + m]
            # One half for the value itself, and one half because ranks begin with one.
            below[:m] = 1.0
            k = 1
            for w in range(windows.size):
                n = windows[w]
                while k < n:
                    low = max(first + k - a, 0)
                    if k + 2 <= n and a - first >= k + 1:
                        v0, v1 = x[a - k : a - k + m], x[a - k - 1 : a - k - 1 + m]
                        for j in range(m):
                            c = current[j]
                            less = (0.5 if v0[j] < c else 0.0) + (0.5 if v0[j] <= c else 0.0)
                            more = (0.5 if v1[j] < c else 0.0) + (0.5 if v1[j] <= c else 0.0)
                            below[j] += less + more
                        k += 2
                        continue
                    if low < m:
                        v, c, part = x[a + low - k : a + m - k], current[low:m], below[low:m]
                        for j in range(m - low):
                            part[j] += (0.5 if v[j] < c[j] else 0.0) + (
                                0.5 if v[j] <= c[j] else 0.0
                            )
                    k += 1
                if a - first >= n - 1 and not holes:
                    to = out[w, at + a : at + a + m]
                    for j in range(m):
                        to[j] = below[j] / n
                    continue
                for j in range(m):
                    t = a + j
                    count = min(n, t - first + 1)
                    place = below[j]
                    if (full and count < n) or (holes and np.isnan(x[t])):
                        place = np.nan
                    elif holes:
                        present = 0
                        for p in range(t - count + 1, t + 1):
                            present += 0 if np.isnan(x[p]) else 1
                        # A missing value is not less than another, so only the count is new.
                        place = np.nan if full and present < n else place
                        count = present
                    out[w, at + t] = place / count


@njit(cache=True, nogil=True, error_model="numpy")
def _insert(ordered, count, value):
    """Insert `value` into the first `count` of `ordered`."""
    k = count
    while k > 0 and ordered[k - 1] > value:
        ordered[k] = ordered[k - 1]
        k -= 1
    ordered[k] = value


@njit(cache=True, nogil=True, error_model="numpy")
def _remove(ordered, count, value):
    """Remove one `value` from the first `count` of `ordered`."""
    k = 0
    while ordered[k] != value:
        k += 1
    while k + 1 < count:
        ordered[k] = ordered[k + 1]
        k += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _between(ordered, count, share):
    """Quantile of the first `count` of `ordered`."""
    place = share * (count - 1)
    below = int(place)
    value = ordered[below]
    if below < count - 1:
        value += (place - below) * (ordered[below + 1] - value)
    return value


@njit(cache=True, nogil=True, error_model="numpy")
def _row_by_row(x, low, high, first, n, full, shares, per, w, at, out):
    """Quantiles at the rows ``low`` to ``high - 1`` of a history that begins at `first`."""
    ordered = np.empty(n + 1)
    count = 0
    for t in range(max(first, low - n + 1), high):
        if count > 0 and t - n >= max(first, low - n + 1) and not np.isnan(x[t - n]):
            _remove(ordered, count, x[t - n])
            count -= 1
        if not np.isnan(x[t]):
            _insert(ordered, count, x[t])
            count += 1
        if t >= low:
            for q in range(shares.size):
                value = np.nan
                if count == n or (count > 0 and not full):
                    value = _between(ordered, count, shares[q])
                out[q, w, at + t] = value / per[t] if per.size > 0 else value


@njit(cache=True, nogil=True, error_model="numpy")
def quantiles(x, starts, windows, full, shares, per, at, out):
    """Rolling quantiles, linear between neighbours (Hyndman and Fan 1996, definition 7).

    The window is kept in order from one row to the next; which values it holds, and so the
    result, does not depend on how it came to be. A history is cut into `LANES` stretches that go
    forward together, each value of each ordered window moving by at most one place.

    Parameters
    ----------
    x, starts, windows, full, at
        As in `moments.sums`.
    shares
        ``float64[Q]``, 0 to 1.
    per
        Divisors, one per row, or of length zero for none.
    out
        ``[Q, W, >= at + len(x)]``.
    """
    old, new = np.empty(LANES), np.empty(LANES)
    for w in range(windows.size):
        n = windows[w]
        # Ordered windows, one a column, between a row below and a row above all values.
        now, then = np.empty((n + 2, LANES)), np.empty((n + 2, LANES))
        now[0] = then[0] = -np.inf
        now[n + 1] = then[n + 1] = np.inf
        column = np.empty(n)
        for i in range(starts.size - 1):
            first, last = starts[i], starts[i + 1]
            head = min(first + n - 1, last)
            if last - head < 4 * LANES or has_holes(x, first, last):
                _row_by_row(x, first, last, first, n, full, shares, per, w, at, out)
                continue
            _row_by_row(x, first, head, first, n, full, shares, per, w, at, out)
            steps = (last - head + LANES - 1) // LANES
            for lane in range(LANES):
                t = min(head + lane * steps, last - 1)
                column[:] = x[t - n + 1 : t + 1]
                column.sort()
                now[1 : n + 1, lane] = column
            for step in range(steps):
                if step > 0:
                    for lane in range(LANES):
                        t = head + lane * steps + step
                        # A stretch that is over exchanges a value for itself.
                        old[lane] = x[t - n] if t < last else now[1, lane]
                        new[lane] = x[t] if t < last else now[1, lane]
                    _forward(now, then, old, new, n)
                    now, then = then, now
                for q in range(shares.size):
                    place = shares[q] * (n - 1)
                    below = int(place)
                    part = place - below
                    above = min(below + 1, n - 1)
                    for lane in range(LANES):
                        t = head + lane * steps + step
                        if t < last:
                            value = now[below + 1, lane]
                            value += part * (now[above + 1, lane] - value)
                            out[q, w, at + t] = value / per[t] if per.size > 0 else value


@njit(cache=True, nogil=True, error_model="numpy")
def _forward(now, then, old, new, n):
    """Exchange one value in each ordered column.

    Where the new value is not less than the old one, values below the old one stay, and those
    from it on take their upper neighbour, or the new value where that is less; and the other way
    round.
    """
    for k in range(1, n + 1):
        lower, here, upper, to = now[k - 1], now[k], now[k + 1], then[k]
        for lane in range(LANES):
            a = here[lane]
            up = max(a, min(upper[lane], new[lane]))
            down = min(a, max(lower[lane], new[lane]))
            up = a if a < old[lane] else up
            down = a if a > old[lane] else down
            to[lane] = up if new[lane] >= old[lane] else down
