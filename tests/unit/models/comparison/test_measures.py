"""Figures of forecasts against scipy, numpy and planted distributions."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from scipy import stats

from btq_assets.models.comparison import measures
from btq_assets.models.comparison.measures import Resampling
from btq_assets.models.forecaster import ModelError

START = dt.datetime(2010, 1, 4, 21, tzinfo=dt.UTC)


def frame(values: np.ndarray, name: str, **more: object) -> pl.DataFrame:
    """``(T, N)`` as tidy rows, a week apart."""
    n_dates, n_assets = values.shape
    return pl.DataFrame(
        {
            "universe": "test",
            "symbol": [f"S{k}" for k in range(n_assets)] * n_dates,
            "ts": [START + dt.timedelta(days=7 * (k // n_assets)) for k in range(values.size)],
            name: values.ravel(),
        }
    ).with_columns(**more)


@pytest.fixture(scope="module")
def random() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.fixture(scope="module")
def labels(random) -> np.ndarray:
    made = random.normal(size=(60, 8))
    return made - made.mean(axis=1, keepdims=True)


def seeded(values: np.ndarray, seed: int = 7) -> pl.DataFrame:
    return frame(values, "forecast", seed=pl.lit(seed, pl.Int64))


def test_correlations_are_those_of_scipy(random, labels):
    said = labels + random.normal(size=labels.shape)
    found = measures.correlations(seeded(said), frame(labels, "label"))
    pearson = [stats.pearsonr(a, b).statistic for a, b in zip(said, labels, strict=True)]
    spearman = [stats.spearmanr(a, b).statistic for a, b in zip(said, labels, strict=True)]
    np.testing.assert_allclose(found["ic"], pearson, rtol=1e-9)
    np.testing.assert_allclose(found["rank_ic"], spearman, rtol=1e-9)
    row = measures.scores_by_seed(found).row(0, named=True)
    assert row["icir"] == pytest.approx(np.mean(spearman) / np.std(spearman, ddof=1))


def test_seeds_are_averaged_decision_by_decision_and_forecasts_before_ranking(random, labels):
    both = [labels + random.normal(size=labels.shape) for _ in range(2)]
    frames = pl.concat([seeded(values, seed) for seed, values in zip((7, 11), both, strict=True)])
    found = measures.correlations(frames, frame(labels, "label"))
    each = np.array(
        [[stats.spearmanr(a, b).statistic for a, b in zip(v, labels, strict=True)] for v in both]
    )
    np.testing.assert_allclose(measures.by_decision(found)["rank_ic"], each.mean(axis=0))
    mean = measures.correlations(measures.averaged(frames), frame(labels, "label"))
    expected = [
        stats.spearmanr(a, b).statistic for a, b in zip(np.mean(both, axis=0), labels, strict=True)
    ]
    np.testing.assert_allclose(mean["rank_ic"], expected, atol=1e-12)


def test_constant_forecasts_have_no_correlation_and_nothing_else_is_an_error(labels):
    with pytest.raises(ModelError, match="no decision of 60 has forecasts that differ"):
        measures.correlations(seeded(np.ones(labels.shape)), frame(labels, "label"))


def test_calibration_is_least_squares(random, labels):
    said = 0.02 + 2 * labels + random.normal(size=labels.shape)
    said += random.normal(size=(60, 1))  # what moves a whole date
    row = measures.calibration_by_seed(seeded(said), frame(labels, "label")).row(0, named=True)
    slope, intercept = np.polyfit(said.ravel(), labels.ravel(), 1)
    assert row["calibration_slope"] == pytest.approx(slope)
    assert row["calibration_intercept"] == pytest.approx(intercept)
    within = said - said.mean(axis=1, keepdims=True)
    assert row["relative_slope"] == pytest.approx(np.polyfit(within.ravel(), labels.ravel(), 1)[0])
    # the level of dates is noise here: the relative slope is nearer to the planted 2 / (4 + 1)
    assert abs(row["relative_slope"] - 0.4) < abs(row["calibration_slope"] - 0.4)


def test_the_interval_of_the_slope_covers_the_planted_one_at_its_rate():
    """Slope 0.5 planted: 95 % intervals of 40 draws miss it twice in the mean; 6 is 3 deviations off."""
    missed = 0
    for draw in range(40):
        random = np.random.default_rng(draw)
        said = random.normal(size=(120, 6))
        truth = 0.5 * (said - said.mean(axis=1, keepdims=True)) + random.normal(size=said.shape)
        low, high = measures.slope_interval(
            seeded(said), frame(truth, "label"), Resampling(1.0, 200, draw)
        )
        missed += not low <= 0.5 <= high
    assert missed <= 6


def test_coverage_of_a_normal_head_and_of_quantiles(random):
    truth = random.normal(size=(400, 10))
    named = {"quantile_05": 0.05, "quantile_25": 0.25, "quantile_50": 0.5, "quantile_75": 0.75,
             "quantile_95": 0.95}  # fmt: skip
    nothing = [pl.lit(None, pl.Float64).alias(name) for name in named]
    right = seeded(np.zeros(truth.shape)).with_columns(pl.lit(1.0).alias("variance"), *nothing)
    inside, gap = measures.coverage(right, frame(truth, "label"))
    assert inside == pytest.approx(0.9, abs=0.015)
    assert gap < 0.015
    narrow = right.with_columns(variance=pl.lit(0.25))
    inside, gap = measures.coverage(narrow, frame(truth, "label"))
    # closed form: P(|z| < 1.645 / 2), and the largest gap at the quartiles' outer neighbours
    assert inside == pytest.approx(2 * stats.norm.cdf(1.6449 / 2) - 1, abs=0.015)
    assert gap == pytest.approx(stats.norm.cdf(-1.6449 / 2) - 0.05, abs=0.015)
    said = [pl.lit(stats.norm.ppf(p)).alias(name) for name, p in named.items()]
    quantiles = right.with_columns(pl.lit(None, pl.Float64).alias("variance"), *said)
    assert measures.coverage(quantiles, frame(truth, "label")) == pytest.approx(
        measures.coverage(right, frame(truth, "label"))
    )
    without = right.with_columns(variance=pl.lit(None, pl.Float64))
    assert measures.coverage(without, frame(truth, "label")) is None
