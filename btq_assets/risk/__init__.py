"""Risk: measures of loss, their test against what happened, stress windows, simulation, limits.

The one implementation of each measure in the house. Losses are positive fractions of equity. The
Dagster part is in `assets`, everything else is pure.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_EXPORTS = {
    "RiskAnalyzer": "analyzer",
    "RiskError": "measures",
    "confidence_level": "measures",
    "historical": "measures",
    "parametric": "measures",
    "cornish_fisher": "measures",
    "kupiec_test": "exceedances",
    "SCENARIOS": "scenarios",
    "Scenario": "scenarios",
    "find_scenario": "scenarios",
    "replay": "scenarios",
    "simulate_paths": "simulation",
    "Simulated": "simulation",
    "breaches": "limits",
}

__all__ = list(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_EXPORTS[name]}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
