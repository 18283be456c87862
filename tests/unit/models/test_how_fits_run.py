"""Settings of how a fit runs: what changes nothing, what changes rounding, what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")

from network_house import small_config, training_frame  # noqa: E402

from btq_assets.models.deep.recurrent import LSTMForecaster, LSTMSpec  # noqa: E402
from btq_assets.models.deep.transformer_gnn import (  # noqa: E402
    TransformerGNNForecaster,
    TransformerGNNSpec,
)
from btq_assets.models.deep.windowed import DEFAULT_FEATURES  # noqa: E402
from btq_assets.models.folds import for_fold, splits  # noqa: E402
from btq_assets.models.forecaster import ModelError  # noqa: E402
from btq_assets.models.plans import deep_plan, deep_spec  # noqa: E402
from btq_assets.models.training.running import Running  # noqa: E402

CONFIG = small_config()


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    return training_frame(CONFIG)


@pytest.fixture(scope="module")
def data(frame: pl.DataFrame):
    fold = splits(frame, CONFIG).row(0, named=True)
    return for_fold(frame, fold, market=False, asset_features=DEFAULT_FEATURES)


TRANSFORMER = TransformerGNNSpec(
    model_dim=8, num_heads=2, lookback_sessions=4, epochs=1, graph_window_sessions=40, calendar=True
)
LSTM = LSTMSpec(model_dim=8, lookback_sessions=4, epochs=2, dropout=0.0)


def weights(forecaster) -> dict[str, torch.Tensor]:
    return forecaster._network.state_dict()


@pytest.mark.parametrize(
    "running",
    [
        Running(stream_above_mib=0.0),
        Running(prefetch=True),
        Running(recompute_activations=True),
        Running(prefetch=True, recompute_activations=True, stream_above_mib=0.0),
    ],
    ids=["files", "ahead", "recomputed", "all"],
)
def test_what_a_fit_costs_changes_no_bit_of_it(data, running: Running) -> None:
    """With a calendar, whose first session of a stretch must know the one before it."""
    expected = TransformerGNNForecaster(TRANSFORMER).fit(data)
    found = TransformerGNNForecaster(TRANSFORMER, running=running).fit(data)
    assert found.scores == expected.scores
    for name, value in weights(expected).items():
        assert torch.equal(weights(found)[name], value), name


def test_configuration_reaches_the_fit() -> None:
    network = {**CONFIG.models.lstm.model_dump(), "accumulate": 3, "precision": "bfloat16"}
    config = small_config(
        lstm={**network, "processes": 2, "compile": True},
        training={"recompute_activations": True, "prefetch": True, "stream_above_mib": 5},
    )
    recipe = deep_spec("lstm", config, seed=0).recipe()
    assert (recipe.accumulate, recipe.mixed_precision) == (3, True)
    assert (recipe.processes, recipe.compile) == (2, True)
    forecaster = deep_plan("lstm", config, code_version="v").make("base", 7)
    assert forecaster.running == Running(True, True, 5.0, 200)
    assert deep_plan("lstm", config, code_version="v").save_every_steps == 200
    off = small_config(training={"resume": False})
    assert deep_plan("lstm", off, code_version="v").save_every_steps is None


def test_half_precision_by_itself_on_a_gpu_alone() -> None:
    assert not LSTM.recipe("cpu").mixed_precision
    assert LSTM.recipe("cuda:0").mixed_precision
    assert not replace(LSTM, precision="float32").recipe("cuda").mixed_precision
    with pytest.raises(ModelError, match="no precision 'float16'"):
        replace(LSTM, precision="float16")


def test_processes_share_batches_on_processors_only(data) -> None:
    forecaster = LSTMForecaster(replace(LSTM, processes=2), device="cuda")
    with pytest.raises(ModelError, match="on processors only, not on cuda"):
        forecaster.fit(data)


@pytest.mark.slow
def test_two_processes_fit_what_one_does(data) -> None:
    """A whole forecaster, each process with its share of the dates: weights within 1e-5."""
    one = LSTMForecaster(LSTM).fit(data)
    two = LSTMForecaster(replace(LSTM, processes=2)).fit(data)
    for name, value in weights(one).items():
        if name == "head.linear.bias":
            continue  # A level the relative loss does not see: its gradient is rounding alone.
        assert (weights(two)[name] - value).abs().max() < 1e-5, name
    panel = data.panel.filter(pl.col("ts") >= data.validation[0])
    first, second = one.predict(panel), two.predict(panel)
    off = first["forecast"].to_numpy() - second["forecast"].to_numpy()
    assert np.ptp(off) < 1e-5 * first["forecast"].std()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_compiled_network_learns_the_same(data) -> None:
    """Fused kernels round otherwise: losses within 0.1 %. Names of weights stay as they are."""
    spec = replace(LSTM, epochs=1)
    plain = LSTMForecaster(spec).fit(data)
    compiled = LSTMForecaster(replace(spec, compile=True)).fit(data)
    assert list(weights(compiled)) == list(weights(plain))
    assert compiled._network._compiled_call_impl is None
    for name in ("training_loss", "validation_loss"):
        assert compiled.scores[name] == pytest.approx(plain.scores[name], rel=1e-3)
