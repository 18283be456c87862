"""Rotary positions: the paper's matrices, and attention that knows distances alone."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from network_inputs import inputs_of  # noqa: E402

from btq_assets.models.networks.attention import CausalSelfAttention, rotated  # noqa: E402
from btq_assets.models.networks.transformer_gnn import TransformerGNN  # noqa: E402

torch.set_num_threads(1)


def of(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("width", [2, 6, 7])
def test_channels_are_turned_by_the_matrix_of_the_paper(width: int) -> None:
    """Su et al. (2021), eq. 15: blocks of two, turned by m theta_i, theta_i = 10000^(-2(i-1)/d)."""
    values = of(5, width).double()
    found = rotated(values).numpy()
    even = width // 2 * 2
    for m in range(5):
        matrix = np.eye(width)
        for i in range(1, even // 2 + 1):
            angle = m * 10_000 ** (-2 * (i - 1) / even)
            block = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
            matrix[2 * i - 2 : 2 * i, 2 * i - 2 : 2 * i] = block
        np.testing.assert_allclose(found[m], matrix @ values[m].numpy(), atol=1e-6)


def test_products_depend_on_the_distance_alone() -> None:
    """Eq. 16: the same query and key at every place give a matrix constant along its diagonals."""
    query, key = of(6).double(), of(6, seed=2).double()
    turned = rotated(query.expand(9, 6)) @ rotated(key.expand(9, 6)).T
    for distance in range(-8, 9):
        diagonal = torch.diagonal(turned, distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-5, rtol=0)
    assert turned[0].std() > 0.1


def test_attention_is_the_formula_with_turned_queries_and_keys() -> None:
    """softmax(q k / sqrt(d)) v over the past, head by head, in numpy."""
    torch.manual_seed(0)
    layer = CausalSelfAttention(6, 2, 0.0, rotary=True).double()
    tokens = of(1, 4, 6).double()
    found = layer(tokens)
    torch.testing.assert_close(layer(tokens, last_only=True)[:, 0], found[:, -1])
    query = layer.query(tokens)[0].detach()
    key, value = (part.detach() for part in layer.key_value(tokens)[0].chunk(2, dim=-1))
    mixed = np.zeros((4, 6))
    for head in range(2):
        part = slice(3 * head, 3 * head + 3)
        scores = (rotated(query[:, part]) @ rotated(key[:, part]).T).numpy() / math.sqrt(3)
        scores[np.triu_indices(4, 1)] = -np.inf
        share = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        mixed[:, part] = share @ value[:, part].numpy()
    expected = layer.out(torch.from_numpy(mixed))[None]
    torch.testing.assert_close(found, expected)


def test_the_network_forecasts_causally_and_knows_order() -> None:
    torch.manual_seed(0)
    network = TransformerGNN(
        3, dim=10, heads=4, layers=2, graph_heads=2, dropout=0.0, rotary=True
    ).eval()
    windows = of(4, 6, 3)
    later = windows.clone()
    later[:, 4:] += 5.0
    torch.testing.assert_close(network.encode(windows)[:, :4], network.encode(later)[:, :4])
    swapped = windows[:, [1, 0, 2, 3, 4, 5]]
    first, second = (network(inputs_of(each)).mean for each in (windows, swapped))
    assert not torch.allclose(first, second, atol=1e-5)
