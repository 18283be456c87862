"""What every figure reads: series without gaps, and when a series is constant.

Belongs here: reading and pairing of series. Does not belong here: figures.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from btq_assets.engine.errors import EngineError

PERIODS_PER_YEAR = 252

#: A deviation this small relative to the values is rounding: the series is constant.
_CONSTANT = 1e-14


def _array(values: Any, name: str) -> np.ndarray:
    array = np.asarray(
        values.to_numpy() if hasattr(values, "to_numpy") else values, dtype=float
    ).ravel()
    if np.isinf(array).any():
        raise EngineError(f"{name} holds an infinite value at position {np.isinf(array).argmax()}")
    return array


def series(values: Any, name: str) -> np.ndarray:
    """`values` as ``float64[n]`` without the missing ones; an infinite one is refused."""
    array = _array(values, name)
    return array[~np.isnan(array)]


def pairs(returns: Any, benchmark_returns: Any) -> tuple[np.ndarray, np.ndarray]:
    """Two series of the same periods without those missing in either.

    Raises
    ------
    EngineError
        The two differ in length, or one holds an infinite value.
    """
    first, second = _array(returns, "returns"), _array(benchmark_returns, "benchmark_returns")
    if first.size != second.size:
        raise EngineError(
            f"{first.size} returns against {second.size} benchmark returns: pair them first"
        )
    known = ~(np.isnan(first) | np.isnan(second))
    return first[known], second[known]


def deviation(values: np.ndarray) -> float:
    """Sample standard deviation; NaN below two values or when it is only rounding."""
    if values.size < 2:
        return float("nan")
    found = float(values.std(ddof=1))
    return found if found > _CONSTANT * np.abs(values).max() else float("nan")
