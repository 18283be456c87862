"""Weighting rules against closed forms, peers and invariants."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from btq_assets.portfolio import (
    PortfolioError,
    equal_risk_weights,
    hrp_weights,
    kelly_weights,
    rank_weights,
    shrunk_covariance,
    volatility_target,
)
from btq_assets.portfolio.baselines import equal_weights, top_third_weights
from btq_assets.portfolio.ranks import average_ranks, blend_scores
from btq_assets.risk.limits import cap_weights, limit_weights

scores = hnp.arrays(
    np.float64,
    st.integers(1, 12),
    elements=st.floats(-1e3, 1e3, allow_subnormal=False).map(lambda x: round(x, 6)),
)
tilts = st.floats(0, 1)


def covariance_of(seed: int, n: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    loadings = random.normal(size=(n, n + 2))
    return loadings @ loadings.T * 1e-4


# --- limits ---------------------------------------------------------------------------------


def test_cap_gives_the_excess_to_the_others_in_proportion():
    # By hand: 0.6 → 0.5; the 0.1 left goes 3 : 1 to 0.3 and 0.1.
    assert cap_weights(np.array([0.6, 0.3, 0.1]), 0.5) == pytest.approx([0.5, 0.375, 0.125])
    # 0.375 then exceeds a cap of 0.35: a second round fills it too.
    assert cap_weights(np.array([0.6, 0.3, 0.1]), 0.35) == pytest.approx([0.35, 0.35, 0.3])


def test_cap_leaves_in_cash_what_no_asset_can_take():
    assert cap_weights(np.array([0.9, 0.1, 0.0]), 0.25) == pytest.approx([0.25, 0.25, 0.0])


def test_cap_refuses_short_and_missing_weights():
    for bad in (-0.1, np.nan):
        with pytest.raises(ValueError, match="long-only"):
            cap_weights(np.array([0.5, bad]), 0.25)


@given(hnp.arrays(np.float64, st.integers(1, 15), elements=st.floats(0, 1)), st.floats(0.01, 1))
def test_cap_invariants(weights, cap):
    capped = cap_weights(weights, cap)
    assert capped.max() <= cap
    assert (capped[weights == 0] == 0).all()
    assert capped.sum() == pytest.approx(min(weights.sum(), cap * (weights > 0).sum()), abs=1e-9)
    order = np.argsort(weights, kind="stable")
    assert (np.diff(capped[order]) >= -1e-12).all()


def test_limits_shrink_and_never_redistribute():
    assert limit_weights(np.array([0.6, -0.6, 0.1]), 0.4, 0.6) == pytest.approx(
        np.array([0.4, -0.4, 0.1]) * 0.6 / 0.9
    )


# --- ranks ----------------------------------------------------------------------------------


def test_rank_weights_by_hand():
    # n = 4, tilt 1: 2 (r - 1) / (4 * 3) for r = 1 .. 4 is 0, 1/6, 2/6, 3/6.
    assert rank_weights(np.array([3.0, -5.0, 0.1, 0.0]), 1.0) == pytest.approx(
        [3 / 6, 0, 2 / 6, 1 / 6]
    )
    assert rank_weights(np.array([3.0, -5.0, 0.1, 0.0]), 0.0) == pytest.approx([0.25] * 4)
    # Ties share: ranks 1.5, 1.5, 3 → 1/6, 1/6, 4/6.
    assert rank_weights(np.array([1.0, 1.0, 2.0]), 1.0) == pytest.approx([1 / 6, 1 / 6, 4 / 6])


def test_ranks_agree_with_scipy():
    from scipy.stats import rankdata

    values = np.random.default_rng(0).integers(0, 6, 40).astype(float)
    assert average_ranks(values) == pytest.approx(rankdata(values))


def test_missing_forecast_gets_nothing_and_infinite_is_refused():
    weights = rank_weights(np.array([1.0, np.nan, 2.0]), 0.5)
    assert weights[1] == 0
    assert weights.sum() == pytest.approx(1)
    assert rank_weights(np.array([np.nan, np.nan]), 1.0).sum() == 0
    with pytest.raises(PortfolioError, match="infinite"):
        rank_weights(np.array([1.0, np.inf]), 1.0)


@given(scores, tilts, st.floats(0.01, 100), st.randoms(use_true_random=False))
def test_rank_invariants(values, tilt, factor, random):
    weights = rank_weights(values, tilt)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)
    # Scaling forecasts (by a power of two: exact) leaves ranks alone.
    assert rank_weights(values * 2.0 ** round(np.log2(factor)), tilt) == pytest.approx(weights)
    order = list(range(len(values)))
    random.shuffle(order)
    assert rank_weights(values[order], tilt) == pytest.approx(weights[order])


def test_volatility_target_closed_form():
    # sigma of 50/50 with variances a, b and no correlation is sqrt((a + b) / 4).
    covariance = np.diag([0.20**2, 0.30**2]) / 252
    weights = volatility_target(np.array([0.5, 0.5]), covariance, 0.10, 1.0)
    expected = 0.10 / np.sqrt((0.20**2 + 0.30**2) / 4)
    assert weights == pytest.approx(np.array([0.5, 0.5]) * expected)
    assert np.sqrt(252 * weights @ covariance @ weights) == pytest.approx(0.10)
    # Calm markets do not lever beyond the gross limit.
    assert volatility_target(np.array([0.5, 0.5]), covariance / 100, 0.10, 1.0).sum() == 1.0
    assert volatility_target(np.zeros(2), covariance, 0.10, 1.0).sum() == 0.0


def test_blend_is_the_mean_scaled_rank_and_needs_every_model():
    one, two = np.array([[1.0, 2.0, 3.0]]), np.array([[9.0, 5.0, 7.0]])
    # ranks 1 2 3 and 3 1 2 → means 2, 1.5, 2.5 → (mean - 1) / 2
    assert blend_scores({"a": one, "b": two})[0] == pytest.approx([0.5, 0.25, 0.75])
    two[0, 1] = np.nan
    assert np.isnan(blend_scores({"a": one, "b": two})[0]).tolist() == [False, True, False]


# --- Kelly ----------------------------------------------------------------------------------


def test_two_asset_kelly_closed_form():
    # Sigma^-1 mu of two assets with correlation rho, written out.
    s1, s2, rho, m1, m2 = 0.02, 0.03, 0.3, 0.0010, 0.0015
    covariance = np.array([[s1**2, rho * s1 * s2], [rho * s1 * s2, s2**2]])
    w1 = (m1 / s1**2 - rho * m2 / (s1 * s2)) / (1 - rho**2)
    w2 = (m2 / s2**2 - rho * m1 / (s1 * s2)) / (1 - rho**2)
    assert kelly_weights(np.array([m1, m2]), covariance, 0.25) == pytest.approx(
        [0.25 * w1, 0.25 * w2]
    )


def test_kelly_never_shorts_and_drops_the_asset_properly():
    # Correlated 0.9, the second hardly earns: unbounded Kelly shorts it. Long only, the first
    # asset alone is held at m1 / s1^2, not at its unbounded weight clipped.
    covariance = np.array([[1.0, 0.9], [0.9, 1.0]]) * 4e-4
    mean = np.array([0.001, 0.0001])
    assert np.linalg.solve(covariance, mean)[1] < 0
    assert kelly_weights(mean, covariance, 1.0) == pytest.approx([0.001 / 4e-4, 0.0])
    assert kelly_weights(-mean, covariance, 1.0) == pytest.approx([0.0, 0.0])


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(2, 6))
def test_kelly_satisfies_the_optimality_conditions(seed, n):
    covariance = covariance_of(seed, n)
    mean = np.random.default_rng(seed + 1).normal(0, 1e-3, n)
    weights = kelly_weights(mean, covariance, 1.0)
    slack = mean - covariance @ weights  # gradient: zero where held, not positive elsewhere
    assert weights.min() >= 0
    assert slack[weights > 1e-9] == pytest.approx(0, abs=1e-9)
    assert slack.max() <= 1e-9


def test_kelly_bad_input():
    with pytest.raises(PortfolioError, match="singular"):
        kelly_weights(np.ones(2), np.ones((2, 2)), 0.5)
    with pytest.raises(PortfolioError, match="finite"):
        kelly_weights(np.array([np.nan, 1.0]), np.eye(2), 0.5)


# --- risk parity ----------------------------------------------------------------------------


def test_diagonal_covariance_gives_inverse_volatility():
    volatility = np.array([0.1, 0.2, 0.4])
    assert equal_risk_weights(np.diag(volatility**2)) == pytest.approx(
        (1 / volatility) / (1 / volatility).sum()
    )


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 12))
def test_risk_contributions_are_equal(seed, n):
    covariance = covariance_of(seed, n)
    weights = equal_risk_weights(covariance)
    share = weights * (covariance @ weights) / (weights @ covariance @ weights)
    assert share == pytest.approx(1 / n, abs=1e-8)
    assert equal_risk_weights(covariance[::-1, ::-1]) == pytest.approx(weights[::-1], abs=1e-9)


def test_risk_parity_refuses_what_has_no_solution():
    with pytest.raises(PortfolioError, match="positive variance"):
        equal_risk_weights(np.diag([1.0, 0.0]))
    with pytest.raises(PortfolioError, match="positive definite"):
        equal_risk_weights(np.array([[1.0, -1.0], [-1.0, 1.0]]))


# --- covariance, HRP ------------------------------------------------------------------------


def test_covariance_is_between_the_sample_and_its_identity_target():
    returns = np.random.default_rng(1).normal(0, [0.01, 0.02, 0.03], (90, 3))
    found, sample = shrunk_covariance(returns), np.cov(returns.T, ddof=0)
    target = np.eye(3) * np.trace(sample) / 3
    shrinkage = (found[0, 1] - sample[0, 1]) / (target[0, 1] - sample[0, 1])
    assert 0 < shrinkage < 1
    assert found == pytest.approx((1 - shrinkage) * sample + shrinkage * target)


def test_covariance_bad_input():
    with pytest.raises(PortfolioError, match="do not vary"):
        shrunk_covariance(np.zeros((50, 2)))
    with pytest.raises(PortfolioError, match="gap"):
        shrunk_covariance(np.array([[0.1], [np.nan], [0.2]]))
    with pytest.raises(PortfolioError, match="T >= 2"):
        shrunk_covariance(np.zeros((1, 2)))


def test_two_asset_hrp_is_inverse_variance():
    returns = np.random.default_rng(2).normal(0, [0.01, 0.03], (300, 2))
    variance = np.diag(shrunk_covariance(returns))
    assert hrp_weights(returns) == pytest.approx((1 / variance) / (1 / variance).sum())


def test_hrp_agrees_with_the_papers_recursion():
    # López de Prado (2016), snippets 2-4, written out with the stated linkage.
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    random = np.random.default_rng(5)
    common = random.normal(0, 0.01, (250, 2))
    returns = random.normal(0, 0.01, (250, 7)) + common[:, random.integers(0, 2, 7)]
    distance = np.sqrt(np.clip((1 - np.corrcoef(returns.T)) / 2, 0, None))
    np.fill_diagonal(distance, 0)
    condensed = squareform(distance, checks=False)
    order = leaves_list(optimal_leaf_ordering(linkage(condensed, "ward"), condensed))
    covariance = shrunk_covariance(returns)

    def cluster_variance(items):
        block = covariance[np.ix_(items, items)]
        inverse = 1 / np.diag(block)
        inverse /= inverse.sum()
        return inverse @ block @ inverse

    expected, clusters = np.ones(7), [list(order)]
    while clusters:
        items = clusters.pop()
        if len(items) > 1:
            left, right = items[: len(items) // 2], items[len(items) // 2 :]
            share = 1 - cluster_variance(left) / (cluster_variance(left) + cluster_variance(right))
            expected[left] *= share
            expected[right] *= 1 - share
            clusters += [left, right]
    assert hrp_weights(returns) == pytest.approx(expected)


def test_hrp_bad_input():
    returns = np.random.default_rng(0).normal(size=(50, 3))
    returns[:, 1] = 0
    with pytest.raises(PortfolioError, match="stale"):
        hrp_weights(returns)
    returns[3, 1] = np.nan
    with pytest.raises(PortfolioError, match="gap"):
        hrp_weights(returns)
    assert hrp_weights(np.random.default_rng(0).normal(size=(50, 1))).tolist() == [1.0]


# --- baselines ------------------------------------------------------------------------------


def test_top_third_by_hand():
    # Seven scored assets: the third is 2.33, rounded up to 3.
    values = np.array([7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, np.nan])
    assert top_third_weights(values) == pytest.approx([1 / 3] * 3 + [0] * 5)
    assert top_third_weights(np.array([1.0, 1.0, 0.0])) == pytest.approx([0.5, 0.5, 0])
    assert equal_weights(np.array([True, False, True])).tolist() == [0.5, 0.0, 0.5]
