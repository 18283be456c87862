"""Whether the house finds what is not there, and what is.

The whole path (features, folds, forecasts, weights, engine, verdict) on markets made from real
ones: without anything to find, with an edge of a stated Sharpe ratio, and with a leak. Order of
reading: `markets`, `path`, `answers`, `assets`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "ControlBase": "markets",
    "ControlMarket": "markets",
    "ControlSettings": "settings",
    "control_market": "markets",
    "run_control": "path",
    "controls_table": "answers",
    "null_limit": "answers",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
