"""A network as a forecaster holds it: specification, features, scaler, weights; saved and loaded.

Belongs here: what a fit leaves behind, its provenance, and the folder it is kept in. Does not belong
here: reading panels (`panel_reader`), fitting and forecasting (`windowed`), torch modules (`networks`).
torch is imported inside functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

from btq_assets.models import design
from btq_assets.models.deep.spec import WindowedSpec
from btq_assets.models.forecaster import (
    WEIGHTS_FILE,
    ModelError,
    Provenance,
    library_versions,
    read_model,
    seal,
    write_model,
)
from btq_assets.models.training.running import Running

if TYPE_CHECKING:
    from torch import Tensor, nn

Spec = TypeVar("Spec", bound=WindowedSpec)


class FittedNetwork(Generic[Spec]):
    """What a fit of a network leaves behind, and how it goes to files and back.

    Parameters
    ----------
    spec
        Configuration.
    code_version
        Stored in the provenance.
    device
        ``cpu``, ``cuda`` or ``mps``.
    running
        What fitting costs; nothing that comes out depends on it.
    """

    family: ClassVar[str]
    spec_type: ClassVar[type[WindowedSpec]]
    #: Libraries whose versions the provenance names.
    libraries: ClassVar[tuple[str, ...]] = ("torch", "numpy")

    def __init__(
        self,
        spec: Spec | None = None,
        *,
        code_version: str = "unversioned",
        device: str = "cpu",
        running: Running | None = None,
    ) -> None:
        self.running = running or Running()
        self.spec: Spec = spec or self.spec_type()  # type: ignore[assignment]
        self.code_version = code_version
        self.device = device
        self.scores: dict[str, Any] = {}
        self._features: tuple[str, ...] = ()
        self._network: nn.Module | None = None
        #: Where batches are made while training, if not on the device.
        self._batches_on: str | None = None
        self._scaler: design.Standardiser | None = None
        self._unit = 1.0

    def new_network(self, n_features: int) -> nn.Module:
        """The network with random weights; takes `Inputs`, gives `Outputs`."""
        raise NotImplementedError

    @property
    def reads_documents(self) -> bool:
        """Whether its forecasts also stand on texts, which are no features."""
        return False

    @property
    def provenance(self) -> Provenance:
        """Features, code, libraries and device of the fit; raises `ModelError` before `fit`."""
        from btq_assets.models.training.reproducible import device_name

        self._fitted()
        return Provenance(
            model=self.family,
            feature_names=self._features,
            code_version=self.code_version,
            seed=self.spec.seed,
            versions={**library_versions(*self.libraries), "device": device_name(self.device)},
        )

    def save(self, folder: Path) -> None:
        """Write ``model.json`` and ``weights.safetensors``."""
        import torch
        from safetensors.torch import save_file

        network, scaler = self._fitted()
        kept = {"unit": self._unit, "scores": self.scores, **self._kept()}
        write_model(folder, self.provenance, self.spec, kept)
        weights = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
        weights = self._write_beside(folder, weights)
        weights["scaler.mean"] = torch.from_numpy(scaler.mean)
        weights["scaler.scale"] = torch.from_numpy(scaler.scale)
        save_file(weights, str(folder / WEIGHTS_FILE))
        seal(folder)

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        feature_names: Sequence[str] | None = None,
        code_version: str | None = None,
        device: str = "cpu",
        network: Any = None,
    ) -> Self:
        """Read a saved model; raises `MismatchError` unless it is what the caller expects.

        `network`, where given, stands in for the one of the saved weights; torch is not needed then.
        """
        from safetensors import safe_open

        spec, provenance, extra = read_model(
            Path(folder),
            cls.family,
            cls.spec_type,
            feature_names=feature_names,
            code_version=code_version,
        )
        model = cls(spec, code_version=provenance.code_version, device=device)  # type: ignore[arg-type]
        model._features = provenance.feature_names
        model._unit = float(extra["unit"])
        model.scores = extra["scores"]
        model._restore(extra)
        file = Path(folder) / WEIGHTS_FILE
        with safe_open(str(file), framework="numpy") as opened:
            scaler = (opened.get_tensor(f"scaler.{name}") for name in ("mean", "scale"))
            model._scaler = design.Standardiser(*scaler)
        model._read_beside(Path(folder))
        if network is None:
            from safetensors.torch import load_file

            weights = load_file(str(file))
            del weights["scaler.mean"], weights["scaler.scale"]
            network = model.new_network(len(model._features)).to(device)
            network.load_state_dict({**weights, **model._weights_beside(Path(folder), network)})
        model._network = network
        return model

    def _kept(self) -> dict[str, Any]:
        """What a fit has learned beside weights, for ``model.json``."""
        return {}

    def _restore(self, extra: Mapping[str, Any]) -> None:
        """Take back what `_kept` gave."""

    def _write_beside(self, folder: Path, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Write files of its own beside the weights, and return the weights that are left."""
        return weights

    def _read_beside(self, folder: Path) -> None:
        """Read what `_write_beside` wrote, before the network is made."""

    def _weights_beside(self, folder: Path, network: nn.Module) -> dict[str, Tensor]:
        """Weights that `_write_beside` took out."""
        return {}

    def _fitted(self) -> tuple[nn.Module, design.Standardiser]:
        if self._network is None or self._scaler is None:
            raise ModelError(f"{self.family} is not fitted; call fit() or load() first")
        return self._network, self._scaler
