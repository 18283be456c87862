"""Terms of a linear forecast: what each feature adds in ridge regression.

Belongs here: contributions to forecasts of `RidgeForecaster`. Does not belong here: other models.
"""

from __future__ import annotations

import polars as pl

from btq_assets.models.explanation.trees import BASELINE
from btq_assets.models.forecaster import require_columns
from btq_assets.models.ridge import RidgeForecaster


def linear_contributions(forecaster: RidgeForecaster, panel: pl.DataFrame) -> pl.DataFrame:
    """What each feature adds to each forecast of `panel`: coefficient times standardised column.

    The baseline is 0: every column at its mean, since there is no intercept. A product of two
    features counts half for each of them, which is what the integrated gradient of ``a b`` from
    zero gives, and how `RidgeForecaster.importances` divides it.

    Parameters
    ----------
    forecaster
        Fitted.
    panel
        As for `RidgeForecaster.predict`.

    Returns
    -------
    polars.DataFrame
        ``universe``, ``symbol``, ``ts``, ``feature`` (or ``baseline``), ``contribution`` in label
        units.
    """
    names = forecaster.provenance.feature_names
    require_columns(panel, names, "explaining ridge")
    rows = panel.filter(pl.col("is_decision")) if "is_decision" in panel.columns else panel
    rows = rows.sort("universe", "symbol", "ts")
    values = forecaster.terms(panel, rows)
    wide = rows.select("universe", "symbol", "ts").with_columns(
        *(pl.Series(name, values[name]) for name in names),
        pl.lit(0.0).alias(BASELINE),
    )
    return wide.unpivot(
        index=["universe", "symbol", "ts"], variable_name="feature", value_name="contribution"
    ).sort("universe", "symbol", "ts", maintain_order=True)
