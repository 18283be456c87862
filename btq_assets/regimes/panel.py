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
    rows = bars.filter(
        (pl.col("universe") == universe) & price.is_not_null() & price.is_finite() & (price > 0)
    ).select("symbol", "ts", "adj_close")
    if rows.is_empty():
        return _without_returns(bars)
    symbols = rows["symbol"].unique().sort()
    ts = rows["ts"].unique().sort()
    prices = np.full((symbols.len(), ts.len()), np.nan)
    prices[_positions(rows["symbol"], symbols), _positions(rows["ts"], ts)] = rows["adj_close"]
    log_returns = np.full((ts.len(), symbols.len()), np.nan)
    for k, own in enumerate(prices):
        present = np.flatnonzero(np.isfinite(own))
        log_returns[present[1:], k] = np.log(own[present[1:]] / own[present[:-1]])
    log_returns[~np.isfinite(log_returns)] = np.nan
    known = np.isfinite(log_returns)
    sessions, columns = known.any(axis=1), known.any(axis=0)
    if not sessions.any():
        return _without_returns(bars)
    log_returns = np.ascontiguousarray(log_returns[np.ix_(sessions, columns)])
    known = np.isfinite(log_returns)
    market = np.log1p(np.where(known, np.expm1(log_returns), 0.0).sum(axis=1) / known.sum(axis=1))
    return Panel(
        ts.filter(pl.Series(sessions)),
        tuple(symbols.filter(pl.Series(columns)).to_list()),
        log_returns,
        market,
    )


def _without_returns(bars: pl.DataFrame) -> Panel:
    return Panel(bars["ts"].clear(), (), np.empty((0, 0)), np.empty(0))


def _positions(values: pl.Series, ordered: pl.Series) -> np.ndarray:
    """Place of each value among `ordered`, which holds all of them once."""
    places = pl.Series(range(ordered.len()), dtype=pl.Int64)
    return values.replace_strict(ordered, places, return_dtype=pl.Int64).to_numpy()


class Windows:
    """Which symbols can be judged over a window of sessions.

    Parameters
    ----------
    log_returns
        ``(T, N)``, NaN where missing.
    """

    def __init__(self, log_returns: np.ndarray) -> None:
        here = np.arange(1, len(log_returns) + 1)[:, None]
        missing = ~np.isfinite(log_returns)
        self._whole = here - np.maximum.accumulate(np.where(missing, here, 0), axis=0)
        moved = np.ones(log_returns.shape, bool)
        moved[1:] = log_returns[1:] != log_returns[:-1]
        self._equal = here + 1 - np.maximum.accumulate(np.where(moved, here, 0), axis=0)

    def complete(self, start: int, stop: int) -> np.ndarray:
        """Positions of the symbols with a return at each session, and not all the same.

        Parameters
        ----------
        start, stop
            The window, `stop` excluded.
        """
        length = stop - start
        whole = self._whole[stop - 1] >= length
        return np.flatnonzero(whole & (self._equal[stop - 1] < length))


def realised_volatility(market: np.ndarray, window: int) -> np.ndarray:
    """Annualised root mean square of the last `window` returns; NaN before."""
    out = np.full(market.size, np.nan)
    if market.size >= window:
        windows = np.lib.stride_tricks.sliding_window_view(market, window)
        out[window - 1 :] = np.sqrt(252 * (windows**2).mean(axis=1))
    return out


def average_correlation(log_returns: np.ndarray, window: int) -> np.ndarray:
    """Mean correlation of all pairs over the last `window` sessions; NaN with fewer than 2 symbols.

    Symbols with a missing return in the window, or equal ones only, are left out.
    """
    from btq_assets.regimes.kernels import average_correlations

    return average_correlations(log_returns, window)


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
