"""Structure of a universe against scikit-learn and scipy, closed forms and planted structure."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from btq_assets.config import TradingConfig
from btq_assets.features import cross_asset_structure as family
from btq_assets.features import sector_relative, structure
from btq_assets.features.definitions import prepare
from btq_assets.features.windows import panels, simple_returns

CONFIG = TradingConfig(features={"correlation_window_sessions": 60})


def bars_of(returns: np.ndarray, make_bars) -> pl.DataFrame:
    """Bars with these returns, ``(T, N)``."""
    bars = make_bars(returns.shape[1], returns.shape[0])
    close = np.cumprod(1 + returns, axis=0).T.ravel()
    return bars.with_columns(adj_close=pl.Series(close))


def noise(n=120, m=6, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, m))


def test_shrinkage_is_that_of_scikit_learn():
    from sklearn.covariance import OAS, LedoitWolf

    for seed, mix in ((0, 0.0), (1, 1.0), (2, 5.0)):
        x = noise(80, 10, seed)
        z = structure.standardised(x + mix * x[:, :1])
        ours, theirs = structure.ledoit_wolf(z), LedoitWolf(assume_centered=True).fit(z)
        assert ours == pytest.approx(theirs.shrinkage_, rel=1e-9)
        np.testing.assert_allclose(
            structure.shrunk_correlation(z, ours), theirs.covariance_, atol=1e-12
        )
        oas = OAS(assume_centered=True).fit(z).shrinkage_
        assert structure.oracle_approximation(z) == pytest.approx(oas, rel=1e-9)


def test_graph_measures_by_hand():
    c = np.array([[1, 0.9, 0.1], [0.9, 1, 0.2], [0.1, 0.2, 1]])
    assert structure.network_degree(c, 100).tolist() == [0.5, 0.5, 0]  # ties above 0.2
    q = np.array([0.9, 0.1])
    assert structure.network_entropy(c)[0] == pytest.approx(-(q * np.log(q)).sum() / math.log(2))
    d = structure.distances(c)
    assert d[0, 1] == pytest.approx(math.sqrt(0.05))
    # The tree joins 0 and 1, then 2 to 1: the asset in the middle touches both others.
    assert structure.spanning_tree_degree(d).tolist() == [0.5, 1, 0.5]


def test_the_spanning_tree_is_as_light_as_that_of_scipy():
    from scipy.sparse.csgraph import minimum_spanning_tree

    for seed in range(5):
        d = structure.distances(np.corrcoef(noise(40, 9, seed).T))
        tree = minimum_spanning_tree(d).toarray()
        degree = ((tree > 0).sum(axis=0) + (tree > 0).sum(axis=1)) / 8
        np.testing.assert_allclose(structure.spanning_tree_degree(d), degree)


def test_planted_clusters_are_found_and_measured_as_scikit_learn_does():
    from sklearn.metrics import silhouette_samples

    random = np.random.default_rng(3)
    factors = random.normal(size=(200, 2))
    x = np.repeat(factors, 4, axis=1) + 0.5 * random.normal(size=(200, 8))
    d = structure.distances(np.corrcoef(x.T))
    label = structure.clusters(d)
    assert [len(set(label[:4])), len(set(label[4:])), len(set(label))] == [1, 1, 2]
    own, nearest, silhouette = structure.cluster_distances(d, label)
    np.testing.assert_allclose(silhouette, silhouette_samples(d, label, metric="precomputed"))
    assert (own < nearest).all()
    assert own[0] == pytest.approx(d[0, 1:4].mean())
    assert nearest[0] == pytest.approx(d[0, 4:].mean())


def test_clusters_are_matched_whatever_they_are_called():
    members = np.arange(6)
    before = np.array([0, 0, 0, 1, 1, 2])
    renamed = np.array([2, 2, 2, 0, 0, 1])
    assert structure.cluster_overlap(renamed, members, before, members).tolist() == [1] * 6
    # Asset 2 joins {3, 4}: {0, 1} shares 2 of 3 with its match, {2, 3, 4} 2 of 3, {5} all.
    moved = np.array([0, 0, 1, 1, 1, 2])
    np.testing.assert_allclose(
        structure.cluster_overlap(moved, members, before, members), [2 / 3] * 5 + [1]
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_a_planted_lead_is_found(sign):
    # Asset 0 moves a session before asset 1; asset 2 does as it likes.
    z = noise(500, 3, 4)
    z[1:, 1] = sign * z[:-1, 0] + 0.3 * z[1:, 1]
    found = structure.leads(structure.standardised(z))
    assert found.correlation[0] > 0.2
    assert found.correlation[1] < -0.2
    assert abs(found.correlation[2]) < 0.2
    assert np.sign(found.pull[0, 1]) == sign
    assert abs(found.pull[0, 1]) > 0.8
    np.testing.assert_allclose(np.abs(found.pull).sum(axis=0), 1)
    levy = structure.leads(structure.standardised(z[:, :2])).levy
    assert np.sign(levy[0]) == sign
    assert levy[0] == pytest.approx(-levy[1])


def test_the_levy_area_of_a_circle_is_its_area():
    # X = (sin, -cos) runs once around the unit circle: the area is pi; divided here by n and the
    # deviations of the steps.
    angle = np.linspace(0, 2 * np.pi, 4_001)
    path = np.column_stack([np.sin(angle), -np.cos(angle)])
    steps = np.diff(path, axis=0)
    expected = np.pi / (len(steps) * steps[:, 0].std() * steps[:, 1].std())
    assert abs(structure.leads(structure.standardised(steps)).levy[0]) == pytest.approx(expected, rel=1e-3)  # fmt: skip


def test_residuals_are_what_a_regression_on_the_factors_leaves():
    z = structure.standardised(noise(100, 8, 5) + noise(100, 1, 6))
    vectors = structure.loadings(z)
    assert vectors.shape == (8, 2)
    holed = z.copy()
    holed[3, 2] = np.nan
    found = structure.residuals(holed, vectors)
    for row in (0, 3):
        there = np.isfinite(holed[row])
        fit = np.linalg.lstsq(vectors[there], z[row, there], rcond=None)[0]
        np.testing.assert_allclose(found[row, there], z[row, there] - vectors[there] @ fit, atol=1e-12)  # fmt: skip
    assert np.isnan(found[3, 2])
    holed[4, :6] = np.nan
    assert np.isnan(structure.residuals(holed, vectors)[4]).all()


def test_the_absorption_ratio_is_the_share_of_the_leading_fifth():
    from sklearn.decomposition import PCA

    x = noise(100, 10, 7) + noise(100, 1, 8)
    expected = PCA().fit(x).explained_variance_ratio_[:2].sum()
    assert structure.absorption_ratio(np.cov(x.T)[None])[0] == pytest.approx(expected)


@pytest.fixture(scope="module")
def world(pytestconfig):
    shared = str(pytestconfig.rootpath / "tests" / "conftest.py")
    plugins = pytestconfig.pluginmanager.get_plugins()
    make_bars = next(p for p in plugins if getattr(p, "__file__", None) == shared).make_bars
    random = np.random.default_rng(9)
    returns = 0.01 * (random.normal(size=(400, 8)) + random.normal(size=(400, 1)))
    bars = bars_of(returns, make_bars)
    return bars, family.compute(bars, CONFIG)


def test_a_month_is_seen_from_its_first_session_and_held(world):
    bars, frame = world
    one = frame.filter(symbol="S00")
    opens = family.months(one["ts"])
    (panel,) = panels(simple_returns(prepare(bars)), "_simple")
    session = int(opens[10])
    z = structure.standardised(panel.values[session - 59 : session + 1])
    shrinkage = structure.ledoit_wolf(z)
    month = one.slice(session, int(opens[11]) - session)
    assert month["shrinkage_ledoit_wolf"].n_unique() == 1
    assert month["shrinkage_ledoit_wolf"][0] == pytest.approx(shrinkage)
    mean = (structure.shrunk_correlation(z, shrinkage)[0].sum() - 1) / 7
    assert month["shrunk_mean_correlation"].max() == pytest.approx(mean)
    # What the others did today, weighted by how they led.
    deviation = panel.values[session - 59 : session + 1].std(axis=0, ddof=1)
    pulled = (panel.values[session + 3] / deviation) @ structure.leads(z).pull[:, 0]
    assert month["leaders_return_1d"][3] == pytest.approx(pulled)


def test_factors_explain_only_what_comes_after_them(world):
    bars, frame = world
    (panel,) = panels(simple_returns(prepare(bars)), "_simple")
    opens = family.months(panel.ts)
    residual = np.full(panel.values.shape, np.nan)
    for t in range(100, 400):
        start = int(opens[opens < t].max())  # never the fit of the session itself
        window = panel.values[start - 59 : start + 1]
        vectors = structure.loadings(structure.standardised(window))
        scaled = panel.values[t] / window.std(axis=0, ddof=1)
        residual[t] = scaled - vectors @ (vectors.T @ scaled)
    last = frame.filter(ts=frame["ts"].max()).sort("symbol")
    np.testing.assert_allclose(
        last["pca_residual_return_21d"], residual[-21:].sum(axis=0) / math.sqrt(21), rtol=1e-8
    )
    year = residual[400 - 252 : 400 - 21]
    np.testing.assert_allclose(
        last["pca_residual_momentum_12_1"],
        year.sum(axis=0) / (year.std(axis=0, ddof=1) * math.sqrt(231)),
        rtol=1e-8,
    )


def test_absorption_moves_every_session_and_shifts_in_its_own_deviations(world):
    bars, frame = world
    (panel,) = panels(simple_returns(prepare(bars)), "_simple")
    one = frame.filter(symbol="S03")
    ratio = structure.absorption_ratio(np.cov(panel.values[-60:].T)[None])[0]
    assert one["absorption_ratio"][-1] == pytest.approx(ratio)
    year = one["absorption_ratio"][-252:].to_numpy()
    expected = (year[-15:].mean() - year.mean()) / year.std(ddof=1)
    assert one["absorption_shift"][-1] == pytest.approx(expected)


def test_a_cluster_is_the_yardstick_of_its_members(world):
    bars, frame = world
    (panel,) = panels(simple_returns(prepare(bars)), "_simple")
    session = int(family.months(panel.ts)[-1])
    z = structure.standardised(panel.values[session - 59 : session + 1])
    correlation = structure.shrunk_correlation(z, structure.ledoit_wolf(z))
    label = structure.clusters(structure.distances(correlation))
    price = np.vstack([np.ones(8), np.cumprod(1 + panel.values[1:], axis=0)])
    month = price[-1] / price[-22] - 1
    last = frame.filter(ts=frame["ts"].max()).sort("symbol")["cluster_relative_return_21d"]
    for asset in range(8):
        rest = (label == label[asset]) & (np.arange(8) != asset)
        expected = month[asset] - month[rest].mean() if rest.any() else None
        assert last[asset] == (None if expected is None else pytest.approx(expected, abs=1e-10))


def test_sectors_are_compared_within_and_without_one_nothing_is_said(world):
    bars, _ = world
    instruments = pl.DataFrame(
        {
            "universe": "test",
            "symbol": [f"S{n:02d}" for n in range(8)],
            "sector": ["a", "a", "a", "b", "b", None, None, "alone"],
        }
    )
    frame = sector_relative.compute(bars, instruments)
    last = frame.filter(ts=frame["ts"].max()).sort("symbol")["sector_relative_return_5d"]
    wide = bars.pivot(on="symbol", index="ts", values="adj_close").sort("ts").drop("ts").to_numpy()
    week = wide[-1] / wide[-6] - 1
    assert last[0] == pytest.approx(week[0] - (week[1] + week[2]) / 2)
    assert last[4] == pytest.approx(week[4] - week[3])
    assert last[5:].to_list() == [None] * 3
    assert sector_relative.compute(bars, instruments.clear())["sector_relative_return_5d"].is_null().all()  # fmt: skip


def test_fewer_than_three_assets_have_no_graph(make_bars):
    frame = family.compute(make_bars(2, 300), CONFIG)
    assert frame["network_degree"].is_null().all()
    assert frame["return_5d_rank"].is_not_null().any()


def test_a_shorter_history_gives_the_same_tail(world):
    bars, frame = world
    longer = pl.concat([bars]).sort("ts")
    sessions = longer["ts"].unique().sort()
    memory = family.memory_sessions(60)
    assert memory < 400
    tail = family.compute(longer.filter(pl.col("ts") >= sessions[400 - memory - 1]), CONFIG)
    newest = frame.filter(pl.col("ts") == sessions[-1])
    assert_frame_equal(
        tail.filter(pl.col("ts") == sessions[-1]), newest, rel_tol=1e-10, abs_tol=1e-12
    )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), m=st.integers(3, 9))
def test_measures_stay_within_their_bounds_and_leads_cancel(seed, m):
    z = structure.standardised(noise(30, m, seed))
    shrinkage = structure.ledoit_wolf(z)
    assert 0 <= shrinkage <= 1
    assert 0 <= structure.oracle_approximation(z) <= 1
    correlation = structure.shrunk_correlation(z, shrinkage)
    entropy = structure.network_entropy(correlation)
    if shrinkage < 1:  # wholly shrunk, nothing is tied to anything
        assert ((entropy >= 0) & (entropy <= 1 + 1e-12)).all()
    d = structure.distances(correlation)
    label = structure.clusters(d)
    silhouette = structure.cluster_distances(d, label)[2]
    # Where all correlations are shrunk away there is one cluster, and no nearest other.
    assert not (np.abs(silhouette) > 1).any()
    found = structure.leads(z)
    # Every lead is someone's lag.
    assert abs(found.levy.sum()) < 1e-9
    assert abs(found.correlation.sum()) < 1e-9
