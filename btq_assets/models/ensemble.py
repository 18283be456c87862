"""Several forecasters as one: the weighted mean of their standardised forecasts.

Belongs here: blending. Does not belong here: choosing members or weights by looking at results.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import polars as pl

from btq_assets.models.forecaster import ModelError

_KEY = ["universe", "symbol", "ts"]


class Predicts(Protocol):
    """The part of a forecaster an ensemble needs."""

    def predict(self, panel: pl.DataFrame) -> pl.DataFrame:
        """Return ``universe``, ``symbol``, ``ts``, ``forecast``."""


def blend_forecasts(
    forecasts: Sequence[pl.DataFrame], weights: Sequence[float] | None = None
) -> pl.DataFrame:
    """Weighted mean of forecasts standardised across the assets of each date.

    Models forecast in units of their own confidence; standardising makes a weight mean the same
    for each. An asset that only some members forecast gets the mean over those.

    Parameters
    ----------
    forecasts
        Frames with ``universe``, ``symbol``, ``ts``, ``forecast``; one row per key each.
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
    shares = _shares(len(forecasts), weights)
    forecast = pl.col("forecast")
    spread = forecast.std().over("universe", "ts")
    standardised = (
        pl.when(spread > 0)
        .then((forecast - forecast.mean().over("universe", "ts")) / spread)
        .otherwise(0.0)
    )
    members = [
        frame.select(*_KEY, standardised.alias("forecast"), pl.lit(share).alias("share"))
        for frame, share in zip(forecasts, shares, strict=True)
    ]
    return (
        pl.concat(members)
        .filter(pl.col("share") > 0)
        .group_by(_KEY)
        .agg((pl.col("forecast") * pl.col("share")).sum() / pl.col("share").sum())
        .sort(_KEY)
    )


class ModelEnsemble:
    """Weighted ensemble of fitted forecasters.

    Parameters
    ----------
    models
        Fitted forecasters.
    weights
        Non-negative, one per model; default equal.

    Raises
    ------
    ModelError
        See `blend_forecasts`.
    """

    def __init__(self, models: Sequence[Predicts], weights: Sequence[float] | None = None) -> None:
        self.models = tuple(models)
        self.weights = _shares(len(self.models), weights)

    def predict(self, features: Any) -> pl.DataFrame:
        """Blend the members' forecasts of a panel.

        Parameters
        ----------
        features
            Panel every member understands, polars or pandas.

        Returns
        -------
        polars.DataFrame
            ``universe``, ``symbol``, ``ts``, ``forecast``.
        """
        from btq_assets.models.frames import tidy_panel

        panel = tidy_panel(features)
        return blend_forecasts([model.predict(panel) for model in self.models], self.weights)

    def member_forecasts(self, features: Any) -> Mapping[int, pl.DataFrame]:
        """Forecasts of each member, by position."""
        from btq_assets.models.frames import tidy_panel

        panel = tidy_panel(features)
        return {number: model.predict(panel) for number, model in enumerate(self.models)}


def _shares(n_members: int, weights: Sequence[float] | None) -> tuple[float, ...]:
    if n_members == 0:
        raise ModelError("an ensemble needs at least one member")
    given = [1.0] * n_members if weights is None else [float(weight) for weight in weights]
    if len(given) != n_members:
        raise ModelError(f"{n_members} member(s) but {len(given)} weight(s)")
    if any(not math.isfinite(weight) or weight < 0 for weight in given) or sum(given) == 0:
        raise ModelError(f"weights {given} must be finite, non-negative and not all 0")
    return tuple(weight / sum(given) for weight in given)
