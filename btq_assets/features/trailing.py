"""The last bars of every history in a sorted table, read without touching the older ones.

Belongs here: where histories begin and end, and their trailing windows as arrays. Does not belong
here: what is computed from them (`newest`).

A table of ten years is looked at in a few thousand places instead of a million: its rows are sorted
by the key, so that two equal names have nothing else between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from btq_assets.features.definitions import KEY, SYMBOL

Array = NDArray[np.float64]
Places = NDArray[np.int64]

#: Rows between two looks at the names.
_STRIDE = 1024


@dataclass(frozen=True)
class Histories:
    """Where each symbol's rows are.

    Parameters
    ----------
    names
        ``universe`` and ``symbol``, ascending.
    starts, ends
        First row of each, and the row after its last one.
    """

    names: pl.DataFrame
    starts: Places
    ends: Places

    def of(self, which: NDArray[np.bool_]) -> Histories:
        """Some of them."""
        return Histories(self.names.filter(which), self.starts[which], self.ends[which])


def histories(bars: pl.DataFrame) -> Histories | None:
    """Histories of `bars`, sorted by universe, symbol and time.

    Returns
    -------
    Histories or None
        ``None`` where names are seen not to ascend.
    """
    names = bars.select(SYMBOL)
    looked = np.arange(0, bars.height + _STRIDE - 1, _STRIDE)
    looked[-1] = bars.height - 1
    among = np.flatnonzero(_differ(names, looked[:-1], looked[1:]))
    starts = np.append(0, _changes(names, looked[among], looked[among + 1]))
    heads = names[starts]
    said = list(heads.iter_rows())
    if any(left >= right for left, right in pairwise(said)):
        return None
    return Histories(heads, starts, np.append(starts[1:], bars.height))


def _changes(names: pl.DataFrame, left: Places, right: Places) -> Places:
    """Rows whose name is not that of the row before, between rows whose names differ."""
    low, high = left, right
    while (high - low > 1).any():
        middle = (low + high) // 2
        other = _differ(names, left, middle)
        low, high = np.where(other, low, middle), np.where(other, middle, high)
    several = _differ(names, high, right)
    if not several.any():
        return high
    # a stretch with more than one change is looked at row by row
    rows = np.concatenate(
        [np.arange(a + 1, b + 1) for a, b in zip(left[several], right[several], strict=True)]
    )
    return np.sort(np.append(high[~several], rows[_differ(names, rows - 1, rows)]))


def _differ(names: pl.DataFrame, left: Places, right: Places) -> NDArray[np.bool_]:
    found = np.zeros(left.size, dtype=bool)
    for name in SYMBOL:
        found |= (names[name][left] != names[name][right]).to_numpy()
    return found


class Trailing:
    """Trailing windows of some histories, the newest bar last; columns are gathered when asked for.

    Parameters
    ----------
    bars
        All rows, sorted by universe, symbol and time, every one with a price.
    held
        Histories shown.
    n_bars
        Bars in a window of those that read everything that is kept.

    Notes
    -----
    Two columns are not in `bars`: ``_p``, the adjusted close in units of the first one of the
    history, and ``_r``, its log return.
    """

    def __init__(self, bars: pl.DataFrame, held: Histories, n_bars: int) -> None:
        self._bars = bars
        self._held = held
        self._known: dict[str, Array] = {}
        self._rows: tuple[Places, NDArray[np.bool_]] | None = None
        self.shape = held.starts.size, n_bars
        anchors = bars["adj_close"][held.starts].cast(pl.Float64).to_numpy()
        # As the batch does: polars multiplies by the reciprocal of the first price.
        self._per_anchor = (1 / anchors)[:, None]

    def __contains__(self, name: object) -> bool:
        return name in ("_p", "_r") or name in self._bars.columns

    @property
    def ages(self) -> Places:
        """Bars of each history, those before the window left out."""
        return np.minimum(self._held.ends - self._held.starts, self.shape[1])

    def last(self, name: str, n: int) -> Array:
        """Last `n` values of each symbol, ``(symbols, n)``; NaN before a history, and where missing."""
        known = self._known.get(name)
        if known is None or known.shape[1] < n:
            known = self._known[name] = self._gathered(name, n)
        return known[:, known.shape[1] - n :]

    def rows(self, n: int) -> tuple[Places, NDArray[np.bool_]]:
        """Places of the last `n` bars in the table, and which of them are before the history."""
        known = self._rows
        if known is None or known[0].shape[1] < n:
            places = self._held.ends[:, None] + np.arange(-n, 0)
            absent = places < self._held.starts[:, None]
            if absent.any():
                places = np.where(absent, self._held.starts[:, None], places)
            known = self._rows = places, absent
        return known[0][:, -n:], known[1][:, -n:]

    def _gathered(self, name: str, n: int) -> Array:
        if name == "_p":
            return self.last("adj_close", n) * self._per_anchor
        if name == "_r":
            return np.diff(np.log(self.last("_p", n + 1)), axis=1)
        places, absent = self.rows(n)
        column = self._bars[name]
        if column.dtype == pl.Float64 and not column.null_count() and column.n_chunks() == 1:
            found = column.to_numpy()[places]
        else:
            flat = column[places.ravel()].cast(pl.Float64).fill_null(float("nan"))
            found = flat.to_numpy().reshape(places.shape).copy()
        if absent[:, 0].any():
            found[absent] = np.nan
        return found


def stamps(bars: pl.DataFrame) -> Places:
    """Times of the rows as whole numbers."""
    return bars[KEY[-1]].to_physical().to_numpy()
