"""Shape and tails of the distribution of returns.

Belongs here: figures that ignore the order of returns and name no benchmark. Does not belong here:
models of the tail and tests of them (the risk room, whose historical measures these equal).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from btq_assets.engine.errors import EngineError
from btq_assets.engine.metrics.series import deviation, series


def _standardised(returns: Any) -> np.ndarray:
    values = series(returns, "returns")
    if np.isnan(deviation(values)):
        return values[:0]
    return (values - values.mean()) / values.std()


def skewness(returns: Any) -> float:
    """Third standardised moment, ``mean(z^3)`` with the standard deviation over ``n``.

    Returns
    -------
    float
        0 for a symmetric sample; NaN below two returns or without variation.
    """
    z = _standardised(returns)
    return float(np.mean(z**3)) if z.size else float("nan")


def kurtosis(returns: Any) -> float:
    """Fourth standardised moment, ``mean(z^4)``, the plain one: 3 for a normal distribution.

    Returns
    -------
    float
        NaN below two returns or without variation.
    """
    z = _standardised(returns)
    return float(np.mean(z**4)) if z.size else float("nan")


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


def _tail_size(n: int, level: float) -> float:
    if not 0.5 < level < 1:
        raise EngineError(f"level = {level!r}: above 0.5 and below 1, such as 0.95")
    # rounded: 500 * (1 - 0.95) is 25.000000000000021
    return round(n * (1 - level), 9)


def value_at_risk(returns: Any, level: float = 0.95) -> float:
    """Historical value at risk: the loss that ``floor(n (1 - level))`` of the returns exceed.

    An order statistic, not interpolated: what `risk.measures.historical` gives.

    Returns
    -------
    float
        Loss, positive; NaN below ``1 / (1 - level)`` returns.
    """
    values = series(returns, "returns")
    tail = _tail_size(values.size, level)
    if tail < 1:
        return float("nan")
    whole = math.floor(tail)
    return 0.0 - float(np.partition(values, whole)[whole])


def conditional_value_at_risk(returns: Any, level: float = 0.95) -> float:
    """Mean of the worst ``1 - level`` share of the returns, as a loss.

    Acerbi and Tasche (2002), definition 2.6: the boundary return counts with the fraction that
    fills the share, so that it is never below `value_at_risk`.

    Returns
    -------
    float
        Loss, positive; NaN below ``1 / (1 - level)`` returns.
    """
    values = series(returns, "returns")
    tail = _tail_size(values.size, level)
    if tail < 1:
        return float("nan")
    whole = math.floor(tail)
    worst = np.partition(values, whole)
    return 0.0 - float((worst[:whole].sum() + (tail - whole) * worst[whole]) / tail)
