"""Expected values: clusters by construction, closed forms of the entropy."""

import numpy as np
import pytest

from btq_assets.evidence.independence import IndependenceError, effective_trials


def families(sizes, seed=0, n=1500, own=0.3):
    """Trials that are variants of one another: one factor a family, and noise of their own."""
    random = np.random.default_rng(seed)
    columns = []
    for size in sizes:
        factor = random.normal(0, 0.01, n)
        columns += [factor + own * random.normal(0, 0.01, n) for _ in range(size)]
    return np.column_stack(columns)


@pytest.mark.parametrize("sizes", [(5, 5), (10, 3, 4), (8, 8, 8, 8, 8), (20, 2)])
def test_families_of_variants_count_once_each(sizes):
    found = effective_trials(families(sizes))
    assert found.n_clusters == len(sizes)
    expected = np.repeat(np.arange(len(sizes)), sizes)
    np.testing.assert_array_equal(found.clusters, expected)


def test_variants_of_one_idea_are_one_trial():
    found = effective_trials(families((30,), own=0.05))
    assert found.n_clusters == 1
    assert np.isnan(found.sharpe_variance)
    assert found.spectral < 1.2


def test_the_spectral_count_of_a_known_correlation():
    # Two columns of correlation rho have eigenvalues 1 + rho and 1 - rho.
    random = np.random.default_rng(1)
    matrix = np.linalg.qr(random.normal(size=(100, 3)) - 0)[0]
    matrix -= matrix.mean(axis=0)
    a, b = matrix[:, 0], matrix[:, 1]
    rho = np.corrcoef(a, b)[0, 1]
    shares = np.array([1 + rho, 1 - rho]) / 2
    expected = np.exp(-(shares * np.log(shares)).sum())
    assert effective_trials(np.column_stack([a, b])).spectral == pytest.approx(expected)


def test_the_variance_over_families_is_that_of_their_portfolios():
    matrix = families((3, 3, 3), own=0.2)
    matrix[:, 3:6] += 0.002
    found = effective_trials(matrix)
    ratios = []
    for start in (0, 3, 6):
        part = matrix[:, start : start + 3]
        weights = 1 / part.var(axis=0, ddof=1)
        series = part @ weights / weights.sum()
        ratios.append(series.mean() / series.std(ddof=1))
    assert found.sharpe_variance == pytest.approx(np.var(ratios, ddof=1))


def test_order_and_scale_of_trials_do_not_matter():
    matrix = families((4, 6, 5), seed=3)
    order = np.random.default_rng(5).permutation(15)
    first, again = effective_trials(matrix), effective_trials(7 * matrix[:, order])
    assert again.n_clusters == first.n_clusters
    same = first.clusters[order]
    assert all(
        (same[i] == same[j]) == (again.clusters[i] == again.clusters[j])
        for i in range(15)
        for j in range(15)
    )


def test_one_and_two_trials():
    matrix = families((1, 1))
    assert effective_trials(matrix[:, :1]).n_clusters == 1
    assert effective_trials(matrix).n_clusters == 2


def test_what_has_no_correlation_is_refused():
    with pytest.raises(IndependenceError, match="constant"):
        effective_trials(np.zeros((50, 3)))
    with pytest.raises(IndependenceError, match="missing"):
        effective_trials(np.full((50, 3), np.nan))
    with pytest.raises(IndependenceError, match="three returns"):
        effective_trials(np.zeros((2, 3)))
