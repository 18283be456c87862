"""Schedules: the paper's example, an independent optimum, and what every schedule conserves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btq_assets.engine.fills import Bar, FillTerms
from btq_assets.engine.terms import Instruments, OrderCosts
from btq_assets.execution import schedules
from btq_assets.execution.almgren_chriss import (
    ImpactModel,
    ScheduleError,
    cost_of,
    kappa_of,
    optimal_trajectory,
)
from btq_assets.execution.events import OrderTerms, client_order_id

#: Almgren and Chriss (2000), table 1: a million shares at 50 in five days, 30 % a year, spread
#: 1/8, five million shares a day; eta: one bid-ask spread per 1 % of daily volume; gamma: 10 % of
#: daily volume moves the price by one spread.
PAPER = ImpactModel(volatility=0.95, temporary=2.5e-6, permanent=2.5e-7, fixed=0.0625)
X, T, N = 1e6, 5.0, 5


def test_the_paper_s_urgency():
    """Sec. 4.2: lambda = 1e-6 gives kappa = 0.61 per day and a half-life of 1.6 days."""
    path = optimal_trajectory(X, T, N, PAPER, 1e-6)
    assert round(path.kappa, 2) == 0.61
    assert round(path.half_life, 1) == 1.6


def test_the_paper_s_extremes():
    """Eqs. 9 to 14: equal slices, and everything at once, in closed form.

    Equal: E = gamma X^2/2 + eps X + (eta - gamma tau/2) X^2/T = 125,000 + 62,500 + 475,000,
    V = sigma^2 X^2 T/3 (1 - 1/N)(1 - 1/(2N)). At once: E = eps X + eta X^2/tau, V = 0.
    """
    equal = optimal_trajectory(X, T, N, PAPER, 0.0)
    assert equal.expected_cost == pytest.approx(662_500)
    assert equal.variance == pytest.approx(0.95**2 * X**2 * T / 3 * (1 - 1 / N) * (1 - 1 / (2 * N)))
    assert equal.trades == pytest.approx(np.full(N, 200_000))
    at_once = cost_of(np.array([X, 0, 0, 0, 0, 0]), T / N, PAPER)
    assert at_once == pytest.approx((62_500 + 2_500_000, 0.0))


@pytest.mark.parametrize("aversion", [1e-8, 1e-6, 2e-6, 1e-4])
def test_no_trajectory_is_better(aversion):
    """E + lambda V is quadratic in the holdings between: solved here as linear equations."""
    step, n = T / 20, 20

    def objective(inner):
        expected, variance = cost_of(np.concatenate([[X], inner, [0.0]]), step, PAPER)
        return expected + aversion * variance

    # gradient at zero and Hessian by polarisation, exact for a quadratic (the fixed cost of a
    # monotone path is constant, so it is left out)
    eta = PAPER.temporary - PAPER.permanent * step / 2
    hessian = (2 * eta / step) * (2 * np.eye(n - 1) - np.eye(n - 1, k=1) - np.eye(n - 1, k=-1))
    hessian += 2 * aversion * PAPER.volatility**2 * step * np.eye(n - 1)
    right = np.zeros(n - 1)
    right[0] = 2 * eta / step * X
    best = np.linalg.solve(hessian, right)
    found = optimal_trajectory(X, T, n, PAPER, aversion)
    assert found.holdings[1:-1] == pytest.approx(best, rel=1e-9, abs=1e-6)
    assert objective(best) <= objective(best * 0.99) + 1e-6


def test_urgency_without_overflow_and_its_limits():
    hurried = optimal_trajectory(X, T, N, PAPER, 1e3)
    assert np.isfinite(hurried.holdings).all()
    assert hurried.trades[0] == pytest.approx(X)
    calm = optimal_trajectory(-X, T, N, PAPER, 0.0)
    assert calm.trades == pytest.approx(np.full(N, -200_000))
    assert calm.half_life == np.inf
    # continuous limit of eq. 16: kappa -> sqrt(lambda sigma^2 / eta)
    smooth = ImpactModel(0.95, 2.5e-6)
    assert kappa_of(smooth, 1e-6, 1e-4) == pytest.approx(np.sqrt(1e-6 * 0.95**2 / 2.5e-6), rel=1e-6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: ImpactModel(-1.0, 1.0), "volatility"),
        (lambda: ImpactModel(1.0, 0.0), "temporary"),
        (lambda: optimal_trajectory(X, T, N, PAPER, -1e-6), "risk_aversion"),
        (lambda: optimal_trajectory(X, 100.0, 1, PAPER, 1e-6), "shorter intervals"),
        (lambda: schedules.twap(1.0, 0, 100, 0), "n_slices"),
        (lambda: schedules.twap(0.0, 0, 100, 2), "quantity"),
        (lambda: schedules.twap(1.0, 100, 100, 2), "after start"),
        (lambda: schedules.vwap(1.0, 0, 100, [1.0, np.nan]), "profile"),
        (lambda: schedules.vwap(1.0, 0, 100, [0.0, 0.0]), "profile"),
        (lambda: schedules.pov(1.0, np.arange(3), np.ones(1), 1.0), "rate"),
        (lambda: schedules.pov(1.0, np.arange(4), np.ones(1), 0.1), "volumes"),
        (lambda: schedules.volume_profile(np.full((2, 3), np.nan)), "no day"),
        (lambda: schedules.implementation_shortfall(1.0, 0, 10, PAPER, 0.0), "never ends"),
        (
            lambda: schedules.implementation_shortfall(
                1e3, 0, 10**9, PAPER, 1e-6, expected_volume=50, lot=100
            ),
            "below a lot",
        ),
    ],
)
def test_what_cannot_be_scheduled_is_named(wrong, message):
    with pytest.raises(ScheduleError, match=message):
        wrong()


def test_slices_by_hand():
    assert schedules.twap(-100.0, 0, 40, 4).quantity.tolist() == [-25.0] * 4
    # 1,050 in three by lots of 100: cumulative 350, 700, 1,050 -> 400 (banker's 3.5), 700, 1,050
    assert schedules.twap(1_050.0, 0, 30, 3, lot=100).quantity.tolist() == [400.0, 300.0, 350.0]
    assert schedules.vwap(100.0, 0, 30, [5, 1, 4]).quantity.tolist() == pytest.approx([50, 10, 40])
    # shares of days: (.5, .5) and (.25, .75); the third lacks a slice
    profile = schedules.volume_profile(np.array([[10.0, 10], [5, 15], [np.nan, 1]]))
    assert profile == pytest.approx([0.375, 0.625])


def test_pov_by_hand_and_never_ahead_of_the_market():
    """20 % of all volume is a quarter of the others': 25 after 100, 75 after 300."""
    times = np.arange(4) * 10
    done = schedules.pov(100.0, times, np.array([100.0, 200.0]), 0.2)
    assert done.quantity.tolist() == pytest.approx([0, 25, 50])
    assert done.unscheduled == pytest.approx(25)
    # the volume of the last interval is not known when it is traded
    other = schedules.pov(100.0, times, np.array([100.0, 200.0, 1e9]), 0.2)
    assert other.quantity.tolist() == done.quantity.tolist()


def test_shortfall_falls_by_e_each_half_life_and_respects_the_volume():
    """kappa = 0.6073 with intervals of a day: slices of 1 - exp(-0.6073) of what is left."""
    done = schedules.implementation_shortfall(X, 0, schedules.DAY_NS, PAPER, 1e-6)
    left = X - np.cumsum(done.quantity)
    kappa = np.arccosh(0.5 * 1e-6 * 0.95**2 / 2.375e-6 + 1)
    assert left[:-1] == pytest.approx(X * np.exp(-kappa * np.arange(1, left.size)))
    assert left[-2] > 0.01 * X
    assert left[-1] == 0.0
    held = schedules.implementation_shortfall(
        X, 0, schedules.DAY_NS, PAPER, 1e-6, expected_volume=1e6, participation=0.1
    )
    assert held.quantity.max() <= 1e5
    assert held.quantity.sum() == X
    assert held.quantity.size == 10


parents = st.floats(1.0, 1e6).flatmap(lambda q: st.sampled_from([q, -q]))


@settings(max_examples=200, deadline=None)
@given(parents, st.integers(1, 40), st.sampled_from([0.0, 1.0, 100.0]), st.data())
def test_children_sum_to_their_parent_and_never_turn(quantity, n, lot, data):
    kind = data.draw(st.sampled_from(["twap", "vwap", "pov", "ac", "is"]))
    aversion = data.draw(st.floats(1e-9, 1e-3))
    if kind == "twap":
        made = schedules.twap(quantity, 0, 10_000, n, lot=lot)
    elif kind == "vwap":
        weights = data.draw(st.lists(st.floats(0, 1e6), min_size=n, max_size=n))
        made = schedules.vwap(quantity, 0, 10_000, [*weights, 1.0], lot=lot)
    elif kind == "pov":
        volumes = np.array(data.draw(st.lists(st.floats(0, 1e6), min_size=n, max_size=n)))
        made = schedules.pov(quantity, np.arange(n + 2), volumes, 0.1, lot=lot)
        others = np.concatenate([[0.0], np.cumsum(volumes)])
        own = np.cumsum(np.abs(made.quantity))
        assert (own <= 0.1 * (own + others) * (1 + 1e-9) + 1e-9).all()
    elif kind == "ac":
        end = 5 * schedules.DAY_NS
        made = schedules.almgren_chriss(quantity, 0, end, n, PAPER, aversion / 10, lot=lot)
    else:
        made = schedules.implementation_shortfall(
            quantity, 0, schedules.DAY_NS, PAPER, aversion, lot=lot
        )
    assert made.quantity.sum() + made.unscheduled == pytest.approx(quantity, rel=1e-12)
    assert (made.quantity * np.sign(quantity) >= 0).all()
    assert (made.end > made.start).all()
    assert (made.start[1:] == made.end[:-1]).all()


def test_children_trade_by_the_engine_s_fill_model():
    """Four slices of 250 over four bars with 10 % participation: bars of 1,000 give 100 each.

    The rest of a slice ends with it; without a limit on participation the parent is filled.
    """
    name = client_order_id("paper", "s", "u", "A", 0)
    parent = OrderTerms(name, "s", "u", "A", 1_000.0, decided_at=0)
    children = schedules.twap(1_000.0, 0, 40, 4).children(parent, account="paper")
    assert len({child.client_id for child in children} | {name}) == 5
    assert sum(child.quantity for child in children) == parent.quantity
    market = [
        Bar(time=end, start=end - 9, open=10.0, high=10, low=10, close=10, volume=1_000)
        for end in (10, 20, 30, 40)
    ]
    free = schedules.fill_children(children, market, FillTerms(OrderCosts(half_spread_bps=10)))
    assert [fill.quantity for _, fill in free] == [250.0] * 4
    assert [fill.time for _, fill in free] == [10, 20, 30, 40]
    assert sum(fill.spread for _, fill in free) == pytest.approx(1_000 * 10 * 0.001)
    held = schedules.fill_children(
        children, market, FillTerms(instrument=Instruments(participation=0.1))
    )
    assert [fill.quantity for _, fill in held] == [100.0] * 4
