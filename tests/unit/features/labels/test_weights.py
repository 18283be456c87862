"""Weights against the examples of Lopez de Prado (2018), chapter 4, and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from btq_assets.features import FeatureError
from btq_assets.features.labels import (
    average_uniqueness,
    concurrency,
    indicator_matrix,
    return_attribution,
    sequential_bootstrap,
    sequential_probabilities,
)
from btq_assets.features.labels.weights import weigh

# Section 4.5.3: labels that are functions of r[0,3], r[2,4] and r[4,6]; sessions 1 to 6.
START, END = np.array([0, 2, 4]), np.array([3, 4, 6])


def test_the_indicator_matrix_is_that_of_the_book():
    expected = [[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]]
    assert indicator_matrix(START, END, 7)[1:].tolist() == expected


def test_the_second_draw_is_that_of_the_book():
    # After label 2 was drawn: 5/14, 3/14, 6/14.
    matrix = indicator_matrix(START, END, 7)
    np.testing.assert_allclose(sequential_probabilities(matrix, []), [1 / 3] * 3)
    np.testing.assert_allclose(
        sequential_probabilities(matrix, [1]), [5 / 14, 3 / 14, 6 / 14], rtol=1e-12
    )


def test_uniqueness_by_hand():
    in_force = concurrency(START, END, 7)
    assert in_force.tolist() == [0, 1, 1, 2, 1, 1, 1]
    # (1 + 1 + 1/2) / 3, (1/2 + 1) / 2, 1
    np.testing.assert_allclose(average_uniqueness(START, END, in_force), [5 / 6, 3 / 4, 1])


def test_return_attribution_by_hand():
    returns = np.array([9, 0.01, 0.02, -0.04, 0.01, 0.03, 0.02])
    found = return_attribution(START, END, concurrency(START, END, 7), returns)
    np.testing.assert_allclose(found, [0.01, 0.01, 0.05], atol=1e-15)


def test_an_unfinished_label_is_in_force_until_the_data_or_its_longest_path_end():
    returns = np.zeros(8)
    unique, attributed = weigh(np.array([0, 2]), np.array([4, -1]), 5, returns)
    assert unique[0] == pytest.approx((1 + 1 + 1 / 2 + 1 / 2) / 4)
    assert np.isnan(unique[1])
    assert np.isnan(attributed[1])


def test_sequential_draws_overlap_less():
    # Snippet 4.7 finds a higher average uniqueness than that of plain draws.
    random = np.random.default_rng(0)
    start = random.integers(0, 80, 25)
    matrix = indicator_matrix(start, start + random.integers(1, 10, 25), 100)

    def uniqueness(drawn):
        chosen = matrix[:, drawn]
        share = chosen / np.maximum(chosen.sum(axis=1, keepdims=True), 1)
        return (share.sum(axis=0) / chosen.sum(axis=0)).mean()

    ours = np.mean([uniqueness(sequential_bootstrap(matrix, 25, seed)) for seed in range(15)])
    plain = np.mean([uniqueness(random.integers(0, 25, 25)) for _ in range(15)])
    assert ours > plain
    assert sequential_bootstrap(matrix, 25, 3) == sequential_bootstrap(matrix, 25, 3)


def test_a_label_without_sessions_is_named():
    with pytest.raises(FeatureError, match="label 1"):
        sequential_probabilities(indicator_matrix([0, 3], [2, 3], 5), [])
