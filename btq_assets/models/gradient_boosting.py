"""LightGBM trees on cross-sectional ranks and raw market-wide columns, by regression or by rank.

Belongs here: the gradient-boosting forecaster. Does not belong here: Dagster, and other models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from btq_assets.models import design, scores
from btq_assets.models.folds import TrainingSet
from btq_assets.models.forecaster import (
    ModelError,
    Progress,
    require_columns,
    require_features,
)
from btq_assets.models.tabular import TabularForecaster

MODEL_TEXT_FILE = "trees.txt"

#: Fixed, not the machine's: sums of gradients depend on the number of threads.
N_THREADS = 1

#: What trees may make small: squared errors, or pairs of a date in the wrong order.
OBJECTIVES = ("regression", "rank")

#: Grades of a date that `rank` tells apart; one is worth as much as the next.
N_GRADES = 5


@dataclass(frozen=True)
class LightGBMSpec:
    """Configuration of one LightGBM fit; see `config.LightGBMSection`.

    Parameters
    ----------
    objective
        One of `OBJECTIVES`.
    """

    variant: str = "base"
    num_leaves: int = 15
    learning_rate: float = 0.03
    n_estimators: int = 300
    min_child_samples: int = 200
    feature_fraction: float = 0.6
    early_stopping_rounds: int = 30
    seed: int = 0
    objective: str = "regression"

    def __post_init__(self) -> None:
        """Refuse an objective there is none of."""
        if self.objective not in OBJECTIVES:
            raise ModelError(
                f"lightgbm has no objective {self.objective!r}; there are {', '.join(OBJECTIVES)}"
            )


class LightGBMForecaster(TabularForecaster[LightGBMSpec]):
    """Boosted trees on the relative target, stopped early on the validation segment.

    Asset features are cross-sectional ranks, market features (variant ``macro``) are raw: a tree
    can split on the state of the market and then on ranks. Missing values stay missing.

    With the objective ``rank`` trees learn the order of each date alone (LambdaMART, Burges 2010): labels
    are `N_GRADES` grades of their date, pairs weigh by what their exchange changes of the date's NDCG
    with linear gains, which also stops the trees. Scores have no unit; they are scaled by the slope of
    labels on them within the dates of the training segment.

    Parameters
    ----------
    spec
        Configuration.
    code_version
        Stored in the provenance.
    """

    family = "lightgbm"
    spec_type = LightGBMSpec
    libraries = ("lightgbm", "numpy", "polars")

    def __init__(
        self, spec: LightGBMSpec | None = None, *, code_version: str = "unversioned"
    ) -> None:
        super().__init__(spec, code_version=code_version)
        self._booster: Any = None

    def importances(self) -> dict[str, float]:
        """Share of each feature in the gain of all splits, Hastie et al. (2009), eq. 10.42."""
        gains = self._fitted().feature_importance("gain")
        return design.shares(dict(zip((*self._asset, *self._market), gains.tolist(), strict=True)))

    def fit(self, training_set: TrainingSet, progress: Progress | None = None) -> Self:
        """Grow trees on the training segment until the validation error stops falling."""
        import lightgbm

        self._asset = training_set.asset_features
        self._market = training_set.market_features
        require_columns(training_set.panel, (*self._asset, *self._market), "fitting lightgbm")
        train = training_set.train_rows()
        validation = training_set.validation_rows()
        by_rank = self.spec.objective == "rank"
        if by_rank:  # dates one after the other
            order = ("universe", "ts", "symbol")
            train, validation = train.sort(order), validation.sort(order)
        names = [*self._asset, *self._market]
        require_features(names, "lightgbm")
        self._unit = design.dispersion(train)
        if train.height < 2 * self.spec.min_child_samples:
            raise ModelError(
                f"{train.height} row(s) of the training segment are too few for two leaves of at "
                f"least {self.spec.min_child_samples}: take a longer segment, or lower "
                "models.lightgbm.min_child_samples"
            )
        data, largest = [], 0
        for rows in (train, validation):
            y = design.relative_target(rows)
            known = np.isfinite(y)
            x = self._design(training_set.panel, rows)[known]
            weights = design.sample_weights(rows)
            dates = _sizes_of_dates(rows.filter(known)) if by_rank else None
            largest = max(largest, *(dates or (0,)))
            data.append(
                lightgbm.Dataset(
                    x,
                    design.grades(rows.filter(known), N_GRADES) if by_rank else y[known],
                    group=dates,
                    weight=None if weights is None else weights[known],
                    feature_name=names,
                    free_raw_data=True,
                )
            )
        errors: dict[str, Any] = {}
        callbacks: list[Any] = [
            lightgbm.early_stopping(self.spec.early_stopping_rounds, verbose=False),
            lightgbm.record_evaluation(errors),
        ]
        if progress is not None:
            callbacks.append(_reporter(progress))
        booster = lightgbm.train(
            self._parameters(largest),
            data[0],
            num_boost_round=self.spec.n_estimators,
            valid_sets=[data[1]],
            valid_names=["validation"],
            callbacks=callbacks,
        )
        # The text is what is saved: forecasts before and after a round trip are the same.
        self._booster = lightgbm.Booster(
            model_str=booster.model_to_string(num_iteration=booster.best_iteration)
        )
        if by_rank:
            scored = self._booster.predict(
                self._design(training_set.panel, train), num_threads=N_THREADS
            )
            self._unit *= _slope_within_dates(train, np.asarray(scored))
        forecast = self._booster.predict(
            self._design(training_set.panel, validation), num_threads=N_THREADS
        )
        (curve,) = errors["validation"].values()
        if by_rank:  # NDCG, of which more is better
            curve = [1 - value for value in curve]
        self.scores = {
            "validation_rank_ic": scores.mean_rank_ic_of(validation, np.asarray(forecast)),
            "n_trees": int(booster.best_iteration),
            "validation_error": [round(float(value), 6) for value in curve],
            "n_train": train.height,
            "n_validation": validation.height,
            "n_columns": len(names),
            # each leaf holds a fitted value
            "n_parameters": sum(
                tree["num_leaves"] for tree in self._booster.dump_model()["tree_info"]
            ),
            "n_observations": int(data[0].num_data()),
        }
        return self

    def _forecast(self, panel: pl.DataFrame, rows: pl.DataFrame) -> np.ndarray:
        if rows.is_empty():
            return np.empty(0)
        forecast = self._fitted().predict(self._design(panel, rows), num_threads=N_THREADS)
        return np.asarray(forecast) * self._unit

    def predict_date(self, columns: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Forecast all assets of one date; see `forecaster.OneDate`."""
        booster = self._fitted()
        require_columns(columns, (*self._asset, *self._market), "forecasting with lightgbm")
        ranks = design.ranks_of_date(design.columns_of_date(columns, self._asset))
        x = np.hstack([ranks, design.columns_of_date(columns, self._market)])
        if not x.shape[0]:
            return np.empty(0)
        return np.asarray(booster.predict(x, num_threads=N_THREADS)) * self._unit

    def _write(self, folder: Path) -> None:
        (folder / MODEL_TEXT_FILE).write_text(self._fitted().model_to_string())

    def _read(self, folder: Path) -> None:
        import lightgbm

        self._booster = lightgbm.Booster(model_str=(folder / MODEL_TEXT_FILE).read_text())

    def _parameters(self, largest_date: int) -> dict[str, Any]:
        asked: dict[str, Any] = {"objective": "regression", "metric": "l2"}
        if self.spec.objective == "rank":
            asked = {
                "objective": "lambdarank",
                "metric": "ndcg",
                "eval_at": [largest_date],
                "label_gain": list(range(N_GRADES)),
                "lambdarank_truncation_level": largest_date,
            }
        return {
            **asked,
            "num_leaves": self.spec.num_leaves,
            "learning_rate": self.spec.learning_rate,
            "min_child_samples": self.spec.min_child_samples,
            "feature_fraction": self.spec.feature_fraction,
            "seed": self.spec.seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": N_THREADS,
            "verbosity": -1,
        }

    def _design(self, panel: pl.DataFrame, rows: pl.DataFrame) -> np.ndarray:
        ordered = design.ranked_rows(panel, rows, self._asset, self._market)
        return design.matrix(ordered, [*self._asset, *self._market])

    def _fitted(self) -> Any:
        if self._booster is None:
            raise ModelError("lightgbm is not fitted; call fit() or load() first")
        return self._booster


def _sizes_of_dates(rows: pl.DataFrame) -> list[int]:
    """Rows of each date, in the order they come in."""
    return rows.group_by("universe", "ts", maintain_order=True).len()["len"].to_list()


def _slope_within_dates(rows: pl.DataFrame, scored: np.ndarray) -> float:
    """Least squares of labels on scores, in standard deviations of the date; 1 where none is above 0.

    Scores keep their order whatever they are scaled by.
    """
    y = design.relative_target(rows)
    centred = pl.col("score") - pl.col("score").mean().over("universe", "ts")
    x = rows.with_columns(score=pl.Series(scored)).select(centred).to_series().to_numpy()
    known = np.isfinite(y)
    spread = float(x[known] @ x[known])
    slope = float(x[known] @ y[known]) / spread if spread > 0 else 1.0
    return slope if slope > 0 else 1.0


def _reporter(progress: Progress) -> Any:
    def report(environment: Any) -> None:
        value = float(environment.evaluation_result_list[0][2])
        total = environment.end_iteration - environment.begin_iteration
        progress(environment.iteration + 1, total, {"validation_error": value})

    return report
