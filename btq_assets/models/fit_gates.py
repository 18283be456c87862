"""Gates on fitted models, run inside the step while it still holds them.

Belongs here: truncation by fitting or forecasting again, and the not-hollow gate. Does not belong
here: gates on frames alone (`gates`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts.checks import CheckOutcome
from btq_assets.evidence.truncation import truncation_dates
from btq_assets.models import folds, scores
from btq_assets.models.forecaster import Forecaster
from btq_assets.models.text.documents import COLUMN
from btq_assets.models.walk_forward import Fit, Plan, fit_fold

#: Share of dates on which assets must get different forecasts.
MIN_VARYING_DATES = 0.9

_KEY = ["universe", "symbol", "ts"]


def truncation_outcome(
    fits: Sequence[Fit],
    table: pl.DataFrame,
    config: TradingConfig,
    *,
    plan: Plan | None,
    n_dates: int,
    relative_tolerance: float = 1e-9,
    loaded: Mapping[str, Forecaster] | None = None,
) -> CheckOutcome:
    """Forecasts at or before seeded dates, from what was known there, are the same.

    Parameters
    ----------
    fits
        Fitted models; they take turns over the dates.
    table
        ``models.training_set``.
    config
        Lays out the folds again from the truncated table.
    plan
        Fits again on truncated data; ``None`` only forecasts again on truncated panels.
    n_dates
        Number of dates.
    relative_tolerance
        Largest difference, relative to the standard deviation of the fold's forecasts.
    loaded
        Forecasters to use instead of those of `fits`, by ``model_id`` (as read back from disk).
    """
    name = "truncation"
    every = pl.concat([fit.forecasts for fit in fits])
    n_compared = 0
    for number, cut in enumerate(truncation_dates(every, n_dates, name)):
        covering = [fit for fit in fits if cut in fit.forecasts["ts"]]
        fit = covering[number % len(covering)]
        known = folds.truncate(table, cut)
        if plan is not None:
            same_fold = folds.splits(known, config).filter(pl.col("fold") == fit.fold)
            again = fit_fold(
                known,
                same_fold.row(0, named=True),
                plan,
                fit.variant,
                fit.seed,
                data_hash="",
                horizon=fit.horizon,
            ).forecasts
        else:
            forecaster = (loaded or {}).get(fit.model_id, fit.forecaster)
            start: datetime = fit.forecasts["ts"].min()  # type: ignore[assignment]
            panel = folds.panel_between(known, start, cut, forecaster.history_sessions)
            again = forecaster.predict(panel)
        stored = fit.forecasts.filter(pl.col("ts") <= cut)
        both = stored.join(again.rename({"forecast": "again"}), on=_KEY, how="full", coalesce=True)
        allowed = relative_tolerance * float(fit.forecasts["forecast"].std() or 1.0)  # type: ignore[arg-type]
        same = (pl.col("forecast") - pl.col("again")).abs() <= allowed
        wrong = both.filter(~same.fill_null(False))
        if wrong.height:
            row = wrong.row(0, named=True)
            return CheckOutcome(
                name,
                False,
                f"{fit.variant}, seed {fit.seed}, fold {fit.fold}: {wrong.height} forecast(s) change "
                f"when everything after {cut} is removed: {row['symbol']} at {row['ts']} "
                f"{row['forecast']} became {row['again']}",
                {"cut": str(cut)},
            )
        n_compared += both.height
    how = "fitted again" if plan is not None else "forecast again with the stored weights"
    return CheckOutcome(
        name,
        n_compared > 0,
        f"{n_compared:,} forecasts unchanged, {how}",
        {"forecasts_compared": n_compared},
    )


def not_hollow_outcome(
    fits: Sequence[Fit], table: pl.DataFrame, *, linear: bool = False
) -> CheckOutcome:
    """Forecasts differ between assets, and follow their inputs.

    The features of each fit's test panel are negated, its documents are taken away, and it forecasts
    again. A model that ranks negated features as before ignores them. A linear model must turn its ranking round.

    Parameters
    ----------
    fits
        Fitted models.
    table
        ``models.training_set``.
    linear
        Whether negated features must give negated rankings.
    """
    name = "not_hollow"
    limit = -0.9 if linear else 0.9
    found: dict[str, Any] = {}
    for fit in fits:
        which = f"{fit.variant}, seed {fit.seed}, fold {fit.fold}"
        varying = fit.forecasts.group_by("ts").agg(pl.col("forecast").n_unique())["forecast"] > 1
        share = float(varying.mean() or 0.0)  # type: ignore[arg-type]
        if share < MIN_VARYING_DATES:
            return CheckOutcome(
                name,
                False,
                f"{which}: all assets get the same forecast on {1 - share:.0%} of the dates",
            )
        last = fit.forecasts["ts"].unique().sort().tail(30)
        panel = folds.panel_between(table, last[0], last[-1], fit.forecaster.history_sessions)
        columns = [c for c in fit.forecaster.provenance.feature_names if c in fit.offered.asset]
        panel = panel.with_columns(-pl.col(columns))
        if COLUMN in panel.columns:
            panel = panel.with_columns(pl.lit(None, panel.schema[COLUMN]).alias(COLUMN))
        negated = fit.forecaster.predict(panel)
        correlation = scores.mean_rank_ic(
            negated,
            fit.forecasts.rename({"forecast": "label"}).filter(pl.col("ts").is_in(last.implode())),
        )
        found[which] = round(correlation, 3)
        if np.isfinite(correlation) and correlation > limit:
            return CheckOutcome(
                name,
                False,
                f"{which}: forecasts of negated features rank assets as before (correlation "
                f"{correlation:.3f}, at most {limit}); the model ignores its inputs",
                found,
            )
    worst = max(found.values(), default=float("nan"))
    return CheckOutcome(
        name,
        True,
        f"rank correlation with forecasts of negated features at most {worst}",
        found,
    )
