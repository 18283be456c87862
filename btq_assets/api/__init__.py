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
    "AdvancedBacktester": "btq_assets.api.backtester",
    "QuantumTransformerStrategy": "btq_assets.backtest.cerebro",
    "WalkForwardOptimizer": "btq_assets.backtest.walk_forward",
    "LiveTradingEngine": "btq_assets.execution.live.engine",
    "RiskAnalyzer": "btq_assets.risk.analyzer",
}

#: Figures of returns, trades and costs: formulas and sources in docs/metrics.md.
METRICS = (
    "alpha_annual",
    "annual_return",
    "annual_volatility",
    "beta",
    "break_even_cost",
    "calculate_calmar",
    "calculate_expectancy",
    "calculate_information_ratio",
    "calculate_mae",
    "calculate_mfe",
    "calculate_profit_factor",
    "calculate_sharpe",
    "calculate_sortino",
    "capacity_multiple",
    "capture_ratio",
    "conditional_value_at_risk",
    "down_capture",
    "downside_deviation",
    "drawdown_path",
    "drawdowns",
    "gain_to_pain",
    "kelly_fraction",
    "kurtosis",
    "longest_underwater",
    "martin_ratio",
    "max_drawdown",
    "mean_drawdown_periods",
    "omega_ratio",
    "pain_index",
    "pain_ratio",
    "payoff_ratio",
    "recovery_periods",
    "skewness",
    "stability",
    "tail_ratio",
    "tracking_error",
    "treynor_ratio",
    "turnover_annual",
    "ulcer_index",
    "up_capture",
    "value_at_risk",
    "win_rate",
)
PUBLIC_NAMES |= dict.fromkeys(METRICS, "btq_assets.engine.metrics")


def __getattr__(name: str) -> Any:
    if name not in PUBLIC_NAMES:
        raise AttributeError(
            f"btq_assets has no public name {name!r}; it has {sorted(PUBLIC_NAMES)}"
        )
    import importlib

    return getattr(importlib.import_module(PUBLIC_NAMES[name]), name)


def __dir__() -> list[str]:
    return sorted(PUBLIC_NAMES)
