"""Accounting, costs, fills and performance figures.

The engine takes target weights or orders, and prices; it knows no model, no strategy and no
Dagster. Public names are loaded on first use, so that importing the package compiles nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "EngineError": "errors",
    "CostModel": "costs",
    "half_spread_by_era": "costs",
    "Account": "terms",
    "Instruments": "terms",
    "OrderCosts": "terms",
    "OrderSimulation": "order_simulation",
    "simulate_orders": "order_simulation",
    "simulate_together": "parallel",
    "book_gaps": "books",
    "check_books": "books",
    "action_table": "orders",
    "order_table": "orders",
    "bracket_orders": "linked_orders",
    "orders_from_targets": "orders",
    "stream_from_bars": "stream",
    "stream_from_panels": "stream",
    "stream_from_ticks": "ticks",
    "with_currency_rates": "ticks",
    "ActionKind": "codes",
    "OrderKind": "codes",
    "SizeKind": "codes",
    "TimeInForce": "codes",
    "LiveOrder": "fills",
    "execute": "fills",
    "Simulation": "simulation",
    "simulate": "simulation",
    "rebalance": "kernel",
    "target_shares": "kernel",
}

#: Every figure and building block of `metrics`.
_METRICS = (
    "PERIODS_PER_YEAR",
    "Drawdowns",
    "adverse_excursions",
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
    "central_moments",
    "conditional_value_at_risk",
    "down_capture",
    "downside_deviation",
    "drawdown_path",
    "drawdowns",
    "fall_path",
    "falls_of",
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
    "tail_losses",
    "tail_ratio",
    "tail_size",
    "tracking_error",
    "treynor_ratio",
    "turnover_annual",
    "ulcer_index",
    "up_capture",
    "value_at_risk",
    "win_rate",
)
_PUBLIC |= dict.fromkeys(_METRICS, "metrics")

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
