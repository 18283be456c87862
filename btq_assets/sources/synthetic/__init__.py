"""Generated markets with known truth: SYNTHETIC bars, ticks, options, news and on-chain metrics.

Belongs here: one seeded generator, the faults and edges that can be planted in what it generates,
and the truth beside the data. Does not belong here: anything real, and anything that reads a file
or a clock. What is generated says SYNTHETIC in its dataset name, its table's description and, where
a table has one, its label. Read `spec.py` (what can be asked for), `paths.py` (prices and
volatility), `market.py` (how it all comes together), then the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from btq_assets.sources.synthetic.market import SyntheticMarket, generate
    from btq_assets.sources.synthetic.spec import (
        BadTicks,
        Edge,
        MarketSpec,
        MissedSplit,
        NewsDrift,
        Outage,
        Plants,
        RegimeChange,
    )

_HOME = {
    "BadTicks": "spec",
    "Edge": "spec",
    "MarketSpec": "spec",
    "MissedSplit": "spec",
    "NewsDrift": "spec",
    "Outage": "spec",
    "Plants": "spec",
    "RegimeChange": "spec",
    "SyntheticMarket": "market",
    "generate": "market",
}

__all__ = [
    "BadTicks",
    "Edge",
    "MarketSpec",
    "MissedSplit",
    "NewsDrift",
    "Outage",
    "Plants",
    "RegimeChange",
    "SyntheticMarket",
    "generate",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
