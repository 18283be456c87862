"""The live loop on paper: bars in, orders out, and nothing forgotten when it is killed.

Order of reading: `settings`, `journal` (what survives), `feed`, `ticks`, `public_feed` and `intake`
(which bars and ticks count), `market` and `targets` (bars, features, forecast, weights), `account`,
`rounds` and `broker`, `safety` (what stops trading), `venues`, `pretrade` and `decisions` (limits,
orders), `recovery` (what a restart does), `loop`, `engine`, `tables`,
`trials`, `assets`, `sensors`.

No order ever leaves this house: there is no connection to a broker here.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "BarBatch": "feed",
    "Journal": "journal",
    "JournalError": "journal",
    "LiveError": "settings",
    "LiveSettings": "settings",
    "LiveTradingEngine": "engine",
    "PaperBroker": "broker",
    "PublicFeed": "public_feed",
    "RealTradingError": "settings",
    "ReplayClock": "feed",
    "ReplayFeed": "feed",
    "ReplayTickFeed": "ticks",
    "VenueTerms": "settings",
    "journal_tables": "tables",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
