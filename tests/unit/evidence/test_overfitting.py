"""Expected values: a plain loop over the paper's definition, and cases settled by construction."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from btq_assets.evidence.overfitting import (
    Overfitting,
    OverfittingError,
    probability_of_overfitting,
    rank_distribution,
)


def by_definition(matrix, n_blocks, statistic):
    """Bailey et al. (2017), section 2.2, steps 1 to 7, one split at a time."""
    blocks = np.split(matrix[len(matrix) % n_blocks :], n_blocks)

    def performance(chosen):
        rows = np.concatenate([blocks[k] for k in chosen])
        return rows.mean(0) / (rows.std(0, ddof=1) if statistic == "sharpe" else 1.0)

    logits, inside, outside = [], [], []
    for half in combinations(range(n_blocks), n_blocks // 2):
        within = performance(half)
        without = performance([k for k in range(n_blocks) if k not in half])
        best = within.argmax()
        share = rankdata(without)[best] / (len(within) + 1)
        logits.append(np.log(share / (1 - share)))
        inside.append(within[best])
        outside.append(without[best])
    return np.array(logits), np.array(inside), np.array(outside)


@pytest.mark.parametrize("statistic", ["sharpe", "mean"])
@pytest.mark.parametrize("n_blocks", [2, 6, 8])
def test_all_splits_at_once_are_those_of_the_definition(statistic, n_blocks):
    matrix = np.random.default_rng(3).normal(3e-4, 0.01, (n_blocks * 31 + 5 % n_blocks, 7))
    found = probability_of_overfitting(matrix, n_blocks=n_blocks, statistic=statistic)
    logits, inside, outside = by_definition(matrix, n_blocks, statistic)
    np.testing.assert_allclose(found.logits, logits, rtol=1e-12)
    np.testing.assert_allclose(found.chosen_in_sample, inside, rtol=1e-10)
    np.testing.assert_allclose(found.chosen_out_of_sample, outside, rtol=1e-9, atol=1e-14)
    assert found.probability == np.mean(logits <= 0)
    assert found.probability_of_loss == np.mean(outside < 0)
    assert found.degradation_slope == pytest.approx(np.polyfit(inside, outside, 1)[0])


def test_a_trial_that_is_best_in_every_block_is_no_overfitting():
    noise = np.random.default_rng(0).normal(0, 0.001, (320, 5))
    noise[:, 3] += 0.05
    found = probability_of_overfitting(noise, n_blocks=16)
    assert found.n_splits == 12_870
    assert found.probability == 0.0
    # Best of five: rank 5 of N + 1 = 6.
    np.testing.assert_allclose(found.logits, np.log(5))


def test_trials_that_sum_to_nothing_are_overfitting_for_certain():
    # With the mean as measure and equal totals, what is best in one half is worst in the other.
    matrix = np.random.default_rng(1).normal(0, 0.01, (400, 8))
    matrix -= matrix.mean(axis=0)
    found = probability_of_overfitting(matrix, n_blocks=10, statistic="mean")
    assert found.probability == 1.0
    assert found.degradation_slope == pytest.approx(-1.0)


def test_luck_alone_is_near_one_half_on_average():
    # Exchangeable trials: the chosen one's rank elsewhere is nearly uniform.
    found = [
        probability_of_overfitting(np.random.default_rng(k).normal(0, 0.01, (640, 20)), n_blocks=8)
        for k in range(40)
    ]
    values = [one.probability for one in found]
    assert abs(np.mean(values) - 0.5) < 3 * np.std(values) / np.sqrt(40) + 0.05


def test_equal_trials_share_the_middle():
    one = np.random.default_rng(2).normal(0, 0.01, 200)
    found = probability_of_overfitting(np.column_stack([one, one, one]), n_blocks=4)
    np.testing.assert_allclose(found.logits, 0.0)
    assert found.probability == 1.0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(1e-3, 1e3))
def test_scale_and_order_of_trials_do_not_matter(seed, scale):
    random = np.random.default_rng(seed)
    matrix = random.normal(0, 0.01, (120, 6))
    first = probability_of_overfitting(matrix, n_blocks=6)
    again = probability_of_overfitting(scale * matrix[:, random.permutation(6)], n_blocks=6)
    assert first.probability == again.probability
    np.testing.assert_allclose(first.logits, again.logits)


def test_a_trial_that_did_nothing_has_a_ratio_of_zero():
    matrix = np.random.default_rng(4).normal(-0.01, 0.001, (200, 3))
    matrix[:, 1] = 0.0
    found = probability_of_overfitting(matrix, n_blocks=4)
    assert found.probability == 0.0
    np.testing.assert_array_equal(found.chosen_out_of_sample, 0.0)


@pytest.mark.parametrize(
    ("shape", "n_blocks", "words"),
    [
        ((200, 1), 4, "at least two trials"),
        ((200,), 4, "at least two trials"),
        ((39, 3), 4, "at least 10 each"),
        ((200, 3), 5, "must be even"),
        ((900, 3), 22, "from 2 to 20"),
    ],
)
def test_what_cannot_be_judged_is_refused(shape, n_blocks, words):
    with pytest.raises(OverfittingError, match=words):
        probability_of_overfitting(np.zeros(shape), n_blocks=n_blocks)


def test_a_missing_day_and_an_unknown_statistic_are_refused():
    matrix = np.random.default_rng(0).normal(size=(100, 3))
    with pytest.raises(OverfittingError, match="neither"):
        probability_of_overfitting(matrix, n_blocks=4, statistic="median")
    matrix[5, 2] = np.nan
    with pytest.raises(OverfittingError, match="first in column 2"):
        probability_of_overfitting(matrix, n_blocks=4)


def test_ranks_and_their_shares_come_back_from_the_logits():
    # By hand, N = 3: ranks 1, 2, 2.5 (a tie), 3, 2; w = r / 4; the middle is exactly 0.
    ranks = np.array([1, 2, 2.5, 3, 2])
    outside = np.array([-0.1, 0.2, 0.1, 0.3, -0.2])
    shares = ranks / 4
    found = Overfitting(
        probability=0.6, probability_of_loss=0.4, logits=np.log(shares / (1 - shares)),
        chosen_in_sample=outside, chosen_out_of_sample=outside, degradation_slope=1.0,
        n_splits=5, n_trials=3, n_returns=100,
    )  # fmt: skip
    rows = rank_distribution(found)
    assert [(rank, n, lost) for rank, _, n, lost in rows] == [
        (1.0, 1, 0.2), (2.0, 2, 0.2), (2.5, 1, 0.0), (3.0, 1, 0.0),
    ]  # fmt: skip
    np.testing.assert_allclose([row[1] for row in rows], np.log([1 / 3, 1, 5 / 3, 3]))
    assert rows[1][1] == 0.0


def test_the_ranks_add_up_to_the_probability():
    found = probability_of_overfitting(
        np.random.default_rng(5).normal(0, 0.01, (240, 12)), n_blocks=8
    )
    rows = rank_distribution(found)
    assert sum(n for _, _, n, _ in rows) == found.n_splits == 70
    assert sum(n for _, logit, n, _ in rows if logit <= 0) / 70 == found.probability
    assert sum(lost for *_, lost in rows) == pytest.approx(found.probability_of_loss)
