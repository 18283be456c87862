"""Strategies through the engine: tables of runs, scenarios, and the notebook backtester.

Order of reading: `market` (bars as arrays), `run` (all strategies over the same bars), `figures`
(metrics and paired comparisons), `checks`, `assets`; `backtester` is the way in from a notebook,
`online` decides from bars as they come, `cerebro` trades that on Backtrader.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "AdvancedBacktester": "backtester",
    "BacktestError": "market",
    "BacktestTables": "run",
    "Market": "market",
    "OnlineDecisions": "online",
    "QuantumTransformerStrategy": "cerebro",
    "WalkForwardOptimizer": "walk_forward",
    "run_strategies": "run",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
