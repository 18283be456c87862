"""Prices of one universe as a sessions × symbols matrix, read only as far as was known.

Belongs here: the matrix form of bars and forecasts, decision rows, and the tidy form of weights.
Does not belong here: any weighting rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from btq_assets.contracts.portfolio import targets_contract

_TARGETS_SCHEMA = targets_contract("any", "").schema


class PortfolioError(ValueError):
    """Weights cannot be computed: unknown symbol, too little history, singular covariance, ..."""


@dataclass(frozen=True)
class PricePanel:
    """Adjusted prices of one universe.

    Parameters
    ----------
    universe
        Name of the universe.
    symbols
        ``N`` symbols, ascending.
    ts_us
        ``int64[T]``, session ends in microseconds since 1970 UTC, ascending.
    prices
        ``float64[T, N]``, adjusted close; NaN where the symbol has no bar.
    known_at_us
        ``int64[T, N]``, when each bar could first be known; ``None`` when that is always the end
        of the bar, as with exchange closes.
    """

    universe: str
    symbols: tuple[str, ...]
    ts_us: np.ndarray
    prices: np.ndarray
    known_at_us: np.ndarray | None

    @classmethod
    def from_bars(cls, bars: pl.DataFrame, universe: str) -> PricePanel:
        """Panel of `universe` out of tidy bars (`core.bars_1d`).

        Raises
        ------
        PortfolioError
            The universe has no bar, or a price is not positive.
        """
        rows = bars.filter(pl.col("universe") == universe).select(
            "symbol", "ts", "known_at", "adj_close"
        )
        if rows.is_empty():
            raise PortfolioError(
                f"no bars of universe {universe!r}; bars hold "
                f"{sorted(bars['universe'].unique().to_list())}"
            )
        bad = rows.filter(~(pl.col("adj_close") > 0))
        if not bad.is_empty():
            raise PortfolioError(f"{universe}: adj_close is not positive at {bad.row(0)}")
        symbols = tuple(sorted(rows["symbol"].unique().to_list()))
        sessions = rows["ts"].unique().sort()
        column = {symbol: number for number, symbol in enumerate(symbols)}
        ts_us = microseconds(sessions)
        own_ts, known = microseconds(rows["ts"]), microseconds(rows["known_at"])
        at = (
            np.searchsorted(ts_us, own_ts),
            rows["symbol"].replace_strict(column, return_dtype=pl.Int64).to_numpy(),
        )
        prices = np.full((len(ts_us), len(symbols)), np.nan)
        prices[at] = rows["adj_close"].to_numpy()
        known_at: np.ndarray | None = None
        if (known > own_ts).any():
            known_at = np.full(prices.shape, np.iinfo(np.int64).max)
            known_at[at] = known
        return cls(universe, symbols, ts_us, prices, known_at)

    @property
    def n_symbols(self) -> int:
        """Number of symbols ``N``."""
        return len(self.symbols)

    def prices_until(self, row: int, n_sessions: int) -> np.ndarray:
        """The last `n_sessions` prices known at the end of session `row`, that session included.

        Returns
        -------
        numpy.ndarray
            ``float64[min(n_sessions, row + 1), N]``; a bar known only later is NaN.
        """
        first = max(0, row + 1 - n_sessions)
        window = self.prices[first : row + 1]
        if self.known_at_us is None:
            return window
        return np.where(self.known_at_us[first : row + 1] <= self.ts_us[row], window, np.nan)

    def returns_until(self, row: int, n_sessions: int) -> np.ndarray:
        """The last `n_sessions` simple daily returns known at session `row`.

        Returns
        -------
        numpy.ndarray
            ``float64[min(n_sessions, row), N]``; NaN where either price is missing.
        """
        window = self.prices_until(row, n_sessions + 1)
        return window[1:] / window[:-1] - 1.0

    def complete_history(self, row: int, n_returns: int) -> np.ndarray:
        """``bool[N]``: which symbols have `n_returns` daily returns without a gap at `row`."""
        if row < n_returns:
            return np.zeros(self.n_symbols, dtype=bool)
        return np.isfinite(self.prices_until(row, n_returns + 1)).all(axis=0)

    def rows_of(self, ts: pl.Series) -> np.ndarray:
        """Row of each session end in `ts`.

        Raises
        ------
        PortfolioError
            A time is not a session of this universe.
        """
        wanted = microseconds(ts)
        rows = np.searchsorted(self.ts_us, wanted)
        clipped = np.minimum(rows, len(self.ts_us) - 1)
        absent = self.ts_us[clipped] != wanted
        if absent.any():
            raise PortfolioError(
                f"{int(absent.sum())} decision(s) are no session of {self.universe}, "
                f"the first at {ts.filter(pl.Series(absent))[0]}"
            )
        return clipped

    def stamps(self, rows: np.ndarray) -> pl.Series:
        """Session ends at `rows` as UTC timestamps."""
        return pl.Series("ts", self.ts_us[rows]).cast(pl.Datetime("us", "UTC"))

    def listed(self, rows: np.ndarray) -> np.ndarray:
        """``bool[len(rows), N]``: whether a symbol had ever been seen by each session."""
        known = self.ts_us[:, None] if self.known_at_us is None else self.known_at_us
        first = np.where(np.isfinite(self.prices), known, np.iinfo(np.int64).max).min(axis=0)
        return first[None, :] <= self.ts_us[rows][:, None]


def microseconds(ts: pl.Series) -> np.ndarray:
    """UTC timestamps as ``int64`` microseconds since 1970."""
    return ts.dt.epoch("us").to_numpy()


def decisions_in_test(panel: PricePanel, splits: pl.DataFrame, every: str) -> np.ndarray:
    """Rows of `panel` at which a decision of some test segment is made.

    Parameters
    ----------
    splits
        `models.splits`; only ``universe``, ``test_start`` and ``test_end`` are read.
    every
        ``"week"`` or ``"month"``, as in `timeline.decision_times`.

    Raises
    ------
    PortfolioError
        No decision falls in a test segment.
    """
    from btq_assets.timeline import decision_times

    decisions = decision_times(panel.stamps(np.arange(len(panel.ts_us))), every)  # type: ignore[arg-type]
    folds = splits.filter(pl.col("universe") == panel.universe)
    inside = pl.Series([False] * len(decisions), dtype=pl.Boolean)
    for start, end in folds.select("test_start", "test_end").iter_rows():
        inside |= decisions.is_between(start, end)
    rows = panel.rows_of(decisions.filter(inside))
    if len(rows) == 0:
        raise PortfolioError(f"{panel.universe}: no decision falls in a test segment of the splits")
    return rows


def forecast_matrix(
    forecasts: pl.DataFrame, panel: PricePanel, *, variant: str, horizon_sessions: int
) -> tuple[np.ndarray, np.ndarray]:
    """Forecasts of one model and variant, averaged over seeds.

    Parameters
    ----------
    forecasts
        A `models.forecasts_<model>` table.

    Returns
    -------
    rows : numpy.ndarray
        ``int64[D]``, sessions of `panel` with a forecast, ascending. Empty when there is none.
    scores : numpy.ndarray
        ``float64[D, N]``, in units of the label; NaN where a symbol has no forecast.

    Raises
    ------
    PortfolioError
        A forecast names an unknown symbol or is infinite.
    """
    mean = (
        forecasts.filter(
            (pl.col("universe") == panel.universe)
            & (pl.col("variant") == variant)
            & (pl.col("horizon_sessions") == horizon_sessions)
        )
        .group_by("symbol", "ts")
        .agg(pl.col("forecast").mean())
    )
    unknown = sorted(set(mean["symbol"].unique().to_list()) - set(panel.symbols))
    if unknown:
        raise PortfolioError(f"forecasts of {unknown}, which have no bars in {panel.universe}")
    if mean["forecast"].is_infinite().any():
        raise PortfolioError(f"infinite forecast in variant {variant!r} of {panel.universe}")
    stamps = mean["ts"].unique().sort()
    rows = panel.rows_of(stamps)
    scores = np.full((len(rows), panel.n_symbols), np.nan)
    column = {symbol: number for number, symbol in enumerate(panel.symbols)}
    at = (
        np.searchsorted(microseconds(stamps), microseconds(mean["ts"])),
        mean["symbol"].replace_strict(column, return_dtype=pl.Int64).to_numpy(),
    )
    scores[at] = mean["forecast"].to_numpy()
    return rows, scores


def rows_since(panel: PricePanel, rows: np.ndarray, since: datetime | None) -> np.ndarray:
    """``bool[len(rows)]``: which rows end at or after `since`; all of them for ``None``."""
    if since is None:
        return np.ones(len(rows), dtype=bool)
    bound = microseconds(pl.Series([since]).cast(pl.Datetime("us", "UTC")))[0]
    return panel.ts_us[rows] >= bound


def targets_frame(
    panel: PricePanel, weights: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> pl.DataFrame:
    """Tidy rows of ``portfolio.targets_*``.

    Parameters
    ----------
    weights
        Strategy → (rows ``int64[D]``, weights ``float64[D, N]``). Every symbol that had been
        seen by a decision gets a row, weight 0 included; one not yet seen gets none, since
        nobody could have named it.

    Returns
    -------
    polars.DataFrame
        ``strategy``, ``universe``, ``symbol``, ``ts``, ``weight``, sorted by key.
    """
    frames = []
    for strategy, (rows, matrix) in weights.items():
        keep = panel.listed(rows).ravel()
        frames.append(
            pl.DataFrame(
                {
                    "strategy": strategy,
                    "universe": panel.universe,
                    "symbol": np.tile(np.array(panel.symbols, dtype=object), len(rows))[keep],
                    "ts": panel.stamps(np.repeat(rows, panel.n_symbols)[keep]),
                    "weight": matrix.ravel()[keep],
                },
                schema=_TARGETS_SCHEMA,
            )
        )
    return pl.concat(frames).sort("strategy", "universe", "symbol", "ts")
