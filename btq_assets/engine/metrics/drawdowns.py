"""Falls from earlier peaks: how deep, how long, how often.

Belongs here: figures of a path. Does not belong here: figures that ignore the order of returns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from btq_assets.engine.errors import EngineError
from btq_assets.engine.metrics.ratios import annual_return
from btq_assets.engine.metrics.series import PERIODS_PER_YEAR, series


def fall_path(wealth: Any, start: float | None = None) -> np.ndarray:
    """Fall below the highest value so far, ``1 - wealth / running maximum``, along the last axis.

    The one definition: of one path, or of many paths of one length.

    Parameters
    ----------
    wealth
        ``float64[..., n]``, positive, none missing.
    start
        Value before the first one, a peak too; by default the first one is the first peak.
    """
    values = np.asarray(wealth, dtype=float)
    peaks = np.maximum.accumulate(values, axis=-1)
    if start is not None:
        np.maximum(peaks, start, out=peaks)
    falls = np.divide(values, peaks, out=peaks)
    return np.subtract(1, falls, out=falls)


def max_drawdown(equity: Any) -> float:
    """Largest fall from an earlier peak, ``max(1 - equity / running maximum)``.

    Parameters
    ----------
    equity
        Positive values over time (not returns).

    Returns
    -------
    float
        Fraction, positive; 0 for a path that never falls; NaN without values.
    """
    values = series(equity, "equity")
    if not values.size:
        return float("nan")
    if values[0] <= 0:
        raise EngineError(f"equity starts at {values[0]:g}; a drawdown needs a positive start")
    return float(fall_path(values).max())


def calculate_calmar(returns: Any, periods_per_year: float = PERIODS_PER_YEAR) -> float:
    """Calmar ratio, annual return over maximum drawdown.

    Young (1991), "Calmar Ratio: A Smoother Tool", here over the whole series instead of 36 months.
    The drawdown counts from the starting value.

    Returns
    -------
    float
        NaN without returns or without a drawdown.
    """
    values = series(returns, "returns")
    if not values.size:
        return float("nan")
    drawdown = max_drawdown(np.concatenate([[1.0], np.cumprod(1 + values)]))
    return annual_return(values, periods_per_year) / drawdown if drawdown > 0 else float("nan")


def drawdown_path(returns: Any) -> np.ndarray:
    """Fall below the highest value so far after each return, the start included.

    Returns
    -------
    numpy.ndarray
        ``float64[n]``, fractions, 0 at a new high.
    """
    return fall_path(np.cumprod(1 + series(returns, "returns")), start=1.0)


def ulcer_index(returns: Any) -> float:
    """Root mean square of the drawdown path, a fraction.

    Martin and McCann (1989), *The Investor's Guide to Fidelity Funds*, over ``n`` periods.
    """
    falls = drawdown_path(returns)
    return float(np.sqrt(np.mean(falls**2))) if falls.size else float("nan")


def pain_index(returns: Any) -> float:
    """Mean of the drawdown path, a fraction (Becker, 2010, "The Zephyr Pain Index")."""
    falls = drawdown_path(returns)
    return float(falls.mean()) if falls.size else float("nan")


def martin_ratio(returns: Any, periods_per_year: float = PERIODS_PER_YEAR) -> float:
    """Annual return over `ulcer_index` (Martin and McCann, 1989); NaN without a drawdown."""
    ulcer = ulcer_index(returns)
    return annual_return(returns, periods_per_year) / ulcer if ulcer > 0 else float("nan")


def pain_ratio(returns: Any, periods_per_year: float = PERIODS_PER_YEAR) -> float:
    """Annual return over `pain_index` (Becker, 2010); NaN without a drawdown."""
    pain = pain_index(returns)
    return annual_return(returns, periods_per_year) / pain if pain > 0 else float("nan")


@dataclass(frozen=True)
class Drawdowns:
    """Every spell below an earlier peak, in order.

    Attributes
    ----------
    peak, trough, end : int64[k]
        Periods counted from the starting value, which is 0: of the peak, of the lowest value, and
        of the first value not below the peak; ``end`` is -1 while the path has not recovered.
    depth : float64[k]
        Largest fall, a fraction.
    n_periods : int
        Returns of the series.
    """

    peak: np.ndarray
    trough: np.ndarray
    end: np.ndarray
    depth: np.ndarray
    n_periods: int

    @property
    def lengths(self) -> np.ndarray:
        """Periods from peak to recovery, or to the last period of a spell that goes on."""
        return np.where(self.end < 0, self.n_periods, self.end) - self.peak

    @property
    def recoveries(self) -> np.ndarray:
        """Periods from trough to recovery, ``float64[k]``; NaN where it has not recovered."""
        return np.where(self.end < 0, np.nan, self.end - self.trough)


def falls_of(wealth: Any) -> Drawdowns:
    """Find every spell of `wealth`, ``float64[n + 1]``, below an earlier peak; it starts at period 0."""
    values = np.asarray(wealth, dtype=float)
    falls = fall_path(values)
    below = np.concatenate([[False], falls > 0, [False]])
    # index k of `below` is period k - 1
    starts = np.flatnonzero(below[1:] & ~below[:-1])
    ends = np.flatnonzero(~below[1:] & below[:-1])
    trough = [int(a + np.argmin(values[a:b])) for a, b in zip(starts, ends, strict=True)]
    return Drawdowns(
        peak=starts - 1,
        trough=np.array(trough, dtype=np.int64),
        end=np.where(ends == falls.size, -1, ends),
        depth=falls[trough] if trough else np.empty(0),
        n_periods=max(falls.size - 1, 0),
    )


def drawdowns(returns: Any) -> Drawdowns:
    """Find every spell below an earlier peak, the starting value included.

    Examples
    --------
    >>> found = drawdowns([0.1, -0.5, 0.0, 1.5, -0.1])
    >>> found.peak.tolist(), found.trough.tolist(), found.end.tolist()
    ([1, 4], [2, 5], [4, -1])
    """
    return falls_of(np.concatenate([[1.0], np.cumprod(1 + series(returns, "returns"))]))


def longest_underwater(returns: Any) -> float:
    """Periods of the longest spell below an earlier peak, one that goes on included.

    Returns
    -------
    float
        0 for a path that never falls; NaN without returns.
    """
    found = drawdowns(returns)
    return float(found.lengths.max(initial=0)) if found.n_periods else float("nan")


def recovery_periods(returns: Any) -> float:
    """Periods from the bottom of the deepest drawdown until its peak was reached again.

    Returns
    -------
    float
        NaN without a drawdown, or where it has not recovered.
    """
    found = drawdowns(returns)
    return float(found.recoveries[found.depth.argmax()]) if found.depth.size else float("nan")


def mean_drawdown_periods(returns: Any) -> float:
    """Mean length of the spells below an earlier peak; NaN without one."""
    found = drawdowns(returns)
    return float(found.lengths.mean()) if found.depth.size else float("nan")
