"""One trial: fitted on every nested fold, judged, and what it would have earned.

Belongs here: the objective. Does not belong here: Optuna (pruning comes in as a callback), and
writing ledgers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.models import scores
from btq_assets.models.ablation import paper_returns
from btq_assets.models.folds import for_fold, panel_between
from btq_assets.models.forecaster import Forecaster, ModelError
from btq_assets.models.search.space import fields_of

#: Told after each epoch of each fold how many epochs were possible by then, and the validation loss;
#: the answer says whether to go on.
GoOn = Callable[[int, float], bool]


class _Stopped(Exception):  # noqa: N818 - a signal, not an error
    """Training is not worth going on with."""


@dataclass(frozen=True)
class Judged:
    """What a trial came to.

    Parameters
    ----------
    rank_ic
        Mean over the nested folds of the rank IC on the judged blocks; NaN where it was pruned.
    rank_ics
        Of each fold.
    returns
        ``ts`` and ``net_return`` of the paper portfolio over all judged blocks, after costs.
    pruned
        Whether training was stopped; the blocks of folds not fitted were forecast by the weights
        reached, so that its returns have the dates of every other trial.
    """

    rank_ic: float
    rank_ics: tuple[float, ...]
    returns: pl.DataFrame
    pruned: bool


@dataclass(frozen=True)
class Question:
    """What every trial of a search is asked.

    Parameters
    ----------
    known
        Rows before the test segment.
    folds
        `nested.nested_folds` of it.
    feature_columns
        Features to read.
    spec
        Specification that parameters are put into; one with ``epochs`` can be pruned between them.
    forecaster
        Its class.
    config
        Costs of the paper portfolio.
    device
        Where to train.
    """

    known: pl.DataFrame
    folds: Sequence[Mapping[str, Any]]
    feature_columns: tuple[str, ...]
    spec: Any
    forecaster: Callable[..., Forecaster]
    config: TradingConfig
    device: str = "cpu"

    def judge(self, parameters: Mapping[str, Any], go_on: GoOn | None = None) -> Judged:
        """Fit and judge one set of parameters.

        Raises
        ------
        ModelError
            Forecasts or labels of a block never differ, or whatever the fit refuses.
        """
        spec = replace(self.spec, **fields_of(parameters))
        found: list[pl.DataFrame] = []
        ics: list[float] = []
        for number, fold in enumerate(self.folds):
            data = for_fold(self.known, fold, market=False, asset_features=self.feature_columns)
            model = self._new(spec)
            try:
                model.fit(data, self._progress(number, getattr(spec, "epochs", 1), go_on))
            except _Stopped:
                # The network as it stands when training was stopped speaks for the rest.
                rest = [self._forecast(model, later) for later in self.folds[number:]]
                return self._judged([*found, *rest], ics, pruned=True)
            found.append(self._forecast(model, fold))
            ics.append(scores.mean_rank_ic(found[-1], self.known))
            if math.isnan(ics[-1]):
                raise ModelError(
                    f"nested fold {number} has no rank IC: with fewer than two assets, or forecasts "
                    "that are all equal, there is nothing to rank"
                )
        return self._judged(found, ics, pruned=False)

    def _new(self, spec: Any) -> Forecaster:
        # Only networks are trained on a device.
        if hasattr(spec, "epochs"):
            return self.forecaster(spec, device=self.device)
        return self.forecaster(spec)

    def flat(self) -> pl.DataFrame:
        """Returns of a trial that failed: it held nothing on the judged dates."""
        parts = [
            self.known.filter(
                pl.col("is_decision")
                & pl.col("label").is_finite()
                & pl.col("ts").is_between(fold["test_start"], fold["test_end"])
            ).select("ts")
            for fold in self.folds
        ]
        return pl.concat(parts).unique().sort("ts").with_columns(net_return=pl.lit(0.0))

    def _progress(self, fold: int, epochs: int, go_on: GoOn | None) -> Any:
        if go_on is None or not hasattr(self.spec, "epochs"):
            return None

        def progress(done: int, total: int, curves: Mapping[str, float]) -> None:
            if not go_on(fold * epochs + done, float(curves["validation_loss"])):
                raise _Stopped

        return progress

    def _forecast(self, model: Forecaster, fold: Mapping[str, Any]) -> pl.DataFrame:
        panel = panel_between(
            self.known, fold["test_start"], fold["test_end"], model.history_sessions
        )
        return model.predict(panel)

    def _judged(self, found: list[pl.DataFrame], ics: list[float], *, pruned: bool) -> Judged:
        return Judged(
            rank_ic=math.nan if pruned else sum(ics) / len(ics),
            rank_ics=tuple(ics),
            returns=paper_returns(pl.concat(found), self.known, self.config),
            pruned=pruned,
        )
