"""From a person's OHLCV frame to bars, and back.

Belongs here: recognising columns of pandas and polars frames, and their order. Does not belong
here: features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from btq_assets.contracts.base import UTC_TIMESTAMP
from btq_assets.features.definitions import FeatureError

if TYPE_CHECKING:
    import pandas as pd

#: Universe of bars handed over in a notebook.
INPUT_UNIVERSE = "input"
_PRICES = ("open", "high", "low", "close", "volume", "adj_close")
_TIME_NAMES = ("ts", "date", "datetime", "timestamp", "time", "session")
_SYMBOL_NAMES = ("symbol", "ticker")


@dataclass(frozen=True)
class Input:
    """A person's frame and its bars.

    Parameters
    ----------
    original
        The frame as it came, pandas or polars.
    bars
        Columns of `core.bars_1d` the features read, plus ``_row``: position in `original`.
    """

    original: Any
    bars: pl.DataFrame

    @property
    def is_pandas(self) -> bool:
        """Whether the answer has to be pandas."""
        return not isinstance(self.original, pl.DataFrame)

    def with_features(self, features: pl.DataFrame) -> Any:
        """Append features to the original.

        Parameters
        ----------
        features
            ``_row`` and feature columns.

        Returns
        -------
        pandas.DataFrame or polars.DataFrame
            The original's rows in their own order and index, null as NaN in pandas.

        Raises
        ------
        FeatureError
            A feature has the name of an input column.
        """
        names = [name for name in features.columns if name != "_row"]
        taken = sorted({str(name) for name in self.original.columns} & set(names))
        if taken:
            raise FeatureError(f"input already has column(s) {taken}; rename or drop them")
        ordered = (
            pl.DataFrame({"_row": range(len(self.original))}, schema={"_row": pl.UInt32})
            .join(features, on="_row", how="left", maintain_order="left")
            .select(names)
        )
        if not self.is_pandas:
            return self.original.hstack(ordered)
        import pandas as pd

        columns = {name: ordered[name].to_numpy() for name in names}
        return pd.concat([self.original, pd.DataFrame(columns, index=self.original.index)], axis=1)


def read_ohlcv(ohlcv: pd.DataFrame | pl.DataFrame) -> Input:
    """Recognise the columns of an OHLCV frame.

    Parameters
    ----------
    ohlcv
        Columns ``close`` and, where known, ``open``, ``high``, ``low``, ``volume``, ``adj_close``
        (capitals and blanks do not matter), ``symbol`` for several instruments, and a time column
        or a pandas index of times. Without a time the rows are taken in order. Times without a
        zone are read as UTC: only their order matters here.

    Returns
    -------
    Input

    Raises
    ------
    FeatureError
        No close, no rows, a column that is not numeric, a repeated time, or high below low.
    """
    if len(ohlcv) == 0:
        raise FeatureError("the OHLCV frame has no rows")
    columns = _columns(ohlcv)
    if "close" not in columns:
        raise FeatureError(f"the OHLCV frame has no close; its columns are {list(ohlcv.columns)}")
    time = next((columns[name] for name in _TIME_NAMES if name in columns), None)
    symbol = next((columns[name] for name in _SYMBOL_NAMES if name in columns), None)
    frame = pl.DataFrame(
        {
            "universe": pl.repeat(INPUT_UNIVERSE, len(ohlcv), eager=True),
            "symbol": pl.repeat("input", len(ohlcv), eager=True)
            if symbol is None
            else symbol.cast(pl.String),
            "ts": _times(time, len(ohlcv)),
            **{name: _numeric(name, columns[name]) for name in _PRICES if name in columns},
        }
    ).with_row_index("_row")
    return Input(ohlcv, _adjusted(_checked(frame)))


def _columns(ohlcv: Any) -> dict[str, pl.Series]:
    """Columns (and pandas index levels) by lower-case name with underscores."""
    if isinstance(ohlcv, pl.DataFrame):
        return {_plain(name): ohlcv[name] for name in ohlcv.columns}
    import pandas as pd

    found: dict[str, pl.Series] = {}
    for level in range(ohlcv.index.nlevels):
        values = ohlcv.index.get_level_values(level)
        if isinstance(values, pd.DatetimeIndex):
            found["ts"] = pl.Series(values.to_numpy())
        elif values.name is not None:
            found[_plain(values.name)] = pl.Series(values.tolist())
    for name in ohlcv.columns:
        column = ohlcv[name]
        numeric = pd.api.types.is_numeric_dtype(column.dtype)
        found[_plain(name)] = (
            pl.Series(column.to_numpy(dtype=float, na_value=float("nan")))
            if numeric
            else pl.Series(column.tolist())
        )
    return found


def _plain(name: object) -> str:
    text = str(name).strip().lower().replace(" ", "_")
    return "adj_close" if text in ("adjclose", "adjusted_close") else text


def _times(time: pl.Series | None, n_rows: int) -> pl.Series:
    if time is None:
        days = pl.int_range(n_rows, dtype=pl.Int64, eager=True)
        return (days * 86_400_000_000).cast(UTC_TIMESTAMP)
    if time.dtype == pl.Date:
        time = time.cast(pl.Datetime("us"))
    if not isinstance(time.dtype, pl.Datetime):
        raise FeatureError(
            f"the time column holds {time.dtype}; parse it to dates or timestamps first"
        )
    if time.dtype.time_zone is None:
        return time.dt.cast_time_unit("us").dt.replace_time_zone("UTC")
    return time.dt.cast_time_unit("us").dt.convert_time_zone("UTC")


def _numeric(name: str, column: pl.Series) -> pl.Series:
    if not (column.dtype.is_numeric() or column.dtype == pl.Null):
        raise FeatureError(f"column {name!r} holds {column.dtype}, not numbers")
    return column.cast(pl.Float64).fill_nan(None)


def _checked(frame: pl.DataFrame) -> pl.DataFrame:
    repeated = frame.filter(pl.struct("symbol", "ts").is_duplicated() | pl.col("ts").is_null())
    if not repeated.is_empty():
        row = repeated.row(0, named=True)
        raise FeatureError(
            f"row {row['_row']}: time {row['ts']} of {row['symbol']!r} is missing or repeated; "
            "several instruments need a symbol column"
        )
    if {"high", "low"} <= set(frame.columns):
        crossed = frame.filter(pl.col("high") < pl.col("low"))
        if not crossed.is_empty():
            row = crossed.row(0, named=True)
            raise FeatureError(f"row {row['_row']}: high {row['high']} is below low {row['low']}")
    return frame


def _adjusted(frame: pl.DataFrame) -> pl.DataFrame:
    """Adjusted prices: by the factor the adjusted close implies, or as they are."""
    given = "adj_close" in frame.columns
    factor = pl.col("adj_close") / pl.col("close") if given else pl.lit(1.0)
    names = [name for name in ("open", "high", "low") if name in frame.columns]
    return frame.with_columns(
        *((pl.col(name) * factor).alias(f"adj_{name}") for name in names),
        adj_close=pl.col("adj_close" if given else "close"),
        known_at=pl.col("ts"),
    )
