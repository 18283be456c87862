"""OHLCV frames as people have them, pandas or polars, into the house's bars and back.

Belongs here: column names, time stamps and symbols of frames from outside. Does not belong here:
any computation on prices.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from btq_assets.backtest.market import BacktestError

TIME_NAMES = ("ts", "timestamp", "datetime", "date", "time")
SYMBOL_NAMES = ("symbol", "ticker", "asset")

#: Symbol of a frame that has no symbol column.
ONLY_SYMBOL = "asset"

UNIVERSE = "notebook"

_NUMBERS = (
    "open",
    "high",
    "low",
    "close",
    "volume",
    "adj_open",
    "adj_high",
    "adj_low",
    "adj_close",
)


def to_polars(data: Any) -> pl.DataFrame:
    """Polars copy of a pandas or polars frame, rows in the same order.

    A pandas index with a name or with dates becomes a column.

    Raises
    ------
    BacktestError
        Neither pandas nor polars.
    """
    if isinstance(data, pl.LazyFrame):
        return data.collect()
    if isinstance(data, pl.DataFrame):
        return data
    if not (hasattr(data, "reset_index") and hasattr(data, "columns")):
        raise BacktestError(f"data is a {type(data).__name__}; a pandas or polars frame is needed")
    named = data.index.nlevels > 1 or data.index.name is not None
    if named or "datetime" in str(data.index.dtype):
        data = data.reset_index(names=None if named else "ts")
    return pl.from_pandas(data.rename(columns=str))


def _lower(frame: pl.DataFrame) -> pl.DataFrame:
    names = [name.strip().lower().replace(" ", "_") for name in frame.columns]
    if len(set(names)) != len(names):
        raise BacktestError(f"columns {frame.columns} repeat a name when case is ignored")
    return frame.rename(dict(zip(frame.columns, names, strict=True)))


def _named(frame: pl.DataFrame, wanted: tuple[str, ...]) -> str | None:
    """First column whose lower-case name is one of `wanted`, in the order of `wanted`."""
    lower = {name.strip().lower(): name for name in frame.columns}
    return next((lower[name] for name in wanted if name in lower), None)


def time_column(data: Any) -> pl.Series:
    """Times of the rows of `data`, UTC, in the order of the rows."""
    frame = to_polars(data)
    time = _named(frame, TIME_NAMES)
    if time is None:
        raise BacktestError(
            f"columns are {frame.columns}; a time is needed, one of {', '.join(TIME_NAMES)}"
        )
    stamps = frame.select(_utc(frame, time)).to_series()
    if stamps.null_count():
        raise BacktestError(f"column {time!r} has {stamps.null_count()} missing time(s)")
    return stamps


def as_bars(data: Any) -> pl.DataFrame:
    """Bars out of OHLCV: ``universe``, ``symbol``, ``ts`` and the price columns, sorted.

    Parameters
    ----------
    data
        Columns (any case): a time (``ts``, ``timestamp``, ``datetime``, ``date`` or the index),
        optionally ``symbol``, and ``close`` or ``adj_close``; ``open`` and ``volume`` if there
        are any. Without ``adj_close`` prices are taken as they are. Naive times count as UTC: only
        their order is used.

    Raises
    ------
    BacktestError
        A needed column is missing, a time is null, a symbol has two bars at one time, or a price
        is not positive.
    """
    stamps = time_column(data)
    frame = _lower(to_polars(data))
    if not {"close", "adj_close"} & set(frame.columns):
        raise BacktestError(f"data has columns {frame.columns}; it needs close or adj_close")
    symbol = _named(frame, SYMBOL_NAMES)
    frame = frame.select(
        universe=pl.lit(UNIVERSE),
        symbol=pl.col(symbol).cast(pl.String) if symbol else pl.lit(ONLY_SYMBOL),
        ts=stamps,
        **{
            name: (pl.col(name) if name in frame.columns else pl.lit(None)).cast(pl.Float64)
            for name in _NUMBERS
        },
    ).with_columns(pl.col(_NUMBERS).fill_nan(None))
    if frame["adj_close"].null_count() == frame.height:
        frame = frame.with_columns(
            pl.col(name).alias(f"adj_{name}") for name in ("open", "high", "low", "close")
        )
    elif frame["adj_open"].null_count() == frame.height:
        factor = pl.col("adj_close") / pl.col("close")
        frame = frame.with_columns(
            (pl.col(name) * factor).alias(f"adj_{name}") for name in ("open", "high", "low")
        )
    frame = frame.filter(pl.col("adj_close").is_not_null()).sort("ts", "symbol")
    if frame.is_empty():
        raise BacktestError("data has no row with a price")
    bad = frame.filter(~(pl.col("adj_close") > 0) | pl.col("adj_close").is_infinite())
    if bad.height:
        raise BacktestError(
            f"price of {bad['symbol'][0]} at {bad['ts'][0]} is {bad['adj_close'][0]}: prices must "
            "be positive"
        )
    return frame


def _utc(frame: pl.DataFrame, time: str) -> pl.Expr:
    dtype = frame.schema[time]
    column = pl.col(time)
    if dtype == pl.String:
        column = column.str.to_datetime(time_unit="us")
    elif dtype == pl.Date or (isinstance(dtype, pl.Datetime) and dtype.time_zone is None):
        column = column.cast(pl.Datetime("us"))
    elif isinstance(dtype, pl.Datetime):
        return column.dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    else:
        raise BacktestError(f"column {time!r} is {dtype}; dates or timestamps are needed")
    return column.dt.replace_time_zone("UTC")


def as_targets(weights: Any) -> pl.DataFrame:
    """Target weights out of a frame: ``symbol``, ``ts``, ``weight``.

    Parameters
    ----------
    weights
        Long (time, symbol, ``weight``), or wide (time, and one column of weights per symbol).
    """
    frame = to_polars(weights)
    stamps = time_column(weights)
    symbol, weight = _named(frame, SYMBOL_NAMES), _named(frame, ("weight",))
    if weight is None:
        wide = frame.drop(_named(frame, TIME_NAMES) or ()).with_columns(ts=stamps)
        long = wide.unpivot(index="ts", variable_name="symbol", value_name="weight")
    else:
        long = frame.select(
            symbol=pl.col(symbol).cast(pl.String) if symbol else pl.lit(ONLY_SYMBOL),
            ts=stamps,
            weight=pl.col(weight),
        )
    return long.with_columns(pl.col("weight").cast(pl.Float64)).drop_nulls("weight")
