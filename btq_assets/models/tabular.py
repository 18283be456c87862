"""What forecasters of single rows share: features, provenance, forecasts of a panel, files.

Belongs here: what ridge and trees do alike. Does not belong here: fitting, designs of one family
(`ridge`, `gradient_boosting`), networks (`deep`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import polars as pl

from btq_assets.models.forecaster import (
    Provenance,
    library_versions,
    read_model,
    require_columns,
    require_distinct,
    seal,
    write_model,
)

Spec = TypeVar("Spec")

_KEY = ("universe", "symbol", "ts")


class TabularForecaster(Generic[Spec]):
    """A forecaster that reads a row at a time, its ranks among the assets of the date included.

    Parameters
    ----------
    spec
        Configuration; has a ``seed``.
    code_version
        Stored in the provenance.
    """

    family: ClassVar[str]
    spec_type: ClassVar[type[Any]]
    #: Libraries whose versions the provenance names.
    libraries: ClassVar[tuple[str, ...]]
    history_sessions = 0

    def __init__(self, spec: Spec | None = None, *, code_version: str = "unversioned") -> None:
        self.spec: Spec = spec or self.spec_type()
        self.code_version = code_version
        self.scores: dict[str, Any] = {}
        self._asset: tuple[str, ...] = ()
        self._market: tuple[str, ...] = ()
        self._unit = 1.0

    @property
    def provenance(self) -> Provenance:
        """Features, code and libraries of the fit; raises `ModelError` before `fit`."""
        self._fitted()
        return Provenance(
            model=self.family,
            feature_names=(*self._asset, *self._market),
            code_version=self.code_version,
            seed=self.spec.seed,  # type: ignore[attr-defined]
            versions=library_versions(*self.libraries),
        )

    def predict(self, panel: pl.DataFrame) -> pl.DataFrame:
        """Forecast the decision rows of `panel`; see `Forecaster.predict`."""
        self._fitted()
        purpose = f"forecasting with {self.family}"
        require_columns(panel, (*self._asset, *self._market), purpose)
        require_distinct(panel, purpose)
        rows = panel.filter(pl.col("is_decision")) if "is_decision" in panel.columns else panel
        rows = rows.sort(_KEY)
        forecast = pl.Series(self._forecast(panel, rows), dtype=pl.Float64)
        return rows.select(_KEY).with_columns(forecast=forecast)

    def save(self, folder: Path) -> None:
        """Write ``model.json`` and what was fitted."""
        self._fitted()
        write_model(
            folder,
            self.provenance,
            self.spec,
            {
                "asset_features": self._asset,
                "market_features": self._market,
                "unit": self._unit,
                "scores": self.scores,
            },
        )
        self._write(folder)
        seal(folder)

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        feature_names: Sequence[str] | None = None,
        code_version: str | None = None,
    ) -> Self:
        """Read a saved model; raises `MismatchError` unless it is what the caller expects."""
        spec, provenance, extra = read_model(
            Path(folder),
            cls.family,
            cls.spec_type,
            feature_names=feature_names,
            code_version=code_version,
        )
        model = cls(spec, code_version=provenance.code_version)
        model._asset = tuple(extra["asset_features"])
        model._market = tuple(extra["market_features"])
        model._unit = float(extra["unit"])
        model.scores = extra["scores"]
        model._read(Path(folder))
        return model

    def _fitted(self) -> Any:
        """What was fitted; raises `ModelError` before `fit`."""
        raise NotImplementedError

    def _forecast(self, panel: pl.DataFrame, rows: pl.DataFrame) -> np.ndarray:
        """``(rows,)`` forecasts of rows of `panel`, in label units."""
        raise NotImplementedError

    def _write(self, folder: Path) -> None:
        """Write what was fitted."""
        raise NotImplementedError

    def _read(self, folder: Path) -> None:
        """Read what `_write` wrote."""
        raise NotImplementedError
