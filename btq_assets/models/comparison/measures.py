"""How forecasts are judged: correlations by decision, calibration, and their spread.

Belongs here: figures of forecasts against labels. Does not belong here: comparing two of them
(`pairs`), and what a portfolio earns.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from btq_assets.contracts.models import QUANTILE_COLUMNS
from btq_assets.evidence.bootstrap import resampled_means
from btq_assets.models.forecaster import ModelError

if TYPE_CHECKING:
    from btq_assets.config import TradingConfig

_KEY = ["universe", "symbol", "ts"]
CONFIDENCE = 0.95
_TAIL = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]


@dataclass(frozen=True)
class Resampling:
    """How decisions are resampled (Politis and Romano 1994).

    Parameters
    ----------
    mean_block
        Mean length of a block, in rows.
    n_samples, seed
        Resamples and their seed.
    """

    mean_block: float
    n_samples: int
    seed: int

    @classmethod
    def of(cls, config: TradingConfig) -> Resampling:
        """That of ``models.comparison``, for decisions."""
        settings = config.models.comparison
        return cls(settings.mean_block_decisions, settings.resamples, settings.resampling_seed)

    def means(self, values: np.ndarray) -> np.ndarray:
        """Mean of each column of ``(n, k)`` in each resample, ``(n_samples, k)``."""
        return resampled_means(
            values, mean_block=self.mean_block, n_samples=self.n_samples, seed=self.seed
        )

    def interval(self, values: np.ndarray) -> tuple[float, float]:
        """95 % percentile interval of the mean of ``(n,)`` values."""
        low, high = np.quantile(self.means(values)[:, 0], _TAIL)
        return float(low), float(high)


def correlations(forecasts: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Pearson and Spearman correlation of forecast and label across the assets of each decision.

    Parameters
    ----------
    forecasts
        ``universe``, ``symbol``, ``ts``, ``seed``, ``forecast``.
    labels
        ``universe``, ``symbol``, ``ts``, ``label``.

    Returns
    -------
    polars.DataFrame
        ``seed``, ``ts``, ``ic``, ``rank_ic``; decisions without both are left out.

    Raises
    ------
    ModelError
        Not one decision has both.
    """
    joined = forecasts.join(labels.select(*_KEY, "label"), on=_KEY).drop_nulls("label")
    found = (
        joined.group_by("seed", "ts")
        .agg(
            ic=pl.corr("forecast", "label").fill_nan(None),
            rank_ic=pl.corr(pl.col("forecast").rank(), pl.col("label").rank()).fill_nan(None),
        )
        .drop_nulls()
        .sort("seed", "ts")
    )
    if found.is_empty():
        raise ModelError(
            f"no decision of {forecasts['ts'].n_unique()} has forecasts that differ and labels"
        )
    return found


def by_decision(found: pl.DataFrame) -> pl.DataFrame:
    """``ts`` and mean ``rank_ic`` over seeds, of `correlations`; sorted."""
    return found.group_by("ts").agg(pl.col("rank_ic").mean()).sort("ts")


def averaged(forecasts: pl.DataFrame) -> pl.DataFrame:
    """Forecasts averaged over seeds, as strategies use them; ``seed`` is 0."""
    mean = forecasts.group_by(_KEY).agg(pl.col("forecast").mean())
    return mean.with_columns(seed=pl.lit(0, pl.Int64))


def scores_by_seed(found: pl.DataFrame) -> pl.DataFrame:
    """``seed``, ``ic``, ``rank_ic`` and ``icir`` (mean over deviation, by decision) of `correlations`."""
    return (
        found.group_by("seed")
        .agg(
            pl.col("ic", "rank_ic").mean(),
            icir=pl.col("rank_ic").mean() / pl.col("rank_ic").std(),
        )
        .sort("seed")
    )


def calibration_by_seed(forecasts: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Least squares of labels on forecasts, all decisions together, by seed.

    Returns
    -------
    polars.DataFrame
        ``seed``, ``calibration_intercept``, ``calibration_slope`` and ``relative_slope``, the slope
        on forecasts less the mean of their date: what all assets are told alike ranks none of them.
    """
    slope = pl.cov("forecast", "label") / pl.col("forecast").var()
    joined = _centred(forecasts, labels)
    return (
        joined.group_by("seed")
        .agg(
            calibration_intercept=pl.col("label").mean() - slope * pl.col("forecast").mean(),
            calibration_slope=slope,
            relative_slope=(pl.col("_centred") * pl.col("label")).sum()
            / pl.col("_centred").pow(2).sum(),
        )
        .sort("seed")
    )


def slope_interval(
    forecasts: pl.DataFrame, labels: pl.DataFrame, resampling: Resampling
) -> tuple[float, float]:
    """95 % interval of the relative slope, decisions resampled, all seeds of one together."""
    sums = (
        _centred(forecasts, labels)
        .group_by("ts")
        .agg(
            product=(pl.col("_centred") * pl.col("label")).sum(),
            square=pl.col("_centred").pow(2).sum(),
        )
        .sort("ts")
    )
    means = resampling.means(sums.select("product", "square").to_numpy())
    low, high = np.quantile(means[:, 0] / means[:, 1], _TAIL)
    return float(low), float(high)


def coverage(forecasts: pl.DataFrame, labels: pl.DataFrame) -> tuple[float, float] | None:
    """How often labels lie where the forecasts' distributions say, all seeds together.

    A model that gives a variance is taken for normal.

    Returns
    -------
    tuple of float, or None
        Share of labels between the quantiles at 5 % and 95 %; largest difference of the share of
        labels at or below a quantile and its probability (0 where the probability integral
        transform is uniform at those points). ``None`` where no forecast has a distribution.
    """
    normal = NormalDist()
    joined = (
        forecasts.join(labels.select(*_KEY, "label"), on=_KEY)
        .with_columns(
            pl.coalesce(
                name, pl.col("forecast") + normal.inv_cdf(p) * pl.col("variance").sqrt()
            ).alias(name)
            for name, p in QUANTILE_COLUMNS.items()
        )
        .drop_nulls(["label", *QUANTILE_COLUMNS])
    )
    if joined.is_empty():
        return None
    shares = joined.select(
        (pl.col("label") <= pl.col(name)).mean().alias(name) for name in QUANTILE_COLUMNS
    ).row(0, named=True)
    gap = max(abs(shares[name] - p) for name, p in QUANTILE_COLUMNS.items())
    return shares["quantile_95"] - shares["quantile_05"], gap


def _centred(forecasts: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Labelled forecasts with ``_centred``, the forecast less the mean of its date and seed."""
    joined = forecasts.join(labels.select(*_KEY, "label"), on=_KEY).drop_nulls("label")
    mean = pl.col("forecast").mean().over("seed", "ts")
    return joined.with_columns(_centred=pl.col("forecast") - mean)
