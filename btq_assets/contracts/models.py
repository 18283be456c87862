"""Tables of the models room: training set, splits, forecasts and registry."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace

import polars as pl

from btq_assets.config.feature_families import DEFAULT_FAMILIES
from btq_assets.contracts import features
from btq_assets.contracts.base import Column, RowRule, TableContract
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


@dataclass(frozen=True)
class FeatureColumns:
    """Feature columns on offer to a model.

    Parameters
    ----------
    asset
        Columns with one value per asset and session.
    market
        Columns with one value per session for the whole universe.
    """

    asset: tuple[str, ...]
    market: tuple[str, ...]


_REGIME_COLUMNS = (
    number(
        "regime_p_turbulent",
        "Filtered probability of the high-variance state of the universe.",
        minimum=0,
        maximum=1,
    ),
    number(
        "regime_trend",
        "Trailing 12-month trend of the universe: 1 bull, 0 sideways, -1 bear.",
        minimum=-1,
        maximum=1,
    ),
    number(
        "regime_volatility_annual",
        "Annualised volatility of the state mixture: root of the probability-weighted variances.",
        minimum=0,
    ),
)


def feature_columns(families: Iterable[TableContract]) -> FeatureColumns:
    """Feature columns of a training set made of `families`; those of the regimes come last."""
    asset, market = _by_reach(families)
    return FeatureColumns(
        tuple(column.name for column in asset),
        (*(column.name for column in market), *(column.name for column in _REGIME_COLUMNS)),
    )


def training_set_contract(
    families: Iterable[TableContract],
    *,
    further_horizons: Iterable[int] = (),
    weighted: bool = False,
) -> TableContract:
    """Contract of ``models.training_set`` made of `families`, the tables of feature families.

    Parameters
    ----------
    families
        Contracts of the tables.
    further_horizons
        Sessions of horizons that are learnt beside the one strategies read.
    weighted
        Whether rows carry weights.
    """
    asset, market = _by_reach(families)
    return TableContract(
        layer="models",
        name="training_set",
        description="Every session of the main universe with its features, its relative label and whether a decision is taken on it. Features known at ts; labels only later. models.feature_families chooses the features.",
        columns=(
            UNIVERSE,
            SYMBOL,
            TS,
            flag("is_decision", "Whether the strategies decide on this session."),
            text(
                "sector",
                "Sector of the asset in the session by its membership of then, where known; relates assets, is no feature.",
                nullable=True,
            ),
            number("session_return", "Simple return since the universe's previous session."),
            number(
                "label",
                "Fill-to-fill return minus the mean of the universe at the same ts; null until it is filled.",
            ),
            number("label_raw", "Fill-to-fill return; null until it is filled."),
            stamp("label_start_ts", "Fill that follows the decision.", nullable=True),
            stamp("label_end_ts", "Fill that ends the label.", nullable=True),
            *asset,
            *market,
            *_REGIME_COLUMNS,
            *_label_columns(tuple(further_horizons), weighted=weighted),
        ),
        key=("universe", "symbol", "ts"),
    )


def _label_columns(horizons: tuple[int, ...], *, weighted: bool) -> tuple[Column, ...]:
    """Columns of further horizons and of weights."""
    found = [
        column
        for h in horizons
        for column in (
            number(f"label_{h}", f"As label, over {h} sessions."),
            number(f"label_raw_{h}", f"As label_raw, over {h} sessions."),
        )
    ]
    if weighted:
        names = ("sample_weight", *(f"sample_weight_{h}" for h in horizons))
        found += [
            number(name, "Average uniqueness of the label (features.labels).", minimum=0)
            for name in names
        ]
    return tuple(found)


def _by_reach(families: Iterable[TableContract]) -> tuple[tuple[Column, ...], tuple[Column, ...]]:
    """Feature columns with a value per asset, and those with one for the whole universe."""
    found: tuple[list[Column], list[Column]] = ([], [])
    for contract in families:
        names = features.columns_of(contract)
        found["symbol" not in contract.key].extend(
            replace(contract.column(name), nullable=True) for name in names
        )
    return tuple(found[0]), tuple(found[1])


_DEFAULT = tuple(features.FAMILY_CONTRACTS[name] for name in DEFAULT_FAMILIES)

#: The training set of the default `models.feature_families`; another choice has other columns.
TRAINING_SET = training_set_contract(_DEFAULT)

#: Feature columns of that training set.
DEFAULT_COLUMNS = feature_columns(_DEFAULT)

SPLITS = TableContract(
    layer="models",
    name="splits",
    description="Purged walk-forward folds. Boundaries come from the calendar and the configuration, never from where the data end.",
    columns=(
        UNIVERSE,
        count("fold", "Fold number, 0 first."),
        stamp("train_start", "First decision of the training segment."),
        stamp(
            "train_end",
            "Last decision of the training segment whose label is filled by validation_start.",
        ),
        stamp(
            "validation_start", "First decision of the early-stopping and hyper-parameter segment."
        ),
        stamp("validation_end", "Last decision of it whose label is filled by test_start."),
        stamp("test_start", "First decision of the test segment."),
        stamp("test_end", "Last decision of the test segment."),
        count("n_purged", "Decisions dropped because their label overlaps the next segment."),
    ),
    key=("universe", "fold"),
)


#: Probability of each quantile a network with such heads forecasts, by its column.
QUANTILE_COLUMNS = {
    "quantile_05": 0.05,
    "quantile_25": 0.25,
    "quantile_50": 0.5,
    "quantile_75": 0.75,
    "quantile_95": 0.95,
}

#: What surrounds a forecast; null where the model has no such head.
DISTRIBUTION = (
    number(
        "variance",
        "Variance the model expects around its forecast, squared label units; null without such a head.",
        minimum=0,
    ),
    *(
        number(name, f"Quantile {share:g} of the label, label units; null without such heads.")
        for name, share in QUANTILE_COLUMNS.items()
    ),
)


def forecasts_contract(model: str, description: str) -> TableContract:
    """Contract of ``models.forecasts_<model>``: out-of-sample forecasts of every fold."""
    return TableContract(
        layer="models",
        name=f"forecasts_{model}",
        description=description,
        columns=(
            UNIVERSE,
            SYMBOL,
            TS,
            HORIZON,
            text(
                "variant",
                "Feature set: base, or macro where macro and regime inputs are added.",
                allowed=("base", "macro"),
            ),
            count("seed", "Seed of the fit; 0 for deterministic models."),
            count("fold", "Walk-forward fold whose model made the forecast."),
            number(
                "forecast",
                "Forecast of the label (fill-to-fill return minus the universe mean at the same date).",
                nullable=False,
            ),
            text("model_id", "Registry row of the fitted model."),
            *DISTRIBUTION,
        ),
        key=("universe", "symbol", "ts", "horizon_sessions", "variant", "seed"),
        rules=(
            RowRule(
                "quantiles_cross",
                pl.any_horizontal(
                    pl.col(lower) > pl.col(upper)
                    for lower, upper in itertools.pairwise(QUANTILE_COLUMNS)
                ),
            ),
        ),
        kinds=("duckdb", "polars", "python"),
    )


FORECASTS_RIDGE = forecasts_contract(
    "ridge",
    "Out-of-sample forecasts of a ridge regression on cross-sectional ranks, standardised in fold.",
)
FORECASTS_LIGHTGBM = forecasts_contract(
    "lightgbm", "Out-of-sample forecasts of LightGBM regression trees."
)
FORECASTS_TRANSFORMER_GNN = forecasts_contract(
    "transformer_gnn",
    "Out-of-sample forecasts of temporal self-attention per asset followed by graph attention over a trailing correlation graph.",
)
FORECASTS_GAT = forecasts_contract(
    "gat",
    "Out-of-sample forecasts of graph attention (Brody et al. 2022) over a trailing relation graph, each asset's window read at once.",
)
FORECASTS_TGN = forecasts_contract(
    "tgn",
    "Out-of-sample forecasts of a temporal graph network (Rossi et al. 2020): a memory per asset, written session by session along a trailing relation graph.",
)
FORECASTS_HETERO_GNN = forecasts_contract(
    "hetero_gnn",
    "Out-of-sample forecasts of graph attention (Brody et al. 2022) over a graph of assets, sectors, documents and macro series.",
)
FORECASTS_XLSTM = forecasts_contract(
    "xlstm",
    "Out-of-sample forecasts of residual blocks of mLSTM and sLSTM (Beck et al. 2024) over each asset's window.",
)
FORECASTS_LSTM = forecasts_contract(
    "lstm", "Out-of-sample forecasts of a plain LSTM over each asset's window."
)
FORECASTS_MLP = forecasts_contract(
    "mlp", "Out-of-sample forecasts of fully connected layers over each asset's window."
)

FORECASTS_FT_TRANSFORMER = forecasts_contract(
    "ft_transformer",
    "Out-of-sample forecasts of a transformer over the features of the last session, one token each (Gorishniy et al. 2021).",
)


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

REGISTRY = TableContract(
    layer="models",
    name="registry",
    description="One row per fitted model: what it was fitted on, with which code and seed, and where its weights lie.",
    columns=(
        text("model_id", "Hash of model, configuration, data and seed."),
        text("model", "Model family."),
        text("variant", "Feature set."),
        count("fold", "Walk-forward fold."),
        count("seed", "Seed of the fit."),
        stamp("fitted_from", "First decision used."),
        stamp("fitted_until", "Last fill used by any label."),
        text("feature_hash", "Hash of the ordered feature names."),
        text("config_json", "Typed configuration of the fit."),
        text("code_version", "Hash of the code that fitted it."),
        text("versions_json", "Versions of the libraries that matter."),
        text("metrics_json", "Training curves and validation scores."),
        text("artifact_path", "Folder of the weights, relative to the artefact store."),
        text("artifact_hash", "sha256 over the folder's files."),
        stamp("registered_at", "When it was registered, UTC."),
    ),
    key=("model_id",),
    writer="ledger",
)

STAGES = TableContract(
    layer="models",
    name="stages",
    description="Every change of a model's stage. A model without a row is a candidate. Champions are made by the verdict and the gates of the strategy they serve, and by nothing else.",
    columns=(
        text("model_id", "Registered model."),
        text("strategy", "Strategy it serves."),
        text("stage", "Stage from then on.", allowed=("champion", "retired")),
        stamp("changed_at", "When, UTC."),
        text("run_id", "Run that judged."),
        text("reason", "What the evidence said."),
    ),
    key=("model_id", "strategy", "changed_at"),
    writer="ledger",
)


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

REPRODUCTIONS = TableContract(
    layer="models",
    name="reproductions",
    description="Every attempt to fit a registered model again from what the registry says of it, and whether it came out the same.",
    columns=(
        text("model_id", "Registered model."),
        text("run_id", "Run that fitted it again."),
        stamp("at", "When, UTC."),
        text(
            "verdict",
            "identical: the same bytes. within tolerance: other bytes under other libraries or another device, figures within models.reproduction. differs: neither. altered: the stored artefact is not the registered one. data changed, code changed: not fitted again.",
            allowed=(
                "identical",
                "within tolerance",
                "differs",
                "altered",
                "data changed",
                "code changed",
            ),
        ),
        flag(
            "identical_bytes",
            "Whether the folder fitted again hashes to the registered one; null where none was fitted.",
            nullable=True,
        ),
        flag("same_versions", "Whether libraries and device are those of the registry."),
        number(
            "largest_forecast_difference",
            "Largest difference to the forecasts stored of it, as a share of their standard deviation; null where none are stored or none was fitted.",
            minimum=0,
        ),
        number(
            "rank_ic_difference",
            "Mean rank correlation of the test segment, fitted again less registered; null where either has none.",
        ),
        text("reason", "What was found."),
    ),
    key=("model_id", "run_id"),
    writer="ledger",
)
