"""A training that is killed and goes on gives what an unbroken one gives, to the last bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from planted import (  # noqa: E402
    N_FEATURES,
    planted_features,
    planted_recipe,
    planted_samples,
    planted_source,
)

from btq_assets.models.forecaster import ModelError  # noqa: E402
from btq_assets.models.networks.transformer_gnn import TransformerGNN  # noqa: E402
from btq_assets.models.training.checkpoint_files import FileCheckpoints  # noqa: E402
from btq_assets.models.training.loop import train  # noqa: E402
from btq_assets.models.training.reproducible import reproducible  # noqa: E402
from btq_assets.models.training.state import TrainingState  # noqa: E402
from btq_assets.models.windows.batches import Batch  # noqa: E402

#: 31 training dates in batches of 8, 4 epochs.
N_STEPS = 16


class KilledError(RuntimeError):
    """What a test raises to end a training."""


class KillingSource:
    """A source that raises at a given call."""

    def __init__(self, calls: int | None) -> None:
        self._source, self._calls = planted_source(planted_features()), calls
        self.n_features = N_FEATURES

    def collate(self, samples) -> Batch:
        if self._calls is not None:
            if self._calls == 0:
                raise KilledError
            self._calls -= 1
        return self._source.collate(samples)


def new_network() -> TransformerGNN:
    return TransformerGNN(N_FEATURES, dim=8, heads=2, layers=1, graph_heads=1, dropout=0.3)


def trained(checkpoints=None, calls: int | None = None, **recipe):
    """Weights and curves of the planted training, which dies at the given batch."""
    dates = planted_samples(planted_features())
    with reproducible(3):
        network = new_network()
        curves = train(
            network,
            KillingSource(calls),
            dates[:31],
            dates[31:],
            planted_recipe(**recipe),
            checkpoints=checkpoints,
        )
    return network.state_dict(), curves


@pytest.fixture(scope="module")
def unbroken():
    return trained()


def same(found, expected) -> None:
    weights, curves = found
    for name, value in expected[0].items():
        assert torch.equal(weights[name], value), name
    assert curves == expected[1]


@pytest.mark.parametrize(
    ("batch", "every"), [*((batch, 1) for batch in range(N_STEPS + 4)), (7, 3), (13, 3), (16, 5)]
)
def test_killed_at_any_batch_it_ends_as_if_it_had_not_been(
    tmp_path: Path, unbroken, batch: int, every: int
) -> None:
    """Four epochs of four training batches and one of validation are twenty calls."""
    checkpoints = FileCheckpoints(tmp_path / "state.safetensors", every)
    with pytest.raises(KilledError):
        trained(checkpoints, batch)
    same(trained(checkpoints), unbroken)
    assert [file.name for file in tmp_path.iterdir()] in (["state.safetensors"], [])


def test_killed_again_and_again(tmp_path: Path, unbroken) -> None:
    checkpoints = FileCheckpoints(tmp_path / "state.safetensors", 1)
    for _ in range(N_STEPS // 2):
        with pytest.raises(KilledError):
            trained(checkpoints, 2)
    same(trained(checkpoints), unbroken)


def test_a_finished_training_is_not_trained_further(tmp_path: Path, unbroken) -> None:
    checkpoints = FileCheckpoints(tmp_path / "state.safetensors", 5)
    same(trained(checkpoints), unbroken)
    same(trained(checkpoints, 0), unbroken)


def test_patience_is_remembered(tmp_path: Path) -> None:
    """At a rate that only worsens validation, the fit stops at the same epoch."""
    recipe = {"learning_rate": 0.9, "epochs": 12, "patience": 2}
    expected = trained(**recipe)
    assert len(expected[1]["validation_loss"]) < 12
    checkpoints = FileCheckpoints(tmp_path / "state.safetensors", 1)
    with pytest.raises(KilledError):
        trained(checkpoints, 9, **recipe)
    same(trained(checkpoints, **recipe), expected)


def test_a_state_of_another_training_is_refused(tmp_path: Path) -> None:
    checkpoints = FileCheckpoints(tmp_path / "state.safetensors", 1)
    with pytest.raises(KilledError):
        trained(checkpoints, 3)
    with pytest.raises(ModelError, match=r"learning_rate was 0\.01, is 0\.02"):
        trained(checkpoints, learning_rate=0.02)


def test_what_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    checkpoints = FileCheckpoints(path, 1)
    checkpoints.save(TrainingState({"a": torch.arange(3)}, {"b": 0.1 + 0.2}))
    found = checkpoints.load()
    assert found is not None
    assert torch.equal(found.tensors["a"], torch.arange(3))
    assert found.numbers == {"b": 0.1 + 0.2}
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ModelError, match=r"state\.safetensors is no checkpoint"):
        checkpoints.load()


def test_a_killed_process_resumes(tmp_path: Path, unbroken) -> None:
    """SIGKILL in the middle of a process that saves after every step and waits a little."""
    path = tmp_path / "state.safetensors"
    process = subprocess.Popen(
        [sys.executable, __file__, str(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    deadline = time.monotonic() + 60
    while not path.exists() and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    state = FileCheckpoints(path).load()
    assert state is not None
    assert 0 < state.numbers["steps"] < N_STEPS
    same(trained(FileCheckpoints(path)), unbroken)


class SlowCheckpoints(FileCheckpoints):
    """Saves, then waits to be killed."""

    def save(self, state: TrainingState) -> None:
        super().save(state)
        time.sleep(0.05)


if __name__ == "__main__":
    trained(SlowCheckpoints(Path(sys.argv[1]), 1))
