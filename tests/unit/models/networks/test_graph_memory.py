"""Temporal graph network: the paper's equations, stale memories, what happened long ago next door."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from network_inputs import inputs_of  # noqa: E402

from btq_assets.models.deep.graph_memory import TGNSpec  # noqa: E402
from btq_assets.models.forecaster import ModelError  # noqa: E402
from btq_assets.models.networks.graph_memory import TGN, GraphMemory  # noqa: E402

torch.set_num_threads(1)

DIM, TIME, LENGTH, N_FEATURES = 4, 3, 5, 2

#: Two sources into 2, one into 1, loops.
EDGES = np.array([[0, 1, 2, 0, 1, 0], [0, 1, 2, 2, 2, 1]])

#: Asset 0 has no bar in sessions 1 and 2, asset 1 none in session 3.
OBSERVED = np.array([[1, 0, 0, 1, 1], [1, 1, 1, 0, 1], [1, 1, 1, 1, 1]], dtype=bool)


def of(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def test_memory_is_that_of_the_paper_event_by_event() -> None:
    """Rossi et al. (2020), eqs. 1, 3 and 4, with the GRU of Cho et al. (2014) written out."""
    torch.manual_seed(0)
    layer = GraphMemory(N_FEATURES, dim=DIM, time_dim=TIME, n_attributes=2).double()
    windows = of(3, LENGTH, N_FEATURES).double()
    attributes = of(EDGES.shape[1], 2, seed=2).double()
    found, found_span = layer(
        windows, torch.from_numpy(OBSERVED), torch.from_numpy(EDGES), attributes
    )
    weight = {name: value.detach().numpy() for name, value in layer.named_parameters()}

    def time_of(span: float) -> np.ndarray:
        return np.cos(weight["time.frequency"] * span + weight["time.phase"])

    x, on_edge = windows.numpy(), attributes.numpy()
    memory, written = np.zeros((3, DIM)), np.full(3, -1)
    for session in range(LENGTH):
        before = memory.copy()
        spans = session - written
        for node in np.flatnonzero(OBSERVED[:, session]):
            messages = []
            for edge in range(EDGES.shape[1]):
                source, target = EDGES[:, edge]
                if target != node or source == node or not OBSERVED[source, session]:
                    continue
                raw = [before[node], before[source], x[source, session], time_of(spans[source])]
                joined = np.concatenate([*raw, on_edge[edge]])
                messages.append(
                    np.maximum(weight["message.weight"] @ joined + weight["message.bias"], 0)
                )
            heard = np.mean(messages, axis=0) if messages else np.zeros(DIM)
            event = np.concatenate([x[node, session], time_of(spans[node]), heard])
            into = weight["cell.weight_ih"] @ event + weight["cell.bias_ih"]
            past = weight["cell.weight_hh"] @ before[node] + weight["cell.bias_hh"]
            (r_in, z_in, n_in), (r_past, z_past, n_past) = np.split(into, 3), np.split(past, 3)
            reset, update = sigmoid(r_in + r_past), sigmoid(z_in + z_past)
            new = np.tanh(n_in + reset * n_past)
            memory[node] = (1 - update) * new + update * before[node]
        written[OBSERVED[:, session]] = session
    np.testing.assert_allclose(found.detach().numpy(), memory, rtol=1e-6)
    np.testing.assert_array_equal(found_span.detach().numpy(), LENGTH - 1 - written)


def test_a_session_without_a_bar_is_never_read() -> None:
    torch.manual_seed(0)
    layer = GraphMemory(N_FEATURES, dim=DIM, time_dim=TIME, n_attributes=2)
    windows, edges = of(3, LENGTH, N_FEATURES), torch.from_numpy(EDGES)
    other = windows.clone()
    other[~torch.from_numpy(OBSERVED)] = 9.0
    attributes = torch.ones(EDGES.shape[1], 2)
    first, second = (
        layer(each, torch.from_numpy(OBSERVED), edges, attributes)[0] for each in (windows, other)
    )
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_permuting_nodes_permutes_outputs() -> None:
    torch.manual_seed(0)
    network = TGN(N_FEATURES, dim=6, heads=2, time_dim=TIME, n_attributes=2, dropout=0.2).eval()
    windows, edges = of(3, LENGTH, N_FEATURES), torch.from_numpy(EDGES)
    attributes, order = of(EDGES.shape[1], 2, seed=2), torch.tensor([2, 0, 1])
    observed = torch.from_numpy(OBSERVED)
    straight = network(inputs_of(windows, edges, attributes, observed=observed)).mean
    permuted = network(
        inputs_of(windows[order], torch.argsort(order)[edges], attributes, observed=observed[order])
    ).mean
    torch.testing.assert_close(permuted, straight[order])


@pytest.mark.parametrize("with_edges", [True, False])
def test_what_happened_ten_sessions_ago_next_door_is_remembered(with_edges: bool) -> None:
    """The target is what a neighbour did in the first of ten sessions; noise since.

    Without the edge nothing is known: the mean square error of +-1 is 1.
    """
    torch.manual_seed(0)
    pairs, length = 64, 10
    random = torch.Generator().manual_seed(3)
    network = TGN(1, dim=12, heads=2, time_dim=4, n_attributes=2, dropout=0.0)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-2)
    each = torch.arange(2 * pairs)
    across = torch.stack([each, each.view(-1, 2).flip(1).flatten()])
    loops = torch.stack([each, each])
    edges = torch.cat([loops, across], dim=1) if with_edges else loops
    # Three sessions in, one more without a bar.
    observed = torch.ones(2 * pairs, length, dtype=torch.bool)
    observed[:, 3] = False
    losses = []
    for _ in range(120):
        windows = 0.1 * torch.randn(2 * pairs, length, 1, generator=random)
        windows[:, 0] = torch.randint(0, 2, (2 * pairs, 1), generator=random) * 2.0 - 1
        target = windows[:, 0].view(-1, 2).flip(1).reshape(-1, 1)
        inputs = inputs_of(windows, edges, torch.ones(edges.shape[1], 2), observed=observed)
        loss = (network(inputs).mean - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    last = float(np.mean(losses[-10:]))
    assert last < 0.1 if with_edges else last > 0.9, last


def test_relations_it_cannot_follow_are_named() -> None:
    with pytest.raises(ModelError, match="take 'learned' out"):
        TGNSpec(relations=("correlation", "learned"))
