"""Expected values: closed forms, scipy, numerical integration, invariants of coherent measures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from btq_assets.risk.measures import (
    Moments,
    RiskError,
    confidence_level,
    cornish_fisher,
    cornish_fisher_domain,
    historical,
    moments,
    parametric,
)

SAMPLES = st.integers(0, 10_000).map(
    lambda seed: np.random.default_rng(seed).standard_t(4, 120) * 0.01 + 2e-4
)
LEVELS = st.floats(0.6, 0.985)


def shape(s=0.0, k=0.0, mean=0.0, std=1.0):
    return Moments(*(np.asarray(x, dtype=float) for x in (mean, std, s, k)))


def test_historical_is_the_stated_order_statistic():
    losses = np.arange(1, 101) / 1000.0
    returns = -np.random.default_rng(0).permutation(losses)
    # 95 of 100 losses are at most 0.095; the five beyond average 0.098.
    assert historical(returns, 0.95) == (pytest.approx(0.095), pytest.approx(0.098))
    # 100 * 0.025 = 2.5: losses 100, 99 and half of 98.
    var, cvar = historical(returns, 0.975)
    assert var == pytest.approx(0.098)
    assert cvar == pytest.approx((0.100 + 0.099 + 0.5 * 0.098) / 2.5)


@given(sample=SAMPLES, level=LEVELS)
def test_historical_var_is_numpys_inverted_cdf(sample, level):
    var, _ = historical(sample, level)
    # Off the jumps of the step function, where rounding decides.
    if abs(len(sample) * level - round(len(sample) * level)) > 1e-6:
        assert var == np.quantile(-sample, level, method="inverted_cdf")
    assert (-sample > var).sum() <= len(sample) * (1 - level) + 1e-9


def test_sizes_of_the_house_need_no_rounding_luck():
    for n, level, beyond in ((500, 0.95, 25), (1000, 0.99, 10), (1000, 0.95, 50)):
        returns = -np.arange(1.0, n + 1)
        var, cvar = historical(returns, level)
        assert (-returns > var).sum() == beyond
        assert cvar == pytest.approx(n - (beyond - 1) / 2)


@given(sample=SAMPLES, level=LEVELS, shift=st.floats(-0.05, 0.05), scale=st.floats(0.01, 50))
def test_translation_homogeneity_and_order(sample, level, shift, scale):
    def every(returns):
        m = moments(returns)
        return np.array(
            [historical(returns, level), parametric(m, level), cornish_fisher(m, level)[:2]]
        )

    base = every(sample)
    assert every(sample + shift) == pytest.approx(base - shift, abs=1e-9)
    assert every(sample * scale) == pytest.approx(base * scale, rel=1e-7)
    assert (base[:2, 1] >= base[:2, 0] - 1e-12).all()
    if cornish_fisher(moments(sample), level)[2]:
        assert base[2, 1] >= base[2, 0]


@given(sample=SAMPLES, low=LEVELS, high=LEVELS)
def test_every_measure_rises_with_its_level(sample, low, high):
    low, high = sorted((low, high))
    m = moments(sample)
    lower, higher = (np.array([*historical(sample, q), *parametric(m, q)]) for q in (low, high))
    assert (higher >= lower - 1e-12).all()
    *fisher_low, valid = cornish_fisher(m, low)
    if valid:
        assert np.all(np.array(cornish_fisher(m, high)[:2]) >= np.array(fisher_low) - 1e-12)


def test_parametric_is_the_normal_closed_form():
    var, cvar = parametric(shape(mean=0.001, std=0.02), 0.99)
    # scipy: quantile and conditional expectation of a normal distribution.
    assert var == pytest.approx(-stats.norm.ppf(0.01, 0.001, 0.02), rel=1e-12)
    beyond = stats.norm.expect(lambda x: x, loc=0.001, scale=0.02, ub=-var, conditional=True)
    assert cvar == pytest.approx(-beyond, rel=1e-8)


def test_historical_of_many_draws_nears_student_t():
    # Student t, nu = 5 (McNeil, Frey & Embrechts 2005, example 2.19):
    # ES = g(t) / (1 - a) (nu + t^2) / (nu - 1).
    draws = np.random.default_rng(5).standard_t(5, 2_000_000)
    t = stats.t.ppf(0.99, 5)
    var, cvar = historical(draws, 0.99)
    assert var == pytest.approx(t, rel=0.01)
    assert cvar == pytest.approx(stats.t.pdf(t, 5) / 0.01 * (5 + t**2) / 4, rel=0.015)


def test_moments_agree_with_scipy_along_the_last_axis():
    sample = np.random.default_rng(1).standard_t(5, (3, 200))
    found = moments(sample)
    assert found.std == pytest.approx(sample.std(axis=1, ddof=1))
    assert found.skewness == pytest.approx(stats.skew(sample, axis=1))
    assert found.excess_kurtosis == pytest.approx(stats.kurtosis(sample, axis=1))


def test_cornish_fisher_without_skew_and_kurtosis_is_normal():
    *pair, valid = cornish_fisher(shape(mean=0.001, std=0.02), 0.99)
    assert pair == pytest.approx(list(parametric(shape(mean=0.001, std=0.02), 0.99)), rel=1e-12)
    assert valid


@pytest.mark.parametrize(("s", "k"), [(-0.5, 2.0), (0.3, 1.0), (-1.0, 4.0)])
def test_cornish_fisher_agrees_with_the_expansion_written_out(s, k):
    def quantile(z):
        return z + (z**2 - 1) * s / 6 + (z**3 - 3 * z) * k / 24 - (2 * z**3 - 5 * z) * s**2 / 36

    var, cvar, valid = cornish_fisher(shape(s, k), 0.975)
    z = stats.norm.ppf(0.025)
    assert valid
    assert var == pytest.approx(-quantile(z), rel=1e-12)
    tail = integrate.quad(lambda x: quantile(x) * stats.norm.pdf(x), -12, z)[0] / 0.025
    assert cvar == pytest.approx(-tail, rel=1e-8)


HUNDREDTHS = st.integers(-400, 1_500).map(lambda n: n / 100)


@given(s=HUNDREDTHS.filter(lambda s: s < 4), k=HUNDREDTHS)
def test_domain_is_where_the_expansion_increases(s, k):
    far = np.geomspace(1e-4, 1e6, 4_000)
    z = np.concatenate([-far, [0.0], far])
    slope = 1 + z * s / 3 + (3 * z**2 - 3) * k / 24 - (6 * z**2 - 5) * s**2 / 36
    smallest = slope.min()
    if abs(smallest) > 1e-2:  # on the boundary the grid cannot tell
        assert bool(cornish_fisher_domain(s, k)) == (smallest > 0)


@pytest.mark.parametrize(("s", "k", "inside"), [(0, 0, 1), (0, 8.1, 0), (-1, 1, 0), (0, -0.1, 0)])
def test_domain_corners(s, k, inside):
    # Maillard (2012): kurtosis between 0 and 8 at zero skewness; skewness 1 needs more than 1.
    assert bool(cornish_fisher_domain(s, k)) == bool(inside)


@pytest.mark.parametrize(
    ("confidence", "level"), [(0.05, 0.95), (0.95, 0.95), (0.01, 0.99), (0.4, 0.6)]
)
def test_confidence_below_a_half_is_a_tail(confidence, level):
    assert confidence_level(confidence) == level


@pytest.mark.parametrize("confidence", [0.5, 0, 1, -0.05, 1.95, float("nan")])
def test_ambiguous_or_impossible_confidence_is_refused(confidence):
    with pytest.raises(RiskError, match="confidence"):
        confidence_level(confidence)


def test_a_tail_without_a_single_return_is_refused():
    with pytest.raises(RiskError, match="at least 100"):
        historical(np.zeros(99), 0.99)


def test_cash_has_no_risk():
    cash = np.zeros(500)
    m = moments(cash)
    for var, cvar in (historical(cash, 0.95), parametric(m, 0.95), cornish_fisher(m, 0.95)[:2]):
        assert str(float(var)) == str(float(cvar)) == "0.0"
