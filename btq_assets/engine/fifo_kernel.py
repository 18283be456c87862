"""Compiled matching of fills, first in, first out.

Belongs here: the loop of `round_trips` alone. Does not belong here: anything a reader calls.
"""

from __future__ import annotations

import numpy as np

from btq_assets.engine.compiled import compiled

#: A lot with less of its shares left than this is used up: the rest is rounding.
_DUST = 1e-12


@compiled()
def match(
    asset: np.ndarray,
    bar: np.ndarray,
    shares: np.ndarray,
    price: np.ndarray,
    cost: np.ndarray,
    trips: np.ndarray,
) -> int:
    """Write trips into ``trips[7, :]`` and return how many there are.

    Fills come sorted by asset, then time. Rows of `trips`: asset, entry bar, exit bar (-1 while
    open), signed shares, entry price, exit price, cost. The fills themselves are the queue of lots:
    what is left of each is kept by changing `shares` and `cost` in place.
    """
    n_trips, start, n_fills = 0, 0, asset.size
    while start < n_fills:
        end, head = start, start
        while end < n_fills and asset[end] == asset[start]:
            whole, unit_cost = shares[end], 0.0
            if whole != 0.0:
                unit_cost = cost[end] / abs(whole)
            dust = abs(whole) * _DUST
            while head < end and shares[end] != 0.0:
                if shares[head] == 0.0:
                    head += 1
                    continue
                if (shares[head] > 0.0) == (shares[end] > 0.0):
                    break
                taken = min(abs(shares[head]), abs(shares[end]))
                side = 1.0 if shares[head] > 0.0 else -1.0
                entry_cost = cost[head] * (taken / abs(shares[head]))
                trips[0, n_trips] = asset[end]
                trips[1, n_trips] = bar[head]
                trips[2, n_trips] = bar[end]
                trips[3, n_trips] = side * taken
                trips[4, n_trips] = price[head]
                trips[5, n_trips] = price[end]
                trips[6, n_trips] = entry_cost + unit_cost * taken
                n_trips += 1
                cost[head] -= entry_cost
                shares[head] -= side * taken
                shares[end] += side * taken
                if abs(shares[head]) <= dust:
                    shares[head] = 0.0
                if abs(shares[end]) <= dust:
                    shares[end] = 0.0
            cost[end] = unit_cost * abs(shares[end])
            end += 1
        for lot in range(head, end):
            if shares[lot] != 0.0:
                trips[0, n_trips] = asset[lot]
                trips[1, n_trips] = bar[lot]
                trips[2, n_trips] = -1.0
                trips[3, n_trips] = shares[lot]
                trips[4, n_trips] = price[lot]
                trips[5, n_trips] = 0.0
                trips[6, n_trips] = cost[lot]
                n_trips += 1
        start = end
    return n_trips
