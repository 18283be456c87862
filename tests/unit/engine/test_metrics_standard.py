"""The standard set of figures, worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from btq_assets.engine import metrics
from btq_assets.engine.errors import EngineError

#: Path 1, 1.1, 0.55, 0.55, 1.375, 1.2375: one spell of 3 periods recovered, one of 1 open.
PATH = [0.1, -0.5, 0.0, 1.5, -0.1]


def test_drawdowns_by_hand():
    found = metrics.drawdowns(PATH)
    assert found.peak.tolist() == [1, 4]
    assert found.trough.tolist() == [2, 5]
    assert found.end.tolist() == [4, -1]
    assert found.depth == pytest.approx([0.5, 0.1])
    assert found.lengths.tolist() == [3, 1]
    assert np.array_equal(found.recoveries, [2.0, np.nan], equal_nan=True)
    assert metrics.longest_underwater(PATH) == 3
    assert metrics.mean_drawdown_periods(PATH) == 2
    assert metrics.recovery_periods(PATH) == 2


def test_pain_and_ulcer_by_hand():
    """Falls 0, 0.5, 0.5, 0, 0.1 over five periods."""
    assert metrics.drawdown_path(PATH) == pytest.approx([0, 0.5, 0.5, 0, 0.1])
    assert metrics.pain_index(PATH) == pytest.approx(1.1 / 5)
    assert metrics.ulcer_index(PATH) == pytest.approx(math.sqrt(0.51 / 5))
    growth = 1.2375 ** (1 / 5) - 1
    assert metrics.pain_ratio(PATH, 1) == pytest.approx(growth / 0.22)
    assert metrics.martin_ratio(PATH, 1) == pytest.approx(growth / math.sqrt(0.102))


def test_a_path_below_its_start_is_a_drawdown_from_the_start():
    assert metrics.drawdown_path([-0.2, 0.1]) == pytest.approx([0.2, 0.12])
    assert metrics.drawdowns([-0.2, 0.1]).peak.tolist() == [0]
    assert metrics.longest_underwater([0.1, 0.1]) == 0


def test_benchmark_figures_by_hand():
    """r = 2 b + 0.01 exactly: beta 2, alpha 0.01 a period, active return b + 0.01."""
    b = np.array([0.01, -0.02, 0.03, 0.0])
    r = 2 * b + 0.01
    assert metrics.beta(r, b) == pytest.approx(2)
    assert metrics.alpha_annual(r, b, 10) == pytest.approx(0.1)
    # a rate without risk of 5 % a year, 0.005 a period: alpha - rf + 2 rf
    assert metrics.alpha_annual(r, b, 10, 0.05) == pytest.approx(0.15)
    assert metrics.tracking_error(r, b, 4) == pytest.approx(np.std(b, ddof=1) * 2)
    assert metrics.treynor_ratio(r, b, 10, 0.05) == pytest.approx((r.mean() * 10 - 0.05) / 2)


def test_captures_by_hand():
    """Up periods: benchmark 10 %, 10 %, own 21 %, 0 %: sqrt(1.21) - 1 over 10 % is 1."""
    b, r = [0.1, -0.1, 0.1, -0.5], [0.21, -0.19, 0.0, 0.0]
    assert metrics.up_capture(r, b) == pytest.approx(1)
    down = (math.sqrt(0.81) - 1) / (math.sqrt(0.45) - 1)
    assert metrics.down_capture(r, b) == pytest.approx(down)
    assert metrics.capture_ratio(r, b) == pytest.approx(1 / down)


def test_shape_by_hand():
    """-1, -1, 2 has mean 0, variance 2, third moment 2: skewness 2 / 2^1.5; kurtosis 6 / 4."""
    values = [-0.01, -0.01, 0.02]
    assert metrics.skewness(values) == pytest.approx(1 / math.sqrt(2))
    assert metrics.kurtosis(values) == pytest.approx(1.5)
    hundred = np.arange(1, 101) / 1000 - 0.0505
    # the five lowest of a hundred: the sixth is the order statistic, the five's mean the shortfall
    assert metrics.value_at_risk(hundred) == pytest.approx(0.0445)
    assert metrics.conditional_value_at_risk(hundred) == pytest.approx(0.0475)
    assert metrics.tail_ratio(hundred) == pytest.approx(1)
    with pytest.raises(EngineError, match=r"level = 0\.05"):
        metrics.value_at_risk(hundred, 0.05)


def test_gains_and_losses_by_hand():
    profits = [10.0, -5.0, 20.0, -10.0, 0.0]
    assert metrics.payoff_ratio(profits) == 2
    assert metrics.kelly_fraction(profits) == pytest.approx(0.5 - 0.5 / 2)
    returns = [0.02, -0.01, 0.03, -0.02]
    assert metrics.omega_ratio(returns) == pytest.approx(5 / 3)
    # a threshold of 0.01 a period leaves gains 0.01, 0.02 and losses 0.02, 0.03
    assert metrics.omega_ratio(returns, 4, threshold=0.04) == pytest.approx(3 / 5)
    assert metrics.gain_to_pain(returns) == pytest.approx(2 / 3)
    assert metrics.downside_deviation(returns, 4) == pytest.approx(2 * math.sqrt(5e-4 / 4))
    assert metrics.calculate_mfe([100, 90, 120, 95]) == pytest.approx(0.2)
    assert metrics.calculate_mfe([100, 90, 120, 95], side=-1) == pytest.approx(0.1)
    assert metrics.stability([0.01, 0.01 + 1e-9, 0.01, 0.01 - 1e-9]) == pytest.approx(1)


def test_break_even_and_capacity_by_hand():
    """1 % and 3 % on 0.5 and 0.3 traded: 0.02 / 0.4. Impact a quarter of the return: 16 times."""
    assert metrics.break_even_cost([0.01, 0.03], [0.5, 0.3]) == pytest.approx(0.05)
    assert metrics.break_even_cost([-0.01, -0.03], [0.5, 0.3]) == pytest.approx(-0.05)
    assert metrics.capacity_multiple([0.01, 0.03], [0.005, 0.005]) == pytest.approx(16)
    assert metrics.capacity_multiple([-0.01, 0.0], [0.005, 0.005]) == 0


@pytest.mark.parametrize(
    "value",
    [
        metrics.omega_ratio([0.1]),
        metrics.gain_to_pain([0.1]),
        metrics.downside_deviation([]),
        metrics.stability([0.1, 0.1]),
        metrics.skewness([0.1, 0.1]),
        metrics.kurtosis([]),
        metrics.tail_ratio([]),
        metrics.value_at_risk([0.1] * 19),
        metrics.conditional_value_at_risk([0.1] * 19),
        metrics.ulcer_index([]),
        metrics.martin_ratio([0.1, 0.2]),
        metrics.pain_ratio([0.1, 0.2]),
        metrics.recovery_periods([0.1, -0.1]),
        metrics.mean_drawdown_periods([0.1]),
        metrics.longest_underwater([]),
        metrics.beta([0.1, 0.2], [0.1, 0.1]),
        metrics.alpha_annual([0.1, 0.2], [0.1, 0.1]),
        metrics.treynor_ratio([0.1, 0.1, 0.1], [0.1, 0.2, 0.4]),
        metrics.tracking_error([0.1], [0.1]),
        metrics.up_capture([0.1], [-0.1]),
        metrics.down_capture([0.1], [0.1]),
        metrics.capture_ratio([0.1], [0.1]),
        metrics.payoff_ratio([1.0]),
        metrics.kelly_fraction([1.0]),
        metrics.break_even_cost([0.1], [0.0]),
        metrics.capacity_multiple([0.1], [0.0]),
    ],
)
def test_undefined_is_nan(value):
    assert math.isnan(value)


@given(st.lists(st.integers(-400, 400), min_size=2, max_size=60))
def test_drawdown_figures_agree_with_one_another(thousandths):
    returns = np.array(thousandths) / 1000
    found, falls = metrics.drawdowns(returns), metrics.drawdown_path(returns)
    assert found.depth.max(initial=0.0) == falls.max()
    assert (
        metrics.pain_index(returns) <= metrics.ulcer_index(returns) + 1e-15 <= falls.max() + 2e-15
    )
    under = np.where(found.end < 0, returns.size + 1, found.end) - found.peak - 1
    assert under.sum() == (falls > 0).sum()
