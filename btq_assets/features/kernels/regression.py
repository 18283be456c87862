"""The heterogeneous autoregression, fitted afresh at every session.

Belongs here: rolling regressions of a volatility on its own past. Does not belong here: what the
volatility is (`realised_volatility`).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.lib.stride_tricks import sliding_window_view

WEEK, MONTH = 5, 22

#: Windows summed side by side, so that the compiler can use vector instructions.
_TILE = 512

#: Share of a regressor's variance that must be its own, not the others', for a regression.
_OWN_SHARE = 1e-9


@njit(cache=True, nogil=True, error_model="numpy")
def _solve(a, b):
    """Solve a positive definite system in place by Cholesky; whether it could be."""
    n = b.size
    for j in range(n):
        pivot = a[j, j]
        size = a[j, j]
        for k in range(j):
            pivot -= a[j, k] * a[j, k]
        if not pivot > _OWN_SHARE * size:
            return False
        a[j, j] = np.sqrt(pivot)
        for i in range(j + 1, n):
            for k in range(j):
                a[i, j] -= a[i, k] * a[j, k]
            a[i, j] /= a[j, j]
    for i in range(n):
        for k in range(i):
            b[i] -= a[i, k] * b[k]
        b[i] /= a[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            b[i] -= a[k, i] * b[k]
        b[i] /= a[i, i]
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _add_windows(x, low, n, m, total):
    """Sums of `m` neighbouring windows of `n` values, each from its oldest value on."""
    for j in range(m):
        total[j] = 0.0
    for k in range(low, low + n):
        values = x[k : k + m]
        for j in range(m):
            total[j] += values[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _forecasts(terms, products, window, horizon, out):
    """Fit and forecast; ``terms[3, T]`` regressors, ``products[13, T - horizon]`` their moments."""
    n = terms.shape[1]
    n_fits = products.shape[1] - window + 1
    sums = np.empty((13, _TILE))
    a, b = np.empty((3, 3)), np.empty(3)
    for first in range(0, n_fits, _TILE):
        m = min(_TILE, n_fits - first)
        for k in range(13):
            _add_windows(products[k], first, window, m, sums[k])
        for j in range(m):
            t = first + j + window - 1 + horizon
            place = 4
            for row in range(3):
                b[row] = sums[10 + row, j] - sums[row, j] * sums[3, j] / window
                for column in range(row + 1):
                    a[row, column] = sums[place, j] - sums[row, j] * sums[column, j] / window
                    place += 1
            if t < n and _solve(a, b):
                value = sums[3, j] / window
                for row in range(3):
                    value += b[row] * (terms[row, t] - sums[row, j] / window)
                out[t] = value


def har(daily: np.ndarray, window: int, horizon: int) -> np.ndarray:
    """Forecast the mean of the next `horizon` values from a day's, a week's and a month's mean.

    At every session the regression of Corsi (2009, eq. 9) is fitted by least squares on the last
    `window` pairs that were complete then: the target of the newest ends at the session.

    Parameters
    ----------
    daily
        ``(T,)`` volatilities, finite.
    window
        Pairs a regression is fitted on.
    horizon
        Sessions ahead.

    Returns
    -------
    numpy.ndarray
        ``(T,)``, NaN before ``MONTH + window + horizon - 1`` values, and where regressors are
        collinear or the forecast is not positive.
    """
    out = np.full(daily.size, np.nan)
    if daily.size < MONTH + window + horizon - 1:
        return out
    month = sliding_window_view(daily, MONTH).mean(axis=1)
    week = sliding_window_view(daily, WEEK).mean(axis=1)[MONTH - WEEK :]
    terms = np.ascontiguousarray([daily[MONTH - 1 :], week, month])
    target = sliding_window_view(daily[MONTH:], horizon).mean(axis=1)
    x = terms[:, : target.size]
    cross = [x[row] * x[column] for row in range(3) for column in range(row + 1)]
    products = np.ascontiguousarray([*x, target, *cross, *(x * target)])
    _forecasts(terms, products, window, horizon, out[MONTH - 1 :])
    out[~(out > 0)] = np.nan
    return out
