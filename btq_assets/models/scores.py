"""How good a forecast is: rank correlations with what followed.

Belongs here: scores of forecasts. Does not belong here: scores of portfolios (`engine.metrics`).
"""

from __future__ import annotations

import numpy as np
import polars as pl


def rank_ic_by_date(forecasts: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Spearman correlation of forecast and label across the assets of each date.

    Parameters
    ----------
    forecasts
        ``universe``, ``symbol``, ``ts``, ``forecast``, one row per key.
    labels
        ``universe``, ``symbol``, ``ts``, ``label``.

    Returns
    -------
    polars.DataFrame
        ``ts``, ``rank_ic`` (null where forecasts or labels are constant), ``n_assets``.
    """
    return (
        forecasts.join(
            labels.select("universe", "symbol", "ts", "label"), on=["universe", "symbol", "ts"]
        )
        .filter(pl.col("label").is_not_null())
        .group_by("ts")
        .agg(
            pl.corr(pl.col("forecast").rank(), pl.col("label").rank())
            .fill_nan(None)
            .alias("rank_ic"),
            pl.len().alias("n_assets"),
        )
        .sort("ts")
    )


def mean_rank_ic(forecasts: pl.DataFrame, labels: pl.DataFrame) -> float:
    """Mean of `rank_ic_by_date`; NaN where no date has one."""
    value = rank_ic_by_date(forecasts, labels)["rank_ic"].mean()
    return float(value) if value is not None else float("nan")  # type: ignore[arg-type]


def mean_rank_ic_of(rows: pl.DataFrame, forecast: np.ndarray) -> float:
    """Mean rank IC of `forecast` for labelled `rows` in the same order."""
    keyed = rows.select("universe", "symbol", "ts", "label")
    return mean_rank_ic(keyed.drop("label").with_columns(forecast=pl.Series(forecast)), keyed)
