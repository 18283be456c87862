"""The expressions of Alpha158 over a range of symbols, built from the rolling kernels.

Belongs here: which kernel gives which expression. Does not belong here: names of columns, frames
(`features.alpha158`).

Two modes. ``compatible`` is qlib: a window has a value where one of its values exists, quotients
have 1e-12 added to the divisor, and a window whose deviation is at most 2e-5 has no correlation
and no R squared. Otherwise windows are full, nothing is added, and what is divided by
zero is missing; a window counts as constant where its deviation is 1e-7 of its mean, so that the
scale of prices does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from btq_assets.features.kernels import moments, order, pairs, quantiles

Array = NDArray[np.float64]
Block = NDArray[np.float32]

#: Fields an evaluation reads; ``log_volume`` is the logarithm of volume plus one.
FIELDS = ("open", "high", "low", "close", "volume", "log_volume", "vwap")

#: Rolling expressions that one pass gives together.
GROUPS = (
    ("roc",),
    ("ma", "std", "beta", "rsqr", "resi"),
    ("max", "min", "rsv", "imax", "imin", "imxd"),
    ("qtlu", "qtld"),
    ("rank",),
    ("corr",),
    ("cord",),
    ("cntp", "cntn", "cntd"),
    ("sump", "sumn", "sumd"),
    ("vma", "vstd"),
    ("wvma",),
    ("vsump", "vsumn", "vsumd"),
)

_NONE = np.empty(0)
_UNWANTED = np.empty((0, 0))
_UNWANTED_32 = np.empty((0, 0), np.float32)
_GUARD = 1e-12
_STILL = 2e-5
_STILL_SHARE = 1e-7
_QUANTILES = np.array([0.8, 0.2])


@dataclass(frozen=True)
class Results:
    """Memory for the results of all symbols.

    Parameters
    ----------
    bars
        ``float32[rows]`` by expression without a window.
    windows
        Ascending windows wanted of each group, by the group's first kind.
    blocks
        ``float32[windows of the group, rows]`` by kind of rolling expression.
    """

    bars: Mapping[str, Block]
    windows: Mapping[str, NDArray[np.int64]]
    blocks: Mapping[str, Block]

    @classmethod
    def of(cls, names: Iterable[str], rows: int) -> Results:
        """Memory for some expressions, such as ``kmid`` or ``roc_5``."""
        wanted: dict[str, set[int]] = {}
        bars = {}
        for name in names:
            kind, _, n = name.rpartition("_")
            if any(kind in group for group in GROUPS):
                wanted.setdefault(kind, set()).add(int(n))
            else:
                bars[name] = np.empty(rows, np.float32)
        windows = {}
        blocks = {}
        for group in GROUPS:
            together = sorted(set().union(*(wanted.get(kind, ()) for kind in group)))
            windows[group[0]] = np.array(together, np.int64)
            for kind in group:
                if kind in wanted:
                    blocks[kind] = np.empty((len(together), rows), np.float32)
        return cls(bars, windows, blocks)

    def fields(self) -> tuple[str, ...]:
        """Fields that are read; the four prices always are."""
        wanted = {kind for kind, windows in self.windows.items() if windows.size}
        more = {
            "volume": {"cord", "vma", "wvma", "vsump"} & wanted,
            "log_volume": {"corr"} & wanted,
            "vwap": {"vwap_0"} & self.bars.keys(),
        }
        return tuple(name for name in FIELDS if more.get(name, True))

    def __getitem__(self, name: str) -> Block:
        if name in self.bars:
            return self.bars[name]
        kind, _, n = name.rpartition("_")
        group = next(group for group in GROUPS if kind in group)
        return self.blocks[kind][int(np.searchsorted(self.windows[group[0]], int(n)))]


@dataclass(frozen=True)
class Part:
    """Some symbols: what is known of them, and where results go.

    Parameters
    ----------
    fields
        One array for each of `FIELDS`, symbols one after the other.
    starts
        ``int64[symbols + 1]``: where each symbol begins, and the number of rows.
    at
        Row of the results that belongs to the first row.
    results
        Results of all symbols.
    compatible
        Whether qlib's conventions hold.
    """

    fields: Mapping[str, Array]
    starts: NDArray[np.int64]
    at: int
    results: Results
    compatible: bool

    @property
    def full(self) -> bool:
        """Whether windows need all their values."""
        return not self.compatible

    @property
    def guard(self) -> float:
        """What is added to divisors that may be zero."""
        return _GUARD if self.compatible else 0.0

    @property
    def still(self) -> tuple[float, float]:
        """Deviation below which a window is constant: absolute, and as a share of the mean."""
        return (_STILL, 0.0) if self.compatible else (0.0, _STILL_SHARE)

    @property
    def rows(self) -> slice:
        """Where the part's results are."""
        return slice(self.at, self.at + int(self.starts[-1]))

    def windows(self, group: str) -> NDArray[np.int64]:
        """Windows wanted of a group, named by its first kind."""
        return self.results.windows[group]

    def block(self, kind: str) -> Block:
        """Where a kernel writes a kind, possibly nowhere."""
        return self.results.blocks.get(kind, _UNWANTED_32)

    def store(self, kind: str, values: Callable[[], Array]) -> None:
        """Keep a kind of expression, or one without a window, where it is wanted."""
        if kind in self.results.blocks:
            self.results.blocks[kind][:, self.rows] = values()
        elif kind in self.results.bars:
            self.results.bars[kind][self.rows] = values()

    def room(self, group: str) -> Array:
        """Memory for all windows of a group."""
        return np.empty((self.windows(group).size, int(self.starts[-1])))

    def delayed(self, values: Array, n: int) -> Array:
        """Values `n` rows ago of the same symbol."""
        late = np.empty_like(values)
        late[n:] = values[: max(values.size - n, 0)]
        for first, last in zip(self.starts[:-1], self.starts[1:], strict=True):
            late[first : min(first + n, last)] = np.nan
        return late

    def sums(self, group: str, values: NDArray[np.floating], *, mean: bool = False) -> Array:
        """Rolling sums or means for the windows of a group."""
        out = self.room(group)
        moments.sums(values, self.starts, self.windows(group), self.full, mean, 0, out)
        return out


def evaluate(part: Part) -> None:
    """Compute every wanted expression of a part.

    Parameters
    ----------
    part
        Fields, and where the results go.
    """
    wanted = {kind for kind, windows in part.results.windows.items() if windows.size}
    with np.errstate(all="ignore"):
        _bars(part)
        for group in wanted & _OF_PRICES.keys():
            _OF_PRICES[group](part)
        if wanted & {"cntp", "sump"}:
            _price_moves(part, wanted)
        if "corr" in wanted:
            _correlation(part, "corr", part.fields["close"], part.fields["log_volume"])
        if "vma" in wanted:
            unit = part.fields["volume"] + part.guard
            moments.line(
                part.fields["volume"], part.starts, part.windows("vma"), part.full, 1, unit,
                0.0, 0.0, part.at, part.block("vma"), part.block("vstd"),
                _UNWANTED_32, _UNWANTED_32, _UNWANTED_32,
            )  # fmt: skip
        if wanted & {"cord", "wvma", "vsump"}:
            _volume_moves(part, wanted)


def _bars(part: Part) -> None:
    """Shape of the bar, and prices over the close."""
    opened, high, low, close = (part.fields[name] for name in ("open", "high", "low", "close"))
    top, bottom = np.maximum(opened, close), np.minimum(opened, close)
    width = high - low + part.guard
    shapes: dict[str, Callable[[], Array]] = {
        "kmid": lambda: close - opened,
        "klen": lambda: high - low,
        "kup": lambda: high - top,
        "klow": lambda: bottom - low,
        "ksft": lambda: 2 * close - high - low,
    }
    for name, shape in shapes.items():
        part.store(name, lambda shape=shape: shape() / opened)  # type: ignore[misc]
        part.store(f"{name}2", lambda shape=shape: shape() / width)  # type: ignore[misc]
    for name in ("open", "high", "low", "vwap"):
        part.store(f"{name}_0", lambda name=name: part.fields[name] / close)  # type: ignore[misc]


def _changes(part: Part) -> None:
    close = part.fields["close"]
    for row, n in enumerate(part.windows("roc")):
        part.block("roc")[row, part.rows] = part.delayed(close, int(n)) / close


def _lines(part: Part) -> None:
    close = part.fields["close"]
    moments.line(
        close, part.starts, part.windows("ma"), part.full, 1, close, *part.still, part.at,
        *(part.block(kind) for kind in ("ma", "std", "beta", "rsqr", "resi")),
    )  # fmt: skip


def _extremes(part: Part) -> None:
    """Highest high and lowest low, when they were, and where the close lies between."""
    close, windows = part.fields["close"], part.windows("max")
    highest, highest_at, lowest, lowest_at = (part.room("max") for _ in range(4))
    given = (part.starts, windows, part.full)
    order.extreme(part.fields["high"], *given, 1.0, 0, highest, highest_at)
    order.extreme(part.fields["low"], *given, -1.0, 0, lowest, lowest_at)
    n = windows[:, None]
    part.store("max", lambda: highest / close)
    part.store("min", lambda: lowest / close)
    part.store("rsv", lambda: (close - lowest) / (highest - lowest + part.guard))
    part.store("imax", lambda: highest_at / n)
    part.store("imin", lambda: lowest_at / n)
    part.store("imxd", lambda: (highest_at - lowest_at) / n)


def _quantiles(part: Part) -> None:
    close = part.fields["close"]
    found = np.empty((2, *part.room("qtlu").shape), np.float32)
    given = (part.starts, part.windows("qtlu"), part.full, _QUANTILES, close, 0)
    quantiles.quantiles(close, *given, found)
    part.store("qtlu", lambda: found[0])
    part.store("qtld", lambda: found[1])


def _ranks(part: Part) -> None:
    windows = part.windows("rank")
    order.rank(part.fields["close"], part.starts, windows, part.full, part.at, part.block("rank"))


_OF_PRICES: dict[str, Callable[[Part], None]] = {
    "roc": _changes,
    "ma": _lines,
    "max": _extremes,
    "qtlu": _quantiles,
    "rank": _ranks,
}


def _correlation(part: Part, kind: str, x: Array, y: Array) -> None:
    pairs.pair(
        x, y, part.starts, part.windows(kind), part.full, 1, *part.still, part.at,
        _UNWANTED_32, part.block(kind),
    )  # fmt: skip


def _price_moves(part: Part, wanted: Container[str]) -> None:
    """How many sessions rose and fell, and how far."""
    close = part.fields["close"]
    change = close - part.delayed(close, 1)
    if "cntp" in wanted:
        # A first session has not moved: for qlib it counts as neither, here it is unknown.
        unknown = 0.0 if part.compatible else change * 0.0
        up, down = (
            part.sums("cntp", moved + unknown, mean=True) for moved in (change > 0, change < 0)
        )
        _difference(part, ("cntp", "cntn", "cntd"), up, down)
    if "sump" in wanted:
        _shares(part, ("sump", "sumn", "sumd"), change)


def _volume_moves(part: Part, wanted: Container[str]) -> None:
    """Changes of volume, alone and with those of the price."""
    close, volume = part.fields["close"], part.fields["volume"]
    before = part.delayed(volume, 1)
    ratio = close / part.delayed(close, 1)
    if "cord" in wanted:
        # Volume out of nothing has no ratio; pandas reads infinity as missing, too.
        change = np.log(volume / before + 1)
        change[np.isinf(change)] = np.nan
        _correlation(part, "cord", ratio, change)
    if "wvma" in wanted:
        mean, deviation = part.room("wvma"), part.room("wvma")
        moments.line(
            np.abs(ratio - 1) * volume, part.starts, part.windows("wvma"), part.full, 1, _NONE,
            0.0, 0.0, 0, mean, deviation, _UNWANTED, _UNWANTED, _UNWANTED,
        )  # fmt: skip
        part.store("wvma", lambda: deviation / (mean + part.guard))
    if "vsump" in wanted:
        _shares(part, ("vsump", "vsumn", "vsumd"), volume - before)


def _shares(part: Part, kinds: tuple[str, str, str], change: Array) -> None:
    """Share of the rises, of the falls, and their difference, in the sum of all moves."""
    risen = part.sums(kinds[0], np.maximum(change, 0.0))
    fallen = part.sums(kinds[0], np.maximum(-change, 0.0))
    moved = risen + fallen + part.guard
    _difference(part, kinds, risen / moved, fallen / moved)


def _difference(part: Part, kinds: tuple[str, str, str], a: Array, b: Array) -> None:
    part.store(kinds[0], lambda: a)
    part.store(kinds[1], lambda: b)
    part.store(kinds[2], lambda: a - b)
