"""Members on one scale, and their weighted mean.

Belongs here: standardising across the assets of a date, and averaging. Does not belong here: where
weights come from (`weighting`, `stacking`, `gating`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl

from btq_assets.models.forecaster import FORECAST_COLUMNS, ModelError

KEY = ["universe", "symbol", "ts"]


def require_forecasts(forecasts: Sequence[pl.DataFrame]) -> None:
    """Raise `ModelError` unless each frame has the forecast columns, one row per key."""
    if not forecasts:
        raise ModelError("an ensemble needs at least one member")
    for number, frame in enumerate(forecasts):
        missing = [name for name in FORECAST_COLUMNS if name not in frame.columns]
        if missing:
            raise ModelError(f"forecasts of member {number} lack column(s) {missing}")
        if frame.select(KEY).is_duplicated().any():
            raise ModelError(f"member {number} forecasts an asset twice at the same time")


def shares_of(n_members: int, weights: Sequence[float] | None) -> tuple[float, ...]:
    """Weights that add up to one.

    Raises
    ------
    ModelError
        No member, a wrong number of weights, or weights that are negative, not finite or all 0.
    """
    if n_members == 0:
        raise ModelError("an ensemble needs at least one member")
    given = [1.0] * n_members if weights is None else [float(weight) for weight in weights]
    if len(given) != n_members:
        raise ModelError(f"{n_members} member(s) but {len(given)} weight(s)")
    if any(not math.isfinite(weight) or weight < 0 for weight in given) or sum(given) == 0:
        raise ModelError(f"weights {given} must be finite, non-negative and not all 0")
    return tuple(weight / sum(given) for weight in given)


def one_asset(forecasts: Sequence[pl.DataFrame]) -> bool:
    """Whether no universe has a second asset in any frame: then there is nothing to rank."""
    pairs = pl.concat([frame.select("universe", "symbol") for frame in forecasts]).unique()
    return not pairs["universe"].is_duplicated().any()


def standardised(frame: pl.DataFrame) -> pl.DataFrame:
    """Forecasts less the mean of their date, over its standard deviation; finite ones only.

    A date on which all are equal says nothing and is 0.
    """
    forecast = pl.col("forecast")
    spread = forecast.std().over("universe", "ts")
    scaled = (forecast - forecast.mean().over("universe", "ts")) / spread
    return frame.filter(forecast.is_finite()).select(
        *KEY, pl.when(spread > 0).then(scaled).otherwise(0.0).alias("forecast")
    )


def blend_forecasts(
    forecasts: Sequence[pl.DataFrame], weights: Sequence[float] | None = None
) -> pl.DataFrame:
    """Weighted mean of forecasts standardised across the assets of each date.

    Models forecast in units of their own confidence; standardising makes a weight mean the same
    for each. An asset that only some members forecast gets the mean over those. A single asset has
    nothing to be standardised across: its forecasts are averaged as they are.

    Parameters
    ----------
    forecasts
        Frames with ``universe``, ``symbol``, ``ts``, ``forecast``; one row per key each. A forecast
        that is null or not finite counts as absent.
    weights
        Non-negative, one per frame; default equal. Only their ratios matter.

    Returns
    -------
    polars.DataFrame
        ``universe``, ``symbol``, ``ts``, ``forecast`` in standard deviations across assets. A
        member whose forecasts are all equal on a date says nothing there and counts as 0.

    Raises
    ------
    ModelError
        No member, a wrong number of weights, or weights that are negative, not finite or all 0.
    """
    shares = shares_of(len(forecasts), weights)
    require_forecasts(forecasts)
    if one_asset(forecasts):
        scaled = [
            f.filter(pl.col("forecast").is_finite()).select(FORECAST_COLUMNS) for f in forecasts
        ]
    else:
        scaled = [standardised(frame) for frame in forecasts]
    return weighted_mean(scaled, shares)


def weighted_mean(frames: Sequence[pl.DataFrame], shares: Sequence[float]) -> pl.DataFrame:
    """Mean of ``forecast`` by `shares`, over the members that have the asset."""
    members = [
        frame.select(*KEY, pl.col("forecast").cast(pl.Float64), pl.lit(share).alias("share"))
        for frame, share in zip(frames, shares, strict=True)
    ]
    return (
        pl.concat(members)
        .filter(pl.col("share") > 0)
        .group_by(KEY)
        .agg((pl.col("forecast") * pl.col("share")).sum() / pl.col("share").sum())
        .sort(KEY)
    )
