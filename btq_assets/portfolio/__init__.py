"""The portfolio room: from forecasts and trailing returns to target weights.

Belongs here: pure weighting rules (ranks, volatility target, fractional Kelly, hierarchical and
equal risk contributions, baselines), and the checks of the tables they fill. Does not belong
here: forecasting, limits (the risk room), fills, costs, and profit and loss.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "PortfolioError": "panel",
    "PricePanel": "panel",
    "baseline_targets": "baselines",
    "equal_risk_weights": "risk_parity",
    "hrp_targets": "hierarchical",
    "hrp_weights": "hierarchical",
    "kelly_targets": "kelly",
    "kelly_weights": "kelly",
    "limits_check": "gates",
    "rank_targets": "ranks",
    "rank_weights": "ranks",
    "shrunk_covariance": "covariance",
    "volatility_target": "ranks",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return __all__
