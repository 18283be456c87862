"""Compiled kernels of the volume family: profiles of traded volume by price, and anchored sums.

Belongs here: loops over pieces of volume. Does not belong here: what a piece is, and features.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Volumes this close to one another count as equal: bins under the same pieces differ by rounding.
_EQUAL = 1e-9


@njit(cache=True, nogil=True, error_model="numpy")
def profiles(low, high, volume, first, last, n_bins, share, out):
    """Point of control and value area of windows of pieces.

    Parameters
    ----------
    low, high, volume
        ``float64[pieces]``: volume spread evenly from `low` to `high`.
    first, last
        ``int64[windows]``: pieces ``first`` to ``last - 1`` are in the window; none where equal.
    n_bins
        Bins between the lowest and the highest price of a window; odd, so that there is a middle.
    share
        Part of the volume that the value area holds.
    out
        ``float64[windows, 3]``: middle of the bin with most volume (of equal ones that nearest to
        the mean), lower and upper end of the value area; NaN where there is no volume.
    """
    bins = np.empty(n_bins)
    for w in range(first.size):
        out[w, :] = np.nan
        bottom, top = np.inf, -np.inf
        for i in range(first[w], last[w]):
            if volume[i] > 0:
                bottom, top = min(bottom, low[i]), max(top, high[i])
        if not bottom <= top:
            continue
        width = (top - bottom) / n_bins
        if width <= _EQUAL * top:
            out[w, :] = bottom
            continue
        bins[:] = 0.0
        for i in range(first[w], last[w]):
            if volume[i] > 0:
                _spread(bins, (low[i] - bottom) / width, (high[i] - bottom) / width, volume[i])
        place, below, above = _area(bins, share)
        out[w, 0] = bottom + (place + 0.5) * width
        out[w, 1] = bottom + below * width
        out[w, 2] = bottom + (above + 1) * width


@njit(cache=True, nogil=True, error_model="numpy")
def _spread(bins, start, end, volume):
    """Add `volume` evenly between two places, counted in bins."""
    last = bins.size - 1
    if end - start < _EQUAL:
        bins[min(int(start), last)] += volume
        return
    for b in range(max(int(start), 0), min(int(end), last) + 1):
        covered = min(end, b + 1.0) - max(start, float(b))
        if covered > 0:
            bins[b] += volume * covered / (end - start)


@njit(cache=True, nogil=True, error_model="numpy")
def _area(bins, share):
    """Bin with most volume, first and last bin of the value area around it.

    The area takes the fuller of its two neighbours; of equal ones the nearer to the fullest bin,
    then the upper.
    """
    total, moment, most = 0.0, 0.0, 0.0
    for b in range(bins.size):
        total += bins[b]
        moment += b * bins[b]
        most = max(most, bins[b])
    mean = moment / total
    place = -1
    for b in range(bins.size):
        if bins[b] >= most * (1 - _EQUAL) and (
            place < 0 or abs(b - mean) < abs(place - mean) * (1 - _EQUAL)
        ):
            place = b
    below, above, held = place, place, bins[place]
    while held < share * total * (1 - _EQUAL):
        down = bins[below - 1] if below > 0 else -1.0
        up = bins[above + 1] if above < bins.size - 1 else -1.0
        if down < 0 and up < 0:
            break
        equal = abs(up - down) <= _EQUAL * max(up, down)
        if (equal and above - place <= place - below) or (not equal and up > down):
            above += 1
            held += up
        else:
            below -= 1
            held += down
    return place, below, above


@njit(cache=True, nogil=True, error_model="numpy")
def sums(x, first, out):
    """``out[t]``: sum of ``x[first[t]]`` to ``x[t]``; NaN where ``first[t]`` is negative."""
    for t in range(x.size):
        if first[t] < 0:
            out[t] = np.nan
            continue
        total = 0.0
        for i in range(first[t], t + 1):
            total += x[i]
        out[t] = total


@njit(cache=True, nogil=True, error_model="numpy")
def last_extreme(x, first, sign, out):
    """``out[t]``: last place of the maximum (`sign` 1) or minimum (-1) of the same windows."""
    for t in range(x.size):
        out[t] = -1
        if first[t] < 0:
            continue
        place = first[t]
        for i in range(first[t], t + 1):
            if sign * x[i] >= sign * x[place]:
                place = i
        out[t] = place
