"""The fit of hidden states against statsmodels, hmmlearn, brute force and planted states."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from statsmodels.tsa.regime_switching.markov_regression import MarkovRegression

from btq_assets.config.regimes import StateModelSection
from btq_assets.regimes import gaussian_states
from btq_assets.regimes.markov import RegimeError, ergodic, hamilton_filter
from btq_assets.regimes.state_kernels import expectations, forward

EXACT = StateModelSection(n_states=2, stickiness=0, tolerance=1e-9, max_iterations=2000)


def _chain(n: int, stay: np.ndarray, random: np.random.Generator) -> np.ndarray:
    state, states = 0, []
    for _ in range(n):
        if random.random() > stay[state]:
            state = (state + random.integers(1, len(stay))) % len(stay)
        states.append(state)
    return np.array(states)


def test_the_compiled_filter_is_hamiltons():
    random = np.random.default_rng(0)
    densities = random.normal(0, 3, (200, 3))
    transition = random.dirichlet(np.ones(3), 3)
    initial = ergodic(transition)
    filtered, predictive = forward(densities, transition, initial)
    expected, log_likelihood = hamilton_filter(densities, transition, initial)
    np.testing.assert_allclose(filtered, expected, rtol=1e-12)
    assert predictive.sum() == pytest.approx(log_likelihood, rel=1e-12)


def test_smoothed_probabilities_and_counts_are_sums_over_all_paths():
    # Five observations, two states: 32 paths, each with its own joint density.
    random = np.random.default_rng(1)
    densities = random.normal(0, 1, (5, 2))
    transition = np.array([[0.8, 0.2], [0.4, 0.6]])
    initial = np.array([0.3, 0.7])
    smoothed, counts, log_likelihood = expectations(densities, transition, initial)
    paths = list(itertools.product((0, 1), repeat=5))
    joint = np.array(
        [
            initial[p[0]]
            * np.exp(sum(densities[t, p[t]] for t in range(5)))
            * np.prod([transition[p[t], p[t + 1]] for t in range(4)])
            for p in paths
        ]
    )
    assert log_likelihood == pytest.approx(np.log(joint.sum()), rel=1e-12)
    posterior = joint / joint.sum()
    by_hand = np.array(
        [sum(w * (p[t] == 1) for w, p in zip(posterior, paths, strict=True)) for t in range(5)]
    )
    np.testing.assert_allclose(smoothed[:, 1], by_hand, rtol=1e-12)
    moves = sum(
        w * sum(p[t] == 0 and p[t + 1] == 1 for t in range(4))
        for w, p in zip(posterior, paths, strict=True)
    )
    assert counts[0, 1] == pytest.approx(moves, rel=1e-12)


def test_maximum_likelihood_is_that_of_statsmodels():
    # Peer: MarkovRegression of statsmodels 0.15, switching mean and variance. It starts from the
    # stationary probabilities, this fit from free ones, so the optima differ by that one term.
    random = np.random.default_rng(2)
    states = _chain(1_500, np.array([0.98, 0.95]), random)
    returns = random.normal(np.where(states, -0.3, 0.1), np.where(states, 1.8, 0.6))
    found = gaussian_states.fit_states(returns[:, None], 2, EXACT)
    order = np.argsort(found.covariances[:, 0, 0])
    peer = MarkovRegression(returns, k_regimes=2, trend="c", switching_variance=True)
    result = peer.fit(
        start_params=[0.97, 0.05, 0.0, 0.0, 0.5, 3.0], em_iter=20, cov_type="none", disp=False
    )
    p00, p10, mean0, mean1, variance0, variance1 = result.params
    np.testing.assert_allclose(found.means[order, 0], [mean0, mean1], atol=2e-3)
    np.testing.assert_allclose(found.covariances[order, 0, 0], [variance0, variance1], rtol=2e-3)
    np.testing.assert_allclose(np.diagonal(found.transition)[order], [p00, 1 - p10], atol=2e-3)
    assert 0 <= found.log_likelihood - result.llf < 1.5
    # Filtered with statsmodels' own numbers, the probabilities are its own.
    same = gaussian_states.StateModel(
        np.array([[mean0], [mean1]]),
        np.array([[[variance0]], [[variance1]]]),
        np.array([[p00, 1 - p00], [p10, 1 - p10]]),
        0.0,
        True,
        1,
        np.ones(2) / 2,
    )
    np.testing.assert_allclose(
        gaussian_states.filtered_probabilities(returns[:, None], same),
        result.filtered_marginal_probabilities,
        atol=1e-8,
    )


def test_several_inputs_are_fitted_as_hmmlearn_fits_them():
    # hmmlearn 0.3.3, GaussianHMM(2, "full", tol=1e-9) without priors on this very sample.
    random = np.random.default_rng(11)
    states = (np.arange(600) // 60) % 2
    inputs = np.column_stack(
        [
            random.normal(np.where(states, -0.1, 0.1), np.where(states, 2.0, 0.7)),
            random.normal(np.where(states, 1.0, -1.0), 0.8),
        ]
    )
    inputs[:, 1] += 0.3 * inputs[:, 0]
    found = gaussian_states.fit_states(inputs, 2, EXACT)
    order = np.argsort(found.covariances[:, 0, 0])
    # Variances are kept up by 1e-4 of that of the sample, hence the tolerance.
    np.testing.assert_allclose(
        found.means[order], [[0.11480583, -0.98087679], [-0.0736012, 0.99838633]], atol=1e-3
    )
    np.testing.assert_allclose(
        found.covariances[order],
        [
            [[0.36287596, 0.13078653], [0.13078653, 0.7528236]],
            [[4.49614667, 1.30255895], [1.30255895, 1.03648494]],
        ],
        rtol=2e-3,
    )
    np.testing.assert_allclose(
        np.diagonal(found.transition)[order], [0.98293208, 0.9864195], atol=1e-4
    )
    assert found.log_likelihood == pytest.approx(-1706.106583479044, abs=0.01)


@pytest.mark.parametrize("n_states", [2, 3, 4])
def test_bic_finds_the_planted_number_of_states(n_states):
    random = np.random.default_rng(n_states)
    states = _chain(3_000, np.full(n_states, 0.98), random)
    mean = np.array([0.5, -0.5, 0.0, 0.0])[states]
    deviation = np.array([0.5, 1.2, 0.15, 4.0])[states]
    returns = random.normal(mean, deviation)[:, None]
    found = gaussian_states.fit(returns, StateModelSection())
    assert found.n_states == n_states
    filtered = gaussian_states.filtered_probabilities(returns, found)
    # Each planted state is found as one state of the fit in most of its sessions.
    likeliest = filtered.argmax(axis=1)
    hits = [np.bincount(likeliest[states == k], minlength=n_states).max() for k in range(n_states)]
    assert sum(hits) / len(states) > 0.9


def test_another_number_of_states_must_win_by_the_margin():
    random = np.random.default_rng(9)
    returns = random.normal(0, np.where((np.arange(800) // 80) % 2, 1.5, 0.6))[:, None]
    free = gaussian_states.fit(returns, StateModelSection())
    assert free.n_states == 2
    assert gaussian_states.fit(returns, StateModelSection(bic_margin=1e6), 3).n_states == 3


def test_likelihood_never_falls_with_more_iterations():
    random = np.random.default_rng(4)
    returns = random.standard_t(4, 700)[:, None]
    reached = [
        gaussian_states.fit_states(
            returns, 3, StateModelSection(max_iterations=n, tolerance=1e-12, stickiness=0)
        ).log_likelihood
        for n in (10, 20, 40, 80)
    ]
    assert (np.diff(reached) >= -1e-6).all()


def test_units_of_the_inputs_do_not_matter():
    random = np.random.default_rng(5)
    returns = random.normal(0, np.where((np.arange(600) // 60) % 2, 0.02, 0.005))[:, None]
    settings = StateModelSection(n_states=2)
    small = gaussian_states.fit(returns, settings)
    large = gaussian_states.fit(1e4 * returns + 3, settings)
    np.testing.assert_allclose(large.means, 1e4 * small.means + 3, rtol=1e-6)
    np.testing.assert_allclose(
        gaussian_states.filtered_probabilities(1e4 * returns + 3, large),
        gaussian_states.filtered_probabilities(returns, small),
        atol=1e-6,
    )


def test_what_cannot_be_fitted_is_none_or_named():
    assert gaussian_states.fit(np.full((500, 1), 0.01), StateModelSection()) is None
    random = np.random.default_rng(6)
    noise = random.normal(size=(500, 1))
    assert gaussian_states.fit(noise[:30], StateModelSection()) is None
    few = StateModelSection(n_states=4, max_iterations=10, tolerance=1e-12)
    assert gaussian_states.fit(noise, few) is None  # ten iterations do not converge
    with pytest.raises(RegimeError, match="NaN"):
        gaussian_states.fit(np.array([[1.0], [np.nan]]), StateModelSection())


def test_a_fit_with_a_state_rarer_than_allowed_is_refused():
    random = np.random.default_rng(7)
    wild = (np.arange(1_000) // 50) % 5 == 0  # a fifth of the sessions
    returns = random.normal(0, np.where(wild, 3.0, 0.5))[:, None]
    assert gaussian_states.fit(returns, StateModelSection(n_states=2)) is not None
    rare = StateModelSection(n_states=2, min_state_share=0.4)
    assert gaussian_states.fit(returns, rare) is None
