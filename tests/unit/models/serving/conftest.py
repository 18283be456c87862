"""Networks fitted once on the planted panel, and their served folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from btq_assets.models.catalogue import DEEP  # noqa: E402
from btq_assets.models.folds import TrainingSet  # noqa: E402

torch.set_num_threads(1)

FittedOf = Callable[..., object]


@pytest.fixture(scope="session")
def fitted_of(planted_set: TrainingSet) -> FittedOf:
    """A small network of a family, fitted."""

    def fitted(name: str, **others: object):
        forecaster = DEEP[name].load()
        spec = forecaster.spec_type(
            **{
                "model_dim": 12,
                "lookback_sessions": 4,
                "epochs": 2,
                "graph_window_sessions": 40,
                "horizon_sessions": 1,
                **others,
            }
        )
        return forecaster(spec, code_version="v1").fit(planted_set)

    return fitted


@pytest.fixture(scope="session")
def served(
    fitted_of: FittedOf, planted_test: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> tuple[object, Path, tuple]:
    """A Transformer-GNN, the folder it is served from, and what its number formats cost."""
    from btq_assets.models.serving.forecaster import write_served

    fitted = fitted_of("transformer_gnn", epochs=6, learning_rate=1e-2)
    folder = tmp_path_factory.mktemp("served") / "model"
    losses = write_served(fitted, folder, planted_test, precisions=("fp16", "int8"), bound=0.9)
    return fitted, folder, losses
