"""Every remote provider, by kind. Adding one is an entry in its kind's registry."""

from __future__ import annotations

from btq_assets.sources.alternative import registry as alternative
from btq_assets.sources.macro import registry as macro
from btq_assets.sources.market import registry as market
from btq_assets.sources.provider import ProviderEntry
from btq_assets.sources.sentiment import registry as sentiment

PROVIDERS: tuple[ProviderEntry, ...] = (
    *market.ENTRIES,
    *macro.ENTRIES,
    *sentiment.ENTRIES,
    *alternative.ENTRIES,
)
