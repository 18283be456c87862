"""Ridge regression on cross-sectional ranks: the model every deeper one must beat.

Belongs here: the ridge forecaster. Does not belong here: Dagster, and other models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from btq_assets.models import design, scores
from btq_assets.models.folds import TrainingSet
from btq_assets.models.forecaster import (
    WEIGHTS_FILE,
    ModelError,
    Progress,
    require_columns,
    require_features,
)
from btq_assets.models.tabular import TabularForecaster

#: Asset columns that market-wide columns are multiplied with in the ``macro`` variant.
INTERACTED = ("universe_beta", "momentum_12_1")


@dataclass(frozen=True)
class RidgeSpec:
    """Configuration of one ridge fit.

    Parameters
    ----------
    variant
        ``base`` or ``macro``.
    alphas
        Penalties tried; the validation segment chooses.
    """

    variant: str = "base"
    alphas: tuple[float, ...] = (10.0, 100.0, 1_000.0, 10_000.0, 100_000.0)
    seed: int = 0


class RidgeForecaster(TabularForecaster[RidgeSpec]):
    """Linear forecast of the relative label.

    Asset features become cross-sectional ranks; market features are standardised on the training
    segment and multiplied with the ranks of beta and momentum (`INTERACTED`). All columns are
    then standardised on the training segment, and missing values put at the mean. The penalty
    with the best validation rank IC wins (the larger one on ties), and the coefficients are
    fitted again on training plus validation segment, whose labels are all filled by the first
    test decision. Scalers stay those of the training segment. There is no intercept: targets
    have mean zero on every date.

    Parameters
    ----------
    spec
        Configuration.
    code_version
        Stored in the provenance.
    """

    family = "ridge"
    spec_type = RidgeSpec
    libraries = ("numpy", "scikit-learn", "polars")

    def __init__(self, spec: RidgeSpec | None = None, *, code_version: str = "unversioned") -> None:
        super().__init__(spec, code_version=code_version)
        self._market_scaler: design.Standardiser | None = None
        self._scaler: design.Standardiser | None = None
        self._coefficients: np.ndarray | None = None

    @property
    def coefficients(self) -> np.ndarray:
        """Coefficients per standard deviation of each design column, in standard deviations."""
        return self._fitted()[2]

    def importances(self) -> dict[str, float]:
        """Share of each feature in the sum of absolute coefficients.

        The coefficient of an interaction counts half for each of its two features.
        """
        size = np.abs(self.coefficients)
        n_asset = len(self._asset)
        totals = dict(zip(self._asset, size[:n_asset].tolist(), strict=True))
        totals |= dict.fromkeys(self._market, 0.0)
        for (asset, market), value in zip(self._pairs(), size[n_asset:].tolist(), strict=True):
            totals[asset] += value / 2
            totals[market] += value / 2
        return design.shares(totals)

    def terms(self, panel: pl.DataFrame, rows: pl.DataFrame) -> dict[str, np.ndarray]:
        """What each feature adds to the forecasts of `rows`, in label units; together they are them.

        The term of an interaction is shared by its two features.

        Parameters
        ----------
        panel
            All assets of each date.
        rows
            Rows of `panel`.

        Returns
        -------
        dict
            Feature → ``(rows,)``.
        """
        _, scaler, coefficients = self._fitted()
        values = scaler.apply(self._design(panel, rows)) * coefficients * self._unit
        n_asset = len(self._asset)
        found = dict(zip(self._asset, values[:, :n_asset].T, strict=True))
        found |= {name: np.zeros(len(values)) for name in self._market}
        for (asset, market), term in zip(self._pairs(), values[:, n_asset:].T, strict=True):
            found[asset] = found[asset] + term / 2
            found[market] = found[market] + term / 2
        return found

    def fit(self, training_set: TrainingSet, progress: Progress | None = None) -> Self:
        """Choose the penalty on the validation segment, then fit on both segments."""
        self._asset = training_set.asset_features
        self._market = training_set.market_features
        train = training_set.train_rows()
        validation = training_set.validation_rows()
        require_columns(training_set.panel, (*self._asset, *self._market), "fitting ridge")
        require_features((*self._asset, *self._market), "ridge")
        self._unit = design.dispersion(train)
        self._market_scaler = design.Standardiser.fit(design.matrix(train, self._market))
        ranked = self._design(training_set.panel, pl.concat([train, validation]))
        x_train, x_validation = ranked[: train.height], ranked[train.height :]
        self._scaler = design.Standardiser.fit(x_train)
        x_train, x_validation = self._scaler.apply(x_train), self._scaler.apply(x_validation)
        y_train, y_validation = design.relative_target(train), design.relative_target(validation)
        weights = design.sample_weights(train)
        ics = []
        for number, alpha in enumerate(self.spec.alphas):
            beta = _solve(x_train, y_train, alpha, weights)
            ics.append(scores.mean_rank_ic_of(validation, x_validation @ beta))
            if progress is not None:
                progress(number + 1, len(self.spec.alphas), {"alpha": alpha, "rank_ic": ics[-1]})
        best = max(
            range(len(ics)), key=lambda i: (np.nan_to_num(ics[i], nan=-2.0), self.spec.alphas[i])
        )
        x, y = np.vstack([x_train, x_validation]), np.concatenate([y_train, y_validation])
        weights = design.sample_weights(pl.concat([train, validation]))
        self._coefficients = _solve(x, y, self.spec.alphas[best], weights)
        fitted = np.isfinite(y)
        weighted = x if weights is None else x * np.sqrt(weights)[:, None]
        self.scores = {
            "alpha": self.spec.alphas[best],
            "validation_rank_ic": ics[best],
            "validation_rank_ic_by_alpha": dict(zip(map(str, self.spec.alphas), ics, strict=True)),
            "n_train": train.height,
            "n_validation": validation.height,
            "n_columns": int(x_train.shape[1]),
            "n_parameters": effective_parameters(weighted[fitted], self.spec.alphas[best]),
            "n_observations": int(fitted.sum()),
        }
        return self

    def _forecast(self, panel: pl.DataFrame, rows: pl.DataFrame) -> np.ndarray:
        _, scaler, coefficients = self._fitted()
        x = scaler.apply(self._design(panel, rows))
        return np.asarray(x @ coefficients * self._unit)

    def predict_date(self, columns: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Forecast all assets of one date; see `forecaster.OneDate`."""
        _, scaler, coefficients = self._fitted()
        require_columns(columns, (*self._asset, *self._market), "forecasting with ridge")
        ranks = design.ranks_of_date(design.columns_of_date(columns, self._asset))
        if not ranks.shape[0]:
            return np.empty(0)
        x = scaler.apply(self._joined(ranks, design.columns_of_date(columns, self._market)))
        return np.asarray(x @ coefficients * self._unit)

    def _write(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        market_scaler, scaler, coefficients = self._fitted()
        save_file(
            {
                "coefficients": coefficients,
                "mean": scaler.mean,
                "scale": scaler.scale,
                "market_mean": market_scaler.mean,
                "market_scale": market_scaler.scale,
            },
            str(folder / WEIGHTS_FILE),
        )

    def _read(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        weights = load_file(str(folder / WEIGHTS_FILE))
        self._coefficients = weights["coefficients"]
        self._scaler = design.Standardiser(weights["mean"], weights["scale"])
        self._market_scaler = design.Standardiser(weights["market_mean"], weights["market_scale"])

    def _pairs(self) -> list[tuple[str, str]]:
        """Features of each interaction, in the order of their columns."""
        interacted = [name for name in INTERACTED if name in self._asset] if self._market else []
        return [(asset, market) for asset in interacted for market in self._market]

    def _design(self, panel: pl.DataFrame, rows: pl.DataFrame) -> np.ndarray:
        """Columns before standardisation; ranks are taken among all assets of `panel`."""
        ordered = design.ranked_rows(panel, rows, self._asset, self._market)
        return self._joined(
            design.matrix(ordered, self._asset), design.matrix(ordered, self._market)
        )

    def _joined(self, asset: np.ndarray, market: np.ndarray) -> np.ndarray:
        """Ranks, then the products of `INTERACTED` ranks and standardised market columns."""
        if not self._market or self._market_scaler is None:
            return asset
        interacted = [self._asset.index(name) for name in INTERACTED if name in self._asset]
        scaled = self._market_scaler.apply(market)
        return np.hstack([asset, design.interactions(asset[:, interacted], scaled)])

    def _fitted(self) -> tuple[design.Standardiser, design.Standardiser, np.ndarray]:
        if self._coefficients is None or self._scaler is None or self._market_scaler is None:
            raise ModelError("ridge is not fitted; call fit() or load() first")
        return self._market_scaler, self._scaler, self._coefficients


def effective_parameters(x: np.ndarray, alpha: float) -> float:
    """Effective degrees of freedom of a ridge fit, ``sum d^2 / (d^2 + alpha)``.

    Hastie, Tibshirani and Friedman (2009), *The Elements of Statistical Learning*, eq. 3.50, ``d``
    the singular values of `x`: the number of columns without a penalty, towards 0 with it.
    """
    squares = np.maximum(np.linalg.eigvalsh(x.T @ x), 0.0)
    return float((squares / (squares + alpha)).sum())


def _solve(
    x: np.ndarray, y: np.ndarray, alpha: float, weights: np.ndarray | None = None
) -> np.ndarray:
    from sklearn.linear_model import Ridge

    known = np.isfinite(y)
    fitted = Ridge(alpha=alpha, fit_intercept=False, solver="cholesky").fit(
        x[known], y[known], sample_weight=None if weights is None else weights[known]
    )
    return np.asarray(fitted.coef_, dtype=float)
