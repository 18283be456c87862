"""Pre-training as an option of a fit: on windows of the training segment, and on nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")

from btq_assets.config import TradingConfig  # noqa: E402
from btq_assets.models import design  # noqa: E402
from btq_assets.models.arrays import PanelArrays  # noqa: E402
from btq_assets.models.catalogue import DEEP  # noqa: E402
from btq_assets.models.deep.recurrent import (  # noqa: E402
    LSTMForecaster,
    LSTMSpec,
    XLSTMForecaster,
    XLSTMSpec,
)
from btq_assets.models.folds import TrainingSet  # noqa: E402
from btq_assets.models.forecaster import ModelError  # noqa: E402
from btq_assets.models.plans import deep_spec  # noqa: E402
from btq_assets.models.training.reproducible import reproducible  # noqa: E402

torch.set_num_threads(1)


def spec_of(pretraining: str, **others: Any) -> XLSTMSpec:
    return XLSTMSpec(
        **{
            "model_dim": 8, "num_heads": 2, "num_layers": 1, "lookback_sessions": 4, "epochs": 2,
            "dropout": 0.0, "pretraining": pretraining, **others,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def data(planted: pl.DataFrame, training_set_of: Any) -> TrainingSet:
    renamed = planted.rename({"noise": "return_1d"})
    return training_set_of(renamed, ("signal", "return_1d"), 120, 40)


def taught(data: TrainingSet, pretraining: str = "next_return") -> dict[str, torch.Tensor]:
    """Weights after pre-training, before any label is read."""
    model = XLSTMForecaster(spec_of(pretraining))
    model._features = data.asset_features
    segment = data.panel.filter(pl.col("ts").is_between(*data.train))
    model._scaler = design.Standardiser.fit(design.matrix(segment, model._features))
    arrays = PanelArrays.from_panel(data.panel, model._features)
    with reproducible(0):
        model._network = model.new_network(2)
        model._pretrained(arrays, model._source(arrays, model._scaler), data, lambda _: None)
    return {name: value.clone() for name, value in model._network.state_dict().items()}


@pytest.mark.parametrize("pretraining", ["masked", "next_return"])
def test_windows_teach_before_labels_do(pretraining: str, data: TrainingSet) -> None:
    plain = XLSTMForecaster(spec_of("none")).fit(data)
    found = XLSTMForecaster(spec_of(pretraining)).fit(data)
    assert "pretraining_loss" not in plain.scores
    assert len(found.scores["pretraining_loss"]) == 2
    assert np.isfinite(found.scores["pretraining_validation_loss"]).all()
    later = data.panel.filter(pl.col("ts") >= data.validation[0])
    assert not found.predict(later).equals(plain.predict(later))


def test_nothing_after_the_training_segment_is_read(data: TrainingSet) -> None:
    """Noise in place of every feature and label after it: the same weights, to the last bit."""
    random = np.random.default_rng(8)
    late = pl.col("ts") > data.train[1]
    noise = pl.Series(random.normal(size=data.panel.height))
    columns = ("signal", "return_1d", "label", "session_return")
    changed = data.panel.with_columns(
        pl.when(late).then(noise).otherwise(name).alias(name) for name in columns
    )
    labels = data.panel.with_columns(label=noise)
    one, other, unlabelled = (
        taught(TrainingSet(panel, *_rest(data))) for panel in (data.panel, changed, labels)
    )
    for name, value in one.items():
        assert torch.equal(value, other[name]), name
        assert torch.equal(value, unlabelled[name]), name
    # The test would see a leak: with the validation segment among the windows weights differ.
    wider = (
        data.asset_features,
        (),
        (data.train[0], data.validation[1]),
        data.validation,
        data.cutoff,
    )
    leaking, again = (taught(TrainingSet(panel, *wider)) for panel in (data.panel, changed))
    assert any(not torch.equal(value, again[name]) for name, value in leaking.items())


def _rest(data: TrainingSet) -> tuple[Any, ...]:
    return data.asset_features, (), data.train, data.validation, data.cutoff


def test_the_configuration_reaches_every_network() -> None:
    config = TradingConfig(models={"pretraining": "masked"})
    for name in DEEP:
        assert deep_spec(name, config, seed=0).pretraining == "masked"
        assert deep_spec(name, TradingConfig(), seed=0).pretraining == "none"


def test_what_cannot_be_pretrained_is_named(data: TrainingSet, training_set_of: Any) -> None:
    with pytest.raises(ModelError, match="lstm has no encoder of single sessions"):
        LSTMForecaster(LSTMSpec(lookback_sessions=4, pretraining="masked")).fit(data)
    bare = TrainingSet(data.panel, ("signal",), *_rest(data)[1:])
    with pytest.raises(
        ModelError, match="foresees the feature return_1d, which xlstm does not read"
    ):
        XLSTMForecaster(spec_of("next_return")).fit(bare)
    with pytest.raises(ModelError, match="too few to pre-train on with windows of 60"):
        XLSTMForecaster(spec_of("masked", lookback_sessions=60)).fit(data)
