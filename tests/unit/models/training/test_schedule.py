"""How the learning rate runs, and how large a step may be."""

from __future__ import annotations

import math

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

from btq_assets.models.networks.baselines import LSTM  # noqa: E402
from btq_assets.models.training.loop import train  # noqa: E402
from btq_assets.models.training.schedule import warm_up_cosine  # noqa: E402


def test_the_rate_rises_linearly_and_falls_along_half_a_cosine() -> None:
    """Torch's own schedules, one after the other: two steps up, eight steps down to zero."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([weight], lr=1.0)
    up = torch.optim.lr_scheduler.LinearLR(optimiser, start_factor=0.5, total_iters=1)
    down = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=8)
    peer = torch.optim.lr_scheduler.SequentialLR(optimiser, [up, down], milestones=[2])
    expected = []
    for _ in range(10):
        expected.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        peer.step()
    factor = warm_up_cosine(10, 0.2)
    np.testing.assert_allclose([factor(step) for step in range(10)], expected, atol=1e-12)
    assert factor(10) == pytest.approx(0.0, abs=1e-12)
    assert factor(99) == factor(10)


def test_a_training_takes_the_rates_of_its_schedule() -> None:
    """Four epochs of five batches, a tenth of them warm-up: the rate of the last step of each."""
    features = planted_features()
    samples = planted_samples(features)
    recipe = planted_recipe(patience=9)
    torch.manual_seed(0)
    network = LSTM(N_FEATURES, dim=8, layers=1, dropout=0.0)
    found = train(network, planted_source(features), samples[:39], samples[:4], recipe)
    by_hand = [0.5 * (1 + math.cos(math.pi * (step - 2) / 18)) for step in (4, 9, 14, 19)]
    expected = [recipe.learning_rate * factor for factor in by_hand]
    np.testing.assert_allclose(found["learning_rate"], expected, rtol=1e-5)


def test_no_step_is_taken_with_a_gradient_longer_than_the_recipe_says(monkeypatch) -> None:
    """The optimiser sees gradients of at most that norm; the curve keeps what they were before."""
    seen: list[float] = []
    step = torch.optim.AdamW.step

    def noting(self, *arguments):
        gradients = [value.grad for group in self.param_groups for value in group["params"]]
        seen.append(float(torch.stack([g.norm() for g in gradients]).norm()))
        return step(self, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", noting)
    features = planted_features()
    samples = planted_samples(features)
    recipe = planted_recipe(epochs=1, max_gradient_norm=1e-3)
    torch.manual_seed(0)
    network = LSTM(N_FEATURES, dim=8, layers=1, dropout=0.0)
    found = train(network, planted_source(features), samples, samples[:4], recipe)
    assert len(seen) == 5
    np.testing.assert_allclose(seen, 1e-3, rtol=1e-3)
    assert found["gradient_norm"][0] > 0.01
