"""Limits of the trading configuration, judged on what is held.

Belongs here: saying which limit is breached and by how much. Does not belong here: acting on it
(the portfolio room caps weights, the execution room stops).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from btq_assets.config import TradingSection


@dataclass(frozen=True)
class Breach:
    """One limit that does not hold.

    Attributes
    ----------
    strategy, limit
        Who, and the setting's name.
    value, allowed
        What was found and the limit, fractions of equity.
    detail
        Which asset, or which drawdown.
    """

    strategy: str
    limit: str
    value: float
    allowed: float
    detail: str


def breaches(
    weights: pl.DataFrame,
    wealth: Mapping[str, np.ndarray],
    trading: TradingSection,
    *,
    tolerance: float = 1e-9,
) -> list[Breach]:
    """Breaches of position and drawdown limits by the weights held last.

    Parameters
    ----------
    weights
        ``strategy``, ``symbol``, ``weight``: shares of equity held at the last bar. Weights drift
        between fills, so one capped at its fill may lie above its limit here.
    wealth
        Equity series by strategy, in time order.
    trading
        Limits: ``max_position_size`` and ``max_drawdown_threshold``.
    tolerance
        Excess that counts as rounding.

    Returns
    -------
    list of Breach
        By strategy; empty when every limit holds.
    """
    found = [
        Breach(
            row["strategy"],
            "max_position_size",
            abs(row["weight"]),
            trading.max_position_size,
            row["symbol"],
        )
        for row in weights.sort("strategy", "symbol").iter_rows(named=True)
        if abs(row["weight"]) > trading.max_position_size + tolerance
    ]
    for strategy, values in wealth.items():
        now = 1 - float(values[-1]) / float(np.max(values))
        if now > trading.max_drawdown_threshold + tolerance:
            found.append(
                Breach(
                    strategy,
                    "max_drawdown_threshold",
                    now,
                    trading.max_drawdown_threshold,
                    "drawdown at the last bar",
                )
            )
    return sorted(found, key=lambda b: (b.strategy, b.limit, b.detail))
