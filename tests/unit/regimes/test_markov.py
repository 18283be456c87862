"""The filter and the fit against Hamilton (1989), statsmodels and planted states."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from statsmodels.tsa.regime_switching.markov_autoregression import MarkovAutoregression
from statsmodels.tsa.regime_switching.markov_regression import MarkovRegression

from btq_assets.regimes.markov import (
    Parameters,
    RegimeError,
    _parameters,
    ergodic,
    filtered_probabilities,
    fit,
    hamilton_filter,
)
from btq_assets.regimes.state_kernels import forward

#: Quarterly growth of US real GNP in per cent, 1951:II-1984:IV, the series of Hamilton (1989).
GNP_GROWTH = [
    2.59316421, 2.20217133, 0.45827562, 0.9687438, -0.24130757, 0.89647478, 2.05393219,
    1.73353648, 0.93871289, -0.46477833, -0.80983406, -1.39763689, -0.39886093, 1.1918416,
    1.45620048, 2.11808228, 1.08957863, 1.32390273, 0.87296367, -0.19773273, 0.45420215,
    0.07221876, 1.1030364, 0.82097489, -0.05795795, 0.58447772, -1.56192672, -2.05041027,
    0.53637183, 2.33676839, 2.34014559, 1.2339263, 1.8869648, -0.45920792, 0.84940469,
    1.70139849, -0.28756312, 0.09594627, -0.86080289, 1.03447127, 1.23685944, 1.42004502,
    2.22410631, 1.30210173, 1.03517699, 0.9253425, -0.16559951, 1.3444382, 1.37500131,
    1.73222184, 0.71605635, 2.21032143, 0.85333031, 1.00238776, 0.42725441, 2.14368343,
    1.43789184, 1.57959926, 2.27469826, 1.95962656, 0.25992399, 1.01946914, 0.49016398,
    0.5636338, 0.5959546, 1.43082857, 0.56230122, 1.15388393, 1.68722844, 0.77438205,
    -0.09647045, 1.39600146, 0.13646798, 0.55223715, -0.39944872, -0.61671102, -0.08722561,
    1.2101835, -0.90729755, 2.64916158, -0.0080694, 0.51111895, -0.00401437, 2.16821432,
    1.92586732, 1.03504717, 1.85897219, 2.32004929, 0.25570789, -0.09855274, 0.89073682,
    -0.55896485, 0.28350255, -1.31155407, -0.88278776, -1.97454941, 1.01275265, 1.68264723,
    1.38271284, 1.86073637, 0.4447377, 0.41449001, 0.99202275, 1.36283576, 1.59970522,
    1.98845816, -0.25684232, 0.87786949, 3.1095655, 0.85324478, 1.23337317, 0.00314302,
    -0.09433369, 0.89883322, -0.19036628, 0.99772376, -2.39120054, 0.06649673, 1.26136017,
    1.91637838, -0.3348029, 0.44207108, -1.40664911, -1.52129889, 0.29919869, -0.80197448,
    0.15204792, 0.98585027, 2.13034606, 1.34397924, 1.61550522, 2.70930099, 1.24461412,
    0.50835466, 0.14802167,
]  # fmt: skip


#: statsmodels' documentation, "Markov switching autoregression models", Hamilton (1989): p[0->0],
#: p[1->0], mean of recession and of growth, variance, and the four autoregressive coefficients.
DOCUMENTED = (0.7547, 0.0959, -0.3588, 1.1635, 0.5914, 0.0135, -0.0575, -0.2470, -0.2129)


def _switching(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns with 0.6 % and 2.5 % daily volatility in spells of 100 and 40 sessions."""
    random = np.random.default_rng(seed)
    stay = np.array([0.99, 0.975])
    state, states = 0, []
    for _ in range(n):
        state = state if random.random() < stay[state] else 1 - state
        states.append(state)
    states = np.array(states)
    return random.normal(5e-4 - 1e-3 * states, np.where(states, 0.025, 0.006)), states


def test_filter_gives_the_likelihood_of_hamilton_1989():
    # Hamilton (1989), table I: growth of US real GNP 1951:II-1984:IV, AR(4) around a switching
    # mean. The state is the last five regimes, so this runs the filter with 32 states. The log
    # likelihood at the published estimates is -181.26339 (Hamilton 1994, chapter 22; Stata's
    # mswitch manual reproduces it).
    mean = {0: -0.3588127, 1: 1.163517}
    phi = np.array([0.0134871, -0.0575212, -0.2469833, -0.2129214])
    sigma = 0.7690048
    p00, p11 = 0.754671, 0.9040961
    step = np.array([[p00, 1 - p00], [1 - p11, p11]])
    paths = list(itertools.product((0, 1), repeat=5))  # newest regime first
    index = {path: number for number, path in enumerate(paths)}
    transition = np.zeros((32, 32))
    for path in paths:
        for new in (0, 1):
            transition[index[path], index[(new, *path[:4])]] = step[path[0], new]
    y = np.array(GNP_GROWTH)
    log_densities = np.empty((len(y) - 4, 32))
    for t in range(4, len(y)):
        for path in paths:
            past = sum(phi[k] * (y[t - 1 - k] - mean[path[k + 1]]) for k in range(4))
            error = y[t] - mean[path[0]] - past
            log_densities[t - 4, index[path]] = (
                -0.5 * math.log(2 * math.pi) - math.log(sigma) - 0.5 * (error / sigma) ** 2
            )
    _, log_likelihood = hamilton_filter(log_densities, transition, ergodic(transition))
    assert log_likelihood == pytest.approx(-181.26339, abs=1e-4)


def test_hamilton_1989_as_statsmodels_documents_it():
    # The filter is run over the 32 states of five regimes in a row and summed to the newest one.
    p00, p10, low, high, variance, *phi = DOCUMENTED
    step = np.array([[p00, 1 - p00], [p10, 1 - p10]])
    paths = list(itertools.product((0, 1), repeat=5))  # newest first
    transition = np.zeros((32, 32))
    for i, path in enumerate(paths):
        for new in (0, 1):
            transition[i, paths.index((new, *path[:4]))] = step[path[0], new]
    means = np.array([low, high])
    y = np.array(GNP_GROWTH)
    regimes = np.array(paths)
    deviations = y[4:, None] - means[regimes[:, 0]]
    for lag, coefficient in enumerate(phi, 1):
        deviations -= coefficient * (y[4 - lag : len(y) - lag, None] - means[regimes[:, lag]])
    densities = -0.5 * (np.log(2 * np.pi * variance) + deviations**2 / variance)
    filtered, predictive = forward(densities, transition, ergodic(transition))
    # Documented: log likelihood -181.263; expected durations 4.0760 and 10.4259 quarters.
    assert predictive.sum() == pytest.approx(-181.263, abs=2e-3)
    assert 1 / (1 - p00) == pytest.approx(4.0760, abs=2e-3)
    assert 1 / p10 == pytest.approx(10.4259, abs=6e-3)
    model = MarkovAutoregression(y, k_regimes=2, order=4, switching_ar=False)
    peer = model.filter(np.array(DOCUMENTED), cov_type="none")
    recession = filtered[:, regimes[:, 0] == 0].sum(axis=1)
    np.testing.assert_allclose(recession, peer.filtered_marginal_probabilities[:, 0], atol=1e-8)


def test_filter_and_fit_agree_with_statsmodels():
    returns, _ = _switching(900)
    found = fit(returns)
    model = MarkovRegression(100 * returns, k_regimes=2, trend="c", switching_variance=True)
    values = np.r_[
        found.transition[0, 0],
        found.transition[1, 0],
        100 * found.means,
        1e4 * found.variances,
    ]
    peer = model.filter(values, cov_type="none")
    np.testing.assert_allclose(
        filtered_probabilities(returns, found),
        peer.filtered_marginal_probabilities,
        atol=1e-8,
    )
    assert found.log_likelihood == pytest.approx(peer.llf, rel=1e-9)


def test_fit_recovers_planted_parameters():
    returns, states = _switching(4_000, seed=1)
    found = fit(returns)
    np.testing.assert_allclose(np.sqrt(found.variances), [0.006, 0.025], rtol=0.05)
    np.testing.assert_allclose(np.diagonal(found.transition), [0.99, 0.975], atol=0.01)
    guessed = filtered_probabilities(returns, found)[:, 1] > 0.5
    assert (guessed == states).mean() > 0.95


def test_states_are_ordered_by_variance_whatever_the_optimiser_calls_them():
    # statsmodels' order: p00, p10, means, variances; here its state 0 is the turbulent one.
    found = _parameters(np.array([0.95, 0.02, -0.3, 0.1, 4.0, 1.0]), -1.0)
    np.testing.assert_allclose(found.variances, [1e-4, 4e-4])
    np.testing.assert_allclose(found.means, [1e-3, -3e-3])
    np.testing.assert_allclose(found.transition, [[0.98, 0.02], [0.05, 0.95]])


def test_two_equal_variances_are_one_state():
    assert _parameters(np.array([0.95, 0.02, -0.3, 0.1, 1.05, 1.0]), -1.0) is None


def test_filter_by_hand_over_two_observations():
    # Densities 2 and 1, then 1 and 4; chain [[.9, .1], [.2, .8]] started at (1/2, 1/2).
    transition = np.array([[0.9, 0.1], [0.2, 0.8]])
    log_densities = np.log([[2.0, 1.0], [1.0, 4.0]])
    filtered, log_likelihood = hamilton_filter(log_densities, transition, np.array([0.5, 0.5]))
    # 1, 1/2 of 3/2 → (2/3, 1/3); predicted (2/3, 1/3); then 2/3 and 4/3 of 2 → (1/3, 2/3).
    np.testing.assert_allclose(filtered, [[2 / 3, 1 / 3], [1 / 3, 2 / 3]])
    assert log_likelihood == pytest.approx(math.log(1.5) + math.log(2))


def test_stationary_probabilities_have_a_closed_form():
    # Two states: (1 - p11) / (2 - p00 - p11).
    np.testing.assert_allclose(ergodic(np.array([[0.9, 0.1], [0.3, 0.7]])), [0.75, 0.25])


def test_an_outlier_of_a_hundred_deviations_does_not_underflow():
    parameters = Parameters(
        np.zeros(2), np.array([1e-4, 4e-4]), np.array([[0.98, 0.02], [0.05, 0.95]]), 0.0
    )
    filtered = filtered_probabilities(np.array([0.0, 2.0, 0.0]), parameters)
    assert np.isfinite(filtered).all()
    assert filtered[1, 1] == pytest.approx(1)


def test_series_without_two_states_are_not_fitted():
    assert fit(np.full(500, 1e-4)) is None


def test_bad_input_is_named():
    good = np.zeros((3, 2))
    chain = np.array([[0.9, 0.1], [0.2, 0.8]])
    with pytest.raises(RegimeError, match="sum to 1"):
        hamilton_filter(good, chain * 2, np.array([0.5, 0.5]))
    with pytest.raises(RegimeError, match="2 states"):
        hamilton_filter(good, np.eye(3), np.array([0.5, 0.5]))
    with pytest.raises(RegimeError, match="NaN"):
        hamilton_filter(np.full((3, 2), np.nan), chain, np.array([0.5, 0.5]))
    with pytest.raises(RegimeError, match="NaN"):
        fit(np.array([0.0, np.nan]))
