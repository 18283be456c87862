"""What a forecaster is: fit, predict, save, load, and the refusals that keep them honest.

Belongs here: the `Forecaster` protocol, the provenance every saved model carries, and the errors
all models share. Does not belong here: any particular model, and any Dagster object.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
import polars as pl
from numpy.typing import NDArray

if TYPE_CHECKING:
    from btq_assets.models.folds import TrainingSet

#: Called as ``progress(done, total, scores)``; the caller owns the clock and turns it into an ETA.
Progress = Callable[[int, int, Mapping[str, float]], None]

MODEL_FILE = "model.json"
WEIGHTS_FILE = "weights.safetensors"

#: Columns of every frame that `Forecaster.predict` returns.
FORECAST_COLUMNS = ("universe", "symbol", "ts", "forecast")


class ModelError(ValueError):
    """A model cannot be fitted, used, saved or loaded as asked."""


class MissingFeatureError(ModelError):
    """A panel lacks a feature the model was fitted on."""


class MismatchError(ModelError):
    """A saved model is not the one its consumer expects."""


class TrainingDivergedError(ModelError):
    """The loss stopped being a number."""


@dataclass(frozen=True)
class Provenance:
    """What a fitted model came from; stored beside the weights and checked when they are loaded.

    Parameters
    ----------
    model
        Model family.
    feature_names
        Input columns in the order the weights expect.
    code_version
        Hash of the code that fitted it, or ``"unversioned"`` in a notebook.
    seed
        Seed of the fit.
    versions
        Versions of the libraries that matter.
    """

    model: str
    feature_names: tuple[str, ...]
    code_version: str
    seed: int
    versions: Mapping[str, str]

    @property
    def feature_hash(self) -> str:
        """Hash of the ordered feature names."""
        return hash_of(list(self.feature_names))


@runtime_checkable
class Forecaster(Protocol):
    """Anything that learns relative returns from a `TrainingSet` and forecasts them.

    Fitting is deterministic given the seed in `spec` and the device.
    """

    @property
    def spec(self) -> Any:
        """Typed, frozen configuration of the fit."""

    @property
    def provenance(self) -> Provenance:
        """What the fitted model came from; raises `ModelError` before `fit`."""

    @property
    def history_sessions(self) -> int:
        """Sessions before a decision that `predict` needs in its panel."""

    @property
    def scores(self) -> dict[str, Any]:
        """Training curves and validation scores of the fit."""

    def fit(self, training_set: TrainingSet, progress: Progress | None = None) -> Self:
        """Learn from the training and validation segments of one fold; returns itself."""

    def predict(self, panel: pl.DataFrame) -> pl.DataFrame:
        """Forecast every decision row of `panel` (every row without an ``is_decision`` column).

        Returns
        -------
        polars.DataFrame
            ``universe``, ``symbol``, ``ts`` and ``forecast`` (label units), sorted.

        Raises
        ------
        MissingFeatureError
            `panel` lacks a column the model was fitted on; the error names it.
        """

    def save(self, folder: Path) -> None:
        """Write weights and provenance into `folder`; no pickle."""

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        feature_names: Sequence[str] | None = None,
        code_version: str | None = None,
    ) -> Self:
        """Read a saved model; raises `MismatchError` unless it is what the caller expects."""


@runtime_checkable
class OneDate(Protocol):
    """A forecaster that can be asked for one date without a frame, as bars come."""

    def predict_date(self, columns: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Forecasts of all assets of one date, as `Forecaster.predict` gives them for it.

        Parameters
        ----------
        columns
            Feature → ``(assets,)``, NaN where undefined; all assets the date has.

        Returns
        -------
        numpy.ndarray
            ``(assets,)``, label units, in the order given.

        Raises
        ------
        MissingFeatureError
            A column the model was fitted on is not there.
        """
        ...


@runtime_checkable
class Explained(Protocol):
    """A forecaster that can say what it leans on."""

    def importances(self) -> dict[str, float]:
        """Share of each feature, summing to 1, or all 0."""
        ...


def hash_of(value: Any) -> str:
    """Short stable hash of anything JSON can write."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def model_id(
    *,
    model: str,
    variant: str,
    config: Mapping[str, Any],
    data_hash: str,
    seed: int,
    fold: int,
    code_version: str,
) -> str:
    """Identity of one fit: same inputs and code, same name, same numbers."""
    return hash_of([model, variant, dict(config), data_hash, seed, fold, code_version])


def library_versions(*names: str) -> dict[str, str]:
    """Installed versions of `names`; a missing one reads ``"absent"``."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def require_columns(
    panel: pl.DataFrame | Mapping[str, object], names: Sequence[str], purpose: str
) -> None:
    """Raise `MissingFeatureError` naming every column of `names` that `panel` lacks."""
    have = panel.columns if isinstance(panel, pl.DataFrame) else panel
    missing = [name for name in names if name not in have]
    if missing:
        raise MissingFeatureError(
            f"{purpose}: feature column(s) {missing} are missing from a panel of "
            f"{len(have)} columns; compute them, or fit without them"
        )


def require_features(names: Sequence[str], model: str) -> None:
    """Raise `ModelError` where no feature is left to read."""
    if not names:
        raise ModelError(
            f"{model} needs at least one feature column with a value in the training segment"
        )


def require_distinct(panel: pl.DataFrame, purpose: str) -> None:
    """Raise `ModelError` where an asset has two rows at the same time, naming the first."""
    key = [name for name in ("universe", "symbol", "ts") if name in panel.columns]
    twice = panel.select(key).is_duplicated()
    if twice.any():
        first = panel.filter(twice).sort(key).row(0, named=True)
        raise ModelError(
            f"{purpose}: {int(twice.sum())} rows share their key with another, first "
            f"{first['symbol']} at {first['ts']}; keep one row per asset and time"
        )


def write_model(
    folder: Path, provenance: Provenance, spec: Any, extra: Mapping[str, Any] | None = None
) -> None:
    """Write ``model.json``: specification, provenance and whatever else is not a weight."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "spec": asdict(spec),
        "provenance": {
            **asdict(provenance),
            "feature_hash": provenance.feature_hash,
        },
        "extra": dict(extra or {}),
    }
    (folder / MODEL_FILE).write_text(json.dumps(content, indent=1, sort_keys=True))


def seal(folder: Path) -> None:
    """Write into ``model.json`` what every other file of the folder hashes to, and the rest of it.

    The last thing that saving does. A byte that differs afterwards is refused by `read_model`. Who
    alters a file and its hash on purpose is found out by the hash of the folder in
    ``models.registry``.
    """
    file = folder / MODEL_FILE
    content = json.loads(file.read_text())
    content.pop("seal", None)
    content["files"] = {
        str(other.relative_to(folder)): _sha256(other)
        for other in sorted(folder.rglob("*"))
        if other.is_file() and other != file
    }
    content["seal"] = hash_of(content)
    file.write_text(json.dumps(content, indent=1, sort_keys=True))


def broken_seals(folder: Path, content: Mapping[str, Any]) -> list[str]:
    """What of a saved folder is no longer what `seal` saw, in words; empty where all is.

    Parameters
    ----------
    folder
        A saved model.
    content
        Its ``model.json``.
    """
    if "seal" not in content:
        return [f"{MODEL_FILE} carries no hashes of its files"]
    found = []
    if hash_of({key: value for key, value in content.items() if key != "seal"}) != content["seal"]:
        found.append(f"{MODEL_FILE} was altered after it was saved")
    for name, expected in dict(content["files"]).items():
        if not (folder / name).is_file():
            found.append(f"{name} is gone")
        elif _sha256(folder / name) != expected:
            found.append(f"{name} was altered after it was saved: its sha256 is not {expected}")
    return found


Spec = TypeVar("Spec")


def spec_from(spec_type: type[Spec], content: Mapping[str, Any]) -> Spec:
    """A specification out of what JSON keeps of it; names it does not know are passed over."""
    known = {field.name for field in fields(spec_type)}  # type: ignore[arg-type]
    return spec_type(
        **{
            name: tuple(value) if isinstance(value, list) else value
            for name, value in content.items()
            if name in known
        }
    )


def read_model(
    folder: Path,
    model: str,
    spec_type: type[Spec],
    *,
    feature_names: Sequence[str] | None,
    code_version: str | None,
) -> tuple[Spec, Provenance, dict[str, Any]]:
    """Read ``model.json`` and refuse it unless it is what the caller expects.

    Parameters
    ----------
    folder
        Folder written by `write_model`.
    model
        Model family the caller can rebuild.
    spec_type
        Dataclass of its specification.
    feature_names, code_version
        What the consumer has; ``None`` accepts anything.

    Raises
    ------
    MismatchError
        Another family, other features, another code version, or a damaged or altered file; the
        message names each mismatch, with what was found and what was expected.
    """
    file = folder / MODEL_FILE
    if not file.is_file():
        raise MismatchError(f"{folder} holds no {MODEL_FILE}: it is not a saved model")
    try:
        content = json.loads(file.read_text())
        stored = dict(content["provenance"])
        feature_hash = stored.pop("feature_hash")
        stored["feature_names"] = tuple(stored["feature_names"])
        provenance = Provenance(**stored)
        spec = spec_from(spec_type, content["spec"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise MismatchError(f"{file} is damaged or of another format: {error!r}") from error
    problems = broken_seals(folder, content)
    if provenance.model != model:
        problems.append(f"model is {provenance.model!r}, expected {model!r}")
    if provenance.feature_hash != feature_hash:
        problems.append(
            f"feature hash {feature_hash} does not belong to the stored names "
            f"(they hash to {provenance.feature_hash})"
        )
    if feature_names is not None and tuple(feature_names) != provenance.feature_names:
        problems.append(_feature_difference(provenance.feature_names, tuple(feature_names)))
    if code_version is not None and code_version != provenance.code_version:
        problems.append(f"code version is {provenance.code_version!r}, expected {code_version!r}")
    if problems:
        raise MismatchError(f"{folder} is refused: {'; '.join(problems)}. Fit the model again")
    return spec, provenance, content["extra"]


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _feature_difference(have: tuple[str, ...], want: tuple[str, ...]) -> str:
    hashes = f"feature hash is {hash_of(list(have))}, expected {hash_of(list(want))}"
    lacking = [name for name in want if name not in have]
    superfluous = [name for name in have if name not in want]
    if not lacking and not superfluous:
        return f"{hashes} (same features in another order)"
    return f"{hashes} (model lacks {lacking}, has unexpected {superfluous})"
