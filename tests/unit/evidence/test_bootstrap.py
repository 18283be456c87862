"""Expected values: properties stated by Politis & Romano (1994), peer library arch, closed forms."""

import numpy as np
import pytest

from btq_assets.evidence.bootstrap import (
    BootstrapError,
    paired_block_bootstrap,
    resampled_means,
    stationary_bootstrap_indices,
)


def test_indices_are_blocks_of_geometric_length():
    indices = stationary_bootstrap_indices(1_000, 20, 300, seed=3)
    assert indices.shape == (300, 1_000)
    assert indices.min() >= 0
    assert indices.max() < 1_000
    jumps = np.diff(indices, axis=1) % 1_000 != 1
    # A block ends with probability 1/20; 1/1000 of the new starts happen to continue it.
    assert jumps.mean() == pytest.approx(1 / 20 * 0.999, rel=0.02)
    # Every observation is equally likely (stationarity): 300 draws each on average.
    counts = np.bincount(indices.ravel(), minlength=1_000)
    assert counts.mean() == 300
    assert counts.std() < 120


def test_seeded_and_a_prefix_of_longer_runs():
    one = stationary_bootstrap_indices(50, 5, 10, seed=1)
    assert np.array_equal(one, stationary_bootstrap_indices(50, 5, 20, seed=1)[:10])
    assert not np.array_equal(one, stationary_bootstrap_indices(50, 5, 10, seed=2))


def test_block_of_one_is_the_ordinary_bootstrap():
    jumps = np.diff(stationary_bootstrap_indices(500, 1, 200, 0), axis=1) % 500 != 1
    assert jumps.mean() == pytest.approx(1 - 1 / 500, abs=1e-3)


def test_means_are_those_of_the_indices():
    values = np.random.default_rng(0).normal(size=(80, 2))
    indices = stationary_bootstrap_indices(80, 7, 30, 5)
    found = resampled_means(values, mean_block=7, n_samples=30, seed=5)
    assert found == pytest.approx(values[indices].mean(axis=1), abs=1e-14)


def test_variance_of_the_mean_agrees_with_arch():
    from arch.bootstrap import StationaryBootstrap

    random = np.random.default_rng(4)
    series = np.zeros(800)
    for i in range(1, 800):
        series[i] = 0.5 * series[i - 1] + random.normal()
    ours = resampled_means(series, mean_block=20, n_samples=3_000, seed=1).var()
    peer = StationaryBootstrap(20, series, seed=1).var(lambda x: x.mean(), reps=3_000)
    assert ours == pytest.approx(peer, rel=0.12)


def test_paired_interval_ignores_what_both_share():
    random = np.random.default_rng(0)
    market = random.normal(0, 0.02, 2_000)
    edge = random.normal(3e-4, 1e-3, 2_000)
    found = paired_block_bootstrap(market + edge, market, mean_block=10, n_samples=1_000, seed=1)
    assert found.significant
    assert found.mean_difference_annual == pytest.approx(edge.mean() * 252, rel=1e-12)
    # Normal interval for independent daily differences: +- 1.96 sd / sqrt(n).
    half = 1.96 * edge.std() / np.sqrt(2_000) * 252
    assert found.ci_high_annual - found.ci_low_annual == pytest.approx(2 * half, rel=0.1)
    expected = (
        (market + edge).mean() / (market + edge).std(ddof=1) - market.mean() / market.std(ddof=1)
    ) * np.sqrt(252)
    assert found.sharpe_difference == pytest.approx(expected, rel=1e-9)
    assert found.sharpe_difference_ci_low < expected < found.sharpe_difference_ci_high


def test_no_edge_is_seldom_called_significant():
    random = np.random.default_rng(7)
    calls = [
        paired_block_bootstrap(
            *random.normal(0, 0.01, (2, 500)), mean_block=5, n_samples=200, seed=1
        ).significant
        for _ in range(200)
    ]
    # One-sided 2.5 %: five expected of 200; fifteen would be far outside.
    assert sum(calls) < 15


def test_difference_to_itself_is_nothing():
    series = np.random.default_rng(0).normal(size=100)
    found = paired_block_bootstrap(series, series, mean_block=5, n_samples=100, seed=0)
    assert (found.mean_difference_annual, found.ci_low_annual, found.ci_high_annual) == (0, 0, 0)
    assert not found.significant


def test_constant_series_has_no_sharpe_difference():
    found = paired_block_bootstrap(
        np.zeros(50), np.random.default_rng(0).normal(size=50), mean_block=5, n_samples=100, seed=0
    )
    assert np.isnan(found.sharpe_difference)
    assert np.isfinite(found.ci_low_annual)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([1.0, 2.0], [1.0], "equal length"),
        ([1.0], [1.0], "at least two"),
        ([1.0, np.nan], [1.0, 2.0], "first series has 1 missing"),
    ],
)
def test_unpaired_series_are_refused(a, b, message):
    with pytest.raises(BootstrapError, match=message):
        paired_block_bootstrap(a, b, mean_block=5, n_samples=100, seed=0)


def test_impossible_parameters_are_refused():
    with pytest.raises(BootstrapError, match=r"mean_block = 0\.5"):
        stationary_bootstrap_indices(10, 0.5, 10, 0)
