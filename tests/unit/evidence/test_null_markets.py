"""Expected values: what each shuffle keeps and what it destroys, by construction."""

import numpy as np
import pytest

from btq_assets.evidence.null_markets import (
    NullMarketError,
    bootstrapped,
    permuted_assets,
    phase_randomised,
    prices_of,
    shuffled_labels,
)


def labels(n=200, k=5, seed=0):
    return np.random.default_rng(seed).normal(0.001, 0.02, (n, k))


def test_shuffled_labels_are_whole_dates_in_other_places():
    found = shuffled_labels(labels(), horizon=5, block=20, seed=1)
    centred = labels() - labels().mean(axis=0)
    assert sorted(map(tuple, found.round(12))) == sorted(map(tuple, centred.round(12)))
    for start in range(0, 200, 20):
        assert not np.allclose(found[start : start + 20], centred[start : start + 20])


def test_missing_labels_move_with_their_date():
    holed = labels()
    holed[30:40, 2] = np.nan
    found = shuffled_labels(holed, horizon=5, block=20, seed=1)
    assert np.isnan(found).sum() == 10
    assert np.isnan(found[:, 2]).sum() == 10
    np.testing.assert_allclose(np.nanmean(found, axis=0), 0.0, atol=1e-15)


def test_permuted_assets_keep_the_market_and_lose_who_is_who():
    planted = labels()
    planted[:, 0] += np.tile([0.1, -0.1], 100)
    found = permuted_assets(planted, horizon=1, block=10, seed=2)
    centred = planted - planted.mean(axis=0)
    np.testing.assert_allclose(found.mean(axis=1), centred.mean(axis=1))
    kept = np.corrcoef(found[:, 0], centred[:, 0])[0, 1]
    assert kept < 0.6


def test_an_asset_with_a_hole_stays_where_it_is_in_that_block():
    holed = labels()
    holed[13, 1] = np.nan
    found = permuted_assets(holed, horizon=1, block=10, seed=2)
    centred = holed - np.nanmean(holed, axis=0)
    np.testing.assert_array_equal(found[10:20, 1], centred[10:20, 1])


def test_blocks_shorter_than_the_label_are_refused():
    with pytest.raises(NullMarketError, match="shorter than the label's horizon"):
        shuffled_labels(labels(), horizon=10, block=5, seed=0)
    with pytest.raises(NullMarketError, match="nothing to move"):
        permuted_assets(labels(20), horizon=10, block=20, seed=0)


@pytest.mark.parametrize("n", [256, 301])
def test_random_phases_keep_every_linear_correlation(n):
    random = np.random.default_rng(4)
    noise = random.normal(size=(n, 3))
    series = noise + 0.5 * np.roll(noise, 1, axis=0) + 0.4 * noise[:, [0]]
    found = phase_randomised(series, seed=1)
    np.testing.assert_allclose(found.mean(axis=0), series.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(np.cov(found.T), np.cov(series.T), atol=1e-12)
    # Circular autocorrelations are the transform of the power spectrum (Wiener-Khinchin).
    for lag in (1, 5):
        before = (np.roll(series, lag, axis=0) * series).mean(axis=0)
        after = (np.roll(found, lag, axis=0) * found).mean(axis=0)
        np.testing.assert_allclose(after, before, atol=1e-12)


def test_random_phases_lose_what_is_not_linear():
    random = np.random.default_rng(5)
    volatility = np.repeat(random.choice([0.3, 3.0], 128), 16)
    series = (volatility * random.normal(size=2048))[:, None]
    found = phase_randomised(series, seed=2)

    def clustering(x):
        return np.corrcoef(x[1:, 0] ** 2, x[:-1, 0] ** 2)[0, 1]

    # Var(v) (15 / 16) / (3 E[v^2] - E[v]^2) = 0.18 for variances v of 0.09 or 9, 16 dates each.
    assert clustering(series) == pytest.approx(0.184, abs=0.05)
    # Three standard errors of a correlation of 2,048 dates.
    assert abs(clustering(found)) < 3 / np.sqrt(2048)


def test_bootstrapped_paths_keep_assets_together_and_drift_nowhere():
    series = labels(2000)
    series[:, 1] = 0.9 * series[:, 0]
    paths = [bootstrapped(series, mean_block=20, seed=k) for k in range(50)]
    for path in paths[:3]:
        assert np.corrcoef(path[:, 0], path[:, 1])[0, 1] == pytest.approx(1.0)
    error = 0.02 / np.sqrt(2000 * 50)
    assert abs(np.mean([path[:, 0].mean() for path in paths])) < 4 * error


def test_the_same_seed_gives_the_same_market_and_another_another():
    series = labels()
    for make in (phase_randomised, lambda x, seed: bootstrapped(x, mean_block=10, seed=seed)):
        np.testing.assert_array_equal(make(series, seed=3), make(series, seed=3))
        assert not np.allclose(make(series, seed=3), make(series, seed=4))


def test_prices_of_returns_by_hand():
    found = prices_of(np.log([[1.1, 2.0], [1.0, 0.5]]), [10.0, 100.0])
    np.testing.assert_allclose(found, [[10, 100], [11, 200], [11, 100]])
