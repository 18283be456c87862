"""Saved models: any byte that differs is refused, and nothing on the way is a pickle."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")

import btq_assets.models as room  # noqa: E402
from btq_assets.models.catalogue import FAMILIES  # noqa: E402
from btq_assets.models.forecaster import MismatchError, seal  # noqa: E402
from btq_assets.models.saved import load_forecaster  # noqa: E402

torch.set_num_threads(1)

SAVED = tuple(FAMILIES)


@pytest.fixture(scope="module")
def folders(
    planted: pl.DataFrame, training_set_of: Any, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A saved model of every family, fitted on 40 sessions."""
    few = training_set_of(planted, ("signal", "noise"), 40, 15)
    found = {}
    for name, family in FAMILIES.items():
        forecaster = family.load()
        made = forecaster()
        if name == "lightgbm":
            made = forecaster(forecaster.spec_type(min_child_samples=20, n_estimators=5))
        if family.is_deep:
            small = {"model_dim": 8, "lookback_sessions": 3, "epochs": 1}
            made = forecaster(forecaster.spec_type(**small, graph_window_sessions=20))
        found[name] = tmp_path_factory.mktemp(name)
        made.fit(few).save(found[name])
    return found


def copy_of(folder: Path, target: Path) -> Path:
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target


@pytest.mark.parametrize("name", SAVED)
def test_a_flipped_byte_is_refused(folders: dict[str, Path], name: str, tmp_path: Path) -> None:
    """At the start, the middle and the end of every file, one bit at a time."""
    folder = copy_of(folders[name], tmp_path)
    load_forecaster(folder)
    for file in sorted(folder.iterdir()):
        intact = file.read_bytes()
        for at in (0, len(intact) // 3, len(intact) // 2, len(intact) - 2, len(intact) - 1):
            changed = bytearray(intact)
            changed[at] ^= 1
            file.write_bytes(changed)
            with pytest.raises(MismatchError):
                load_forecaster(folder)
        file.write_bytes(intact)
    load_forecaster(folder)


def test_what_is_wrong_is_named(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = copy_of(folders["ridge"], tmp_path)
    weights = folder / "weights.safetensors"
    intact = weights.read_bytes()
    weights.write_bytes(intact[:-1])
    with pytest.raises(MismatchError, match=r"weights\.safetensors was altered after it was saved"):
        load_forecaster(folder)
    weights.unlink()
    with pytest.raises(MismatchError, match=r"weights\.safetensors is gone"):
        load_forecaster(folder)
    weights.write_bytes(intact)
    model = folder / "model.json"
    text = model.read_text()
    model.write_text(text.replace('"seed": 0', '"seed": 1'))
    with pytest.raises(MismatchError, match=r"model\.json was altered after it was saved"):
        load_forecaster(folder)
    model.write_text(text.replace('"seal"', '"zeal"'))
    with pytest.raises(MismatchError, match="carries no hashes"):
        load_forecaster(folder)


@pytest.fixture
def no_pickle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever opens a pickle fails, Python's own reader and those of the libraries."""

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a pickle was opened")

    for name in SAVED:
        FAMILIES[name].load()
    for owner, name in (
        (pickle, "load"),
        (pickle, "loads"),
        (pickle, "Unpickler"),
        (pickle, "_loads"),
        (torch, "load"),
        (np, "load"),
    ):
        monkeypatch.setattr(owner, name, refused)


@pytest.mark.usefixtures("no_pickle")
def test_loading_opens_no_pickle(folders: dict[str, Path]) -> None:
    with pytest.raises(AssertionError, match="a pickle was opened"):
        pickle.loads(b"")
    for folder in folders.values():
        load_forecaster(folder)


def test_a_pickle_in_place_of_weights_is_never_opened(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """Every file of every family replaced by one that would write to the disk, with good hashes."""

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    for name, folder in folders.items():
        (tmp_path / name).mkdir()
        copy = copy_of(folder, tmp_path / name)
        for file in sorted(copy.iterdir()):
            if file.name == "model.json":
                continue
            file.write_bytes(pickle.dumps(Trap()))
            seal(copy)
            with pytest.raises(Exception):  # noqa: B017 - whatever the library says of it
                load_forecaster(copy)
    assert not (tmp_path / "sprung").exists()
    pickle.loads(pickle.dumps(Trap()))
    assert (tmp_path / "sprung").exists(), "the trap does not work"


def test_served_networks_are_read_without_a_pickle(
    folders: dict[str, Path], planted_test: pl.DataFrame, tmp_path: Path, request: Any
) -> None:
    pytest.importorskip("onnxruntime")
    from btq_assets.models.serving.forecaster import OnnxForecaster, write_served

    network = load_forecaster(folders["mlp"])
    write_served(network, tmp_path / "served", planted_test)
    request.getfixturevalue("no_pickle")
    served = OnnxForecaster.load(tmp_path / "served")
    assert served.predict(planted_test).height == planted_test.height


@pytest.mark.usefixtures("no_pickle")
def test_texts_are_read_without_a_pickle(tmp_path: Path) -> None:
    from btq_assets.models.text.encoders import OwnEncoder, OwnShape, read_encoder
    from btq_assets.models.text.tokens import WordTokens

    encoder = OwnEncoder(WordTokens(["profit", "loss"]), OwnShape(8, 2, 1, 0.0, "mean"))
    encoder.write(tmp_path, encoder.build().state_dict())
    found = read_encoder(tmp_path)
    assert found.tokens.words == encoder.tokens.words
    found.build()


@pytest.mark.parametrize("file", ["search.journal", "search.db"])
def test_a_search_goes_on_without_a_pickle(tmp_path: Path, file: str, request: Any) -> None:
    optuna = pytest.importorskip("optuna")
    from btq_assets.models.search.storage import open_storage

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = str(tmp_path / file)
    study = optuna.create_study(study_name="s", storage=open_storage(path))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    request.getfixturevalue("no_pickle")
    again = optuna.load_study(study_name="s", storage=open_storage(path))
    again.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    assert [t.params for t in again.trials[:2]] == [t.params for t in study.trials[:2]]


def names_in(source: str) -> set[str]:
    """Every module imported and every dotted name called in a source."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
        elif isinstance(node, ast.Call):
            # numpy refuses a pickle where it is told to.
            told = any(ast.unparse(k) == "allow_pickle=False" for k in node.keywords)
            found |= set() if told else {ast.unparse(node.func)}
    return found


REFUSED = {
    *("pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"),
    *("torch.load", "np.load", "numpy.load", "eval", "exec", "yaml.load"),
}


def test_no_source_on_the_way_to_an_order_can_open_one() -> None:
    """Resuming a training run is not loading a model: its state lies beside `training`."""
    assert names_in("import torch\nx = torch.load('a')") & REFUSED == {"torch.load"}
    package = Path(room.__file__).parents[1]
    rooms = ("models", "agents", "api", "backtest", "execution", "portfolio", "warehouse")
    guilty = {
        str(file.relative_to(package)): sorted(names_in(file.read_text()) & REFUSED)
        for name in rooms
        for file in (package / name).rglob("*.py")
    }
    assert len(guilty) > 200
    assert {file: found for file, found in guilty.items() if found} == {}
