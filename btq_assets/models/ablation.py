"""What a family of features is worth to a model: fitted without it, on the same folds.

Belongs here: the fits without a family, the paired comparison of rank correlations, and the paper
portfolios behind the trials. Does not belong here: choosing features by the outcome; a family stays
or goes for reasons a person writes down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import models as tables
from btq_assets.contracts.checks import CheckOutcome
from btq_assets.engine.costs import half_spread_by_era
from btq_assets.evidence.bootstrap import resampled_means
from btq_assets.evidence.trials import trial_rows
from btq_assets.models import scores
from btq_assets.models.chosen import columns_of_family
from btq_assets.models.forecaster import ModelError
from btq_assets.models.plans import lightgbm_plan, ridge_plan
from btq_assets.models.walk_forward import Fit, Plan, fit_all

#: Variant compared: asset features alone, among which the families are.
VARIANT = "base"
_CONFIDENCE = 0.95
_SESSIONS_PER_DECISION = {"week": 5, "month": 21}

PLANS: Mapping[str, Callable[..., Plan]] = {"ridge": ridge_plan, "lightgbm": lightgbm_plan}


@dataclass(frozen=True)
class Ablation:
    """One model with and without one family.

    Parameters
    ----------
    model, family
        Which.
    row
        Row of ``models.ablations``.
    fits
        The fits without the family.
    forecasts
        ``universe``, ``symbol``, ``ts``, ``forecast``, by ``"with"`` and ``"without"``.
    """

    model: str
    family: str
    row: dict[str, Any]
    fits: list[Fit]
    forecasts: Mapping[str, pl.DataFrame]


def ablations(
    training_set: pl.DataFrame,
    splits: pl.DataFrame,
    forecasts: Mapping[str, pl.DataFrame],
    config: TradingConfig,
    *,
    code_version: str,
    data_hash: str,
) -> Iterator[Ablation]:
    """Every configured family left out of every model.

    Parameters
    ----------
    training_set, splits
        ``models.training_set`` and ``models.splits``.
    forecasts
        ``models.forecasts_<model>`` by model: the fits with all families.
    config
        ``models.ablations`` names the families.
    code_version, data_hash
        Stored in the provenance of the fits.

    Raises
    ------
    ModelError
        The forecasts with and without a family are not of the same assets and dates.
    """
    keep = ["universe", "symbol", "ts", "forecast"]
    for model, make in PLANS.items():
        own = pl.col("horizon_sessions") == config.models.horizon_sessions
        whole = forecasts[model].filter((pl.col("variant") == VARIANT) & own).select(keep)
        for family in config.models.ablations:
            left_out = columns_of_family(config, family)
            whole_plan = make(config, code_version=code_version)
            plan = replace(
                whole_plan,
                variants=(VARIANT,),
                further_horizons=(),
                asset_features=tuple(n for n in whole_plan.asset_features if n not in left_out),
            )
            fits = fit_all(training_set, splits, plan, data_hash=data_hash)
            reduced = pl.concat([fit.forecasts for fit in fits]).select(keep)
            row = {"model": model, "variant": VARIANT, "family": family}
            row |= compare(whole, reduced, training_set, config)
            yield Ablation(model, family, row, fits, {"with": whole, "without": reduced})


def compare(
    whole: pl.DataFrame, reduced: pl.DataFrame, labels: pl.DataFrame, config: TradingConfig
) -> dict[str, Any]:
    """Rank correlations with and without, and an interval of their mean difference.

    Decisions are resampled in blocks (Politis and Romano 1994), both forecasts of a decision
    together; the interval is that of percentiles at 95 %.

    Parameters
    ----------
    whole, reduced
        Forecasts with and without the family, of the same keys.
    labels
        ``universe``, ``symbol``, ``ts``, ``label``.
    config
        Number, length and seed of the resamples (``backtest``), rhythm of decisions (``models``).
    """
    key = ["universe", "symbol", "ts"]
    if not whole.select(key).sort(key).equals(reduced.select(key).sort(key)):
        raise ModelError(
            f"{whole.height} forecasts with the family and {reduced.height} without are not of the "
            "same assets and dates; fit both on the same splits"
        )
    one, other = (scores.rank_ic_by_date(frame, labels) for frame in (whole, reduced))
    paired = one.join(other, on="ts", suffix="_without").drop_nulls().sort("ts")
    if paired.height < 2:
        raise ModelError(f"{paired.height} labelled decision(s): nothing to compare")
    difference = (paired["rank_ic"] - paired["rank_ic_without"]).to_numpy()
    settings = config.backtest
    block = (
        settings.bootstrap_mean_block_sessions
        / _SESSIONS_PER_DECISION[config.models.decision_every]
    )
    means = resampled_means(
        difference,
        mean_block=max(block, 1.0),
        n_samples=settings.bootstrap_samples,
        seed=settings.seed,
    )[:, 0]
    low, high = np.quantile(means, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2])
    return {
        "universe": whole["universe"][0],
        "n_decisions": paired.height,
        "rank_ic_with": paired["rank_ic"].mean(),
        "rank_ic_without": paired["rank_ic_without"].mean(),
        "difference": float(difference.mean()),
        "ci_low": float(low),
        "ci_high": float(high),
        "verdict": verdict(low, high),
    }


def verdict(low: float, high: float) -> str:
    """``adds`` or ``costs`` where the interval lies wholly on one side of zero, else neither."""
    if low > 0:
        return "adds"
    return "costs" if high < 0 else "not shown"


def ablations_table(found: list[Ablation]) -> pl.DataFrame:
    """Rows of ``models.ablations``."""
    contract = tables.ABLATIONS
    rows = [ablation.row for ablation in found]
    return pl.DataFrame(rows, schema=contract.schema).sort(contract.key)


def paper_returns(
    forecasts: pl.DataFrame, training_set: pl.DataFrame, config: TradingConfig
) -> pl.DataFrame:
    """Return of a portfolio long the upper and short the lower ranks, after costs.

    Weights are ranks less their mean, absolute weights summing to 1; a decision earns the
    fill-to-fill returns of its label and pays half-spread and commission on its turnover. What is
    due for borrowing is left out.

    Returns
    -------
    polars.DataFrame
        ``ts`` and ``net_return`` of each labelled decision.
    """
    day = "ts"
    rank = pl.col("forecast").rank("average").over(day)
    centred = rank - rank.mean().over(day)
    joined = forecasts.join(
        training_set.select("universe", "symbol", "ts", "label_raw"),
        on=["universe", "symbol", "ts"],
    ).drop_nulls("label_raw")
    weighted = (
        joined.sort("symbol", "ts")
        .with_columns(_centred=centred)
        .with_columns(_weight=pl.col("_centred") / pl.col("_centred").abs().sum().over(day))
    )
    moved = (pl.col("_weight") - pl.col("_weight").shift(1, fill_value=0.0).over("symbol")).abs()
    by_day = (
        weighted.with_columns(_moved=moved, _earned=pl.col("_weight") * pl.col("label_raw"))
        .group_by(day)
        .agg(pl.col("_earned", "_moved").sum())
        .sort(day)
    )
    spread = half_spread_by_era(by_day[day], config.backtest.spread_eras)
    cost = pl.Series((spread + config.backtest.commission_bps) * 1e-4) * by_day["_moved"]
    return by_day.select(day, net_return=pl.col("_earned") - cost).filter(
        pl.col("net_return").is_finite()
    )


def trial_config(ablation: Ablation, which: str, config: TradingConfig) -> dict[str, Any]:
    """What identifies a fit as a trial."""
    settings = getattr(config.models, ablation.model).model_dump()
    return {
        "kind": "ablation",
        "model": ablation.model,
        "variant": VARIANT,
        "left_out": ablation.family if which == "without" else None,
        "settings": settings,
        "walk_forward": config.models.walk_forward.model_dump(),
        "horizon_sessions": config.models.horizon_sessions,
    }


def trials(
    ablation: Ablation,
    training_set: pl.DataFrame,
    config: TradingConfig,
    *,
    code_version: str,
    data_hash: str,
    run_id: str,
    recorded_at: datetime,
) -> list[tuple[pl.DataFrame, pl.DataFrame]]:
    """Rows of the trials and of their returns, of the fits with the family and without."""
    return [
        trial_rows(
            paper_returns(forecasts, training_set, config),
            strategy=f"{ablation.model}_{which}_{ablation.family}",
            universe=ablation.row["universe"],
            purpose="control",
            config=trial_config(ablation, which, config),
            data_hash=data_hash,
            code_version=code_version,
            seed=0,
            run_id=run_id,
            recorded_at=recorded_at,
        )
        for which, forecasts in ablation.forecasts.items()
    ]


def left_in(ablation: Ablation, config: TradingConfig) -> set[str]:
    """Features of the family that a fit without it was still given; empty, or the fit is wrong."""
    names = columns_of_family(config, ablation.family)
    return {
        name
        for fit in ablation.fits
        for name in fit.forecaster.provenance.feature_names
        if name in names
    }


def left_out_outcome(found: Sequence[Ablation], config: TradingConfig) -> CheckOutcome:
    """Whether no fit was given a feature of the family left out of it."""
    still = sorted({name for one in found for name in left_in(one, config)})
    message = f"still given: {still}" if still else f"{len(found)} fits without a family"
    return CheckOutcome("left_out", not still, message)
