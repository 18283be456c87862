"""Labels: what followed a decision, from its fill on. Targets to train on, never features.

One module per kind of label; `table` puts them together as ``features.labels``. The forward
returns are those of `timeline.forward_returns`, the ones the forecasts are trained on.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_EXPORTS = {
    "Outcome": "paths",
    "Paths": "paths",
    "average_uniqueness": "weights",
    "concurrency": "weights",
    "indicator_matrix": "weights",
    "labels": "table",
    "meta_labels": "barriers",
    "return_attribution": "weights",
    "sequential_bootstrap": "weights",
    "sequential_probabilities": "weights",
    "trend_scanning": "trends",
    "triple_barrier": "barriers",
}

__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_EXPORTS[name]}"), name)
