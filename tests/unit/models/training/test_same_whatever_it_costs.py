"""What a training costs changes no bit of it: batches made ahead, activations computed again."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from planted import (  # noqa: E402
    N_FEATURES,
    planted_features,
    planted_recipe,
    planted_samples,
    planted_source,
)

from btq_assets.models.networks.baselines import LSTM, Perceptron  # noqa: E402
from btq_assets.models.networks.graph_attention import GAT  # noqa: E402
from btq_assets.models.networks.transformer_gnn import TransformerGNN  # noqa: E402
from btq_assets.models.networks.xlstm.network import XLSTM  # noqa: E402
from btq_assets.models.training import memory  # noqa: E402
from btq_assets.models.training.activations import blocks_of, recomputed  # noqa: E402
from btq_assets.models.training.loop import train  # noqa: E402
from btq_assets.models.training.reproducible import reproducible  # noqa: E402
from btq_assets.models.training.running import Running  # noqa: E402
from btq_assets.models.windows.prefetch import Prefetched  # noqa: E402

NETWORKS = {
    "transformer_gnn": lambda: TransformerGNN(
        N_FEATURES, dim=8, heads=2, layers=2, graph_heads=1, dropout=0.3
    ),
    "gat": lambda: GAT(N_FEATURES, 6, dim=8, layers=2, heads=1, n_attributes=2, dropout=0.3),
    "xlstm": lambda: XLSTM(N_FEATURES, dim=8, heads=2, layers=2, dropout=0.3),
    "lstm": lambda: LSTM(N_FEATURES, dim=8, layers=2, dropout=0.3),
    "mlp": lambda: Perceptron(N_FEATURES, 6, dim=8, layers=2, dropout=0.3),
}


def trained(name: str = "transformer_gnn", running: Running | None = None, source=None, **recipe):
    features = planted_features()
    dates = planted_samples(features)
    with reproducible(3):
        network = NETWORKS[name]()
        curves = train(
            network,
            source or planted_source(features),
            dates[:31],
            dates[31:],
            planted_recipe(epochs=2, **recipe),
            running=running,
        )
    return network.state_dict(), curves


def same(found, expected) -> None:
    assert found[1] == expected[1]
    for name, value in expected[0].items():
        assert torch.equal(found[0][name], value), name


@pytest.mark.parametrize("recipe", [{}, {"accumulate": 3}, {"mixed_precision": True}], ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_activations_computed_again_give_the_same_weights(name: str, recipe) -> None:
    """With dropout 0.3: other masks the second time would give other gradients."""
    same(trained(name, Running(recompute_activations=True), **recipe), trained(name, **recipe))


def test_blocks_are_the_layers_and_are_as_before_afterwards() -> None:
    network = NETWORKS["transformer_gnn"]()
    assert blocks_of(network) == [*network.layers]
    with recomputed(network):
        assert all("forward" in vars(layer) for layer in network.layers)
    assert not any("forward" in vars(layer) for layer in network.layers)
    assert blocks_of(NETWORKS["xlstm"]())[0].__class__.__name__ == "MatrixBlock"


def test_a_block_keeps_its_input_alone() -> None:
    """What autograd saves of two layers of eight channels: fewer numbers than half."""
    kept = {}
    source = planted_source(planted_features())
    batch = source.collate(planted_samples(planted_features())[:8])
    for active in (False, True):
        sizes: list[int] = []

        def note(tensor, sizes=sizes):
            sizes.append(tensor.numel())
            return tensor

        network = NETWORKS["transformer_gnn"]().train()
        with (
            recomputed(network, active=active),
            torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor),
        ):
            network(batch.inputs)
        kept[active] = sum(sizes)
    assert kept[True] < kept[False] / 2


class Watched:
    """A source that says which thread asked for which dates."""

    def __init__(self) -> None:
        self._source = planted_source(planted_features())
        self.n_features = N_FEATURES
        self.asked: list[tuple[str, int]] = []

    def collate(self, samples):
        self.asked.append((threading.current_thread().name, len(samples)))
        return self._source.collate(samples)


@pytest.mark.parametrize("recipe", [{}, {"accumulate": 3}], ids=str)
def test_batches_made_ahead_give_the_same_weights(recipe) -> None:
    source = Watched()
    same(trained(running=Running(prefetch=True), source=source, **recipe), trained(**recipe))
    ahead = [n for name, n in source.asked if name.startswith("batches")]
    # Two epochs of four batches: all but the first of each epoch are made by the thread.
    assert len(ahead) > len(source.asked) / 2
    first = [n for name, n in source.asked if not name.startswith("batches")]
    assert len(first) == 2 * (1 + 1)  # a training and a validation batch of each epoch


def test_a_batch_that_was_not_announced_is_made_all_the_same() -> None:
    dates = planted_samples(planted_features())
    plain = planted_source(planted_features())
    with Prefetched(plain, "cpu") as source:
        source.prepare(dates[:4])
        other = source.collate(dates[4:6])
        assert torch.equal(other.target, plain.collate(dates[4:6]).target)
        source.prepare(dates[:4])
        found, expected = source.collate(dates[:4]), plain.collate(dates[:4])
    for one, two in zip(found.inputs, expected.inputs, strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError])
def test_out_of_memory_in_the_thread_halves_the_batch_too(error) -> None:
    class TooLarge(Watched):
        def collate(self, samples):
            if len(samples) > 2:
                raise error("no room for that")
            return super().collate(samples)

    found = trained(running=Running(prefetch=True), source=TooLarge())
    expected = trained(accumulate=4)
    for name, value in expected[0].items():
        assert torch.equal(found[0][name], value), name


def test_an_error_of_the_thread_is_raised_where_the_batch_is_asked_for() -> None:
    class Broken(Watched):
        def collate(self, samples):
            if self.asked:
                raise OSError("the disk is gone")
            return super().collate(samples)

    with pytest.raises(OSError, match="the disk is gone"):
        trained(running=Running(prefetch=True), source=Broken())


def test_ahead_on_a_gpu_alone_unless_told() -> None:
    assert Running().fetches_ahead("cuda:0")
    assert not Running().fetches_ahead("cpu")
    assert Running(prefetch=True).fetches_ahead("cpu")
    assert not Running(prefetch=False).fetches_ahead("cuda")


def test_peak_memory_of_the_process_is_what_the_system_says() -> None:
    """An array of 80 MiB is in the peak once it was written."""
    before = memory.peak("cpu")
    kept = np.ones(80 * 2**20 // 8)
    after = memory.peak("cpu")
    assert kept.sum() > 0
    assert after.of == "process"
    assert after.mebibytes >= before.mebibytes
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmHWM"))
    assert after.mebibytes == pytest.approx(int(line.split()[1]) / 1024, rel=0.02)
