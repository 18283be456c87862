"""The Dagster resources: configuration, warehouse and device."""

from __future__ import annotations

import json

import dagster as dg

from btq_assets.config import TradingConfig
from btq_assets.warehouse.artifacts import ArtifactStore
from btq_assets.warehouse.database import Warehouse
from btq_assets.warehouse.paths import DataPaths


class ConfigResource(dg.ConfigurableResource):
    """The validated configuration, as JSON so that every process of a run sees the same one.

    It holds no secret: those are read from the environment by the provider that needs them.
    """

    settings_json: str = "{}"

    @classmethod
    def of(cls, config: TradingConfig) -> ConfigResource:
        """Wrap a configuration."""
        return cls(settings_json=json.dumps(config.model_dump(mode="json"), sort_keys=True))

    def config(self) -> TradingConfig:
        """Return the configuration."""
        return TradingConfig(**json.loads(self.settings_json))


class WarehouseResource(dg.ConfigurableResource):
    """Where the DuckDB files and artefacts lie."""

    path: str = "data"
    lock_timeout_s: float = 120.0

    def paths(self) -> DataPaths:
        """Layout of the data folder."""
        return DataPaths.of(self.path)

    def warehouse(self) -> Warehouse:
        """Return the working database."""
        return Warehouse(self.paths(), self.lock_timeout_s)

    def artifacts(self) -> ArtifactStore:
        """Return the store of weights and reports."""
        return ArtifactStore(self.paths())


class DeviceResource(dg.ConfigurableResource):
    """Where models are trained: ``auto`` takes CUDA, then MPS, then the CPU."""

    device: str = "auto"

    def resolve(self) -> str:
        """Return ``cpu``, ``cuda`` or ``mps``.

        Raises
        ------
        RuntimeError
            A device was asked for by name and is not there.
        """
        if self.device == "cpu":
            return "cpu"
        import torch

        present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        if self.device == "auto":
            return next((name for name, there in present.items() if there), "cpu")
        if not present[self.device]:
            raise RuntimeError(
                f"trading.device is {self.device!r} but torch sees no such device; "
                "set it to auto or cpu, or install a torch build for it"
            )
        return self.device
