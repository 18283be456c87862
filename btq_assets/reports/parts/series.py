"""Series the charts show, thinned to one point a week.

Belongs here: drawdown, rolling Sharpe ratio and exposure over time, from `backtest.equity`. Does
not belong here: figures of merit, which are computed once in `backtest.metrics`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import polars as pl

SESSIONS_PER_YEAR = 252


def weekly(equity: pl.DataFrame) -> pl.DataFrame:
    """One row per strategy and ISO week.

    Parameters
    ----------
    equity
        Rows of ``backtest.equity``.

    Returns
    -------
    polars.DataFrame
        ``strategy``, ``day`` (last session of the week in any strategy), ``growth`` (equity over
        the first), ``drawdown`` (deepest of the week, <= 0), ``rolling_sharpe`` (252 daily returns,
        annualised, risk-free rate 0; null before), ``gross``, ``net``, ``cash`` (fractions of
        equity at the week's last session).
    """
    value, returns = pl.col("equity"), pl.col("net_return")
    daily = equity.sort("strategy", "ts").with_columns(
        growth=(value / value.first()).over("strategy"),
        drawdown=(value / value.cum_max() - 1).over("strategy"),
        mean=returns.rolling_mean(SESSIONS_PER_YEAR).over("strategy"),
        deviation=returns.rolling_std(SESSIONS_PER_YEAR).over("strategy"),
        cash_share=pl.col("cash") / value,
        week=pl.col("ts").dt.truncate("1w"),
    )
    return (
        daily.group_by("strategy", "week", maintain_order=True)
        .agg(
            last=pl.col("ts").last(),
            growth=pl.col("growth").last(),
            drawdown=pl.col("drawdown").min(),
            # A year in cash has no Sharpe ratio, whatever the rounding of its deviation says.
            rolling_sharpe=pl.when(pl.col("deviation").last() > 1e-9).then(
                pl.col("mean").last() / pl.col("deviation").last() * SESSIONS_PER_YEAR**0.5
            ),
            gross=pl.col("gross_exposure").last(),
            net=pl.col("net_exposure").last(),
            cash=pl.col("cash_share").last(),
        )
        .with_columns(day=pl.col("last").max().over("week").dt.date())
        .drop("week", "last")
    )


def columns_of(
    points: pl.DataFrame, value: str, strategies: Sequence[str]
) -> tuple[list[date], dict[str, np.ndarray]]:
    """Common dates, and the values of each strategy on them (NaN where it has none)."""
    days = points["day"].unique().sort()
    grid = pl.DataFrame({"day": days})
    found = {}
    for strategy in strategies:
        own = points.filter(pl.col("strategy") == strategy).select("day", value)
        joined = grid.join(own, on="day", how="left")[value]
        found[strategy] = joined.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return days.to_list(), found


def monthly_weights(
    positions: pl.DataFrame, months: Sequence[date]
) -> tuple[list[str], np.ndarray]:
    """Weight of each asset after the last fills of each month.

    Parameters
    ----------
    positions
        Rows of ``backtest.positions`` of one strategy.
    months
        First days of the months, ascending.

    Returns
    -------
    list of str, numpy.ndarray
        Symbols, and weights of shape ``(symbols, months)``; a month without a fill keeps the
        weight of the fill before it, since nothing was traded.
    """
    symbols = positions["symbol"].unique().sort().to_list()
    last = (
        positions.sort("ts")
        .group_by("symbol", month=pl.col("ts").dt.date().dt.month_start())
        .agg(pl.col("weight").last())
    )
    grid = pl.DataFrame({"symbol": symbols}).join(pl.DataFrame({"month": months}), how="cross")
    filled = (
        grid.join(last, on=["symbol", "month"], how="left")
        .sort("symbol", "month")
        .with_columns(pl.col("weight").forward_fill().over("symbol").fill_null(0.0))
    )
    return symbols, filled["weight"].to_numpy().reshape(len(symbols), len(months))
