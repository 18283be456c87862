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
    "book_gaps": "books",
    "check_books": "books",
    "action_table": "orders",
    "order_table": "orders",
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
    "annual_return": "metrics",
    "annual_volatility": "metrics",
    "calculate_calmar": "metrics",
    "calculate_expectancy": "metrics",
    "calculate_information_ratio": "metrics",
    "calculate_mae": "metrics",
    "calculate_profit_factor": "metrics",
    "calculate_sharpe": "metrics",
    "calculate_sortino": "metrics",
    "max_drawdown": "metrics",
    "turnover_annual": "metrics",
    "win_rate": "metrics",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
