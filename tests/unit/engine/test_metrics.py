"""Figures against numbers worked by hand, closed forms and a peer library."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from btq_assets import engine
from btq_assets.engine import metrics
from btq_assets.engine.errors import EngineError

RETURNS = [0.02, -0.01, 0.03, -0.02]  # mean 0.005; squared deviations 2.25, 2.25, 6.25, 6.25 (e-4)
DEVIATION = math.sqrt(17e-4 / 3)


def test_sharpe_by_hand():
    assert metrics.calculate_sharpe(RETURNS, 4) == pytest.approx(0.005 / DEVIATION * 2)
    # 2 % a year is 0.005 a quarter: nothing is left
    assert metrics.calculate_sharpe(RETURNS, 4, risk_free_rate=0.02) == pytest.approx(0, abs=1e-15)


def test_sortino_by_hand():
    """Downside: sqrt((0.0001 + 0.0004) / 4), over all four periods."""
    assert metrics.calculate_sortino(RETURNS, 4) == pytest.approx(0.005 / math.sqrt(1.25e-4) * 2)


def test_annual_return_and_volatility_by_hand():
    growth = 1.02 * 0.99 * 1.03 * 0.98
    assert metrics.annual_return(RETURNS, 2) == pytest.approx(math.sqrt(growth) - 1)
    assert metrics.annual_volatility(RETURNS, 4) == pytest.approx(DEVIATION * 2)
    assert metrics.annual_return([0.1, -1.0, 0.5]) == -1.0


def test_drawdown_and_calmar_by_hand():
    assert metrics.max_drawdown([100, 120, 90, 130, 117]) == 0.25
    assert metrics.max_drawdown([1, 2, 3]) == 0.0
    # one period of -20 % then +50 %: growth 1.2 over two periods, fall 20 % from the start
    assert metrics.calculate_calmar([-0.2, 0.5], 2) == pytest.approx(0.2 / 0.2)


def test_information_ratio_by_hand():
    """Active returns 0.01, 0.03: mean 0.02, deviation 0.01 * sqrt(2)."""
    ratio = metrics.calculate_information_ratio([0.02, 0.05], [0.01, 0.02], 4)
    assert ratio == pytest.approx(0.02 / (0.01 * math.sqrt(2)) * 2)
    with pytest.raises(EngineError, match="2 returns against 1"):
        metrics.calculate_information_ratio([0.02, 0.05], [0.01])


def test_trade_figures_by_hand():
    profits = [10.0, -5.0, 20.0, -10.0, 0.0]
    assert metrics.calculate_profit_factor(profits) == 2.0
    assert metrics.calculate_expectancy(profits) == 3.0
    assert metrics.win_rate(profits) == 0.5
    # P(win) * mean win - P(loss) * mean loss
    assert metrics.calculate_expectancy(profits) == pytest.approx(2 / 5 * 15 - 2 / 5 * 7.5)
    assert metrics.turnover_annual([0.0, 0.1, 0.0, 0.1], 252) == pytest.approx(12.6)


def test_maximum_adverse_excursion_by_hand():
    assert metrics.calculate_mae([100, 90, 120, 95]) == pytest.approx(0.1)
    assert metrics.calculate_mae([100, 90, 120, 95], side=-1) == pytest.approx(0.2)
    assert metrics.calculate_mae([100, 110]) == 0.0
    with pytest.raises(EngineError, match="side = 0"):
        metrics.calculate_mae([1, 2], side=0)


def test_adverse_excursions_follow_holding_spells():
    """Long bars 1-2 (worst -10 %), flat, short bars 4-5 (worst +20 %)."""
    shares = np.array([[0.0], [5], [3], [0], [-2], [-2]])
    marks = np.array([[1.0], [100], [90], [80], [50], [60]])
    assert metrics.adverse_excursions(shares, marks) == pytest.approx([0.1, 0.2])


@pytest.mark.parametrize(
    "call",
    [
        lambda: metrics.calculate_sharpe([]),
        lambda: metrics.calculate_sharpe([0.01]),
        lambda: metrics.calculate_sharpe([0.01, 0.01, 0.01]),
        lambda: metrics.calculate_sharpe([0.001] * 7, risk_free_rate=0.03),
        lambda: metrics.calculate_sortino([0.01, 0.02]),
        lambda: metrics.calculate_sortino([]),
        lambda: metrics.calculate_calmar([0.01, 0.02]),
        lambda: metrics.calculate_profit_factor([1.0, 2.0]),
        lambda: metrics.calculate_expectancy([]),
        lambda: metrics.calculate_mae([]),
        lambda: metrics.win_rate([0.0, 0.0]),
        lambda: metrics.annual_return([]),
        lambda: metrics.annual_volatility([0.1]),
        lambda: metrics.max_drawdown([]),
        lambda: metrics.turnover_annual([]),
        lambda: metrics.calculate_information_ratio([0.1, 0.2], [0.1, 0.2]),
    ],
)
def test_undefined_is_nan_and_never_zero(call):
    assert math.isnan(call())


def test_missing_is_left_out_and_infinity_refused():
    with_gap = [math.nan, *RETURNS, math.nan]
    assert metrics.calculate_sharpe(with_gap) == metrics.calculate_sharpe(RETURNS)
    assert metrics.calculate_sharpe(pl.Series([None, *RETURNS])) == pytest.approx(
        metrics.calculate_sharpe(pd.Series(RETURNS))
    )
    with pytest.raises(EngineError, match="infinite value at position 1"):
        metrics.calculate_sharpe([0.1, math.inf])
    with pytest.raises(EngineError, match="equity starts at 0"):
        metrics.max_drawdown([0.0, 1.0])


def test_agrees_with_skfolio():
    """Per-period figures of a peer (skfolio.measures), which divides variances by n - 1."""
    from skfolio import measures

    returns = np.random.default_rng(3).normal(3e-4, 0.01, 1_000)
    expected = returns.mean() / measures.standard_deviation(returns)
    assert metrics.calculate_sharpe(returns, 1) == pytest.approx(expected, rel=1e-12)
    path = np.cumprod(1 + returns)
    falls = measures.get_drawdowns(returns, compounded=True)
    assert metrics.max_drawdown(np.concatenate([[1.0], path])) == pytest.approx(
        max(-np.min(falls), 0), rel=1e-9
    )


@given(st.lists(st.integers(-500, 500), min_size=3, max_size=50), st.sampled_from([0.25, 2, 8]))
def test_ratios_do_not_depend_on_the_unit(thousandths, factor):
    """Factors are powers of two, so that even rounding is the same."""
    returns = np.array(thousandths) / 1_000
    for figure in (metrics.calculate_sharpe, metrics.calculate_profit_factor, metrics.win_rate):
        assert np.array_equal(figure(returns), figure(factor * returns), equal_nan=True)


def test_public_names_are_lazy_and_complete():
    for name in engine.__all__:
        assert callable(getattr(engine, name)) or name.isupper()
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        engine.nothing  # noqa: B018
