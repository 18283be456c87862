"""`RiskAnalyzer` in every form a notebook has a series."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest

from btq_assets.risk import RiskAnalyzer
from btq_assets.risk.measures import RiskError
from btq_assets.risk.scenarios import Scenario

RETURNS = np.random.default_rng(0).normal(3e-4, 0.01, 800)
INDEX = pd.bdate_range("2019-06-03", periods=800)
DATED = pd.Series(RETURNS, index=INDEX)


@pytest.mark.parametrize(
    "form",
    [
        RETURNS,
        RETURNS.tolist(),
        DATED,
        DATED.tz_localize("UTC"),
        DATED.to_frame("r"),
        DATED.rename_axis("date").reset_index(name="r"),
        pl.Series(RETURNS),
        pl.DataFrame({"ts": INDEX.to_numpy(), "r": RETURNS}),
        pl.DataFrame({"ts": INDEX.to_numpy(), "equity": RETURNS + 1, "net_return": RETURNS}),
    ],
    ids=[
        "numpy",
        "list",
        "pandas",
        "pandas utc",
        "frame",
        "frame col",
        "polars",
        "polars frame",
        "equity",
    ],
)
def test_same_numbers_from_every_form(form):
    analyzer = RiskAnalyzer(form)
    assert analyzer.calculate_var(0.95) == np.quantile(-RETURNS, 0.95, method="inverted_cdf")
    assert np.array_equal(analyzer.returns, RETURNS)


@pytest.mark.parametrize("method", ["historical", "parametric", "cornish_fisher"])
def test_tail_and_level_are_the_same_number_and_losses_are_positive(method):
    analyzer = RiskAnalyzer(DATED)
    for measure in (analyzer.calculate_var, analyzer.calculate_cvar):
        assert measure(0.05, method) == measure(0.95, method) > 0
        assert measure(0.01, method) > measure(0.05, method)
    assert analyzer.calculate_cvar(0.95, method) > analyzer.calculate_var(0.95, method)


@pytest.mark.parametrize("confidence", [0.5, 0, 1, -1, 95])
def test_bad_confidence_is_an_error(confidence):
    with pytest.raises(RiskError):
        RiskAnalyzer(RETURNS).calculate_var(confidence)


def test_cornish_fisher_outside_its_domain_is_an_error_not_a_number():
    wild = np.concatenate([RETURNS, [-0.5]])
    with pytest.raises(RiskError, match="domain"):
        RiskAnalyzer(wild).calculate_var(0.95, "cornish_fisher")


def test_unknown_method_is_an_error():
    with pytest.raises(RiskError, match="guess"):
        RiskAnalyzer(RETURNS).calculate_var(0.95, "guess")


def test_stress_test_compounds_the_window_and_reports_what_is_not_covered():
    found = RiskAnalyzer(DATED).stress_test(["covid_2020", "2008_crash", "dot_com_2000"])
    window = DATED["2020-02-20":"2020-03-23"]
    assert found["covid_2020"].window_return == pytest.approx((1 + window).prod() - 1)
    assert found["covid_2020"].worst_day == pytest.approx(window.min())
    assert not found["2008_crash"].covered
    assert "2019-06-03" in found["dot_com_2000"].note


def test_own_windows_and_unsorted_dates():
    shuffled = DATED.sample(frac=1, random_state=1)
    window = Scenario("mine", dt.date(2020, 6, 1), dt.date(2020, 7, 1), "Own")
    one, two = (RiskAnalyzer(s).stress_test([window])["mine"] for s in (DATED, shuffled))
    assert one == two
    assert one.covered


def test_stress_without_dates_says_what_to_pass():
    with pytest.raises(RiskError, match="DatetimeIndex"):
        RiskAnalyzer(RETURNS).stress_test(["covid_2020"])


def test_monte_carlo_shapes_and_seed():
    analyzer = RiskAnalyzer(DATED)
    found = analyzer.monte_carlo_simulation(n_simulations=500, time_horizon=20)
    assert found.terminal_returns.shape == (500,)
    assert found.fan.shape == (5, 21)
    again = analyzer.monte_carlo_simulation(n_simulations=500, time_horizon=20)
    assert found.statistics() == again.statistics()


def test_missing_values_are_left_out_with_their_dates():
    gappy = DATED.copy()
    gappy.iloc[3] = np.nan
    analyzer = RiskAnalyzer(gappy)
    assert len(analyzer.returns) == len(analyzer.days) == 799


@pytest.mark.parametrize(
    "bad",
    [
        [0.1],
        [np.nan, np.nan, 0.1],
        [0.1, np.inf],
        np.zeros((2, 2)),
        DATED.to_frame("a").assign(b=1.0),
    ],
)
def test_unusable_returns_are_refused(bad):
    with pytest.raises(RiskError):
        RiskAnalyzer(bad)
