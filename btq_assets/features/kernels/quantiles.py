"""Quantiles.

Belongs here: order statistics at any share of the window. Does not belong here: extremes and ranks
(`order`), the plan of comparisons (`networks`).

Three ways to the same values: comparisons planned beforehand for windows of up to `PLANNED`
values, windows kept in order for longer ones, and row by row where values are missing.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from btq_assets.features.kernels.networks import network
from btq_assets.features.kernels.tiles import has_holes, load

#: Longest window whose comparisons are planned: their number grows faster than the window.
PLANNED = 64

#: Windows that go through a plan side by side.
_TILE = 512

#: Histories whose windows are kept in order side by side.
LANES = 32


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


def quantiles(x, starts, windows, full, shares, per, at, out):
    """Rolling quantiles, linear between neighbours (Hyndman and Fan 1996, definition 7).

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
    for w, n in enumerate(windows):
        if n > PLANNED:
            _by_exchange(x, starts, n, full, shares, per, w, at, out)
            continue
        for q, share in enumerate(shares):
            plan = network(int(n), float(share))
            _by_network(
                x, starts, n, full, shares[q : q + 1], plan.steps, plan.places, *plan.lower,
                *plan.upper, per, at, out[q : q + 1, w : w + 1],
            )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def _by_network(
    x, starts, n, full, shares, steps, places, lower, lower_ago, upper, upper_ago, per, at, out
):  # fmt: skip
    """One quantile by planned comparisons."""
    base = n - 1
    room = np.empty((places, _TILE + base))
    place = shares[0] * (n - 1)
    part = place - int(place)
    to = out[0, 0]
    for i in range(starts.size - 1):
        first, last = starts[i], starts[i + 1]
        head = min(first + base, last)
        _row_by_row(x, first, head, first, n, full, shares, per, 0, at, out)
        for a in range(head, last, _TILE):
            m = min(_TILE, last - a)
            if has_holes(x, a - base, a + m):
                _row_by_row(x, a, a + m, first, n, full, shares, per, 0, at, out)
                continue
            load(x, first, a - base, a + m, 0.0, 1.0, room[0])
            for k in range(steps.shape[0]):
                _compare(room, steps[k], base + m)
            low = room[lower][base - lower_ago : base - lower_ago + m]
            high = room[upper][base - upper_ago : base - upper_ago + m]
            found = to[at + a : at + a + m]
            if per.size > 0:
                unit = per[a : a + m]
                for j in range(m):
                    found[j] = (low[j] + part * (high[j] - low[j])) / unit[j]
            else:
                for j in range(m):
                    found[j] = low[j] + part * (high[j] - low[j])


@njit(cache=True, nogil=True, error_model="numpy")
def _compare(room, step, size):
    """Put the larger and the smaller of two values where they are wanted."""
    low = step[6]
    a, b = (
        room[step[0]][low - step[1] : size - step[1]],
        room[step[2]][low - step[3] : size - step[3]],
    )
    if step[4] >= 0 and step[5] >= 0:
        larger, smaller = room[step[4]][low:size], room[step[5]][low:size]
        for j in range(larger.size):
            u, v = a[j], b[j]
            larger[j] = u if u > v else v
            smaller[j] = u if u < v else v
    elif step[4] >= 0:
        larger = room[step[4]][low:size]
        for j in range(larger.size):
            larger[j] = a[j] if a[j] > b[j] else b[j]
    else:
        smaller = room[step[5]][low:size]
        for j in range(smaller.size):
            smaller[j] = a[j] if a[j] < b[j] else b[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _by_exchange(x, starts, n, full, shares, per, w, at, out):
    """Quantiles of long windows.

    The window is kept in order from one row to the next; which values it holds, and so the
    result, does not depend on how it came to be. A history is cut into `LANES` stretches that go
    forward together, each value of each ordered window moving by at most one place.
    """
    old, new = np.empty(LANES), np.empty(LANES)
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
