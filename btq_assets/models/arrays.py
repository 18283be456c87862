"""A tidy panel as dense arrays over sessions and assets, for models that read windows.

Belongs here: laying rows out as arrays and back. Does not belong here: anything fitted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
        universes = panel["universe"].unique().to_list()
        if len(universes) != 1:
            raise ModelError(f"a panel of one universe is needed, it has {sorted(universes)}")
        if "is_decision" not in panel.columns:
            panel = panel.with_columns(is_decision=pl.lit(True))
        ts = panel["ts"].unique().sort()
        symbols = panel["symbol"].unique().sort()
        row = ts.search_sorted(panel["ts"]).to_numpy()
        column = symbols.search_sorted(panel["symbol"]).to_numpy()
        shape = (ts.len(), symbols.len())
        names = ["session_return", *features]
        values = np.full((*shape, len(names)), np.nan, dtype=np.float32)
        values[row, column] = (
            panel.select(pl.col(names).cast(pl.Float32)).fill_null(np.nan).to_numpy()
        )
        values[~np.isfinite(values)] = np.nan
        present = np.zeros(shape, dtype=bool)
        present[row, column] = True
        if int(present.sum()) != panel.height:
            require_distinct(panel, "laying out a panel")
        decides = np.zeros(shape, dtype=bool)
        decides[row, column] = panel["is_decision"].fill_null(False).to_numpy()
        sectors, names_of_sectors = None, pl.Series(dtype=pl.String)
        if "sector" in panel.columns:
            said = panel["sector"].cast(pl.String)
            names_of_sectors = said.drop_nulls().unique().sort()
            sectors = np.full(shape, -1, dtype=np.int64)
            known = said.is_not_null().to_numpy()
            sectors[row[known], column[known]] = (
                names_of_sectors.search_sorted(said.drop_nulls()).to_numpy() + 1
            )
        documents = None
        if COLUMN in panel.columns:
            documents = PanelDocuments.from_rows(panel[COLUMN], row, column, shape)
        return cls(
            universe=universes[0],
            ts=ts,
            symbols=tuple(symbols),
            features=values[:, :, 1:],
            returns=values[:, :, 0].astype(np.float64),
            present=present,
            decides=decides,
            sectors=sectors,
            sector_names=tuple(names_of_sectors),
            documents=documents,
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
        row, column = np.nonzero(where)
        found = {"forecast": values, **(others or {})}
        return (
            pl.DataFrame(
                {
                    "symbol": pl.Series(self.symbols, dtype=pl.String).gather(column),
                    "ts": self.ts.gather(row),
                    **{
                        name: pl.Series(array[row, column], dtype=pl.Float64)
                        for name, array in found.items()
                    },
                }
            )
            .select(pl.lit(self.universe).alias("universe"), "symbol", "ts", *found)
            .sort("universe", "symbol", "ts")
        )
