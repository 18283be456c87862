"""Early exercise against QuantLib, theorems and limits; the inverse against itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from btq_assets.sources.alternative.american import (
    american_implied_volatility,
    american_price,
    early_exercise_premium,
)
from btq_assets.sources.alternative.black import black_scholes_price, vega

CALL, PUT = 1.0, -1.0


def draw(n: int, seed: int = 3) -> dict[str, np.ndarray]:
    """Options on a spot of 100 that anybody would list: days to two years, 10 to 80 %."""
    random = np.random.default_rng(seed)
    return {
        "right": random.choice([CALL, PUT], n),
        "spot": np.full(n, 100.0),
        "strike": 100 * np.exp(random.normal(0, 0.15, n)),
        "years": np.maximum(np.round(random.uniform(0.02, 2, n) * 365), 1) / 365,
        "volatility": random.uniform(0.1, 0.8, n),
        "rate": random.uniform(0, 0.08, n),
        "dividend_yield": random.uniform(0, 0.06, n),
    }


def test_prices_and_volatilities_are_those_of_quantlib():
    """Peer: the fixed-point method of Andersen, Lake and Offengenden (2016), exact to ten digits.

    Stated tolerance: 0.01 % of the spot in price, a tenth of a volatility point in volatility.
    """
    ql = pytest.importorskip(
        "QuantLib", reason="QuantLib is not installed: no peer to compare with"
    )
    drawn = draw(150)
    today = ql.Date(3, 6, 2024)
    ql.Settings.instance().evaluationDate = today
    day_count = ql.Actual365Fixed()

    def flat(rate: float):
        return ql.YieldTermStructureHandle(ql.FlatForward(today, float(rate), day_count))

    peers = []
    for w, s, k, t, v, r, q in zip(*drawn.values(), strict=True):
        process = ql.BlackScholesMertonProcess(
            ql.QuoteHandle(ql.SimpleQuote(float(s))),
            flat(q),
            flat(r),
            ql.BlackVolTermStructureHandle(
                ql.BlackConstantVol(today, ql.NullCalendar(), float(v), day_count)
            ),
        )
        option = ql.VanillaOption(
            ql.PlainVanillaPayoff(ql.Option.Call if w > 0 else ql.Option.Put, float(k)),
            ql.AmericanExercise(today, today + round(float(t) * 365)),
        )
        scheme = ql.QdFpAmericanEngine.accurateScheme()
        option.setPricingEngine(ql.QdFpAmericanEngine(process, scheme))
        peers.append(option.NPV())
    peer = np.array(peers)
    gap = np.abs(american_price(**drawn) - peer)
    assert gap.max() < 0.01
    assert np.median(gap) < 2e-4
    volatility = drawn.pop("volatility")
    found = american_implied_volatility(peer, **drawn)
    forward = 100 * np.exp((drawn["rate"] - drawn["dividend_yield"]) * drawn["years"])
    out = drawn["right"] * (drawn["strike"] - forward) >= 0
    sensitive = vega(forward, drawn["strike"], drawn["years"], volatility) > 1
    assert (out & sensitive).sum() > 40
    assert np.abs(found - volatility)[out & sensitive].max() < 1e-3


def test_a_put_of_the_literature():
    # Longstaff and Schwartz (2001), table 1, finite differences: S 36, K 40, r 6 %, 20 %, one year:
    # 4.478 (exercise 50 times a year); European 3.844.
    assert american_price(PUT, 36, 40, 1, 0.2, 0.06) == pytest.approx(4.478, abs=0.01)
    assert black_scholes_price(PUT, 36, 40, 1, 0.2, 0.06) == pytest.approx(3.844, abs=5e-4)


@settings(max_examples=60, deadline=None)
# Forty-four deviations out of the money: the chance of a step up is nothing in all digits.
@example(right=CALL, x=0.5, years=0.02, volatility=0.080078125, rate=0.0, dividend_yield=0.03125)
@example(right=PUT, x=-0.5, years=0.02, volatility=0.080078125, rate=0.03125, dividend_yield=0.0)
@example(right=PUT, x=0.125, years=2.0, volatility=0.125, rate=0.0625, dividend_yield=0.0)
@given(
    st.sampled_from([CALL, PUT]), st.floats(-0.5, 0.5), st.floats(0.02, 2), st.floats(0.08, 0.8),
    st.floats(0, 0.08), st.floats(0, 0.06),
)  # fmt: skip
def test_bounds_and_the_inverse(right, x, years, volatility, rate, dividend_yield):
    strike = 100 * np.exp(x)
    given_ = (right, 100.0, strike, years)
    carried = {"rate": rate, "dividend_yield": dividend_yield}
    price = float(american_price(*given_, volatility, **carried))
    assert price >= float(black_scholes_price(*given_, volatility, **carried)) - 1e-12
    assert price >= right * (100 - strike)
    # Merton (1973): without yield no call, without interest no put is exercised early.
    idle = {"rate": rate} if right == CALL else {"dividend_yield": dividend_yield}
    assert (
        float(
            early_exercise_premium(*given_, volatility, **({"rate": 0, "dividend_yield": 0} | idle))
        )
        == 0
    )
    found = float(american_implied_volatility(price, *given_, **carried))
    forward = 100 * np.exp((rate - dividend_yield) * years)
    if np.isfinite(found):
        again = float(american_price(*given_, found, **carried))
        assert again == pytest.approx(price, abs=1e-4)
    elif right * (strike - forward) >= 0 and vega(forward, strike, years, volatility) > 1:
        # Out of the money forward, it may still be worth what exercise pays now, at many volatilities.
        assert price <= right * (100 - strike) * (1 + 1e-9), "there is one volatility, not found"


def test_where_there_is_no_volatility_and_neighbours_stay():
    price = american_price(PUT, 100, [90, 100, 130], 0.5, 0.3, 0.05)
    # 130 - 100: worth no more than exercise pays now; a missing price; an expired option.
    found = american_implied_volatility(
        [price[0], np.nan, 30.0, price[1]], PUT, 100, [90, 90, 130, 100], [0.5, 0.5, 0.5, 0], 0.05
    )
    assert found[0] == pytest.approx(0.3, abs=1e-6)
    assert np.isnan(found[1:]).all()
    assert np.isnan(early_exercise_premium(PUT, [np.nan, 100], 90, [1, 0], 0.2, 0.05, 0)).all()
