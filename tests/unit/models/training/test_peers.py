"""Several processes that share each batch train what one does."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
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
from safetensors.torch import load_file, save_file  # noqa: E402

from btq_assets.models.forecaster import ModelError  # noqa: E402
from btq_assets.models.networks.baselines import LSTM  # noqa: E402
from btq_assets.models.training.loop import train  # noqa: E402
from btq_assets.models.training.losses import LOSSES  # noqa: E402
from btq_assets.models.training.peers import Peers  # noqa: E402
from btq_assets.models.training.reproducible import reproducible  # noqa: E402

HEADS = {"gaussian": "variance", "quantile": "quantiles"}
#: Each trained in turn by the same processes; the last but one has one date in its last batch.
CASES = [
    *({"loss": loss} for loss in sorted(LOSSES)),
    {"loss": "rank_ic", "accumulate": 4},
    {"loss": "sharpe", "batch_dates": 6},
    {"loss": "huber", "relative": False, "dtype": torch.float32},
]


class Cast(torch.nn.Module):
    """A network in another number format than its inputs."""

    def __init__(self, inner: torch.nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.inner, self.dtype = inner.to(dtype), dtype

    def forward(self, inputs):
        return self.inner(inputs._replace(windows=inputs.windows.to(self.dtype)))


class CastTargets:
    """A source whose targets and weights are of the network's number format."""

    def __init__(self, source, dtype: torch.dtype) -> None:
        self._source, self._dtype, self.n_features = source, dtype, N_FEATURES

    def collate(self, samples):
        found = self._source.collate(samples)
        return replace(
            found, target=found.target.to(self._dtype), weight=found.weight.to(self._dtype)
        )


def trained(peers: Peers | None, loss: str = "huber", dtype=torch.float64, **recipe):
    """31 dates, of which some have no label, and one asset of one of them none.

    float64: losses that know no level leave the bias of the head a gradient of rounding alone, which
    AdamW would make full steps in float32.
    """
    features = planted_features()
    dates = planted_samples(features)
    dates[2].target[1] = np.nan
    dates[4].target[:] = np.nan
    with reproducible(3):
        network = LSTM(N_FEATURES, dim=8, layers=1, dropout=0.0, head=HEADS.get(loss, "mean"))
        network = Cast(network, dtype)
        curves = train(
            network,
            CastTargets(planted_source(features), dtype),
            dates[:31],
            dates[31:],
            planted_recipe(**{"epochs": 1, "loss": loss, "relative": True, **recipe}),
            peers=peers,
        )
    return network.state_dict(), curves


def follow(meeting: str, rank: int, size: int, folder: Path) -> None:
    with Peers.joined(meeting, rank, size) as peers:
        for number, case in enumerate(CASES):
            save_file(trained(peers, **case)[0], folder / f"{rank}_{number}.safetensors")


def start(tmp_path: Path, rank: int, size: int) -> subprocess.Popen:
    return subprocess.Popen(
        [
            sys.executable,
            __file__,
            f"file://{tmp_path / 'meeting'}",
            str(rank),
            str(size),
            tmp_path,
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_weights_are_those_of_one_process_for_every_loss(tmp_path: Path) -> None:
    """Also where a loss is no sum over dates, in parts, and where a process has no date at all."""
    other = start(tmp_path, 1, 2)
    found = []
    with Peers.joined(f"file://{tmp_path / 'meeting'}", 0, 2) as peers:
        for case in CASES:
            found.append(trained(peers, **case))
    assert other.wait(60) == 0, other.stderr.read()
    for number, (case, (weights, curves)) in enumerate(zip(CASES, found, strict=True)):
        expected, alone = trained(None, **case)
        theirs = load_file(tmp_path / f"1_{number}.safetensors")
        bound = 1e-5 if "dtype" in case else 1e-7
        for name, value in expected.items():
            off = (weights[name] - value).abs().max().item()
            assert off <= bound, (case, name, off)
            assert torch.equal(theirs[name], weights[name]), (case, name)
        assert curves["validation_loss"] == pytest.approx(alone["validation_loss"], abs=1e-5)


def test_shares_are_as_equal_as_they_can_be() -> None:
    assert Peers(0, 3).bounds(8) == [0, 2, 5, 8]
    assert Peers(0, 2).bounds(1) == [0, 0, 1]


def test_a_process_that_dies_is_named(tmp_path: Path) -> None:
    """The other one leaves the meeting after it has begun; this one must not wait for ever."""
    code = (
        "import sys, os\n"
        "from btq_assets.models.training.peers import Peers\n"
        "with Peers.joined(sys.argv[1], 1, 2):\n"
        "    os._exit(9)\n"
    )
    meeting = f"file://{tmp_path / 'meeting'}"
    other = subprocess.Popen([sys.executable, "-c", code, meeting])
    with Peers.joined(meeting, 0, 2) as peers:
        other.wait(60)
        with pytest.raises(ModelError, match="another process of this training is gone"):
            trained(peers)


def test_a_batch_too_large_for_a_process_says_what_to_do(tmp_path: Path, monkeypatch) -> None:
    """Halving would need the others to do the same: named instead."""
    from btq_assets.models.training.step import Gradients

    def full(*_):
        raise MemoryError

    monkeypatch.setattr(Gradients, "_once", full)
    with pytest.raises(ModelError, match="in each of 2 processes; raise accumulate"):
        trained(Peers(0, 2))


if __name__ == "__main__":
    torch.set_num_threads(1)
    follow(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
