"""Sums of neighbouring windows, the loop below all other kernels.

Belongs here: code that several kernel modules call. Does not belong here: statistics. numba does
not notice a change here when it looks for compiled callers: remove ``__pycache__`` after one.
"""

from __future__ import annotations

from numba import njit

#: Windows computed side by side: small enough that all buffers stay in the first-level cache.
TILE = 512


@njit(cache=True, nogil=True, error_model="numpy")
def add_windows(x, low, n, m, total):
    """Sums of `m` neighbouring windows of `n` values, each from its oldest value on.

    Parameters
    ----------
    x
        Values.
    low
        Position of the oldest value of the first window.
    n, m
        Length and number of the windows.
    total
        ``float64[>= m]``, overwritten.
    """
    out = total[:m]
    first = x[low : low + m]
    for j in range(m):
        out[j] = first[j]
    k = 1
    # Four values a round: one load and store of the sums instead of four, in the same order.
    while k + 4 <= n:
        a = x[low + k : low + k + m]
        b = x[low + k + 1 : low + k + 1 + m]
        c = x[low + k + 2 : low + k + 2 + m]
        d = x[low + k + 3 : low + k + 3 + m]
        for j in range(m):
            out[j] = (((out[j] + a[j]) + b[j]) + c[j]) + d[j]
        k += 4
    while k < n:
        a = x[low + k : low + k + m]
        for j in range(m):
            out[j] += a[j]
        k += 1
