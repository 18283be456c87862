"""What each strategy held at each date, as arrays beside the returns of what it held.

Belongs here: from positions, prices and equity to weights. Does not belong here: measures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from btq_assets.risk.measures import RiskError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Holdings:
    """Weights held by the strategies of one universe, and the prices behind them.

    Attributes
    ----------
    universe
        Name.
    strategies, symbols
        Names, ascending; S strategies and N symbols.
    ts
        Sessions of the universe, ascending; length T, from the first bar on.
    prices
        Adjusted closes, ``(T, N)``; NaN where there is none.
    returns
        Simple returns session to session, ``(T, N)``; NaN where either price is missing, and in
        the first row.
    weights
        Share of equity in each asset at each close, after that bar's fills, ``(T, S, N)``; NaN
        on sessions without a value of the strategy.
    """

    universe: str
    strategies: tuple[str, ...]
    symbols: tuple[str, ...]
    ts: pl.Series
    prices: Floats
    returns: Floats
    weights: Floats

    @property
    def days(self) -> NDArray[np.datetime64]:
        """Session dates, ``datetime64[D]``."""
        return self.ts.dt.date().to_numpy().astype("datetime64[D]")

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether a strategy has weights at a session, ``(T, S)``."""
        return np.asarray(~np.isnan(self.weights).any(axis=2), dtype=np.bool_)

    @property
    def last_weights(self) -> Floats:
        """Weights at each strategy's last bar, ``(S, N)``."""
        last = len(self.ts) - 1 - np.argmax(self.known[::-1], axis=0)
        return self.weights[last, np.arange(len(self.strategies))]

    def history(self, strategy: int) -> Floats:
        """Returns the last weights of a strategy would have had, rebalanced every session.

        Sessions on which something held has no return are left out.
        """
        weights = self.last_weights[strategy]
        held = weights != 0
        returns = self.returns[1:]
        series = np.nan_to_num(returns) @ weights
        return series[~np.isnan(returns[:, held]).any(axis=1)]


def holdings(
    bars: pl.DataFrame,
    positions: pl.DataFrame,
    equity: pl.DataFrame,
    runs: pl.DataFrame,
) -> Iterator[Holdings]:
    """Holdings of each universe in which something was run.

    Shares stay as they are between two fills; each is valued at the close of the session, or at
    its last known close where the session has none, which is the engine's rule.

    Parameters
    ----------
    bars
        ``core.bars_1d``.
    positions, equity, runs
        Tables of the backtest room. The positions of a time are all that is held after it; a
        symbol without a row is not held. A benchmark row has no positions and is left out.

    Raises
    ------
    RiskError
        A strategy runs twice, has no bars, or holds what has no price yet.
    """
    traded = runs.filter(pl.col("role") != "benchmark") if "role" in runs.columns else runs
    if traded["strategy"].is_duplicated().any():
        raise RiskError("backtest.runs has two runs of one strategy; risk needs one of each")
    for universe in traded["universe"].unique().sort():
        names = tuple(sorted(traded.filter(pl.col("universe") == universe)["strategy"]))
        yield _holdings(bars.filter(pl.col("universe") == universe), positions, equity, names)


def _holdings(
    bars: pl.DataFrame, positions: pl.DataFrame, equity: pl.DataFrame, names: tuple[str, ...]
) -> Holdings:
    if bars.is_empty():
        raise RiskError(f"there are no bars for the universe of {list(names)}")
    wide = bars.pivot(on="symbol", index="ts", values="adj_close").sort("ts")
    symbols = tuple(sorted(set(wide.columns) - {"ts"}))
    ts = wide["ts"]
    prices = wide.select(symbols).cast(pl.Float64).to_numpy().copy()
    returns = np.full_like(prices, np.nan)
    returns[1:] = prices[1:] / prices[:-1] - 1
    marks = _last_known(prices)
    stamps = _microseconds(ts)
    place = {symbol: i for i, symbol in enumerate(symbols)}
    weights = np.full((len(ts), len(names), len(symbols)), np.nan)
    for s, name in enumerate(names):
        own = equity.filter(pl.col("strategy") == name).sort("ts")
        at = np.searchsorted(stamps, _microseconds(own["ts"]))
        if (
            len(own) == 0
            or at.max() >= len(stamps)
            or (stamps[at] != _microseconds(own["ts"])).any()
        ):
            raise RiskError(f"{name}: its equity is not dated on sessions of its universe")
        shares = _shares(positions.filter(pl.col("strategy") == name), stamps, place, name)[at]
        values = np.where(shares == 0, 0.0, shares * marks[at])
        if np.isnan(values).any():
            t, i = np.argwhere(np.isnan(values))[0]
            raise RiskError(
                f"{name} holds {symbols[i]} on {own['ts'][int(t)]}, before its first price"
            )
        weights[at, s] = values / own["equity"].to_numpy()[:, None]
    return Holdings(bars["universe"][0], names, symbols, ts, prices, returns, weights)


def _shares(
    rows: pl.DataFrame, stamps: NDArray[np.int64], place: dict[str, int], name: str
) -> Floats:
    """Shares held after each session, ``(T, N)``: those of the last time something was filled."""
    unknown = sorted(set(rows["symbol"].unique()) - set(place))
    if unknown:
        raise RiskError(f"{name} holds {unknown[:5]}, which have no bars")
    times = rows["ts"].unique().sort()
    snapshots = np.zeros((len(times) + 1, len(place)))
    row = np.searchsorted(_microseconds(times), _microseconds(rows["ts"])) + 1
    column = rows["symbol"].replace_strict(place, return_dtype=pl.Int64).to_numpy()
    snapshots[row, column] = rows["shares"].to_numpy()
    # Snapshot 0 is empty: nothing is held before the first fill.
    return snapshots[np.searchsorted(_microseconds(times), stamps, side="right")]


def _last_known(prices: Floats) -> Floats:
    """Newest price at or before each session; for valuing holdings only, never for returns."""
    row = np.where(np.isnan(prices), 0, np.arange(len(prices))[:, None])
    return np.take_along_axis(prices, np.maximum.accumulate(row, axis=0), axis=0)


def _microseconds(ts: pl.Series) -> NDArray[np.int64]:
    return ts.dt.timestamp("us").to_numpy()
