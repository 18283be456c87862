"""Regimes room: which state the market is in, from what was known at the time.

Probabilities are filtered, never smoothed; parameters come from past windows only.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_EXPORTS = {
    "Parameters": "markov",
    "RegimeError": "markov",
    "hamilton_filter": "markov",
    "market_states": "states",
}

__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_EXPORTS[name]}"), name)
