"""Settings of the generated market."""

from __future__ import annotations

from pydantic import Field

from btq_assets.config.base import Section
from btq_assets.config.sources.base import DAY


class SyntheticSourceSection(Section):
    """SYNTHETIC one-minute bars of a generated market; what is planted in it is off by default."""

    enabled: bool = False
    seed: int = Field(7, ge=0)
    n_symbols: int = Field(5, ge=1, le=500)
    n_sessions: int = Field(20, ge=1, le=2_520)
    first_day: str = Field("2024-01-02", pattern=DAY)
    annual_volatility: float = Field(0.30, gt=0, le=3)
    correlation: float = Field(0.30, ge=0, lt=0.95)
    edge_correlation: float = Field(
        0.0, gt=-0.3, lt=0.3, description="Of the first symbol's return with the others' next one."
    )
    regime_session: int | None = Field(
        None, ge=0, description="From here on 2.5 times as volatile, correlation 0.7; null: never."
    )
    outage_minutes: int = Field(0, ge=0, le=390, description="Missing from the last session.")
    bad_ticks_of_each_kind: int = Field(0, ge=0, le=10_000)
    missed_split_session: int | None = Field(
        None, ge=0, description="The first symbol splits 4 for 1 unannounced; null: never."
    )
