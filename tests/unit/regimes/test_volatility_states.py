"""GARCH states against arch, and thresholds against numpy."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from arch import arch_model
from arch.data import sp500

from btq_assets.config import RegimesSection
from btq_assets.regimes import RegimeError
from btq_assets.regimes import volatility_states as room


@pytest.fixture(scope="module")
def sp500_returns() -> np.ndarray:
    """Returns of the S&P 500 that arch's documentation fits, as fractions."""
    close = sp500.load()["Adj Close"].to_numpy()
    return close[1:] / close[:-1] - 1


def test_the_fit_is_the_one_in_the_documentation_of_arch(sp500_returns):
    # arch, "ARCH Modeling", GARCH(1,1) of 100 times the S&P 500's returns, 1999 to 2018:
    # mu 0.0564, omega 0.0175, alpha 0.1022, beta 0.8852.
    made = room.fit_garch(sp500_returns)
    found = (made.mean, made.omega, made.alpha, made.beta)
    np.testing.assert_allclose(found, (0.0564, 0.0175, 0.1022, 0.8852), atol=6e-5)


def test_the_volatility_is_the_one_step_forecast_of_arch(sp500_returns):
    returns = sp500_returns[:800]
    made = room.fit_garch(returns)
    peer = arch_model(100 * returns, mean="Constant", vol="GARCH", p=1, q=1, rescale=False)
    own = np.array([made.mean, made.omega, made.alpha, made.beta])
    result = peer.fix(own)
    # No less likely than the parameters that arch itself settles on, and next to them.
    fitted = peer.fit(disp="off")
    assert result.loglikelihood >= fitted.loglikelihood - 1e-6
    np.testing.assert_allclose(own, fitted.params, rtol=2e-3)
    forecast = result.forecast(horizon=1, reindex=False).variance.to_numpy()[-1, 0]
    volatility = room.next_volatility(returns, made)
    assert volatility[-1] == pytest.approx(np.sqrt(252 * forecast) / 100, rel=1e-9)
    # What is expected at one session is the conditional volatility of the next.
    conditional = np.asarray(result.conditional_volatility) * np.sqrt(252) / 100
    np.testing.assert_allclose(volatility[:-1], conditional[1:], rtol=1e-9)


def test_thresholds_are_numpys_quantiles_of_what_came_before():
    random = np.random.default_rng(0)
    values = random.normal(size=80)
    values[[3, 40]] = np.nan
    low, high = room.past_quantiles(values, (0.3, 0.9), 20)
    for t in range(80):
        past = values[:t][np.isfinite(values[:t])]
        if past.size < 20 or np.isnan(values[t]):
            assert np.isnan(low[t])
        else:
            assert low[t] == pytest.approx(np.quantile(past, 0.3))
            assert high[t] == pytest.approx(np.quantile(past, 0.9))


def test_planted_spells_are_high_and_low(market_bars, planted, small):
    rows = room.volatility_states(market_bars, "us20", small)
    wild = pl.Series(planted[-rows.height :] == 1)
    # From 15 sessions into each spell of 80 on.
    settled = pl.Series(np.arange(planted.size)[-rows.height :] % 80 >= 15)
    forecast = rows["volatility_forecast_annual"]
    assert forecast.filter(wild & settled).min() > 1.5 * forecast.filter(~wild & settled).median()
    assert (rows["state"].filter(~wild & settled).drop_nulls() != "high").all()


@pytest.mark.parametrize("policy", ["previous", "null", "error"])
def test_a_failed_fit_is_handled_as_configured(policy, market_bars, small, monkeypatch):
    real, calls = room.fit_garch, []

    def second_fails(returns):
        calls.append(len(returns))
        return None if len(calls) == 2 else real(returns)

    monkeypatch.setattr(room, "fit_garch", second_fails)
    settings: RegimesSection = small.model_copy(update={"on_failed_fit": policy})
    if policy == "error":
        with pytest.raises(RegimeError, match="GARCH fit"):
            room.volatility_states(market_bars, "us20", settings)
        return
    rows = room.volatility_states(market_bars, "us20", settings)
    second = rows[90:180]
    assert not second["converged"].any()
    assert rows["converged"][:90].all()
    if policy == "previous":
        assert (second["fitted_until"] == rows["fitted_until"][0]).all()
        assert second["volatility_forecast_annual"].null_count() == 0
    else:
        shown = ("volatility_forecast_annual", "state", "fitted_until")
        assert all(second[name].null_count() == 90 for name in shown)
    assert rows["volatility_forecast_annual"][180:].null_count() == 0


def test_an_optimiser_that_does_not_converge_gives_no_fit(sp500_returns):
    assert room.fit_garch(sp500_returns[:800], max_iterations=1) is None
    assert room.fit_garch(np.full(500, 1e-3)) is None
