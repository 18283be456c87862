"""Target weights condensed to what a person looks at.

Belongs here: aggregates of a targets table. Does not belong here: drawing them.
"""

from __future__ import annotations

import numpy as np
import polars as pl


def exposure_through_time(frame: pl.DataFrame) -> tuple[pl.Series, dict[str, np.ndarray]]:
    """Sum of absolute weights of each strategy at each decision.

    Returns
    -------
    dates : polars.Series
        Decisions, ascending.
    exposure : dict of numpy.ndarray
        Strategy → ``float64[len(dates)]``; NaN where it did not decide.
    """
    wide = (
        frame.group_by("strategy", "ts")
        .agg(exposure=pl.col("weight").abs().sum())
        .sort("strategy")
        .pivot(on="strategy", index="ts", values="exposure")
        .sort("ts")
    )
    series = {
        name: wide[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        for name in wide.columns
        if name != "ts"
    }
    return wide["ts"], series


def mean_weights(frame: pl.DataFrame) -> tuple[list[str], list[str], np.ndarray]:
    """Mean weight of each symbol in each strategy.

    Returns
    -------
    strategies, symbols : list of str
        Ascending.
    matrix : numpy.ndarray
        ``float64[len(strategies), len(symbols)]``.
    """
    means = frame.group_by("strategy", "symbol").agg(pl.col("weight").mean())
    strategies = sorted(means["strategy"].unique().to_list())
    symbols = sorted(means["symbol"].unique().to_list())
    matrix = np.full((len(strategies), len(symbols)), np.nan)
    for strategy, symbol, weight in means.iter_rows():
        matrix[strategies.index(strategy), symbols.index(symbol)] = weight
    return strategies, symbols, matrix
