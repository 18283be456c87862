"""GARCH, GJR-GARCH and EGARCH of order one: the filter, and the likelihood with its gradient.

Belongs here: what parameters say of one series of returns. Does not belong here: the parameters of
maximum likelihood (`kernels.garch_fit`), and forecasts (`kernels.garch_paths`).

Returns are ``mu + e[t]`` with ``e[t] = sigma[t] z[t]``, ``z`` standard normal. Parameters are always
``(mu, omega, alpha, gamma, beta)``:

- GARCH (Bollerslev 1986): ``s[t+1] = omega + alpha e[t]^2 + beta s[t]`` with ``s = sigma^2``, gamma 0;
- GJR (Glosten, Jagannathan and Runkle 1993): alpha plus gamma where ``e[t] < 0``;
- EGARCH (Nelson 1991): ``ln s[t+1] = omega + alpha (|z[t]| - sqrt(2/pi)) + gamma z[t] + beta ln s[t]``.

The recursion starts, as that of the package arch does, from a weighted mean of the first 75 squared
deviations from the sample mean. numba does not notice a change here, or in `kernels.garch_fit`, when
it looks for compiled callers: remove ``__pycache__`` after one.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

GARCH, GJR, EGARCH = 0, 1, 2

#: Mean of ``|z|`` for a standard normal ``z``.
MEAN_ABSOLUTE = math.sqrt(2 / math.pi)

#: Values of the first squared deviations' weights, arch's convention.
_BACKCAST_SESSIONS, _BACKCAST_DECAY = 75, 0.94

#: Logarithms of variances, in units of the sample's, are kept within plus and minus this.
_MAX_LOG = 30.0


@njit(cache=True, nogil=True, error_model="numpy")
def backcast_of(returns):
    """Variance before the first return: the weighted mean of the first squared deviations."""
    mean = 0.0
    for value in returns:
        mean += value
    mean /= returns.size
    total = weights = 0.0
    weight = 1.0
    for t in range(min(_BACKCAST_SESSIONS, returns.size)):
        total += weight * (returns[t] - mean) ** 2
        weights += weight
        weight *= _BACKCAST_DECAY
    return total / weights


@njit(cache=True, nogil=True, error_model="numpy")
def variances(kind, theta, returns, backcast, out):
    """Conditional variances: ``out[t]`` is that of ``returns[t]``, known one session before.

    Parameters
    ----------
    kind
        `GARCH`, `GJR` or `EGARCH`.
    theta
        ``(5,)``: mu, omega, alpha, gamma, beta.
    returns
        ``(T,)``.
    backcast
        Variance before the first return.
    out
        ``(T + 1,)``, overwritten; the last is the forecast of the next session's variance.
    """
    mu, omega, alpha, gamma, beta = theta
    if kind == EGARCH:
        log = omega + beta * math.log(backcast)
        out[0] = math.exp(log)
        for t in range(returns.size):
            z = (returns[t] - mu) * math.exp(-0.5 * log)
            log = omega + alpha * (abs(z) - MEAN_ABSOLUTE) + gamma * z + beta * log
            out[t + 1] = math.exp(log)
        return
    s = omega + (alpha + 0.5 * gamma + beta) * backcast
    out[0] = s
    for t in range(returns.size):
        e = returns[t] - mu
        s = omega + (alpha + (gamma if e < 0 else 0.0)) * e * e + beta * s
        out[t + 1] = s


@njit(cache=True, nogil=True, error_model="numpy")
def _power_loss(theta, x, backcast, gradient, outer, derive, products):
    """Half of minus twice the log likelihood without constants: GARCH and GJR; see `loss`."""
    mu, omega, alpha, gamma, beta = theta
    s = omega + (alpha + 0.5 * gamma + beta) * backcast
    d0, d1, d2, d3, d4 = 0.0, 1.0, backcast, 0.5 * backcast, backcast
    g0 = g1 = g2 = g3 = g4 = 0.0
    logs = squares = 0.0
    product, waiting = 1.0, 0
    for t in range(x.size):
        e = x[t] - mu
        e2 = e * e
        inverse = 1.0 / s
        u = e2 * inverse
        squares += u
        # One logarithm for 8 variances: each is between 1e-8 and 1e13, so the product is finite.
        product *= s
        waiting += 1
        if waiting == 8:
            logs += math.log(product)
            product, waiting = 1.0, 0
        down = 1.0 if e < 0 else 0.0
        slope = alpha + gamma * down
        if derive:
            c = 0.5 * inverse * (1.0 - u)
            direct = -e * inverse
            g0 += c * d0 + direct
            g1 += c * d1
            g2 += c * d2
            g3 += c * d3
            g4 += c * d4
            if products:
                _add_outer(outer, c * d0 + direct, c * d1, c * d2, c * d3, c * d4)
            d0 = beta * d0 - 2.0 * slope * e
            d1 = beta * d1 + 1.0
            d2 = beta * d2 + e2
            d3 = beta * d3 + down * e2
            d4 = beta * d4 + s
        s = omega + slope * e2 + beta * s
    gradient[0], gradient[1], gradient[2], gradient[3], gradient[4] = g0, g1, g2, g3, g4
    return 0.5 * (logs + math.log(product) + squares)


@njit(cache=True, nogil=True, error_model="numpy")
def _log_loss(theta, x, backcast, gradient, outer, derive, products):
    """The same for EGARCH; see `loss`."""
    mu, omega, alpha, gamma, beta = theta
    start = math.log(backcast)
    log = omega + beta * start
    d0, d1, d2, d3, d4 = 0.0, 1.0, 0.0, 0.0, start
    g0 = g1 = g2 = g3 = g4 = 0.0
    logs = squares = 0.0
    for t in range(x.size):
        if not -_MAX_LOG < log < _MAX_LOG:
            return np.inf
        inverse = math.exp(-0.5 * log)
        z = (x[t] - mu) * inverse
        size = abs(z)
        logs += log
        squares += z * z
        news = alpha * size + gamma * z
        if derive:
            c = 0.5 * (1.0 - z * z)
            direct = -z * inverse
            g0 += c * d0 + direct
            g1 += c * d1
            g2 += c * d2
            g3 += c * d3
            g4 += c * d4
            if products:
                _add_outer(outer, c * d0 + direct, c * d1, c * d2, c * d3, c * d4)
            carry = beta - 0.5 * news
            d0 = carry * d0 - (gamma + (alpha if z > 0 else -alpha)) * inverse
            d1 = carry * d1 + 1.0
            d2 = carry * d2 + size - MEAN_ABSOLUTE
            d3 = carry * d3 + z
            d4 = carry * d4 + log
        log = omega + news - alpha * MEAN_ABSOLUTE + beta * log
    gradient[0], gradient[1], gradient[2], gradient[3], gradient[4] = g0, g1, g2, g3, g4
    return 0.5 * (logs + squares)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _add_outer(outer, a, b, c, d, e):
    """Add the products of a session's five scores to the lower triangle."""
    outer[0, 0] += a * a
    outer[1, 0] += b * a
    outer[1, 1] += b * b
    outer[2, 0] += c * a
    outer[2, 1] += c * b
    outer[2, 2] += c * c
    outer[3, 0] += d * a
    outer[3, 1] += d * b
    outer[3, 2] += d * c
    outer[3, 3] += d * d
    outer[4, 0] += e * a
    outer[4, 1] += e * b
    outer[4, 2] += e * c
    outer[4, 3] += e * d
    outer[4, 4] += e * e


@njit(cache=True, nogil=True, error_model="numpy")
def loss(kind, theta, x, backcast, gradient, outer, derive, products):
    """Minus the log likelihood, without ``T/2 ln(2 pi)``, its gradient and its scores' products.

    Parameters
    ----------
    kind, theta, backcast
        As in `variances`.
    x
        ``(T,)`` returns, of a variance near 1.
    gradient, outer
        ``(5,)`` and ``(5, 5)``, overwritten where `derive` (and `products`) say so; of `outer` the
        lower triangle.
    """
    if products:
        outer[:] = 0.0
    if kind == EGARCH:
        return _log_loss(theta, x, backcast, gradient, outer, derive, products)
    return _power_loss(theta, x, backcast, gradient, outer, derive, products)
