"""What a feature is, and how families made of expressions are evaluated.

Belongs here: the `Feature` type, the preparation of bars, guards against undefined values. Does
not belong here: any particular feature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

#: Trading sessions in a year, the factor of every annualised number.
SESSIONS_PER_YEAR = 252

#: Spread below which a series counts as constant; in log price, so 1e-7 is a 0.00001 % move.
CONSTANT_BELOW = 1e-7

#: A symbol's history; every window lies inside one.
SYMBOL = ("universe", "symbol")
KEY = (*SYMBOL, "ts")

#: Number of a symbol's history within a prepared frame.
HISTORY = "_history"

#: Of a symbol's bars that do not begin with its history: the adjusted close its history began at.
ANCHOR = "_anchor"

#: Raw columns without which a bar says nothing about trading.
OHLCV = ("open", "high", "low", "close", "volume")


class FeatureError(ValueError):
    """Bars, a family or a custom feature do not have the expected shape."""


@dataclass(frozen=True)
class Feature:
    """The one definition of a feature.

    Parameters
    ----------
    name
        Column name; unique over all families.
    family
        Name of the table.
    formula
        Definition one can recompute by hand. ``p`` is the adjusted close, ``r`` its log return.
    source
        Author, year and equation, or ``own definition``.
    unit
        Unit of the value.
    lookback_sessions
        Sessions before the first value. Recursive averages remember longer, ever less.
    needs
        Input columns.
    scale_invariant
        Whether multiplying a symbol's adjusted history by a constant changes nothing.
    expression
        Polars expression over one symbol's history, ascending in time; ``None`` in families that
        look at several symbols at once and compute all their members together.
    recursive
        Whether every earlier value carries on, with weights that fade; then the look-back is where
        values begin, and the family's memory (`families`) where the weights fall below rounding.
    """

    name: str
    family: str
    formula: str
    source: str
    unit: str
    lookback_sessions: int
    needs: tuple[str, ...]
    scale_invariant: bool = True
    expression: pl.Expr | None = None
    recursive: bool = False


def prepare(bars: pl.DataFrame) -> pl.DataFrame:
    """Bars that have a price, in the order every window relies on.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`, in any order.

    Returns
    -------
    polars.DataFrame
        Sorted by universe, symbol and time, one memory chunk (TA-Lib reads contiguous memory).
        ``_history`` numbers the symbols, a faster key for windows than two texts; ``_p`` is the
        adjusted close over the symbol's first one, so that absolute thresholds
        inside TA-Lib mean the same for a currency and a share; ``_r`` its log return. Bars with
        a column ``_anchor`` name the first price themselves.

    Raises
    ------
    FeatureError
        A column is missing, or a symbol has two rows at one time.
    """
    missing = [name for name in (*KEY, "adj_close") if name not in bars.columns]
    if missing:
        raise FeatureError(f"bars lack column(s) {missing}; they have {bars.columns}")
    usable = bars.filter(pl.col("adj_close").is_finite() & (pl.col("adj_close") > 0))
    ordered = usable.sort(KEY).rechunk()
    # Sorted, so that equal keys are neighbours: cheaper than hashing every row.
    again = pl.all_horizontal(pl.col(name) == pl.col(name).shift(1) for name in KEY)
    repeated = ordered.filter(again)
    if not repeated.is_empty():
        row = repeated.row(0, named=True)
        raise FeatureError(
            f"{row['universe']}/{row['symbol']} has several bars at {row['ts']}; keep one of them"
        )
    price = pl.col("adj_close")
    # The first of either: division by one value and by a column round differently.
    first = (pl.col(ANCHOR) if ANCHOR in ordered.columns else price).first()
    return (
        ordered.with_columns(pl.struct(SYMBOL).rle_id().alias(HISTORY))
        .with_columns(_p=(price / first).over(HISTORY))
        .with_columns(_r=pl.col("_p").log().diff().over(HISTORY))
    )


def is_whole_bar() -> pl.Expr:
    """Whether a row has raw and adjusted prices and a volume, and such a bar can have been.

    A price at or below zero, a high below its low and a negative volume are no facts: where a
    window would take them for some, the bar counts as missing.
    """
    adjusted = tuple(f"adj_{name}" for name in OHLCV[:-1])
    finite = pl.all_horizontal(pl.col(*OHLCV, *adjusted).is_finite())
    # What is above zero: the lows and opens; a high is not below its low.
    above = pl.all_horizontal(pl.col("open", "low", "close", "adj_open", "adj_low") > 0)
    spans = (pl.col("high") >= pl.col("low")) & (pl.col("adj_high") >= pl.col("adj_low"))
    return (finite & above & spans & (pl.col("volume") >= 0)).fill_null(False)


def evaluate(
    prepared: pl.DataFrame,
    stages: Sequence[Mapping[str, pl.Expr]],
    features: Sequence[Feature],
) -> pl.DataFrame:
    """Evaluate a family of expressions over each symbol's history.

    Parameters
    ----------
    prepared
        Output of `prepare`.
    stages
        Intermediate columns, each stage reading those before it; names start with ``_``.
    features
        Features with an expression.

    Returns
    -------
    polars.DataFrame
        Key columns and one float64 column per feature, undefined values null.
    """
    frame = prepared
    for stage in stages:
        frame = frame.with_columns(
            expression.over(HISTORY).alias(name) for name, expression in stage.items()
        )
    columns = [
        feature.expression.over(HISTORY).cast(pl.Float64).alias(feature.name)
        for feature in features
        if feature.expression is not None
    ]
    return undefined_to_null(frame.select(*KEY, *columns))


def undefined_to_null(frame: pl.DataFrame) -> pl.DataFrame:
    """NaN and infinities become null: a value is defined or missing, nothing in between."""
    return frame.with_columns(
        pl.when(pl.col(name).is_finite()).then(pl.col(name))
        for name, dtype in frame.schema.items()
        if dtype.is_float()
    )


def ratio(numerator: pl.Expr, denominator: pl.Expr, floor: float = 0.0) -> pl.Expr:
    """`numerator` over `denominator`, null where the latter is not above `floor`."""
    return pl.when(denominator > floor).then(numerator / denominator)


def clipped_root(expression: pl.Expr) -> pl.Expr:
    """Square root of a mean that rounding may have pushed just below zero."""
    return pl.max_horizontal(expression, pl.lit(0.0)).sqrt() + 0.0 * expression


def has_columns(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """`frame` with each of `names` present, null where the source has no such column."""
    return frame.with_columns(
        pl.lit(None, dtype=pl.Float64).alias(name) for name in names if name not in frame.columns
    )
