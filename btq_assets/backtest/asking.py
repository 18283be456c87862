"""Asking a callable strategy for weights, bar by bar, with nothing later in sight.

Belongs here: what a callable is shown and what it may answer. Does not belong here: frames of
weights (`frames`), and the run (`backtester`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import polars as pl

from btq_assets.backtest import frames
from btq_assets.backtest.market import BacktestError, Market

Decide = Literal["day", "week", "month"]


def asked_weights(
    strategy: Callable[[Any], Any], data: Any, market: Market, decide: Decide
) -> np.ndarray:
    """Weights of a callable, ``float64[T, N]``; NaN rows where it takes no decision.

    Parameters
    ----------
    strategy
        Called with all rows of `data` up to and including the deciding bar.
    data
        pandas or polars, as the caller gave it.
    market
        The same data as matrices.
    decide
        Every ``day``, or on the first bar of each ``week`` or ``month``.
    """
    table = np.full(market.mark_prices.shape, np.nan)
    history, n_known = _chronological(data, market.ts)
    for row in _deciding_rows(market.ts, decide):
        answer = strategy(history(int(n_known[row])))
        if answer is not None:
            table[row] = _as_row(answer, market.symbols, market.ts[int(row)])
    return table


def _chronological(data: Any, ts: pl.Series) -> tuple[Callable[[int], Any], np.ndarray]:
    """How to take the first ``n`` rows in order of time, and how many are known at each bar."""
    plain = data.collect() if isinstance(data, pl.LazyFrame) else data
    stamps = frames.time_column(plain)
    order = stamps.arg_sort()
    known = np.searchsorted(
        stamps.gather(order).dt.timestamp("us").to_numpy(),
        ts.dt.timestamp("us").to_numpy(),
        side="right",
    )
    if isinstance(plain, pl.DataFrame):
        ordered = plain[order]
        return ordered.head, known
    ordered = plain.iloc[order.to_numpy()]
    return lambda n: ordered.iloc[:n], known


def _deciding_rows(ts: pl.Series, decide: Decide) -> np.ndarray:
    if decide == "day":
        return np.arange(len(ts))
    from btq_assets.timeline import decision_times

    return np.flatnonzero(ts.is_in(decision_times(ts, decide).implode()).to_numpy())


def _as_row(answer: Any, symbols: tuple[str, ...], at: Any) -> np.ndarray:
    """One row of weights out of whatever a callable returned."""
    if hasattr(answer, "to_dict") and not isinstance(answer, Mapping):
        answer = answer.to_dict()
    if isinstance(answer, Mapping):
        unknown = sorted(set(map(str, answer)) - set(symbols))
        if unknown:
            raise BacktestError(f"strategy at {at}: unknown symbol(s) {unknown[:5]}")
        return np.array([float(answer.get(symbol, 0.0)) for symbol in symbols])
    row = np.atleast_1d(np.asarray(answer, dtype=float)).ravel()
    if row.size != len(symbols):
        raise BacktestError(
            f"strategy at {at} returned {row.size} weight(s) for {len(symbols)} symbol(s)"
        )
    return row
