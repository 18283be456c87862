"""GARCH, GJR-GARCH and EGARCH against the package arch, closed forms and simulated truth.

The S&P 500 returns are those of arch's documentation (`arch.data.sp500`, in per cent).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from btq_assets.config import GarchSection
from btq_assets.contracts.features.volatility_models import FIT_STATES
from btq_assets.features import volatility_models
from btq_assets.features.kernels import garch, garch_fit, garch_paths

ARCH: dict[str, dict[str, Any]] = {
    "garch": {},
    "gjr": {"o": 1},
    "egarch": {"vol": "EGARCH", "o": 1},
}
KIND = {"garch": garch.GARCH, "gjr": garch.GJR, "egarch": garch.EGARCH}
TYPICAL = {
    "garch": (0.05, 0.02, 0.1, 0.0, 0.88),
    "gjr": (0.02, 0.03, 0.03, 0.12, 0.88),
    "egarch": (0.02, 0.005, 0.15, -0.1, 0.97),
}


@pytest.fixture(scope="module")
def sp500() -> np.ndarray:
    import arch.data.sp500

    prices = arch.data.sp500.load()["Adj Close"]
    return 100 * prices.pct_change().dropna().to_numpy()


def arch_model(model: str, returns: np.ndarray):
    from arch import arch_model

    return arch_model(returns, rescale=False, **ARCH[model])


def arch_values(model: str, theta: tuple[float, ...]) -> np.ndarray:
    """Parameters in arch's order, which has no gamma in a plain GARCH."""
    return np.array([v for k, v in enumerate(theta) if model != "garch" or k != 3])


def filtered(model: str, theta, returns: np.ndarray) -> np.ndarray:
    out = np.empty(returns.size + 1)
    garch.variances(KIND[model], np.array(theta, float), returns, garch.backcast_of(returns), out)
    return out


def fitted(model: str, returns: np.ndarray) -> np.ndarray:
    theta = np.empty(5)
    assert garch_fit.fit(KIND[model], returns, theta, garch_fit.MAX_ITERATIONS)
    return theta


def log_likelihood(model: str, theta, returns: np.ndarray) -> float:
    s = filtered(model, theta, returns)[:-1]
    return float(-0.5 * np.sum(np.log(2 * np.pi * s) + (returns - theta[0]) ** 2 / s))


@pytest.mark.parametrize("model", ARCH)
def test_the_filter_is_that_of_arch(model, sp500):
    theirs = arch_model(model, sp500).fix(arch_values(model, TYPICAL[model]))
    mine = np.sqrt(filtered(model, TYPICAL[model], sp500)[:-1])
    np.testing.assert_allclose(mine, theirs.conditional_volatility, rtol=1e-12)
    assert log_likelihood(model, TYPICAL[model], sp500) == pytest.approx(theirs.loglikelihood)


@pytest.mark.parametrize(
    ("model", "likelihood", "expected"),
    [
        # Printed in arch's documentation, "ARCH Modeling", sections "GARCH" and "GJR-GARCH".
        ("garch", -6936.72, {0: 0.0564, 1: 0.0175, 2: 0.1022, 4: 0.8852}),
        ("gjr", -6822.88, {0: 0.0175, 1: 0.0196, 2: 0.0, 3: 0.1831, 4: 0.8922}),
    ],
)
def test_documented_estimates_of_the_sp500(model, likelihood, expected, sp500):
    theta = fitted(model, sp500)
    assert log_likelihood(model, theta, sp500) == pytest.approx(likelihood, abs=0.006)
    for place, value in expected.items():
        assert theta[place] == pytest.approx(value, abs=6e-5)


@pytest.mark.parametrize("model", ARCH)
@pytest.mark.parametrize("span", [slice(0, 1000), slice(2000, 3500), slice(4000, 5030)])
def test_no_estimate_of_arch_is_likelier(model, span, sp500):
    # arch stops at 1e-6 of the likelihood, so its volatility is 1e-4 from the optimum's.
    returns = np.ascontiguousarray(sp500[span])
    theirs = arch_model(model, returns).fit(disp="off")
    theta = fitted(model, returns)
    assert log_likelihood(model, theta, returns) >= theirs.loglikelihood - 1e-8
    volatility = np.sqrt(filtered(model, theta, returns)[:-1])
    np.testing.assert_allclose(volatility, theirs.conditional_volatility, rtol=5e-4)


@pytest.mark.parametrize("model", ARCH)
def test_the_gradient_is_the_slope_of_the_loss(model, sp500):
    x = sp500[:800] / sp500[:800].std()
    theta, gradient, outer = np.array(TYPICAL[model]), np.empty(5), np.empty((5, 5))
    unused = np.empty(5)

    def loss(at, into=unused, derive=False):
        return garch.loss(KIND[model], at, x, 1.2, into, outer, derive, derive)

    loss(theta, gradient, True)
    for place in range(5):
        step = np.zeros(5)
        step[place] = 1e-6
        slope = (loss(theta + step) - loss(theta - step)) / 2e-6
        assert gradient[place] == pytest.approx(slope, rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("model", ["garch", "gjr"])
def test_forecasts_are_archs_closed_form(model, sp500):
    theta = TYPICAL[model]
    theirs = arch_model(model, sp500).fix(arch_values(model, theta)).forecast(horizon=21)
    expected = theirs.variance.to_numpy()[-1]
    following = filtered(model, theta, sp500)[-1]
    ahead = garch_paths.term(KIND[model], np.array(theta), 21)
    np.testing.assert_allclose(ahead[0] + ahead[1] * following, expected, rtol=1e-12)
    mean = garch_paths.mean_ahead(KIND[model], following, ahead)
    assert mean == pytest.approx(expected.mean(), rel=1e-12)


def test_egarch_forecasts_are_the_mean_of_simulated_variances():
    # Nelson's moments against 400,000 simulated paths, from the definition alone.
    _, omega, alpha, gamma, beta = TYPICAL["egarch"]
    random = np.random.default_rng(1)
    log = np.full(400_000, math.log(1.4))
    ahead = garch_paths.term(garch.EGARCH, np.array(TYPICAL["egarch"]), 21)
    for h in range(21):
        found = math.exp(ahead[0, h] + ahead[1, h] * math.log(1.4))
        simulated = np.exp(log)
        error = simulated.std() / math.sqrt(simulated.size)
        assert abs(found - simulated.mean()) <= 4 * error + 1e-12
        z = random.standard_normal(log.size)
        log = omega + alpha * (np.abs(z) - math.sqrt(2 / math.pi)) + gamma * z + beta * log


@pytest.mark.parametrize("model", ARCH)
def test_simulated_parameters_are_recovered_within_standard_errors(model):
    truth = np.array(TYPICAL[model])
    random, n = np.random.default_rng(7), 20_000
    returns, log_or_s = np.empty(n), 0.0 if model == "egarch" else 1.0
    mu, omega, alpha, gamma, beta = truth
    for t in range(n):
        s = math.exp(log_or_s) if model == "egarch" else log_or_s
        z = random.standard_normal()
        e = math.sqrt(s) * z
        returns[t] = mu + e
        if model == "egarch":
            news = alpha * (abs(z) - math.sqrt(2 / math.pi)) + gamma * z
            log_or_s = omega + news + beta * log_or_s
        else:
            log_or_s = omega + (alpha + gamma * (e < 0)) * e * e + beta * s
    theta, gradient, outer = fitted(model, returns), np.empty(5), np.empty((5, 5))
    garch.loss(KIND[model], theta, returns, garch.backcast_of(returns), gradient, outer, True, True)
    free = [0, 1, 2, 4] if model == "garch" else [0, 1, 2, 3, 4]
    information = (np.tril(outer) + np.tril(outer, -1).T)[np.ix_(free, free)]
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    assert (np.abs(theta - truth)[free] < 3.5 * errors).all(), (theta, errors)


def bars_of(returns: np.ndarray, make_bars, symbols: int = 1) -> pl.DataFrame:
    bars = make_bars(symbols, returns.size + 1, ohlcv=False)
    price = np.concatenate([[0.0], np.cumsum(returns)])
    return bars.with_columns(adj_close=pl.Series(np.tile(np.exp(price), symbols)))


def test_rows_are_under_the_last_scheduled_fit(make_bars, sp500):
    settings = GarchSection(min_fit_sessions=500, refit_every_sessions=200, window_sessions=450)
    returns = sp500[1000:1950] / 100
    frame = volatility_models.compute(bars_of(returns, make_bars), settings)
    for model in ARCH:
        values = frame[f"{model}_volatility_1_annual"].to_numpy()
        states = frame[f"{model}_fit"].to_list()
        assert states == ["short"] * 500 + ["fitted"] * 451
        assert np.isnan(values[:500]).all()
        for last in (500, 700, 900):  # number of returns a fit has seen
            window = np.ascontiguousarray(returns[last - 450 : last])
            theta = fitted(model, window)
            out = np.empty(450 + min(200, 951 - last))
            run = np.ascontiguousarray(returns[last - 450 : last - 450 + out.size - 1])
            garch.variances(KIND[model], theta, run, garch.backcast_of(window), out)
            # Row `last` has the forecast made after return number `last`.
            expected = np.sqrt(252 * out[450:])
            np.testing.assert_allclose(values[last : last + expected.size], expected, rtol=1e-12)


def test_the_surprise_is_the_return_in_expected_standard_deviations(make_bars, sp500):
    settings = GarchSection(min_fit_sessions=500, refit_every_sessions=1000)
    returns = sp500[:900] / 100
    frame = volatility_models.compute(bars_of(returns, make_bars), settings)
    mean = fitted("gjr", np.ascontiguousarray(returns[:500]))[0]
    before = frame["gjr_volatility_1_annual"].to_numpy()[500:-1] / math.sqrt(252)
    surprise = frame["gjr_surprise"].to_numpy()[501:]
    np.testing.assert_allclose(surprise, (returns[500:] - mean) / before, rtol=1e-9)


def test_a_fit_that_does_not_converge_falls_back_as_configured(sp500):
    def states(keep_previous: bool, iterations: int) -> np.ndarray:
        values, status = garch_paths.paths(
            garch.GARCH, spoilt, first_fit=400, every=300,
            keep_previous=keep_previous, max_iterations=iterations,
        )  # fmt: skip
        has_value = np.isfinite(values[0])
        allowed = (garch_paths.FITTED, garch_paths.PREVIOUS)
        assert (has_value == np.isin(status, allowed)).all()
        return status

    spoilt = sp500[:1000].copy()
    never = states(True, 1)
    assert set(never[:399]) == {garch_paths.TOO_SHORT}
    assert set(never[399:]) == {garch_paths.NOT_CONVERGED}
    # The number of iterations that is enough for the first fit but not for all of the later ones.
    for iterations in range(2, garch_fit.MAX_ITERATIONS):
        status = states(True, iterations)
        if garch_paths.PREVIOUS in status:
            break
    strict = states(False, iterations)
    fell_back = status == garch_paths.PREVIOUS
    assert set(strict[fell_back]) == {garch_paths.NOT_CONVERGED}
    assert (strict[~fell_back] == status[~fell_back]).all()


def test_stuck_prices_have_no_model_and_say_so(make_bars, sp500):
    returns = sp500[:400] / 100
    returns[150:] = 0.0
    settings = GarchSection(min_fit_sessions=120, refit_every_sessions=200)
    frame = volatility_models.compute(bars_of(returns, make_bars), settings)
    assert frame["garch_fit"].to_list() == ["short"] * 120 + ["fitted"] * 200 + ["constant"] * 81
    assert frame["garch_volatility_21_annual"].tail(81).is_null().all()


def test_symbols_and_threads_do_not_matter(make_bars, sp500, monkeypatch):
    settings = GarchSection(min_fit_sessions=120, refit_every_sessions=100)
    bars = make_bars(5, 300, ohlcv=False)
    together = volatility_models.compute(bars, settings)
    alone = volatility_models.compute(bars.filter(symbol="S03"), settings)
    assert_frame_equal(together.filter(symbol="S03"), alone, check_exact=True)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    assert_frame_equal(together, volatility_models.compute(bars, settings), check_exact=True)


def test_fits_are_counted(make_bars):
    settings = GarchSection(min_fit_sessions=120, refit_every_sessions=100)
    counted = volatility_models.fits(volatility_models.compute(make_bars(2, 200), settings))
    short = counted.filter(model="garch", fit="short").row(0, named=True)
    assert (short["sessions"], short["symbols"]) == (240, 2)


def test_a_shock_without_scale_gives_no_forecast_and_says_so() -> None:
    # Three sessions of forecasts and surprise; the second recursion value is beyond 5,000 % a year.
    values = np.array([[0.2, 3e13, 0.4], [0.2, 7e12, 0.4], [0.1, -262.0, 1e-9]])
    states = np.ones(3, np.int8)
    volatility_models._leave_out_exploded(values, states)
    expected = [[0.2, np.nan, 0.4], [0.2, np.nan, 0.4], [0.1, -262.0, np.nan]]
    np.testing.assert_array_equal(values, expected)
    assert [FIT_STATES[state] for state in states] == ["fitted", "exploded", "fitted"]
