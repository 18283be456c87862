"""How far a result depends on the exact parameters: a family over a grid, and each set's neighbours.

Belongs here: the surface and what it says. Does not belong here: running the sets (`sweeps`) and
drawing (`plots`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from btq_assets.backtest.families import RankFamily
from btq_assets.backtest.market import BacktestError, Market
from btq_assets.backtest.sweeps import (
    Sweep,
    Terms,
    TrialRecorder,
    TrialSource,
    momentum_scores,
    sweep,
)
from btq_assets.contracts import controls as contracts

#: Parameters that vary, in the order of the grid.
AXES = ("lookback_sessions", "top_k", "every_sessions", "threshold")

FAMILY = "momentum_top_ranked"


@dataclass(frozen=True)
class Grid:
    """Values of each parameter, ascending.

    Parameters
    ----------
    lookbacks
        Sessions of the trailing return that ranks.
    top_k
        Assets held.
    every
        Sessions between decisions.
    thresholds
        One-way turnover below which a decision is not taken.
    n_sessions
        Last bars swept, the longest lookback among them.
    """

    lookbacks: tuple[int, ...] = (21, 63, 126, 189, 252)
    top_k: tuple[int, ...] = (1, 2, 3, 5, 8)
    every: tuple[int, ...] = (5, 21, 63)
    thresholds: tuple[float, ...] = (0.0, 0.2)
    n_sessions: int = 2_772


def momentum_surface(
    market: Market,
    terms: Terms,
    grid: Grid,
    *,
    recorder: TrialRecorder | None,
    source: TrialSource | None,
) -> tuple[pl.DataFrame, Sweep]:
    """Sweep the momentum family over a grid and compare each set with 1/N and its neighbours.

    Parameters
    ----------
    market
        Bars; the last ``grid.n_sessions`` of them are used.
    terms
        Costs and cash.
    grid
        Values of the parameters; numbers of assets that leave nothing to choose are left out.
    recorder, source
        As in `sweep`.

    Returns
    -------
    (table, sweep)
        Rows of ``backtest.sensitivity``, and the sweep behind them.

    Raises
    ------
    BacktestError
        Fewer bars than the longest lookback and a year, or too few assets.
    """
    top_k = tuple(k for k in grid.top_k if k < len(market.symbols))
    longest = max(grid.lookbacks)
    if len(market.ts) < longest + 252 or not top_k:
        raise BacktestError(
            f"{market.universe}: {len(market.ts)} bars of {len(market.symbols)} symbols; the surface "
            f"needs {longest + 252} bars and 2 symbols"
        )
    market = market.since(market.ts[max(len(market.ts) - grid.n_sessions, 0)])
    family = RankFamily.grid(
        momentum_scores(market.mark_prices, grid.lookbacks),
        first=longest,
        score=[f"momentum_{bars}" for bars in grid.lookbacks],
        top_k=top_k,
        every=grid.every,
        threshold=grid.thresholds,
    )
    done = sweep(market, family, terms, recorder=recorder, source=source)
    return sensitivity_table(done, equal_weight_mean(market, terms, longest), market.universe), done


def equal_weight_mean(market: Market, terms: Terms, first: int) -> float:
    """Mean daily return of 1/N over the same bars, decided every 5 of them, after costs."""
    n = len(market.symbols)
    everything = np.where(np.isfinite(market.mark_prices), 1.0, np.nan)
    family = RankFamily.grid({"all": everything}, first=first, score=["all"], top_k=[n])
    return float(sweep(market, family, terms, recorder=None).table["mean_annual"][0]) / 252


def sensitivity_table(done: Sweep, reference_mean: float, universe: str) -> pl.DataFrame:
    """Rows of ``backtest.sensitivity``.

    Parameters
    ----------
    done
        Sweep of a momentum grid.
    reference_mean
        Mean daily return of 1/N.
    universe
        Name.
    """
    table = done.table.with_columns(
        lookback_sessions=pl.col("score").str.extract(r"_(\d+)$").cast(pl.Int64),
        every_sessions=pl.col("every"),
        excess_annual=pl.col("mean_annual") - reference_mean * 252,
    )
    excess = table["excess_annual"].to_numpy()
    beside = neighbours(table.select(AXES).to_numpy().tolist())
    shares = [
        float(np.mean(np.sign(excess[own]) == np.sign(excess[number]))) if own else None
        for number, own in enumerate(beside)
    ]
    means = [float(excess[own].mean()) if own else None for own in beside]
    return (
        table.with_columns(
            family=pl.lit(FAMILY),
            universe=pl.lit(universe),
            n_neighbours=pl.Series([len(own) for own in beside], dtype=pl.Int64),
            same_sign_share=pl.Series(shares, dtype=pl.Float64),
            neighbour_excess_annual=pl.Series(means, dtype=pl.Float64),
        )
        .select(contracts.SENSITIVITY.column_names)
        .cast(contracts.SENSITIVITY.schema)
    )


def neighbours(sets: Sequence[Sequence[float]]) -> list[list[int]]:
    """Sets one step away along one parameter, by number.

    A step leads to the next smaller or larger value that parameter has anywhere in the grid.

    Examples
    --------
    >>> neighbours([(1, 5), (2, 5), (3, 5), (2, 21)])
    [[1], [0, 2, 3], [1], [1]]
    """
    values = [sorted(set(axis)) for axis in zip(*sets, strict=True)]
    place = [tuple(values[axis].index(value) for axis, value in enumerate(one)) for one in sets]
    number = {where: k for k, where in enumerate(place)}
    found = []
    for where in place:
        steps = [
            (*where[:axis], where[axis] + step, *where[axis + 1 :])
            for axis in range(len(where))
            for step in (-1, 1)
        ]
        found.append([number[step] for step in steps if step in number])
    return found


def surface(table: pl.DataFrame) -> tuple[np.ndarray, list[str], list[str]]:
    """Mean excess over rhythm and threshold, in per cent a year: lookbacks down, numbers across."""
    means = (
        table.group_by("lookback_sessions", "top_k")
        .agg(pl.col("excess_annual").mean() * 100)
        .pivot(on="top_k", index="lookback_sessions", values="excess_annual")
        .sort("lookback_sessions")
    )
    across = sorted((name for name in means.columns if name != "lookback_sessions"), key=int)
    return (
        means.select(across).to_numpy(),
        [f"best {name}" for name in across],
        [f"{bars} sessions" for bars in means["lookback_sessions"]],
    )


__all__ = [
    "AXES",
    "FAMILY",
    "Grid",
    "momentum_surface",
    "neighbours",
    "sensitivity_table",
    "surface",
]
