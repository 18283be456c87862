"""What the seeds of a model say together: deep ensembles over stored forecasts.

Belongs here: rows of ``models.forecast_distributions``. Does not belong here: ensembles of different
models (`walk_forward`), moments in arrays (`distribution`).
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from btq_assets.contracts.ensembles import FORECAST_DISTRIBUTIONS
from btq_assets.contracts.models import QUANTILE_COLUMNS
from btq_assets.models.forecaster import ModelError

_BY = ("universe", "symbol", "ts", "horizon_sessions", "variant")


def over_seeds(forecasts: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Mixture over the seeds of each model.

    Mean and variance are those of Lakshminarayanan, Pritzel and Blundell (2017), section 2.4:
    the variance a seed expects, mean over seeds, plus the variance of their forecasts. Quantiles are
    averaged over seeds (Lichtendahl, Grushka-Cockayne and Winkler 2013). Both are null where a seed
    has no such heads.

    Parameters
    ----------
    forecasts
        ``models.forecasts_<model>``, by model.

    Raises
    ------
    ModelError
        A seed forecasts an asset twice at the same time.
    """
    frames = []
    contract = FORECAST_DISTRIBUTIONS
    for model, frame in forecasts.items():
        if frame.select(*_BY, "seed").is_duplicated().any():
            raise ModelError(f"a seed of {model} forecasts an asset twice at the same time")
        disagreement = pl.col("forecast").var(ddof=0)
        frames.append(
            frame.group_by(_BY)
            .agg(
                pl.col("fold").first(),
                pl.len().cast(pl.Int64).alias("n_seeds"),
                pl.col("forecast").mean(),
                disagreement.alias("disagreement"),
                _of_all("variance", pl.col("variance").mean() + disagreement),
                *(_of_all(name, pl.col(name).mean()) for name in QUANTILE_COLUMNS),
            )
            .with_columns(model=pl.lit(model))
        )
    return pl.concat(frames).select(contract.column_names).sort(contract.key)


def _of_all(name: str, value: pl.Expr) -> pl.Expr:
    """`value` where every seed has the column, else null."""
    return pl.when(pl.col(name).count() == pl.len()).then(value).alias(name)
