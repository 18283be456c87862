"""The relation graph: against numpy, and blind to what comes after its date."""

from __future__ import annotations

import numpy as np
import pytest

from btq_assets.models.graph import (
    PRIOR_SESSIONS,
    forward_sums,
    relation_graph,
    shrunk_correlation,
)

N_SESSIONS, N_ASSETS = 200, 6


@pytest.fixture(scope="module")
def returns() -> np.ndarray:
    """Asset 4 follows asset 1 by two sessions: what a forecast for one session can use."""
    random = np.random.default_rng(2)
    values = random.normal(0, 0.01, (N_SESSIONS, N_ASSETS)) + random.normal(
        0, 0.004, (N_SESSIONS, 1)
    )
    values[2:, 4] += 0.03 * np.sign(values[:-2, 1])
    return values


def graph_at(returns: np.ndarray, at: int, neighbours: int = 2):
    present = np.isfinite(returns)
    return relation_graph(
        returns, present, at, window=100, neighbours=neighbours, horizon_sessions=1
    )


def attributes_of(graph) -> dict[tuple[int, int], tuple[float, float]]:
    return {
        (int(a), int(b)): (float(x), float(y))
        for (a, b), (x, y) in zip(graph.edges.T, graph.attributes, strict=True)
    }


def test_correlation_is_numpys_times_the_shrinkage(returns: np.ndarray) -> None:
    found = shrunk_correlation(returns, returns)
    expected = np.corrcoef(returns.T) * N_SESSIONS / (N_SESSIONS + PRIOR_SESSIONS)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_missing_sessions_are_left_out_pairwise(returns: np.ndarray) -> None:
    ragged = returns.copy()
    ragged[:50, 0] = np.nan
    found = shrunk_correlation(ragged, ragged)[0, 3]
    assert found == pytest.approx(
        np.corrcoef(returns[50:, 0], returns[50:, 3])[0, 1] * 150 / (150 + PRIOR_SESSIONS)
    )
    never = np.full_like(returns, np.nan)
    assert (shrunk_correlation(never, returns) == 0).all()


def test_forward_sums_start_after_the_fill() -> None:
    # Decided at s, filled at s + 1, ended at s + 1 + 2: returns s + 2 and s + 3.
    values = np.array([[1.0], [2.0], [4.0], [8.0], [16.0], [32.0]])
    assert forward_sums(values, 2)[:, 0].tolist() == [12.0, 24.0, 48.0]


def test_lead_lag_edge_points_from_leader_to_follower(returns: np.ndarray) -> None:
    # corr(sign z, z) = sqrt(2 / pi) = 0.80, diluted by the follower's own noise to about 0.74, and
    # shrunk by 98 / 118.
    found = attributes_of(graph_at(returns, 150))
    assert 0.5 < found[1, 4][1] < 0.7
    assert abs(found.get((4, 1), (0.0, 0.0))[1]) < 0.4


def test_each_asset_has_a_loop_and_at_most_its_neighbours(returns: np.ndarray) -> None:
    graph = graph_at(returns, 150, neighbours=3)
    into = np.bincount(graph.edges[1], minlength=N_ASSETS)
    assert (into >= 1 + 3).all()
    assert (into <= 1 + 3 + 1).all()
    assert {(i, i) for i in range(N_ASSETS)} <= set(attributes_of(graph))


def test_later_returns_change_nothing(returns: np.ndarray) -> None:
    spoilt = returns.copy()
    spoilt[151:] = 99.0
    first, second = graph_at(returns, 150), graph_at(spoilt, 150)
    np.testing.assert_array_equal(first.edges, second.edges)
    np.testing.assert_array_equal(first.attributes, second.attributes)
    spoilt[150] = 99.0
    assert not np.array_equal(first.attributes, graph_at(spoilt, 150).attributes)


def test_permuting_assets_permutes_edges(returns: np.ndarray) -> None:
    order = np.array([3, 5, 0, 2, 4, 1])
    straight, permuted = graph_at(returns, 150), graph_at(returns[:, order], 150)
    renamed = {(order[a], order[b]): value for (a, b), value in attributes_of(permuted).items()}
    expected = attributes_of(straight)
    assert set(renamed) == set(expected)
    for edge, value in expected.items():
        assert renamed[edge] == pytest.approx(value, rel=1e-5)


def test_absent_assets_have_no_edges(returns: np.ndarray) -> None:
    ragged = returns.copy()
    ragged[150, 2] = np.nan
    assert not (graph_at(ragged, 150).edges == 2).any()
    early = graph_at(returns, 0)
    assert (early.edges[0] == early.edges[1]).all()


def relations_at(returns: np.ndarray, *relations: str, typed: bool = False, at: int = 150):
    """Sectors 0 for assets 0, 3 and 5, 1 for 1 and 2; that of 4 is not known."""
    sectors = np.tile([0, 1, 1, 0, -1, 0], (len(returns), 1))
    return relation_graph(
        returns,
        np.isfinite(returns),
        at,
        window=100,
        neighbours=2,
        horizon_sessions=1,
        relations=relations,
        sectors=sectors,
        typed=typed,
    )


def pairs_of(graph) -> set[tuple[int, int]]:
    return {(int(a), int(b)) for a, b in graph.edges.T if a != b}


def test_assets_of_a_sector_lead_into_each_other(returns: np.ndarray) -> None:
    found = relations_at(returns, "sector")
    in_first = {(a, b) for a in (0, 3, 5) for b in (0, 3, 5) if a != b}
    assert pairs_of(found) == in_first | {(1, 2), (2, 1)}
    assert not found.attributes.any()
    gone = returns.copy()
    gone[150, 3] = np.nan
    assert pairs_of(relations_at(gone, "sector")) == {(0, 5), (5, 0), (1, 2), (2, 1)}
    without = relation_graph(
        returns,
        np.isfinite(returns),
        150,
        window=100,
        neighbours=2,
        horizon_sessions=1,
        relations=("sector",),
    )
    assert pairs_of(without) == set()


def test_each_relation_can_be_left_out_with_all_it_says(returns: np.ndarray) -> None:
    whole = relations_at(returns, "correlation", "lead_lag", "sector", typed=True)
    assert whole.attributes.shape[1] == 5
    edges = [tuple(edge) for edge in whole.edges.T]
    union: set[tuple[int, int]] = set()
    for place, relation in enumerate(("correlation", "lead_lag", "sector")):
        alone = relations_at(returns, relation, typed=True)
        flagged = {
            edge for edge, row in zip(edges, whole.attributes, strict=True) if row[2 + place] == 1
        }
        assert flagged == pairs_of(alone)
        silent = {"correlation": [1], "lead_lag": [0], "sector": [0, 1]}[relation]
        assert not alone.attributes[:, silent].any()
        union |= flagged
    assert union == pairs_of(whole)
    loops = [
        row[2:] for edge, row in zip(edges, whole.attributes, strict=True) if len({*edge}) == 1
    ]
    assert not np.any(loops)


def test_without_any_relation_only_loops_are_left(returns: np.ndarray) -> None:
    assert pairs_of(relations_at(returns)) == set()
    assert relations_at(returns).edges.shape == (2, N_ASSETS)
