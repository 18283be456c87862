"""Drawdowns of series small enough to do by hand, and invariants."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from btq_assets.risk.drawdowns import Drawdown, drawdowns


def test_two_falls_by_hand():
    #         0    1    2   3   4    5    6   7
    wealth = [100, 110, 99, 88, 110, 120, 90, 119]
    assert drawdowns(wealth) == [
        Drawdown(5, 6, None, pytest.approx(0.25), 2),
        Drawdown(1, 3, 4, pytest.approx(0.2), 3),
    ]
    assert len(drawdowns(wealth, 1)) == 1


@pytest.mark.parametrize("wealth", [[], [1.0], [1.0, 2.0, 3.0], [1.0, 1.0]])
def test_no_fall_no_drawdown(wealth):
    assert drawdowns(wealth) == []


@given(seed=st.integers(0, 5_000), scale=st.floats(1e-3, 1e6))
def test_deepest_is_the_largest_fall_and_units_do_not_matter(seed, scale):
    wealth = np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.05, 80)))
    found = drawdowns(wealth)
    depths = 1 - wealth / np.maximum.accumulate(wealth)
    assert found[0].depth == pytest.approx(depths.max())
    # They tile the time under water without overlap.
    under = sum((d.recovered or len(wealth)) - d.peak - 1 for d in found)
    assert under == (depths > 0).sum()
    again = drawdowns(wealth * scale)
    assert [d.depth for d in again] == pytest.approx([d.depth for d in found])
    assert [d.trough for d in again] == [d.trough for d in found]


def test_missing_values_are_refused():
    with pytest.raises(ValueError, match="missing"):
        drawdowns([1.0, np.nan, 2.0])
