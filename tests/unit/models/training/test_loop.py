"""The training loop on a network of one weight, where every step can be followed."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from btq_assets.models.training.evaluation import evaluate  # noqa: E402
from btq_assets.models.training.loop import train  # noqa: E402
from btq_assets.models.training.losses import huber  # noqa: E402
from btq_assets.models.training.recipe import Recipe  # noqa: E402
from btq_assets.models.training.reproducible import reproducible  # noqa: E402
from btq_assets.models.windows.batches import ArrayWindows, Batch  # noqa: E402
from btq_assets.models.windows.inputs import Inputs, Outputs  # noqa: E402
from btq_assets.models.windows.samples import DateSamples, loops  # noqa: E402

N_ASSETS, N_DATES = 4, 12


class OneWeight(torch.nn.Module):
    """Forecast = weight times the last value of the only feature."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, inputs: Inputs) -> Outputs:
        return Outputs(self.weight * inputs.windows[:, -1])


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    random = np.random.default_rng(4)
    return random.normal(size=(N_DATES, N_ASSETS, 1)).astype(np.float32)


def samples(features: np.ndarray, sign: float) -> list[DateSamples]:
    assets = np.arange(N_ASSETS)
    graph = loops(assets, 2)
    return [DateSamples(day, graph, assets, sign * features[day]) for day in range(N_DATES)]


def windows(features: np.ndarray, lookback: int) -> ArrayWindows:
    return ArrayWindows(features, np.ones(features.shape[:2], dtype=bool), lookback)


def test_stops_when_validation_worsens_and_keeps_the_best_weights(features: np.ndarray) -> None:
    """Training wants weight 1, validation -1: every epoch is worse than the one before."""
    network = OneWeight()
    source = windows(features, 2)
    validation = samples(features, -1.0)
    recipe = Recipe(
        epochs=9,
        patience=2,
        batch_dates=4,
        learning_rate=0.05,
        weight_decay=0.0,
        relative=False,
        seed=1,
    )
    found = train(network, source, samples(features, 1.0), validation, recipe)
    losses = found["validation_loss"]
    assert found["best_epoch"] == 1
    assert len(losses) == 3
    assert losses == sorted(losses)
    kept = evaluate(network, source, validation, huber, relative=False)
    assert kept == pytest.approx(losses[0], abs=1e-6)


def test_windows_end_at_their_session_and_start_with_zeros(features: np.ndarray) -> None:
    dates = samples(features, 1.0)
    inputs = windows(features, 3).collate([dates[5], dates[0]]).inputs
    assert inputs.windows.shape == (2 * N_ASSETS, 3, 1)
    np.testing.assert_array_equal(inputs.windows[2, :, 0], features[3:6, 2, 0])
    np.testing.assert_array_equal(inputs.windows[N_ASSETS + 2, :, 0], [0.0, 0.0, features[0, 2, 0]])
    assert inputs.observed[N_ASSETS + 2].tolist() == [False, False, True]
    assert inputs.date.tolist() == [0] * N_ASSETS + [1] * N_ASSETS
    assert inputs.edges.tolist() == [list(range(2 * N_ASSETS))] * 2


def test_a_session_an_asset_did_not_trade_is_not_observed(features: np.ndarray) -> None:
    present = np.ones(features.shape[:2], dtype=bool)
    present[4, 1] = False
    inputs = ArrayWindows(features, present, 3).collate([samples(features, 1.0)[5]]).inputs
    assert inputs.observed[1].tolist() == [True, False, True]
    assert inputs.observed[0].all()


def test_what_surrounds_a_window_comes_with_it(features: np.ndarray) -> None:
    """Calendar by session, modalities by session and asset, each at its own place."""
    ones = np.ones(features.shape[:2], dtype=bool)
    day = np.arange(N_DATES, dtype=np.float32)
    calendar = np.stack([day, -day], axis=1)
    modalities = (day[:, None, None] * 10 + np.arange(N_ASSETS)[None, :, None]).astype(np.float32)
    available = np.zeros((N_DATES, N_ASSETS, 1), dtype=bool)
    available[5, 2] = True
    source = ArrayWindows(
        features, ones, 2, calendar=calendar, modalities=modalities, available=available
    )
    inputs = source.collate([samples(features, 1.0)[5]]).inputs
    assert inputs.calendar[0].tolist() == [[4.0, -4.0], [5.0, -5.0]]
    assert inputs.modalities[:, 0].tolist() == [50.0, 51.0, 52.0, 53.0]
    assert inputs.available[:, 0].tolist() == [False, False, True, False]


def test_relative_loss_ignores_what_moves_all_assets_of_a_date(features: np.ndarray) -> None:
    batch = windows(features, 1).collate(samples(features, 1.0)[:3])
    means = batch.target.view(3, N_ASSETS).mean(1).repeat_interleave(N_ASSETS)
    batch = Batch(**{**vars(batch), "target": batch.target - means[:, None]})
    shifted = Outputs(batch.target + batch.inputs.date[:, None] * 7.0)
    assert huber(shifted, batch, relative=True).item() < 1e-10
    assert huber(shifted, batch, relative=False).item() > 1.0


def test_unlabelled_nodes_do_not_count(features: np.ndarray) -> None:
    sample = samples(features, 1.0)[0]
    target = sample.target.copy()
    target[1] = np.nan
    batch = windows(features, 1).collate([DateSamples(0, sample.graph, sample.assets, target)])
    off = torch.tensor([[1.0], [1e9], [1.0], [1.0]])
    loss = huber(Outputs(batch.target.nan_to_num() + off), batch, relative=False)
    # Huber loss of an error of 1 is 0.5 (Huber 1964, delta = 1).
    assert loss.item() == pytest.approx(0.5)


def test_weights_weigh(features: np.ndarray) -> None:
    """Errors 1 and 2 cost 0.5 and 1.5 (Huber 1964, delta = 1); with weights 3 and 1, 3/4."""
    sample = samples(features, 1.0)[0]
    target = np.array([[0.0], [0.0], [np.nan], [np.nan]])
    weighted = DateSamples(0, sample.graph, sample.assets, target, np.array([3.0, 1.0, 9.0, 9.0]))
    batch = windows(features, 1).collate([weighted])
    outputs = Outputs(torch.tensor([[1.0], [2.0], [5.0], [5.0]]))
    assert huber(outputs, batch, relative=False).item() == pytest.approx(0.75)


def test_the_callers_torch_state_is_put_back() -> None:
    torch.manual_seed(5)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    with reproducible(3):
        first = torch.rand(3)
    with reproducible(3):
        second = torch.rand(3)
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
