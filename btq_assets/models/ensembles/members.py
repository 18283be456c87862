"""Members of an ensemble: fitted forecasters, and forecasts somebody else has made.

Belongs here: what a member is. Does not belong here: combining them.
"""

from __future__ import annotations

from typing import Any, Protocol

import polars as pl

from btq_assets.models.ensembles.blending import KEY, require_forecasts
from btq_assets.models.forecaster import FORECAST_COLUMNS, ModelError


class Predicts(Protocol):
    """The part of a forecaster an ensemble needs."""

    def predict(self, panel: pl.DataFrame) -> pl.DataFrame:
        """Return ``universe``, ``symbol``, ``ts``, ``forecast``."""


class GivenForecasts:
    """Forecasts that are there already, as a member: an agent's target weights, a vendor's scores.

    Parameters
    ----------
    frame
        ``universe``, ``symbol``, ``ts``, ``forecast``, one row per key.

    Raises
    ------
    ModelError
        A column is missing, or a key has two rows.
    """

    def __init__(self, frame: pl.DataFrame) -> None:
        require_forecasts([frame])
        self.frame = frame

    def predict(self, panel: pl.DataFrame) -> pl.DataFrame:
        """Those of its rows that `panel` asks for: its decisions where it marks them."""
        asked = panel.filter("is_decision") if "is_decision" in panel.columns else panel
        found = self.frame.select(FORECAST_COLUMNS).join(asked.select(KEY), on=KEY, how="semi")
        return found.sort(KEY)


def as_member(given: Any) -> Predicts:
    """A forecaster as it is, a frame of forecasts as `GivenForecasts`."""
    if isinstance(given, pl.DataFrame):
        return GivenForecasts(given)
    if not callable(getattr(given, "predict", None)):
        raise ModelError(
            f"a member has predict(panel) or is a frame of forecasts, not {type(given).__name__}"
        )
    member: Predicts = given
    return member
