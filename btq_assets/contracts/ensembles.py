"""Tables of what stands on several fitted models: ensembles, distributions and intervals."""

from __future__ import annotations

import itertools

import polars as pl

from btq_assets.contracts import forecasts
from btq_assets.contracts.base import RowRule, TableContract
from btq_assets.contracts.columns import (
    HORIZON,
    SYMBOL,
    TS,
    UNIVERSE,
    count,
    flag,
    number,
    stamp,
    text,
)
from btq_assets.contracts.forecasts import QUANTILE_COLUMNS, forecasts_contract

#: Forecasts of every model family, by its name in the catalogue.
FAMILY_FORECASTS = {
    contract.name.removeprefix("forecasts_"): contract
    for contract in vars(forecasts).values()
    if isinstance(contract, TableContract) and contract.name.startswith("forecasts_")
}

_HOW = "Learnt for each fold from what was filled before its first decision; weights in models.ensemble_weights, whose model_id a row carries. Nothing trades them."

#: Forecasts of each rule of combination, by its name.
ENSEMBLES = {
    "voting": forecasts_contract(
        "ensemble_voting", f"Votes of the members, by sign or by rank, in label units. {_HOW}"
    ),
    "weighted": forecasts_contract(
        "ensemble_weighted",
        f"Standardised forecasts of the members, weighted by rank ICs out of sample that are drawn towards each other. {_HOW}",
    ),
    "stacked": forecasts_contract(
        "ensemble_stacked",
        f"Regression of standardised labels on standardised forecasts out of sample. {_HOW}",
    ),
    "gated": forecasts_contract(
        "ensemble_gated",
        f"Weights of each regime, mixed by the probabilities of regimes known at the decision. {_HOW}",
    ),
}

_MEMBER = text("member", "Model family, or ppo for the weights of its agents.")

VALIDATION_FORECASTS = TableContract(
    layer="models",
    name="validation_forecasts",
    description="Forecasts of the first fold's validation segment by fits on its training segment alone: the first evidence ensembles are weighted by. The fits behind the forecast tables used that segment themselves.",
    columns=(
        UNIVERSE,
        SYMBOL,
        TS,
        _MEMBER,
        count("fold", "Walk-forward fold."),
        number("forecast", "Forecast of the label, mean over seeds.", nullable=False),
        stamp("fitted_until", "Last fill behind any label a fit used."),
    ),
    key=("universe", "symbol", "ts", "member"),
    rules=(RowRule("fitted_on_its_own_label", pl.col("fitted_until") > pl.col("ts")),),
)

ENSEMBLE_WEIGHTS = TableContract(
    layer="models",
    name="ensemble_weights",
    description="Weight of each member in each ensemble and fold, and what it was learnt from.",
    columns=(
        UNIVERSE,
        text("rule", "Ensemble.", allowed=tuple(ENSEMBLES)),
        count("fold", "Walk-forward fold the weights forecast."),
        text("regime", "Regime they hold in; empty: in all without weights of their own."),
        _MEMBER,
        number("weight", "Weight, or coefficient of a regression.", nullable=False),
        text(
            "basis",
            "learnt: from evidence. equal: the rule learns nothing. no evidence, no skill: equal weights, for there was too little to learn from, or nothing that was learnt was better.",
            allowed=("learnt", "equal", "no evidence", "no skill"),
        ),
        number("rank_ic", "Mean rank IC of the member in the evidence.", minimum=-1, maximum=1),
        number("shrinkage", "1: rank ICs cannot be told apart.", minimum=0, maximum=1),
        count("n_dates", "Decisions of the evidence."),
        stamp("learnt_until", "Last fill behind the evidence.", nullable=True),
        stamp("used_from", "First decision they are used for."),
        text("model_id", "Hash of rule, members, fold and weights; forecasts carry it."),
    ),
    key=("universe", "rule", "fold", "regime", "member"),
    rules=(RowRule("learnt_from_the_future", pl.col("learnt_until") > pl.col("used_from")),),
)

FORECAST_DISTRIBUTIONS = TableContract(
    layer="models",
    name="forecast_distributions",
    description="Deep ensembles: what the seeds of a model say together of mean and variance (Lakshminarayanan et al. 2017), and quantiles averaged over seeds (Lichtendahl et al. 2013).",
    columns=(
        UNIVERSE,
        SYMBOL,
        TS,
        HORIZON,
        text("model", "Model family."),
        text("variant", "Feature set.", allowed=("base", "macro")),
        count("fold", "Walk-forward fold."),
        count("n_seeds", "Seeds behind the row.", minimum=1),
        number("forecast", "Mean over seeds, label units.", nullable=False),
        number(
            "disagreement",
            "Variance of the forecasts over seeds, squared label units; 0 with one seed.",
            nullable=False,
            minimum=0,
        ),
        number(
            "variance",
            "Variance of the mixture: what seeds expect around their forecasts, plus disagreement; null without heads for the variance.",
            minimum=0,
        ),
        *(
            number(name, f"Quantile {share:g}, mean over seeds; null without such heads.")
            for name, share in QUANTILE_COLUMNS.items()
        ),
    ),
    key=("universe", "symbol", "ts", "horizon_sessions", "model", "variant"),
    rules=(
        RowRule("variance_below_disagreement", pl.col("variance") < pl.col("disagreement")),
        RowRule(
            "quantiles_cross",
            pl.any_horizontal(
                pl.col(low) > pl.col(high) for low, high in itertools.pairwise(QUANTILE_COLUMNS)
            ),
        ),
    ),
)

INTERVALS = TableContract(
    layer="models",
    name="intervals",
    description="Adaptive conformal intervals (Gibbs and Candès 2021) around the forecasts of models and ensembles, from errors that were known at each decision.",
    columns=(
        UNIVERSE,
        SYMBOL,
        TS,
        HORIZON,
        text("model", "Model family, or ensemble_<rule>."),
        count("fold", "Walk-forward fold."),
        number("forecast", "Mean over seeds, label units.", nullable=False),
        number("lower", "Lower end; null before enough errors are known, and where unbounded."),
        number("upper", "Upper end, likewise."),
        flag("is_unbounded", "Whether so many outcomes fell outside that any is now inside."),
        number("miss_rate", "Miss rate in force.", nullable=False),
    ),
    key=("universe", "symbol", "ts", "horizon_sessions", "model"),
    rules=(
        RowRule(
            "forecast_outside",
            (pl.col("lower") > pl.col("forecast")) | (pl.col("upper") < pl.col("forecast")),
        ),
        RowRule("half_an_interval", pl.col("lower").is_null() != pl.col("upper").is_null()),
    ),
)
