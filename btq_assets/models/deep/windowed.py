"""What all networks share as forecasters: fitted on a training set, forecasts of a panel out.

Belongs here: one fit from first to last, and forecasts in label units. Does not belong here: what a
fit leaves behind (`fitted_network`), reading panels (`panel_reader`), torch modules (`networks`), the
training loop (`training`), Dagster. torch is imported inside functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import polars as pl

from btq_assets.models import design, scores
from btq_assets.models.arrays import PanelArrays
from btq_assets.models.deep import streaming
from btq_assets.models.deep.fitted_network import Spec
from btq_assets.models.deep.panel_reader import PanelReader
from btq_assets.models.deep.spec import WindowedSpec
from btq_assets.models.folds import TrainingSet
from btq_assets.models.forecaster import ModelError, Progress, require_columns, require_features
from btq_assets.models.training.running import Running
from btq_assets.models.windows.samples import DateSamples

if TYPE_CHECKING:
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


class WindowedForecaster(PanelReader[Spec]):
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

    #: Whether it reads the compact set of features; else all asset columns on offer.
    compact: ClassVar[bool] = True

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
        rows = self._begun(training_set)
        arrays = PanelArrays.from_panel(training_set.panel, self._features)
        self._prepare(training_set)
        with reproducible(self.spec.seed), ExitStack() as stack:
            self._network = self.new_network(len(self._features)).to(self.device)
            _, scaler = self._fitted()
            source = stack.enter_context(self._training_source(arrays, scaler))
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
            **fit_scores(self.predict(panel), *rows, n_columns=len(self._features)),
            **curves,
            **taught,
            **self._told(),
            **({"notes": notes} if notes else {}),
        }
        return self

    def _begun(self, training_set: TrainingSet) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Features, scaler and unit of the training segment; labelled rows of both segments.

        Raises
        ------
        ModelError
            No feature has a value, the labels do not differ, or the loss cannot weigh rows.
        """
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
        self._unit = self._unit_of(rows[0])
        return rows

    def _unit_of(self, training: pl.DataFrame) -> float:
        """What a forecast of one stands for: the spread of labels at a date, or over all dates."""
        return design.dispersion(training) if self.spec.relative else _deviation(training)

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

    def _prepare(self, training_set: TrainingSet) -> None:
        """Fit what must be there before the network is made."""

    def _told(self) -> dict[str, Any]:
        """Scores of its own."""
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


def fit_scores(
    forecasts: pl.DataFrame, training: pl.DataFrame, validation: pl.DataFrame, *, n_columns: int
) -> dict[str, float]:
    """What every fit of a network tells of itself.

    Parameters
    ----------
    forecasts
        Of the validation segment, by the fitted network.
    training, validation
        Labelled rows of the segments.
    n_columns
        Features it reads.
    """
    return {
        "validation_rank_ic": scores.mean_rank_ic(forecasts, validation),
        "n_train": training.height,
        "n_validation": validation.height,
        "n_columns": n_columns,
        "n_observations": int(np.isfinite(design.relative_target(training)).sum()),
    }


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
