"""Bars as the arrays qlib's named sets read, and their results as a frame.

Belongs here: what alpha158 and alpha360 share. Does not belong here: any expression.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from btq_assets.features.definitions import KEY, OHLCV, SYMBOL, FeatureError, has_columns

_ADJUSTED = ("adj_open", "adj_high", "adj_low", "adj_close")
_VWAP = "vwap"


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
        Rows with open, high, low, close and volume; ``None`` where all rows are.
    """

    arrays: Mapping[str, NDArray[np.float64]]
    starts: NDArray[np.int64]
    keys: pl.DataFrame
    traded: pl.Series | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.starts[-1])


def fields_of(bars: pl.DataFrame) -> Fields:
    """Arrays of the symbols that have volume.

    Adjusted shares are shares times close over adjusted close: what qlib calls volume. The share
    that is added before taking logarithms is one share as traded, so that a later split
    shifts the logarithm and changes no correlation.

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
    frame = _ordered(has_columns(bars, names).select(*KEY, *names))
    finite = pl.all_horizontal(pl.col(*OHLCV, *_ADJUSTED).is_finite()).fill_null(False)
    traded = frame.select(finite.alias("traded"))["traded"]
    if not traded.all():
        # Symbols that never have volume would only be filtered out in the end.
        kept = frame.with_columns(_traded=traded).filter(pl.col("_traded").any().over(SYMBOL))
        traded = kept["_traded"]
        frame = kept.drop("_traded")
    first = frame.select(
        pl.any_horizontal(pl.col(name) != pl.col(name).shift(1) for name in SYMBOL).fill_null(True)
    ).to_series()
    starts = np.append(first.arg_true().to_numpy().astype(np.int64), frame.height)
    with np.errstate(all="ignore"):
        arrays = _arrays(frame)
    return Fields(arrays, starts, frame.select(KEY), None if traded.all() else traded)


def _ordered(bars: pl.DataFrame) -> pl.DataFrame:
    """Priced bars by symbol and time, each once."""
    price = pl.col("adj_close")
    priced = bars.select(price.is_finite() & (price > 0)).to_series()
    # Filtering would copy everything, most often to leave nothing out.
    frame = bars if priced.all() and not priced.has_nulls() else bars.filter(priced)
    before = [pl.col(name).shift(1) for name in KEY]
    universe, symbol, ts = (pl.col(name) for name in KEY)
    ahead = (
        (universe > before[0])
        | ((universe == before[0]) & (symbol > before[1]))
        | ((universe == before[0]) & (symbol == before[1]) & (ts > before[2]))
    )
    if frame.select(ahead.slice(1).all()).item():
        return frame
    frame = frame.sort(KEY)
    again = pl.all_horizontal(pl.col(name) == pl.col(name).shift(1) for name in KEY)
    repeated = frame.filter(again)
    if not repeated.is_empty():
        row = repeated.row(0, named=True)
        raise FeatureError(
            f"{row['universe']}/{row['symbol']} has several bars at {row['ts']}; keep one of them"
        )
    return frame


def _arrays(frame: pl.DataFrame) -> dict[str, NDArray[np.float64]]:
    def array(name: str) -> NDArray[np.float64]:
        # A copy of its own: kernels are compiled for arrays one may write to.
        return frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy(writable=True)

    arrays = {name.removeprefix("adj_"): array(name) for name in _ADJUSTED}
    shares, raw_close = array("volume"), array("close")
    adjustment = raw_close / arrays["close"]
    arrays["volume"] = shares * adjustment
    arrays["log_volume"] = np.log(shares + 1) + np.log(adjustment)
    arrays["vwap"] = array(_VWAP) / adjustment
    for values in arrays.values():
        values[~np.isfinite(values)] = np.nan
    return arrays


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
