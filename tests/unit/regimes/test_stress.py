"""Components against closed forms, and the flag by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from btq_assets.config import RegimesSection
from btq_assets.config.regimes import StressSection
from btq_assets.contracts.regimes import STRESS_COMPONENTS
from btq_assets.regimes import panel, stress


def test_turbulence_is_the_mahalanobis_distance_from_the_window_before():
    # scipy's mahalanobis with numpy's covariance; Kritzman and Li (2010), eq. 1, over N.
    from scipy.spatial.distance import mahalanobis

    returns = np.random.default_rng(0).normal(0, [0.01, 0.02, 0.005], (120, 3))
    found = stress.turbulence(returns, 60)
    assert np.isnan(found[:60]).all()
    for t in (60, 75, 119):
        past = returns[t - 60 : t]
        inverse = np.linalg.inv(np.cov(past, rowvar=False))
        distance = mahalanobis(returns[t], past.mean(axis=0), inverse) ** 2
        assert found[t] == pytest.approx(distance / 3, rel=1e-10)
    # Estimated every fifth session, the first of each five is the same.
    np.testing.assert_allclose(stress.turbulence(returns, 60, 5)[60::5], found[60::5], rtol=1e-10)


def test_turbulence_of_normal_returns_is_one_on_average():
    # N^-1 times a chi-square of N degrees, but for the estimation error of 500 sessions.
    returns = np.random.default_rng(1).normal(0, 0.01, (2_500, 5))
    assert np.nanmean(stress.turbulence(returns, 500, 5)) == pytest.approx(1, abs=0.05)


def test_absorption_of_one_factor_has_a_closed_form():
    # Ten symbols of variance 1 and correlation 0.4: eigenvalues 1 + 9 x 0.4 and nine of 0.6, so the
    # first two explain (4.6 + 0.6) / 10.
    random = np.random.default_rng(2)
    moves = np.sqrt(0.4) * random.normal(size=(6_000, 1)) + np.sqrt(0.6) * random.normal(
        size=(6_000, 10)
    )
    assert stress.absorption_ratio(moves, 6_000, 1e9)[-1] == pytest.approx(0.52, abs=0.012)
    # Without correlation, two of ten.
    alone = random.normal(size=(6_000, 10))
    assert stress.absorption_ratio(alone, 6_000, 1e9)[-1] == pytest.approx(0.2, abs=0.012)


def test_absorption_weights_fade_by_half_in_a_half_life():
    # The first half has one factor, the second none: with a short half-life only that is seen.
    random = np.random.default_rng(3)
    moves = random.normal(size=(400, 5))
    moves[:200] = random.normal(size=(200, 1))
    moves[:200] += 1e-3 * random.normal(size=(200, 5))
    assert stress.absorption_ratio(moves, 400, 1e9)[-1] > 0.55
    assert stress.absorption_ratio(moves, 400, 20)[-1] < 0.40


def test_average_correlation_is_the_mean_of_numpys():
    returns = np.random.default_rng(4).normal(size=(60, 4)) @ np.random.default_rng(5).normal(
        size=(4, 4)
    )
    found = panel.average_correlation(returns, 30)
    for t in (29, 45, 59):
        matrix = np.corrcoef(returns[t - 29 : t + 1], rowvar=False)
        assert found[t] == pytest.approx(matrix[np.triu_indices(4, 1)].mean(), rel=1e-10)


def test_drawdown_by_hand():
    # Levels 1, 1.1, 0.99, 1.21, 0.605 after a start of 1: losses 0, 0, 10 %, 0, 50 %.
    returns = np.diff(np.log([1, 1, 1.1, 0.99, 1.21, 0.605]))
    np.testing.assert_allclose(stress.drawdown(returns, 252), [0, 0, 0.1, 0, 0.5], atol=1e-12)


def test_scores_read_earlier_values_only():
    values = np.array([1.0, 2.0, np.nan, 3.0, 10.0, 2.0])
    found = panel.standardised_on_the_past(values, 3)
    # At 10: mean of (1, 2, 3) is 2, deviation 1. At the last: (1, 2, 3, 10).
    assert np.isnan(found[:4]).all()
    assert found[4] == pytest.approx(8.0)
    assert found[5] == pytest.approx((2 - 4) / np.std([1, 2, 3, 10], ddof=1))
    assert np.isnan(panel.standardised_on_the_past(np.full(20, 7.0), 3)).all()


def test_weights_of_missing_components_are_shared_out():
    section = StressSection(weights={"volatility": 3, "spread": 1}, min_components=3)
    scores = {name: np.array([1.0, 1.0]) for name in STRESS_COMPONENTS}
    scores["volatility"] = np.array([5.0, 5.0])
    scores["spread"] = np.array([1.0, np.nan])
    index, n = stress.weighted(scores, section)
    assert index.tolist() == pytest.approx([(3 * 5 + 5) / 8, (3 * 5 + 4) / 7])
    assert n.tolist() == [6, 5]
    few = {name: np.array([np.nan]) for name in STRESS_COMPONENTS} | {"drawdown": np.array([2.0])}
    assert np.isnan(stress.weighted(few, section)[0]).all()


def test_the_flag_comes_at_one_threshold_and_goes_at_the_other():
    values = np.array([0, 2, 1, 0.4, 0.4, 2, 0.4, 0.4, 0.4, np.nan, 1.2], float)
    on = panel.hysteresis(values, 1.5, 0.5, 3)
    # On at the second; three sessions at least; again from the sixth for three.
    assert on.astype(int).tolist() == [0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0]


def test_a_planted_crisis_is_flagged_within_a_month(market):
    # One symbol's worth of calm, then 60 sessions of tripled volatility and one common factor.
    random = np.random.default_rng(7)
    moves = random.normal(0, 0.01, (1_400, 6))
    crisis = slice(1_200, 1_260)
    moves[crisis] = random.normal(-0.005, 0.03, (60, 1)) + random.normal(0, 0.005, (60, 6))
    rows = stress.stress_index(
        market(moves),
        _no_macro(),
        "us20",
        RegimesSection(stress={"turbulence_window_sessions": 500}),
    )
    flagged = rows["is_crisis"].to_numpy()
    assert flagged[1_200:1_221].any()
    assert flagged[1_221:1_260].all()
    # Noise alone is flagged on few sessions, and never when the crisis begins.
    assert flagged[:1_200].mean() < 0.05
    assert not flagged[1_199]
    assert rows["spread"].null_count() == rows.height
    assert rows["n_components"][-1] == 5


def _no_macro() -> pl.DataFrame:
    return pl.DataFrame(
        schema={
            "universe": pl.String,
            "ts": pl.Datetime("us", "UTC"),
            "credit_spread_baa_aaa": pl.Float64,
        }
    )


def test_each_of_the_six_components_is_its_definition_over_its_window(market):
    # numpy and the functions tested above, over the last rows of each configured window.
    moves = np.random.default_rng(9).normal(0, 0.01, (260, 6))
    section = StressSection(
        volatility_window_sessions=10,
        correlation_window_sessions=20,
        drawdown_window_sessions=30,
        turbulence_window_sessions=60,
        turbulence_mean_sessions=7,
        absorption_window_sessions=80,
        absorption_half_life_sessions=40,
    )
    given = panel.panel_of(market(moves), "us20")
    spread = np.linspace(1, 2, 260)
    found = {name: v[-1] for name, v in stress.components(given, spread, section).items()}
    equal = np.log1p(np.expm1(moves).mean(axis=1))
    level = np.exp(np.cumsum(equal))
    pairs = np.corrcoef(moves[-20:], rowvar=False)[np.triu_indices(6, 1)]
    assert found == pytest.approx(
        {
            "volatility": np.sqrt(252 * (equal[-10:] ** 2).mean()),
            "spread": 2.0,
            "correlation": pairs.mean(),
            "drawdown": 1 - level[-1] / level[-30:].max(),
            "turbulence": stress.turbulence(given.log_returns, 60, 5)[-7:].mean(),
            "absorption": stress.absorption_ratio(given.log_returns[-80:], 80, 40)[-1],
        }
    )
    assert tuple(found) == tuple(STRESS_COMPONENTS)
