"""Black's formula against Hull, closed forms, parity and QuantLib; its inverse against itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from btq_assets.sources.alternative.black import (
    black_price,
    black_scholes_price,
    forward_delta,
    implied_volatility,
    log_moneyness_of_delta,
    vega,
)

CALL, PUT = 1.0, -1.0

moneyness = st.floats(-0.7, 0.7)
times = st.floats(0.01, 3.0)
volatilities = st.floats(0.05, 1.5)
rights = st.sampled_from([CALL, PUT])


def test_prices_are_those_of_hull():
    # Hull, Options, Futures and Other Derivatives, 10th ed., example 15.6: 4.76 and 0.81.
    call, put = black_scholes_price([CALL, PUT], 42, 40, 0.5, 0.2, rate=0.1)
    assert call == pytest.approx(4.76, abs=0.005)
    assert put == pytest.approx(0.81, abs=0.005)
    # Hull, chapter on futures options, the European put on crude oil futures: 1.12.
    price = black_price(PUT, 20, 20, 4 / 12, 0.25, np.exp(-0.09 * 4 / 12))
    assert price == pytest.approx(1.12, abs=0.005)


def test_a_sure_thing_is_worth_its_intrinsic_value():
    assert black_price(CALL, 110, 100, 1, 0.0, 0.9) == pytest.approx(9.0)
    assert black_price(PUT, 110, 100, 0.0, 0.3) == 0.0


def test_at_the_forward_the_price_is_the_probability_of_a_half_deviation():
    # F (2 N(sigma sqrt(t) / 2) - 1); N(0.1) = 0.539827837 by Abramowitz and Stegun, table 26.1.
    assert black_price(CALL, 100, 100, 1, 0.2) == pytest.approx(100 * (2 * 0.539827837277 - 1))


@given(moneyness, times, volatilities, st.floats(0.5, 1.0))
def test_put_call_parity_holds(x, years, volatility, discount):
    forward, strike = 100.0, 100.0 * np.exp(x)
    call, put = black_price([CALL, PUT], forward, strike, years, volatility, discount)
    assert call - put == pytest.approx(discount * (forward - strike), abs=1e-10)


@given(rights, moneyness, times, volatilities)
def test_delta_and_vega_are_the_slopes_of_the_price(right, x, years, volatility):
    strike, h = 100.0 * np.exp(x), 1e-4
    up, down = black_price(right, [100 + h, 100 - h], strike, years, volatility)
    delta = forward_delta(right, 100, strike, years, volatility)
    assert delta == pytest.approx((up - down) / (2 * h), abs=1e-6)
    up, down = black_price(right, 100, strike, years, [volatility + h, volatility - h])
    assert vega(100, strike, years, volatility) == pytest.approx((up - down) / (2 * h), abs=1e-3)


@given(rights, moneyness, times, volatilities, st.floats(0.5, 1.0))
def test_the_implied_volatility_gives_the_price_back(right, x, years, volatility, discount):
    forward, strike = 100.0, 100.0 * np.exp(x)
    price = black_price(right, forward, strike, years, volatility, discount)
    found = implied_volatility(price, right, forward, strike, years, discount)
    if np.isnan(found):
        # Only where the price lies at its bound to the last digits.
        otm = black_price(CALL if strike > forward else PUT, forward, strike, years, volatility)
        assert otm < 1e-7
        return
    again = black_price(right, forward, strike, years, found, discount)
    assert again == pytest.approx(price, abs=1e-9)
    if vega(forward, strike, years, volatility) > 0.1:
        assert found == pytest.approx(volatility, rel=1e-7)


@pytest.mark.parametrize(
    ("price", "right", "strike", "years", "why"),
    [
        (9.99, CALL, 90.0, 1.0, "below its intrinsic value of 10"),
        (100.0, CALL, 90.0, 1.0, "not below the forward"),
        (110.0, PUT, 110.0, 1.0, "not below the strike"),
        (5.0, CALL, 100.0, 0.0, "expired"),
        (float("nan"), CALL, 100.0, 1.0, "missing"),
        (5.0, CALL, -1.0, 1.0, "no strike"),
        (-1.0, PUT, 100.0, 1.0, "negative"),
    ],
)
def test_a_price_no_volatility_explains_has_none(price, right, strike, years, why):
    assert np.isnan(implied_volatility(price, right, 100.0, strike, years)), why


def test_one_bad_price_leaves_its_neighbours_alone():
    good = black_price(CALL, 100, [90, 100, 110], 0.5, 0.3)
    found = implied_volatility([good[0], np.nan, good[2]], CALL, 100, [90, 100, 110], 0.5)
    assert found[[0, 2]] == pytest.approx([0.3, 0.3])
    assert np.isnan(found[1])


def test_the_strike_of_a_delta_has_that_delta():
    deviation = 0.3 * np.sqrt(0.5)
    for right, delta in ((CALL, 0.25), (PUT, -0.25), (CALL, 0.5)):
        strike = 100 * np.exp(log_moneyness_of_delta(right, delta, deviation))
        assert forward_delta(right, 100, strike, 0.5, 0.3) == pytest.approx(delta, abs=1e-12)


def test_prices_deltas_and_volatilities_are_those_of_quantlib():
    ql = pytest.importorskip(
        "QuantLib", reason="QuantLib is not installed: no peer to compare with"
    )
    random = np.random.default_rng(7)
    strikes = 100 * np.exp(random.normal(0, 0.2, 200))
    years = random.uniform(0.05, 2, 200)
    vols = random.uniform(0.08, 0.9, 200)
    right = random.choice([CALL, PUT], 200)
    discount = np.exp(-0.03 * years)
    prices = black_price(right, 100.0, strikes, years, vols, discount)
    found = implied_volatility(prices, right, 100.0, strikes, years, discount)
    for i in range(200):
        kind = ql.Option.Call if right[i] == CALL else ql.Option.Put
        deviation = vols[i] * np.sqrt(years[i])
        calculator = ql.BlackCalculator(
            ql.PlainVanillaPayoff(kind, strikes[i]), 100.0, deviation, discount[i]
        )
        assert prices[i] == pytest.approx(calculator.value(), abs=1e-10)
        assert forward_delta(right[i], 100.0, strikes[i], years[i], vols[i]) == pytest.approx(
            calculator.deltaForward() / discount[i], abs=1e-10
        )
        if prices[i] > 1e-3:
            peer = ql.blackFormulaImpliedStdDev(
                kind, strikes[i], 100.0, prices[i], discount[i], 0.0, 0.2, 1e-12, 1000
            )
            assert found[i] == pytest.approx(peer / np.sqrt(years[i]), rel=1e-6)
