"""Assets of the portfolio room: one table of target weights per kind of strategy.

Belongs here: which tables are read, which checks gate a commit, what is shown. Does not belong
here: any weighting rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import cast

import numpy as np
import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import core, models, regimes
from btq_assets.contracts import portfolio as tables
from btq_assets.contracts.checks import CheckContext, CheckGroup, CheckOutcome, frame_check
from btq_assets.evidence.truncation import truncation_check
from btq_assets.portfolio.gates import forecast_matters_check, limits_check, returns_matter_check
from btq_assets.portfolio.regime_gates import parameters_matter_check, regime_limits_check
from btq_assets.warehouse import Step, TableOutput, table_asset

Frames = Mapping[str, pl.DataFrame]

CODE = ("btq_assets.portfolio", "btq_assets.risk.limits", "btq_assets.timeline")
#: Decisions compared before each cut of the truncation check, and days that surely hold them.
COMPARED_DECISIONS = 8
COMPARED_DAYS = 70

FORECASTS = {
    "forecasts_ridge": models.FORECASTS_RIDGE,
    "forecasts_lightgbm": models.FORECASTS_LIGHTGBM,
    "forecasts_transformer_gnn": models.FORECASTS_TRANSFORMER_GNN,
}


def _forecasts(inputs: Frames) -> dict[str, pl.DataFrame]:
    return {name.removeprefix("forecasts_"): inputs[name] for name in FORECASTS}


def _states(inputs: Frames, config: TradingConfig) -> pl.DataFrame | None:
    return inputs["states"] if config.regimes.enable else None


def _rank(inputs: Frames, config: TradingConfig, since: datetime | None = None) -> pl.DataFrame:
    from btq_assets.portfolio.ranks import rank_targets

    return rank_targets(
        _forecasts(inputs), inputs["bars"], _states(inputs, config), config, since=since
    )


def _kelly(inputs: Frames, config: TradingConfig, since: datetime | None = None) -> pl.DataFrame:
    from btq_assets.portfolio.kelly import kelly_targets

    return kelly_targets(_forecasts(inputs), inputs["bars"], config, since=since)


def _hrp(inputs: Frames, config: TradingConfig, since: datetime | None = None) -> pl.DataFrame:
    from btq_assets.portfolio.hierarchical import hrp_targets

    return hrp_targets(inputs["bars"], inputs["splits"], config, since=since)


def _baselines(
    inputs: Frames, config: TradingConfig, since: datetime | None = None
) -> pl.DataFrame:
    from btq_assets.portfolio.baselines import baseline_targets

    return baseline_targets(inputs["bars"], inputs["splits"], config, since=since)


def _since(inputs: Frames, config: TradingConfig) -> datetime:
    """Start of the decisions worth recomputing from inputs cut at their newest bar."""
    own = inputs["bars"].filter(pl.col("universe") == config.universe.main)
    return cast("datetime", own["ts"].max()) - timedelta(days=COMPARED_DAYS)


def _recent(
    compute: Callable[[Frames, TradingConfig, datetime | None], pl.DataFrame],
) -> Callable[[Frames, TradingConfig], pl.DataFrame]:
    """`compute` of the newest decisions only, as the truncation check calls it."""
    return lambda inputs, config: compute(inputs, config, _since(inputs, config))


def _output(frame: pl.DataFrame, **metadata: object) -> TableOutput:
    from btq_assets import plots
    from btq_assets.portfolio.summary import exposure_through_time, mean_weights

    dates, exposure = exposure_through_time(frame)
    strategies, symbols, matrix = mean_weights(frame)
    return TableOutput(
        frame,
        metadata={
            "n_strategies": len(strategies),
            "n_decisions": len(dates),
            "mean_exposure": {name: float(np.nanmean(v)) for name, v in exposure.items()},
            **metadata,
        },
        plots={
            "exposure": plots.lines(dates, exposure, "Share of equity invested", "share"),
            "mean weights": plots.heatmap(matrix, symbols, strategies, "Mean weight of each asset"),
        },
    )


@table_asset(
    outputs=(tables.TARGETS_RANK,),
    inputs={**FORECASTS, "bars": core.BARS_1D, "states": regimes.STATES},
    config=(
        "portfolio",
        "trading.max_position_size",
        "universe.main",
        "models.horizon_sessions",
        "regimes.enable",
        "features.truncation_dates",
    ),
    code=CODE,
    checks=(
        limits_check(),
        forecast_matters_check(
            _rank, tuple(FORECASTS), may_ignore=lambda config: config.portfolio.rank_tilt == 0
        ),
        truncation_check(tables.TARGETS_RANK, _recent(_rank), last_sessions=COMPARED_DECISIONS),
    ),
    group="portfolio",
)
def targets_rank(
    step: Step,
    forecasts_ridge: pl.DataFrame,
    forecasts_lightgbm: pl.DataFrame,
    forecasts_transformer_gnn: pl.DataFrame,
    bars: pl.DataFrame,
    states: pl.DataFrame,
) -> TableOutput:
    """Ranks of forecasts as capped, volatility-targeted long-only weights, halved in turbulence."""
    inputs = {
        "forecasts_ridge": forecasts_ridge,
        "forecasts_lightgbm": forecasts_lightgbm,
        "forecasts_transformer_gnn": forecasts_transformer_gnn,
        "bars": bars,
        "states": states,
    }
    return _output(_rank(inputs, step.config))


@table_asset(
    outputs=(tables.TARGETS_KELLY,),
    inputs={**FORECASTS, "bars": core.BARS_1D},
    config=(
        "portfolio",
        "trading.max_position_size",
        "universe.main",
        "models.horizon_sessions",
        "features.truncation_dates",
    ),
    code=CODE,
    checks=(
        limits_check(),
        forecast_matters_check(_kelly, tuple(FORECASTS), may_ignore=lambda config: True),
        truncation_check(tables.TARGETS_KELLY, _recent(_kelly), last_sessions=COMPARED_DECISIONS),
    ),
    group="portfolio",
)
def targets_kelly(
    step: Step,
    forecasts_ridge: pl.DataFrame,
    forecasts_lightgbm: pl.DataFrame,
    forecasts_transformer_gnn: pl.DataFrame,
    bars: pl.DataFrame,
) -> TableOutput:
    """Fractional Kelly weights of forecasts calibrated on their own filled past."""
    from btq_assets.portfolio.kelly import slope_summary

    inputs = {
        "forecasts_ridge": forecasts_ridge,
        "forecasts_lightgbm": forecasts_lightgbm,
        "forecasts_transformer_gnn": forecasts_transformer_gnn,
        "bars": bars,
    }
    slopes = slope_summary(_forecasts(inputs), bars, step.config)
    return _output(_kelly(inputs, step.config), calibration=slopes)


@table_asset(
    outputs=(tables.TARGETS_HRP,),
    inputs={"bars": core.BARS_1D, "splits": models.SPLITS},
    config=(
        "portfolio",
        "trading.max_position_size",
        "universe.main",
        "models.decision_every",
        "features.truncation_dates",
    ),
    code=CODE,
    checks=(
        limits_check(),
        returns_matter_check(_hrp, {"hrp": "volatility"}),
        truncation_check(tables.TARGETS_HRP, _recent(_hrp), last_sessions=COMPARED_DECISIONS),
    ),
    group="portfolio",
)
def targets_hrp(step: Step, bars: pl.DataFrame, splits: pl.DataFrame) -> TableOutput:
    """Hierarchical risk parity through skfolio, refitted at the first decision of each month."""
    return _output(_hrp({"bars": bars, "splits": splits}, step.config))


@table_asset(
    outputs=(tables.TARGETS_BASELINES,),
    inputs={"bars": core.BARS_1D, "splits": models.SPLITS},
    config=(
        "portfolio",
        "trading.max_position_size",
        "universe.main",
        "models.decision_every",
        "features.truncation_dates",
    ),
    code=CODE,
    checks=(
        limits_check(once=("buy_and_hold",)),
        returns_matter_check(_baselines, {"momentum_12_1": "trend", "risk_parity": "volatility"}),
        truncation_check(
            tables.TARGETS_BASELINES, _recent(_baselines), last_sessions=COMPARED_DECISIONS
        ),
    ),
    group="portfolio",
)
def targets_baselines(step: Step, bars: pl.DataFrame, splits: pl.DataFrame) -> TableOutput:
    """1/N, buy and hold, 12-1 momentum, 60 % 1/N with 40 % cash, and equal risk contributions."""
    return _output(_baselines({"bars": bars, "splits": splits}, step.config))


def _adds_up(context: CheckContext) -> CheckOutcome:
    from btq_assets.portfolio.reasons import adds_up

    return adds_up(context)


@table_asset(
    outputs=(tables.WEIGHT_REASONS, tables.WEIGHT_CONTRIBUTIONS),
    inputs={
        **FORECASTS,
        "explanations": models.EXPLANATIONS,
        "targets": tables.TARGETS_RANK,
        "bars": core.BARS_1D,
        "states": regimes.STATES,
    },
    config=(
        "portfolio",
        "trading.max_position_size",
        "universe.main",
        "models.horizon_sessions",
        "regimes.enable",
    ),
    code=CODE,
    checks=(
        frame_check(
            "adds_up",
            "The steps from score to weight end at the stored target, and the parts of each score sum "
            "to it.",
            _adds_up,
        ),
    ),
    group="portfolio",
)
def weight_reasons(
    step: Step,
    forecasts_ridge: pl.DataFrame,
    forecasts_lightgbm: pl.DataFrame,
    forecasts_transformer_gnn: pl.DataFrame,
    explanations: pl.DataFrame,
    targets: pl.DataFrame,
    bars: pl.DataFrame,
    states: pl.DataFrame,
) -> TableOutput:
    """Why each weight of the rank strategies is what it is today, from feature over rank to weight."""
    from btq_assets.portfolio.pictures import pictures_of_reasons
    from btq_assets.portfolio.reasons import weight_reasons as chain

    inputs = {
        "forecasts_ridge": forecasts_ridge,
        "forecasts_lightgbm": forecasts_lightgbm,
        "forecasts_transformer_gnn": forecasts_transformer_gnn,
        "states": states,
    }
    reasons, contributions = chain(
        _forecasts(inputs), explanations, targets, bars, _states(inputs, step.config), step.config
    )
    return TableOutput(
        {
            tables.WEIGHT_REASONS.table: reasons,
            tables.WEIGHT_CONTRIBUTIONS.table: contributions,
        },
        metadata={
            "decision": str(reasons["ts"].max()),
            "n_strategies": reasons["strategy"].n_unique(),
            "not_explained": ", ".join(
                sorted(set(reasons["strategy"]) - set(contributions["strategy"]))
            )
            or "none",
        },
        plots=pictures_of_reasons(reasons, contributions),
    )


_BASES = {
    "rank": tables.TARGETS_RANK,
    "kelly": tables.TARGETS_KELLY,
    "hrp": tables.TARGETS_HRP,
    "baselines": tables.TARGETS_BASELINES,
}


def _regime(inputs: Frames, config: TradingConfig) -> pl.DataFrame:
    from btq_assets.portfolio.regime_aware import regime_targets

    bases = {name: inputs[name] for name in _BASES}
    return regime_targets(bases, inputs["parameters"], inputs["bars"], config)


def _unless_empty(gate: CheckGroup) -> CheckGroup:
    """`gate`, which a table passes that is empty because no strategy reads regimes."""

    def run(context: CheckContext) -> Iterable[CheckOutcome]:
        if context.frame.is_empty():
            message = "no strategy reads regimes"
            return [CheckOutcome(spec.name, True, message) for spec in gate.specs]
        return gate.run(context)

    return CheckGroup(gate.specs, run)


@table_asset(
    outputs=(tables.TARGETS_REGIME,),
    inputs={**_BASES, "parameters": regimes.PARAMETERS, "bars": core.BARS_1D},
    config=(
        "portfolio",
        "trading.max_position_size",
        "universe.main",
        "regimes.enable",
        "regimes.parameters.enable",
        "features.truncation_dates",
    ),
    code=CODE,
    checks=(
        limits_check(),
        regime_limits_check(),
        parameters_matter_check(_regime, tuple(_BASES)),
        _unless_empty(truncation_check(tables.TARGETS_REGIME, _regime)),
    ),
    group="portfolio",
)
def targets_regime(
    step: Step,
    rank: pl.DataFrame,
    kelly: pl.DataFrame,
    hrp: pl.DataFrame,
    baselines: pl.DataFrame,
    parameters: pl.DataFrame,
    bars: pl.DataFrame,
) -> TableOutput:
    """Chosen strategies under the exposure, largest position and threshold of the regime in force."""
    inputs = {
        "rank": rank,
        "kelly": kelly,
        "hrp": hrp,
        "baselines": baselines,
        "parameters": parameters,
        "bars": bars,
    }
    frame = _regime(inputs, step.config)
    if frame.is_empty():
        step.log("no strategy reads regimes: none is configured, or regimes are switched off")
        return TableOutput(frame)
    known = parameters["ts"].min()
    before = (
        frame["ts"].n_unique()
        if known is None
        else frame.filter(pl.col("ts") < known)["ts"].n_unique()
    )
    return _output(frame, n_decisions_before_parameters=before)
