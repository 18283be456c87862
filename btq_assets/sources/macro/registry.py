"""Remote providers of this kind; an entry puts one into the graph."""

from __future__ import annotations

from btq_assets.sources.provider import ProviderEntry

ENTRIES: tuple[ProviderEntry, ...] = ()
