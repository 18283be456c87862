"""Comparisons that find a quantile of every window at once.

Belongs here: which neighbours are compared, planned once per window and share. Does not belong
here: the comparing (`quantiles`).

The largest (or smallest) values of a window are kept as an ordered list, and windows are doubled
as in `tiles`: two lists are merged by Batcher's odd-even merge (Knuth 1998, section 5.3.4), of
which only what leads to the values asked for is done. The plan has no branch, so that many windows
go through it side by side.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

#: A value of the plan, and how many rows ago it is meant.
Wire = tuple[int, int]


@dataclass(frozen=True)
class Network:
    """Comparisons for one window and share.

    Parameters
    ----------
    steps
        ``int64[steps, 7]``: two places to read and their delays, the places of the larger and of
        the smaller value (-1 for not wanted), and the first row that means something. Place 0 holds
        the series.
    places
        How many there are.
    lower, upper
        Place and delay of the order statistics below and above the quantile.
    """

    steps: NDArray[np.int64]
    places: int
    lower: Wire
    upper: Wire


@lru_cache(maxsize=256)
def network(n: int, share: float) -> Network:
    """Plan the quantile `share` of windows of `n` values."""
    below = int(share * (n - 1))
    above = min(below + 1, n - 1)
    top = n - below <= above + 1
    plan = _Plan(top)
    kept = n - below if top else above + 1
    ordered = plan.window(n, kept)
    lower, upper = ((ordered[n - 1 - k] if top else ordered[k]) for k in (below, above))
    return plan.drawn_up(lower, upper)


class _Plan:
    """Comparisons in the order they were thought of, each giving two new values."""

    def __init__(self, top: bool) -> None:
        self._top = top
        self._compared: list[tuple[Wire, Wire]] = []

    def window(self, n: int, kept: int) -> list[Wire]:
        """The `kept` first in order of the last `n` values."""
        found: list[Wire] = [(0, 0)]
        length = 1
        for digit in bin(n)[3:]:
            found = self._merged(found, _delayed(found, length))[:kept]
            length *= 2
            if digit == "1":
                found = self._merged(found, [(0, length)])[:kept]
                length += 1
        return found

    def _merged(self, a: list[Wire], b: list[Wire]) -> list[Wire]:
        if not a or not b:
            return a + b
        if len(a) == len(b) == 1:
            return list(self._compare(a[0], b[0]))
        odd = self._merged(a[0::2], b[0::2])
        even = self._merged(a[1::2], b[1::2])
        found = odd[:1]
        for one, other in zip(even, odd[1:], strict=False):
            found += self._compare(one, other)
        shorter = min(len(even), len(odd) - 1)
        return found + even[shorter:] + odd[1 + shorter :]

    def _compare(self, a: Wire, b: Wire) -> tuple[Wire, Wire]:
        """The one that comes first in order, and the other."""
        self._compared.append((a, b))
        number = 2 * len(self._compared)
        # Value 2k - 1 is the larger of comparison k - 1, value 2k the smaller.
        pair = ((number - 1, 0), (number, 0))
        return pair if self._top else (pair[1], pair[0])

    def drawn_up(self, lower: Wire, upper: Wire) -> Network:
        """Only what is needed, with as few places as its order allows."""
        last_use = {lower[0]: len(self._compared), upper[0]: len(self._compared)}
        for k in range(len(self._compared) - 1, -1, -1):
            if {2 * k + 1, 2 * k + 2} & last_use.keys():
                for value, _ in self._compared[k]:
                    last_use.setdefault(value, k)
        place, first = {0: 0}, {0: 0}
        free: list[int] = []
        places = 1
        steps = []
        for k, ((a, a_ago), (b, b_ago)) in enumerate(self._compared):
            wanted = [value for value in (2 * k + 1, 2 * k + 2) if value in last_use]
            if not wanted:
                continue
            low = max(first[a] + a_ago, first[b] + b_ago)
            for value in wanted:
                first[value] = low
                if not free:
                    free.append(places)
                    places += 1
                place[value] = free.pop()
            larger, smaller = (place[v] if v in wanted else -1 for v in (2 * k + 1, 2 * k + 2))
            steps.append((place[a], a_ago, place[b], b_ago, larger, smaller, low))
            free += _ended(place, last_use, {a, b} - {0}, k)
        return Network(
            np.array(steps, np.int64).reshape(-1, 7),
            places,
            (place[lower[0]], lower[1]),
            (place[upper[0]], upper[1]),
        )


def _delayed(wires: Iterable[Wire], rows: int) -> list[Wire]:
    return [(value, ago + rows) for value, ago in wires]


def _ended(place: dict[int, int], last_use: dict[int, int], used: set[int], k: int) -> list[int]:
    """Places of values that nothing after comparison `k` reads."""
    return [place[value] for value in sorted(used) if last_use[value] == k]
