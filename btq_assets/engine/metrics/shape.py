"""Shape and tails of the distribution of returns.

Belongs here: figures that ignore the order of returns and name no benchmark. Does not belong here:
models of the tail and tests of them (the risk room, which reads `tail_losses`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from btq_assets.engine.errors import EngineError
from btq_assets.engine.metrics.series import deviation, series


def central_moments(values: np.ndarray) -> tuple[float, float, float]:
    """Variance over ``n``, skewness ``m3 / m2^1.5`` and plain kurtosis ``m4 / m2^2`` of ``float64[n]``.

    No rule of what is constant: callers judge by the variance before they read the others.
    """
    away = values - values.mean()
    second = float(np.mean(away**2))
    if second == 0.0:
        return 0.0, float("nan"), float("nan")
    third, fourth = float(np.mean(away**3)), float(np.mean(away**4))
    return second, third / second**1.5, fourth / second**2


def skewness(returns: Any) -> float:
    """Third standardised moment, ``mean(z^3)`` with the standard deviation over ``n``.

    Returns
    -------
    float
        0 for a symmetric sample; NaN below two returns or without variation.
    """
    values = series(returns, "returns")
    return float("nan") if np.isnan(deviation(values)) else central_moments(values)[1]


def kurtosis(returns: Any) -> float:
    """Fourth standardised moment, ``mean(z^4)``, the plain one: 3 for a normal distribution.

    Returns
    -------
    float
        NaN below two returns or without variation.
    """
    values = series(returns, "returns")
    return float("nan") if np.isnan(deviation(values)) else central_moments(values)[2]


def tail_ratio(returns: Any) -> float:
    """95 % quantile over the size of the 5 % quantile, ``|q95| / |q05|``.

    Quantiles interpolate linearly between order statistics (Hyndman and Fan, 1996, type 7).

    Returns
    -------
    float
        NaN without returns or with a 5 % quantile of 0.
    """
    values = series(returns, "returns")
    if not values.size:
        return float("nan")
    low, high = np.quantile(values, (0.05, 0.95))
    return float(abs(high) / abs(low)) if low != 0 else float("nan")


def tail_size(n: int, level: float) -> float:
    """Returns in the worst ``1 - level`` share of `n`; not whole, and below 1 there is no tail."""
    # rounded: 500 * (1 - 0.95) is 25.000000000000021
    return round(n * (1 - level), 9)


def tail_losses(returns: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Historical value at risk and its conditional mean, along the last axis.

    The one definition, of one series or of many windows. VaR is the smallest loss ``x`` whose
    empirical distribution function reaches the level, ``inf{x: F_n(x) >= level}`` (numpy's
    ``inverted_cdf``). The mean beyond it counts the boundary loss with the fraction that fills the
    share (Acerbi and Tasche, 2002, definition 2.6), hence is never below it.

    Parameters
    ----------
    returns
        ``float64[..., n]``, none missing.
    level
        Above 0.5 and below 1.

    Returns
    -------
    (var, cvar)
        Losses, positive, ``float64[...]``; NaN where the tail holds not a single return.
    """
    tail = tail_size(returns.shape[-1], level)
    if tail < 1:
        nothing = np.full(returns.shape[:-1], np.nan)
        return nothing, nothing.copy()
    whole = math.floor(tail)
    worst = np.partition(returns, whole, axis=-1)
    boundary = worst[..., whole]
    beyond = worst[..., :whole].sum(axis=-1)
    # 0.0 - x and not -x: a loss of nothing is 0.0, not -0.0.
    return 0.0 - boundary, 0.0 - (beyond + (tail - whole) * boundary) / tail


def _tail(returns: Any, level: float) -> tuple[float, float]:
    if not 0.5 < level < 1:
        raise EngineError(f"level = {level!r}: above 0.5 and below 1, such as 0.95")
    var, cvar = tail_losses(series(returns, "returns"), level)
    return float(var), float(cvar)


def value_at_risk(returns: Any, level: float = 0.95) -> float:
    """Historical value at risk: the loss that ``floor(n (1 - level))`` of the returns exceed.

    An order statistic, not interpolated: see `tail_losses`.

    Returns
    -------
    float
        Loss, positive; NaN below ``1 / (1 - level)`` returns.
    """
    return _tail(returns, level)[0]


def conditional_value_at_risk(returns: Any, level: float = 0.95) -> float:
    """Mean of the worst ``1 - level`` share of the returns, as a loss.

    Acerbi and Tasche (2002), definition 2.6: the boundary return counts with the fraction that
    fills the share, so that it is never below `value_at_risk`.

    Returns
    -------
    float
        Loss, positive; NaN below ``1 / (1 - level)`` returns.
    """
    return _tail(returns, level)[1]
