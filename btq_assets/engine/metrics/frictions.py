"""Turnover, and how much trading cost or size a strategy bears.

Belongs here: figures of traded value and costs. Does not belong here: the cost model (`costs`).
"""

from __future__ import annotations

from typing import Any

from btq_assets.engine.metrics.series import PERIODS_PER_YEAR, series


def turnover_annual(turnover: Any, periods_per_year: float = PERIODS_PER_YEAR) -> float:
    """Traded value over equity per year, purchases and sales both counted.

    Parameters
    ----------
    turnover
        Traded value over equity of each period, zeros included.
    """
    values = series(turnover, "turnover")
    return float(values.mean() * periods_per_year) if values.size else float("nan")


def break_even_cost(gross_returns: Any, traded: Any) -> float:
    """Cost per traded value at which the mean net return is zero.

    A flat cost ``c`` takes ``c * traded`` off each period, so that the mean net return is linear in
    it and its root is exact for these holdings: ``mean(gross) / mean(traded)``.

    Parameters
    ----------
    gross_returns
        Returns per period before all costs.
    traded
        Traded value, both sides, over equity at the start of the same period.

    Returns
    -------
    float
        Fraction of traded value; negative where the strategy loses before costs; NaN without
        trades.

    Examples
    --------
    >>> round(break_even_cost([0.01, 0.03], [0.5, 0.3]), 6)
    0.05
    """
    gross, value = series(gross_returns, "gross_returns"), series(traded, "traded")
    if not gross.size or not value.size or value.mean() <= 0:
        return float("nan")
    return float(gross.mean() / value.mean())


def capacity_multiple(returns_before_impact: Any, impact: Any) -> float:
    """How many times larger the equity could be before square-root impact eats the mean return.

    Impact of a trade of value ``v`` costs ``k v sqrt(v / volume)`` (`costs.CostModel`), so with
    ``s`` times the equity it takes ``sqrt(s)`` times the share of equity, and the mean return is
    zero at ``s = (mean(return before impact) / mean(impact))^2``. Weights are taken as given.

    Parameters
    ----------
    returns_before_impact
        Returns per period after all costs but impact.
    impact
        Impact paid over equity at the start of the same period.

    Returns
    -------
    float
        0 where the strategy loses without impact too; NaN without impact.
    """
    before, paid = series(returns_before_impact, "returns_before_impact"), series(impact, "impact")
    if not before.size or not paid.size or paid.mean() <= 0:
        return float("nan")
    return float((max(before.mean(), 0.0) / paid.mean()) ** 2)
