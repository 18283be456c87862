"""Features room: what is known about an asset at the end of a bar, as numbers.

One module per family; each feature is defined once, in its family's ``FEATURES``. All families
read adjusted prices, look only backwards, and are invariant to scaling a symbol's history.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_EXPORTS = {
    "Feature": "definitions",
    "FeatureError": "definitions",
    "LeakReport": "leaks",
    "QuantumFeatureEngine": "engine",
    "LivePanel": "live",
    "leak_check": "leaks",
}

__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_EXPORTS[name]}"), name)
