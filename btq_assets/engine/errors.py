"""The one error of the engine; raised before any number is computed from bad input."""

from __future__ import annotations


class EngineError(ValueError):
    """Prices, weights or costs that the engine cannot account for."""
