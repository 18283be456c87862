"""The live loop needs ONNX Runtime and no torch: a process that has none gives the same forecasts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from btq_assets.models.windows.batches import ArrayWindows
from btq_assets.models.windows.plain import PlainWindows
from btq_assets.models.windows.samples import DateSamples, loops

LIVE = """
import sys
from pathlib import Path

sys.modules["torch"] = None  # importing it raises
sys.modules["torch_geometric"] = None
import polars as pl
from btq_assets.models.serving.forecaster import OnnxForecaster

loaded = OnnxForecaster.load(Path(sys.argv[1]), feature_names=("signal", "noise"))
assert loaded.provenance.feature_names == ("signal", "noise")
loaded.predict(pl.read_parquet(sys.argv[2])).write_parquet(sys.argv[3])
assert not [name for name in sys.modules if name.startswith("torch.")]
"""


def test_loading_and_forecasting_import_no_torch(
    served: tuple, planted_test: pl.DataFrame, tmp_path: Path
) -> None:
    fitted, folder, _ = served
    given, made = tmp_path / "panel.parquet", tmp_path / "forecasts.parquet"
    planted_test.write_parquet(given)
    subprocess.run(
        [sys.executable, "-c", LIVE, str(folder), str(given), str(made)],
        check=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    found, expected = pl.read_parquet(made), fitted.predict(planted_test)
    assert found.drop("forecast").equals(expected.drop("forecast"))
    unit = expected["forecast"].std()
    np.testing.assert_allclose(found["forecast"] / unit, expected["forecast"] / unit, atol=1e-5)


@pytest.mark.parametrize("first", [0, 3])
def test_plain_inputs_are_those_of_the_tensors(first: int) -> None:
    """Bit for bit, two dates of different assets, windows that begin before the panel does."""
    random = np.random.default_rng(2)
    n_sessions, n_assets = 9, 4
    shape = (n_sessions, n_assets)
    layers = {
        "features": random.normal(size=(*shape, 3)).astype(np.float32),
        "present": random.random(shape) < 0.8,
        "calendar": random.normal(size=(n_sessions, 2)).astype(np.float32),
        "modalities": random.normal(size=(*shape, 5)).astype(np.float32),
        "available": random.random((*shape, 2)) < 0.5,
    }
    samples = []
    for session, assets in ((4 + first, np.array([0, 2, 3])), (8, np.array([1, 2]))):
        target = np.zeros((len(assets), 1))
        sectors = np.array([2, 1, 2])[: len(assets)]
        samples.append(DateSamples(session, loops(assets, 2), assets, target, None, sectors))
    lookback = 7 if first == 0 else 5
    expected = ArrayWindows(**layers, lookback=lookback).collate(samples).inputs
    fields = [name for name in expected._fields if not name.startswith("document")]
    cut = {name: values[first:] for name, values in layers.items()}
    found = PlainWindows(cut, lookback, first).inputs(samples, fields)
    for name in fields:
        theirs = getattr(expected, name).numpy()
        assert found[name].dtype == theirs.dtype, name
        np.testing.assert_array_equal(found[name], theirs, err_msg=name)
