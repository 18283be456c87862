"""Saved models: any byte that differs is refused, and nothing on the way is a pickle."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import btq_assets.models as room  # noqa: E402
from btq_assets.models.catalogue import FAMILIES  # noqa: E402
from btq_assets.models.folds import TrainingSet  # noqa: E402
from btq_assets.models.forecaster import MismatchError  # noqa: E402
from btq_assets.models.saved import load_forecaster  # noqa: E402

torch.set_num_threads(1)

SAVED = ("ridge", "lightgbm", "mlp")


@pytest.fixture(scope="module")
def folders(planted_set: TrainingSet, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    found = {}
    for name in SAVED:
        family = FAMILIES[name].load()
        made = family()
        if name == "mlp":
            made = family(family.spec_type(model_dim=8, lookback_sessions=3, epochs=1))
        found[name] = tmp_path_factory.mktemp(name)
        made.fit(planted_set).save(found[name])
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


def test_loading_opens_no_pickle(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a pickle was opened")

    for name in SAVED:
        FAMILIES[name].load()
    for owner, name in (
        (pickle, "load"),
        (pickle, "loads"),
        (pickle, "Unpickler"),
        (torch, "load"),
    ):
        monkeypatch.setattr(owner, name, refused)
    for folder in folders.values():
        load_forecaster(folder)


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


def test_no_source_of_the_room_can_open_one() -> None:
    """Resuming a training run is not loading a model: its state lies beside `training`."""
    assert names_in("import torch\nx = torch.load('a')") & REFUSED == {"torch.load"}
    folder = Path(room.__file__).parent
    guilty = {
        str(file.relative_to(folder)): sorted(names_in(file.read_text()) & REFUSED)
        for file in folder.rglob("*.py")
    }
    assert {file: found for file, found in guilty.items() if found} == {}
