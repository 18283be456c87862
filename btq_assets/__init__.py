"""BTQuant: quant research and trading where every step is a Dagster asset over DuckDB.

In a notebook, ``from btq_assets import TradingConfig, QuantumFeatureEngine, ...`` works without
Dagster; names are loaded when first used. The code location is `btq_assets.definitions`.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(importlib.import_module("btq_assets.api"), name)


def __dir__() -> list[str]:
    return [*globals(), *dir(importlib.import_module("btq_assets.api"))]
