"""Tables of forecasts out of sample, one for each model family.

Belongs here: their columns, what surrounds a forecast, and the table of each family. Does not belong
here: what stands on several models (`ensembles`), why a model forecasts what it does (`explanations`).
"""

from __future__ import annotations

import itertools

import polars as pl

from btq_assets.contracts.base import RowRule, TableContract
from btq_assets.contracts.columns import HORIZON, SYMBOL, TS, UNIVERSE, count, number, text

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
