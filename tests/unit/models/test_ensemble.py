"""Blending against hand arithmetic."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from btq_assets.models.ensemble import ModelEnsemble, blend_forecasts
from btq_assets.models.forecaster import ModelError

T0 = dt.datetime(2020, 1, 2, 21, tzinfo=dt.UTC)


def forecasts(*values: float) -> pl.DataFrame:
    symbols = [f"S{i}" for i in range(len(values))]
    return pl.DataFrame({"universe": "u", "symbol": symbols, "ts": T0, "forecast": list(values)})


def test_members_are_standardised_before_they_are_averaged() -> None:
    # (-1, 0, 1) / 1 and (1000, 0, -1000) / 1000, weights 3 : 1 -> (-0.5, 0, 0.5).
    found = blend_forecasts([forecasts(-1, 0, 1), forecasts(1000, 0, -1000)], [3, 1])
    np.testing.assert_allclose(found["forecast"], [-0.5, 0.0, 0.5], atol=1e-12)


def test_unit_and_level_of_a_member_do_not_matter() -> None:
    first, second = forecasts(0.3, 0.1, 0.7), forecasts(5.0, 9.0, 2.0)
    scaled = second.with_columns(pl.col("forecast") * 1e-6 + 44)
    np.testing.assert_allclose(
        blend_forecasts([first, second])["forecast"],
        blend_forecasts([first, scaled])["forecast"],
        rtol=1e-6,
    )


def test_constant_member_says_nothing_and_lone_asset_keeps_its_members() -> None:
    found = blend_forecasts([forecasts(-1, 0, 1), forecasts(7, 7)])
    np.testing.assert_allclose(found["forecast"], [-0.5, 0.0, 1.0])


class Fixed:
    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = frame

    def predict(self, panel: pl.DataFrame) -> pl.DataFrame:
        return self.frame


def test_ensemble_predicts_what_its_members_blend_to() -> None:
    members = [forecasts(-1, 0, 1), forecasts(2, 0, 1)]
    panel = members[0].drop("forecast").with_columns(close=pl.lit(1.0))
    found = ModelEnsemble([Fixed(m) for m in members], weights=[1, 2]).predict(panel)
    assert found.equals(blend_forecasts(members, [1, 2]))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], "2 member"),
        ([-1.0, 2.0], "non-negative"),
        ([0.0, 0.0], "all 0"),
        ([float("nan"), 1.0], "finite"),
    ],
)
def test_impossible_weights_are_refused(weights: list[float], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        ModelEnsemble([Fixed(forecasts(1, 2)), Fixed(forecasts(1, 2))], weights=weights)


def test_no_member_is_refused() -> None:
    with pytest.raises(ModelError, match="at least one"):
        ModelEnsemble([])
