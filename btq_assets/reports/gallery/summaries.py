"""Values of features over time in, curves and a histogram of each out.

Belongs here: which universe a feature is shown on, the stretches of time, medians and quantiles.
Does not belong here: how a plot looks (`btq_assets.plots.small`, the page's script).

A point of a curve stands for a stretch of time (a day, week, month or quarter) and for all values of
all symbols in it: their median, and the band between the 10 % and the 90 % quantile. A feature of at
most three different values (a flag, a pattern) is shown by its mean, without a band.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import report
from btq_assets.plots.small import encoded

#: Stretches of time, shortest first, and the days each stands for.
STRETCHES = {"1d": 1, "1w": 7, "1mo": 31, "1q": 92}
#: Points of a curve above which the next longer stretch is taken.
MOST_POINTS = 140
#: Bars of a histogram.
N_BARS = 30
#: Different values up to which a feature is shown by its mean.
FEW_VALUES = 3

_BAND = (0.1, 0.5, 0.9)
#: A curve's axis ends this many times its 2-98 % range beyond it; wilder points lie on the end.
_REACH = 1.5
_NOT_FEATURES = frozenset(("universe", "symbol", "ts"))


def order_of(frame: pl.DataFrame, config: TradingConfig) -> list[str]:
    """Universes of a table, those the configuration names first."""
    universes = config.universe
    named = (universes.main, universes.ohlcv, universes.cross_asset)
    have = frame["universe"].unique().sort().to_list()
    return [name for name in dict.fromkeys((*named, *have)) if name in have]


def plots_of(
    frame: pl.DataFrame,
    features: Sequence[str],
    config: TradingConfig,
    newest_days: int | None = None,
) -> list[dict[str, Any]]:
    """Rows of ``report.feature_plots`` of one family, but for what its table does not know.

    Parameters
    ----------
    frame
        Rows of the family's table.
    features
        Its features. Those without any value give no row.
    config
        Says which universe comes first; a feature is shown on the first that has values.
    newest_days
        Curves begin so many days before the last session; the histogram is of all values.
    """
    frame, freq = _one_bar_length(frame)
    waiting = [name for name in features if name in frame.columns]
    found: dict[str, dict[str, Any]] = {}
    for universe in order_of(frame, config):
        if not waiting:
            break
        mine = frame.filter(pl.col("universe") == universe)
        known = mine.select(pl.col(waiting).count())
        here = [name for name in waiting if known[name][0]]
        if here:
            n_symbols = mine["symbol"].n_unique() if "symbol" in mine.columns else None
            told = {"universe": universe, "freq": freq, "n_symbols": n_symbols}
            drawn = _of_universe(mine.select("ts", *here).sort("ts"), here, newest_days)
            found |= {name: {**row, **told} for name, row in drawn.items()}
        waiting = [name for name in waiting if name not in found]
    return [found[name] for name in features if name in found]


def _one_bar_length(frame: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """Rows of the bar length that has most: values of different lengths are not comparable."""
    if "freq" not in frame.columns or frame.is_empty():
        return frame, "1d"
    freq = frame.group_by("freq").len().sort("len", "freq", descending=True)["freq"][0]
    return frame.filter(pl.col("freq") == freq), freq


def _of_universe(
    frame: pl.DataFrame, names: list[str], newest_days: int | None
) -> dict[str, dict[str, Any]]:
    axis = _Axes(frame["ts"], newest_days)
    rows = {}
    for name in names:
        values = frame[name].cast(pl.Float64).to_numpy()
        finite = np.isfinite(values)
        if not finite.any():
            continue
        values = np.where(finite, values, np.nan)
        time = axis.between(*np.flatnonzero(finite)[[0, -1]].tolist())
        rows[name] = {
            "feature": name,
            "stretch": time.stretch,
            **_curves(values[time.start : time.stop], time),
            **_distribution(values[finite]),
            "first_ts": time.first,
            "last_ts": time.last,
        }
    return rows


@dataclass(frozen=True)
class _Time:
    """Rows `start` to `stop` cut into stretches: how many rows each has, and its place."""

    stretch: str
    start: int
    stop: int
    sizes: np.ndarray
    places: np.ndarray
    n_points: int
    first: datetime
    last: datetime


class _Axes:
    """Time axes over parts of ascending stamps; most features share one."""

    def __init__(self, ts: pl.Series, newest_days: int | None) -> None:
        self.ts = ts
        self.oldest = 0
        if newest_days is not None:
            self.oldest = int(ts.search_sorted(ts[-1] - timedelta(days=newest_days)))
        self.known: dict[tuple[int, int], _Time] = {}

    def between(self, first: int, last: int) -> _Time:
        """Axis of the stretches that rows `first` to `last`, both included, lie in."""
        if last >= self.oldest:
            first = max(first, self.oldest)
        if (first, last) not in self.known:
            self.known[first, last] = self._cut(first, last)
        return self.known[first, last]

    def _cut(self, first: int, last: int) -> _Time:
        ts = self.ts[first : last + 1]
        stretch = stretch_of(ts)
        begins = ts.dt.truncate(stretch)
        runs = begins.rle()
        # Every stretch from the first to the last: one without a session is a gap in the curve.
        grid = pl.datetime_range(begins[0], begins[-1], stretch, time_zone="UTC", eager=True)
        return _Time(
            stretch,
            first,
            last + 1,
            runs.struct.field("len").to_numpy().astype(np.int64),
            np.searchsorted(grid.to_numpy(), runs.struct.field("value").to_numpy()),
            len(grid),
            begins[0],
            begins[-1],
        )


def stretch_of(ts: pl.Series) -> str:
    """The shortest stretch that covers ascending stamps in at most `MOST_POINTS` points."""
    days = (ts[-1] - ts[0]).days
    return next((s for s, length in STRETCHES.items() if days <= length * MOST_POINTS), "1q")


def _curves(values: np.ndarray, time: _Time) -> dict[str, Any]:
    few = _has_few(values[np.isfinite(values)])
    table = _by_stretch(values, time.sizes)
    known = np.isfinite(table).sum(axis=1)
    curves = [np.full(time.n_points, np.nan) for _ in _BAND]
    if few:
        total = np.nansum(table, axis=1)
        curves[1][time.places] = np.where(known > 0, total / np.maximum(known, 1), np.nan)
        low, high = axis_of(curves[1])
    else:
        for curve, share in zip(curves, _BAND, strict=True):
            curve[time.places] = sorted_quantile(table, known, share)
        low, high = axis_of(np.concatenate(curves))
    lower, middle, upper = (encoded(curve, low, high) for curve in curves)
    return {
        "shown": "mean" if few else "median",
        "axis_low": low,
        "axis_high": high,
        "lower": "" if few else lower,
        "middle": middle,
        "upper": "" if few else upper,
    }


def _has_few(finite: np.ndarray) -> bool:
    """Whether there are at most `FEW_VALUES` different values; a look at the first decides most."""
    return np.unique(finite[:1_000]).size <= FEW_VALUES and np.unique(finite).size <= FEW_VALUES


def _by_stretch(values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Values of each stretch in a row, ascending, missing ones last."""
    table = np.full((sizes.size, int(sizes.max())), np.nan)
    rows = np.repeat(np.arange(sizes.size), sizes)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    table[rows, np.arange(values.size) - starts] = values
    table.sort(axis=1)
    return table


def sorted_quantile(table: np.ndarray, known: np.ndarray, share: float) -> np.ndarray:
    """Linear-interpolation quantile (Hyndman and Fan 1996, type 7) of each row.

    Parameters
    ----------
    table
        Shape ``(n, m)``, rows ascending, NaN last.
    known
        Values of each row that are no NaN.
    share
        Between 0 and 1.
    """
    at = share * np.maximum(known - 1, 0)
    below = np.floor(at).astype(int)
    above = np.minimum(below + 1, np.maximum(known - 1, 0))
    rows = np.arange(known.size)
    low, high = table[rows, below], table[rows, above]
    return np.where(known > 0, low + (at - below) * (high - low), np.nan)


def axis_of(values: np.ndarray) -> tuple[float, float]:
    """Ends of the axis: all points, but for those far beyond nearly all others."""
    finite = values[np.isfinite(values)]
    few, most = np.quantile(finite, (0.02, 0.98))
    reach = _REACH * (most - few)
    low, high = float(finite.min()), float(finite.max())
    if reach > 0:
        low, high = max(low, float(few - reach)), min(high, float(most + reach))
    # A constant, but for the rounding of its mean, lies in the middle.
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        room = max(abs(low), abs(high)) / 2 or 0.5
        low, high = low - room, low + room
    return low, high


def _distribution(finite: np.ndarray) -> dict[str, Any]:
    finite = np.sort(finite)
    one_row, known = finite[None, :], np.array([finite.size])
    p01, p10, median, p90, p99 = (
        float(sorted_quantile(one_row, known, share)[0]) for share in (0.01, *_BAND, 0.99)
    )
    # Sines of whole turns and the like: what is zero but for rounding is shown as zero.
    rounding = 1e-12 * max(abs(float(finite[0])), abs(float(finite[-1])))
    p10, median, p90 = (0.0 if abs(value) < rounding else value for value in (p10, median, p90))
    low, high = (p01, p99) if p01 < p99 else axis_of(finite)
    # Values beyond the 1 % and 99 % quantiles are counted in the outermost bars.
    edges = np.linspace(low, high, N_BARS + 1)[1:-1]
    below = np.concatenate(([0], np.searchsorted(finite, edges, side="right"), [finite.size]))
    heights = np.diff(below).astype(float)
    return {
        "n_values": int(finite.size),
        "minimum": float(finite[0]),
        "p10": p10,
        "median": median,
        "p90": p90,
        "maximum": float(finite[-1]),
        "bars_low": low,
        "bars_high": high,
        "bars": encoded(heights, 0.0, float(heights.max())),
    }


def rows_of(
    catalogue: pl.DataFrame,
    plotted: Mapping[str, Mapping[str, Any]],
    computed_here: frozenset[str] = frozenset(),
) -> pl.DataFrame:
    """Rows of ``report.feature_plots``: one per feature of the catalogue, in its order.

    Parameters
    ----------
    catalogue
        Rows of ``features.catalogue``.
    plotted
        Feature → its row of `plots_of`.
    computed_here
        Families whose values are of this page and of no table.
    """
    empty = dict.fromkeys(report.FEATURE_PLOTS.column_names)
    texts = dict.fromkeys(("lower", "middle", "upper", "bars", "shown", "stretch"), "")
    rows = [
        {
            **empty,
            **texts,
            "n_values": 0,
            "feature": name,
            "place": place,
            "family": family,
            "in_a_table": family not in computed_here,
            **plotted.get(name, {}),
        }
        for place, (name, family) in enumerate(catalogue.select("name", "family").iter_rows())
    ]
    return pl.DataFrame(rows, schema=report.FEATURE_PLOTS.schema)
