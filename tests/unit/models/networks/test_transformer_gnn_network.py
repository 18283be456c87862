"""The network: attention is causal, assets have no names, edges reach only where they lead."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from network_inputs import inputs_of  # noqa: E402

from btq_assets.models.networks.attention import (  # noqa: E402
    CausalSelfAttention,
    sinusoidal_positions,
)
from btq_assets.models.networks.transformer_gnn import TransformerGNN  # noqa: E402

torch.set_num_threads(1)

N_NODES, LENGTH, N_FEATURES = 5, 7, 3


@pytest.fixture(scope="module")
def network() -> TransformerGNN:
    torch.manual_seed(0)
    return TransformerGNN(N_FEATURES, dim=10, heads=4, layers=2, graph_heads=3, dropout=0.2).eval()


@pytest.fixture(scope="module")
def windows() -> torch.Tensor:
    return torch.randn(N_NODES, LENGTH, N_FEATURES, generator=torch.Generator().manual_seed(1))


#: A path 0 -> 1 -> 2, and 3 -> 4, each with a loop.
EDGES = torch.tensor([[0, 1, 2, 3, 4, 0, 1, 3], [0, 1, 2, 3, 4, 1, 2, 4]])
ATTRIBUTES = torch.randn(EDGES.shape[1], 2, generator=torch.Generator().manual_seed(2))


def mean(network: TransformerGNN, *inputs: torch.Tensor) -> torch.Tensor:
    return network(inputs_of(*inputs)).mean[:, 0]


def test_positions_are_those_of_the_paper() -> None:
    """PE(p, 2i) = sin(p / 10000^(2i/d)), PE(p, 2i+1) = cos(...); p counts back from the end."""
    found = sinusoidal_positions(4, 5).numpy()
    for row, column in product(range(4), range(5)):
        angle = (3 - row) / 10_000 ** ((column // 2 * 2) / 5)
        expected = math.sin(angle) if column % 2 == 0 else math.cos(angle)
        assert found[row, column] == pytest.approx(expected, abs=1e-6)


def test_attention_is_causal(network: TransformerGNN, windows: torch.Tensor) -> None:
    later = windows.clone()
    later[:, 4:] += 10.0
    first, second = network.encode(windows), network.encode(later)
    torch.testing.assert_close(first[:, :4], second[:, :4])
    assert not torch.allclose(first[:, 4:], second[:, 4:])


def test_last_token_alone_is_the_last_of_all(windows: torch.Tensor) -> None:
    attention = CausalSelfAttention(N_FEATURES, 2, 0.0)
    torch.testing.assert_close(attention(windows, last_only=True)[:, 0], attention(windows)[:, -1])


def test_permuting_nodes_permutes_outputs(network: TransformerGNN, windows: torch.Tensor) -> None:
    order = torch.tensor([3, 0, 4, 2, 1])
    place = torch.argsort(order)
    straight = mean(network, windows, EDGES, ATTRIBUTES)
    permuted = mean(network, windows[order], place[EDGES], ATTRIBUTES)
    torch.testing.assert_close(permuted, straight[order])


def test_removing_an_edge_changes_only_the_node_it_leads_to(
    network: TransformerGNN, windows: torch.Tensor
) -> None:
    whole = mean(network, windows, EDGES, ATTRIBUTES)
    keep = torch.arange(EDGES.shape[1]) != 5  # the edge 0 -> 1
    fewer = mean(network, windows, EDGES[:, keep], ATTRIBUTES[keep])
    changed = (whole - fewer).abs() > 1e-6
    assert changed.tolist() == [False, True, False, False, False]


def test_a_node_reads_its_sources_and_nobody_else(
    network: TransformerGNN, windows: torch.Tensor
) -> None:
    other = windows.clone()
    other[0] += 1.0
    changed = (
        mean(network, windows, EDGES, ATTRIBUTES) - mean(network, other, EDGES, ATTRIBUTES)
    ).abs() > 1e-6
    assert changed.tolist() == [True, True, False, False, False]


@pytest.mark.parametrize("dim", range(128, 513, 64))
def test_every_width_and_number_of_heads_builds_and_runs(dim: int) -> None:
    """All pairs of the promised search space, among them those that do not divide."""
    for heads in range(4, 17, 4):
        built = TransformerGNN(
            N_FEATURES, dim=dim, heads=heads, layers=1, graph_heads=heads, dropout=0.0
        )
        windows = torch.zeros(2, 3, N_FEATURES)
        loops = torch.tensor([[0, 1], [0, 1]])
        out = mean(built, windows, loops, torch.ones(2, 2))
        assert out.shape == (2,)
        assert bool(torch.isfinite(out).all())
        out.sum().backward()
        attention = built.layers[0].attention
        assert attention.head_dim == math.ceil(dim / heads)
    assert np.isfinite(out.detach().numpy()).all()
