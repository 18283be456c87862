"""The agents room: a trading environment on the engine's accounting, and agents that learn in it.

Belongs here: the gymnasium environment, the policy network, its training and its walk-forward
application. Does not belong here: accounting rules (the engine) and limits (the portfolio room).
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "AdvancedTradingEnv": "environment",
    "AgentError": "market",
    "TradingMarket": "market",
    "TrainedAgent": "agent",
    "train_agent": "ppo",
    "train_rl_agent": "trainer",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return __all__
