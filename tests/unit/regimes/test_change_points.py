"""Run lengths against brute force over all partitions, and planted changes."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import t as student

from btq_assets.config import RegimesSection
from btq_assets.regimes.change_points import PRIOR, change_points
from btq_assets.regimes.kernels import run_lengths


def _evidence(values: np.ndarray) -> float:
    """Marginal density of a run, as the product of Student predictives (Murphy 2007, eq. 110)."""
    mean, kappa, alpha, beta = PRIOR
    out = 1.0
    for x in values:
        out *= student.pdf(x, 2 * alpha, mean, math.sqrt(beta * (kappa + 1) / (alpha * kappa)))
        beta += kappa * (x - mean) ** 2 / (2 * (kappa + 1))
        mean = (kappa * mean + x) / (kappa + 1)
        kappa, alpha = kappa + 1, alpha + 0.5
    return out


def test_run_lengths_are_those_of_all_ways_to_cut_the_series():
    # Eight observations: 2^7 ways to place changes, each with prior hazard and evidence of its runs.
    random = np.random.default_rng(0)
    values = np.r_[random.normal(0, 0.3, 5), random.normal(2, 1, 3)]
    hazard, n = 0.2, len(values)
    weight = np.zeros(n + 1)
    for cuts in itertools.product((0, 1), repeat=n - 1):
        starts = [0, *(k + 1 for k, cut in enumerate(cuts) if cut), n]
        prior = hazard ** sum(cuts) * (1 - hazard) ** (n - 1 - sum(cuts))
        runs = itertools.pairwise(starts)
        weight[n - starts[-2]] += prior * math.prod(_evidence(values[a:b]) for a, b in runs)
    weight /= weight.sum()
    found = run_lengths(values, hazard, PRIOR, 3, 0.99, 0.0)[-1]
    assert found[0] == pytest.approx(weight[1:4].sum(), rel=1e-10)
    assert found[1] == pytest.approx((np.arange(n + 1) * weight).sum(), rel=1e-10)
    assert found[2] == weight.argmax()


def test_dropping_improbable_runs_changes_nothing_that_is_seen():
    random = np.random.default_rng(1)
    values = random.normal(0, np.where(np.arange(600) < 300, 1.0, 2.5))
    exact = run_lengths(values, 1 / 250, PRIOR, 21, 0.9, 0.0)
    pruned = run_lengths(values, 1 / 250, PRIOR, 21, 0.9, 1e-6)
    np.testing.assert_allclose(pruned[:, [0, 3]], exact[:, [0, 3]], atol=2e-3)


@pytest.mark.parametrize(
    ("mean", "deviation", "delay"), [(0.0, 0.03, 15), (0.02, 0.01, 15), (0.0, 0.004, 40)]
)
def test_a_planted_change_is_declared_soon_and_dated_well(mean, deviation, delay, market):
    # Volatility times 3, mean up two deviations, volatility times 0.4, after return 400.
    for seed in range(5):
        random = np.random.default_rng(seed)
        returns = random.normal(0, 0.01, 700)
        returns[400:] = random.normal(mean, deviation, 300)
        rows = change_points(market(returns), "us20", RegimesSection())
        stamps = rows["ts"].to_list()
        declared = rows.filter("is_change")
        # Rows begin after the warm-up of 252: return 400 is row 148.
        late = [stamps.index(ts) - 148 for ts in declared["ts"]]
        first = next(k for k, value in enumerate(late) if value >= 0)
        assert late[first] <= delay
        assert abs(stamps.index(declared["changed_at"][first]) - 148) <= 12
        assert sum(value < 0 for value in late) == 0


def test_without_a_change_few_are_declared(market):
    # 10 series of 748 sessions of normal noise: at most three false alarms among them all.
    alarms = 0
    for seed in range(10):
        returns = np.random.default_rng(100 + seed).normal(0, 0.01, 1_000)
        alarms += change_points(market(returns), "us20", RegimesSection())["is_change"].sum()
    assert alarms <= 3
