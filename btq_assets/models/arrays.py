"""A tidy panel as dense arrays over sessions and assets, for models that read windows.

Belongs here: laying rows out as arrays and back. Does not belong here: anything fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from btq_assets.models.forecaster import ModelError, require_columns


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
        none; ``None`` where there is no such column. Equal numbers mean equal sectors, no more.
    """

    universe: str
    ts: pl.Series
    symbols: tuple[str, ...]
    features: np.ndarray
    returns: np.ndarray
    present: np.ndarray
    decides: np.ndarray
    sectors: np.ndarray | None = None

    @classmethod
    def from_panel(cls, panel: pl.DataFrame, features: Sequence[str]) -> PanelArrays:
        """Lay out the rows of `panel`.

        Raises
        ------
        ModelError
            `panel` has no row, or rows of several universes.
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
        decides = np.zeros(shape, dtype=bool)
        decides[row, column] = panel["is_decision"].fill_null(False).to_numpy()
        sectors = None
        if "sector" in panel.columns:
            sectors = np.full(shape, -1, dtype=np.int64)
            number = panel["sector"].cast(pl.String).rank("dense").cast(pl.Int64)
            sectors[row, column] = number.fill_null(-1).to_numpy()
        return cls(
            universe=universes[0],
            ts=ts,
            symbols=tuple(symbols),
            features=values[:, :, 1:],
            returns=values[:, :, 0].astype(np.float64),
            present=present,
            decides=decides,
            sectors=sectors,
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

    def tidy(self, values: np.ndarray, where: np.ndarray) -> pl.DataFrame:
        """Rows ``universe, symbol, ts, forecast`` of a ``(T, N)`` array where `where` is true."""
        row, column = np.nonzero(where)
        return (
            pl.DataFrame(
                {
                    "symbol": pl.Series(self.symbols, dtype=pl.String).gather(column),
                    "ts": self.ts.gather(row),
                    "forecast": pl.Series(values[row, column], dtype=pl.Float64),
                }
            )
            .select(pl.lit(self.universe).alias("universe"), "symbol", "ts", "forecast")
            .sort("universe", "symbol", "ts")
        )
