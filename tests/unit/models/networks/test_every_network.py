"""What holds for every network of the catalogue: built by its forecaster, with its own data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

torch = pytest.importorskip("torch")

from btq_assets.models import scores  # noqa: E402
from btq_assets.models.catalogue import FAMILIES  # noqa: E402
from btq_assets.models.folds import TrainingSet  # noqa: E402
from btq_assets.models.forecaster import ModelError  # noqa: E402
from btq_assets.models.graph import DateGraph  # noqa: E402
from btq_assets.models.saved import load_forecaster  # noqa: E402
from btq_assets.models.training.losses import LOSSES, huber  # noqa: E402
from btq_assets.models.windows.batches import ArrayWindows  # noqa: E402
from btq_assets.models.windows.samples import DateSamples, loops  # noqa: E402

torch.set_num_threads(1)

DEEP = [name for name, family in FAMILIES.items() if family.is_deep]


def small(name: str, **others: object):
    forecaster = FAMILIES[name].load()
    spec = forecaster.spec_type(
        **{
            "model_dim": 12,
            "lookback_sessions": 5,
            "epochs": 2,
            "graph_window_sessions": 40,
            "horizon_sessions": 1,
            "dropout": 0.0,
            **others,
        }
    )
    return forecaster(spec)


@pytest.mark.parametrize("name", DEEP)
def test_one_batch_is_learned_by_heart(name: str) -> None:
    """Twelve targets of noise: a network of this size can hold them, so the loss must vanish."""
    random = np.random.default_rng(5)
    features = random.normal(size=(8, 4, 3)).astype(np.float32)
    assets = np.arange(4)
    dates = [
        DateSamples(t, loops(assets, 2), assets, random.normal(size=(4, 1))) for t in (5, 6, 7)
    ]
    batch = ArrayWindows(features, np.ones((8, 4), dtype=bool), 5).collate(dates)
    torch.manual_seed(0)
    network = small(name, model_dim=24).new_network(3)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-2, weight_decay=0.0)
    for _ in range(80):
        loss = huber(network(batch.inputs), batch, relative=False)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.02


#: Options with layers of their own.
WITH_OPTIONS = {
    "transformer_gnn": {"positions": "rotary", "graph_memory": True, "graph_neighbours": 2,
                        "relations": ("correlation", "learned"), "loss": "quantile"},
    "gat": {"loss": "gaussian"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "options"), [*((name, {}) for name in DEEP), *WITH_OPTIONS.items()]
)
def test_gradients_are_the_slopes_of_the_loss(name: str, options: dict[str, object]) -> None:
    """Central differences in float64, along a random direction of each weight and of the windows."""
    random = np.random.default_rng(6)
    features = random.normal(size=(8, 4, 3)).astype(np.float32)
    assets = np.arange(4)
    ring = np.array([[0, 1, 2, 3, 0, 1, 2, 3], [0, 1, 2, 3, 1, 2, 3, 0]])
    graph = DateGraph(ring, random.normal(size=(8, 2)).astype(np.float32))
    dates = [DateSamples(t, graph, assets, random.normal(size=(4, 1))) for t in (5, 7)]
    batch = ArrayWindows(features, np.ones((8, 4), dtype=bool), 3).collate(dates)
    batch = replace(
        batch,
        inputs=batch.inputs._replace(
            windows=batch.inputs.windows.double(), attributes=batch.inputs.attributes.double()
        ),
        target=batch.target.double(),
        weight=batch.weight.double(),
    )
    torch.manual_seed(0)
    network = small(name, lookback_sessions=3, **options).new_network(3).double()
    loss_of = LOSSES[str(options.get("loss", "huber"))]

    def loss(windows: torch.Tensor) -> torch.Tensor:
        inputs = batch.inputs._replace(windows=windows)
        return loss_of(network(inputs), batch, relative=True)

    windows = batch.inputs.windows.clone().requires_grad_()
    loss(windows).backward()
    draw = torch.Generator().manual_seed(1)
    moved = {"windows": windows, **dict(network.named_parameters())}
    slopes = {}
    with torch.no_grad():
        for place, value in moved.items():
            direction = torch.randn(value.shape, generator=draw, dtype=torch.float64)
            ends = []
            for step in (1e-6, -2e-6, 1e-6):
                value += step * direction
                ends.append(loss(windows).item())
            given = 0.0 if value.grad is None else (value.grad * direction).sum().item()
            slopes[place] = (given, (ends[0] - ends[1]) / 2e-6)
    found, expected = np.array(list(slopes.values())).T
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-8, err_msg=str(list(slopes)))
    assert abs(slopes["windows"][0]) > 1e-4


@pytest.mark.parametrize("name", DEEP)
def test_saved_and_loaded_it_forecasts_the_same(
    name: str, planted_set: TrainingSet, planted_test: pl.DataFrame, tmp_path: Path
) -> None:
    fitted = small(name).fit(planted_set)
    before = fitted.predict(planted_test)
    fitted.save(tmp_path)
    assert_frame_equal(load_forecaster(tmp_path).predict(planted_test), before)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.json", "weights.safetensors"]
    ts = planted_test["ts"].unique().sort()
    cut = fitted.predict(planted_test.filter(pl.col("ts") <= ts[40]))
    until = before.filter(pl.col("ts") <= ts[40])
    np.testing.assert_allclose(cut["forecast"], until["forecast"], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_every_loss_learns_the_planted_signal(
    loss: str, planted_set: TrainingSet, planted_test: pl.DataFrame
) -> None:
    fitted = small("mlp", loss=loss, epochs=6, learning_rate=1e-2).fit(planted_set)
    assert scores.mean_rank_ic(fitted.predict(planted_test), planted_test) > 0.3


def test_an_unknown_family_is_named() -> None:
    from btq_assets.models.catalogue import family_named

    with pytest.raises(ModelError, match="'cnn'; known are ridge"):
        family_named("cnn")
