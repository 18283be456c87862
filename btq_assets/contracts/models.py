"""Tables of the models room, by one name: what models learn from, forecast, lean on, and are kept as.

Belongs here: names of the four modules below. Does not belong here: any table of its own.
"""

from __future__ import annotations

from btq_assets.contracts.explanations import (
    ABLATIONS,
    EXPLANATIONS,
    EXPLANATIONS_NETWORKS,
    IMPORTANCE,
    IMPORTANCE_NETWORKS,
    IMPORTANCES_LIGHTGBM,
    IMPORTANCES_RIDGE,
    explanations_contract,
    importance_contract,
    importances_contract,
)
from btq_assets.contracts.forecasts import (
    DISTRIBUTION,
    FORECASTS_FT_TRANSFORMER,
    FORECASTS_GAT,
    FORECASTS_HETERO_GNN,
    FORECASTS_LIGHTGBM,
    FORECASTS_LSTM,
    FORECASTS_MLP,
    FORECASTS_RIDGE,
    FORECASTS_TGN,
    FORECASTS_TRANSFORMER_GNN,
    FORECASTS_XLSTM,
    QUANTILE_COLUMNS,
    forecasts_contract,
)
from btq_assets.contracts.model_registry import (
    REGISTRY,
    REPRODUCTIONS,
    STAGES,
)
from btq_assets.contracts.training_set import (
    DEFAULT_COLUMNS,
    SPLITS,
    TRAINING_SET,
    FeatureColumns,
    feature_columns,
    training_set_contract,
)

__all__ = [
    "ABLATIONS",
    "DEFAULT_COLUMNS",
    "DISTRIBUTION",
    "EXPLANATIONS",
    "EXPLANATIONS_NETWORKS",
    "FORECASTS_FT_TRANSFORMER",
    "FORECASTS_GAT",
    "FORECASTS_HETERO_GNN",
    "FORECASTS_LIGHTGBM",
    "FORECASTS_LSTM",
    "FORECASTS_MLP",
    "FORECASTS_RIDGE",
    "FORECASTS_TGN",
    "FORECASTS_TRANSFORMER_GNN",
    "FORECASTS_XLSTM",
    "IMPORTANCE",
    "IMPORTANCES_LIGHTGBM",
    "IMPORTANCES_RIDGE",
    "IMPORTANCE_NETWORKS",
    "QUANTILE_COLUMNS",
    "REGISTRY",
    "REPRODUCTIONS",
    "SPLITS",
    "STAGES",
    "TRAINING_SET",
    "FeatureColumns",
    "explanations_contract",
    "feature_columns",
    "forecasts_contract",
    "importance_contract",
    "importances_contract",
    "training_set_contract",
]
