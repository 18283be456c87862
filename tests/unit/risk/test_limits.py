"""Limits: what breaches, what does not."""

import numpy as np
import polars as pl
import pytest

from btq_assets.config import TradingSection
from btq_assets.risk.limits import breaches

LIMITS = TradingSection(max_position_size=0.25, max_drawdown_threshold=0.15)


def weights(*values):
    return pl.DataFrame(
        {"strategy": "s", "symbol": [f"S{i}" for i in range(len(values))], "weight": values}
    )


def test_within_limits_nothing_is_breached():
    assert breaches(weights(0.25, -0.25), {"s": np.array([1.0, 2.0, 1.7])}, LIMITS) == []


def test_long_short_and_drawdown_breaches_are_named():
    found = breaches(weights(0.26, -0.3), {"s": np.array([1.0, 2.0, 1.6])}, LIMITS)
    assert [(b.limit, b.detail) for b in found] == [
        ("max_drawdown_threshold", "drawdown at the last bar"),
        ("max_position_size", "S0"),
        ("max_position_size", "S1"),
    ]
    assert [b.value for b in found] == pytest.approx([0.2, 0.26, 0.3])


def test_a_drawdown_that_was_made_good_is_no_breach():
    assert breaches(weights(0.1), {"s": np.array([1.0, 0.5, 1.0])}, LIMITS) == []
