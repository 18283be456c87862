"""Bars and weights of one universe as matrices, the form the engine reads.

Belongs here: from tidy tables to arrays, with every refusal of what does not fit. Does not belong
here: accounting (the engine), and anything that chooses weights.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import polars as pl

#: Sessions of the trailing volatility that square-root impact reads.
IMPACT_VOLATILITY_SESSIONS = 21

_WANTED = ("adj_close", "adj_open", "close", "open", "volume")


class BacktestError(ValueError):
    """Bars and targets that do not fit each other, or a run that cannot be made."""


@dataclass(frozen=True)
class Market:
    """Bars of one universe, ``T`` sessions by ``N`` symbols.

    Parameters
    ----------
    universe
        Name.
    symbols
        Ascending.
    ts
        Bar ends, UTC, ascending, length ``T``.
    fill_prices
        Adjusted open of assets that have opens, else their adjusted close; NaN where missing.
    mark_prices
        Adjusted close; NaN where missing.
    raw_prices, volumes
        Unadjusted fill price and units traded; ``None`` where the universe has none at all.
    volatility
        Standard deviation of the 21 daily returns before each bar; ``None`` with `raw_prices`.
    """

    universe: str
    symbols: tuple[str, ...]
    ts: pl.Series
    fill_prices: np.ndarray
    mark_prices: np.ndarray
    raw_prices: np.ndarray | None = None
    volumes: np.ndarray | None = None
    volatility: np.ndarray | None = None

    @classmethod
    def from_bars(cls, bars: pl.DataFrame, universe: str) -> Market:
        """Matrices of `universe` out of tidy bars (`core.bars_1d`).

        Raises
        ------
        BacktestError
            The universe has no bar, or a symbol has two at one time.
        """
        rows = bars.filter(pl.col("universe") == universe).select("symbol", "ts", *_WANTED)
        if rows.is_empty():
            known = sorted(bars["universe"].unique().to_list())
            raise BacktestError(f"no bars of universe {universe!r}; there are {known}")
        if rows.select("symbol", "ts").is_duplicated().any():
            raise BacktestError(f"{universe}: a symbol has two bars at one time")
        symbols = tuple(sorted(rows["symbol"].unique().to_list()))
        ts = rows["ts"].unique().sort()
        place = _positions(rows, ts, symbols)
        found = {name: _matrix(rows[name], place, (len(ts), len(symbols))) for name in _WANTED}
        marks = found["adj_close"]
        opens = np.isfinite(found["adj_open"]).any(axis=0)
        fills = np.where(opens, found["adj_open"], marks)
        raw = np.where(opens, found["open"], found["close"])
        has_raw = bool(np.isfinite(raw).any() and np.isfinite(found["volume"]).any())
        return cls(
            universe=universe,
            symbols=symbols,
            ts=ts,
            fill_prices=fills,
            mark_prices=marks,
            raw_prices=raw if has_raw else None,
            volumes=found["volume"] if has_raw else None,
            volatility=_trailing_volatility(marks) if has_raw else None,
        )

    def since(self, first: datetime) -> Market:
        """The same market from the bar at `first` on."""
        keep = (self.ts >= first).to_numpy()
        return replace(
            self,
            ts=self.ts.filter(keep),
            **{
                name: panel[keep]
                for name in ("fill_prices", "mark_prices", "raw_prices", "volumes", "volatility")
                if (panel := getattr(self, name)) is not None
            },
        )

    def weights(self, targets: pl.DataFrame, strategy: str) -> np.ndarray:
        """Target weights of one strategy, ``float64[T, N]``; NaN rows where it takes no decision.

        Parameters
        ----------
        targets
            ``symbol``, ``ts``, ``weight`` of the strategy. A symbol without a row at a decision
            is not wanted: weight 0.

        Raises
        ------
        BacktestError
            An unknown symbol, a time that is no bar, a null or NaN weight, or a repeated row.
        """
        unknown = sorted(set(targets["symbol"].unique().to_list()) - set(self.symbols))
        if unknown:
            raise BacktestError(
                f"{strategy}: symbol(s) {unknown[:5]} are not in universe {self.universe}"
            )
        strange = targets.filter(~pl.col("ts").is_in(self.ts.implode()))
        if strange.height:
            raise BacktestError(
                f"{strategy}: decision at {strange['ts'][0]} is not the end of a bar of "
                f"{self.universe}"
            )
        bad = targets.filter(~pl.col("weight").is_finite().fill_null(False))
        if bad.height:
            raise BacktestError(
                f"{strategy}: weight of {bad['symbol'][0]} at {bad['ts'][0]} is {bad['weight'][0]}"
            )
        if targets.select("symbol", "ts").is_duplicated().any():
            raise BacktestError(f"{strategy}: a symbol has two weights at one decision")
        matrix = np.full((len(self.ts), len(self.symbols)), np.nan)
        place = _positions(targets, self.ts, self.symbols)
        matrix[np.unique(place[0])] = 0.0
        matrix[place] = targets["weight"].to_numpy()
        return matrix

    def digest(self) -> str:
        """Hash of everything a run reads of the market."""
        state = hashlib.sha256()
        state.update("\x1f".join((self.universe, *self.symbols)).encode())
        state.update(self.ts.dt.timestamp("us").to_numpy().tobytes())
        for panel in (self.fill_prices, self.mark_prices, self.raw_prices, self.volumes):
            state.update(b"none" if panel is None else np.ascontiguousarray(panel).tobytes())
        return state.hexdigest()


def _positions(
    rows: pl.DataFrame, ts: pl.Series, symbols: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    column = {symbol: number for number, symbol in enumerate(symbols)}
    return (
        np.searchsorted(ts.dt.timestamp("us").to_numpy(), rows["ts"].dt.timestamp("us").to_numpy()),
        rows["symbol"].replace_strict(column, return_dtype=pl.Int64).to_numpy(),
    )


def _matrix(
    values: pl.Series, place: tuple[np.ndarray, np.ndarray], shape: tuple[int, int]
) -> np.ndarray:
    matrix = np.full(shape, np.nan)
    matrix[place] = values.cast(pl.Float64).to_numpy()
    return matrix


def _trailing_volatility(prices: np.ndarray) -> np.ndarray:
    """Volatility of the returns that ended before each bar; NaN until there are enough."""
    window = IMPACT_VOLATILITY_SESSIONS
    result = np.full(prices.shape, np.nan)
    if len(prices) > window + 1:
        returns = prices[1:] / prices[:-1] - 1
        views = np.lib.stride_tricks.sliding_window_view(returns, window, axis=0)
        # the window of returns 1..w ends at bar w, and serves bar w + 1
        result[window + 1 :] = views[:-1].std(axis=-1, ddof=1)
    return result
