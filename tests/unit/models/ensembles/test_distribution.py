"""Moments of a mixture against simulation and hand arithmetic."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from btq_assets.models.ensemble import ModelEnsemble
from btq_assets.models.ensembles.distribution import mixture_forecasts, mixture_moments
from btq_assets.models.forecaster import ModelError

T0 = dt.datetime(2020, 1, 2, 21, tzinfo=dt.UTC)


def test_moments_are_those_of_the_paper() -> None:
    # Means 1 and 3, variances 1 and 2: mean 2, mean of (1 + 1, 2 + 9) less 4 = 2.5.
    mean, variance = mixture_moments(np.array([[1.0], [3.0]]), np.array([[1.0], [2.0]]))
    assert (mean[0], variance[0]) == (2.0, 2.5)
    alone = mixture_moments(np.array([[5.0]]), np.array([[0.3]]))
    assert (alone[0][0], alone[1][0]) == (5.0, 0.3)


def test_moments_are_those_of_a_sampled_mixture() -> None:
    random = np.random.default_rng(0)
    means, variances, weights = np.array([-1.0, 0.5, 2.0]), np.array([0.2, 1.0, 3.0]), [1, 2, 1]
    member = random.choice(3, size=400_000, p=np.array(weights) / 4)
    sample = random.normal(means[member], np.sqrt(variances[member]))
    mean, variance = mixture_moments(means, variances, weights)
    assert mean == pytest.approx(sample.mean(), abs=4 * sample.std() / np.sqrt(400_000))
    assert variance == pytest.approx(sample.var(), rel=0.02)


def test_members_that_agree_to_the_last_bit_have_no_negative_variance() -> None:
    mean, variance = mixture_moments(np.full((3, 4), 1e8 + 0.1))
    assert (variance == 0).all()
    np.testing.assert_allclose(mean, 1e8 + 0.1)


def frame(values: list[float], **others: list[float]) -> pl.DataFrame:
    symbols = [f"S{i}" for i in range(len(values))]
    return pl.DataFrame(
        {"universe": "u", "symbol": symbols, "ts": T0, "forecast": values, **others}
    )


def test_frames_of_members_give_mean_variance_and_disagreement() -> None:
    members = [
        frame([1.0, 0.0, 9.0], variance=[1.0, 4.0, 1.0]),
        frame([3.0, 0.0], variance=[2.0, 6.0]),
    ]
    found = mixture_forecasts(members)
    assert found["symbol"].to_list() == ["S0", "S1"]
    assert found["forecast"].to_list() == [2.0, 0.0]
    assert found["variance"].to_list() == [2.5, 5.0]
    assert found["disagreement"].to_list() == [1.0, 0.0]
    with pytest.raises(ModelError, match=r"member\(s\) \[1\] give no variance"):
        mixture_forecasts([members[0], members[1].drop("variance")])
    with pytest.raises(ModelError, match="negative"):
        mixture_forecasts([frame([1.0], variance=[-1.0])])


def test_the_spread_of_an_ensemble_is_in_label_units() -> None:
    panel = frame([0.0, 0.0]).drop("forecast").with_columns(close=pl.lit(1.0))
    found = ModelEnsemble([frame([0.01, -0.02]), frame([0.03, -0.02])]).spread(panel)
    np.testing.assert_allclose(found["forecast"], [0.02, -0.02])
    np.testing.assert_allclose(found["variance"], [1e-4, 0.0], atol=1e-18)


def test_seeds_of_a_network_disagree_more_where_they_have_not_learnt(
    planted_set, planted_test
) -> None:
    from btq_assets.models.deep.recurrent import PerceptronForecaster

    spec = PerceptronForecaster.spec_type
    members = [
        PerceptronForecaster(spec(seed=seed, lookback_sessions=2, epochs=4)).fit(planted_set)
        for seed in (0, 1, 2)
    ]
    far = planted_test.with_columns(pl.col("signal") * 8, pl.col("noise") * 8)
    ensemble = ModelEnsemble(members)
    near, away = (ensemble.spread(panel)["variance"].mean() for panel in (planted_test, far))
    assert 0 < near < away
