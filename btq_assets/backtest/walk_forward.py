"""Walk-forward optimisation from a notebook: any model class, honest folds, one path.

Belongs here: the public class, choosing parameters inside training windows, and putting test
segments together. Does not belong here: windows and purge (`folds`), features and labels
(`samples`), accounting (the engine through `backtester`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

import numpy as np
import polars as pl

from btq_assets.backtest import folds, frames, samples
from btq_assets.backtest.backtester import AdvancedBacktester
from btq_assets.backtest.fitting import (
    Learner,
    Parameters,
    Positions,
    Score,
    learner_of,
    long_positive,
    parameter_sets,
    rank_score,
)
from btq_assets.backtest.market import BacktestError, Market
from btq_assets.backtest.out_of_sample import WalkForwardResult, newest, returns_by_fold
from btq_assets.backtest.recording import NOT_RECORDED, MemoryLedger, Recorder, Trial
from btq_assets.backtest.result import BacktestResult
from btq_assets.engine.costs import BPS


class WalkForwardOptimizer:
    """Train on some months, test on the next, step on; choose parameters inside the training.

    Labels run from the fill after a decision to the fill `horizon_sessions` later. A decision
    trains only if its label is filled by the first tested decision. Parameters are chosen by
    blocks inside the training window, purged and embargoed by the same horizon; the test segment
    is forecast once, by the parameters chosen, one decision at a time: a model is handed the
    features of that decision and never a label of the segment.

    Parameters
    ----------
    data
        pandas or polars OHLCV, see `frames.as_bars`; further numeric columns are features.
    train_period_months, test_period_months, step_months
        Lengths; the step may not exceed the test.
    horizon_sessions
        Sessions the label runs.
    decide
        Decisions on the first session of each ``week`` or ``month``, or every ``day``.
    anchored
        Training windows grow from the first decision instead of rolling.
    feature_columns
        Columns to use; default all numeric ones beside OHLCV, or where there is none the default
        features of the house.
    features
        Function that makes features from bars; it is run again on cut bars and refused if
        anything before the cut changes.
    n_inner_blocks
        Blocks of each training window for choosing parameters.
    validation_months
        End of each training window on which forecasters of the house stop early and make choices of
        their own; default a quarter of it. Classes on arrays have no such part.
    positions
        From the forecasts of a decision to weights; default `long_positive`.
    score
        Default `rank_score`.
    initial_cash, commission, half_spread_bps
        As in `AdvancedBacktester`.

    Raises
    ------
    BacktestError
        Lengths or data that cannot be used.
    LeakError
        A feature that knows the future.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> optimizer = WalkForwardOptimizer(
    ...     data, train_period_months=24, test_period_months=6, step_months=6
    ... )  # doctest: +SKIP
    >>> found = optimizer.optimize(Ridge, {"alpha": [1.0, 100.0]})  # doctest: +SKIP
    """

    def __init__(
        self,
        data: Any,
        train_period_months: int = 24,
        test_period_months: int = 6,
        step_months: int = 6,
        *,
        horizon_sessions: int = 5,
        decide: Literal["day", "week", "month"] = "week",
        anchored: bool = False,
        feature_columns: Sequence[str] | None = None,
        features: samples.Features | None = None,
        n_inner_blocks: int = 4,
        validation_months: int | None = None,
        positions: Positions = long_positive,
        score: Score = rank_score,
        initial_cash: float = 1_000_000.0,
        commission: float = 0.001,
        half_spread_bps: float = 0.0,
    ) -> None:
        if decide not in ("day", "week", "month"):
            raise BacktestError(f"decide = {decide!r}: day, week or month")
        if n_inner_blocks < 2:
            raise BacktestError(f"n_inner_blocks = {n_inner_blocks}: at least 2 are needed")
        if validation_months is None:
            validation_months = max(1, train_period_months // 4)
        if not 0 < validation_months < max(train_period_months, 2):
            raise BacktestError(
                f"validation_months = {validation_months}: from 1 to less than the "
                f"{train_period_months} months of training"
            )
        self.horizon_sessions = horizon_sessions
        self.validation_months = validation_months
        self.positions = positions
        self.score = score
        self.n_inner_blocks = n_inner_blocks
        self._terms: dict[str, Any] = {
            "initial_cash": initial_cash,
            "commission": commission,
            "half_spread_bps": half_spread_bps,
        }
        self._layout: dict[str, Any] = {
            "train_months": train_period_months,
            "test_months": test_period_months,
            "step_months": step_months,
            "anchored": anchored,
        }
        self._bars = frames.as_bars(data)
        table, names = samples.feature_table(self._bars, data, feature_columns, features)
        self._table = table
        self.samples = samples.make_samples(
            self._bars, table, names, horizon_sessions=horizon_sessions, decide=decide
        )
        self.windows = folds.windows(
            self.samples.decided_at, self.samples.label_end, **self._layout
        )
        #: Decisions after which a label is filled: the purge, and the embargo of inner blocks.
        self.embargo = max(1, folds.reach(self.samples.decided_at, self.samples.label_end))
        samples.refuse_disguised_labels(self.samples)
        if features is not None:
            cuts = [self._middle(self.windows[0]), self._middle(self.windows[-1])]
            samples.refuse_features_from_the_future(self._bars, table, names, features, cuts)

    def optimize(
        self,
        model_class: Callable[..., Any] | str,
        parameters: Parameters | None = None,
        *,
        recorder: Recorder | None = None,
    ) -> WalkForwardResult:
        """Walk forward with a model class.

        Parameters
        ----------
        model_class
            Either a class on arrays: called with the parameters of a set, has ``fit(x, y)`` and
            ``predict(x)`` as scikit-learn's do. Or a forecaster of the house by name (``ridge``,
            ``lightgbm``, ``transformer_gnn``) or class: fitted by `models.walk_forward.fit_fold`;
            its parameters are those of its specification.
        parameters
            Sets to choose among; default the one without any.
        recorder
            Called with every `Trial`: each set on each fold, and the path. It is told before
            anything is returned, so what fails later is on record too.

        Returns
        -------
        WalkForwardResult
        """
        sets = parameter_sets(parameters)
        ledger = MemoryLedger(recorder, in_session=True)
        learner = learner_of(self, model_class)
        rows, forecasts = [], []
        for window in self.windows:
            chosen, inner = self._choose(learner, sets, window, ledger)
            found = learner.forecast(chosen, learner.outer(window))
            forecasts.append(found.with_columns(fold=pl.lit(window.fold)))
            rows.append(
                {
                    "fold": window.fold,
                    "train_from": window.train_from,
                    "test_from": window.test_from,
                    "test_until": window.test_until,
                    "n_train": window.train.size,
                    "n_purged": window.n_purged,
                    "n_test": window.test.size,
                    "parameters": json.dumps(chosen, sort_keys=True, default=str),
                    "inner_score": inner,
                    "test_score": self._test_score(found),
                }
            )
        latest = newest(pl.concat(forecasts))
        path = self.run(latest)
        self._record_path(learner, sets, path, ledger)
        table = pl.DataFrame(rows, infer_schema_length=None).with_columns(
            pl.col("inner_score", "test_score").cast(pl.Float64).fill_nan(None)
        )
        return WalkForwardResult(
            folds=table.join(returns_by_fold(latest, path), on="fold", how="left"),
            forecasts=latest.select("fold", "symbol", "ts", "forecast"),
            path=path,
            trials=ledger.trials(),
            trial_returns=ledger.returns(),
        )

    def cross_validate(
        self,
        model_class: Callable[..., Any],
        parameters: Mapping[str, Any] | None = None,
        *,
        n_folds: int = 6,
        n_test_folds: int = 2,
        recorder: Recorder | None = None,
    ) -> Any:
        """Combinatorial purged cross-validation; see `cross_validation.combinatorial_paths`."""
        from btq_assets.backtest.cross_validation import combinatorial_paths

        return combinatorial_paths(
            self,
            model_class,
            dict(parameters or {}),
            n_folds=n_folds,
            n_test_folds=n_test_folds,
            recorder=recorder,
        )

    def panel(self) -> pl.DataFrame:
        """The data as the models room has a training set; see `forecasters.panel_of`."""
        from btq_assets.backtest.forecasters import panel_of

        return panel_of(self._bars, self._table, self.samples, self.horizon_sessions)

    def run(self, forecasts: pl.DataFrame) -> BacktestResult:
        """Take forecasts through the engine: one path, in cash until the first decision.

        Parameters
        ----------
        forecasts
            ``symbol``, ``ts``, ``forecast``, each decision once.
        """
        weights = self.weights(forecasts)
        first = forecasts["ts"].min()
        bars = self._bars.filter(pl.col("ts") >= pl.lit(first))
        done = AdvancedBacktester(weights, bars, **self._terms, record=False).run()
        # the ledger of the search counts it, under the model's name and parameters
        return replace(done, notes=tuple(note for note in done.notes if note != NOT_RECORDED))

    def weights(self, forecasts: pl.DataFrame) -> pl.DataFrame:
        """Target weights by `positions`: ``symbol``, ``ts``, ``weight``."""
        parts = []
        for _, rows in forecasts.sort("ts", "symbol").group_by("ts", maintain_order=True):
            weight = np.asarray(self.positions(rows["forecast"].to_numpy()), dtype=float)
            parts.append(rows.select("symbol", "ts").with_columns(weight=weight))
        return pl.concat(parts)

    def _choose(
        self,
        learner: Learner,
        sets: list[dict[str, Any]],
        window: folds.Window,
        ledger: MemoryLedger,
    ) -> tuple[dict[str, Any], float | None]:
        """Set with the best mean score over the inner blocks, the first one of equals."""
        if len(sets) == 1:
            return sets[0], None
        blocks = learner.blocks(window)
        if not blocks:
            raise BacktestError(
                f"fold {window.fold}: {window.train.size} training decision(s) are too few for "
                f"{self.n_inner_blocks} purged blocks; lengthen train_period_months"
            )
        scores = []
        for chosen in sets:
            parts = [learner.forecast(chosen, block) for block in blocks]
            scores.append(float(np.mean([self._test_score(part) or 0.0 for part in parts])))
            self._record_inner(learner, chosen, window, pl.concat(parts), ledger)
        best = int(np.argmax(scores))
        return sets[best], scores[best]

    def _test_score(self, forecasts: pl.DataFrame) -> float | None:
        joined = self._with_labels(forecasts)
        if joined.height < 2:
            return None
        value = self.score(
            joined["decision"].to_numpy(), joined["forecast"].to_numpy(), joined["label"].to_numpy()
        )
        return value if np.isfinite(value) else None

    def _with_labels(self, forecasts: pl.DataFrame) -> pl.DataFrame:
        data = self.samples
        labels = pl.DataFrame(
            {"decision": data.decision, "symbol": data.symbols.tolist(), "label": data.y}
        )
        joined = forecasts.join(labels, on=["decision", "symbol"])
        return joined.filter(pl.col("label").is_finite()).sort("decision", "symbol")

    def _record_inner(
        self,
        learner: Learner,
        chosen: Mapping[str, Any],
        window: folds.Window,
        forecasts: pl.DataFrame,
        ledger: MemoryLedger,
    ) -> None:
        joined = self._with_labels(forecasts)
        rate = float(self._terms["commission"]) + self._terms["half_spread_bps"] * BPS
        held: dict[str, float] = {}
        earned = []
        for (decision,), rows in joined.group_by("decision", maintain_order=True):
            weights = self.positions(rows["forecast"].to_numpy())
            wanted = dict(zip(rows["symbol"].to_list(), weights.tolist(), strict=True))
            traded = sum(abs(wanted.get(n, 0.0) - held.get(n, 0.0)) for n in wanted | held)
            held = wanted
            earned.append((decision, float(weights @ rows["label"].to_numpy()) - rate * traded))
        ends = self.samples.label_end
        ledger.record(
            Trial(
                strategy=learner.name,
                returns=pl.DataFrame(
                    {
                        "ts": [ends[int(decision)] for decision, _ in earned],
                        "net_return": [value for _, value in earned],
                    },
                    schema={"ts": ends.dtype, "net_return": pl.Float64},
                ),
                config={"parameters": chosen, "fold": window.fold, "segment": "inner"}
                | self.config(),
                data_hash=self.data_hash(),
            )
        )

    def _record_path(
        self,
        learner: Learner,
        sets: list[dict[str, Any]],
        path: BacktestResult,
        ledger: MemoryLedger,
    ) -> None:
        ledger.record(
            Trial(
                strategy=learner.name,
                returns=path.equity.select("ts", "net_return").drop_nulls(),
                config={"parameters": sets, "segment": "path"} | self.config(),
                data_hash=self.data_hash(),
            )
        )

    def config(self) -> dict[str, Any]:
        """What identifies a walk-forward beside model and parameters."""
        return self._layout | self._terms | {"features": list(self.samples.features)}

    def data_hash(self) -> str:
        """Version of the bars."""
        return Market.from_bars(self._bars, frames.UNIVERSE).digest()[:20]

    def _middle(self, window: folds.Window) -> datetime:
        at: datetime = self.samples.decided_at[int(window.test[window.test.size // 2])]
        return at
