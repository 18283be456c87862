"""Round trips against a case worked by hand and a queue written plainly."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btq_assets.engine import metrics
from btq_assets.engine.costs import CostModel
from btq_assets.engine.round_trips import round_trips
from btq_assets.engine.simulation import Simulation, simulate


def run(prices: np.ndarray, weights: np.ndarray, costs: CostModel) -> Simulation:
    return simulate(prices, prices, weights, costs, initial_cash=1_000.0, sizing="fill")


def test_two_lots_sold_first_in_first_out_by_hand():
    """Cash 1,000, no costs. Bar 1: all in at 10, 100 shares. Bar 2 at 12: half is sold, 50 shares.
    Bar 3 at 8: equity 50 * 8 + 600 = 1,000, all in again buys 75. Bar 4 at 16: all is sold.
    """
    prices = np.array([[10.0], [10.0], [12.0], [8.0], [16.0], [20.0]])
    weights = np.array([[1.0], [0.5], [1.0], [0.0], [np.nan], [np.nan]])
    trips = round_trips(run(prices, weights, CostModel()))
    assert trips["shares"] == pytest.approx([50, 50, 75])
    assert trips["entry_price"].tolist() == [10, 10, 8]
    assert trips["exit_price"].tolist() == [12, 16, 16]
    assert trips["profit"] == pytest.approx([100, 300, 600])
    assert trips["entry_bar"].tolist() == [1, 1, 3]
    assert trips["exit_bar"].tolist() == [2, 4, 4]
    # the second was worth 8 at bar 3: a fifth under water; the third never
    assert trips["mae"] == pytest.approx([0, 0.2, 0])
    assert trips["mfe"] == pytest.approx([0.2, 0.6, 1.0])
    assert not trips["is_open"].any()


def test_a_fill_through_zero_closes_one_side_and_opens_the_other():
    """Long 100 at 10 (bar 1), to short all equity at 20 (bar 2), valued at 15 at the end."""
    prices = np.array([[10.0], [10.0], [20.0], [15.0]])
    weights = np.array([[1.0], [-1.0], [np.nan], [np.nan]])
    trips = round_trips(run(prices, weights, CostModel()))
    assert trips["side"].tolist() == [1, -1]
    assert trips["shares"] == pytest.approx([100, 100])
    assert trips["profit"] == pytest.approx([1_000, 500])
    assert trips["is_open"].tolist() == [False, True]
    assert trips["mfe"] == pytest.approx([1.0, 0.25])


def plain_trips(simulation: Simulation) -> list[tuple[int, int, int, float, float]]:
    """Asset, entry bar, exit bar, signed shares, cost: a queue per asset."""
    found, queues = [], {}
    for fill in simulation.fills:
        queue = queues.setdefault(int(fill["asset"]), deque())
        paid = fill["commission"] + fill["spread_cost"] + np.nan_to_num(fill["impact_cost"])
        left, unit = float(fill["shares"]), float(paid / abs(fill["shares"]))
        while queue and left and np.sign(queue[0][1]) != np.sign(left):
            bar, held, cost = queue[0]
            taken = min(abs(held), abs(left))
            side = np.sign(held)
            found.append(
                (int(fill["asset"]), bar, int(fill["bar"]), side * taken, taken * (cost + unit))
            )
            queue[0] = (bar, held - side * taken, cost)
            left += side * taken
            if abs(queue[0][1]) < 1e-9:
                queue.popleft()
            left = 0.0 if abs(left) < 1e-9 else left
        if left:
            queue.append((int(fill["bar"]), left, unit))
    last = simulation.equity.size - 1
    for asset, queue in queues.items():
        found += [(asset, bar, last, held, abs(held) * cost) for bar, held, cost in queue]
    return sorted(found)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_trips_are_those_of_a_plain_queue_and_sum_to_equity(seed):
    random = np.random.default_rng(seed)
    prices = 50 * np.exp(np.cumsum(random.normal(0, 0.03, (60, 3)), axis=0))
    weights = np.full((60, 3), np.nan)
    weights[::4] = random.uniform(-0.3, 0.33, (15, 3))
    done = run(prices, weights, CostModel(commission_bps=10, half_spread_bps=5))
    trips = round_trips(done)
    earned = trips["profit"].sum()
    assert earned == pytest.approx(done.equity[-1] - 1_000, abs=1e-8)
    ours = sorted(
        zip(
            trips["asset"].tolist(),
            trips["entry_bar"].tolist(),
            trips["exit_bar"].tolist(),
            (trips["shares"] * trips["side"]).tolist(),
            trips["cost"].tolist(),
            strict=True,
        )
    )
    theirs = plain_trips(done)
    assert len(ours) == len(theirs)
    assert np.array(ours) == pytest.approx(np.array(theirs), rel=1e-7, abs=1e-9)
    for trip in trips:
        path = [
            trip["entry_price"],
            *done.marks[trip["entry_bar"] : trip["exit_bar"], trip["asset"]],
            trip["exit_price"],
        ]
        assert trip["mae"] == pytest.approx(metrics.calculate_mae(path, int(trip["side"])))
        assert trip["mfe"] == pytest.approx(metrics.calculate_mfe(path, int(trip["side"])))


def test_no_fill_no_trip():
    assert round_trips(run(np.full((3, 1), 10.0), np.full((3, 1), np.nan), CostModel())).size == 0
