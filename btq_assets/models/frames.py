"""Frames as a notebook has them, made into the panels models read.

Belongs here: pandas or polars in, tidy polars out. Does not belong here: features and fitting.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from btq_assets.models.forecaster import ModelError

_TIME_NAMES = ("ts", "timestamp", "datetime", "date", "session")
_DEFAULT_SYMBOL = "asset"
_DEFAULT_UNIVERSE = "notebook"


def tidy_panel(frame: Any) -> pl.DataFrame:
    """Rows with ``universe``, ``symbol``, ``ts`` and ``session_return``, sorted.

    Parameters
    ----------
    frame
        polars or pandas. The time is the column ``ts`` (or timestamp, datetime, date, session;
        any case), or a pandas index of timestamps. Times without a zone are read as UTC: only
        their order matters here. Without ``symbol`` all rows are one asset; without ``universe``
        they are one universe. ``session_return`` is computed from ``adj_close`` or ``close``.

    Raises
    ------
    ModelError
        No time column, a repeated row, or neither a return nor a close.
    """
    panel = _to_polars(frame)
    lower = {name.lower(): name for name in panel.columns}
    time_name = next((lower[name] for name in _TIME_NAMES if name in lower), None)
    if time_name is None:
        raise ModelError(
            f"no time column: name one of {_TIME_NAMES} or use a pandas index of timestamps; "
            f"found {panel.columns}"
        )
    panel = panel.rename({time_name: "ts"}) if time_name != "ts" else panel
    panel = panel.with_columns(_as_utc(panel.schema["ts"]))
    for name, value in (("symbol", _DEFAULT_SYMBOL), ("universe", _DEFAULT_UNIVERSE)):
        if name not in panel.columns:
            panel = panel.with_columns(pl.lit(value).alias(name))
    panel = panel.with_columns(pl.col("symbol", "universe").cast(pl.String))
    panel = panel.sort("universe", "symbol", "ts")
    if panel.select("universe", "symbol", "ts").is_duplicated().any():
        raise ModelError("a symbol has two rows at the same time; drop one of them")
    if "session_return" not in panel.columns:
        price = next((lower[n] for n in ("adj_close", "close") if n in lower), None)
        if price is None:
            raise ModelError(f"neither session_return nor a close is among {panel.columns}")
        panel = panel.with_columns(
            session_return=pl.col(price).pct_change().over("universe", "symbol")
        )
    return panel


def price_column(panel: pl.DataFrame) -> str | None:
    """Name of the column returns are computed from, if there is one."""
    lower = {name.lower(): name for name in panel.columns}
    return next((lower[name] for name in ("adj_close", "close") if name in lower), None)


def require_numeric(panel: pl.DataFrame, columns: Sequence[str]) -> None:
    """Raise `ModelError` naming columns that hold no numbers."""
    wrong = [name for name in columns if not panel.schema[name].is_numeric()]
    if wrong:
        raise ModelError(f"feature column(s) {wrong} are not numeric; encode or drop them")


def _to_polars(frame: Any) -> pl.DataFrame:
    if isinstance(frame, pl.DataFrame):
        return frame
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    if hasattr(frame, "reset_index") and hasattr(frame, "index"):
        # A plain 0..n-1 index carries nothing; any other one holds times or symbols.
        named = any(name is not None for name in frame.index.names)
        timed = hasattr(frame.index, "tz")
        if timed and frame.index.name is None:
            frame = frame.rename_axis("ts")
        return pl.from_pandas(frame.reset_index() if named or timed else frame)
    raise ModelError(f"a polars or pandas frame is needed, not {type(frame).__name__}")


def _as_utc(dtype: pl.DataType) -> pl.Expr:
    ts = pl.col("ts")
    if dtype == pl.String:
        ts = ts.str.to_datetime(time_unit="us")
        return ts.dt.replace_time_zone("UTC")
    if dtype == pl.Date:
        return ts.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if isinstance(dtype, pl.Datetime):
        ts = ts.dt.cast_time_unit("us")
        zoned = dtype.time_zone is not None
        return ts.dt.convert_time_zone("UTC") if zoned else ts.dt.replace_time_zone("UTC")
    raise ModelError(f"the time column is {dtype}; timestamps or dates are needed")
