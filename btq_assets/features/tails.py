"""The end of a table of bars: what rows from a time on depend on.

Belongs here: how far back each symbol's bars are kept. Does not belong here: how far a family looks
back (`families`), and what is computed (`incremental`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from btq_assets.contracts.base import UTC_TIMESTAMP
from btq_assets.features.definitions import ANCHOR, KEY, SYMBOL
from btq_assets.features.trailing import Histories, Places, Trailing, histories, stamps

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Reach:
    """How far back bars are kept.

    Parameters
    ----------
    sessions
        Sessions before the newest ones in which the price moved.
    alone
        Whether each symbol is cut by itself; otherwise all at the earliest bar that one of them
        needs, so that every session is whole.
    complete
        Columns without which a session does not count, of symbols whose new bars have them.
    whole
        ``universe`` and ``symbol`` of those that are not cut.
    landmarks
        Rows kept however old they are.
    """

    sessions: int
    alone: bool = True
    complete: tuple[str, ...] = ()
    whole: pl.DataFrame | None = None
    landmarks: Callable[[pl.DataFrame], Places] | None = None


def with_tail(bars: pl.DataFrame, since: datetime, reach: Reach) -> pl.DataFrame:
    """Bars that rows at or after `since` depend on, with the price each history began at.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`; sorted by their key they are not read as a whole.
    since
        Earliest time of a row that is asked for. Symbols without a bar from then on are left out,
        unless all are cut together.
    reach
        How far back.
    """
    bars = priced(bars)
    found = histories(bars) if bars.height else None
    if found is None:
        bars = bars.sort(KEY)
        found = histories(bars) if bars.height else None
    if found is None:
        return bars.with_columns(pl.lit(None, pl.Float64).alias(ANCHOR))
    first = as_stamp(since, bars)
    time = stamps(bars)
    living = found.of(time[found.ends - 1] >= first)
    if not living.starts.size:
        return bars.clear().with_columns(pl.lit(None, pl.Float64).alias(ANCHOR))
    begins = _begins(bars, living, _from(time, living, first), reach)
    if reach.whole is not None:
        kept_whole = living.names.join(reach.whole, on=SYMBOL, how="semi").rows()
        which = [name in set(kept_whole) for name in living.names.rows()]
        begins = np.where(which, living.starts, begins)
    kept = living
    if not reach.alone:
        kept, begins = found, _from(time, found, int(time[begins].min()))
    rows, owner = _ranges(begins, kept.ends)
    if reach.landmarks is not None:
        more = reach.landmarks(bars)
        rows = np.union1d(rows, more[np.isin(_owners(found, more), _owners(found, kept.starts))])
        owner = np.searchsorted(kept.starts, rows, side="right") - 1
    anchors = bars["adj_close"].gather(kept.starts).gather(owner)
    return bars[rows].with_columns(anchors.alias(ANCHOR))


def priced(bars: pl.DataFrame) -> pl.DataFrame:
    """Rows with an adjusted close that is a price."""
    column = bars["adj_close"]
    if column.dtype == pl.Float64 and not column.null_count() and bars.height:
        price = column.to_numpy()
        # A NaN is neither above nor below.
        if price.min() > 0 and price.max() < np.inf:
            return bars
    return bars.filter(pl.col("adj_close").is_finite() & (pl.col("adj_close") > 0))


def as_stamp(since: datetime, bars: pl.DataFrame) -> int:
    """`since`, with its zone, as `stamps` gives times."""
    if bars.schema["ts"] != UTC_TIMESTAMP:
        return int(pl.Series([since]).cast(bars.schema["ts"]).to_physical()[0])
    return (since - _EPOCH) // timedelta(microseconds=1)


def _from(time: Places, held: Histories, first: int) -> Places:
    """First row of each history at or after a time."""
    bounds = zip(held.starts.tolist(), held.ends.tolist(), strict=True)
    return np.array([a + int(np.searchsorted(time[a:b], first)) for a, b in bounds], np.int64)


def _begins(bars: pl.DataFrame, living: Histories, fresh: Places, reach: Reach) -> Places:
    """First row each symbol needs, `fresh` being its first new one."""
    before = Histories(living.names, living.starts, fresh)
    longest = int((fresh - living.starts).max())
    window = int(1.1 * reach.sessions) + 20
    asks = _has(bars, fresh, living.ends, reach.complete) if reach.complete else None
    while True:
        trailing = Trailing(bars, before, min(window, longest))
        n = trailing.shape[1]
        price = trailing.last("adj_close", n + 1)
        counts = price[:, 1:] != price[:, :-1]
        if asks is not None:
            present = [np.isfinite(trailing.last(name, n)) for name in reach.complete]
            counts &= np.logical_and.reduce(present) | ~asks[:, None]
        # Before a history nothing counts; its first bar does, NaN being unlike any price.
        counts &= np.isfinite(price[:, 1:])
        behind = counts[:, ::-1].cumsum(axis=1)
        far = behind >= reach.sessions
        reached = far.any(axis=1) if n else np.zeros(fresh.size, dtype=bool)
        if n >= longest or (reached | (fresh - living.starts <= n)).all():
            ago = np.where(reached, far.argmax(axis=1) + 1 if n else 0, fresh - living.starts)
            return fresh - ago
        window *= 2


def _has(
    bars: pl.DataFrame, fresh: Places, ends: Places, names: tuple[str, ...]
) -> NDArray[np.bool_]:
    """Whether any new row of each symbol has all of these columns."""
    rows, owner = _ranges(fresh, ends)
    there = bars.select(names)[rows].select(
        pl.all_horizontal(pl.col(n).is_finite().fill_null(False) for n in names)
    )
    found = np.zeros(fresh.size, dtype=bool)
    found[owner[there.to_series().to_numpy()]] = True
    return found


def _ranges(begins: Places, ends: Places) -> tuple[Places, Places]:
    """All rows of some ranges, and the number of the range of each."""
    lengths = ends - begins
    owner = np.repeat(np.arange(lengths.size), lengths)
    return np.arange(owner.size) - np.repeat(np.cumsum(lengths) - lengths, lengths) + begins[owner], owner  # fmt: skip


def _owners(found: Histories, rows: Places) -> Places:
    return np.searchsorted(found.starts, rows, side="right") - 1
