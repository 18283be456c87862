"""Figures against empyrical-reloaded 0.7.1 and quantstats 0.0.86, and where these differ and why.

The numbers were printed by those releases (both Apache-2.0; NumPy 2.4.6) for the series below, by the
calls listed in `CALLS`; where a release is installed every call is made live and must give its number
again. Neither is a dependency: docs/metrics.md says why.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from btq_assets.engine import metrics
from btq_assets.risk import measures


def portable_series(seed: int, n: int = 750) -> np.ndarray:
    """A congruential generator: the same numbers under every library version."""
    values = []
    for _ in range(n):
        seed = (1103515245 * seed + 12345) % 2**31
        values.append((seed / 2**31 - 0.49) * 0.04)
    return np.array(values)


R = portable_series(7)
B = 0.6 * portable_series(7) + 0.7 * portable_series(99)
N = R.size

AGREE = {
    "sharpe": (metrics.calculate_sharpe(R), 0.6475431971718228),
    "sortino": (metrics.calculate_sortino(R), 0.9514522077894992),
    "calmar": (metrics.calculate_calmar(R), 0.4230721333012144),
    "omega": (metrics.omega_ratio(R), 1.099600476802189),
    "tail_ratio": (metrics.tail_ratio(R), 1.0298365629956794),
    "stability": (metrics.stability(R), 0.2644361954075421),
    "downside": (metrics.downside_deviation(R), 0.12438068867158714),
    "beta": (metrics.beta(R, B), 0.7163134560494857),
    "volatility": (metrics.annual_volatility(R), 0.18275580897124044),
    "annual_return": (metrics.annual_return(R), 0.10699700045161409),
    "drawdown": (metrics.drawdown_path(R).max(), 0.25290486427626635),
    "quantstats kelly": (metrics.kelly_fraction(R), 0.04589325181681802),
    "quantstats payoff": (metrics.payoff_ratio(R), 1.0706636221495),
    "quantstats profit factor": (metrics.calculate_profit_factor(R), 1.0996004768021892),
    "quantstats gain to pain": (metrics.gain_to_pain(R), 0.09960047680218943),
    "quantstats win rate": (metrics.win_rate(R), 0.5066666666666667),
    "quantstats number of drawdowns": (metrics.drawdowns(R).depth.size, 27),
}


@pytest.mark.parametrize("name", AGREE)
def test_agrees_with_the_peer(name):
    ours, peer = AGREE[name]
    assert ours == pytest.approx(peer, rel=1e-9)


# (ours made into the peer's convention, what the peer printed)
DIFFER = {
    # empyrical compounds alpha over a year; Jensen's is a mean times periods
    "empyrical alpha is compounded": (
        (1 + metrics.alpha_annual(R, B) / 252) ** 252 - 1,
        -0.03520518588686006,
    ),
    # its excess_sharpe is the information ratio of one period
    "empyrical excess_sharpe is not annualised": (
        metrics.calculate_information_ratio(R, B) / math.sqrt(252),
        -0.04269908518333734,
    ),
    # it divides growth rates compounded to a year of up days only
    "empyrical capture is annualised": (
        np.expm1(np.log1p(R[B > 0]).mean() * 252) / np.expm1(np.log1p(B[B > 0]).mean() * 252),
        0.35912325648868654,
    ),
    # a required return is compounded down to a period, ours is divided
    "empyrical omega's threshold is compounded": (
        metrics.omega_ratio(R, threshold=252 * (1.05 ** (1 / 252) - 1)),
        1.05736215413341,
    ),
    # required_return and risk_free are per period, ours are per year
    "empyrical required_return is per period": (
        metrics.calculate_sortino(R, target_return=0.0001 * 252),
        0.7431330325623022,
    ),
    "empyrical risk_free is per period": (
        metrics.calculate_sharpe(R, risk_free_rate=0.0001 * 252),
        0.5096542833153801,
    ),
    # an interpolated quantile, and the mean of int((n - 1) * cutoff) + 1 values
    "empyrical value at risk interpolates": (np.quantile(R, 0.05), -0.01767409593556076),
    "empyrical expected shortfall takes whole values": (
        np.sort(R)[: int((N - 1) * 0.05) + 1].mean(),
        -0.018682892229290385,
    ),
    "quantstats ulcer index divides by n - 1": (
        metrics.ulcer_index(R) * math.sqrt(N / (N - 1)),
        0.09942691372813461,
    ),
    "quantstats ulcer performance index is of the whole span": (
        (np.prod(1 + R) - 1) / (metrics.ulcer_index(R) * math.sqrt(N / (N - 1))),
        3.553180333113176,
    ),
    "quantstats Treynor ratio is of the whole span": (
        (np.prod(1 + R) - 1) / metrics.beta(R, B),
        0.49319435710355014,
    ),
    "quantstats skew is adjusted for n": (
        metrics.skewness(R) * math.sqrt(N * (N - 1)) / (N - 2),
        0.003033499809543965,
    ),
    "quantstats kurtosis is excess and adjusted": (
        (N - 1) / ((N - 2) * (N - 3)) * ((N + 1) * (metrics.kurtosis(R) - 3) + 6),
        -1.1656680864628783,
    ),
}


@pytest.mark.parametrize("name", DIFFER)
def test_where_the_peer_differs_its_convention_gives_its_number(name):
    ours, peer = DIFFER[name]
    assert ours == pytest.approx(peer, rel=1e-9)


def test_what_is_infinite_there_is_undefined_here():
    """empyrical gives inf for a series without variation or without a loss."""
    assert math.isnan(metrics.calculate_sharpe([0.01] * 10))
    assert math.isnan(metrics.calculate_sortino([0.01, 0.02]))


def test_tails_are_those_of_the_risk_room():
    var, cvar = measures.historical(R, 0.95)
    assert metrics.value_at_risk(R) == float(var)
    assert metrics.conditional_value_at_risk(R) == pytest.approx(float(cvar), rel=1e-12)


#: How each number was made: library and call on the two series as pandas series of business days.
CALLS = {
    "sharpe": lambda e, r, b: e.sharpe_ratio(r),
    "sortino": lambda e, r, b: e.sortino_ratio(r),
    "calmar": lambda e, r, b: e.calmar_ratio(r),
    "omega": lambda e, r, b: e.omega_ratio(r),
    "tail_ratio": lambda e, r, b: e.tail_ratio(r),
    "stability": lambda e, r, b: e.stability_of_timeseries(r),
    "downside": lambda e, r, b: e.downside_risk(r),
    "beta": lambda e, r, b: e.beta(r, b),
    "volatility": lambda e, r, b: e.annual_volatility(r),
    "annual_return": lambda e, r, b: e.annual_return(r),
    "drawdown": lambda e, r, b: -e.max_drawdown(r),
    "empyrical alpha is compounded": lambda e, r, b: e.alpha(r, b),
    "empyrical excess_sharpe is not annualised": lambda e, r, b: e.excess_sharpe(r, b),
    "empyrical capture is annualised": lambda e, r, b: e.up_capture(r, b),
    "empyrical omega's threshold is compounded": lambda e, r, b: e.omega_ratio(
        r, required_return=0.05
    ),
    "empyrical required_return is per period": lambda e, r, b: e.sortino_ratio(
        r, required_return=0.0001
    ),
    "empyrical risk_free is per period": lambda e, r, b: e.sharpe_ratio(r, risk_free=0.0001),
    "empyrical value at risk interpolates": lambda e, r, b: e.value_at_risk(r, 0.05),
    "empyrical expected shortfall takes whole values": lambda e, r, b: e.conditional_value_at_risk(
        r, 0.05
    ),
    "quantstats kelly": lambda q, r, b: q.kelly_criterion(r),
    "quantstats payoff": lambda q, r, b: q.payoff_ratio(r),
    "quantstats profit factor": lambda q, r, b: q.profit_factor(r),
    "quantstats gain to pain": lambda q, r, b: q.gain_to_pain_ratio(r),
    "quantstats win rate": lambda q, r, b: q.win_rate(r),
    "quantstats number of drawdowns": lambda q, r, b: len(
        q.drawdown_details(q.to_drawdown_series(r))
    ),
    "quantstats ulcer index divides by n - 1": lambda q, r, b: q.ulcer_index(r),
    "quantstats ulcer performance index is of the whole span": lambda q, r, b: (
        q.ulcer_performance_index(r)
    ),
    "quantstats Treynor ratio is of the whole span": lambda q, r, b: q.treynor_ratio(r, b),
    "quantstats skew is adjusted for n": lambda q, r, b: q.skew(r),
    "quantstats kurtosis is excess and adjusted": lambda q, r, b: q.kurtosis(r),
}


def test_every_printed_number_has_the_call_that_made_it():
    assert set(CALLS) == set(AGREE) | set(DIFFER)


@pytest.mark.parametrize("name", CALLS)
def test_the_installed_release_still_prints_it(name):
    module = "quantstats.stats" if name.startswith("quantstats") else "empyrical"
    library = pytest.importorskip(module)
    import pandas as pd

    days = pd.date_range("2020-01-01", periods=N, freq="B")
    printed = CALLS[name](library, pd.Series(R, days), pd.Series(B, days))
    assert printed == pytest.approx((AGREE | DIFFER)[name][1], rel=1e-9)


def test_the_installed_release_still_calls_a_constant_infinite():
    empyrical = pytest.importorskip("empyrical")
    import pandas as pd

    assert math.isinf(empyrical.sharpe_ratio(pd.Series([0.01] * 10)))
