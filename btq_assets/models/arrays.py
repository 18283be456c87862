"""A tidy panel as dense arrays over sessions and assets, for models that read windows.

Belongs here: laying rows out as arrays and back. Does not belong here: anything fitted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from btq_assets.models.forecaster import ModelError, require_columns, require_distinct
from btq_assets.models.text.documents import COLUMN, PanelDocuments


@dataclass(frozen=True)
class PanelArrays:
    """One universe, ``T`` sessions by ``N`` assets.

    Parameters
    ----------
    universe
        Name of the universe.
    ts
        Sessions, ascending, length ``T``.
    symbols
        Assets, sorted, length ``N``.
    features
        ``(T, N, F)`` float32, NaN where missing.
    returns
        ``(T, N)`` simple session returns, NaN where missing.
    present
        ``(T, N)`` whether the panel has a row.
    decides
        ``(T, N)`` whether that row is a decision.
    sectors
        ``(T, N)`` number of the sector in the panel's column ``sector``, negative where it says
        none; ``None`` where there is no such column.
    sector_names
        Names of the sectors of the panel: number ``k`` is the ``k``-th, 1 first.
    documents
        What the panel's column ``documents`` holds; ``None`` where there is no such column.
    """

    universe: str
    ts: pl.Series
    symbols: tuple[str, ...]
    features: np.ndarray
    returns: np.ndarray
    present: np.ndarray
    decides: np.ndarray
    sectors: np.ndarray | None = None
    sector_names: tuple[str, ...] = ()
    documents: PanelDocuments | None = None

    @classmethod
    def from_panel(cls, panel: pl.DataFrame, features: Sequence[str]) -> PanelArrays:
        """Lay out the rows of `panel`.

        Raises
        ------
        ModelError
            `panel` has no row, rows of several universes, or two rows of an asset at a time.
        MissingFeatureError
            A feature column, or ``session_return``, is missing.
        """
        require_columns(panel, (*features, "session_return"), "laying out a panel")
        # In numpy throughout: a query costs more than all of this on the few rows of one decision.
        universes, _ = _numbered(panel["universe"])
        if len(universes) != 1:
            raise ModelError(f"a panel of one universe is needed, it has {list(universes)}")
        stamps, row = np.unique(panel["ts"].to_physical().to_numpy(), return_inverse=True)
        symbols, column = _numbered(panel["symbol"])
        shape = (len(stamps), len(symbols))
        names = ["session_return", *features]
        rows = np.empty((panel.height, len(names)), dtype=np.float32)
        with np.errstate(over="ignore"):  # beyond float32 is infinite, and then missing
            for place, name in enumerate(names):
                rows[:, place] = _numbers(panel[name])
        rows[~np.isfinite(rows)] = np.nan
        values = np.full((*shape, len(names)), np.nan, dtype=np.float32)
        values[row, column] = rows
        present = np.zeros(shape, dtype=bool)
        present[row, column] = True
        if int(present.sum()) != panel.height:
            require_distinct(panel, "laying out a panel")
        decides = np.zeros(shape, dtype=bool)
        decides[row, column] = _flags(panel)
        sectors: np.ndarray | None = None
        sector_names: tuple[str, ...] = ()
        if "sector" in panel.columns:
            sectors = np.full(shape, -1, dtype=np.int64)
            sector_names, number = _numbered(panel["sector"])
            sectors[row, column] = np.where(number < 0, -1, number + 1)
        documents = None
        if COLUMN in panel.columns:
            documents = PanelDocuments.from_rows(panel[COLUMN], row, column, shape)
        return cls(
            universe=universes[0],
            ts=pl.Series("ts", stamps).cast(panel.schema["ts"]),
            symbols=symbols,
            features=values[:, :, 1:],
            returns=values[:, :, 0].astype(np.float64),
            present=present,
            decides=decides,
            sectors=sectors,
            sector_names=sector_names,
            documents=documents,
        )

    def since(self, session: int) -> PanelArrays:
        """The sessions from one on."""
        cut = {
            name: getattr(self, name)[session:]
            for name in ("ts", "features", "returns", "present", "decides")
        }
        return replace(
            self, **cut, sectors=None if self.sectors is None else self.sectors[session:]
        )

    def place(self, rows: pl.DataFrame, values: np.ndarray) -> np.ndarray:
        """Scatter one value per row of `rows` into a ``(T, N)`` array; NaN elsewhere."""
        placed = np.full(self.present.shape, np.nan)
        symbols = pl.Series(self.symbols, dtype=pl.String)
        placed[
            self.ts.search_sorted(rows["ts"]).to_numpy(),
            symbols.search_sorted(rows["symbol"]).to_numpy(),
        ] = values
        return placed

    def tidy(
        self,
        values: np.ndarray,
        where: np.ndarray,
        others: Mapping[str, np.ndarray] | None = None,
    ) -> pl.DataFrame:
        """Rows ``universe, symbol, ts, forecast`` of a ``(T, N)`` array where `where` is true.

        `others` are further columns, by name, of the same shape.
        """
        column, row = np.nonzero(where.T)  # by symbol, then by time
        found = {"forecast": values, **(others or {})}
        stamps = self.ts.to_physical().to_numpy()[row]
        return pl.DataFrame(
            {
                "universe": pl.Series([self.universe] * len(row), dtype=pl.String),
                "symbol": pl.Series([self.symbols[place] for place in column], dtype=pl.String),
                "ts": pl.Series(stamps).cast(self.ts.dtype),
                **{
                    name: pl.Series(np.asarray(array[row, column], dtype=np.float64))
                    for name, array in found.items()
                },
            }
        )


def _numbered(names: pl.Series) -> tuple[tuple[str, ...], np.ndarray]:
    """The different names, sorted, and the place of each row's among them, -1 for none."""
    codes = names.cast(pl.Categorical).to_physical().to_numpy()
    if names.null_count():
        codes = np.nan_to_num(codes, nan=-1.0)
    different, first, place = np.unique(codes, return_index=True, return_inverse=True)
    met = {number: names[int(row)] for number, row in enumerate(first) if different[number] >= 0}
    order = sorted(met, key=met.__getitem__)
    rank = np.full(len(different), -1, dtype=np.int64)
    rank[order] = np.arange(len(order))
    return tuple(met[number] for number in order), rank[place]


def _numbers(values: pl.Series) -> np.ndarray:
    """A column as numbers, null as NaN."""
    numbers = values if values.dtype.is_float() else values.cast(pl.Float64)
    return numbers.to_numpy()


def _flags(panel: pl.DataFrame) -> np.ndarray:
    """Which rows decide: all where the panel does not say."""
    if "is_decision" not in panel.columns:
        return np.ones(panel.height, dtype=bool)
    said = panel["is_decision"]
    return (said.fill_null(False) if said.null_count() else said).to_numpy()
