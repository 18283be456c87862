"""Kupiec's test against scipy and the published non-rejection regions."""

import numpy as np
import pytest
from scipy import stats

from btq_assets.risk.exceedances import kupiec_test
from btq_assets.risk.measures import RiskError


@pytest.mark.parametrize(("n", "x", "level"), [(250, 7, 0.99), (1000, 61, 0.95), (500, 0, 0.95)])
def test_statistic_is_the_likelihood_ratio_of_two_binomials(n, x, level):
    ratio = 2 * (stats.binom.logpmf(x, n, x / n) - stats.binom.logpmf(x, n, 1 - level))
    statistic, p = kupiec_test(n, x, level)
    assert statistic == pytest.approx(ratio, rel=1e-9)
    assert p == pytest.approx(stats.chi2.sf(ratio, 1), rel=1e-9)


@pytest.mark.parametrize(
    ("tail", "n", "lowest", "highest"),
    # Kupiec (1995), as printed in Jorion, Value at Risk, table 6-2: not rejected at 5 % strictly
    # between. (Its lower end for 1 % and 255 days, "none", is not what the statistic says.)
    [
        (0.01, 255, None, 7),
        (0.01, 510, 1, 11),
        (0.01, 1000, 4, 17),
        (0.025, 255, 2, 12),
        (0.025, 510, 6, 21),
        (0.025, 1000, 15, 36),
        (0.05, 255, 6, 21),
        (0.05, 510, 16, 36),
        (0.05, 1000, 37, 65),
        (0.1, 255, 16, 36),
        (0.1, 510, 38, 65),
        (0.1, 1000, 81, 120),
    ],
)
def test_published_non_rejection_regions(tail, n, lowest, highest):
    assert kupiec_test(n, highest, 1 - tail)[1] < 0.05 < kupiec_test(n, highest - 1, 1 - tail)[1]
    if lowest is not None:
        assert kupiec_test(n, lowest, 1 - tail)[1] < 0.05 < kupiec_test(n, lowest + 1, 1 - tail)[1]


def test_expected_number_is_never_rejected_and_all_always():
    assert kupiec_test(1000, 50, 0.95) == (pytest.approx(0, abs=1e-9), pytest.approx(1, abs=1e-5))
    assert kupiec_test(100, 100, 0.95)[1] < 1e-12


def test_size_of_the_test_is_near_its_level():
    counts = np.random.default_rng(2).binomial(1000, 0.05, 4_000)
    rejected = np.mean([kupiec_test(1000, int(x), 0.95)[1] < 0.05 for x in counts])
    assert 0.03 < rejected < 0.075


@pytest.mark.parametrize(("n", "x"), [(0, 0), (10, 11), (10, -1)])
def test_impossible_counts_are_refused(n, x):
    with pytest.raises(RiskError):
        kupiec_test(n, x, 0.95)
