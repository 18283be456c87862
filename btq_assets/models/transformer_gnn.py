"""The Transformer-GNN forecaster: panels in, forecasts out.

Belongs here: what surrounds the network, from rows to windows and graphs and back. Does not belong
here: torch modules (`network`), the training loop (`training`), Dagster. torch is imported inside
functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from btq_assets.models import design, scores
from btq_assets.models.arrays import PanelArrays
from btq_assets.models.folds import TrainingSet
from btq_assets.models.forecaster import (
    WEIGHTS_FILE,
    ModelError,
    Progress,
    Provenance,
    library_versions,
    read_model,
    require_columns,
    write_model,
)
from btq_assets.models.graph import DateGraph, correlation_graph

if TYPE_CHECKING:
    from btq_assets.models.network import TransformerGNN

#: The compact set of features the network reads by default; each token is one session of these.
DEFAULT_FEATURES = (
    "return_1d",
    "return_5d",
    "return_21d_rank",
    "momentum_rank",
    "residual_momentum_12_1",
    "bollinger_z_20",
    "distance_high_252",
    "volatility_21_annual",
    "volatility_ratio_21_252",
    "universe_beta",
    "entanglement_contribution",
    "collapse_change",
)


@dataclass(frozen=True)
class TransformerGNNSpec:
    """Configuration of one fit; see `config.TransformerSection`.

    Parameters
    ----------
    graph_window_sessions
        Sessions behind each relation graph.
    horizon_sessions
        Sessions from fill to fill; lead-lag edges look that far.
    relative
        ``True`` learns who does better than whom; ``False`` (a single asset) the return itself.
    """

    variant: str = "base"
    model_dim: int = 32
    num_heads: int = 4
    num_layers: int = 1
    graph_heads: int = 2
    lookback_sessions: int = 20
    dropout: float = 0.1
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    epochs: int = 8
    patience: int = 3
    batch_dates: int = 16
    graph_neighbours: int = 5
    use_graph: bool = True
    graph_window_sessions: int = 126
    horizon_sessions: int = 5
    relative: bool = True
    seed: int = 0


class TransformerGNNForecaster:
    """Temporal self-attention per asset, then graph attention over a trailing relation graph.

    Features are standardised per column on the sessions of the training segment (not across
    assets: that would carry one asset's news into another's features and hide what the graph
    does). A missing value, and a session before the panel starts, is the mean.

    Parameters
    ----------
    spec
        Configuration.
    code_version
        Stored in the provenance.
    device
        ``cpu``, ``cuda`` or ``mps``.
    """

    family = "transformer_gnn"

    def __init__(
        self,
        spec: TransformerGNNSpec | None = None,
        *,
        code_version: str = "unversioned",
        device: str = "cpu",
    ) -> None:
        self.spec = spec or TransformerGNNSpec()
        self.code_version = code_version
        self.device = device
        self.scores: dict[str, Any] = {}
        self._features: tuple[str, ...] = ()
        self._network: TransformerGNN | None = None
        self._scaler: design.Standardiser | None = None
        self._unit = 1.0

    @property
    def history_sessions(self) -> int:
        """Sessions before a decision that windows and graphs reach back."""
        graph = self.spec.graph_window_sessions if self.spec.use_graph else 1
        return max(self.spec.lookback_sessions, graph) - 1

    @property
    def provenance(self) -> Provenance:
        """Features, code and libraries of the fit; raises `ModelError` before `fit`."""
        self._fitted()
        return Provenance(
            model=self.family,
            feature_names=self._features,
            code_version=self.code_version,
            seed=self.spec.seed,
            versions=library_versions("torch", "torch-geometric", "numpy"),
        )

    def fit(self, training_set: TrainingSet, progress: Progress | None = None) -> Self:
        """Train on the training segment, stopped early on the validation segment."""
        from btq_assets.models import training

        self._features = (*training_set.asset_features, *training_set.market_features)
        if not self._features:
            raise ModelError("transformer_gnn needs at least one feature column")
        require_columns(training_set.panel, self._features, "fitting transformer_gnn")
        train, validation = training_set.train_rows(), training_set.validation_rows()
        segment = training_set.panel.filter(pl.col("ts").is_between(*training_set.train))
        self._scaler = design.Standardiser.fit(design.matrix(segment, self._features))
        self._unit = design.dispersion(train) if self.spec.relative else _deviation(train)
        arrays = PanelArrays.from_panel(training_set.panel, self._features)
        with training.reproducible(self.spec.seed):
            self._network = self._new_network()
            view = self._view(arrays, self._scaler)
            segments = [self._samples(arrays, rows) for rows in (train, validation)]
            curves = training.train(
                self._network,
                view,
                *segments,
                epochs=self.spec.epochs,
                patience=self.spec.patience,
                batch_dates=self.spec.batch_dates,
                learning_rate=self.spec.learning_rate,
                weight_decay=self.spec.weight_decay,
                relative=self.spec.relative,
                seed=self.spec.seed,
                progress=progress,
            )
        panel = training_set.panel.with_columns(
            is_decision=pl.col("is_decision") & pl.col("ts").is_between(*training_set.validation)
        )
        self.scores = {
            "validation_rank_ic": scores.mean_rank_ic(self.predict(panel), validation),
            "n_train": train.height,
            "n_validation": validation.height,
            "n_columns": len(self._features),
            "n_observations": int(np.isfinite(design.relative_target(train)).sum()),
            **curves,
        }
        return self

    def predict(self, panel: pl.DataFrame) -> pl.DataFrame:
        """Forecast the decision rows of `panel`; see `Forecaster.predict`.

        With fewer than `history_sessions` sessions before a decision, the window is filled with
        means and the graph looks back less far.
        """
        from btq_assets.models import training

        network, scaler = self._fitted()
        require_columns(panel, self._features, "forecasting with transformer_gnn")
        arrays = PanelArrays.from_panel(panel, self._features)
        sessions = np.flatnonzero(arrays.decides.any(axis=1))
        with training.reproducible(self.spec.seed):
            view = self._view(arrays, scaler)
            samples = [self._sample(arrays, int(session)) for session in sessions]
            found = training.forecast(network, view, samples)
        values = np.full(arrays.present.shape, np.nan)
        for sample, forecast in zip(samples, found, strict=True):
            values[sample.session, sample.assets] = forecast
        return arrays.tidy(values * self._unit, arrays.decides)

    def save(self, folder: Path) -> None:
        """Write ``model.json`` and ``weights.safetensors``."""
        import torch
        from safetensors.torch import save_file

        network, scaler = self._fitted()
        write_model(folder, self.provenance, self.spec, {"unit": self._unit, "scores": self.scores})
        weights = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
        weights["scaler.mean"] = torch.from_numpy(scaler.mean)
        weights["scaler.scale"] = torch.from_numpy(scaler.scale)
        save_file(weights, str(folder / WEIGHTS_FILE))

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        feature_names: Sequence[str] | None = None,
        code_version: str | None = None,
        device: str = "cpu",
    ) -> Self:
        """Read a saved model; raises `MismatchError` unless it is what the caller expects."""
        from safetensors.torch import load_file

        spec, provenance, extra = read_model(
            Path(folder),
            cls.family,
            TransformerGNNSpec,
            feature_names=feature_names,
            code_version=code_version,
        )
        model = cls(spec, code_version=provenance.code_version, device=device)
        model._features = provenance.feature_names
        model._unit = float(extra["unit"])
        model.scores = extra["scores"]
        weights = load_file(str(Path(folder) / WEIGHTS_FILE))
        model._scaler = design.Standardiser(
            weights.pop("scaler.mean").numpy(), weights.pop("scaler.scale").numpy()
        )
        model._network = model._new_network()
        model._network.load_state_dict(weights)
        return model

    def _new_network(self) -> TransformerGNN:
        from btq_assets.models.network import TransformerGNN

        return TransformerGNN(
            len(self._features),
            dim=self.spec.model_dim,
            heads=self.spec.num_heads,
            layers=self.spec.num_layers,
            graph_heads=self.spec.graph_heads,
            dropout=self.spec.dropout,
            use_graph=self.spec.use_graph,
        ).to(self.device)

    def _view(self, arrays: PanelArrays, scaler: design.Standardiser) -> Any:
        from btq_assets.models.training import window_view

        standardised = scaler.apply(arrays.features).astype(np.float32)
        return window_view(standardised, self.spec.lookback_sessions, self.device)

    def _samples(self, arrays: PanelArrays, rows: pl.DataFrame) -> list[Any]:
        """One sample per labelled date of `rows`."""
        if self.spec.relative:
            target = arrays.place(rows, design.relative_target(rows))
        else:
            target = arrays.place(rows, rows["label"].to_numpy() / self._unit)
        labelled = np.flatnonzero(np.isfinite(target).any(axis=1))
        if len(labelled) == 0:
            raise ModelError("no date has two different labels, so there is nothing to rank")
        return [self._sample(arrays, int(session), target[session]) for session in labelled]

    def _sample(self, arrays: PanelArrays, session: int, target: np.ndarray | None = None) -> Any:
        from btq_assets.models.training import DateSamples

        assets = np.flatnonzero(arrays.present[session])
        if self.spec.use_graph:
            graph = correlation_graph(
                arrays.returns,
                arrays.present,
                session,
                window=self.spec.graph_window_sessions,
                neighbours=self.spec.graph_neighbours,
                horizon_sessions=self.spec.horizon_sessions,
            )
        else:
            loops = np.stack([assets, assets])
            graph = DateGraph(loops, np.ones((len(assets), 2), dtype=np.float32))
        unknown = np.full(len(assets), np.nan)
        return DateSamples(session, graph, assets, unknown if target is None else target[assets])

    def _fitted(self) -> tuple[TransformerGNN, design.Standardiser]:
        if self._network is None or self._scaler is None:
            raise ModelError("transformer_gnn is not fitted; call fit() or load() first")
        return self._network, self._scaler


def _deviation(rows: pl.DataFrame) -> float:
    value = rows["label"].std()
    if not value:
        raise ModelError(design.NO_DISPERSION.format(n=rows.height))
    return float(value)  # type: ignore[arg-type]
