"""The newest rows of a family made of expressions, without computing the older ones.

Belongs here: which families can be evaluated at single bars (`latest`), and doing so for a table's
newest rows. Does not belong here: tails of other families (`incremental`), bars as they come
(`live`).

A batch over a tail computes every window of it: for one new session, a window of a year costs a
year of windows. Here only what the new rows read is read.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from importlib import import_module

import numpy as np
import polars as pl
from numpy.typing import NDArray

from btq_assets.config import TradingConfig
from btq_assets.features.definitions import KEY, Feature
from btq_assets.features.families import Family, observed
from btq_assets.features.latest import (
    Array,
    Columns,
    Latest,
    Node,
    NotEvaluatedError,
    parse,
    parse_all,
)
from btq_assets.features.tails import as_stamp, priced
from btq_assets.features.trailing import Places, Trailing, histories, stamps

#: Sessions of one symbol up to which its new rows are evaluated one by one.
MOST_SESSIONS = 8


@dataclass(frozen=True)
class Formulas:
    """A family of expressions, parsed."""

    family: Family
    features: tuple[str, ...]
    nodes: tuple[Node, ...]
    stages: dict[str, Node]
    needs: tuple[str, ...]

    def only(self, features: Container[str]) -> Formulas:
        """Some of its features."""
        pairs = [p for p in zip(self.features, self.nodes, strict=True) if p[0] in features]
        return replace(self, features=tuple(n for n, _ in pairs), nodes=tuple(e for _, e in pairs))


def formulas_of(family: Family, config: TradingConfig) -> Formulas | str:
    """The family's expressions, or why they are not all there is to it."""
    module = import_module(f"btq_assets.features.{family.module or family.name}")
    features: tuple[Feature, ...] = family.features(config)
    if any(feature.expression is None for feature in features):
        return "looks at more than one symbol's expressions"
    if not hasattr(module, "stages_of"):
        return "no expressions over single bars"
    try:
        return Formulas(
            family,
            tuple(feature.name for feature in features),
            tuple(parse(f.expression) for f in features if f.expression is not None),
            parse_all(module.stages_of(config)),
            getattr(module, "ROWS_NEED", ("adj_close",)),
        )
    except NotEvaluatedError as error:
        return f"{error} is not evaluated at single bars"


def evaluated(
    formulas: Formulas,
    columns: Columns | Mapping[str, Array],
    ages: NDArray[np.int64],
    n: int,
) -> tuple[dict[str, Array], NDArray[np.bool_]]:
    """Last `n` values of each feature, and where the family has rows; see `Latest`."""
    latest = Latest(columns, formulas.stages, ages)
    held = np.logical_and.reduce(
        [np.isfinite(latest.columns.last(name, n)) for name in formulas.needs]
    )
    found = {}
    for name, node in zip(formulas.features, formulas.nodes, strict=True):
        value = latest.of(node, n)
        found[name] = np.where(held & np.isfinite(value), value, np.nan)
    return found, held


def newest_rows(
    bars: pl.DataFrame, family: Family, config: TradingConfig, since: datetime
) -> pl.DataFrame | None:
    """Rows of a family at or after `since`.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`, sorted by universe, symbol and time.
    family
        The family; it has a finite memory.
    config
        Windows and switches.
    since
        Earliest time of a row.

    Returns
    -------
    polars.DataFrame or None
        Rows sorted by key; ``None`` where the family cannot be evaluated so, there are more than a
        few sessions, or the bars are not in order.
    """
    if family.memory_sessions is None or set(family.inputs) != {"bars"} or bars.is_empty():
        return None
    formulas = formulas_of(family, config)
    if isinstance(formulas, str):
        return None
    bars = priced(bars)
    time = stamps(bars)
    trailing = _windows(bars, time, family.memory_sessions(config.features), config, since)
    if trailing is None:
        return None
    places, absent = trailing.rows(MOST_SESSIONS)
    new = ~absent & (time[places] >= as_stamp(since, bars))
    n = int(new.sum(axis=1).max())
    values, held = evaluated(formulas, trailing, trailing.ages, n)
    kept = held & new[:, -n:]
    return pl.DataFrame(
        [
            *bars.select(KEY)[places[:, -n:][kept]].get_columns(),
            *(pl.Series(name, value[kept], nan_to_null=True) for name, value in values.items()),
        ]
    )


def _windows(
    bars: pl.DataFrame, time: Places, memory: int, config: TradingConfig, since: datetime
) -> Trailing | None:
    """Windows of the symbols with new bars, each over `memory` sessions in which its price moved."""
    found = histories(bars) if bars.height else None
    if found is None:
        return None
    names = found.names.with_columns(_place=np.arange(found.starts.size))
    seen = observed({"bars": names}, config)["bars"]["_place"].to_numpy()
    first = as_stamp(since, bars)
    which = np.zeros(found.starts.size, dtype=bool)
    which[seen] = True
    which &= time[found.ends - 1] >= first
    living = found.of(which)
    if not living.starts.size:
        return None
    oldest = living.ends - MOST_SESSIONS - 1
    if ((oldest >= living.starts) & (time[np.maximum(oldest, 0)] >= first)).any():
        return None
    longest = int((living.ends - living.starts).max())
    n_bars = memory + MOST_SESSIONS
    while True:
        trailing = Trailing(bars, living, min(n_bars, longest))
        places, absent = trailing.rows(trailing.shape[1])
        # Every row need not be looked at to see that a table is out of order.
        some = np.linspace(0, trailing.shape[1] - 1, min(trailing.shape[1], 32)).astype(np.int64)
        steps = np.diff(time[places[:, some]], axis=1) > 0
        if not (steps | absent[:, some[:-1]]).all():
            return None
        price = trailing.last("adj_close", trailing.shape[1])
        moved = (price[:, 1:] != price[:, :-1]).sum(axis=1)
        ages = living.ends - living.starts
        if n_bars >= longest or (moved[ages > n_bars] >= memory).all():
            return trailing
        n_bars *= 2
