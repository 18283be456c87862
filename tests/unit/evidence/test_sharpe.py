"""Expected values: the papers' worked numbers, closed forms, scipy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from btq_assets.evidence import sharpe as module
from btq_assets.evidence.sharpe import (
    SharpeError,
    deflated_sharpe,
    expected_maximum_sharpe,
    minimum_backtest_length_years,
    minimum_track_record_length,
    probabilistic_sharpe,
    sharpe_moments,
)

# Bailey & Lopez de Prado (2014), section "A numerical example": five years of daily returns,
# annualised Sharpe 2.5, skewness -3, kurtosis 10, variance of annualised Sharpe 1/2.
PAPER = {"sharpe": 2.5 / math.sqrt(250), "n": 1250, "skewness": -3.0, "kurtosis": 10.0}
PAPER_VARIANCE = 0.5 / 250


def test_deflated_sharpe_of_the_paper():
    assert expected_maximum_sharpe(100, PAPER_VARIANCE) == pytest.approx(0.1132, abs=5e-5)
    assert deflated_sharpe(**PAPER, n_trials=100, variance=PAPER_VARIANCE) == pytest.approx(
        0.9004, abs=5e-5
    )


def test_paper_says_46_trials_would_have_passed_95_percent():
    # Same section: with N = 46 the deflated Sharpe is about 0.9505; 88 under normal returns.
    assert deflated_sharpe(**PAPER, n_trials=46, variance=PAPER_VARIANCE) == pytest.approx(
        0.9505, abs=5e-5
    )
    normal = PAPER | {"skewness": 0.0, "kurtosis": 3.0}
    assert deflated_sharpe(**normal, n_trials=88, variance=PAPER_VARIANCE) == pytest.approx(
        0.9505, abs=5e-4
    )


@pytest.mark.parametrize(
    ("periods", "skewness", "kurtosis", "years"),
    # Bailey & Lopez de Prado (2012), section 5: annualised Sharpe 2 against 1 at 95 %:
    # 2.73 years daily, 2.83 weekly, 3.24 monthly; 4.99 monthly with hedge-fund moments.
    [(252, 0, 3, 2.73), (52, 0, 3, 2.83), (12, 0, 3, 3.24), (12, -0.72, 5.78, 4.99)],
)
def test_minimum_track_record_length_of_the_paper(periods, skewness, kurtosis, years):
    length = minimum_track_record_length(
        2 / math.sqrt(periods), skewness, kurtosis, 1 / math.sqrt(periods)
    )
    assert length / periods == pytest.approx(years, abs=5e-3)


def test_track_record_length_is_where_the_probability_reaches_the_confidence():
    length = minimum_track_record_length(0.1, -0.5, 5.0, 0.02, 0.95)
    # sqrt(n - 1) enters continuously, so a fractional n is exact.
    assert probabilistic_sharpe(0.1, length, -0.5, 5.0, 0.02) == pytest.approx(0.95, abs=1e-12)
    assert minimum_track_record_length(0.02, 0, 3, 0.02) == math.inf


def test_expected_maximum_is_near_that_of_simulated_normals():
    best = np.random.default_rng(1).normal(0, 0.05, (20_000, 100)).max(axis=1).mean()
    assert expected_maximum_sharpe(100, 0.05**2) == pytest.approx(best, rel=0.02)


def test_moments_agree_with_scipy():
    returns = np.random.default_rng(0).standard_t(4, 500) * 0.01 + 0.001
    found = sharpe_moments(returns)
    assert found.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1), rel=1e-12)
    assert found.skewness == pytest.approx(stats.skew(returns), rel=1e-12)
    assert found.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False), rel=1e-12)


@pytest.mark.parametrize("returns", [[], [0.1], [0.01] * 50, [0.1, float("nan")]])
def test_no_sharpe_without_variation(returns):
    assert math.isnan(sharpe_moments(returns).sharpe)


def test_excess_kurtosis_is_refused():
    with pytest.raises(SharpeError, match="plain"):
        probabilistic_sharpe(0.1, 100, 0.0, 0.0)


def test_fewer_than_ten_trials_are_refused():
    assert module.MINIMUM_TRIALS == 10
    with pytest.raises(SharpeError, match="9"):
        deflated_sharpe(0.1, 1000, 0.0, 3.0, 9, 0.001)
    assert 0 < deflated_sharpe(0.1, 1000, 0.0, 3.0, 10, 0.001) < 1


@given(
    sharpe=st.floats(-0.5, 0.5),
    n=st.integers(10, 5_000),
    skewness=st.floats(-2, 2),
    excess=st.floats(0.1, 20),
    trials=st.integers(10, 10_000),
)
def test_deflation_never_raises_a_probability(sharpe, n, skewness, excess, trials):
    kurtosis = 1 + skewness**2 + excess
    plain = probabilistic_sharpe(sharpe, n, skewness, kurtosis)
    deflated = deflated_sharpe(sharpe, n, skewness, kurtosis, trials, 0.001)
    more = deflated_sharpe(sharpe, n, skewness, kurtosis, trials * 2, 0.001)
    assert 0 <= more <= deflated <= plain <= 1


def test_five_years_allow_45_trials():
    # Bailey, Borwein, Lopez de Prado & Zhu (2014), figure 2 and its text: with five years of data no
    # more than 45 independent configurations, or one with an annual Sharpe ratio of 1 is expected.
    assert minimum_backtest_length_years(45) == pytest.approx(5.0, abs=0.05)
    assert minimum_backtest_length_years(45, 2.0) == pytest.approx(5.0 / 4, abs=0.0125)
    # Their equation 6's bound, 2 ln N / E^2.
    for n_trials in (2, 10, 1000):
        assert minimum_backtest_length_years(n_trials) < 2 * math.log(n_trials)
    with pytest.raises(SharpeError, match="positive"):
        minimum_backtest_length_years(10, 0.0)
