"""Fits on workers are those of one process to the last bit; a worker that dies is named."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

torch = pytest.importorskip("torch")

import worker_calls  # noqa: E402
from network_house import small_config, training_frame  # noqa: E402
from worker_calls import square  # noqa: E402

from btq_assets.config import TrainingSection  # noqa: E402
from btq_assets.models import workers as room  # noqa: E402
from btq_assets.models.folds import splits  # noqa: E402
from btq_assets.models.forecaster import ModelError  # noqa: E402
from btq_assets.models.plans import deep_plan, ridge_plan  # noqa: E402
from btq_assets.models.walk_forward import STATE_FILE, Fit, fit_all, forget_states  # noqa: E402
from btq_assets.models.workers import Alone, Processes, RayWorkers, workers_of  # noqa: E402
from btq_assets.warehouse.artifacts import folder_hash  # noqa: E402

CONFIG = small_config()


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    return training_frame(CONFIG)


def fitted(frame: pl.DataFrame, workers=None, **options) -> list[Fit]:
    plan = deep_plan("lstm", CONFIG, code_version="v")
    return fit_all(frame, splits(frame, CONFIG), plan, data_hash="d", workers=workers, **options)


@pytest.fixture(scope="module")
def serial(frame: pl.DataFrame) -> list[Fit]:
    return fitted(frame)


def hash_of(fit: Fit, folder: Path) -> str:
    fit.forecaster.save(folder / fit.model_id)
    return folder_hash(folder / fit.model_id)


def same(found: list[Fit], expected: list[Fit], folder: Path) -> None:
    """Same fits in the same order: forecasts, scores, and every byte of the saved models."""
    assert [fit.model_id for fit in found] == [fit.model_id for fit in expected]
    assert len({fit.model_id for fit in found}) == 4
    for one, other in zip(found, expected, strict=True):
        assert one.forecasts.equals(other.forecasts)
        assert one.forecaster.scores == other.forecaster.scores
        assert one.test_rank_ic == other.test_rank_ic
        assert hash_of(one, folder / "found") == hash_of(other, folder / "expected")


@pytest.mark.parametrize("n", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_processes_fit_what_this_one_does(frame, serial, n: int, tmp_path: Path) -> None:
    """One starts a process too: nothing of this one's memory is shared."""
    told: list[int] = []
    found = fitted(frame, Processes(n), progress=lambda done, total, _: told.append(done))
    same(found, serial, tmp_path)
    assert told == [1, 2, 3, 4]
    assert all(fit.peak.mebibytes > 50 and fit.peak.of == "process" for fit in found)


def test_one_worker_is_this_process(frame, serial, tmp_path: Path) -> None:
    same(fitted(frame, Alone()), serial, tmp_path)


@pytest.mark.slow
def test_ray_fits_what_one_process_does(frame, serial, tmp_path: Path) -> None:
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    try:
        same(fitted(frame, RayWorkers(2)), serial, tmp_path)
    finally:
        ray.shutdown()


def test_a_fit_goes_on_from_the_state_of_a_killed_one(frame, serial, tmp_path: Path) -> None:
    """The states of ended fits: all are found again and no batch is trained on twice."""
    states = tmp_path / "states"
    first = fitted(frame, checkpoints=states)
    assert {file.parent.name for file in states.glob(f"*/{STATE_FILE}")} == {
        fit.model_id for fit in serial
    }
    assert not any(fit.resumed for fit in first)
    again = fitted(frame, checkpoints=states)
    assert all(fit.resumed for fit in again)
    same(again, serial, tmp_path)


def test_states_are_forgotten_with_their_fits_and_with_age(serial, tmp_path: Path) -> None:
    import datetime as dt

    for name in (serial[0].model_id, "fresh", "old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / STATE_FILE).touch()
    os.utime(tmp_path / "old" / STATE_FILE, (0, 0))
    forget_states(serial[:1], tmp_path, dt.datetime(2001, 1, 1, tzinfo=dt.UTC))
    assert [folder.name for folder in tmp_path.iterdir()] == ["fresh"]


def test_models_that_cannot_be_read_back_stay_here(frame) -> None:
    plan = ridge_plan(CONFIG, code_version="v")
    with pytest.raises(ModelError, match="cannot be read back from files"):
        fit_all(frame, splits(frame, CONFIG), plan, data_hash="d", workers=Processes(2))


@pytest.mark.parametrize("workers", [Alone(), Processes(2)], ids=["alone", "processes"])
def test_results_come_in_the_order_of_the_items(workers) -> None:
    came: list[tuple[int, int]] = []
    found = workers.map(square, 2, [3, 1, 2], lambda place, value: came.append((place, value)))
    assert found == [18, 2, 8]
    assert sorted(came) == [(0, 18), (1, 2), (2, 8)]
    with pytest.raises(ModelError, match="-1 is negative"):
        workers.map(square, 2, [1, -1])


def test_a_worker_that_dies_is_named() -> None:
    with pytest.raises(ModelError, match=r"ended without an answer .* models\.training\.workers"):
        Processes(1).map(square, 2, [99])


def test_workers_end_with_who_started_them(tmp_path: Path) -> None:
    """SIGKILL to a parent whose two workers sleep: both are gone soon after."""
    process = subprocess.Popen(
        [sys.executable, worker_calls.__file__, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    deadline = time.monotonic() + 90
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.05)
    workers = [int(file.name) for file in tmp_path.iterdir()]
    process.kill()
    process.wait()
    while any(Path(f"/proc/{pid}/fd").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(workers) == 2
    assert not any(Path(f"/proc/{pid}/fd").exists() for pid in workers)


def test_configuration_names_the_workers(monkeypatch) -> None:
    assert workers_of(TrainingSection()) == Alone()
    assert workers_of(TrainingSection(workers=3)) == Processes(3)
    ray = TrainingSection(workers=4, engine="ray", ray_address="ray://head:10001")
    assert workers_of(ray) == RayWorkers(4, "ray://head:10001", 0.0)
    assert workers_of(ray, device="cuda").gpus == 0.25
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ModelError, match=r"pip install 'btquant\[ray\]'"):
        room.require_ray()
