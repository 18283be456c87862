"""The temporal graph memory inside the Transformer-GNN: what it adds, and that it is off by default."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

torch = pytest.importorskip("torch")

from network_inputs import inputs_of  # noqa: E402

from btq_assets.config import TradingConfig  # noqa: E402
from btq_assets.models.deep.transformer_gnn import (  # noqa: E402
    TransformerGNNForecaster,
    TransformerGNNSpec,
)
from btq_assets.models.folds import TrainingSet  # noqa: E402
from btq_assets.models.networks.graph_memory import GraphMemory  # noqa: E402
from btq_assets.models.networks.transformer_gnn import TransformerGNN  # noqa: E402
from btq_assets.models.plans import deep_spec  # noqa: E402
from btq_assets.models.saved import load_forecaster  # noqa: E402

torch.set_num_threads(1)


def network_of(memory_time_dim: int, dropout: float = 0.0) -> TransformerGNN:
    torch.manual_seed(0)
    return TransformerGNN(
        1,
        dim=16,
        heads=2,
        layers=1,
        graph_heads=2,
        dropout=dropout,
        memory_time_dim=memory_time_dim,
    )


def test_a_silent_memory_adds_nothing_and_all_else_starts_as_without_one() -> None:
    """With the map of what is remembered at zero: the outputs of the network without a memory."""
    windows = torch.randn(4, 5, 1, generator=torch.Generator().manual_seed(1))
    edges = torch.tensor([[0, 1, 2, 3, 0, 1, 2], [0, 1, 2, 3, 1, 2, 3]])
    inputs = inputs_of(windows, edges)
    plain, network = network_of(0), network_of(4)
    expected = plain(inputs).mean
    assert not torch.allclose(network(inputs).mean, expected)
    torch.nn.init.zeros_(network.recall.weight)
    torch.nn.init.zeros_(network.recall.bias)
    assert torch.equal(network(inputs).mean, expected)


def test_what_is_added_is_the_memory_of_the_paper_and_its_age() -> None:
    """The state before the graph: the encoded window plus one linear map of memory and time."""
    windows = torch.randn(3, 4, 1, generator=torch.Generator().manual_seed(2))
    observed = torch.tensor([[1, 1, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]], dtype=torch.bool)
    edges = torch.tensor([[0, 1, 2, 0, 1], [0, 1, 2, 1, 2]])
    network = network_of(4).eval()
    network.graph = None
    inputs = inputs_of(windows, edges, observed=observed)
    memory = GraphMemory(1, dim=16, time_dim=4, n_attributes=2)
    memory.load_state_dict(network.memory.state_dict())
    held, age = memory(windows, observed, edges, inputs.attributes)
    said = torch.cos(age[:, None] * memory.time.frequency + memory.time.phase)
    added = torch.cat([held, said], 1) @ network.recall.weight.T + network.recall.bias
    encoded = network.norm(network.encode(windows))[:, -1]
    torch.testing.assert_close(network(inputs).mean, network.head(encoded + added).mean)


@pytest.mark.parametrize("memory_time_dim", [4, 0])
def test_how_often_two_moved_together_is_learned_by_the_memory_alone(memory_time_dim: int) -> None:
    """The target is the sum over four sessions of the product of two neighbours' signs, over 2.

    Its variance is 1. A product of what happened in the same session to both is in no window, and
    attention over encoded windows adds up what each says; a message is made session by session.
    """
    pairs, length = 32, 4
    random = torch.Generator().manual_seed(3)
    network = network_of(memory_time_dim)
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-2)
    each = torch.arange(2 * pairs)
    across = torch.stack([each, each.view(-1, 2).flip(1).flatten()])
    edges = torch.cat([torch.stack([each, each]), across], dim=1)
    losses = []
    for _ in range(110):
        windows = torch.randint(0, 2, (2 * pairs, length, 1), generator=random) * 2.0 - 1
        other = windows.view(-1, 2, length, 1).flip(1).reshape_as(windows)
        target = (windows * other).sum(1) / 2
        loss = (network(inputs_of(windows, edges)).mean - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    last = float(np.mean(losses[-10:]))
    assert last < 0.2 if memory_time_dim else last > 0.5, last


def test_a_fit_with_memory_is_kept_and_blind_to_the_future(
    planted_set: TrainingSet, planted_test: pl.DataFrame, tmp_path: Path
) -> None:
    spec = TransformerGNNSpec(
        model_dim=8,
        num_heads=2,
        lookback_sessions=4,
        epochs=1,
        graph_neighbours=2,
        graph_window_sessions=40,
        horizon_sessions=1,
        graph_memory=True,
        time_dim=3,
    )
    fitted = TransformerGNNForecaster(spec).fit(planted_set)
    before = fitted.predict(planted_test)
    fitted.save(tmp_path)
    assert_frame_equal(load_forecaster(tmp_path).predict(planted_test), before)
    ts = planted_test["ts"].unique().sort()
    past = pl.col("ts") <= ts[40]
    spoilt = planted_test.with_columns(
        pl.when(past).then(pl.col(name)).otherwise(5.0).alias(name)
        for name in ("signal", "noise", "session_return")
    )
    assert_frame_equal(fitted.predict(spoilt).filter(past), before.filter(past))


def test_the_configuration_reaches_the_network() -> None:
    assert deep_spec("transformer_gnn", TradingConfig(), seed=0).graph_memory is False
    chosen = TradingConfig(models={"transformer": {"graph_memory": True, "time_dim": 5}})
    spec = deep_spec("transformer_gnn", chosen, seed=0)
    assert TransformerGNNForecaster(spec).new_network(3).memory.time.frequency.shape == (5,)
