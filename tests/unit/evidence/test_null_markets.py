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


def test_shuffled_labels_keep_what_overlaps_and_lose_what_a_feature_knew():
    """Labels of five days overlap; a feature that knew its own label knows nothing afterwards."""
    random = np.random.default_rng(8)
    days = random.normal(0, 0.01, (4_004, 6))
    labels = sum(days[k : k + 4_000] for k in range(5))
    feature = labels + random.normal(0, 0.01, labels.shape)
    found = shuffled_labels(labels, horizon=5, block=20, seed=3)

    def next_to(x):
        return np.corrcoef(x[1:].ravel(), x[:-1].ravel())[0, 1]

    # Sums of 5 days share 4 with their neighbour: 4/5; one pair in 20 is now across two blocks.
    assert next_to(labels) == pytest.approx(4 / 5, abs=0.02)
    assert next_to(found) == pytest.approx(4 / 5 * 19 / 20, abs=0.02)
    # Before: sqrt(5) / sqrt(5 + 1). After: five standard errors of 4,000 / 5 independent dates.
    assert np.corrcoef(feature.ravel(), labels.ravel())[0, 1] == pytest.approx(
        np.sqrt(5 / 6), abs=0.01
    )
    assert abs(np.corrcoef(feature.ravel(), found.ravel())[0, 1]) < 5 / np.sqrt(800 * 6)


def test_permuted_assets_lose_what_a_feature_knew_of_who_does_better():
    random = np.random.default_rng(9)
    market = random.normal(0, 0.01, (4_000, 1))
    own = random.normal(0, 0.01, (4_000, 8))
    found = permuted_assets(market + own, horizon=1, block=20, seed=3)
    apart = found - found.mean(axis=1, keepdims=True)
    # each date keeps its eight values, but for the means taken away per asset
    centred = market + own - (market + own).mean(axis=0)
    np.testing.assert_allclose(np.sort(found, axis=1), np.sort(centred, axis=1))
    # Before sqrt(7/8). After: in one of eight blocks an identity stays (covariance 7/8), else it is
    # another's, which shares the mean taken away (-1/8): 1/8 * 7/8 - 7/8 * 1/8 = 0. The error is
    # that of 200 blocks of eight.
    before = own - own.mean(axis=1, keepdims=True)
    assert np.corrcoef(own.ravel(), before.ravel())[0, 1] == pytest.approx(np.sqrt(7 / 8), abs=0.01)
    known = np.corrcoef(own.ravel(), apart.ravel())[0, 1]
    assert abs(known) < 5 * np.sqrt(1 / 8 / 200)


def test_bootstrapped_dates_are_whole_and_keep_clusters_but_not_drift_nor_order():
    random = np.random.default_rng(10)
    volatility = np.repeat(random.choice([0.3, 3.0], 256), 32)[:, None]
    drift = np.linspace(-0.02, 0.02, 3)
    # a slow wave that lasts through the sample: linear order over hundreds of dates
    wave = 0.5 * np.sin(2 * np.pi * np.arange(8_192) / 1_024)[:, None]
    series = drift + wave + volatility * random.normal(size=(8_192, 3))
    found = bootstrapped(series, mean_block=64, seed=4)
    centred = series - series.mean(axis=0)
    whole = {row.tobytes() for row in centred}
    assert all(row.tobytes() in whole for row in found)
    # means are those of noise alone: five standard errors
    assert (np.abs(found.mean(axis=0)) < 5 * series.std() / np.sqrt(8_192 / 64)).all()

    def squares(x, lag):
        return np.corrcoef(x[lag:, 0] ** 2, x[:-lag, 0] ** 2)[0, 1]

    # clusters of 32 dates survive within blocks of 64 on average, up to the seams
    assert squares(found, 1) > 0.8 * squares(centred, 1) > 0.1

    def beside(x, lag):
        return np.corrcoef(x[lag:].mean(axis=1), x[:-lag].mean(axis=1))[0, 1]

    # half a wave later the sign turns in the sample, and nothing is left of it in the path
    lag = 512
    smooth = np.apply_along_axis(lambda x: np.convolve(x, np.ones(64) / 64, "same"), 0, centred)
    mixed = np.apply_along_axis(lambda x: np.convolve(x, np.ones(64) / 64, "same"), 0, found)
    assert beside(smooth, lag) < -0.5
    assert abs(beside(mixed, lag)) < 0.35
