"""Extremes, ranks and quantiles.

Belongs here: order statistics of windows. Does not belong here: sums (`moments`).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from btq_assets.features.kernels.tiles import TILE


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
def extreme(x, starts, n, full, sign, value_out, place_out):
    """Rolling maximum (`sign` 1) or minimum (-1) and its first place in the window, from one.

    Ranges double: the extreme of eight values is that of two overlapping or adjacent fours. This
    is exact, since an extreme is one of the values.

    Parameters
    ----------
    x, starts, n, full
        As in `moments.spread`.
    sign
        1.0 or -1.0.
    value_out, place_out
        Results, as long as `x`; not computed where of length zero.
    """
    value, place = np.empty(TILE + n), np.empty(TILE + n)
    value_2, place_2 = np.empty(TILE + n), np.empty(TILE + n)
    values, places = value_out.size > 0, place_out.size > 0
    for i in range(starts.size - 1):
        first, last = starts[i], starts[i + 1]
        head = min(first + n - 1, last)
        missing = first - 1
        for t in range(first, head):
            best, where = np.nan, np.nan
            if np.isnan(x[t]):
                missing = t
            if not full:
                best, where = _extreme_of(x, first, t + 1, sign)
            if values:
                value_out[t] = sign * best
            if places:
                place_out[t] = where
        for a in range(head, last, TILE):
            m = min(TILE, last - a)
            size = m + n - 1
            source = x[a - n + 1 : a + m]
            for j in range(size):
                value[j] = sign * source[j]
                place[j] = j
            width = 1
            while 2 * width <= n:
                size -= width
                right, right_place = value[width:], place[width:]
                for j in range(size):
                    later = right[j] > value[j]
                    value_2[j] = right[j] if later else value[j]
                    place_2[j] = right_place[j] if later else place[j]
                value, value_2 = value_2, value
                place, place_2 = place_2, place
                width *= 2
            right, right_place = value[n - width :], place[n - width :]
            for j in range(m):
                later = right[j] > value[j]
                value_2[j] = right[j] if later else value[j]
                place_2[j] = (right_place[j] if later else place[j]) - j + 1.0
            for j in range(m):
                t = a + j
                if np.isnan(x[t]):
                    missing = t
                best, where = value_2[j], place_2[j]
                if missing > t - n and missing >= first:
                    best, where = np.nan, np.nan
                    if not full:
                        best, where = _extreme_of(x, t - n + 1, t + 1, sign)
                if values:
                    value_out[t] = sign * best
                if places:
                    place_out[t] = where


@njit(cache=True, nogil=True, error_model="numpy")
def rank(x, starts, n, full, out):
    """Rolling rank of the last value, ties averaged, as a share of the values that exist.

    Parameters
    ----------
    x, starts, n, full, out
        As in `moments.spread`.
    """
    below = np.empty(TILE)
    for i in range(starts.size - 1):
        first, last = starts[i], starts[i + 1]
        head = min(first + n - 1, last)
        missing = first - 1
        a = first
        while a < last:
            b = min(a + TILE, last)
            if a < head:
                b = min(b, head)
            m = b - a
            whole = a >= head
            if whole:
                current = x[a : a + m]
                for j in range(m):
                    below[j] = 0.5
                for k in range(n):
                    values = x[a - n + 1 + k : a - n + 1 + k + m]
                    for j in range(m):
                        less = 0.5 if values[j] < current[j] else 0.0
                        not_more = 0.5 if values[j] <= current[j] else 0.0
                        below[j] += less + not_more
            for j in range(m):
                t = a + j
                if np.isnan(x[t]):
                    missing = t
                if whole and not (missing > t - n and missing >= first):
                    out[t] = below[j] / n
                elif full or np.isnan(x[t]):
                    out[t] = np.nan
                else:
                    count, place = 0, 0.5
                    for k in range(max(first, t - n + 1), t + 1):
                        if not np.isnan(x[k]):
                            count += 1
                            place += 1.0 if x[k] < x[t] else (0.5 if x[k] == x[t] else 0.0)
                    out[t] = place / count
            a = b


@njit(cache=True, nogil=True, error_model="numpy")
def _insert(ordered, count, value):
    """Insert `value` into the first `count` of `ordered`."""
    k = count
    while k > 0 and ordered[k - 1] > value:
        ordered[k] = ordered[k - 1]
        k -= 1
    ordered[k] = value


@njit(cache=True, nogil=True, error_model="numpy")
def _exchange(ordered, count, old, new):
    """Replace one `old` in `ordered` by `new`, shifting only the values between them."""
    low, high = 0, count - 1
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] < old:
            low = middle + 1
        else:
            high = middle
    if new >= old:
        while low + 1 < count and ordered[low + 1] < new:
            ordered[low] = ordered[low + 1]
            low += 1
    else:
        while low > 0 and ordered[low - 1] > new:
            ordered[low] = ordered[low - 1]
            low -= 1
    ordered[low] = new


@njit(cache=True, nogil=True, error_model="numpy")
def quantiles(x, starts, n, full, shares, per, out):
    """Rolling quantiles, linear between neighbours (Hyndman and Fan 1996, definition 7).

    The window is kept in order from one row to the next; which values it holds, and so the
    result, does not depend on how it came to be.

    Parameters
    ----------
    x, starts, n, full
        As in `moments.spread`.
    shares
        ``float64[Q]``, 0 to 1.
    per
        Divisors, one per row, or of length zero for none.
    out
        ``[Q, len(x)]``.
    """
    ordered = np.empty(n + 1)
    for i in range(starts.size - 1):
        first, last = starts[i], starts[i + 1]
        count = 0
        for t in range(first, last):
            new = x[t]
            old = x[t - n] if t - n >= first else np.nan
            if not np.isnan(old) and not np.isnan(new):
                _exchange(ordered, count, old, new)
            elif not np.isnan(old):
                # What follows the value moves down by one.
                _exchange(ordered, count, old, np.inf)
                count -= 1
            elif not np.isnan(new):
                _insert(ordered, count, new)
                count += 1
            enough = count == n if full else count > 0
            for q in range(shares.size):
                if not enough:
                    out[q, t] = np.nan
                    continue
                place = shares[q] * (count - 1)
                below = int(place)
                value = ordered[below]
                if below < count - 1:
                    value += (place - below) * (ordered[below + 1] - value)
                out[q, t] = value / per[t] if per.size > 0 else value
