"""The newest bar's features, as fast as bars come: `LivePanel`.

Belongs here: keeping what the next bar needs, and asking for its features. Does not belong here:
formulas; they are those of the batch (`latest` evaluates the same expressions at the last bar).

Families made of expressions are evaluated from trailing windows kept as arrays. When the panel is
made, each is held against the batch over the last bars of the history; a family that disagrees, or
looks at several symbols at once, is computed by its batch function over its memory instead: same
values, more milliseconds. `LivePanel.paths` says which family goes which way, and why.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from btq_assets.config import TradingConfig
from btq_assets.features.bar_program import Program
from btq_assets.features.custom import all_families
from btq_assets.features.definitions import ANCHOR, KEY, OHLCV, SYMBOL, FeatureError
from btq_assets.features.families import Family, observed
from btq_assets.features.incremental import full_because, tail_of
from btq_assets.features.latest import Array, NotEvaluatedError
from btq_assets.features.newest import Formulas, evaluated, formulas_of

_PRICES = (*OHLCV, "adj_open", "adj_high", "adj_low", "adj_close")

#: Bars kept beyond the window before everything is moved to the front again.
_ROOM = 512
#: Last bars of the history at which a family is held against its batch.
_COMPARED = 3
_TOLERANCE = 1e-10


@dataclass
class _Windows:
    """The last bars of every symbol, the newest in the same column for all."""

    names: list[tuple[str, str]]
    n_bars: int
    columns: dict[str, Array] = field(default_factory=dict)
    end: int = 0

    def __post_init__(self) -> None:
        width = self.n_bars + _ROOM
        self.columns = {
            n: np.full((len(self.names), width), np.nan) for n in (*_PRICES, "_p", "_r")
        }
        self.ages = np.zeros(len(self.names), dtype=np.int64)
        self.anchors = np.full(len(self.names), np.nan)
        self.end = self.n_bars

    def trailing(self) -> dict[str, Array]:
        """The window of each column, ``(symbols, n_bars)``."""
        return {n: v[:, self.end - self.n_bars : self.end] for n, v in self.columns.items()}

    def add(self, rows: NDArray[np.int64], values: dict[str, Array]) -> Array:
        """One more bar of the symbols `rows`, the others keep their windows; ``(columns, rows)`` of it."""
        if self.end == self.n_bars + _ROOM:
            for column in self.columns.values():
                column[:, : self.n_bars] = column[:, -self.n_bars :]
            self.end = self.n_bars
        absent = np.ones(len(self.names), dtype=bool)
        absent[rows] = False
        if absent.any():
            start = self.end - self.n_bars
            for column in self.columns.values():
                column[absent, start + 1 : self.end + 1] = column[absent, start : self.end]
        for name, value in values.items():
            self.columns[name][rows, self.end] = value
        price = values["adj_close"]
        self.anchors[rows] = np.where(self.ages[rows] == 0, price, self.anchors[rows])
        # As the batch does: polars multiplies by the reciprocal of the first price.
        relative = price * (1 / self.anchors[rows])
        self.columns["_p"][rows, self.end] = relative
        before = self.columns["_p"][rows, self.end - 1]
        moved = np.log(relative) - np.log(before)
        self.columns["_r"][rows, self.end] = np.where(self.ages[rows] > 0, moved, np.nan)
        self.ages[rows] += 1
        self.end += 1
        return np.stack([column[rows, self.end - 1] for column in self.columns.values()])


class LivePanel:
    """Features of each new bar, equal to the batch over the whole history.

    Parameters
    ----------
    history
        Rows of `core.bars_1d` up to now: at least the longest memory of the families, and from the
        first bar of each symbol where values shall equal a batch that begins there.
    families
        Names; default the technical, volatility and microstructure families. Only families that
        read bars alone, ``custom`` among them where ``features.custom_modules`` names any.
    config
        Windows and switches.
    features
        Those wanted of all the families have; default all. Others are not computed.

    Raises
    ------
    FeatureError
        A family is unknown or reads other tables; the history is empty.

    Notes
    -----
    Adjusted prices must stay on one scale: after a dividend or split that re-bases a history, make
    the panel anew. A price that stood still for more sessions than the memory counts as never
    having moved, while a batch over the whole history remembers that it did.

    Examples
    --------
    >>> panel = LivePanel(bars)  # doctest: +SKIP
    >>> features = panel.update(new_bars)  # one row per symbol  # doctest: +SKIP
    """

    def __init__(
        self,
        history: pl.DataFrame,
        families: Iterable[str] = ("technical", "volatility", "microstructure"),
        config: TradingConfig | None = None,
        *,
        features: Iterable[str] | None = None,
    ) -> None:
        self.config = config or TradingConfig()
        self._wanted = None if features is None else frozenset(features)
        self.families = tuple(_live_family(name, self.config) for name in families)
        #: ``windows``, or why a family is computed by its batch function, by family.
        self.paths: dict[str, str] = {}
        bars = _usable(observed({"bars": history}, self.config)["bars"])
        if bars.is_empty():
            raise FeatureError("the history has no bar with a price; give at least one")
        self._newest = {
            (universe, symbol): ts
            for universe, symbol, ts in bars.group_by(SYMBOL).agg(pl.col("ts").max()).iter_rows()
        }
        memory = max(
            f.memory_sessions(self.config.features) if f.memory_sessions else 1
            for f in self.families
        )
        self._windows = _filled(bars, memory)
        self._rows = {name: row for row, name in enumerate(self._windows.names)}
        self._formulas: list[Formulas] = []
        self._batch: list[Family] = []
        for family in self.families:
            why = self._join(family, bars)
            self.paths[family.name] = f"batch: {why}" if why else "windows"
            if why:
                self._batch.append(family)
        self._bars = bars if self._batch else bars.clear()
        self._begin()

    def _join(self, family: Family, bars: pl.DataFrame) -> str:
        """Have a family evaluated from the windows; why it cannot be, empty where it is."""
        if family.memory_sessions is None:
            return "every row depends on all of its history"
        formulas = formulas_of(family, self.config)
        if not isinstance(formulas, Formulas):
            return formulas
        if self._wanted is not None:
            formulas = formulas.only(self._wanted)
        why = self._disagreement(formulas, bars)
        if not why:
            self._formulas.append(formulas)
        return why

    def update(self, bars: pl.DataFrame) -> pl.DataFrame:
        """Take one new bar per symbol, and give their features.

        Parameters
        ----------
        bars
            Rows of `core.bars_1d`, at most one per symbol, each newer than the symbol's last one;
            symbols without a new bar may be absent, new ones may appear.

        Returns
        -------
        polars.DataFrame
            ``universe``, ``symbol``, ``ts`` and the features of all families, sorted by symbol;
            null where undefined, and where a family has no row for the bar.

        Raises
        ------
        FeatureError
            Two bars of one symbol, or one that is not newer than the symbol's last.
        """
        with undisturbed():
            bars, columns = self._taken(bars)
            found = pl.DataFrame(
                [
                    *(bars.get_column(name) for name in KEY),
                    *(pl.Series(n, v, nan_to_null=True) for n, v in columns.items()),
                ]
            )
            return self._with_batches(found, bars) if self._batch else found

    @property
    def streams(self) -> bool:
        """Whether every family is evaluated from its windows, so that `values` may be asked."""
        return not self._batch

    def values(self, bars: pl.DataFrame) -> tuple[list[str], dict[str, Array]]:
        """As `update`, without a frame: symbols, and the value of each feature, NaN where undefined.

        Raises
        ------
        FeatureError
            As `update`; or a family is computed by its batch function.
        """
        if self._batch:
            raise FeatureError("a family is computed by its batch function; call update()")
        with undisturbed():
            bars, columns = self._taken(bars)
            return bars["symbol"].to_list(), columns

    def _taken(self, bars: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, Array]]:
        """Usable bars sorted by symbol, and their features of the windows' families."""
        # Columns, not queries: a query of polars wakes threads, which may be kept waiting.
        values = {name: _numbers(bars, name) for name in _PRICES}
        usable = np.isfinite(values["adj_close"]) & (values["adj_close"] > 0)
        names = list(zip(bars["universe"].to_list(), bars["symbol"].to_list(), strict=True))
        stamps = bars["ts"].to_list()
        order = sorted(np.flatnonzero(usable).tolist(), key=names.__getitem__)
        new = [(names[place], stamps[place]) for place in order]
        self._refuse(new)
        rows = self._rows_of([name for name, _ in new])
        fresh = self._windows.add(rows, {name: value[order] for name, value in values.items()})
        ages = np.minimum(self._windows.ages, self._windows.n_bars)
        columns: dict[str, Array] = {}
        for program in self._programs:
            columns |= program.step(fresh, rows, ages)
        self._newest.update(new)
        return bars if order == list(range(bars.height)) else bars[order], columns

    def _begin(self) -> None:
        """Programs that go on from the windows as they are."""
        windows = self._windows.trailing()
        ages = np.minimum(self._windows.ages, self._windows.n_bars)
        self._programs = [Program(formulas, windows, ages) for formulas in self._formulas]

    def _disagreement(self, formulas: Formulas, bars: pl.DataFrame) -> str:
        """Why the windows cannot stand for the batch over the history; empty where they can."""
        ages = np.minimum(self._windows.ages, self._windows.n_bars)
        n = min(_COMPARED, int(ages.min()))
        try:
            found, _ = evaluated(formulas, self._windows.trailing(), ages, n)
        except NotEvaluatedError as error:
            return f"{error} is not evaluated at single bars"
        batch = formulas.family.compute({"bars": bars}, self.config)
        positions = pl.DataFrame(
            self._windows.names, schema={"universe": pl.String, "symbol": pl.String}, orient="row"
        ).with_row_index("_row")
        last = (
            bars.sort(KEY)
            .group_by(SYMBOL, maintain_order=True)
            .tail(n)
            .select(KEY)
            .join(positions, on=list(SYMBOL), how="left", maintain_order="left")
            .join(batch, on=list(KEY), how="left", maintain_order="left")
            .sort("_row", "ts")
        )
        for name, values in found.items():
            want = last[name].cast(pl.Float64).fill_null(float("nan")).to_numpy().reshape(-1, n)
            sizes = batch[name].cast(pl.Float64).fill_null(float("nan")).abs().to_numpy()
            scale = float(np.nanmean(sizes)) if np.isfinite(sizes).any() else 0.0
            gap = np.abs(values - want)
            allowed = _TOLERANCE * np.maximum(np.abs(want), scale)
            same = (gap <= allowed) | (np.isnan(values) & np.isnan(want))
            if not same.all():
                return f"{name} differs from the batch over the history"
        return ""

    def _with_batches(self, found: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
        self._bars = pl.concat([self._bars, _usable(new).select(self._bars.columns)])
        since = new["ts"].min()
        assert isinstance(since, datetime)
        for family in self._batch:
            inputs = {"bars": self._bars}
            if full_because(family):
                rows = family.compute(inputs, self.config)
            else:
                cut = tail_of(inputs, family, self.config, since).inputs
                rows = family.compute_since(cut, self.config, since)
            if self._wanted is not None:
                rows = rows.select(c for c in rows.columns if c in KEY or c in self._wanted)
            found = found.join(rows, on=list(KEY), how="left", maintain_order="left")
        return found

    def _refuse(self, new: list[tuple[tuple[str, str], datetime]]) -> None:
        if len({name for name, _ in new}) < len(new):
            names = [name for name, _ in new]
            again = next(name for name in names if names.count(name) > 1)
            raise FeatureError(f"{'/'.join(again)} has several bars in one update")
        for name, ts in new:
            last = self._newest.get(name)
            if last is not None and ts <= last:
                raise FeatureError(
                    f"{'/'.join(name)}: a bar at {ts} is not newer than the last one, {last}; "
                    "make the panel anew where bars were revised"
                )

    def _rows_of(self, names: list[tuple[str, str]]) -> NDArray[np.int64]:
        unknown = [name for name in names if name not in self._rows]
        if unknown:
            self._windows = _widened(self._windows, unknown)
            self._rows = {name: row for row, name in enumerate(self._windows.names)}
            self._begin()
        return np.array([self._rows[name] for name in names], dtype=np.int64)


def _numbers(bars: pl.DataFrame, name: str) -> Array:
    if name not in bars.columns:
        return np.full(bars.height, np.nan)
    column = bars.get_column(name)
    return (column if column.dtype == pl.Float64 else column.cast(pl.Float64)).to_numpy().copy()


def _live_family(name: str, config: TradingConfig) -> Family:
    known = {family.name: family for family in all_families(config)}
    if name not in known:
        raise FeatureError(f"no family {name!r}; there are {sorted(known)}")
    family = known[name]
    if set(family.inputs) != {"bars"}:
        raise FeatureError(
            f"{name} reads {sorted(family.inputs)}; a live panel takes families of bars alone"
        )
    return family


@contextmanager
def undisturbed() -> Iterator[None]:
    """No garbage is collected meanwhile: looking through a large heap takes longer than a bar."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _usable(bars: pl.DataFrame) -> pl.DataFrame:
    price = pl.col("adj_close")
    absent = [pl.lit(None, pl.Float64).alias(n) for n in _PRICES if n not in bars.columns]
    return bars.with_columns(absent).filter(price.is_finite() & (price > 0)).drop(ANCHOR, strict=False)  # fmt: skip


def _filled(bars: pl.DataFrame, n_bars: int) -> _Windows:
    """Windows of the last `n_bars` of every symbol."""
    ordered = bars.sort(KEY)
    groups = ordered.group_by(SYMBOL, maintain_order=True)
    sizes = groups.agg(n=pl.len(), anchor=pl.col("adj_close").first())
    windows = _Windows(list(sizes.select(SYMBOL).iter_rows()), n_bars)
    n_rows = sizes["n"].to_numpy().astype(np.int64)
    windows.ages = n_rows.copy()
    windows.anchors = sizes["anchor"].to_numpy().copy()
    kept = groups.tail(n_bars)
    held = np.minimum(n_rows, n_bars)
    row = np.repeat(np.arange(held.size), held)
    place = np.arange(row.size) - np.repeat(np.cumsum(held) - held, held)
    column = n_bars - held[row] + place
    for name in _PRICES:
        values = kept[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        windows.columns[name][row, column] = values
    relative = kept["adj_close"].to_numpy() * (1 / windows.anchors[row])
    windows.columns["_p"][row, column] = relative
    logs = np.log(windows.columns["_p"][:, :n_bars])
    windows.columns["_r"][:, 1:n_bars] = np.diff(logs, axis=1)
    return windows


def _widened(windows: _Windows, names: list[tuple[str, str]]) -> _Windows:
    """`windows` with empty ones for symbols that were not there before."""
    wider = _Windows([*windows.names, *names], windows.n_bars)
    n_old = len(windows.names)
    for name, column in wider.columns.items():
        column[:n_old] = windows.columns[name]
    wider.ages[:n_old], wider.anchors[:n_old] = windows.ages, windows.anchors
    wider.end = windows.end
    return wider
