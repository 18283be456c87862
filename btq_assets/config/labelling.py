"""Settings of labels, fractional differences and the structure of a universe.

Belongs here: bounds and defaults of these three parts of ``features``. Does not belong here: other
features (`config.features`), and anything that acts on a setting.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from btq_assets.config.base import Section


class FractionalSection(Section):
    """Fractional differences of log prices."""

    order: float = Field(0.4, gt=0, le=1, description="Order of the difference.")
    weight_cutoff: float = Field(
        1e-4, gt=0, lt=0.1, description="Weights smaller than this are dropped."
    )
    choose_order: bool = Field(
        False,
        description="Choose each symbol's least stationary order before the first test segment.",
    )


class LabelsSection(Section):
    """What followed a decision: targets to train on, never features."""

    at: Literal["decisions", "sessions"] = Field(
        "decisions", description="Which sessions of the main universe are labelled."
    )
    horizons_sessions: tuple[int, ...] = Field(
        (1, 5, 21), min_length=1, max_length=10, description="Horizons of forward returns."
    )
    barrier_sessions: int = Field(10, ge=1, le=252, description="Sessions to the vertical barrier.")
    profit_multiple: float = Field(
        2.0, gt=0, le=50, description="Upper barrier in daily volatilities at the decision."
    )
    stop_multiple: float = Field(2.0, gt=0, le=50, description="Lower barrier, likewise.")
    volatility_span_sessions: int = Field(
        100, ge=5, le=756, description="Span of the exponential volatility behind the barriers."
    )
    touch: Literal["close", "range"] = Field(
        "close", description="What touches a barrier: closes, or highs and lows where known."
    )
    trend_sessions: tuple[int, int] = Field(
        (5, 21), description="Shortest and longest span of trend scanning."
    )

    @model_validator(mode="after")
    def _spans_are_possible(self) -> LabelsSection:
        shortest, longest = self.trend_sessions
        if not 2 <= shortest <= longest <= 252:
            raise ValueError(
                f"trend_sessions {self.trend_sessions}: need 2 <= shortest <= longest <= 252"
            )
        if min(self.horizons_sessions) < 1 or max(self.horizons_sessions) > 252:
            raise ValueError(f"horizons_sessions {self.horizons_sessions}: each is 1 to 252")
        return self
