"""Bars as the arrays qlib's named sets read, and their results as a frame.

Belongs here: what alpha158 and alpha360 share. Does not belong here: any expression.

Raw columns stay in the chunks the frame holds them in. What is read of them is put together for a
range of rows at a time, by the thread that needs it, so that no second copy of the bars is made.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from btq_assets.features.definitions import KEY, OHLCV, FeatureError, has_columns

_ADJUSTED = ("adj_open", "adj_high", "adj_low", "adj_close")
_VWAP = "vwap"

#: Rows looked at together where nothing else sets their number.
_STRETCH = 1 << 16


class Chunks:
    """A column of numbers, read by ranges of rows.

    Parameters
    ----------
    column
        Any numbers; null is read as NaN.
    """

    def __init__(self, column: pl.Series) -> None:
        numbers = column.cast(pl.Float64).fill_null(np.nan)
        self._parts = [chunk.to_numpy() for chunk in numbers.get_chunks() if len(chunk)]
        self._starts = np.cumsum([0, *(part.size for part in self._parts)])

    def __getitem__(self, rows: slice) -> NDArray[np.float64]:
        """A copy of its own: kernels are compiled for arrays one may write to."""
        low, high, _ = rows.indices(int(self._starts[-1]))
        out = np.empty(max(high - low, 0))
        at = int(np.searchsorted(self._starts, low, side="right")) - 1
        done = 0
        while done < out.size:
            begin = low + done - self._starts[at]
            part = self._parts[at][begin : begin + out.size - done]
            out[done : done + part.size] = part
            done += part.size
            at += 1
        return out


class Adjusted(Mapping[str, NDArray[np.float64]]):
    """Bars adjusted for splits and dividends, worked out when asked for.

    Adjusted shares are shares times close over adjusted close: what qlib calls volume. The share
    that is added before taking logarithms is one share as traded, so that a later split
    shifts the logarithm and changes no correlation.

    Parameters
    ----------
    raw
        Columns of `core.bars_1d` and ``vwap``.
    """

    NAMES = ("open", "high", "low", "close", "volume", "log_volume", "vwap")

    def __init__(self, raw: Mapping[str, Chunks]) -> None:
        self._raw = raw

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        return self.part(slice(None), (name,))[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.NAMES)

    def __len__(self) -> int:
        return len(self.NAMES)

    def part(self, rows: slice, names: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        """Some of the arrays at some rows; what is infinite is missing."""
        found = {
            name: self._raw[f"adj_{name}"][rows]
            for name in ("open", "high", "low", "close")
            if name in names
        }
        with np.errstate(all="ignore"):
            if {"volume", "log_volume", _VWAP} & set(names):
                adjusted = found["close"] if "close" in found else self._raw["adj_close"][rows]
                adjustment = self._raw["close"][rows] / adjusted
            if {"volume", "log_volume"} & set(names):
                shares = self._raw["volume"][rows]
            if "volume" in names:
                found["volume"] = shares * adjustment
            if "log_volume" in names:
                found["log_volume"] = np.log(shares + 1) + np.log(adjustment)
            if _VWAP in names:
                found[_VWAP] = self._raw[_VWAP][rows] / adjustment
        for values in found.values():
            finite = np.isfinite(values)
            if not finite.all():
                values[~finite] = np.nan
        return found


@dataclass(frozen=True)
class Fields:
    """Bars of all symbols as arrays, one symbol after the other.

    Parameters
    ----------
    arrays
        ``float64[rows]`` by name: open, high, low, close, vwap adjusted for splits and dividends,
        volume in adjusted shares, and log_volume, the logarithm of volume plus one share.
    starts
        ``int64[symbols + 1]``: where each symbol begins, and the number of rows.
    keys
        Universe, symbol and time of the rows.
    traded
        Rows with possible open, high, low, close and volume; ``None`` where all rows are.
    """

    arrays: Mapping[str, NDArray[np.float64]]
    starts: NDArray[np.int64]
    keys: pl.DataFrame
    traded: pl.Series | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.starts[-1])

    def part(self, rows: slice, names: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        """Some of the arrays at some rows."""
        if isinstance(self.arrays, Adjusted):
            return self.arrays.part(rows, names)
        return {name: self.arrays[name][rows] for name in names}


def fields_of(bars: pl.DataFrame) -> Fields:
    """Arrays of the symbols that have volume.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`, in any order; ``vwap``, unadjusted, is read where given.

    Raises
    ------
    FeatureError
        A column is missing, or a symbol has two rows at one time.
    """
    missing = [name for name in (*KEY, "adj_close") if name not in bars.columns]
    if missing:
        raise FeatureError(f"bars lack column(s) {missing}; they have {bars.columns}")
    names = (*OHLCV, *_ADJUSTED, _VWAP)
    frame = has_columns(bars, names).select(*KEY, *names)
    price = pl.col("adj_close")
    priced = frame.select(price.is_finite() & (price > 0)).to_series()
    if not priced.all() or priced.has_nulls():
        # Filtering copies everything, most often to leave nothing out.
        frame = frame.filter(priced)
    starts = _histories(frame)
    if starts is None:
        frame, starts = _sorted(frame)
    raw = {name: Chunks(frame[name]) for name in names}
    traded = _traded(raw, frame.height)
    if traded is None:
        return Fields(Adjusted(raw), starts, frame.select(KEY))
    frame = _without_impossible(frame)
    # Symbols that never have volume would only be filtered out in the end.
    sizes = np.diff(starts)
    ever = np.logical_or.reduceat(traded, starts[:-1]) if sizes.size else np.empty(0, bool)
    if not ever.all():
        kept = np.repeat(ever, sizes)
        frame, traded = frame.filter(pl.Series(kept)), traded[kept]
        starts = np.concatenate([[0], np.cumsum(sizes[ever])]).astype(np.int64)
    raw = {name: Chunks(frame[name]) for name in names}
    return Fields(Adjusted(raw), starts, frame.select(KEY), pl.Series(traded))


def _without_impossible(bars: pl.DataFrame) -> pl.DataFrame:
    """Bars in which what cannot have been is missing, so that no window takes it for a fact."""
    opened, high, low = (pl.col(f"adj_{name}") for name in ("open", "high", "low"))
    crossed = (high < low) & high.is_finite() & low.is_finite()
    ranges = ((opened <= 0) | (low <= 0) | crossed).fill_null(False)
    volume = ((pl.col("volume") < 0) | (pl.col("close") <= 0)).fill_null(False)
    return bars.with_columns(
        *(pl.when(~ranges).then(pl.col(name)) for name in ("adj_open", "adj_high", "adj_low")),
        pl.when(~volume).then(pl.col("volume")),
    )


def _histories(frame: pl.DataFrame) -> NDArray[np.int64] | None:
    """Where each symbol begins, and the number of rows; ``None`` where rows are not in order."""
    if any(frame[name].has_nulls() for name in KEY):
        return None
    firsts = {0}
    for name in KEY[:2]:
        lengths = frame[name].rle().struct.field("len").cast(pl.Int64)
        firsts.update(lengths.cum_sum().to_list()[:-1])
    begins = np.array(sorted(firsts) if frame.height else [], np.int64)
    symbols = frame.select(KEY[:2])[begins].rows()
    if any(one >= other for one, other in pairwise(symbols)):
        return None
    stamps = frame["ts"].to_physical().to_numpy()
    later = stamps[1:] > stamps[:-1]
    later[begins[1:] - 1] = True
    return np.append(begins, frame.height) if later.all() else None


def _sorted(frame: pl.DataFrame) -> tuple[pl.DataFrame, NDArray[np.int64]]:
    """Rows by symbol and time, each once, and where each symbol begins."""
    frame = frame.sort(KEY)
    again = pl.all_horizontal(pl.col(name) == pl.col(name).shift(1) for name in KEY)
    repeated = frame.filter(again)
    if not repeated.is_empty():
        row = repeated.row(0, named=True)
        raise FeatureError(
            f"{row['universe']}/{row['symbol']} has several bars at {row['ts']}; keep one of them"
        )
    starts = _histories(frame)
    if starts is None:
        raise FeatureError("bars lack universe, symbol or time in some rows; fill or drop them")
    return frame, starts


def _traded(raw: Mapping[str, Chunks], rows: int) -> NDArray[np.bool_] | None:
    """Rows with all raw and adjusted numbers, and possible ones; ``None`` where all rows are.

    The rule is that of `definitions.is_whole_bar`.
    """

    def whole(low: int) -> NDArray[np.bool_]:
        stretch = slice(low, low + _STRETCH)
        bar = {name: raw[name][stretch] for name in (*OHLCV, *_ADJUSTED)}
        found = [np.isfinite(values) for values in bar.values()]
        found += [bar[name] > 0 for name in ("open", "low", "close", "adj_open", "adj_low")]
        found += [bar["high"] >= bar["low"], bar["adj_high"] >= bar["adj_low"], bar["volume"] >= 0]
        return np.logical_and.reduce(found)

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        parts = list(pool.map(whole, range(0, rows, _STRETCH)))
    if all(part.all() for part in parts):
        return None
    return np.concatenate(parts)


def frame_of(
    fields: Fields, values: Mapping[str, NDArray[np.float32]], prefix: str
) -> pl.DataFrame:
    """Results as a frame of the rows with volume, undefined values null.

    The memory of the results is handed over, not copied.

    Parameters
    ----------
    fields
        What the results were computed from.
    values
        ``float32[rows]`` by name.
    prefix
        Put before each name.
    """

    def column(name: str) -> pl.Series:
        found = values[name]
        defined = np.isfinite(found)
        missing = found.size - int(np.count_nonzero(defined))
        valid = pa.py_buffer(np.packbits(defined, bitorder="little")) if missing else None
        buffers = [valid, pa.py_buffer(found)]
        array = pa.Array.from_buffers(pa.float32(), found.size, buffers, missing)
        series = pl.Series(prefix + name, array)
        return series if fields.traded is None else series.filter(fields.traded)

    with ThreadPoolExecutor() as pool:
        columns = list(pool.map(column, values))
    keys = fields.keys if fields.traded is None else fields.keys.filter(fields.traded)
    return keys.hstack(columns)
