"""Paired resampling against the library arch, the adjustment against statsmodels, and planted winners."""

from __future__ import annotations

import numpy as np
import pytest
from arch.bootstrap import StationaryBootstrap
from statsmodels.stats.multitest import multipletests

from btq_assets.models.comparison import pairs
from btq_assets.models.comparison.measures import Resampling
from btq_assets.models.forecaster import ModelError

SETTINGS = Resampling(mean_block=6.0, n_samples=4_000, seed=5)


def persistent(random: np.random.Generator, n: int) -> np.ndarray:
    """AR(1) of 0.5: blocks matter."""
    made = random.normal(size=n)
    for t in range(1, n):
        made[t] += 0.5 * made[t - 1]
    return made


def test_interval_and_p_value_are_those_of_arch():
    """arch's stationary bootstrap of the same mean, percentile interval; both have their own dice."""
    random = np.random.default_rng(2)
    first, second = persistent(random, 400) + 0.12, persistent(random, 400)
    own = pairs.paired_difference(first, second, SETTINGS)
    values = first - second
    peer = StationaryBootstrap(6, values, seed=9)
    low, high = peer.conf_int(np.mean, reps=4_000, method="percentile", size=0.95).ravel()
    width = high - low
    assert own.low == pytest.approx(low, abs=0.06 * width)
    assert own.high == pytest.approx(high, abs=0.06 * width)
    means = StationaryBootstrap(6, values, seed=9).apply(np.mean, 4_000).ravel()
    p_value = (np.abs(means - values.mean()) >= abs(values.mean())).mean()
    assert own.p_value == pytest.approx(p_value, abs=0.03)
    assert own.difference == pytest.approx(values.mean())
    # blocks make it wider than resampling days one by one
    alone = pairs.paired_difference(first, second, Resampling(1.0, 4_000, 5))
    assert own.high - own.low > 1.2 * (alone.high - alone.low)


def test_pairs_without_a_difference_are_called_different_at_the_stated_rate():
    """100 pairs of the same law: p at most 5 % in 5 of them in the mean; 12 is three deviations off."""
    called = 0
    for draw in range(100):
        random = np.random.default_rng(1_000 + draw)
        found = pairs.paired_difference(
            random.normal(size=200), random.normal(size=200), Resampling(4.0, 200, draw)
        )
        called += found.p_value <= 0.05
    assert called <= 12


def test_equal_series_differ_by_nothing():
    values = np.random.default_rng(1).normal(size=50)
    found = pairs.paired_difference(values, values.copy(), SETTINGS)
    assert (found.difference, found.low, found.high, found.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert pairs.verdict(found.difference, found.p_value) == "not shown"


def test_many_pairs_are_adjusted_as_by_holm():
    raw = [0.04, 0.001, 0.03, 0.012, 0.6, 0.001]
    expected = multipletests(raw, method="holm")[1]
    np.testing.assert_allclose(pairs.holm(raw), expected)
    assert pairs.holm([]) == []


def test_a_planted_winner_is_shown_and_noise_is_not():
    random = np.random.default_rng(4)
    reference = 0.02 + 0.2 * random.normal(size=500)
    better, noise = reference + 0.06 + 0.2 * random.normal(size=500), 0.2 * random.normal(size=500)
    found = [pairs.paired_difference(one, reference, SETTINGS) for one in (better, noise)]
    adjusted = pairs.holm([one.p_value for one in found])
    said = [pairs.verdict(one.difference, p) for one, p in zip(found, adjusted, strict=True)]
    assert said == ["better", "not shown"]
    turned = pairs.paired_difference(reference, better, SETTINGS)
    assert pairs.verdict(turned.difference, turned.p_value) == "worse"


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (np.zeros(5), np.zeros(4), r"\(5,\) and \(4,\)"),
        (np.zeros(1), np.zeros(1), "at least two"),
        (np.array([1.0, np.nan, 2.0]), np.zeros(3), "1 difference"),
    ],
)
def test_what_cannot_be_paired_is_said(first, second, said):
    with pytest.raises(ModelError, match=said):
        pairs.paired_difference(first, second, SETTINGS)
