"""Compiled kernel of order books: put together from changes, and measured after each of them.

Belongs here: the loop over changed levels. Does not belong here: frames, bars, features.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Levels of a side that are remembered; the worst one makes room for a better one.
CAPACITY = 8192
#: Levels of the deep order-flow imbalance and of the slope, and of the deep imbalance of depth.
LEVELS, DEEP_LEVELS = 5, 10
#: Columns of the result.
OFI, DEPTH, IMBALANCE, DEEP_IMBALANCE, SLOPE = range(5)


@njit(cache=True, nogil=True, error_model="numpy")
def _set_level(prices, sizes, count, price, size):
    """Levels, worst first, with one of them set to `size`; their new number."""
    place = np.searchsorted(prices[:count], price)
    there = place < count and prices[place] == price
    if size <= 0:
        if there:
            for i in range(place, count - 1):
                prices[i], sizes[i] = prices[i + 1], sizes[i + 1]
            return count - 1
        return count
    if there:
        sizes[place] = size
        return count
    if count == prices.size:
        if place == 0:
            return count
        for i in range(place - 1):
            prices[i], sizes[i] = prices[i + 1], sizes[i + 1]
        prices[place - 1], sizes[place - 1] = price, size
        return count
    for i in range(count, place, -1):
        prices[i], sizes[i] = prices[i - 1], sizes[i - 1]
    prices[place], sizes[place] = price, size
    return count + 1


@njit(cache=True, nogil=True, error_model="numpy")
def _elasticity(prices, sizes, count, mid):
    """Næs and Skjeltorp's slope of one side; prices are negative where the side is the ask."""
    held = sizes[count - 1]
    volume = np.log1p(held)
    price = abs(prices[count - 1])
    total = volume / abs(price / mid - 1)
    for level in range(1, LEVELS):
        held += sizes[count - 1 - level]
        further, following = np.log1p(held), abs(prices[count - 1 - level])
        total += (further / volume - 1) / abs(following / price - 1)
        volume, price = further, following
    return total / LEVELS


@njit(cache=True, nogil=True, error_model="numpy")
def _flow(now, before):
    """Order-flow imbalance of one level; Cont, Kukanov and Stoikov (2014), equation 3.

    ``[0]`` bid, ``[1]`` its quantity, ``[2]`` ask, ``[3]`` its quantity.
    """
    found = 0.0
    if now[0] >= before[0]:
        found += now[1]
    if now[0] <= before[0]:
        found -= before[1]
    if now[2] <= before[2]:
        found -= now[3]
    if now[2] >= before[2]:
        found += before[3]
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def measure(event, begins, snapshot, lost, is_bid, price, quantity, out):
    """Measures of the book after each event.

    Parameters
    ----------
    event
        ``int64[rows]``: number of the event a changed level is part of, ascending from 0.
    begins
        Whether another book begins with this row.
    snapshot
        Whether the row is part of a whole book.
    lost
        Whether changes before this row are missing: no book is known until the next snapshot.
    is_bid, price, quantity
        The level, and the units at it from now on.
    out
        ``float64[events, 5]``: order-flow imbalance (mean of 5 levels; NaN at a snapshot), mean
        quantity of these levels, imbalance of 5 and of 10 levels, slope; NaN where a side has not
        so many levels (the imbalances: where a side is empty).
    """
    bids, bid_sizes = np.empty(CAPACITY), np.empty(CAPACITY)
    asks, ask_sizes = np.empty(CAPACITY), np.empty(CAPACITY)
    now, before = np.empty((LEVELS, 4)), np.empty((LEVELS, 4))
    n_bids, n_asks = 0, 0
    known, continues = False, False
    rows = event.size
    for row in range(rows):
        first = row == 0 or event[row] != event[row - 1]
        if begins[row] or (first and lost[row]):
            known, continues = False, False
        if first and snapshot[row]:
            n_bids, n_asks, known, continues = 0, 0, True, False
        if is_bid[row]:
            n_bids = _set_level(bids, bid_sizes, n_bids, price[row], quantity[row])
        else:
            n_asks = _set_level(asks, ask_sizes, n_asks, -price[row], quantity[row])
        if row + 1 < rows and event[row + 1] == event[row]:
            continue
        result = out[event[row]]
        result[:] = np.nan
        if not known or n_bids == 0 or n_asks == 0 or bids[n_bids - 1] > -asks[n_asks - 1]:
            continues = False
            continue
        for levels, place in ((LEVELS, IMBALANCE), (DEEP_LEVELS, DEEP_IMBALANCE)):
            bid_total, ask_total = 0.0, 0.0
            for level in range(min(levels, n_bids)):
                bid_total += bid_sizes[n_bids - 1 - level]
            for level in range(min(levels, n_asks)):
                ask_total += ask_sizes[n_asks - 1 - level]
            result[place] = (bid_total - ask_total) / (bid_total + ask_total)
        if n_bids < LEVELS or n_asks < LEVELS:
            continues = False
            continue
        depth = 0.0
        for level in range(LEVELS):
            now[level, 0], now[level, 1] = bids[n_bids - 1 - level], bid_sizes[n_bids - 1 - level]
            now[level, 2], now[level, 3] = -asks[n_asks - 1 - level], ask_sizes[n_asks - 1 - level]
            depth += (now[level, 1] + now[level, 3]) / 2
        result[DEPTH] = depth / LEVELS
        if continues:
            flow = 0.0
            for level in range(LEVELS):
                flow += _flow(now[level], before[level])
            result[OFI] = flow / LEVELS
        mid = (now[0, 0] + now[0, 2]) / 2
        result[SLOPE] = (
            _elasticity(bids, bid_sizes, n_bids, mid) + _elasticity(asks, ask_sizes, n_asks, mid)
        ) / 2
        before[:] = now
        continues = True
