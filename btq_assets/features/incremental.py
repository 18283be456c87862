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

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts.base import cast_to_contract
from btq_assets.features.definitions import SYMBOL
from btq_assets.features.families import Family, observed
from btq_assets.features.newest import newest_rows
from btq_assets.features.tails import Reach, with_tail

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
    fresh = cast_to_contract(fresh_rows(inputs, family, config, since), contract)
    kept = cast_to_contract(stored, contract).filter(pl.col("ts") < since)
    return _joined(kept, fresh, contract.key)


def fresh_rows(
    inputs: Mapping[str, pl.DataFrame], family: Family, config: TradingConfig, since: datetime
) -> pl.DataFrame:
    """The family's rows at or after `since`, and nothing else.

    Families of expressions are evaluated at their newest bars alone where these are few (`newest`),
    others computed over their tail.

    Raises
    ------
    ValueError
        The family's memory is not finite, or it reads no daily bars.
    """
    found = newest_rows(inputs["bars"], family, config, since) if "bars" in inputs else None
    if found is None:
        tail = tail_of(inputs, family, config, since)
        found = family.compute_since(tail.inputs, config, since).filter(pl.col("ts") >= since)
    return found


def tail_of(
    inputs: Mapping[str, pl.DataFrame], family: Family, config: TradingConfig, since: datetime
) -> Tail:
    """What a family's rows at or after `since` depend on.

    Bars of a symbol that has none at or after `since` are left out, unless symbols read one
    another. Tables without a ``ts`` are kept whole, as the truncation gate does.

    Raises
    ------
    ValueError
        The family depends on all of its history, or reads no daily bars.
    """
    why = full_because(family)
    if why:
        raise ValueError(f"{family.name} cannot be updated by its tail: {why}; compute it whole")
    given = observed(inputs, config)
    if family.memory_sessions is None:
        return Tail(given, given["bars"].height)
    reach = Reach(
        family.memory_sessions(config.features),
        alone=family.symbols is not None,
        complete=family.complete,
        whole=_named(given, family.uncut),
        landmarks=family.landmarks,
    )
    bars = with_tail(given["bars"], since, reach)
    start = bars["ts"].min()
    cut = {"bars": bars}
    for name, frame in given.items():
        if name == "bars":
            continue
        if "ts" in frame.columns and isinstance(start, datetime) and name not in family.whole:
            frame = frame.filter(pl.col("ts") >= start - _MARGIN)
        cut[name] = frame
    return Tail(cut, bars.height)


def _named(given: Mapping[str, pl.DataFrame], tables: Iterable[str]) -> pl.DataFrame | None:
    """Symbols that one of the tables has rows of; ``None`` for no tables."""
    found = [given[name].select(SYMBOL).unique() for name in tables]
    return pl.concat(found).unique() if found else None


def full_because(family: Family) -> str:
    """Why a family is never updated by its tail; empty where it is."""
    if "bars" not in family.inputs:
        return "it reads no daily bars, whose sessions its memory counts"
    if family.memory_sessions is None and not family.continues:
        return "every row depends on all of its history"
    return ""


def _joined(kept: pl.DataFrame, fresh: pl.DataFrame, key: tuple[str, ...]) -> pl.DataFrame:
    """Both, sorted by `key`; rows of `kept` that are in order need no sorting.

    Sorting ten years by two texts and a time takes longer than computing a tail.
    """
    names, time = [name for name in key if name != "ts"], pl.col("ts")
    begins = pl.any_horizontal(pl.col(name) != pl.col(name).shift(1) for name in names)
    begins = begins.fill_null(True)
    both = [frame.with_columns(_begins=begins) for frame in (kept, fresh.sort(key))]
    heads = [frame.filter("_begins").select(names) for frame in both]
    orderly = both[0].select(((time > time.shift(1)) | pl.col("_begins")).all()).item()
    if not orderly or heads[0].is_duplicated().any():
        return pl.concat([kept, fresh]).sort(key)
    places = pl.concat(heads).unique().sort(names).with_row_index("_place")
    codes = []
    for frame, head in zip(both, heads, strict=True):
        place = head.join(places, on=names, how="left", maintain_order="left")["_place"].to_numpy()
        codes.append(place[frame["_begins"].to_numpy().cumsum() - 1])
    order = np.argsort(np.concatenate(codes), kind="stable")
    return pl.concat([kept, fresh.sort(key)])[order]
