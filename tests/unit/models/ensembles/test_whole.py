"""The public class from fitted models to forecasts: each way to combine them, on a planted market."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.models import scores
from btq_assets.models.ensemble import ModelEnsemble
from btq_assets.models.ensembles.evidence import out_of_fold
from btq_assets.models.ensembles.rules import Stacked
from btq_assets.models.forecaster import ModelError
from btq_assets.models.plans import ridge_plan
from btq_assets.models.walk_forward import Plan, fit_fold


@pytest.fixture(scope="module")
def members(planted) -> tuple[list[Any], list[pl.DataFrame]]:
    """Ridge on the planted signal and ridge on noise: last fits, and forecasts out of sample."""
    plan = ridge_plan(TradingConfig(), code_version="t")
    ts = planted["ts"].unique().sort()
    models, frames = [], []
    for name in ("signal", "noise"):
        own = Plan(plan.make, ("base",), (0,), (name,), ())
        fits = []
        for k in range(3):
            row = {"fold": k, "universe": "test", "train_start": ts[0]}
            for segment, first, last in (
                ("train", 0, 98), ("validation", 100, 138), ("test", 140, 179)
            ):  # fmt: skip
                row |= {f"{segment}_start": ts[first + 40 * k * (first > 0)],
                        f"{segment}_end": ts[last + 40 * k]}  # fmt: skip
            fits.append(fit_fold(planted, row, own, "base", 0, data_hash="d"))
        models.append(fits[-1].forecaster)
        frames.append(out_of_fold(fits))
    return models, frames


def test_every_way_to_combine_forecasts_the_test_segment(planted, members) -> None:
    models, frames = members
    until = planted["ts"].unique().sort()[260]
    later = planted.filter(pl.col("ts") >= until)
    regimes = pl.DataFrame({"known_at": [planted["ts"].min()], "regime": ["calm"]})
    ensembles = {
        "equal": ModelEnsemble(models),
        "sign": ModelEnsemble.voting(models),
        "rank": ModelEnsemble.voting(models, by="rank", weights=[2, 1]),
        "skill": ModelEnsemble.by_skill(models, frames, planted, until=until),
        "stacked": ModelEnsemble.stacked(models, frames, planted, until=until),
        "gated": ModelEnsemble.gated(models, {"calm": [1, 0]}, regimes),
    }
    found = {name: one.predict(later) for name, one in ensembles.items()}
    ics = {name: scores.mean_rank_ic(frame, planted) for name, frame in found.items()}
    for frame in found.values():
        assert frame.height == later.height
        assert frame["forecast"].is_finite().all()
    alone = scores.mean_rank_ic(models[0].predict(later), planted)
    assert ics["gated"] == pytest.approx(alone)
    # Weights learnt out of sample find the member that knows something; equal ones cannot.
    assert ics["skill"] > ics["equal"] + 0.05
    assert ics["stacked"] > ics["equal"] + 0.05
    assert ensembles["skill"].weights[0] > 0.7
    rule = ensembles["stacked"].rule
    assert isinstance(rule, Stacked)
    assert rule.fitted_until <= until


def test_pandas_panels_are_understood(planted, members) -> None:
    models, _ = members
    later = planted.filter(pl.col("ts") >= planted["ts"].unique().sort()[290])
    ensemble = ModelEnsemble(models, [0.7, 0.3])
    np.testing.assert_array_equal(
        ensemble.predict(later.to_pandas())["forecast"], ensemble.predict(later)["forecast"]
    )
    assert (ensemble.spread(later)["variance"] >= 0).all()


def test_frames_and_models_must_be_as_many(planted, members) -> None:
    models, frames = members
    with pytest.raises(ModelError, match="2 model"):
        ModelEnsemble.by_skill(models, frames[:1], planted, until=planted["ts"].max())
