"""Fitting an architecture for the comparison: every seed and fold, timed.

Belongs here: the loop, and its rows. Does not belong here: what is fitted (`architectures`), judging.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from btq_assets.contracts import comparison as tables
from btq_assets.contracts import models
from btq_assets.models.walk_forward import Fit, Plan, fit_fold, forecasts_table

#: Seconds by the clock, and seconds of the processor.
Clocks = tuple[Callable[[], float], Callable[[], float]]


@dataclass(frozen=True)
class TimedFit:
    """One fit and what it took.

    Parameters
    ----------
    fit
        The fit.
    seconds, processor_seconds
        From the start of the fit to its last forecast.
    """

    fit: Fit
    seconds: float
    processor_seconds: float


def timed_fits(
    training_set: pl.DataFrame,
    splits: pl.DataFrame,
    plan: Plan,
    *,
    data_hash: str,
    clocks: Clocks,
) -> Iterator[TimedFit]:
    """Fit every seed of a plan on every fold, one after the other.

    Parameters
    ----------
    training_set, splits
        ``models.training_set`` and ``models.splits``.
    plan
        From `architectures.compared_plan`.
    data_hash
        Version of the training set.
    clocks
        Read before and after each fit.
    """
    for variant in plan.variants:
        for seed in plan.seeds:
            for fold in splits.iter_rows(named=True):
                started = [clock() for clock in clocks]
                fit = fit_fold(training_set, fold, plan, variant, seed, data_hash=data_hash)
                seconds, processor = (
                    clock() - start for clock, start in zip(clocks, started, strict=True)
                )
                yield TimedFit(fit, seconds, processor)


def forecast_rows(fits: Sequence[TimedFit], horizon_sessions: int) -> pl.DataFrame:
    """Rows of ``models.compared_<architecture>``: forecasts of the horizon that strategies read."""
    rows = forecasts_table([one.fit for one in fits], models.FORECASTS_RIDGE, horizon_sessions)
    return rows.filter(pl.col("horizon_sessions") == horizon_sessions)


def fit_rows(
    fits: Sequence[TimedFit],
    model: str,
    without: str,
    *,
    device: str,
    code_version: str,
    recorded_at: datetime,
) -> pl.DataFrame:
    """Rows of the ledger ``models.comparison_fits``."""
    rows = [
        {
            "universe": one.fit.forecasts["universe"][0],
            "model": model,
            "without": without,
            "seed": one.fit.seed,
            "fold": one.fit.fold,
            "seconds": one.seconds,
            "processor_seconds": one.processor_seconds,
            "n_parameters": round(one.fit.forecaster.scores["n_parameters"]),
            "n_columns": int(one.fit.forecaster.scores["n_columns"]),
            "validation_rank_ic": _finite(one.fit.forecaster.scores["validation_rank_ic"]),
            "fitted_until": one.fit.fitted_until,
            "device": device,
            "code_version": code_version,
            "recorded_at": recorded_at,
        }
        for one in fits
    ]
    return pl.DataFrame(rows, schema=tables.FITS.schema)


def fitted_too_late(fits: Sequence[TimedFit]) -> list[str]:
    """Fits that had seen a label filled after their first forecast; none, or they are no forecasts."""
    found = []
    for one in fits:
        first: datetime | None = one.fit.forecasts["ts"].min()  # type: ignore[assignment]
        if first is None or one.fit.fitted_until > first:
            found.append(
                f"seed {one.fit.seed}, fold {one.fit.fold}: fitted until {one.fit.fitted_until!s}, "
                f"first forecast {first!s}"
            )
    return found


def _finite(value: float) -> float | None:
    return float(value) if value == value and abs(value) != float("inf") else None
