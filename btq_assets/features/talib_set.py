"""TA-Lib's indicators at several parameters, on one scale for all symbols.

Belongs here: definitions, and bars in, rows out. Does not belong here: how an indicator is called
and brought to scale (`features.talib_calls`), names and bounds of the columns
(`contracts.features.talib`), the stretches they run over (`features.stretches`).

TA-Lib carries sums and averages along from the first row it is given. Here it starts anew at fixed
dates, with years of rows before them to settle on, so that a value depends on the rows of those
years alone: recomputing a tail gives the same bits, wherever a history begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import polars as pl
import polars_talib as talib

from btq_assets.config import TradingConfig
from btq_assets.contracts.features.talib import INDICATORS, PATTERNS, column_name
from btq_assets.features.definitions import Feature
from btq_assets.features.stretches import HISTORY, LONG_DAYS, PERIOD_DAYS, SHORT_DAYS, Bars
from btq_assets.features.talib_calls import CALLS, FLAG, NEEDS, C

FAMILY = "talib"
SOURCE = "TA-Lib 0.8"
_FLAGS = ("kept", "dwarfed_price", "dwarfed_volume")


def _mavp(parameters: tuple[int, ...]) -> pl.Expr:
    cycle = talib.ht_dcperiod(C)
    cycle = pl.when(pl.int_range(pl.len()) >= 32).then(cycle).otherwise(2.0).clip(2.0, 50.0)
    return talib.mavp(C, cycle, minperiod=2, maxperiod=50, matype=0) / C - 1


def _definitions() -> Iterable[Feature]:
    unbounded = "fraction of the price"
    for name, parameters, _, low, high in INDICATORS:
        unit = unbounded if low in (None, -1) and high is None else f"{low} to {high}"
        unit = unit.replace("None", "")
        for chosen in parameters:
            yield _feature(name, chosen, unit)
    for pattern in PATTERNS:
        yield _feature(f"cdl{pattern}", (), "-1, 0 or 1")


def _feature(name: str, chosen: tuple[int, ...], unit: str) -> Feature:
    if name == "mavp":
        formula = "MAVP(C, HT_DCPERIOD(C) within 2 to 50, minperiod=2, maxperiod=50) / C - 1"
        lookback, letters, expression, recursive = 81, "C", _mavp(chosen), True
    else:
        call = CALLS[name]
        formula, lookback, letters = call.formula(chosen), call.lookback(chosen), call.inputs
        expression, recursive = call.expression(chosen), call.recursive
    needs = tuple(dict.fromkeys(need for letter in letters for need in NEEDS[letter]))
    # Whole-number outputs are 0, not missing, where TA-Lib has too few rows.
    settled = pl.when(pl.int_range(pl.len()) >= lookback).then(expression)
    return Feature(
        column_name(name, chosen), FAMILY, formula, SOURCE, unit, lookback, needs, True, settled,
        recursive,
    )  # fmt: skip


FEATURES: tuple[Feature, ...] = tuple(_definitions())


def calls() -> list[tuple[str, str, str, str, dict[str, Any]]]:
    """What TA-Lib is asked, by column: function, letters of its inputs, output, arguments.

    Only what TA-Lib gives as it is, or what is divided by the close afterwards.
    """
    direct = ("level", "price", "plain", FLAG)
    found = []
    for name, parameters in (
        *((name, parameters) for name, parameters, *_ in INDICATORS if name in CALLS),
        *((f"cdl{pattern}", ((),)) for pattern in PATTERNS),
    ):
        call = CALLS[name]
        if call.form in direct:
            found += [
                (column_name(name, p), call.function, call.inputs, call.part, call.arguments(p))
                for p in parameters
            ]
    return found


def memory_sessions() -> int:
    """Sessions whose rows decide a value: a period and the rows before it, whatever the calendar."""
    return PERIOD_DAYS + LONG_DAYS + 10


def compute(bars: pl.DataFrame, since: datetime | None = None) -> pl.DataFrame:
    """Compute the family.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`, in any order.
    since
        Stretches that end before it are left out, for those who will not read them.

    Returns
    -------
    polars.DataFrame
        One row per bar with open, high, low, close and volume, sorted by universe, symbol and
        time; float32, undefined values null.
    """
    prepared = Bars.of(bars)
    day = None if since is None else int(since.timestamp() // 86_400)
    keys = prepared.keys if day is None else prepared.rows_since(day)
    columns: dict[str, pl.Series] = {}
    for recursive, days in ((False, SHORT_DAYS), (True, LONG_DAYS)):
        wanted = [feature for feature in FEATURES if feature.recursive is recursive]
        parts = [_evaluated(stretch, wanted) for stretch in prepared.stretches(days, day)]
        frame = (
            pl.concat(parts) if parts else pl.DataFrame(schema={f.name: pl.Float32 for f in wanted})
        )
        columns.update({name: frame[name] for name in frame.columns})
    return keys.hstack([columns[feature.name] for feature in FEATURES])


def _evaluated(stretch: pl.DataFrame, features: Iterable[Feature]) -> pl.DataFrame:
    found = stretch.select(
        *_FLAGS,
        *(
            feature.expression.over(HISTORY).cast(pl.Float32).alias(feature.name)
            for feature in features
            if feature.expression is not None
        ),
    ).filter("kept")
    return found.select(_defined(feature) for feature in features)


def _defined(feature: Feature) -> pl.Expr:
    """Values that are numbers, and not the rounding of an earlier price or volume."""
    value = pl.col(feature.name)
    lost = pl.col("dwarfed_price")
    if "volume" in feature.needs:
        lost |= pl.col("dwarfed_volume")
    return pl.when(value.is_finite() & ~lost).then(value)


def features_of(config: TradingConfig) -> tuple[Feature, ...]:
    """Definitions of the family; no setting changes them."""
    return FEATURES


def compute_from(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    """Compute the family from its tables; see `compute`."""
    return compute(inputs["bars"])


def compute_since(
    inputs: Mapping[str, pl.DataFrame], config: TradingConfig, since: datetime
) -> pl.DataFrame:
    """The same, for those who will read rows at or after `since` only."""
    return compute(inputs["bars"], since)
