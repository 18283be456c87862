"""One series of returns through time: fitted on schedule, filtered with the fit in force, forecast.

Belongs here: the loop over refits and the closed form of forecasts. Does not belong here: the
models (`kernels.garch`, `kernels.garch_fit`), frames.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from btq_assets.features.kernels.garch import EGARCH, MEAN_ABSOLUTE, backcast_of, variances
from btq_assets.features.kernels.garch_fit import MAX_ITERATIONS, fit

#: Why a session has the forecast it has, or none: see `paths`.
TOO_SHORT, FITTED, PREVIOUS, NOT_CONVERGED, CONSTANT = 0, 1, 2, 3, 4

#: Share of unchanged prices from which a window counts as constant: a likelihood has no maximum
#: where most returns equal one value.
_UNCHANGED_SHARE = 0.5
#: Standard deviation of log returns below which a window counts as constant.
_CONSTANT_BELOW = 1e-7


@njit(cache=True, nogil=True, error_model="numpy")
def _log_moment(alpha, gamma, weight):
    """Log of ``E exp(weight (alpha (|z| - sqrt(2/pi)) + gamma z))``, Nelson (1991), eq. A1.2."""
    up, down = weight * (alpha + gamma), weight * (alpha - gamma)
    half = math.sqrt(0.5)
    above = math.exp(0.5 * up * up) * 0.5 * math.erfc(-up * half)
    below = math.exp(0.5 * down * down) * 0.5 * math.erfc(-down * half)
    return math.log(above + below) - weight * alpha * MEAN_ABSOLUTE


@njit(cache=True, nogil=True, error_model="numpy")
def term(kind, theta, horizon):
    """What turns the next session's variance into that of the session `h` ahead.

    Parameters
    ----------
    kind, theta
        As in `kernels.garch.variances`.
    horizon
        Number of sessions.

    Returns
    -------
    numpy.ndarray
        ``(2, horizon)``: intercepts and slopes, of the variance (GARCH, GJR) or of the logarithm
        of its expectation (EGARCH) in its own next value, from one session ahead on.
    """
    _, omega, alpha, gamma, beta = theta
    found = np.empty((2, horizon))
    found[0, 0], found[1, 0] = 0.0, 1.0
    slope = beta if kind == EGARCH else alpha + 0.5 * gamma + beta
    for h in range(1, horizon):
        if kind == EGARCH:
            # The h-1 shocks in between carry weights 1, beta, ..., beta^(h-1); h counts from 0.
            weight = found[1, h - 1]
            found[0, h] = found[0, h - 1] + omega * weight + _log_moment(alpha, gamma, weight)
        else:
            found[0, h] = omega + slope * found[0, h - 1]
        found[1, h] = slope * found[1, h - 1]
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def mean_ahead(kind, following, intercepts_and_slopes):
    """Mean of the expected variances of the next sessions, given that of the first."""
    horizon = intercepts_and_slopes.shape[1]
    total = 0.0
    first = math.log(following) if kind == EGARCH else following
    for h in range(horizon):
        value = intercepts_and_slopes[0, h] + intercepts_and_slopes[1, h] * first
        total += math.exp(value) if kind == EGARCH else value
    return total / horizon


@njit(cache=True, nogil=True, error_model="numpy")
def _constant(returns):
    unchanged = 0
    for value in returns:
        if value == 0.0:
            unchanged += 1
    return unchanged >= _UNCHANGED_SHARE * returns.size or np.std(returns) < _CONSTANT_BELOW


@njit(cache=True, nogil=True, error_model="numpy")
def _attempt(kind, returns, last, window, max_iterations, found):
    """Fit on the returns up to `last`; what came of it, parameters in `found`."""
    low = max(0, last + 1 - window) if window > 0 else 0
    fitted = returns[low : last + 1]
    if _constant(fitted):
        return CONSTANT
    return FITTED if fit(kind, fitted, found, max_iterations) else NOT_CONVERGED


@njit(cache=True, nogil=True, error_model="numpy")
def path(
    kind,
    returns,
    first_fit,
    every,
    window,
    keep_previous,
    horizon,
    max_iterations,
    values,
    status,
    shown=0,
):
    """Forecasts of one model at every session of one series.

    After the returns number ``first_fit``, ``first_fit + every``, ... (counted from the first one,
    so that cutting the end moves none of them) the model is fitted on the last `window` returns.
    The recursion then starts afresh at the beginning of that window with the new parameters and
    runs on until the next refit.

    Parameters
    ----------
    kind
        `GARCH`, `GJR` or `EGARCH`.
    returns
        ``(T,)`` log returns, finite.
    first_fit, every
        Returns before the first fit, and between fits.
    window
        Returns fitted; 0 for all so far.
    keep_previous
        Whether a fit that does not converge leaves the one before in force.
    horizon
        Sessions of the longer forecast.
    max_iterations
        Of the optimiser.
    values
        ``(3, T)``, overwritten where a fit is in force: variance of the next session, mean variance
        of the next `horizon` sessions, the return in standard deviations expected for it.
    status
        ``(T,)`` int8, overwritten: `TOO_SHORT`, `FITTED` (by the last scheduled fit), `PREVIOUS`
        (by an earlier one, since the last did not converge or had nothing to fit),
        `NOT_CONVERGED`, `CONSTANT`.
    shown
        First session asked for: fits that only earlier ones read are left out, and those are not
        overwritten. No fit depends on another, so that values are the same bits.
    """
    n = returns.size
    status[:] = TOO_SHORT
    theta, found = np.zeros(5), np.zeros(5)
    in_force = looked = False
    start = 0
    backcast = 0.0
    begin = first_fit - 1
    if shown > begin:
        begin += (shown - begin) // every * every
    for last in range(begin, n, every):
        stop = min(last + every, n)
        state = _attempt(kind, returns, last, window, max_iterations, found)
        made = last if state == FITTED else -1
        if state == NOT_CONVERGED and keep_previous and not (in_force or looked):
            # The newest fit of those left out that converged.
            looked = True
            for earlier in range(begin - every, first_fit - 2, -every):
                if _attempt(kind, returns, earlier, window, max_iterations, found) == FITTED:
                    made = earlier
                    break
        if made >= 0:
            theta[:] = found
            start = max(0, made + 1 - window) if window > 0 else 0
            backcast, in_force = backcast_of(returns[start : made + 1]), True
        if state == NOT_CONVERGED and in_force and keep_previous:
            state = PREVIOUS
        status[last:stop] = state
        if state != FITTED and state != PREVIOUS:
            continue
        filtered = np.empty(stop - start + 1)
        variances(kind, theta, returns[start:stop], backcast, filtered)
        ahead = term(kind, theta, horizon)
        for t in range(max(last, shown), stop):
            following = filtered[t - start + 1]
            values[0, t] = following
            values[1, t] = mean_ahead(kind, following, ahead)
            values[2, t] = (returns[t] - theta[0]) / math.sqrt(filtered[t - start])


def paths(
    kind: int,
    returns: np.ndarray,
    *,
    first_fit: int,
    every: int,
    window: int = 0,
    keep_previous: bool = True,
    horizon: int = 21,
    max_iterations: int = MAX_ITERATIONS,
    shown: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """`path` with its outputs allocated.

    Returns
    -------
    numpy.ndarray, numpy.ndarray
        ``values`` with NaN where no fit is in force, and ``status``.
    """
    values = np.full((3, returns.size), np.nan)
    status = np.empty(returns.size, np.int8)
    path(
        kind, np.ascontiguousarray(returns, np.float64), first_fit, every, window, keep_previous,
        horizon, max_iterations, values, status, shown,
    )  # fmt: skip
    return values, status
