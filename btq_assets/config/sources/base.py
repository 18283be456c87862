"""What every remote source can be told.

Keys and tokens are never settings: they are read from the environment by name (`SECRET_NAMES`).
"""

from __future__ import annotations

from pydantic import Field

from btq_assets.config.base import Section

#: First month of a partitioned source.
MONTH = r"^\d{4}-(0[1-9]|1[0-2])$"
DAY = r"^\d{4}-\d{2}-\d{2}$"


class ProviderSection(Section):
    """A remote provider: where it is, and how patiently it is asked."""

    enabled: bool = False
    base_url: str = Field("", description="Another server to ask; empty means the provider's own.")
    timeout_s: float = Field(20.0, gt=0, le=600, description="For connecting, and for each read.")
    max_attempts: int = Field(4, ge=1, le=10)
    calls_per_minute: float = Field(60.0, gt=0, le=6_000)
    answers_fresh_hours: float = Field(
        12.0,
        ge=0,
        le=8_760,
        description="An answer stored within so many hours is used again: a broken backfill goes on.",
    )
