"""The public classes: they compose rooms and hold no logic of their own.

Everything here works in a notebook without Dagster.
"""

from __future__ import annotations

from typing import Any

#: Public name → module that holds it.
PUBLIC_NAMES = {
    "TradingConfig": "btq_assets.config",
    "QuantumFeatureEngine": "btq_assets.features.engine",
    "LivePanel": "btq_assets.features.live",
    "leak_check": "btq_assets.features.leaks",
    "ModelTrainer": "btq_assets.api.model_trainer",
    "ModelEnsemble": "btq_assets.models.ensemble",
    "AdvancedTradingEnv": "btq_assets.agents.environment",
    "AdvancedBacktester": "btq_assets.backtest.backtester",
    "QuantumTransformerStrategy": "btq_assets.backtest.cerebro",
    "WalkForwardOptimizer": "btq_assets.backtest.walk_forward",
    "LiveTradingEngine": "btq_assets.execution.live.engine",
    "RiskAnalyzer": "btq_assets.risk.analyzer",
    "calculate_sharpe": "btq_assets.engine.metrics",
    "calculate_sortino": "btq_assets.engine.metrics",
    "calculate_calmar": "btq_assets.engine.metrics",
    "calculate_information_ratio": "btq_assets.engine.metrics",
    "calculate_mae": "btq_assets.engine.metrics",
    "calculate_profit_factor": "btq_assets.engine.metrics",
    "calculate_expectancy": "btq_assets.engine.metrics",
}


def __getattr__(name: str) -> Any:
    if name not in PUBLIC_NAMES:
        raise AttributeError(
            f"btq_assets has no public name {name!r}; it has {sorted(PUBLIC_NAMES)}"
        )
    import importlib

    return getattr(importlib.import_module(PUBLIC_NAMES[name]), name)


def __dir__() -> list[str]:
    return sorted(PUBLIC_NAMES)
