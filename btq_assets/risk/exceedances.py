"""VaR tested against what happened next.

Belongs here: counting exceedances and Kupiec's test. Does not belong here: computing VaR.
"""

from __future__ import annotations

import math

from btq_assets.risk.measures import RiskError


def kupiec_test(n: int, observed: int, level: float) -> tuple[float, float]:
    """Kupiec's (1995) proportion-of-failures likelihood-ratio test.

    ``LR = -2 ln[(1 - p)^(n - x) p^x] + 2 ln[(1 - x/n)^(n - x) (x/n)^x]`` with ``p = 1 - level``,
    chi-squared with one degree of freedom when VaR is right.

    Parameters
    ----------
    n
        Sessions tested, at least one.
    observed
        Exceedances, 0 to n.
    level
        Confidence level of the VaR.

    Returns
    -------
    (statistic, p_value)
    """
    if n < 1 or not 0 <= observed <= n:
        raise RiskError(f"{observed} exceedances in {n} sessions cannot be tested")
    p = 1 - level
    statistic = 2 * (_log_likelihood(n, observed, observed / n) - _log_likelihood(n, observed, p))
    statistic = max(statistic, 0.0)
    # Survival function of chi-squared with one degree of freedom.
    return statistic, math.erfc(math.sqrt(statistic / 2))


def _log_likelihood(n: int, observed: int, probability: float) -> float:
    # 0 ln 0 = 0: no failure, or nothing but failures.
    value = 0.0
    if observed:
        value += observed * math.log(probability)
    if n - observed:
        value += (n - observed) * math.log1p(-probability)
    return value
