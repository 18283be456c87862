"""Every remote provider, by kind. Adding one is an entry in its kind's registry."""

from __future__ import annotations

from btq_assets.sources.provider import ProviderEntry

PROVIDERS: tuple[ProviderEntry, ...] = ()
