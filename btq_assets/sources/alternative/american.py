"""Prices and implied volatilities of American options, on whole arrays.

Belongs here: the value of early exercise by a binomial tree, for a spot with a continuous yield.
Does not belong here: European prices (`black.py`), where rates and forwards come from.

The tree is Leisen and Reimer's (1996, "Binomial models for option valuation: examining and
improving convergence", with the second inversion of Peizer and Pratt). The European price is known
exactly, so only the difference between a tree's American and its European price is taken, and added
to Black's price (the control variate of Hull and White 1988, "The use of the control variate
technique in option pricing"). That difference errs with the inverse of the steps: it is extrapolated
from two trees, one of half the steps (Richardson; Broadie and Detemple 1996).

Right, rates, yields, volatilities and time are as in `black.py`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from btq_assets.sources.alternative.black import (
    Floats,
    black_price,
    black_scholes_price,
    implied_volatility,
    vega,
)

#: Of the finer of two trees. Within 0.01 % of the spot of exact prices for options that are listed:
#: see the tests.
STEPS = 101
#: Options valued at once: the tree of a chunk stays within the processor's cache.
_CHUNK = 2_048
_MOST_STEPS = 60
_SETTLED = 1e-7


def early_exercise_premium(
    right: npt.ArrayLike,
    spot: npt.ArrayLike,
    strike: npt.ArrayLike,
    years: npt.ArrayLike,
    volatility: npt.ArrayLike,
    rate: npt.ArrayLike,
    dividend_yield: npt.ArrayLike,
    *,
    steps: int = STEPS,
) -> Floats:
    """What the right to exercise before expiry adds to the price: never negative.

    It is nothing for a call without yield and for a put without interest (Merton 1973, theorems 2
    and 13), which are not put through the tree.

    Returns
    -------
    numpy.ndarray
        NaN where an input is missing, or spot, strike, time or volatility is not positive.
    """
    w, s, k, t, v, r, q = (
        np.array(x, dtype=float)
        for x in np.broadcast_arrays(
            *map(np.asarray, (right, spot, strike, years, volatility, rate, dividend_yield))
        )
    )
    with np.errstate(invalid="ignore"):
        usable = np.isfinite(w * r * q) & (s > 0) & (k > 0) & (t > 0) & (v > 0) & np.isfinite(s * k)
        # Waiting costs a call its dividends and a put the interest on its strike.
        matters = usable & np.where(w > 0, (q > 0) | (r < 0), (r > 0) | (q < 0))
    result = np.where(usable, 0.0, np.nan)
    (chosen,) = np.nonzero(matters.ravel())
    flat = [x.ravel() for x in (w, s, k, t, v, r, q)]
    filled = result.ravel()
    for first in range(0, chosen.size, _CHUNK):
        part = chosen[first : first + _CHUNK]
        filled[part] = _extrapolated(*(x[part] for x in flat), steps=steps)
    return filled.reshape(result.shape)


def american_price(
    right: npt.ArrayLike,
    spot: npt.ArrayLike,
    strike: npt.ArrayLike,
    years: npt.ArrayLike,
    volatility: npt.ArrayLike,
    rate: npt.ArrayLike = 0.0,
    dividend_yield: npt.ArrayLike = 0.0,
    *,
    steps: int = STEPS,
) -> Floats:
    """Price of an option that may be exercised at any time: Black's, plus what that is worth."""
    european = black_scholes_price(right, spot, strike, years, volatility, rate, dividend_yield)
    premium = early_exercise_premium(
        right, spot, strike, years, volatility, rate, dividend_yield, steps=steps
    )
    intrinsic = np.asarray(right) * (
        np.asarray(spot, dtype=float) - np.asarray(strike, dtype=float)
    )
    return np.maximum(european + premium, intrinsic)


def american_implied_volatility(
    price: npt.ArrayLike,
    right: npt.ArrayLike,
    spot: npt.ArrayLike,
    strike: npt.ArrayLike,
    years: npt.ArrayLike,
    rate: npt.ArrayLike = 0.0,
    dividend_yield: npt.ArrayLike = 0.0,
    *,
    steps: int = STEPS,
) -> Floats:
    """Volatility at which the American price is `price`.

    Newton's method with Black's vega, kept inside a bracket: the volatility that Black's formula
    finds for the same price lies above, since it pays for early exercise with volatility.

    Returns
    -------
    numpy.ndarray
        NaN where there is none: as for Black's formula, and where the price is not above what
        exercise pays now.
    """
    c, w, s, k, t, r, q = (
        np.array(x, dtype=float)
        for x in np.broadcast_arrays(
            *map(np.asarray, (price, right, spot, strike, years, rate, dividend_yield))
        )
    )
    shape = c.shape
    c, w, s, k, t, r, q = (x.ravel() for x in (c, w, s, k, t, r, q))
    with np.errstate(invalid="ignore", over="ignore"):
        forward, discount = s * np.exp((r - q) * t), np.exp(-r * t)
        exercised = w * (s - k)
        highest = implied_volatility(c, w, forward, k, t, discount)
        possible = np.isfinite(highest) & (c > exercised * (1 + 1e-9))
    result = np.full(c.shape, np.nan)
    (open_,) = np.nonzero(possible)
    low, high = np.full(c.shape, 1e-4), highest.copy()
    guess = highest.copy()
    for _ in range(_MOST_STEPS):
        if not open_.size:
            break
        i, sigma = open_, guess[open_]
        premium = early_exercise_premium(w[i], s[i], k[i], t[i], sigma, r[i], q[i], steps=steps)
        value = black_price(w[i], forward[i], k[i], t[i], sigma, discount[i]) + premium
        gap = np.maximum(value, exercised[i]) - c[i]
        high[i] = np.where(gap > 0, sigma, high[i])
        low[i] = np.where(gap < 0, sigma, low[i])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            step = sigma - gap / vega(forward[i], k[i], t[i], sigma, discount[i])
        inside = np.isfinite(step) & (step > low[i]) & (step < high[i])
        following = np.where(inside, step, 0.5 * (low[i] + high[i]))
        # Each price stops by itself: its answer does not depend on its company.
        done = (np.abs(gap) <= 1e-12 * s[i]) | (np.abs(following - sigma) <= _SETTLED)
        guess[i] = np.where(np.abs(gap) <= 1e-12 * s[i], sigma, following)
        result[i[done]] = guess[i[done]]
        open_ = i[~done]
    at_edge = result <= 2e-4
    return np.where(at_edge, np.nan, result).reshape(shape)


def _extrapolated(*options: Floats, steps: int) -> Floats:
    """Premium in the limit of many steps; their number is odd, as the inversion demands."""
    fine, coarse = steps | 1, (steps // 2) | 1
    from_fine, from_coarse = (_tree_premium(*options, steps=n) for n in (fine, coarse))
    return np.maximum((fine * from_fine - coarse * from_coarse) / (fine - coarse), 0.0)


def _tree_premium(
    w: Floats, s: Floats, k: Floats, t: Floats, v: Floats, r: Floats, q: Floats, *, steps: int
) -> Floats:
    """American less European price on one tree; arrays of one length, everything usable."""
    n, dt = steps, t / steps
    deviation = v * np.sqrt(t)
    d1 = np.log(s / k) / deviation + ((r - q) / v + 0.5 * v) * np.sqrt(t)
    up_share, up = _peizer_pratt(d1 - deviation, n), _peizer_pratt(d1, n)
    growth = np.exp((r - q) * dt)
    # Where a probability is 0 or 1 in all digits the option is a forward, or nothing.
    up_share = np.clip(up_share, 1e-15, 1 - 1e-15)
    log_u = np.log(growth * np.maximum(up, 1e-300) / up_share)
    log_d = np.log(growth * np.maximum(1 - up, 1e-300) / (1 - up_share))
    back = np.exp(-r * dt)
    p_up, p_down = (back * up_share)[:, None], (back * (1 - up_share))[:, None]
    j = np.arange(n + 1)
    log_spot = np.log(s)[:, None]
    sign, strike = w[:, None], k[:, None]
    gain = sign * (np.exp(log_spot + log_d[:, None] * (n - j) + log_u[:, None] * j) - strike)
    american = np.maximum(gain, 0.0)
    european = american.copy()
    for level in range(n - 1, -1, -1):
        american = p_up * american[:, 1:] + p_down * american[:, :-1]
        european = p_up * european[:, 1:] + p_down * european[:, :-1]
        j = np.arange(level + 1)
        gain = sign * (
            np.exp(log_spot + log_d[:, None] * (level - j) + log_u[:, None] * j) - strike
        )
        american = np.maximum(american, gain)
    return np.maximum(american[:, 0] - european[:, 0], 0.0)


def _peizer_pratt(z: Floats, n: int) -> Floats:
    """Probability whose binomial distribution crosses a half where the normal one has `z`."""
    inner = z / (n + 1 / 3 + 0.1 / (n + 1))
    return 0.5 + np.sign(z) * 0.5 * np.sqrt(-np.expm1(-(inner**2) * (n + 1 / 6)))
