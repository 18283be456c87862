"""Tables of what models lean on: importances of each fit, explanations of the newest, ablations.

Belongs here: tables about features and fitted models. Does not belong here: forecasts (`forecasts`).
"""

from __future__ import annotations

import polars as pl

from btq_assets.contracts.base import RowRule, TableContract
from btq_assets.contracts.columns import SYMBOL, TS, UNIVERSE, count, number, text


def importances_contract(model: str, measure: str) -> TableContract:
    """Contract of ``models.importances_<model>``: what each fit leaned on."""
    return TableContract(
        layer="models",
        name=f"importances_{model}",
        description=f"Importance of each feature in each fit: {measure}. Of the training segment alone; what a model leans on is no evidence that it helps.",
        columns=(
            UNIVERSE,
            text("variant", "Feature set: base or macro.", allowed=("base", "macro")),
            count("seed", "Seed of the fit; 0 for deterministic models."),
            count("fold", "Walk-forward fold."),
            text("feature", "Column name."),
            number(
                "importance",
                "Share of the fit's total, 0 to 1.",
                nullable=False,
                minimum=0,
                maximum=1.000001,
            ),
        ),
        key=("universe", "variant", "seed", "fold", "feature"),
    )


IMPORTANCES_RIDGE = importances_contract(
    "ridge",
    "absolute coefficient of the standardised column, that of an interaction shared by its two features",
)
IMPORTANCES_LIGHTGBM = importances_contract("lightgbm", "gain of the splits on it")


def explanations_contract(name: str, which: str) -> TableContract:
    """Contract of ``models.<name>``: why the newest fits forecast what they did."""
    return TableContract(
        layer="models",
        name=name,
        description=f"Why the newest fits of {which} forecast what they did at their last decisions: what each feature, source asset and session adds, and what an edge is worth. It says what a model leans on, not what is true of the market.",
        columns=(
            UNIVERSE,
            SYMBOL,
            TS,
            text("model", "Model family."),
            text("variant", "Feature set: base or macro.", allowed=("base", "macro")),
            count("seed", "Seed of the fit; 0 for deterministic models."),
            count("fold", "Walk-forward fold, the last one."),
            text("model_id", "Registry row of the fitted model."),
            text(
                "part",
                "total: the stored forecast and the baseline. feature, source, session: each sums with the baseline to the forecast (source: by whose window; session: by sessions back). edge: the forecast with the edge from that asset less without. attention: share of a session (by sessions back) in the token the forecast is made from.",
                allowed=("total", "feature", "source", "session", "edge", "attention"),
            ),
            text("name", "forecast, baseline, feature, asset, or sessions back."),
            number("value", "In label units; of attention a share.", nullable=False),
        ),
        key=("universe", "symbol", "ts", "model", "variant", "seed", "part", "name"),
    )


EXPLANATIONS = explanations_contract("explanations", "ridge, LightGBM and the Transformer-GNN")
EXPLANATIONS_NETWORKS = explanations_contract(
    "explanations_networks", "the networks of the job `networks`"
)


def importance_contract(name: str, which: str) -> TableContract:
    """Contract of ``models.<name>``: what the newest fits lean on over many decisions."""
    return TableContract(
        layer="models",
        name=name,
        description=f"What the newest fits of {which} lean on out of sample, over their last decisions with labels. Coefficients of ridge and gain of LightGBM over their training segments are in models.importances_ridge and models.importances_lightgbm.",
        columns=(
            UNIVERSE,
            text("model", "Model family."),
            text("variant", "Feature set: base or macro.", allowed=("base", "macro")),
            count("seed", "Seed of the fit; 0 for deterministic models."),
            count("fold", "Walk-forward fold, the last one."),
            text("model_id", "Registry row of the fitted model."),
            text(
                "subject",
                "feature, session, feature by session: mean absolute contribution to a forecast, in label units (terms of ridge, TreeSHAP of LightGBM, integrated gradients of networks). family: mean rank correlation lost when its columns are shuffled among the assets of a date. edge: mean absolute change of the forecast without it, 0 on decisions without it.",
                allowed=("feature", "session", "feature by session", "family", "edge"),
            ),
            text("name", "Feature, sessions back, family, or asset the edge comes from."),
            text("beside", "Sessions back of a feature, asset the edge leads to; else empty."),
            number("value", "See subject.", nullable=False),
            number("standard_error", "Of a family, over shuffles; null for others.", minimum=0),
            count("n_decisions", "Decisions looked at.", minimum=1),
        ),
        key=("universe", "model", "variant", "seed", "subject", "name", "beside"),
    )


IMPORTANCE = importance_contract("importance", "ridge, LightGBM and the Transformer-GNN")
IMPORTANCE_NETWORKS = importance_contract(
    "importance_networks", "the networks of the job `networks`"
)

ABLATIONS = TableContract(
    layer="models",
    name="ablations",
    description="What a family of features is worth to a model: rank correlation of its forecasts out of sample with all families and fitted without one, on the same folds.",
    columns=(
        UNIVERSE,
        text("model", "Model family."),
        text("variant", "Feature set compared.", allowed=("base",)),
        text("family", "Family left out."),
        count("n_decisions", "Decisions with both correlations."),
        number("rank_ic_with", "Mean rank correlation with all families.", nullable=False),
        number("rank_ic_without", "The same without the family.", nullable=False),
        number("difference", "With less without.", nullable=False),
        number("ci_low", "Lower end of its 95 % interval, paired block bootstrap.", nullable=False),
        number("ci_high", "Upper end.", nullable=False),
        text(
            "verdict",
            "adds or costs where the interval lies wholly above or below zero.",
            allowed=("adds", "costs", "not shown"),
        ),
    ),
    key=("universe", "model", "variant", "family"),
    rules=(
        RowRule(
            "verdict_against_its_interval",
            ((pl.col("verdict") == "adds") != (pl.col("ci_low") > 0))
            | ((pl.col("verdict") == "costs") != (pl.col("ci_high") < 0)),
        ),
    ),
)
