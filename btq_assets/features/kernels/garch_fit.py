"""Maximum likelihood of GARCH, GJR-GARCH and EGARCH.

Belongs here: start values, the optimiser and the coordinates it moves in. Does not belong here: the
likelihood (`kernels.garch`), when a model is fitted (`kernels.garch_paths`).

Estimates lie within ``omega > 0``, ``alpha, alpha + gamma, beta >= 0`` and persistence up to 1;
EGARCH: ``alpha >= 0, 0 <= beta <= 1``. Below ``alpha = 0``, which arch allows, small shocks raise
EGARCH's variance, the filter no longer forgets its start, and likelihoods grow without a maximum.
The bounds are built into the coordinates.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from btq_assets.features.kernels.garch import EGARCH, GARCH, GJR, backcast_of, loss

#: Smallest omega, in units of the sample variance.
_MIN_OMEGA = 1e-8

MAX_ITERATIONS = 200
#: The likelihood expects to gain less than this: parameters are within 1e-6 standard errors.
_GAIN_CONVERGED = 1e-13
#: The same where rounding of the likelihood allows no further step.
_GAIN_ACCEPTED = 1e-8
#: Largest gain of each of the last steps of a search that has ended. In EGARCH, ``|z|`` puts a kink
#: into the likelihood wherever the mean equals a return; a maximum on one has no gradient of zero.
_LAST_GAINS, _LAST_STEPS = 1e-9, 5

#: Start values tried, in coordinates of persistence: alpha and persistence.
_START_ALPHA = (0.03, 0.1)
_START_PERSISTENCE = (0.7, 0.9, 0.98)


@njit(cache=True, nogil=True, error_model="numpy")
def _natural(kind, u, theta, jacobian):
    """Parameters and their derivatives at the optimiser's coordinates.

    Squares and angles in place of bounded parameters: a bound is a smooth minimum, which Newton's
    steps reach, where logarithms would run to infinity.
    """
    jacobian[:] = 0.0
    jacobian[0, 0] = 1.0
    theta[0] = u[0]
    if kind == EGARCH:
        theta[1], theta[2], theta[3] = u[1], u[2] * u[2], u[3]
        jacobian[1, 1] = jacobian[3, 3] = 1.0
        jacobian[2, 2] = 2 * u[2]
        theta[4] = math.sin(u[4]) ** 2
        jacobian[4, 4] = math.sin(2 * u[4])
        return
    theta[1] = _MIN_OMEGA + u[1] * u[1]
    jacobian[1, 1] = 2 * u[1]
    persistence, slope = math.sin(u[2]) ** 2, math.sin(2 * u[2])
    news, news_slope = math.sin(u[3]) ** 2, math.sin(2 * u[3])
    theta[4] = persistence * (1 - news)
    jacobian[4, 2] = slope * (1 - news)
    jacobian[4, 3] = -persistence * news_slope
    if kind == GARCH:
        theta[2] = persistence * news
        theta[3] = 0.0
        jacobian[2, 2] = slope * news
        jacobian[2, 3] = persistence * news_slope
        return
    # Half of the sessions rise: alpha / 2 and (alpha + gamma) / 2 share what beta leaves.
    falls, falls_slope = math.sin(u[4]) ** 2, math.sin(2 * u[4])
    weight, asymmetry = 2 * (1 - falls), 2 * (2 * falls - 1)
    theta[2] = persistence * news * weight
    jacobian[2, 2] = slope * news * weight
    jacobian[2, 3] = persistence * news_slope * weight
    jacobian[2, 4] = -2 * persistence * news * falls_slope
    theta[3] = persistence * news * asymmetry
    jacobian[3, 2] = slope * news * asymmetry
    jacobian[3, 3] = persistence * news_slope * asymmetry
    jacobian[3, 4] = 4 * persistence * news * falls_slope


@njit(cache=True, nogil=True, error_model="numpy")
def _start(kind, x, backcast, u):
    """Coordinates of the likeliest point of a small grid, given the sample's variance of 1."""
    trial, theta, jacobian = np.zeros(5), np.zeros(5), np.empty((5, 5))
    gradient, outer = np.empty(5), np.empty((5, 5))
    mean = x.mean()
    best = np.inf
    for persistence in _START_PERSISTENCE:
        for alpha in _START_ALPHA:
            trial[0] = mean
            if kind == EGARCH:
                trial[1], trial[2], trial[3] = 0.0, math.sqrt(2 * alpha), -alpha
                trial[4] = math.asin(math.sqrt(persistence))
            else:
                trial[1] = math.sqrt(1 - persistence)
                trial[2] = math.asin(math.sqrt(persistence))
                trial[3] = math.asin(math.sqrt(alpha / persistence))
                trial[4] = math.pi / 4 + 0.3 if kind == GJR else 0.0
            _natural(kind, trial, theta, jacobian)
            value = loss(kind, theta, x, backcast, gradient, outer, False, False)
            if value < best:
                best = value
                u[:] = trial


@njit(cache=True, nogil=True, error_model="numpy")
def _inverse_curvature(jacobian, outer, n):
    """Inverse of the scores' products in the optimiser's coordinates (Berndt et al. 1974)."""
    curvature = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            total = 0.0
            for k in range(5):
                for m in range(5):
                    product = outer[k, m] if k >= m else outer[m, k]
                    total += jacobian[k, i] * product * jacobian[m, j]
            curvature[i, j] = total
    size = 0.0
    for i in range(n):
        size = max(size, curvature[i, i])
    for i in range(n):
        curvature[i, i] += 1e-6 * size + 1e-12
    return np.linalg.inv(curvature)


@njit(cache=True, nogil=True, error_model="numpy")
def _minimise(kind, x, backcast, u, theta, max_iterations):
    """Quasi-Newton steps (BFGS) from `u`; whether they converged. `theta` holds the parameters."""
    n = 4 if kind == GARCH else 5
    jacobian, outer = np.empty((5, 5)), np.empty((5, 5))
    natural, at, step = np.empty(5), u.copy(), np.empty(n)
    _natural(kind, u, theta, jacobian)
    value = loss(kind, theta, x, backcast, natural, outer, True, True)
    if not np.isfinite(value):
        return False
    inverse = _inverse_curvature(jacobian, outer, n)
    g = _pull_back(jacobian, natural, n)
    noise = 1e-15 * x.size
    since_reset = small_steps = 0
    for _ in range(max_iterations):
        gain = 0.0
        for i in range(n):
            total = 0.0
            for j in range(n):
                total += inverse[i, j] * g[j]
            step[i] = -total
            gain += total * g[i]
        if not np.isfinite(gain) or gain < 0:
            return False
        if gain < _GAIN_CONVERGED and since_reset > 0:
            return True
        largest = np.abs(step).max()
        length = min(1.0, 0.5 / largest) if largest > 0 else 1.0
        moved = False
        for _ in range(30):
            for i in range(n):
                at[i] = u[i] + length * step[i]
            _natural(kind, at, theta, jacobian)
            trial = loss(kind, theta, x, backcast, natural, outer, True, False)
            if np.isfinite(trial) and trial <= value - 1e-4 * length * gain + noise:
                moved = True
                break
            length *= 0.4
        if not moved:
            _natural(kind, u, theta, jacobian)
            if gain < _GAIN_ACCEPTED or small_steps > 0:
                return True
            if since_reset == 0:
                return False
            loss(kind, theta, x, backcast, natural, outer, True, True)
            inverse = _inverse_curvature(jacobian, outer, n)
            since_reset = 0
            continue
        after = _pull_back(jacobian, natural, n)
        _update(inverse, length * step, after - g)
        small_steps = small_steps + 1 if value - trial < _LAST_GAINS else 0
        u[:] = at
        g = after
        value = trial
        if small_steps == _LAST_STEPS:
            return True
        since_reset += 1
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def _pull_back(jacobian, natural, n):
    g = np.zeros(n)
    for i in range(n):
        for k in range(5):
            g[i] += jacobian[k, i] * natural[k]
    return g


@njit(cache=True, nogil=True, error_model="numpy")
def _update(inverse, s, y):
    """Broyden-Fletcher-Goldfarb-Shanno update; left out where the curvature is not positive."""
    n = s.size
    sy = yy = ss = 0.0
    for i in range(n):
        sy += s[i] * y[i]
        yy += y[i] * y[i]
        ss += s[i] * s[i]
    if sy <= 1e-10 * math.sqrt(ss * yy):
        return
    hy = np.zeros(n)
    yhy = 0.0
    for i in range(n):
        for j in range(n):
            hy[i] += inverse[i, j] * y[j]
    for i in range(n):
        yhy += y[i] * hy[i]
    scale = (1.0 + yhy / sy) / sy
    for i in range(n):
        for j in range(n):
            inverse[i, j] += scale * s[i] * s[j] - (hy[i] * s[j] + s[i] * hy[j]) / sy


@njit(cache=True, nogil=True, error_model="numpy")
def fit(kind, returns, theta, max_iterations=MAX_ITERATIONS):
    """Maximum-likelihood parameters of `returns`, start values from the window alone.

    Parameters
    ----------
    kind
        `GARCH`, `GJR` or `EGARCH`.
    returns
        ``(T,)``, finite and not constant.
    theta
        ``(5,)``, overwritten with mu, omega, alpha, gamma, beta in the unit of `returns`.
    max_iterations
        Steps of the optimiser before it gives up.

    Returns
    -------
    bool
        Whether the optimiser converged.
    """
    scale = np.std(returns)
    x = returns / scale
    backcast = backcast_of(x)
    if not backcast > 0:
        return False
    u = np.zeros(5)
    _start(kind, x, backcast, u)
    converged = _minimise(kind, x, backcast, u, theta, max_iterations)
    theta[0] *= scale
    if kind == EGARCH:
        theta[1] += (1 - theta[4]) * 2 * math.log(scale)
    else:
        theta[1] *= scale * scale
    return converged and np.all(np.isfinite(theta))
