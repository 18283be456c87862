"""Smiles: curves come back, arbitrage is seen, and real surfaces are fitted to a fifth of a point."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btq_assets.sources.alternative.smiles import (
    FitError,
    Smile,
    calendar_free,
    fit_smile,
    interpolate_in_time,
)

NAN = float("nan")
TRUE = Smile("svi", 0.25, 0.01, 0.08, -0.5, 0.05, 0.12, -0.4, 0.3, 0.0)
STRIKES = np.linspace(-0.4, 0.3, 25)


def flat(volatility: float, years: float, low: float = -0.5, high: float = 0.5) -> Smile:
    return Smile("quadratic", years, volatility**2 * years, 0.0, NAN, NAN, 0.0, low, high, 0.0)


def test_an_svi_curve_comes_back():
    found = fit_smile(STRIKES, TRUE.volatility(STRIKES), TRUE.years)
    assert found.method == "svi"
    for name in ("a", "b", "rho", "m", "sigma"):
        assert getattr(found, name) == pytest.approx(getattr(TRUE, name), rel=0.01), name
    assert found.rmse < 1e-5


@settings(max_examples=25, deadline=None)
@given(
    st.floats(0.002, 0.05), st.floats(0.02, 0.3), st.floats(-0.9, 0.9),
    st.floats(-0.15, 0.15), st.floats(0.05, 0.4),
)  # fmt: skip
def test_any_svi_curve_is_matched_to_a_hundredth_of_a_point(a, b, rho, m, sigma):
    true = Smile("svi", 0.5, a, b, rho, m, sigma, -0.4, 0.4, 0.0)
    x = np.linspace(-0.4, 0.4, 15)
    found = fit_smile(x, true.volatility(x), 0.5)
    assert found.rmse < 1e-4
    assert np.all(found.total_variance(np.linspace(-0.4, 0.4, 101)) > 0)


def test_noise_does_not_make_the_curve_negative_or_its_wings_too_steep():
    random = np.random.default_rng(3)
    for _ in range(20):
        x = np.sort(random.uniform(-0.3, 0.3, 8))
        found = fit_smile(x, random.uniform(0.05, 1.0, 8), 0.1)
        assert np.all(found.total_variance(np.linspace(-3, 3, 601)) >= -1e-12)
        # Lee 2004: total variance grows by less than two per unit of log-moneyness.
        assert found.b * (1 + abs(found.rho)) <= 2 + 1e-9


def test_a_quadratic_is_fitted_exactly_and_to_few_strikes():
    x = np.array([-0.1, 0.0, 0.1, 0.2])
    volatility = np.sqrt((0.04 - 0.02 * x + 0.3 * x**2) / 0.5)
    for given_ in (4, 3):
        found = fit_smile(x[:given_], volatility[:given_], 0.5)
        assert found.method == "quadratic"
        assert (found.a, found.b, found.sigma) == pytest.approx((0.04, -0.02, 0.3))
    with pytest.raises(FitError, match="2 strikes are too few"):
        fit_smile(x[:2], volatility[:2], 0.5)
    with pytest.raises(FitError, match="1 strikes"):
        fit_smile([0.1] * 9, [0.2] * 9, 0.5)


def test_a_published_curve_with_negative_density_is_caught():
    # Axel Vogt's example in Gatheral and Jacquier (2014), section 3: t = 1.
    vogt = Smile("svi", 1.0, -0.0410, 0.1331, 0.3060, 0.3586, 0.4153, -1.5, 1.5, 0.0)
    assert not vogt.butterfly_free()
    assert TRUE.butterfly_free()
    assert flat(0.2, 0.25).butterfly_free()
    bent = dataclasses.replace(flat(0.2, 0.25), sigma=-2.0)
    assert not bent.butterfly_free()


@pytest.mark.parametrize(
    "smile", [TRUE, Smile("quadratic", 0.5, 0.09, -0.2, NAN, NAN, 0.8, -0.4, 0.4, 0.0)]
)
def test_the_density_is_the_second_derivative_of_the_price(smile):
    """With F = 1: d²C/dK² = g(k) N'(d2) / (K sqrt(w)), here against differences of prices."""
    from btq_assets.sources.alternative.black import black_price

    def call(strike: np.ndarray) -> np.ndarray:
        return black_price(1.0, 1.0, strike, smile.years, smile.volatility(np.log(strike)))

    strike, h = np.array([0.7, 0.8, 0.95, 1.0, 1.1, 1.3]), 1e-4
    k = np.log(strike)
    w = smile.total_variance(k)
    d2 = -k / np.sqrt(w) - np.sqrt(w) / 2
    normal = np.exp(-(d2**2) / 2) / np.sqrt(2 * np.pi)
    expected = (call(strike + h) - 2 * call(strike) + call(strike - h)) / h**2
    assert smile.durrleman(k) * normal / (strike * np.sqrt(w)) == pytest.approx(expected, rel=1e-3)


def test_less_variance_later_is_a_calendar_arbitrage():
    # 0.3² x 0.25 = 0.0225 against 0.2² x 0.5 = 0.02 and 0.22² x 0.5 = 0.0242.
    assert not calendar_free(flat(0.3, 0.25), flat(0.2, 0.5))
    assert calendar_free(flat(0.3, 0.25), flat(0.22, 0.5))
    assert calendar_free(flat(0.3, 0.25, -0.5, -0.1), flat(0.2, 0.5, 0.1, 0.5))


def test_the_volatility_at_a_delta_is_that_of_its_strike():
    assert flat(0.3, 0.5).volatility_at_delta(1, 0.25) == pytest.approx(0.3)
    from btq_assets.sources.alternative.black import forward_delta

    for right, delta in ((1.0, 0.25), (-1.0, -0.25)):
        found = TRUE.volatility_at_delta(right, delta)
        k = np.linspace(-0.4, 0.3, 200_001)
        deltas = forward_delta(right, 1.0, np.exp(k), TRUE.years, TRUE.volatility(k))
        nearest = int(np.argmin(np.abs(deltas - delta)))
        assert found == pytest.approx(float(TRUE.volatility(k[nearest])), abs=1e-5)
    # The wings are not extrapolated.
    assert np.isnan(
        dataclasses.replace(TRUE, k_low=-0.01, k_high=0.01).volatility_at_delta(1, 0.05)
    )


def test_time_is_interpolated_in_variance_and_never_extrapolated():
    # (0.2² x 0.1 + 0.3² x 0.3) / 2 = 0.0155 at 0.2 years: sqrt(0.0155 / 0.2).
    found = interpolate_in_time([0.1, 0.3], [0.2, 0.3], 0.2, variance=True)
    assert found == pytest.approx(np.sqrt(0.0155 / 0.2))
    assert interpolate_in_time([0.1, 0.3], [0.2, 0.3], 0.2, variance=False) == pytest.approx(0.25)
    assert np.isnan(interpolate_in_time([0.1, 0.3], [0.2, 0.3], 0.31, variance=True))
    assert np.isnan(interpolate_in_time([0.1, 0.3], [0.2, NAN], 0.2, variance=True))
    assert np.isnan(interpolate_in_time([], [], 0.2, variance=True))


real_surfaces = pytest.mark.skipif(
    importlib.util.find_spec("qmoms") is None,
    reason="qmoms is not installed: pip install -c constraints.txt -e '.[options-sample]'",
)


@real_surfaces
def test_real_surfaces_are_read_with_their_pinned_hash():
    from btq_assets.contracts.base import cast_to_contract, violations
    from btq_assets.contracts.raw.alternative import IV_SURFACES_SAMPLE
    from btq_assets.sources.alternative.sample import read_surfaces

    rows = read_surfaces()
    cast = cast_to_contract(rows, IV_SURFACES_SAMPLE)
    assert violations(cast, IV_SURFACES_SAMPLE).is_empty()
    assert rows.height == 67_500
    # The first line of the file.
    first = rows.row(0, named=True)
    assert (first["underlying"], str(first["session"]), first["days"], first["delta"]) == (
        "IBM", "2023-01-03", 30.0, -0.10,
    )  # fmt: skip
    assert (first["strike"], first["implied_volatility"], first["spot"]) == (
        124.9849, 0.361869, 141.55,
    )  # fmt: skip


@real_surfaces
def test_real_surfaces_are_fitted_closely_and_without_arbitrage():
    from btq_assets.sources.alternative.sample import read_surfaces

    rows = read_surfaces()
    days = sorted(set(rows["session"]))[::50]
    misses, left_out, crossings = [], [], 0
    n_smiles = 0
    for _, day in rows.filter(pl.col("session").is_in(days)).group_by("underlying", "session"):
        smiles = []
        for _, part in sorted(day.group_by("days"), key=lambda item: item[0]):
            k = (part["strike"] / part["forward"]).log().to_numpy()
            iv, years = part["implied_volatility"].to_numpy(), part["days"][0] / 365
            smile = fit_smile(k, iv, years)
            misses.append(smile.rmse)
            n_smiles += 1
            assert smile.butterfly_free()
            # Every third volatility hidden, and predicted from the others.
            order = np.argsort(k)
            hidden = order[4:-4:3]
            seen = np.setdiff1d(order, hidden)
            guess = fit_smile(k[seen], iv[seen], years).volatility(k[hidden])
            left_out += list(np.abs(guess - iv[hidden]))
            smiles.append(smile)
        crossings += sum(not calendar_free(a, b) for a, b in itertools.pairwise(smiles))
    assert n_smiles == 5 * 5 * 3
    # Measured: 0.19 points in the middle; a flat line misses by several points.
    assert np.median(misses) < 0.003
    assert np.median(left_out) < 0.004
    assert crossings <= 2
