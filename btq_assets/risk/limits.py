"""Limits of the trading configuration: making weights obey them, and saying which are breached.

Belongs here: the one implementation of every limit. Does not belong here: choosing weights (the
portfolio room), stopping to trade (the execution room), judging a whole table of weights
(`portfolio.gates`).
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


def cap_weights(weights: np.ndarray, max_position: float) -> np.ndarray:
    """Cap long-only weights and give the excess to the others in proportion to their weight.

    Parameters
    ----------
    weights
        ``float64[N]``, all >= 0. An asset of weight zero receives nothing.
    max_position
        Largest weight of one asset, > 0.

    Returns
    -------
    numpy.ndarray
        ``float64[N]``, each <= `max_position`, summing to
        ``min(weights.sum(), max_position * number of positive weights)``: what no asset can take
        is left in cash.

    Raises
    ------
    ValueError
        A weight is negative or NaN.
    """
    if not (weights >= 0).all():
        raise ValueError(f"cap_weights takes long-only weights, found {weights.min():.6g}")
    capped = weights.astype(np.float64, copy=True)
    total = capped.sum()
    full = np.zeros(capped.shape, dtype=bool)
    # Each pass fills at least one more asset, so N passes are enough.
    for _ in range(capped.size):
        over = ~full & (capped > max_position)
        if not over.any():
            break
        full |= over
        free = ~full & (capped > 0)
        left = total - max_position * full.sum()
        if free.any():
            capped[free] = capped[free] / capped[free].sum() * left
        capped[full] = max_position
    return np.minimum(capped, max_position)


def limit_weights(weights: np.ndarray, max_position: float, max_gross: float) -> np.ndarray:
    """Clip each weight to ``±max_position``, then shrink all to ``sum(|w|) <= max_gross``.

    Nothing is redistributed: sizes that mean something (Kelly, a volatility target) are only
    ever made smaller.
    """
    clipped = np.clip(weights, -max_position, max_position)
    gross = np.abs(clipped).sum()
    return clipped * (max_gross / gross) if gross > max_gross else clipped
