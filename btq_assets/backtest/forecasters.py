"""The house's own forecasters in a walk-forward: folds, training sets and fits as `models` has them.

Belongs here: from a window of a notebook's walk-forward to `models.walk_forward.fit_fold`. Does
not belong here: models (the models room), windows (`folds`), choosing (`walk_forward`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from btq_assets.backtest import folds, samples
from btq_assets.backtest.fitting import Block
from btq_assets.backtest.market import BacktestError
from btq_assets.timeline import add_months, forward_returns

if TYPE_CHECKING:
    from btq_assets.backtest.samples import Samples
    from btq_assets.models.forecaster import Forecaster

#: What a class of the house has and an estimator on arrays has not.
_MARKS = ("fit", "predict", "save", "load", "history_sessions", "provenance")

#: Largest move of a forecast once later rows are gone, relative to the largest forecast.
TOLERANCE = 1e-4

_KEY = ["universe", "symbol", "ts"]


def forecaster_class(model_class: Any) -> Callable[..., Any] | None:
    """The class behind a name of the house or a class of it; ``None`` for anything else.

    Parameters
    ----------
    model_class
        ``"ridge"``, ``"lightgbm"``, ``"transformer_gnn"`` or another family of `models.saved`; a class with the methods of
        `models.forecaster.Forecaster`; or a `functools.partial` of one.

    Raises
    ------
    BacktestError
        A name that is none.
    """
    if isinstance(model_class, str):
        from btq_assets.models.saved import families, family_class

        if model_class not in families():
            raise BacktestError(
                f"model_class = {model_class!r}: the house has {', '.join(families())}; "
                "anything else is given as a class"
            )
        return family_class(model_class)
    behind = getattr(model_class, "func", model_class)
    return model_class if all(hasattr(behind, mark) for mark in _MARKS) else None


def panel_of(
    bars: pl.DataFrame, table: pl.DataFrame, data: Samples, horizon_sessions: int
) -> pl.DataFrame:
    """Rows of a training set: every bar, its features, and labels as `models.training_set` has.

    Parameters
    ----------
    bars, table
        Bars, and ``symbol``, ``ts`` and the features.
    data
        Names the features and the decisions.
    horizon_sessions
        Of the label: fill to fill, above the mean of the symbols where there are several.
    """
    from btq_assets.models.training_set import relative_labels, session_returns

    names = list(data.features)
    if bars["symbol"].n_unique() > 1:
        labels = relative_labels(bars, horizon_sessions)
    else:
        labels = forward_returns(bars, horizon_sessions).with_columns(label_raw="label")
    features = table.select("symbol", "ts", pl.col(names).cast(pl.Float64).fill_nan(None))
    return (
        bars.select(_KEY)
        .with_columns(is_decision=pl.col("ts").is_in(data.decided_at.implode()))
        .join(session_returns(bars), on=_KEY, how="left")
        .join(labels, on=_KEY, how="left")
        .join(features, on=["symbol", "ts"], how="left")
        .sort(_KEY)
    )


class ForecasterLearner:
    """Fits a forecaster of the house on a window and forecasts the segment after it.

    Parameters
    ----------
    model_class
        As `forecaster_class` gives it: makes an unfitted forecaster, whose ``spec`` is a dataclass.
    panel
        As `panel_of` gives it.
    data
        Samples of the walk-forward.
    horizon_sessions
        Of the label.
    validation_months
        End of each training window, for early stopping and the choices a model makes itself.
    n_blocks
        Blocks of a training window for choosing parameters.
    data_hash
        Version of the bars.
    """

    def __init__(
        self,
        model_class: Callable[..., Any],
        panel: pl.DataFrame,
        data: Samples,
        *,
        horizon_sessions: int,
        validation_months: int,
        n_blocks: int,
        data_hash: str,
    ) -> None:
        self.model_class = model_class
        self.panel = panel
        self.data = data
        self.horizon_sessions = horizon_sessions
        self.validation_months = validation_months
        self.n_blocks = n_blocks
        self.data_hash = data_hash
        spec = model_class().spec
        if not is_dataclass(spec) or isinstance(spec, type):
            raise BacktestError(
                f"{self.name}: its spec is a {type(spec).__name__}, parameters are set in a dataclass"
            )
        self._spec: Any = spec
        self._several = panel["symbol"].n_unique() > 1
        if not self._several and "relative" not in self._names:
            raise BacktestError(
                f"{self.name} learns who does better than whom, and there is one symbol; use "
                "a network such as transformer_gnn, or a class on arrays"
            )

    @property
    def name(self) -> str:
        """Name under which its trials are recorded: the family where it has one."""
        behind = getattr(self.model_class, "func", self.model_class)
        return str(getattr(behind, "family", behind.__name__))

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(field.name for field in fields(self._spec))

    def make(self, chosen: Mapping[str, Any]) -> Forecaster:
        """An unfitted forecaster with parameters in its specification.

        Raises
        ------
        BacktestError
            A parameter that the specification does not have.
        """
        unknown = sorted(set(chosen) - set(self._names))
        if unknown:
            raise BacktestError(f"{self.name} has no parameter(s) {unknown}; it has {self._names}")
        given = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in chosen.items()
        }
        implied: dict[str, Any] = {}
        if "horizon_sessions" in self._names:
            implied["horizon_sessions"] = self.horizon_sessions
        if not self._several:
            implied |= {n: False for n in ("relative", "use_graph") if n in self._names}
        made: Forecaster = self.model_class(replace(self._spec, **(implied | given)))
        return made

    def blocks(self, window: folds.Window) -> list[Block]:
        """Blocks for choosing parameters: each judged by what was learnt before it.

        A forecaster reads an unbroken history and stops early on its end, so nothing after a
        judged block is ever learnt from; purging what comes before it is all there is to do.
        """
        parts = np.array_split(window.train, self.n_blocks)
        if self.n_blocks < 3:
            raise BacktestError(
                f"n_inner_blocks = {self.n_blocks}: a forecaster of the house needs 3 at least, to "
                "learn, to stop early, and to be judged"
            )
        found = []
        for number in range(max(2, self.n_blocks // 2), self.n_blocks):
            judge = parts[number]
            if judge.size and parts[number - 1].size and parts[0].size:
                found.append((np.concatenate(parts[:number]), judge))
        return found

    def outer(self, window: folds.Window) -> Block:
        """What a window trains on and tests."""
        return window.train, window.test

    def forecast(self, chosen: Mapping[str, Any], block: Block) -> pl.DataFrame:
        """Fit on the training decisions of a block and forecast the others.

        Returns
        -------
        polars.DataFrame
            ``decision``, ``symbol``, ``ts``, ``forecast``.

        Raises
        ------
        LeakError
            A forecast changes when the rows after its decision are taken away.
        """
        from btq_assets.models.walk_forward import Plan, fit_fold

        spec: Any = self.make(chosen).spec
        plan = Plan(
            lambda variant, seed: self.make(chosen),
            variants=(getattr(spec, "variant", "base"),),
            seeds=(getattr(spec, "seed", 0),),
            asset_features=self.data.features,
            market_features=(),
        )
        fold = self.fold_of(*block)
        fit = fit_fold(
            self.panel, fold, plan, plan.variants[0], plan.seeds[0], data_hash=self.data_hash
        )
        self._refuse_later_rows(fit.forecaster, fit.forecasts, block[1])
        at = pl.DataFrame({"ts": self.data.decided_at}).with_row_index("decision")
        found = fit.forecasts.join(at.cast({"decision": pl.Int64}), on="ts")
        if not found["forecast"].is_finite().fill_null(False).all():
            raise BacktestError(f"{self.name} has a forecast that is not finite: {asdict(spec)}")
        return found.select("decision", "symbol", "forecast", "ts").sort("decision", "symbol")

    def fold_of(self, train: np.ndarray, test: np.ndarray) -> dict[str, Any]:
        """A row as in `models.splits`: validation is the end of the training decisions.

        Every label of the training part is filled by the first validation decision, every label of
        the validation by the first tested one.
        """
        at = self.data.decided_at
        validation_from = add_months(
            at[int(test[0])].date().replace(day=1), -self.validation_months
        )
        later = (at.gather(train).dt.date() >= validation_from).to_numpy()
        validation = self._filled(train[later], test)
        if validation.size == 0 or later.all():
            raise BacktestError(
                f"{self.name} before {at[int(test[0])]}: {train.size} training decision(s) leave "
                f"{validation.size} for a validation of {self.validation_months} month(s); change "
                "validation_months or lengthen train_period_months"
            )
        learnt = self._filled(train[~later], validation)
        if learnt.size == 0:
            raise BacktestError(
                f"{self.name}: no label is filled by the first validation decision "
                f"{at[int(validation[0])]}; lengthen train_period_months"
            )
        bounds = {}
        for segment, rows in (("train", learnt), ("validation", validation), ("test", test)):
            bounds[f"{segment}_start"], bounds[f"{segment}_end"] = (
                at[int(rows[0])],
                at[int(rows[-1])],
            )
        return {"universe": self.panel["universe"][0], "fold": 0, **bounds}

    def _filled(self, decisions: np.ndarray, following: np.ndarray) -> np.ndarray:
        """Decisions whose label is filled by the first of those that follow."""
        first: datetime = self.data.decided_at[int(following[0])]
        known = (self.data.label_end.gather(decisions) <= first).fill_null(False).to_numpy()
        return decisions[known]

    def _refuse_later_rows(
        self, forecaster: Forecaster, forecasts: pl.DataFrame, test: np.ndarray
    ) -> None:
        """Ask for the middle decision again without the rows after it."""
        from btq_assets.models.folds import panel_between

        middle = self.data.decided_at[int(test[test.size // 2])]
        known = panel_between(self.panel, middle, middle, forecaster.history_sessions)
        both = forecasts.join(forecaster.predict(known), on=_KEY, suffix="_cut")
        scale = max(float(np.abs(forecasts["forecast"].to_numpy()).max(initial=0.0)), 1e-12)
        gaps = np.abs((both["forecast"] - both["forecast_cut"]).to_numpy())
        gap = float(gaps.max()) if gaps.size else float("nan")
        if not gap <= TOLERANCE * scale:
            raise samples.LeakError(
                f"{self.name}: its forecasts at {middle} move by {gap:.3g} once the rows after it are "
                "taken away: it reads what comes later"
            )
