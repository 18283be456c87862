"""What all kernels share: stretches of history with what lies before them, and the look for holes.

Kernels double windows: what is known of ``p`` values ending now and of ``p`` values ending ``p``
rows ago gives what is known of ``2 p``. A window of ``n`` values takes the binary digits of ``n``
from the left: each doubles, and a one adds the next older value, about ``2 log2(n)`` steps
instead of ``n``. The steps depend on ``n`` alone, never on the row, so that a window's result is
the same bit for bit wherever a history begins or is cut.

numba does not notice a change here when it looks for compiled callers: remove ``__pycache__``
after one.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Windows computed side by side: few enough that all buffers stay in the second-level cache.
TILE = 2048


@njit(cache=True, nogil=True, error_model="numpy")
def tile_rows(longest):
    """Rows of a tile: enough that those before it, which are computed again, weigh little."""
    return max(TILE, 2 * longest)


@njit(cache=True, nogil=True, error_model="numpy")
def has_holes(x, low, high):
    """Whether ``x[low:high]`` has a NaN."""
    part = x[low:high]
    missing = 0
    for i in range(part.size):
        missing += 1 if np.isnan(part[i]) else 0
    return missing > 0


@njit(cache=True, nogil=True, error_model="numpy")
def load(x, first, low, high, pad, factor, to):
    """Put ``factor x[low:high]`` at the beginning of `to`, `pad` for rows before `first`."""
    head = max(first - low, 0)
    for j in range(min(head, high - low)):
        to[j] = pad
    values, part = x[low + head : high], to[head : high - low]
    for j in range(part.size):
        part[j] = factor * values[j]


@njit(cache=True, nogil=True, error_model="numpy")
def doubles(n, p):
    """Whether the way to a window of `n` values doubles at `p`, or adds a single older value."""
    shift = 0
    while n >> shift > p:
        shift += 1
    return n >> shift == p
