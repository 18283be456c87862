"""Returns of a universe as a matrix, and statistics of its trailing windows.

Belongs here: what several models of the room take from bars. Does not belong here: the models.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl


@dataclass(frozen=True)
class Panel:
    """Returns by session and symbol.

    Parameters
    ----------
    ts
        Sessions on which some symbol has a return, ascending.
    symbols
        Names, ascending.
    log_returns
        ``(T, N)``, NaN where a symbol has none.
    market
        ``(T,)``: log of 1 plus the mean simple return of the symbols present.
    """

    ts: pl.Series
    symbols: tuple[str, ...]
    log_returns: np.ndarray
    market: np.ndarray


def panel_of(bars: pl.DataFrame, universe: str) -> Panel:
    """Returns of `universe` from rows of `core.bars_1d`, as they stand: nothing is filled.

    A return runs from a symbol's previous bar. Prices that are not positive and finite give none.
    """
    price = pl.col("adj_close")
    rows = (
        bars.filter(
            (pl.col("universe") == universe) & price.is_not_null() & price.is_finite() & (price > 0)
        )
        .sort("symbol", "ts")
        .with_columns(_return=(price / price.shift(1).over("symbol")).log())
        .filter(pl.col("_return").is_finite())
        .sort("ts", "symbol")
    )
    if rows.is_empty():
        return Panel(bars["ts"].clear(), (), np.empty((0, 0)), np.empty(0))
    wide = rows.pivot(on="symbol", index="ts", values="_return").sort("ts")
    symbols = tuple(sorted(wide.columns[1:]))
    log_returns = wide.select(symbols).to_numpy().astype(float)
    log_returns = np.ascontiguousarray(np.where(np.isfinite(log_returns), log_returns, np.nan))
    present = np.isfinite(log_returns)
    market = np.log1p(
        np.where(present, np.expm1(log_returns), 0.0).sum(axis=1) / present.sum(axis=1)
    )
    return Panel(wide["ts"], symbols, log_returns, market)


def finite_runs(log_returns: np.ndarray) -> np.ndarray:
    """``(T, N)``: returns in a row without a gap up to each session, this one included."""
    missing = ~np.isfinite(log_returns)
    here = np.arange(1, len(log_returns) + 1)[:, None]
    last_gap = np.maximum.accumulate(np.where(missing, here, 0), axis=0)
    return here - last_gap


def window_of(log_returns: np.ndarray, runs: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Positions of the symbols with a return at every session of a window, and not all the same.

    Parameters
    ----------
    log_returns
        ``(T, N)``.
    runs
        Of `finite_runs`.
    start, stop
        The window, `stop` excluded.
    """
    chosen = np.flatnonzero(runs[stop - 1] >= stop - start)
    window = log_returns[start:stop]
    moves = (window[:, chosen] != window[0, chosen]).any(axis=0)
    return chosen if moves.all() else chosen[moves]


def realised_volatility(market: np.ndarray, window: int) -> np.ndarray:
    """Annualised root mean square of the last `window` returns; NaN before."""
    out = np.full(market.size, np.nan)
    if market.size >= window:
        windows = np.lib.stride_tricks.sliding_window_view(market, window)
        out[window - 1 :] = np.sqrt(252 * (windows**2).mean(axis=1))
    return out


def average_correlation(log_returns: np.ndarray, window: int) -> np.ndarray:
    """Mean correlation of all pairs over the last `window` sessions; NaN with fewer than 2 symbols.

    With columns ``z`` of mean 0 and length 1 it is ``(|sum z|^2 - N) / (N (N - 1))``.
    """
    out = np.full(len(log_returns), np.nan)
    for t in range(window - 1, len(log_returns)):
        rows = log_returns[t + 1 - window : t + 1]
        centred = rows - rows.sum(axis=0) / window
        length = np.sqrt((centred**2).sum(axis=0))
        kept = length > 1e-12
        n_symbols = int(kept.sum())
        if n_symbols < 2:
            continue
        total = (centred[:, kept] / length[kept]).sum(axis=1)
        out[t] = ((total**2).sum() - n_symbols) / (n_symbols * (n_symbols - 1))
    return np.clip(out, -1.0, 1.0)


def standardised_on_the_past(values: np.ndarray, min_history: int) -> np.ndarray:
    """Deviations of each value from the mean of all earlier ones (itself left out).

    NaN where the value is missing, fewer than `min_history` earlier ones exist, or those do not
    vary. Sums are taken around the first value, so that a high level costs no digits.
    """
    out = np.full(values.size, np.nan)
    known = np.flatnonzero(np.isfinite(values))
    if known.size <= min_history:
        return out
    shifted = values[known] - values[known[0]]
    n = np.arange(1, known.size)
    mean = np.cumsum(shifted)[:-1] / n
    variance = np.cumsum(shifted**2)[:-1] / n - mean**2
    variance *= n / np.maximum(n - 1, 1)
    scale = np.sqrt(np.maximum(variance, 0.0))
    size = np.abs(values[known[0]]) + np.abs(mean)
    usable = (n >= max(min_history, 2)) & (scale > 1e-9 * size) & (scale > 0)
    out[known[1:][usable]] = (shifted[1:][usable] - mean[usable]) / scale[usable]
    return out


def hysteresis(values: np.ndarray, enter: float, leave: float, min_sessions: int) -> np.ndarray:
    """On from the value that reaches `enter` until one below `leave`, `min_sessions` at least.

    Parameters
    ----------
    values
        ``(T,)``; at NaN the flag is what it was (and before any value, off).

    Returns
    -------
    numpy.ndarray
        ``(T,)`` of bool.
    """
    out = np.zeros(values.size, bool)
    on, lasted = False, 0
    for t, value in enumerate(values):
        if on and lasted >= min_sessions and value < leave:
            on = False
        elif not on and value >= enter:
            on, lasted = True, 0
        lasted += on
        out[t] = on
    return out
