"""What holds for every network of the catalogue: built by its forecaster, with its own data."""

from __future__ import annotations

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
