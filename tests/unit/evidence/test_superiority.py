"""Expected values: the bootstrap written out, statsmodels' corrections, cases by construction."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from btq_assets.evidence.superiority import (
    SuperiorityError,
    false_discovery_q,
    superior_ability,
    superior_trials,
)

OPTIONS = {"mean_block": 5, "n_samples": 400, "seed": 7}


def noise(n_trials, seed=0, n=600):
    random = np.random.default_rng(seed)
    return random.normal(0, 0.01, (n, n_trials)), random.normal(0, 0.01, n)


def test_an_edge_is_found_and_named():
    returns, benchmark = noise(10)
    returns[:, 4] += 0.003
    found = superior_ability(returns, benchmark, **OPTIONS)
    assert found.superior == (4,)
    assert max(found.reality_check, found.spa_upper) < 0.01
    assert (found.n_trials, found.n_returns) == (10, 600)


def test_the_steps_are_those_of_arch_and_end_where_all_are_superior():
    from arch.bootstrap import StepM

    returns, benchmark = noise(6, seed=5)
    returns += np.array([0.0, 0.001, 0.002, 0.003, 0.004, -0.002])
    peer = StepM(
        -benchmark, -returns, size=0.05, block_size=5, reps=400, studentize=True, seed=7
    )  # fmt: skip
    peer.compute()
    assert superior_trials(returns, benchmark, **OPTIONS) == tuple(peer.superior_models)
    assert len(peer.superior_models) > 1
    # one trial far ahead of the other: arch's own loop has nothing left to test and breaks
    both = benchmark[:, None] + np.random.default_rng(1).normal([0.02, 0.0015], 0.005, (600, 2))
    assert superior_trials(both, benchmark, **OPTIONS) == (0, 1)


def test_the_bounds_are_in_order():
    returns, benchmark = noise(12, seed=3)
    returns[:, :6] -= 0.004
    found = superior_ability(returns, benchmark, **OPTIONS)
    assert found.spa_lower <= found.spa_consistent <= found.spa_upper
    # Six trials that are clearly poor: Hansen's test does not let them blur the rest.
    assert found.spa_consistent < found.spa_upper


def test_noise_is_called_superior_about_as_often_as_stated():
    # 5 % level, 60 markets: more than 8 false alarms have a probability below 0.5 % (binomial).
    found = [superior_ability(*noise(8, seed=k, n=250), **OPTIONS) for k in range(60)]
    assert sum(one.spa_consistent < 0.05 for one in found) <= 8
    assert sum(one.reality_check < 0.05 for one in found) <= 8
    assert sum(bool(one.superior) for one in found) <= 8


def test_the_reality_check_is_the_bootstrap_of_the_largest_mean():
    # White (2000), equations 5 to 7, with other draws of the same bootstrap: p-values agree within
    # three standard errors of a share of 2,000.
    returns, benchmark = noise(5, seed=11, n=300)
    returns[:, 2] += 0.0008
    found = superior_ability(returns, benchmark, mean_block=1, n_samples=2000, seed=1)
    difference = returns - benchmark[:, None]
    mean = difference.mean(axis=0)
    random = np.random.default_rng(99)
    largest = [
        (difference[random.integers(0, 300, 300)].mean(axis=0) - mean).max() for _ in range(2000)
    ]
    expected = np.mean(np.array(largest) > mean.max())
    assert abs(found.reality_check - expected) < 3 * np.sqrt(2 * expected * (1 - expected) / 2000)


def test_the_same_seed_gives_the_same_answer():
    returns, benchmark = noise(4)
    first = superior_ability(returns, benchmark, **OPTIONS)
    assert superior_ability(returns, benchmark, **OPTIONS) == first


def test_discoveries_are_those_of_statsmodels():
    p_values = [0.0001, 0.003, 0.02, 0.02, 0.2, 0.9]
    expected = multipletests(p_values, method="fdr_by")[1]
    np.testing.assert_allclose(false_discovery_q(p_values), expected)
    expected = multipletests(p_values, method="fdr_bh")[1]
    np.testing.assert_allclose(false_discovery_q(p_values, dependent=False), expected)


def test_what_was_not_tested_is_no_hypothesis():
    found = false_discovery_q([0.01, np.nan, 0.5])
    np.testing.assert_allclose(found, [*false_discovery_q([0.01])[:0], 0.03, np.nan, 0.75])
    assert false_discovery_q([]) == []
    with pytest.raises(SuperiorityError, match="outside"):
        false_discovery_q([1.2])


def test_what_cannot_be_compared_is_refused():
    returns, benchmark = noise(3)
    with pytest.raises(SuperiorityError, match="one benchmark return a row"):
        superior_ability(returns, benchmark[:-1], **OPTIONS)
    with pytest.raises(SuperiorityError, match="at least 20"):
        superior_ability(returns[:10], benchmark[:10], **OPTIONS)
    with pytest.raises(SuperiorityError, match="trial 1 differs"):
        same = returns.copy()
        same[:, 1] = benchmark
        superior_ability(same, benchmark, **OPTIONS)
    returns[3, 1] = np.nan
    with pytest.raises(SuperiorityError, match="missing"):
        superior_ability(returns, benchmark, **OPTIONS)
