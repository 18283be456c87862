"""Test segments put together: one forecast per decision, returns by fold, the result of it all.

Belongs here: what a walk-forward hands back. Does not belong here: making it (`walk_forward`).
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from btq_assets.backtest.result import BacktestResult


@dataclass(frozen=True)
class WalkForwardResult:
    """What a walk-forward gave.

    Attributes
    ----------
    folds
        One row per fold: months, numbers of decisions trained on, tested and purged, the
        parameters chosen (JSON), their score inside the training window, the score and net return
        of the test segment.
    forecasts
        ``fold``, ``symbol``, ``ts``, ``forecast``: out of sample, each decision once, by the
        newest fold that tests it.
    path
        The one out-of-sample path through the engine, after costs; it starts in cash at the first
        tested decision.
    trials, trial_returns
        Everything tried, in the shape of the ledger.
    """

    folds: pl.DataFrame
    forecasts: pl.DataFrame
    path: BacktestResult
    trials: pl.DataFrame
    trial_returns: pl.DataFrame


def newest(forecasts: pl.DataFrame) -> pl.DataFrame:
    """Of the forecasts of a decision those of the last fold."""
    return forecasts.filter(pl.col("fold") == pl.col("fold").max().over("decision")).sort(
        "ts", "symbol"
    )


def returns_by_fold(forecasts: pl.DataFrame, path: BacktestResult) -> pl.DataFrame:
    """Net return of the path over the bars that follow each fold's decisions."""
    starts = forecasts.group_by("fold").agg(ts=pl.col("ts").min()).sort("ts")
    owned = path.equity.select("ts", "net_return").with_columns(_before=pl.col("ts").shift(1))
    return (
        owned.drop_nulls()
        .sort("_before")
        .join_asof(starts, left_on="_before", right_on="ts", strategy="backward")
        .group_by("fold")
        .agg(net_return=(pl.col("net_return") + 1).product() - 1)
    )
