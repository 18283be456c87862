"""Settings of the sources: what is fetched, from where, how patiently.

Belongs here: one class per source, in the file of its kind, and `SourcesSection`, which lists them.
"""

from __future__ import annotations

from pydantic import Field

from btq_assets.config.base import Section
from btq_assets.config.sources.base import ProviderSection
from btq_assets.config.sources.market import (
    FolderSourceSection,
    SampleSourceSection,
    YahooSourceSection,
)


class SourcesSection(Section):
    """Where data come from."""

    replay: bool = Field(
        False, description="Ask no remote provider: parse the answers stored in data/answers again."
    )
    sample: SampleSourceSection = SampleSourceSection()
    folder: FolderSourceSection = FolderSourceSection()
    yahoo: YahooSourceSection = YahooSourceSection()


__all__ = [
    "FolderSourceSection",
    "ProviderSection",
    "SampleSourceSection",
    "SourcesSection",
    "YahooSourceSection",
]
