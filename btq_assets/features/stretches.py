"""Histories cut at fixed dates, each stretch with rows before it to settle on.

Belongs here: which rows a computation with a long memory reads for which rows of its result. Does
not belong here: what is computed.

A recursive average depends on every row before it, and a running sum on the rounding of all that
was ever added. Starting both at dates of the calendar, rather than where a history happens to
begin, makes a value a function of the rows since one known date.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from btq_assets.features.definitions import OHLCV, has_columns, is_whole_bar
from btq_assets.features.qlib_bars import fields_of

#: Days of the calendar between two starts.
PERIOD_DAYS = 730
#: Days before a start that are read for what has a finite window, at most 130 sessions.
SHORT_DAYS = 300
#: Days before a start that are read for what carries all earlier values on: 755 sessions, after
#: which the weights of an exponential average of 50 sessions are below 1e-13.
LONG_DAYS = 1095
#: Rows computed at a time, so that memory does not grow with the number of symbols.
ROWS_AT_A_TIME = 40_000

#: Quotient of two prices, or volumes, of a stretch beyond which running sums of the larger have
#: lost the digits of the smaller that a float32 keeps.
TOO_LARGE = 1e6

#: Number of a stretch within a frame of stretches.
HISTORY = "stretch"


@dataclass(frozen=True)
class Bars:
    """Bars with a price and a volume as arrays, one symbol after the other.

    Parameters
    ----------
    keys
        Universe, symbol and time of the rows.
    arrays
        ``float64[rows]``: adjusted open, high, low and close, and volume in adjusted shares.
    starts
        ``int64[symbols + 1]``: where each symbol begins, and the number of rows.
    days
        ``int64[rows]``: day of the row since 1970.
    """

    keys: pl.DataFrame
    arrays: Mapping[str, NDArray[np.float64]]
    starts: NDArray[np.int64]
    days: NDArray[np.int64]

    @classmethod
    def of(cls, bars: pl.DataFrame) -> Bars:
        """Take the rows that have open, high, low, close and volume, and possible ones.

        Raises
        ------
        FeatureError
            A column is missing, or a symbol has two rows at one time.
        """
        names = (*OHLCV, *(f"adj_{name}" for name in OHLCV[:4]))
        fields = fields_of(has_columns(bars, names).filter(is_whole_bar()))
        days = fields.keys["ts"].dt.epoch("d").cast(pl.Int64).to_numpy()
        return cls(fields.keys, {n: fields.arrays[n] for n in OHLCV}, fields.starts, days)

    def stretches(self, days_before: int, since_day: int | None = None) -> Iterator[pl.DataFrame]:
        """Frames of whole stretches, in the order of the rows.

        Parameters
        ----------
        days_before
            Days of the calendar before each start that are read as well.
        since_day
            Stretches that end before this day since 1970 are left out.

        Yields
        ------
        polars.DataFrame
            The arrays scaled by powers of two, which changes no bit of a result of the right
            dimension, so that thresholds inside a computation mean the same for every symbol;
            ``stretch``, ``kept`` (whether a row belongs to the result), ``still_close`` and
            ``still_bar``, the sessions in a row without a change, and ``dwarfed_price`` and
            ``dwarfed_volume``, whether the week is lost in sums since the stretch began.
        """
        batch: list[tuple[int, int, int]] = []
        rows = 0
        for begin, first, end in self._bounds(days_before, since_day):
            if batch and rows + end - begin > ROWS_AT_A_TIME:
                yield self._frame(batch)
                batch, rows = [], 0
            batch.append((begin, first, end))
            rows += end - begin
        if batch:
            yield self._frame(batch)

    def rows_since(self, since_day: int | None) -> pl.DataFrame:
        """Keys of the rows that stretches since a day belong to; see `stretches`."""
        ranges = [self.keys[first:end] for _, first, end in self._bounds(0, since_day)]
        return pl.concat(ranges) if ranges else self.keys.clear()

    def _bounds(
        self, days_before: int, since_day: int | None = None
    ) -> Iterator[tuple[int, int, int]]:
        for low, high in zip(self.starts[:-1], self.starts[1:], strict=True):
            days = self.days[low:high]
            periods = days // PERIOD_DAYS
            firsts = np.flatnonzero(np.diff(periods, prepend=periods[:1] - 1))
            for first, end in zip(firsts, [*firsts[1:], days.size], strict=True):
                if since_day is not None and days[end - 1] < since_day:
                    continue
                begin = np.searchsorted(days, periods[first] * PERIOD_DAYS - days_before)
                yield int(low + begin), int(low + first), int(low + end)

    def _frame(self, bounds: list[tuple[int, int, int]]) -> pl.DataFrame:
        lengths = np.array([end - begin for begin, _, end in bounds])
        rows = np.concatenate([np.arange(begin, end) for begin, _, end in bounds])
        kept = np.concatenate([np.arange(begin, end) >= first for begin, first, end in bounds])
        begins = np.array([begin for begin, _, _ in bounds])
        price = np.repeat(_binary(self.arrays["close"][begins]), lengths)
        volume = np.repeat(_binary(self.arrays["volume"][begins]), lengths)
        columns = {
            name: values[rows] * (volume if name == "volume" else price)
            for name, values in self.arrays.items()
        }
        number = np.repeat(np.arange(len(bounds)), lengths)
        return pl.DataFrame({**columns, HISTORY: number, "kept": kept}).with_columns(
            _still("close").alias("still_close"),
            _still(*OHLCV[:4]).alias("still_bar"),
            _dwarfed("low", "high").alias("dwarfed_price"),
            _dwarfed("volume", "volume").alias("dwarfed_volume"),
        )


def _binary(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The power of two that brings each value between one half and one."""
    _, exponent = np.frexp(np.where(values > 0, values, 1.0))
    return np.ldexp(1.0, -exponent)


def _still(*names: str) -> pl.Expr:
    """Sessions in a row, up to each row, without a change of any of `names`."""
    row = pl.int_range(pl.len())
    changed = pl.any_horizontal(pl.col(name) != pl.col(name).shift(1) for name in names)
    last = pl.when(changed.fill_null(False)).then(row).forward_fill().fill_null(0)
    return (row - last).over(HISTORY)


def _dwarfed(low: str, high: str) -> pl.Expr:
    """Whether an earlier value is `TOO_LARGE` times those of the week, or they are of it."""
    above = pl.col(high).cum_max() > TOO_LARGE * pl.col(high).rolling_max(5, min_samples=1)
    smallest = pl.col(low).rolling_min(5, min_samples=1)
    below = (pl.col(low).cum_min() > 0) & (smallest > TOO_LARGE * pl.col(low).cum_min())
    return ((above & (pl.col(high).rolling_max(5, min_samples=1) > 0)) | below).over(HISTORY)
