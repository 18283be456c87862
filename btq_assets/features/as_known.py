"""Series with vintages, replayed: at each instant the newest values as they were known then.

Belongs here: the replay that families of restated series share, and measures of the window it
shows. Does not belong here: any particular series.

A window holds the newest observations known at an instant, each in its newest vintage: both ends
of a change, and the mean a value is held against, are what a participant saw. Each window is
computed from its own values, so no number depends on where a history starts beyond it.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

#: Spread, relative to the size of the values, below which a window counts as constant.
_CONSTANT_BELOW = 1e-12
_STAMP = pl.Datetime("us", "UTC")


@dataclass(frozen=True)
class Window:
    """What was known of a series at one instant, and just before it.

    Parameters
    ----------
    days
        Periods as days since 1970, ascending, int64.
    values
        Their values as known, float64.
    days_before, values_before
        The same before the rows of this instant came.
    """

    days: np.ndarray
    values: np.ndarray
    days_before: np.ndarray
    values_before: np.ndarray


Measure = Callable[[Window], float]


def as_known(
    rows: pl.DataFrame,
    measures: Mapping[str, Measure],
    *,
    by: Sequence[str],
    length: int,
    period: str = "period",
    value: str = "value",
) -> pl.DataFrame:
    """Measures of every series at every instant at which something of it became known.

    Parameters
    ----------
    rows
        Vintages: the columns of `by`, ``known_at``, a date and a value. Rows without a finite value
        are left out. Of two rows of one period at one instant the larger value counts.
    measures
        Function of a `Window` by name of column; NaN where undefined.
    by
        Columns that identify a series.
    length
        Observations in a window.
    period, value
        Names of the columns.

    Returns
    -------
    polars.DataFrame
        ``by``, ``known_at``, ``released_at`` (when the newest period first became known: a revision
        of the past makes nothing fresh), ``is_release`` (whether it did so now) and one float64 per
        measure, sorted by series and time.
    """
    schema: dict[str, pl.DataType] = {
        **{name: rows.schema[name] for name in by},
        "known_at": _STAMP,
        "released_at": _STAMP,
        "is_release": pl.Boolean(),
        **{name: pl.Float64() for name in measures},
    }
    ordered = rows.filter(pl.col(value).is_finite()).sort(*by, "known_at", period, value)
    found: list[tuple[object, ...]] = []
    for part in ordered.partition_by(*by, maintain_order=True):
        key = part.select(by).row(0)
        columns = part.select("known_at", pl.col(period).cast(pl.Date), value)
        for known_at, released_at, window in _replay(columns, length):
            measured = (measure(window) for measure in measures.values())
            found.append((*key, known_at, released_at, known_at == released_at, *measured))
    return pl.DataFrame(found, schema=schema, orient="row").fill_nan(None)


def _replay(columns: pl.DataFrame, length: int) -> Iterator[tuple[datetime, datetime, Window]]:
    days: list[int] = []
    known: dict[int, float] = {}
    first: dict[int, datetime] = {}
    stamps = columns["known_at"].to_list()
    periods = columns.to_series(1).to_physical().to_list()
    values = columns.to_series(2).to_list()
    now = np.empty(0, np.int64), np.empty(0)
    start = 0
    while start < len(stamps):
        end = bisect.bisect_right(stamps, stamps[start], lo=start)
        # The usual case, one period after all others, needs no new look at the older ones.
        appends = end == start + 1 and (not days or periods[start] > days[-1])
        for place in range(start, end):
            if periods[place] not in known:
                bisect.insort(days, periods[place])
                first[periods[place]] = stamps[start]
            known[periods[place]] = values[place]
        before = now
        if appends:
            now = (
                np.append(now[0], periods[start])[-length:],
                np.append(now[1], values[start])[-length:],
            )
        else:
            now = _newest(days, known, length)
        yield stamps[start], first[days[-1]], Window(*now, *before)
        start = end


def _newest(
    days: list[int], known: Mapping[int, float], length: int
) -> tuple[np.ndarray, np.ndarray]:
    shown = days[-length:]
    return np.array(shown, np.int64), np.array([known[day] for day in shown], float)


def newest(window: Window) -> float:
    """Newest value."""
    return float(window.values[-1])


def change(count: int, longest_days: int, *, logarithmic: bool = False) -> Measure:
    """Change over `count` observations, if they span no more than `longest_days`."""

    def measure(window: Window) -> float:
        if window.days.size <= count or window.days[-1] - window.days[-1 - count] > longest_days:
            return float("nan")
        return difference(window.values[-1], window.values[-1 - count], logarithmic)

    return measure


def change_over_days(days: int, *, logarithmic: bool = False) -> Measure:
    """Change since the observation exactly `days` before the newest."""

    def measure(window: Window) -> float:
        place = int(np.searchsorted(window.days, window.days[-1] - days))
        if window.days[place] != window.days[-1] - days:
            return float("nan")
        return difference(window.values[-1], window.values[place], logarithmic)

    return measure


def z_score(
    count: int, longest_days: int, transform: Callable[[np.ndarray], np.ndarray] | None = None
) -> Measure:
    """Newest value less the mean of the last `count`, in their standard deviations (n - 1)."""

    def measure(window: Window) -> float:
        if window.days.size < count or window.days[-1] - window.days[-count] > longest_days:
            return float("nan")
        values = window.values[-count:]
        return standard_score(values if transform is None else transform(values))

    return measure


def standard_score(values: np.ndarray) -> float:
    """Last of `values` in standard deviations from their mean; NaN where they do not vary."""
    if values.size < 2 or not np.isfinite(values).all():
        return float("nan")
    spread = float(np.std(values, ddof=1))
    if spread <= _CONSTANT_BELOW * max(1.0, float(np.abs(values).max())):
        return float("nan")
    return (float(values[-1]) - float(values.mean())) / spread


def difference(now: float, before: float, logarithmic: bool) -> float:
    """Difference, or log of the ratio where both are positive."""
    if not logarithmic:
        return float(now - before)
    return float(np.log(now / before)) if now > 0 and before > 0 else float("nan")
