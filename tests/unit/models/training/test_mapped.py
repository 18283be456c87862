"""Windows over files are those over arrays, bit for bit, in the memory of a batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from btq_assets.models.forecaster import ModelError  # noqa: E402
from btq_assets.models.graph import DateGraph  # noqa: E402
from btq_assets.models.windows.batches import ArrayWindows, WindowSource  # noqa: E402
from btq_assets.models.windows.mapped import MappedWindows, write_windows  # noqa: E402
from btq_assets.models.windows.samples import DateSamples  # noqa: E402

T, N, F, LOOKBACK = 30, 6, 4, 5


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    random = np.random.default_rng(2)
    return {
        "features": random.normal(size=(T, N, F)).astype(np.float32),
        "present": random.random((T, N)) < 0.8,
        "calendar": random.normal(size=(T, 2)).astype(np.float32),
        "modalities": random.normal(size=(T, N, 3)).astype(np.float32),
        "available": random.random((T, N, 2)) < 0.5,
    }


def blocks(arrays: dict[str, np.ndarray], *sizes: int):
    starts = np.cumsum([0, *sizes])
    for start, size in zip(starts, sizes, strict=False):
        yield {name: values[start : start + size] for name, values in arrays.items()}


def dates() -> list[DateSamples]:
    """Dates out of order, twice the same, the first ones, ragged assets."""
    random = np.random.default_rng(3)
    found = []
    for session in (0, 17, 2, 29, 17, 5):
        assets = np.sort(random.choice(N, 4, replace=False))
        edges = np.stack([random.choice(assets, 7), random.choice(assets, 7)])
        graph = DateGraph(edges, random.normal(size=(7, 2)).astype(np.float32))
        found.append(DateSamples(session, graph, assets, random.normal(size=(4, 1))))
    return found


@pytest.mark.parametrize("names", [("features", "present"), None])
def test_batches_are_those_of_arrays(tmp_path: Path, arrays, names) -> None:
    chosen = {name: arrays[name] for name in names or arrays}
    write_windows(tmp_path, T, blocks(chosen, 7, 1, 22))
    source: WindowSource = MappedWindows(tmp_path, LOOKBACK)
    others = {k: v for k, v in chosen.items() if k not in ("features", "present")}
    expected = ArrayWindows(arrays["features"], arrays["present"], LOOKBACK, **others)
    assert source.n_features == F
    ours, theirs = source.collate(dates()), expected.collate(dates())
    for name, value in theirs.inputs._asdict().items():
        found = getattr(ours.inputs, name)
        assert found.dtype == value.dtype, name
        assert found.shape == value.shape, name
        assert torch.equal(found, value), name
        assert found.is_contiguous(), name
    assert torch.equal(ours.target, theirs.target)
    assert torch.equal(ours.weight, theirs.weight)


def test_files_that_do_not_fit_are_named(tmp_path: Path, arrays) -> None:
    with pytest.raises(ModelError, match=r"features\.npy cannot be read"):
        MappedWindows(tmp_path, LOOKBACK)
    with pytest.raises(ModelError, match="blocks have 7 sessions, 30 were announced"):
        write_windows(tmp_path, T, blocks(arrays, 7))
    with pytest.raises(ModelError, match="does not follow 20 of 25 sessions"):
        write_windows(tmp_path, 25, blocks(arrays, 20, 10))
    with pytest.raises(ModelError, match="no file 'colour'"):
        write_windows(tmp_path, 1, [{"colour": np.zeros((1, 2))}])
    write_windows(tmp_path, T, blocks(arrays, T))
    np.save(tmp_path / "present.npy", arrays["present"][1:])
    with pytest.raises(ModelError, match=r"present\.npy in .* is of shape \(29, 6\)"):
        MappedWindows(tmp_path, LOOKBACK)
    np.save(tmp_path / "present.npy", arrays["present"].astype(float))
    with pytest.raises(ModelError, match="holds float64 with 2 axes, not bool with 2"):
        MappedWindows(tmp_path, LOOKBACK)


_PEAK = """
import resource, sys
import numpy as np
from btq_assets.models.windows.mapped import MappedWindows
from btq_assets.models.windows.samples import DateSamples, loops
source = MappedWindows(sys.argv[1], 20)
assets = np.arange(500)
date = lambda t: DateSamples(t, loops(assets, 2), assets, np.zeros((500, 1)))
source.collate([date(30)])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for t in range(50, 4000, 19):
    source.collate([date(t)])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_holds_a_batch_and_not_the_files(tmp_path: Path) -> None:
    """4,000 sessions of 500 assets with 16 features are 122 MiB; a date's window is 0.6 MiB."""
    block = {
        "features": np.ones((100, 500, 16), dtype=np.float32),
        "present": np.ones((100, 500), dtype=bool),
    }
    write_windows(tmp_path, 4000, (block for _ in range(40)))
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4]), "OMP_NUM_THREADS": "1"},
    )
    assert int(done.stdout) / 1024 < 20
