"""Experiment trackers: what is told of a fit is read back, and a tracker that fails costs nothing."""

from __future__ import annotations

import datetime as dt
import json
import time
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from btq_assets.contracts import models as tables
from btq_assets.models.folds import TrainingSet
from btq_assets.models.ridge import RidgeForecaster, RidgeSpec
from btq_assets.models.tracking import EXPERIMENT, tell, told_of, tracker_named
from btq_assets.models.walk_forward import Fit

AT = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def fit(planted_set: TrainingSet, planted_test: pl.DataFrame) -> Fit:
    ridge = RidgeForecaster(RidgeSpec(alphas=(1.0, 10.0))).fit(planted_set)
    ridge.scores = {
        **ridge.scores,
        "training_loss": [0.5, 0.25, 0.125],
        "validation_loss": [0.75, 0.5],
        "notes": ["a text"],
        "nothing": float("nan"),
    }
    columns = tables.FeatureColumns(("signal", "noise"), ())
    return Fit("m1", "base", 0, 3, ridge, ridge.predict(planted_test), AT, AT, 0.25, columns)


def test_what_is_told_is_what_the_fit_says(fit: Fit) -> None:
    told = told_of(fit, "abc")
    assert told.name == "m1"
    assert dict(told.curves) == {
        "training_loss": [0.5, 0.25, 0.125],
        "validation_loss": [0.75, 0.5],
    }
    assert told.scores["test_rank_ic"] == 0.25
    assert told.scores["alpha"] == fit.forecaster.scores["alpha"]
    assert "nothing" not in told.scores
    assert told.parameters["artifact_hash"] == "abc"
    assert (told.parameters["model"], told.parameters["fold"]) == ("ridge", "3")
    assert told.parameters["alphas"] == "(1.0, 10.0)"
    assert told.parameters["version_numpy"]


def test_a_tracker_that_fails_is_listed_and_said(fit: Fit, tmp_path: Path) -> None:
    said: list[str] = []

    class Broken:
        def tell(self, told: object) -> None:
            raise RuntimeError("no room at https://user:secret@host/path\nand more")

    def absent(name: str, folder: Path) -> Broken:
        raise ModuleNotFoundError("pip install 'btquant[mlflow]'")

    artifacts = {"m1": ("path", "abc")}
    options = {"artifacts": artifacts, "folder": tmp_path, "log": said.append}
    (kept,) = tell("mlflow", [fit], **options, make=lambda *_: Broken())
    assert kept == "mlflow has not kept m1: RuntimeError: no room at https://…@host/path"
    (started,) = tell("wandb", [fit, fit], **options, make=absent)
    assert started.startswith("wandb was not started, 2 fits are not in it: ModuleNotFoundError")
    assert said == [f"warning: {kept}", f"warning: {started}"]
    assert tell("none", [fit], **options, make=absent) == []
    assert list(tmp_path.iterdir()) == []


def test_an_extra_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, module in (("mlflow", "mlflow.tracking"), ("wandb", "wandb")):
        monkeypatch.setitem(__import__("sys").modules, module, None)
        with pytest.raises(ModuleNotFoundError, match=rf"btquant\[{name}\]"):
            tracker_named(name, tmp_path)


@pytest.mark.slow
def test_mlflow_keeps_parameters_curves_and_scores_in_a_local_file(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    pytest.importorskip("sqlalchemy")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    said: list[str] = []
    assert tell("mlflow", [fit], {"m1": ("p", "abc")}, tmp_path, log=said.append) == []
    assert said == []
    uri = tracker_named("mlflow", tmp_path).uri
    client = mlflow.tracking.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "m1"
    assert run.info.status == "FINISHED"
    assert run.data.params == dict(told_of(fit, "abc").parameters)
    curve = sorted(
        client.get_metric_history(run.info.run_id, "training_loss"), key=lambda m: m.step
    )
    assert [(m.step, m.value) for m in curve] == [(1, 0.5), (2, 0.25), (3, 0.125)]
    assert run.data.metrics["test_rank_ic"] == 0.25
    assert tmp_path in Path(uri.removeprefix("file://").removeprefix("sqlite:///")).parents


@pytest.mark.slow
def test_wandb_writes_a_run_offline(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    assert tell("wandb", [fit], {"m1": ("p", "abc")}, tmp_path, log=print) == []
    (run,) = (tmp_path / "wandb").rglob("offline-run-*")
    (record,) = run.glob("*.wandb")
    wanted = (b"artifact_hash", b"abc", b"training_loss", b"test_rank_ic")
    deadline = time.monotonic() + 20
    # Its own process writes the end of the file a moment after finish() has returned.
    while not all(text in record.read_bytes() for text in wanted):
        assert time.monotonic() < deadline, record.read_bytes()[:200]
        time.sleep(0.05)


def test_a_step_lists_what_its_tracker_did_not_keep(
    fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The output of a step is the same but for the line that names the failure."""
    from btq_assets.config import TradingConfig
    from btq_assets.models import assets, tracking

    def failing(name: str, folder: Path) -> object:
        raise OSError("disk full")

    monkeypatch.setattr(tracking, "tracker_named", failing)
    said: list[str] = []

    def output(tracker: str) -> object:
        config = TradingConfig(models={"training": {"tracker": tracker}})
        store = SimpleNamespace(paths=SimpleNamespace(root=Path("nowhere")))
        step = SimpleNamespace(config=config, log=said.append, artifacts=store, now=AT)
        return assets.fits_output(
            step, [fit], tables.FORECASTS_RIDGE, None, (), {"m1": ("path", "abc")}
        )

    fit.forecaster.scores.pop("notes")
    flat = dict.fromkeys(("validation_loss", "learning_rate", "gradient_norm"), [1.0] * 3)
    fit.forecaster.scores |= flat
    whole, failed = output("none"), output("mlflow")
    assert failed.metadata["not_tracked"].startswith("mlflow was not started")
    assert "not_tracked" not in whole.metadata
    assert failed.frames.equals(whole.frames)
    assert any("disk full" in line for line in said)
    row = failed.ledgers[tables.REGISTRY].row(0, named=True)
    assert json.loads(row["metrics_json"])["test_rank_ic"] == 0.25
