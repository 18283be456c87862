"""Shapley values of trees: LightGBM's own TreeSHAP (Lundberg et al. 2020).

Belongs here: contributions to forecasts of `LightGBMForecaster`. Does not belong here: networks.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from btq_assets.models.forecaster import require_columns
from btq_assets.models.gradient_boosting import N_THREADS, LightGBMForecaster

#: Name of what a forecast starts from, beside the names of features.
BASELINE = "baseline"


def tree_contributions(forecaster: LightGBMForecaster, panel: pl.DataFrame) -> pl.DataFrame:
    """What each feature adds to each forecast of `panel`; with the baseline they sum to it.

    The baseline is the mean forecast of the training segment. What a feature adds is its Shapley
    value, missing features being averaged over the paths of the trees.

    Parameters
    ----------
    forecaster
        Fitted.
    panel
        As for `LightGBMForecaster.predict`.

    Returns
    -------
    polars.DataFrame
        ``universe``, ``symbol``, ``ts``, ``feature`` (or ``baseline``), ``contribution`` in label
        units.
    """
    booster = forecaster._fitted()
    names = forecaster.provenance.feature_names
    require_columns(panel, names, "explaining lightgbm")
    rows = panel.filter(pl.col("is_decision")) if "is_decision" in panel.columns else panel
    rows = rows.sort("universe", "symbol", "ts")
    x = forecaster._design(panel, rows)
    found = booster.predict(x, pred_contrib=True, num_threads=N_THREADS)
    values = np.asarray(found).reshape(rows.height, len(names) + 1) * forecaster._unit
    wide = rows.select("universe", "symbol", "ts").with_columns(
        pl.Series(name, values[:, place]) for place, name in enumerate((*names, BASELINE))
    )
    return wide.unpivot(
        index=["universe", "symbol", "ts"], variable_name="feature", value_name="contribution"
    ).sort("universe", "symbol", "ts", maintain_order=True)
