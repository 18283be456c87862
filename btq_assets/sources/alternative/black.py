"""Prices, deltas and implied volatilities of European options, on whole arrays.

Belongs here: Black (1976) on a forward, and Black and Scholes (1973) and Merton (1973) as the case
of a spot with a continuous yield. Does not belong here: early exercise, where forwards come from, and smiles.

Right is +1 for a call and -1 for a put; rates, yields and volatilities are annual, continuously
compounded; time is in years. Everything broadcasts. For American exercise see `american.py`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

Floats = npt.NDArray[np.float64]
_SQRT_2PI = np.sqrt(2 * np.pi)
_LOWEST, _HIGHEST = 1e-6, 20.0
_MOST_STEPS = 100
#: Relative to the forward: prices closer to their bounds say nothing about volatility.
_RESOLUTION = 1e-12


def black_price(
    right: npt.ArrayLike,
    forward: npt.ArrayLike,
    strike: npt.ArrayLike,
    years: npt.ArrayLike,
    volatility: npt.ArrayLike,
    discount: npt.ArrayLike = 1.0,
) -> Floats:
    """Price of an option on a forward (Black 1976, equations 16 and 17).

    Parameters
    ----------
    right
        +1 for a call, -1 for a put.
    forward, strike
        In the same currency, positive.
    years, volatility
        Where their product is zero the price is the discounted intrinsic value.
    discount
        Price now of one unit of currency at expiry.
    """
    w, f, k, t, v, d = _arrays(right, forward, strike, years, volatility, discount)
    deviation = v * np.sqrt(t)
    d1, d2 = _d1_d2(f, k, deviation)
    live = w * (f * ndtr(w * d1) - k * ndtr(w * d2))
    return d * np.where(deviation > 0, np.maximum(live, 0.0), np.maximum(w * (f - k), 0.0))


def black_scholes_price(
    right: npt.ArrayLike,
    spot: npt.ArrayLike,
    strike: npt.ArrayLike,
    years: npt.ArrayLike,
    volatility: npt.ArrayLike,
    rate: npt.ArrayLike = 0.0,
    dividend_yield: npt.ArrayLike = 0.0,
) -> Floats:
    """Price of an option on a spot with a continuous yield: Black's, on the spot carried forward."""
    t, r, q = (np.asarray(x, dtype=float) for x in (years, rate, dividend_yield))
    forward = np.asarray(spot, dtype=float) * np.exp((r - q) * t)
    return black_price(right, forward, strike, years, volatility, np.exp(-r * t))


def forward_delta(
    right: npt.ArrayLike,
    forward: npt.ArrayLike,
    strike: npt.ArrayLike,
    years: npt.ArrayLike,
    volatility: npt.ArrayLike,
) -> Floats:
    """Undiscounted change of the price per change of the forward: N(d1), or N(d1) - 1 for a put."""
    w, f, k, t, v = _arrays(right, forward, strike, years, volatility)
    d1, _ = _d1_d2(f, k, v * np.sqrt(t))
    return w * ndtr(w * d1)


def vega(
    forward: npt.ArrayLike,
    strike: npt.ArrayLike,
    years: npt.ArrayLike,
    volatility: npt.ArrayLike,
    discount: npt.ArrayLike = 1.0,
) -> Floats:
    """Change of the price per unit of volatility (1.0, not one point)."""
    f, k, t, v, d = _arrays(forward, strike, years, volatility, discount)
    d1, _ = _d1_d2(f, k, v * np.sqrt(t))
    return d * f * np.exp(-0.5 * d1**2) / _SQRT_2PI * np.sqrt(t)


def log_moneyness_of_delta(right: float, delta: float, deviation: npt.ArrayLike) -> Floats:
    """log(strike / forward) at which the forward delta is `delta`, given volatility times sqrt(years)."""
    s = np.asarray(deviation, dtype=float)
    return 0.5 * s**2 - right * s * ndtri(right * delta)


def implied_volatility(
    price: npt.ArrayLike,
    right: npt.ArrayLike,
    forward: npt.ArrayLike,
    strike: npt.ArrayLike,
    years: npt.ArrayLike,
    discount: npt.ArrayLike = 1.0,
) -> Floats:
    """Volatility at which Black's price is `price`.

    Newton's method inside a bracket that halves where a step would leave it, on the price of the
    out-of-the-money option of the same strike (put-call parity), so that the time value is not lost
    in the intrinsic one.

    Returns
    -------
    numpy.ndarray
        NaN where there is none: an input is missing, time is over, or the price is not above its
        intrinsic value and below its bound (forward for a call, strike for a put).
    """
    c, w, f, k, t, d = _arrays(price, right, forward, strike, years, discount)
    with np.errstate(invalid="ignore", divide="ignore"):
        undiscounted = c / d
        in_the_money = w * (f - k) > 0
        target = np.where(in_the_money, undiscounted - w * (f - k), undiscounted)
        w = np.where(in_the_money, -w, w)
        bound = np.where(w > 0, f, k)
        possible = (
            np.isfinite(target)
            & (f > 0)
            & (k > 0)
            & (t > 0)
            & (d > 0)
            & (target > _RESOLUTION * f)
            & (target < bound * (1 - _RESOLUTION))
        )
    result = np.full(target.shape, np.nan)
    if not possible.any():
        return result
    w, f, k, t, target = (x[possible] for x in (w, f, k, t, target))
    low, high = np.full(w.shape, _LOWEST), np.full(w.shape, _HIGHEST)
    # The inflection of the price in volatility (Manaster and Koehler 1982): Newton converges from it.
    guess = np.clip(np.sqrt(2 * np.abs(np.log(f / k)) / t), 1e-2, 2.0)
    settled = np.zeros(w.shape, dtype=bool)
    for _ in range(_MOST_STEPS):
        gap = black_price(w, f, k, t, guess) - target
        high = np.where(gap > 0, guess, high)
        low = np.where(gap < 0, guess, low)
        slope = vega(f, k, t, guess)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            step = guess - gap / slope
        inside = np.isfinite(step) & (step > low) & (step < high)
        following = np.where(inside, step, 0.5 * (low + high))
        # Each price stops by itself: its answer does not depend on its company.
        exact = settled | (gap == 0)
        settled = exact | (np.abs(following - guess) <= 1e-12 * guess)
        guess = np.where(exact, guess, following)
        if bool(settled.all()):
            break
    at_edge = (guess <= 2 * _LOWEST) | (guess >= 0.99 * _HIGHEST)
    result[possible] = np.where(at_edge, np.nan, guess)
    return result


def _d1_d2(f: Floats, k: Floats, deviation: Floats) -> tuple[Floats, Floats]:
    with np.errstate(divide="ignore", invalid="ignore"):
        d1 = np.log(f / k) / deviation + 0.5 * deviation
    return d1, d1 - deviation


def _arrays(*values: npt.ArrayLike) -> list[Floats]:
    return [np.array(x, dtype=float) for x in np.broadcast_arrays(*map(np.asarray, values))]
