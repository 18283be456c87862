"""The training loop on a network of one weight, where every step can be followed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from btq_assets.models import training  # noqa: E402
from btq_assets.models.graph import DateGraph  # noqa: E402

N_ASSETS, N_DATES = 4, 12


class OneWeight(torch.nn.Module):
    """Forecast = weight times the last value of the only feature."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, windows: Any, edges: Any, attributes: Any) -> Any:
        return self.weight * windows[:, -1, 0]


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    random = np.random.default_rng(4)
    return random.normal(size=(N_DATES, N_ASSETS, 1)).astype(np.float32)


def samples(features: np.ndarray, sign: float) -> list[training.DateSamples]:
    assets = np.arange(N_ASSETS)
    graph = DateGraph(np.stack([assets, assets]), np.ones((N_ASSETS, 2), dtype=np.float32))
    return [
        training.DateSamples(day, graph, assets, sign * features[day, :, 0])
        for day in range(N_DATES)
    ]


def test_stops_when_validation_worsens_and_keeps_the_best_weights(features: np.ndarray) -> None:
    """Training wants weight 1, validation -1: every epoch is worse than the one before."""
    network = OneWeight()
    view = training.window_view(features, 2, "cpu")
    validation = samples(features, -1.0)
    found = training.train(
        network,
        view,
        samples(features, 1.0),
        validation,
        epochs=9,
        patience=2,
        batch_dates=4,
        learning_rate=0.05,
        weight_decay=0.0,
        relative=False,
        seed=1,
    )
    losses = found["validation_loss"]
    assert found["best_epoch"] == 1
    assert len(losses) == 3
    assert losses == sorted(losses)
    kept = training.evaluate(network, view, validation, relative=False)
    assert kept == pytest.approx(losses[0], abs=1e-6)


def test_windows_end_at_their_session_and_start_with_zeros(features: np.ndarray) -> None:
    view = training.window_view(features, 3, "cpu")
    assert view.shape == (N_DATES, N_ASSETS, 1, 3)
    np.testing.assert_array_equal(view[5, 2, 0], features[3:6, 2, 0])
    np.testing.assert_array_equal(view[0, 2, 0], [0.0, 0.0, features[0, 2, 0]])


def test_relative_loss_ignores_what_moves_all_assets_of_a_date(features: np.ndarray) -> None:
    view = training.window_view(features, 1, "cpu")
    batch = training.collate(view, samples(features, 1.0)[:3])
    centred = batch.target - batch.target.view(3, N_ASSETS).mean(1).repeat_interleave(N_ASSETS)
    batch = training.Batch(**{**vars(batch), "target": centred})
    shifted = centred + batch.date * 7.0
    assert training.relative_loss(shifted, batch, relative=True).item() < 1e-10
    assert training.relative_loss(shifted, batch, relative=False).item() > 1.0


def test_unlabelled_nodes_do_not_count(features: np.ndarray) -> None:
    view = training.window_view(features, 1, "cpu")
    sample = samples(features, 1.0)[0]
    target = sample.target.copy()
    target[1] = np.nan
    batch = training.collate(view, [training.DateSamples(0, sample.graph, sample.assets, target)])
    off = torch.tensor([1.0, 1e9, 1.0, 1.0])
    loss = training.relative_loss(batch.target.nan_to_num() + off, batch, relative=False)
    # Huber loss of an error of 1 is 0.5 (Huber 1964, delta = 1).
    assert loss.item() == pytest.approx(0.5)


def test_the_callers_torch_state_is_put_back() -> None:
    torch.manual_seed(5)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    with training.reproducible(3):
        first = torch.rand(3)
    with training.reproducible(3):
        second = torch.rand(3)
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
