"""Prices after decisions as matrices, and what a label found on them.

Belongs here: the arrays every kind of label walks along. Does not belong here: any label.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from btq_assets.features.definitions import HISTORY, KEY, prepare
from btq_assets.features.windows import panels
from btq_assets.timeline import FILL_LAG_SESSIONS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Where a label has not ended within the data.
UNFINISHED = -1


@dataclass(frozen=True)
class Paths:
    """Bars of one universe, ``(T, N)`` each; NaN where a symbol has none.

    Parameters
    ----------
    universe
        Its name.
    ts
        Sessions of the universe, ascending, length ``T``.
    symbols
        Names in alphabetical order, length ``N``.
    close, open, high, low
        Adjusted prices over the symbol's first close; the last three NaN where not known.
    known_at
        int64 microseconds since 1970, when each bar was known; 0 where there is none.
    """

    universe: str
    ts: pl.Series
    symbols: tuple[str, ...]
    close: Floats
    open: Floats
    high: Floats
    low: Floats
    known_at: Ints


@dataclass(frozen=True)
class Outcome:
    """What was found after the decision at each session, ``(T, N)`` each.

    Parameters
    ----------
    value
        The label, NaN while unknown.
    end
        Session of the last bar read, `UNFINISHED` while unknown.
    span
        Sessions from the fill to the touch, or of the chosen trend.
    path_return
        Simple return over that span.
    t_value
        t statistic, for trends.
    """

    value: Floats
    end: Ints
    span: Ints
    path_return: Floats
    t_value: Floats


def paths_of(bars: pl.DataFrame) -> Paths:
    """Matrices of the bars of one universe.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d` of a single universe, with a price.
    """
    prepared = prepare(bars)
    first = pl.col("adj_close").first().over(HISTORY)
    known = "known_at" if "known_at" in prepared.columns else "ts"
    has = {name: f"adj_{name}" in prepared.columns for name in ("open", "high", "low")}
    frame = prepared.select(
        *KEY,
        _close="_p",
        _known=pl.col(known).dt.epoch("us").cast(pl.Float64),
        **{
            f"_{name}": pl.col(f"adj_{name}") / first if there else pl.lit(None, pl.Float64)
            for name, there in has.items()
        },
    )
    matrices = {}
    for name in ("_close", "_open", "_high", "_low", "_known"):
        (panel,) = panels(frame, name)
        matrices[name] = panel.values
    # Microseconds since 1970 stay below 2^53 until the year 2255: float64 holds them exactly.
    return Paths(
        panel.universe,
        panel.ts,
        panel.symbols,
        matrices["_close"],
        matrices["_open"],
        matrices["_high"],
        matrices["_low"],
        np.nan_to_num(matrices["_known"]).astype(np.int64),
    )


def later(values: Floats, sessions: int) -> Floats:
    """`values` so many sessions later, NaN beyond the data."""
    found = np.full(values.shape, np.nan)
    if sessions < values.shape[0]:
        found[: values.shape[0] - sessions] = values[sessions:]
    return found


def fills(paths: Paths) -> Floats:
    """Price at which the decision at each session is filled: the next session's close."""
    return later(paths.close, FILL_LAG_SESSIONS)


def known_when(paths: Paths, end: Ints) -> Ints:
    """When the last of the bars from the decision to `end` was known; 0 while unfinished."""
    n_sessions = end.shape[0]
    found = np.where(end >= 0, paths.known_at, 0)
    place = np.arange(n_sessions)[:, None]
    longest = int(np.max(np.where(end >= 0, end - place, 0), initial=0))
    for step in range(1, longest + 1):
        ahead = np.zeros_like(found)
        ahead[: n_sessions - step] = paths.known_at[step:]
        found = np.where((end >= 0) & (place + step <= end), np.maximum(found, ahead), found)
    return found
