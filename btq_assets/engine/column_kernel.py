"""Columns that a run may go without, as constants of the compiled code.

Belongs here: reading a column that is ``None`` where every row has the default. Numba compiles a
caller once for each set of columns that are there, and what depends on an absent one is left out of
the machine code: market orders pay nothing for limits and stops. Does not belong here: what the
columns mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload


def has(column: Any) -> bool:
    """Whether a column is there: not ``None`` and not empty."""
    return column is not None and column.shape[0] > 0


def at(column: Any, row: int, absent: Any) -> Any:
    """``column[row]``, or `absent` where there is no column."""
    return column[row] if has(column) else absent


def price_at(kinds: Any, prices: np.ndarray, row: int, column: int) -> float:
    """``prices[row, column]``; NaN where orders have no kinds, and so no prices."""
    return prices[row, column] if has(kinds) else np.nan


@overload(has)
def _has(column):
    if isinstance(column, types.NoneType):
        return lambda column: False
    return lambda column: column.shape[0] > 0


@overload(at)
def _at(column, row, absent):
    if isinstance(column, types.NoneType):
        return lambda column, row, absent: absent
    return lambda column, row, absent: column[row] if column.shape[0] > 0 else absent


@overload(price_at)
def _price_at(kinds, prices, row, column):
    if isinstance(kinds, types.NoneType):
        return lambda kinds, prices, row, column: np.nan
    return lambda kinds, prices, row, column: prices[row, column] if prices.shape[0] > 0 else np.nan
