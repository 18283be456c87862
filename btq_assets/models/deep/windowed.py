"""What all networks share as forecasters: panels in, windows and graphs of dates, forecasts out.

Belongs here: what surrounds a network, from rows to samples and back, saving and loading. Does not
belong here: torch modules (`networks`), the training loop (`training`), Dagster. torch is imported
inside functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import polars as pl

from btq_assets.models import design, scores
from btq_assets.models.arrays import PanelArrays
from btq_assets.models.deep import streaming
from btq_assets.models.deep.spec import WindowedSpec
from btq_assets.models.folds import TrainingSet
from btq_assets.models.forecaster import (
    WEIGHTS_FILE,
    ModelError,
    Progress,
    Provenance,
    library_versions,
    read_model,
    require_columns,
    require_features,
    seal,
    write_model,
)
from btq_assets.models.graph import DateGraph, relation_graph
from btq_assets.models.training.running import Running
from btq_assets.models.windows import modalities
from btq_assets.models.windows.plain import PlainWindows
from btq_assets.models.windows.samples import DateSamples, loops

if TYPE_CHECKING:
    from torch import Tensor, nn

    from btq_assets.models.training.peers import Peers
    from btq_assets.models.training.state import Checkpoints
    from btq_assets.models.windows.batches import WindowSource


#: The compact set of features a network reads by default; each token is one session of these.
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


#: Losses that know no weight of a single row.
UNWEIGHTED_LOSSES = ("rank_ic", "sharpe")

Spec = TypeVar("Spec", bound=WindowedSpec)


class WindowedForecaster(Generic[Spec]):
    """A network as a forecaster; a subclass names its family, its specification and its network.

    Features are standardised per column on the sessions of the training segment (not across
    assets: that would carry one asset's news into another's features and hide what a graph does).
    A missing value, and a session before the panel starts, is the mean.

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
    #: Whether it reads the compact set of features; else all asset columns on offer.
    compact: ClassVar[bool] = True
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
    def history_sessions(self) -> int:
        """Sessions before a decision that windows and graphs reach back."""
        graph = self.spec.graph_window_sessions if self.spec.use_graph else 1
        return max(self.spec.lookback_sessions, graph) - 1

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

    def fit(
        self,
        training_set: TrainingSet,
        progress: Progress | None = None,
        *,
        checkpoints: Checkpoints | None = None,
        peers: Peers | None = None,
    ) -> Self:
        """Train on the training segment, stopped early on the validation segment.

        With `checkpoints` a fit that was killed goes on where it last saved. `peers` are for a
        process that joins the fit of another; a specification with ``processes`` starts its own.
        """
        if self.spec.processes > 1 and peers is None:
            return self._fit_together(training_set, progress, checkpoints)
        from btq_assets.models.training.loop import train
        from btq_assets.models.training.reproducible import reproducible

        notes: list[str] = []
        self._features = (*training_set.asset_features, *training_set.market_features)
        require_features(self._features, self.family)
        require_columns(training_set.panel, self._features, f"fitting {self.family}")
        rows = training_set.train_rows(), training_set.validation_rows()
        if design.WEIGHT in training_set.panel.columns and self.spec.loss in UNWEIGHTED_LOSSES:
            raise ModelError(
                f"the loss {self.spec.loss} judges a date as a whole and weighs no row; with sample "
                "weights take huber, gaussian or quantile, or set models.sample_weights to none"
            )
        segment = training_set.panel.filter(pl.col("ts").is_between(*training_set.train))
        self._scaler = design.Standardiser.fit(design.matrix(segment, self._features))
        self._unit = design.dispersion(rows[0]) if self.spec.relative else _deviation(rows[0])
        arrays = PanelArrays.from_panel(training_set.panel, self._features)
        self._prepare(training_set)
        with reproducible(self.spec.seed), ExitStack() as stack:
            self._network = self.new_network(len(self._features)).to(self.device)
            source = stack.enter_context(self._training_source(arrays, self._scaler))
            training, validation = (self._samples(arrays, part) for part in rows)
            taught = self._pretrained(arrays, source, training_set, notes.append)
            curves = train(
                self._network,
                source,
                training,
                validation,
                self.spec.recipe(self.device),
                progress,
                checkpoints=checkpoints,
                log=notes.append,
                running=self.running,
                peers=peers,
            )
        if peers is not None and peers.rank:
            return self
        panel = training_set.panel.with_columns(
            is_decision=pl.col("is_decision") & pl.col("ts").is_between(*training_set.validation)
        )
        self.scores = {
            "validation_rank_ic": scores.mean_rank_ic(self.predict(panel), rows[1]),
            "n_train": rows[0].height,
            "n_validation": rows[1].height,
            "n_columns": len(self._features),
            "n_observations": int(np.isfinite(design.relative_target(rows[0])).sum()),
            **curves,
            **taught,
            **self._told(),
            **({"notes": notes} if notes else {}),
        }
        return self

    def predict(self, panel: pl.DataFrame) -> pl.DataFrame:
        """Forecast the decision rows of `panel`; see `Forecaster.predict`.

        With fewer than `history_sessions` sessions before a decision, the window is filled with
        means and the graph looks back less far. A network with a head for the variance, or for
        quantiles, gives them in further columns (`contracts.models.DISTRIBUTION`).
        """
        from btq_assets.models.training.loop import outputs_by_date
        from btq_assets.models.training.reproducible import reproducible

        network, _ = self._fitted()
        with reproducible(self.spec.seed):
            arrays, source, samples = self.dates_of(panel)
            said = outputs_by_date(network, source, samples)
        return self.tidied(arrays, samples, said)

    def tidied(
        self,
        arrays: PanelArrays,
        samples: Sequence[DateSamples],
        said: Sequence[Mapping[str, np.ndarray]],
    ) -> pl.DataFrame:
        """Forecasts of a panel from what the network says of each date, in label units.

        Parameters
        ----------
        arrays, samples
            Of `decisions_of`.
        said
            One for each of `samples`: outputs by the names of `Outputs`, the heads it has.
        """
        from btq_assets.models.deep.distributions import of_date

        columns = {"forecast": np.full(arrays.present.shape, np.nan)}
        for sample, of in zip(samples, said, strict=True):
            for name, values in of_date(of, self._unit, relative=self.spec.relative).items():
                if name not in columns:
                    columns[name] = np.full(arrays.present.shape, np.nan)
                columns[name][sample.session, sample.assets] = values
        return arrays.tidy(columns.pop("forecast"), arrays.decides, columns)

    def dates_of(self, panel: pl.DataFrame) -> tuple[PanelArrays, WindowSource, list[DateSamples]]:
        """What the network reads of the decision dates of `panel`: arrays, windows, one sample each.

        Raises
        ------
        MissingFeatureError
            `panel` lacks a column the model was fitted on.
        """
        _, scaler = self._fitted()
        arrays, samples = self.decisions_of(panel)
        return arrays, self._source(arrays, scaler), samples

    def decisions_of(self, panel: pl.DataFrame) -> tuple[PanelArrays, list[DateSamples]]:
        """The panel as arrays, and one sample for each of its decision dates; see `dates_of`."""
        require_columns(panel, self._features, f"forecasting with {self.family}")
        arrays = PanelArrays.from_panel(panel, self._features)
        sessions = np.flatnonzero(arrays.decides.any(axis=1))
        return arrays, [self._sample(arrays, int(session)) for session in sessions]

    def plain_windows(self, arrays: PanelArrays, samples: Sequence[DateSamples]) -> PlainWindows:
        """What `dates_of` reads of the decisions of a panel, as numpy arrays."""
        _, scaler = self._fitted()
        lookback = self.spec.lookback_sessions
        first = min((sample.session for sample in samples), default=0) - lookback
        return PlainWindows(
            # One session more than a window has, for its distance to the first one of it.
            self._layers(arrays.since(max(first, 0)), scaler),
            lookback,
            max(first, 0),
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

    def _source(self, arrays: PanelArrays, scaler: design.Standardiser) -> WindowSource:
        from btq_assets.models.windows.batches import ArrayWindows

        windows = ArrayWindows(
            **self._layers(arrays, scaler),
            lookback=self.spec.lookback_sessions,
            device=self._batches_on or self.device,
        )
        return self._beside(windows, arrays)

    def _beside(self, windows: WindowSource, arrays: PanelArrays) -> WindowSource:
        """The windows with what else a network reads of a node, which is no feature."""
        return windows

    def _layers(self, arrays: PanelArrays, scaler: design.Standardiser) -> dict[str, np.ndarray]:
        """The arrays that windows are cut from, by parameter of `ArrayWindows`."""
        values = scaler.apply(arrays.features).astype(np.float32)
        groups = self._groups()
        if not groups:
            return {"features": values, "present": arrays.present}
        fused = [place for places in groups.values() for place in places]
        return {
            "features": np.delete(values, fused, axis=2),
            "present": arrays.present,
            "modalities": values[..., fused],
            "available": modalities.available(arrays.features, groups),
        }

    def _groups(self) -> dict[str, list[int]]:
        """Places among the features that are read at the decision alone, by what they are of."""
        return {}

    def _sectors_at(
        self, arrays: PanelArrays, session: int, assets: np.ndarray
    ) -> np.ndarray | None:
        """Number of each asset's sector, for a network with nodes for sectors."""
        return None

    def _prepare(self, training_set: TrainingSet) -> None:
        """Fit what must be there before the network is made."""

    def _told(self) -> dict[str, Any]:
        """Scores of its own."""
        return {}

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

    @contextmanager
    def _training_source(
        self, arrays: PanelArrays, scaler: design.Standardiser
    ) -> Iterator[WindowSource]:
        """Windows for a training, from files where the panel is large."""
        self._batches_on = "cpu" if self.running.fetches_ahead(self.device) else None
        try:
            if streaming.size_mib(arrays) <= self.running.stream_above_mib:
                yield self._source(arrays, scaler)
                return
            with streaming.streamed(
                arrays,
                lambda part: self._layers(part, scaler),
                self.spec.lookback_sessions,
                device=self._batches_on or self.device,
            ) as source:
                yield self._beside(source, arrays)
        finally:
            self._batches_on = None

    def _fit_together(
        self, training_set: TrainingSet, progress: Progress | None, checkpoints: Checkpoints | None
    ) -> Self:
        from btq_assets.models.training.together import together

        if self.device != "cpu":
            raise ModelError(
                f"processes = {self.spec.processes} share batches on processors only, not on "
                f"{self.device}; set processes to 1, and models.training.workers for several fits"
            )
        arguments = (type(self), self.spec, self.running, training_set, checkpoints)
        with together(self.spec.processes, _follow, arguments) as peers:
            return self.fit(training_set, progress, checkpoints=checkpoints, peers=peers)

    def _samples(self, arrays: PanelArrays, rows: pl.DataFrame) -> list[DateSamples]:
        """One sample per labelled date of `rows`."""
        if self.spec.relative:
            target = arrays.place(rows, design.relative_target(rows))
        else:
            target = arrays.place(rows, rows["label"].to_numpy() / self._unit)
        labelled = np.flatnonzero(np.isfinite(target).any(axis=1))
        if len(labelled) == 0:
            raise ModelError("no date has two different labels, so there is nothing to rank")
        given = design.sample_weights(rows)
        weight = None if given is None else np.nan_to_num(arrays.place(rows, given))
        return [
            self._sample(
                arrays, int(session), target[session], None if weight is None else weight[session]
            )
            for session in labelled
        ]

    def _sample(
        self,
        arrays: PanelArrays,
        session: int,
        target: np.ndarray | None = None,
        weight: np.ndarray | None = None,
    ) -> DateSamples:
        assets = np.flatnonzero(arrays.present[session])
        unknown = np.full(len(assets), np.nan)
        found = unknown if target is None else target[assets]
        graph = self._graph(arrays, session, assets)
        own = None if weight is None else weight[assets]
        sectors = self._sectors_at(arrays, session, assets)
        return DateSamples(session, graph, assets, found[:, None], own, sectors)

    def _pretrained(
        self,
        arrays: PanelArrays,
        source: WindowSource,
        training_set: TrainingSet,
        log: Callable[[str], None],
    ) -> dict[str, Any]:
        """Teach the network by windows of the training segment first, if the fit asks for it."""
        if self.spec.pretraining == "none":
            return {}
        from btq_assets.models.deep.pretrained import pretrain_on

        assert self._network is not None
        first, last = training_set.train
        inside = arrays.ts.is_between(first, last) & pl.Series(arrays.present.any(axis=1))
        samples = [self._sample(arrays, int(session)) for session in inside.arg_true()]
        return pretrain_on(
            self._network, source, samples, self._features, self.spec, family=self.family, log=log
        )

    def _graph(self, arrays: PanelArrays, session: int, assets: np.ndarray) -> DateGraph:
        """Relations of a date, from returns up to and including it."""
        if not self.spec.use_graph:
            return loops(assets, self.spec.n_attributes)
        return relation_graph(
            arrays.returns,
            arrays.present,
            session,
            window=self.spec.graph_window_sessions,
            neighbours=self.spec.graph_neighbours,
            horizon_sessions=self.spec.horizon_sessions,
            relations=self.spec.relations,
            sectors=arrays.sectors,
            typed=self.spec.typed_edges,
        )

    def _fitted(self) -> tuple[nn.Module, design.Standardiser]:
        if self._network is None or self._scaler is None:
            raise ModelError(f"{self.family} is not fitted; call fit() or load() first")
        return self._network, self._scaler


def _follow(
    kind: type[WindowedForecaster[Any]],
    spec: WindowedSpec,
    running: Running,
    training_set: TrainingSet,
    checkpoints: Checkpoints | None,
    *,
    peers: Peers,
) -> None:
    """Take part in the fit of another process."""
    kind(spec, running=running).fit(training_set, checkpoints=checkpoints, peers=peers)


def _deviation(rows: pl.DataFrame) -> float:
    value = rows["label"].std()
    if not value:
        raise ModelError(design.NO_DISPERSION.format(n=rows.height))
    return float(value)  # type: ignore[arg-type]
