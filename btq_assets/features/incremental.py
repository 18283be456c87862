"""A new session recomputes the tail of a family's table, and nothing older.

Belongs here: which rows of the inputs a tail needs, and putting it behind the rows that stand. Does
not belong here: finding out what is new (`warehouse.additions`), and formulas.

A family declares how many sessions a row depends on (`Family.memory_sessions`). Equality with the
full computation rests on that number, on kernels that compute each window from its own values, and
on two things done here: prices stay in units of the first bar of the whole history, whichever bar
the tail starts with; and sessions in which a price stood still do not count towards the memory, for
averages that fade forget nothing while nothing happens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts.base import cast_to_contract
from btq_assets.features.definitions import ANCHOR, SYMBOL
from btq_assets.features.families import Family, observed

#: Kept of tables without sessions of their own before the first bar of a tail.
_MARGIN = timedelta(days=14)


@dataclass(frozen=True)
class Tail:
    """Inputs cut to what the newest rows of a family depend on.

    Parameters
    ----------
    inputs
        Frames by name.
    n_bars
        Bars kept.
    """

    inputs: dict[str, pl.DataFrame]
    n_bars: int


def updated(
    stored: pl.DataFrame,
    inputs: Mapping[str, pl.DataFrame],
    family: Family,
    config: TradingConfig,
    since: datetime,
) -> pl.DataFrame:
    """The family's table after rows at or after `since` were added to its inputs.

    Parameters
    ----------
    stored
        The table as computed from the inputs before `since`.
    inputs
        All rows of all inputs; before `since` they are those `stored` was computed from.
    family
        The family; it has a finite memory.
    config
        Windows and switches, those `stored` was computed with.
    since
        Earliest time of an added row. Rows of the table from then on are computed anew.

    Returns
    -------
    polars.DataFrame
        Rows of the whole table, sorted by its key. Equal to ``family.compute(inputs, config)``: bit
        by bit for ranks, order statistics and integers, to 1e-12 of a column's size otherwise.

    Raises
    ------
    ValueError
        The family's memory is not finite, or it reads no daily bars.
    """
    contract = family.contract
    tail = tail_of(inputs, family, config, since)
    fresh = cast_to_contract(family.compute_since(tail.inputs, config, since), contract)
    kept = cast_to_contract(stored, contract).filter(pl.col("ts") < since)
    return pl.concat([kept, fresh.filter(pl.col("ts") >= since)]).sort(contract.key)


def tail_of(
    inputs: Mapping[str, pl.DataFrame], family: Family, config: TradingConfig, since: datetime
) -> Tail:
    """What a family's rows at or after `since` depend on.

    Bars of a symbol that has none at or after `since` are left out, unless symbols read one
    another. Tables without a ``ts`` are kept whole, as the truncation gate does.

    Raises
    ------
    ValueError
        The family's memory is not finite, or it reads no daily bars.
    """
    if family.memory_sessions is None or "bars" not in inputs:
        raise ValueError(
            f"{family.name} cannot be updated by its tail: {full_because(family)}; compute it whole"
        )
    memory = family.memory_sessions(config.features)
    given = observed(inputs, config)
    bars = _with_tail(given["bars"], since, memory, alone=family.symbols is not None)
    start = bars["ts"].min()
    cut = {"bars": bars}
    for name, frame in given.items():
        if name == "bars":
            continue
        if "ts" in frame.columns and isinstance(start, datetime):
            frame = frame.filter(pl.col("ts") >= start - _MARGIN)
        cut[name] = frame
    return Tail(cut, bars.height)


def full_because(family: Family) -> str:
    """Why a family is never updated by its tail; empty where it is."""
    if family.memory_sessions is None:
        return "every row depends on all of its history"
    if "bars" not in family.inputs:
        return "it reads no daily bars, whose sessions its memory counts"
    return ""


def _with_tail(bars: pl.DataFrame, since: datetime, memory: int, *, alone: bool) -> pl.DataFrame:
    """Bars from `memory` moving sessions before `since` on, with the price each history began at.

    Parameters
    ----------
    alone
        Whether each symbol is cut by itself; otherwise all at the earliest bar that one of them
        needs, so that every session is whole.
    """
    price = pl.col("adj_close")
    usable = bars.filter(price.is_finite() & (price > 0))
    living = usable.filter(pl.col("ts") >= since).select(SYMBOL).unique()
    if living.is_empty():
        return usable.clear().with_columns(pl.lit(None, pl.Float64).alias(ANCHOR))
    before = usable.filter(pl.col("ts") < since).select(*SYMBOL, "ts", "adj_close")
    starts = (
        before.join(living, on=SYMBOL, how="semi")
        .sort(*SYMBOL, "ts")
        .with_columns(_moved=(price != price.shift(1)).fill_null(True).over(SYMBOL))
        .with_columns(_behind=pl.col("_moved").cast(pl.UInt32).cum_sum(reverse=True).over(SYMBOL))
        .filter((pl.col("_behind") >= memory) | (pl.int_range(pl.len()).over(SYMBOL) == 0))
        .group_by(SYMBOL)
        .agg(_start=pl.col("ts").max())
    )
    anchors = usable.group_by(SYMBOL).agg(price.sort_by("ts").first().alias(ANCHOR))
    if alone:
        rows = usable.join(living, on=SYMBOL, how="semi", maintain_order="left").join(
            starts, on=SYMBOL, how="left", maintain_order="left"
        )
        kept = rows.filter(pl.col("_start").is_null() | (pl.col("ts") >= pl.col("_start")))
        kept = kept.drop("_start")
    else:
        earliest = starts["_start"].min()
        kept = usable if earliest is None else usable.filter(pl.col("ts") >= earliest)
    return kept.join(anchors, on=SYMBOL, how="left", maintain_order="left")
