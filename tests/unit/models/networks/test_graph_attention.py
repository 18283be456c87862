"""Graph attention: the paper's equation, assets without names, what only a graph can tell."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")

from network_inputs import inputs_of  # noqa: E402

from btq_assets.models.catalogue import FAMILIES  # noqa: E402
from btq_assets.models.networks.graph_attention import GAT, GraphAttentionLayer  # noqa: E402

torch.set_num_threads(1)

DIM, HEADS, N_ATTRIBUTES = 5, 2, 2

#: A path 0 -> 1 -> 2 -> 3, two more edges into 3, and loops.
EDGES = np.array([[0, 1, 2, 3, 0, 1, 2, 0, 1], [0, 1, 2, 3, 1, 2, 3, 3, 3]])


@pytest.fixture(scope="module")
def network() -> GAT:
    torch.manual_seed(0)
    return GAT(3, 4, dim=DIM, layers=2, heads=HEADS, n_attributes=N_ATTRIBUTES, dropout=0.3).eval()


def of_nodes(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_layer_is_the_equation_of_the_paper() -> None:
    """Brody et al. (2022), eq. 7 and the softmax of eq. 3, node by node and edge by edge.

    ``W = [W_r || W_l]`` of the paper, with ``W_e`` on the attributes; then what this layer adds:
    norm before, ELU, projection, residual.
    """
    torch.manual_seed(3)
    layer = GraphAttentionLayer(DIM, HEADS, N_ATTRIBUTES, 0.0).double().eval()
    states = of_nodes(4, DIM).double()
    attributes = of_nodes(EDGES.shape[1], N_ATTRIBUTES, seed=2).double()
    found = layer(states, torch.from_numpy(EDGES), attributes).detach().numpy()

    weight = {name: value.detach().numpy() for name, value in layer.named_parameters()}
    h = states.numpy()
    mean, variance = h.mean(axis=1, keepdims=True), h.var(axis=1, keepdims=True)
    h = (h - mean) / np.sqrt(variance + 1e-5) * weight["norm.weight"] + weight["norm.bias"]
    source = h @ weight["attention.lin_l.weight"].T + weight["attention.lin_l.bias"]
    target = h @ weight["attention.lin_r.weight"].T + weight["attention.lin_r.bias"]
    on_edge = attributes.numpy() @ weight["attention.lin_edge.weight"].T
    a = weight["attention.att"][0]
    width = a.shape[1]
    gathered = np.zeros((4, HEADS * width))
    for node in range(4):
        into = np.flatnonzero(EDGES[1] == node)
        for head in range(HEADS):
            part = slice(head * width, (head + 1) * width)
            inner = target[node, part] + source[EDGES[0, into], part] + on_edge[into, part]
            score = np.where(inner > 0, inner, 0.2 * inner) @ a[head]
            alpha = np.exp(score) / np.exp(score).sum()
            gathered[node, part] = alpha @ source[EDGES[0, into], part]
    gathered += weight["attention.bias"]
    elu = np.where(gathered > 0, gathered, np.expm1(gathered))
    expected = states.numpy() + elu @ weight["mix.weight"].T + weight["mix.bias"]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_attention_is_dynamic() -> None:
    """Brody et al. (2022), theorem 2: which source weighs most may depend on the target.

    In the first GAT the ranking of the sources is the same for every target.
    """
    torch.manual_seed(0)
    conv = GraphAttentionLayer(DIM, 1, N_ATTRIBUTES, 0.0).attention
    nodes = 3 * of_nodes(12, DIM, seed=4)
    edges = torch.cartesian_prod(torch.arange(12), torch.arange(12)).T
    _, (_, alpha) = conv(nodes, edges, torch.zeros(144, 2), return_attention_weights=True)
    strongest = alpha[:, 0].view(12, 12).argmax(dim=0)
    assert len(set(strongest.tolist())) > 1


def test_permuting_nodes_permutes_outputs(network: GAT) -> None:
    windows, order = of_nodes(4, 4, 3), torch.tensor([2, 0, 3, 1])
    edges = torch.from_numpy(EDGES)
    attributes = of_nodes(EDGES.shape[1], N_ATTRIBUTES, seed=2)
    straight = network(inputs_of(windows, edges, attributes)).mean
    place = torch.argsort(order)
    permuted = network(inputs_of(windows[order], place[edges], attributes)).mean
    torch.testing.assert_close(permuted, straight[order])


def test_two_layers_hear_of_nodes_two_edges_away(network: GAT) -> None:
    edges = torch.tensor([[0, 1, 2, 3, 0, 1, 2], [0, 1, 2, 3, 1, 2, 3]])
    windows = of_nodes(4, 4, 3)
    other = windows.clone()
    other[0] += 1.0
    first, second = (network(inputs_of(each, edges)).mean for each in (windows, other))
    changed = ((first - second).abs() > 1e-6).flatten().tolist()
    assert changed == [True, True, True, False]


def test_one_asset_and_a_graph_of_loops_are_fine(network: GAT) -> None:
    assert bool(torch.isfinite(network(inputs_of(of_nodes(1, 4, 3))).mean).all())


def test_a_planted_lead_is_learned_by_the_graph_alone(panel_of, training_set_of) -> None:
    """S01's return follows S00's by two sessions, the first a decision can trade on.

    Correlation of planted return and leader 0.9 / sqrt(0.9^2 + 0.5^2) = 0.87. A model of each asset
    alone knows nothing: its correlation over 548 sessions has a standard error of 0.043.
    """
    random = np.random.default_rng(8)
    returns = 0.01 * random.normal(size=(1300, 5))
    returns[2:, 1] = 0.9 * returns[:-2, 0] + 0.005 * random.normal(size=1298)
    panel = panel_of(returns, {"return_1d": returns})
    data = training_set_of(panel, ("return_1d",), 600, 150)
    test = panel.filter(pl.col("ts") >= data.cutoff)
    found = {}
    rivals = {name: (name, {}) for name in ("gat", "mlp", "lstm")}
    for label, (name, others) in {**rivals, "loops": ("gat", {"use_graph": False})}.items():
        forecaster = FAMILIES[name].load()
        spec = forecaster.spec_type(
            model_dim=16,
            lookback_sessions=3,
            epochs=6,
            learning_rate=1e-2,
            batch_dates=32,
            graph_neighbours=2,
            graph_window_sessions=100,
            horizon_sessions=1,
            dropout=0.0,
            seed=3,
            **others,
        )
        forecast = forecaster(spec).fit(data).predict(test)
        follower = forecast.join(test.select("symbol", "ts", "label"), on=["symbol", "ts"]).filter(
            (pl.col("symbol") == "S01") & pl.col("label").is_not_null()
        )
        found[label] = np.corrcoef(follower["forecast"].rank(), follower["label"].rank())[0, 1]
    assert found.pop("gat") > 0.5, found
    assert max(map(abs, found.values())) < 0.13, found
