"""All symbols at one time: ranks, shares, deviations from a group.

Belongs here: functions of the columns of a matrix with one row per symbol. Does not belong here:
windows of time (`rolling`).

Every function takes ``x``, ``(N symbols, T sessions)`` float64 with NaN where missing, and returns
``(N, T)``, NaN where undefined. A session is computed from its own values alone.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from btq_assets.features.kernels.tasks import in_tasks

Matrix = NDArray[np.float64]


def rank(x: Matrix, threads: int | None = None) -> Matrix:
    """Rank among the values of the session, ties averaged, 0 for the lowest and 1 for the highest.

    Parameters
    ----------
    x
        Values.
    threads
        Number of threads, one per available core unless given; no result depends on it.

    Returns
    -------
    numpy.ndarray
        NaN where a session has one value only.
    """
    symbols, sessions = x.shape
    # One session after the other in memory: a gather of strided values costs more than two copies.
    turned = np.ascontiguousarray(x.T)
    out = np.empty_like(turned)
    starts = np.arange(sessions + 1, dtype=np.int64) * max(symbols, 1)

    def work(first: int, last: int) -> None:
        _rank_rows(turned[first:last], out[first:last])

    if x.size:
        in_tasks(starts, work, threads)
    return np.ascontiguousarray(out.T)


@njit(cache=True, nogil=True, error_model="numpy")
def _rank_rows(x, out):
    """Ranks within each row, scaled to 0 to 1."""
    for t in range(x.shape[0]):
        row = x[t]
        present = np.flatnonzero(~np.isnan(row))
        out[t, :] = np.nan
        n = present.size
        if n < 2:
            continue
        order = np.argsort(row[present])
        i = 0
        while i < n:
            j = i
            value = row[present[order[i]]]
            while j + 1 < n and row[present[order[j + 1]]] == value:
                j += 1
            for k in range(i, j + 1):
                out[t, present[order[k]]] = (i + j) / 2 / (n - 1)
            i = j + 1


def scale(x: Matrix) -> Matrix:
    """Value over the sum of the absolute values of the session."""
    total = np.nansum(np.abs(x), axis=0)
    with np.errstate(all="ignore"):
        return x / np.where(total > 0, total, np.nan)


def less_group_mean(x: Matrix, groups: NDArray[np.int64]) -> Matrix:
    """Value less the mean of its group in the session.

    Parameters
    ----------
    x
        Values.
    groups
        ``(N, T)`` number of each symbol's group, negative where it is not known.
    """
    out = np.full_like(x, np.nan)
    for group in np.unique(groups[groups >= 0]):
        members = (groups == group) & ~np.isnan(x)
        count = members.sum(axis=0)
        total = np.where(members, x, 0.0).sum(axis=0)
        mean = total / np.where(count > 0, count, 1)
        out[members] = (x - mean)[members]
    return out
