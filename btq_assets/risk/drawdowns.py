"""Drawdowns of a wealth series.

Belongs here: where wealth fell, how deep, for how long, as people read it. Does not belong here: how
a fall is found (`engine.metrics.falls_of`), limits on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from btq_assets.contracts import risk
from btq_assets.engine.metrics import falls_of

DEEPEST = 5


@dataclass(frozen=True)
class Drawdown:
    """One fall from a high and the way back; positions in the series.

    Attributes
    ----------
    peak, trough
        Positions of the last high before the fall, and of the lowest point.
    recovered
        First position back at the high; ``None`` while under water.
    depth
        Fall from peak to trough, a positive fraction.
    n_sessions
        Sessions from peak to recovery, or to the end.
    """

    peak: int
    trough: int
    recovered: int | None
    depth: float
    n_sessions: int


def drawdowns(wealth: ArrayLike, n_deepest: int | None = None) -> list[Drawdown]:
    """Drawdowns of `wealth`, deepest first; they never overlap.

    Parameters
    ----------
    wealth
        Positive values in time order, shape ``(n,)``.
    n_deepest
        Return only so many.
    """
    values = np.asarray(wealth, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError("drawdowns need one series without missing values")
    found = falls_of(values)
    falls = [
        Drawdown(int(peak), int(trough), None if end < 0 else int(end), float(depth), int(length))
        for peak, trough, end, depth, length in zip(
            found.peak, found.trough, found.end, found.depth, found.lengths, strict=True
        )
    ]
    falls.sort(key=lambda d: (-d.depth, d.peak))
    return falls[:n_deepest]


def drawdown_table(equity: pl.DataFrame, n_deepest: int = DEEPEST) -> pl.DataFrame:
    """Rows of ``risk.drawdowns`` from ``backtest.equity``."""
    rows = []
    for (strategy,), frame in equity.sort("ts").group_by(["strategy"], maintain_order=True):
        ts = frame["ts"].to_list()
        for rank, fall in enumerate(drawdowns(frame["equity"].to_numpy(), n_deepest), start=1):
            rows.append(
                {
                    "strategy": strategy,
                    "rank": rank,
                    "peak_ts": ts[fall.peak],
                    "trough_ts": ts[fall.trough],
                    "recovered_ts": None if fall.recovered is None else ts[fall.recovered],
                    "depth": fall.depth,
                    "n_sessions": fall.n_sessions,
                }
            )
    return pl.DataFrame(rows, schema=risk.DRAWDOWNS.schema).sort("strategy", "rank")
