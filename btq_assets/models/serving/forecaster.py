"""A saved network and its ONNX files in one folder, and the forecaster that runs them.

Belongs here: writing the folder, reading it, refusing what is not what it says. Does not belong
here: tracing (`export`), number formats (`precision`). Heavy libraries are imported inside functions.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from btq_assets.models.catalogue import DEEP
from btq_assets.models.deep.windowed import WindowedForecaster
from btq_assets.models.forecaster import (
    MODEL_FILE,
    MismatchError,
    ModelError,
    Progress,
    Provenance,
    seal,
)
from btq_assets.models.serving.precision import (
    PRECISIONS,
    RANK_CORRELATION_BOUND,
    PrecisionLoss,
    convert,
    precision_loss,
    require_ranking,
)

if TYPE_CHECKING:
    import polars as pl

    from btq_assets.models.folds import TrainingSet


#: Dates that are forecast together.
DATES_AT_ONCE = 64


def onnx_file(precision: str) -> str:
    """Name of the file of a number format."""
    return f"network.{precision}.onnx"


def write_served(
    forecaster: WindowedForecaster[Any],
    folder: Path,
    panel: pl.DataFrame,
    *,
    precisions: Sequence[str] = ("fp32",),
    bound: float = RANK_CORRELATION_BOUND,
) -> tuple[PrecisionLoss, ...]:
    """Save a fitted network with its ONNX files, sealed together.

    Parameters
    ----------
    forecaster
        A fitted network on the CPU.
    folder
        Where to; made if it is not there.
    panel
        Decisions to trace with, and to compare number formats on.
    precisions
        Some of `precision.PRECISIONS`; ``fp32`` is always written.
    bound
        Smallest mean rank correlation with fp32 at which another format is accepted.

    Returns
    -------
    tuple of PrecisionLoss
        What each format but fp32 costs.

    Raises
    ------
    PrecisionLossError
        A format changes the ranking more than `bound` allows. Nothing is written then.
    ModelError
        No such format, no decision in `panel`, or a network that ONNX cannot say.
    """
    from btq_assets.models.serving.export import OPSET, write_onnx

    unknown = sorted(set(precisions) - set(PRECISIONS))
    if unknown:
        raise ModelError(f"there is no number format {unknown}; there are {PRECISIONS}")
    network, _ = forecaster._fitted()
    _, source, samples = forecaster.dates_of(panel)
    if not samples or len(samples[-1].assets) < 2:
        raise ModelError("tracing a network needs a decision with two assets in the panel")
    losses = []
    with tempfile.TemporaryDirectory() as made:
        staging = Path(made)
        forecaster.save(staging)
        exact = staging / onnx_file("fp32")
        fields = write_onnx(network, source.collate(samples[-2:]).inputs, exact)
        forecasts = _with_file(staging, exact).predict(panel)
        for precision in dict.fromkeys(name for name in precisions if name != "fp32"):
            file = staging / onnx_file(precision)
            convert(exact, file, precision)
            loss = precision_loss(
                forecasts,
                _with_file(staging, file).predict(panel),
                precision=precision,
                n_bytes=file.stat().st_size,
            )
            require_ranking(loss, bound)
            losses.append(loss)
        content = json.loads((staging / MODEL_FILE).read_text())
        content["serving"] = {
            "opset": OPSET,
            "inputs": fields,
            "precisions": ["fp32", *(loss.precision for loss in losses)],
            "losses": [asdict(loss) for loss in losses],
        }
        (staging / MODEL_FILE).write_text(json.dumps(content, indent=1, sort_keys=True))
        seal(staging)
        shutil.copytree(staging, folder, dirs_exist_ok=True)
    return tuple(losses)


class OnnxForecaster:
    """A network out of a folder of `write_served`, run by ONNX Runtime on one thread.

    Windows and graphs are made by the network's own forecaster, so that both give the same
    forecasts. Neither loading nor forecasting needs torch.

    Parameters
    ----------
    inner
        The network's own forecaster, around the ONNX file.
    folder
        Where it came from.
    serving
        What ``model.json`` says of the files.
    precision
        Number format it runs in.
    """

    def __init__(
        self,
        inner: WindowedForecaster[Any],
        folder: Path,
        serving: Mapping[str, Any],
        precision: str,
    ) -> None:
        self._inner = inner
        self._folder = folder
        self.serving = serving
        self.precision = precision

    @property
    def spec(self) -> Any:
        """Configuration of the fit."""
        return self._inner.spec

    @property
    def provenance(self) -> Provenance:
        """What the network came from."""
        stored = dict(json.loads((self._folder / MODEL_FILE).read_text())["provenance"])
        del stored["feature_hash"]
        return Provenance(**{**stored, "feature_names": tuple(stored["feature_names"])})

    @property
    def history_sessions(self) -> int:
        """Sessions before a decision that windows and graphs reach back."""
        return self._inner.history_sessions

    @property
    def scores(self) -> dict[str, Any]:
        """Training curves and validation scores of the fit."""
        return self._inner.scores

    def fit(self, training_set: TrainingSet, progress: Progress | None = None) -> Self:
        """Refused: what is served was fitted before."""
        raise ModelError(
            f"a served {self.provenance.model} cannot be fitted; fit its own forecaster, then write "
            "it with write_served()"
        )

    def predict(self, panel: pl.DataFrame) -> pl.DataFrame:
        """Forecast the decision rows of `panel`; see `Forecaster.predict`."""
        inner = self._inner
        network: Any = inner._network
        arrays, samples = inner.decisions_of(panel)
        windows = inner.plain_windows(arrays, samples)
        said: list[dict[str, np.ndarray]] = []
        for start in range(0, len(samples), DATES_AT_ONCE):
            some = samples[start : start + DATES_AT_ONCE]
            found = network.run(windows.inputs(some, network.fields))._asdict()
            ends = np.cumsum([len(sample.assets) for sample in some])[:-1]
            parts = {
                name: np.split(values.astype(np.float64), ends)
                for name, values in found.items()
                if values is not None
            }
            said += [{name: of[place] for name, of in parts.items()} for place in range(len(some))]
        return inner.tidied(arrays, samples, said)

    def save(self, folder: Path) -> None:
        """Copy the folder it came from, whose hashes it keeps."""
        shutil.copytree(self._folder, folder, dirs_exist_ok=True)

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        feature_names: Sequence[str] | None = None,
        code_version: str | None = None,
        precision: str = "fp32",
    ) -> Self:
        """Read a folder of `write_served`.

        Raises
        ------
        MismatchError
            Not such a folder, another family, other features, other code, a number format it does
            not have, or a file that was altered; the message names each.
        """
        folder = Path(folder)
        serving, family = _serving_of(folder)
        if precision not in serving["precisions"]:
            raise MismatchError(
                f"{folder} has no {precision}; it has {', '.join(serving['precisions'])}"
            )
        inner = _loaded(
            folder,
            family,
            folder / onnx_file(precision),
            feature_names=feature_names,
            code_version=code_version,
        )
        return cls(inner, folder, serving, precision)


def _serving_of(folder: Path) -> tuple[Mapping[str, Any], str]:
    file = folder / MODEL_FILE
    if not file.is_file():
        raise MismatchError(f"{folder} holds no {MODEL_FILE}: it is not a saved model")
    try:
        content = json.loads(file.read_text())
        family = content["provenance"]["model"]
    except (KeyError, TypeError, ValueError) as error:
        raise MismatchError(f"{file} is damaged or of another format: {error!r}") from error
    if family not in DEEP or "serving" not in content:
        raise MismatchError(
            f"{folder} holds a {family!r} without ONNX files; write them with write_served(), from "
            f"one of {', '.join(DEEP)}"
        )
    return content["serving"], family


def _with_file(folder: Path, file: Path) -> OnnxForecaster:
    """A model saved in `folder` run from a file that is not sealed with it yet."""
    content = json.loads((folder / MODEL_FILE).read_text())
    return OnnxForecaster(_loaded(folder, content["provenance"]["model"], file), folder, {}, "")


def _loaded(folder: Path, family: str, file: Path, **expected: Any) -> WindowedForecaster[Any]:
    # Refusals first: a file that was altered is not opened.
    made: type[WindowedForecaster[Any]] = DEEP[family].load()
    loaded = made.load(folder, network=object(), **expected)
    from btq_assets.models.serving.network import OnnxNetwork

    loaded._network = OnnxNetwork(file)  # type: ignore[assignment]
    return loaded
