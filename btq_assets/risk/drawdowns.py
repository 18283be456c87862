"""Drawdowns of a wealth series.

Belongs here: where wealth fell, how deep, for how long. Does not belong here: limits on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from btq_assets.contracts import risk

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
    under = values < np.maximum.accumulate(values) if len(values) else np.zeros(0, dtype=bool)
    edges = np.diff(np.concatenate([[0], under.astype(np.int8), [0]]))
    found = []
    for first, end in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
        peak = int(first) - 1
        trough = int(first + np.argmin(values[first:end]))
        recovered = int(end) if end < len(values) else None
        last = int(end) if recovered is not None else len(values) - 1
        depth = float(1 - values[trough] / values[peak])
        found.append(Drawdown(peak, trough, recovered, depth, last - peak))
    found.sort(key=lambda d: (-d.depth, d.peak))
    return found[:n_deepest]


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
