"""Both tests against hand-worked values and their size; planted breaks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import chi2, norm

from btq_assets.config import RegimesSection
from btq_assets.regimes import correlation_breaks as room


def _matrix(value: float) -> np.ndarray:
    return np.array([[1.0, value], [value, 1.0]])


def test_jennrich_of_one_pair_by_hand():
    # Two symbols, correlations r1 and r2 from n sessions each: Jennrich's terms one by one.
    n, r1, r2 = 100, 0.6, 0.2
    r = (r1 + r2) / 2
    d = math.sqrt(n / 2) * (r1 - r2)
    # R^-1 (R1 - R2) = d / (1 - r^2) [[-r, 1], [1, -r]].
    half_trace = d**2 * (1 + r**2) / (1 - r**2) ** 2
    # S = I + R o R^-1 has rows summing to 1 + (1 - r^2) / (1 - r^2) = 2; dg(Z) is constant.
    correction = 2 * (d * r / (1 - r**2)) ** 2 / 2
    found = room.jennrich(_matrix(r1), _matrix(r2), n, n)
    assert found.statistic == pytest.approx(half_trace - correction, rel=1e-12)
    assert found.degrees_of_freedom == 1
    assert found.p_value == pytest.approx(chi2.sf(found.statistic, 1), rel=1e-9)
    # For one pair the statistic is (r1 - r2)^2 over its asymptotic variance 2 (1 - r^2)^2 / n.
    assert found.statistic == pytest.approx(n * (r1 - r2) ** 2 / (2 * (1 - r**2) ** 2), rel=1e-12)


def test_larntz_perlman_of_one_pair_is_fishers_test():
    # Fisher (1921): difference of z over sqrt(2 / (n - 3)), two-sided.
    found = room.larntz_perlman(_matrix(0.6), _matrix(0.2), 100, 100)
    z = (math.atanh(0.6) - math.atanh(0.2)) / math.sqrt(2 / 97)
    assert found.statistic == pytest.approx(z)
    assert found.p_value == pytest.approx(2 * norm.sf(z))
    assert found.pair == (0, 1)


def test_equal_matrices_are_not_rejected_and_singular_ones_not_inverted():
    same = _matrix(0.5)
    assert room.jennrich(same, same, 60, 60).statistic == 0
    assert room.jennrich(same, same, 60, 60).p_value == 1
    assert room.larntz_perlman(same, same, 60, 60).p_value == pytest.approx(1)
    ones = np.ones((2, 2))
    assert room.jennrich(ones, ones, 60, 60) is None


@pytest.mark.parametrize("tails", ["normal", "student_3"])
def test_a_true_hypothesis_is_rejected_about_as_often_as_stated(tails):
    # 400 pairs of windows of 126 sessions of 6 correlated symbols. Student's t with 3 degrees is
    # wild for all symbols at once; uncorrected, Jennrich's test rejects 40 % of it at 5 %.
    random = np.random.default_rng(0)
    lower = np.linalg.cholesky(np.full((6, 6), 0.4) + 0.6 * np.eye(6))
    rejected = np.zeros(2)
    for _ in range(400):
        moves = random.normal(size=(252, 6)) @ lower.T
        if tails == "student_3":
            moves /= np.sqrt(random.chisquare(3, (252, 1)) / 3)
        scores = room.normal_scores(moves[:126]), room.normal_scores(moves[126:])
        before, after = (np.corrcoef(half, rowvar=False) for half in scores)
        kurtosis = room.common_kurtosis(np.concatenate(scores))
        rejected += [
            room.jennrich(before, after, 126, 126, kurtosis).p_value < 0.05,
            room.larntz_perlman(before, after, 126, 126, kurtosis).p_value < 0.05,
        ]
    assert (rejected / 400 <= (0.09 if tails == "normal" else 0.13)).all(), rejected / 400
    assert rejected[0] / 400 >= 0.01


def test_ranks_of_ties_are_scipys_and_kurtosis_of_normal_scores_is_none():
    from scipy.stats import rankdata

    window = np.array([[1.0, 2.0], [1.0, 3.0], [5.0, 1.0]])
    np.testing.assert_allclose(
        room.normal_scores(window), norm.ppf(rankdata(window, axis=0) / 4), rtol=1e-12
    )
    many = np.random.default_rng(1).normal(size=(20_000, 4))
    assert room.common_kurtosis(many) == pytest.approx(0, abs=0.02)
    # Multivariate t with 10 degrees: 2 / (10 - 4) (Muirhead 1982, section 1.5).
    wild = many / np.sqrt(np.random.default_rng(2).chisquare(10, (20_000, 1)) / 10)
    assert room.common_kurtosis(wild - wild.mean(axis=0)) == pytest.approx(1 / 3, abs=0.08)


@pytest.mark.parametrize(("before", "after"), [(0.1, 0.7), (0.7, 0.1)])
def test_a_planted_break_is_found_within_a_window_and_dated(before, after, market):
    # Correlation of all pairs changes after return 500; windows of 126, tested every 10 sessions.
    random = np.random.default_rng(1)
    level = np.where(np.arange(800) < 500, before, after)[:, None]
    moves = np.sqrt(level) * random.normal(size=(800, 1)) + np.sqrt(1 - level) * random.normal(
        size=(800, 5)
    )
    rows = room.correlation_breaks(market(0.01 * moves), "us20", RegimesSection())
    stamps = market(0.01 * moves)["ts"].unique().sort().to_list()
    found = [stamps.index(ts) - 501 for ts in rows.filter("is_break")["ts"]]
    assert len(found) >= 1
    assert 0 <= found[0] <= 63
    assert all(late < 260 for late in found)
    row = rows.filter("rejected").sort("p_value").row(0, named=True)
    assert abs(stamps.index(row["boundary"]) - 500) <= 40
    assert np.sign(row["correlation_after"] - row["correlation_before"]) == np.sign(after - before)


def test_the_pair_that_broke_is_named_where_symbols_outnumber_sessions(market):
    random = np.random.default_rng(2)
    moves = random.normal(size=(120, 40))
    moves[60:, 7] = 0.98 * moves[60:, 3] + 0.2 * moves[60:, 7]
    settings = RegimesSection(
        correlation_breaks={
            "test": "larntz_perlman",
            "window_sessions": 60,
            "max_symbols": 40,
            "every_sessions": 1,
        }
    )
    row = room.correlation_breaks(market(0.01 * moves), "us20", settings).row(0, named=True)
    assert {row["symbol_a"], row["symbol_b"]} == {"S3", "S7"}
    assert row["is_break"]
    assert row["n_symbols"] == 40
