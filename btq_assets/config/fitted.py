"""Settings of what is asked of fitted models: why they forecast what they do, and whether they come out again.

Belongs here: the sections `models.explanation` and `models.reproduction`. Does not belong here: what is
fitted (`config.networks`, `config.models`).
"""

from __future__ import annotations

from pydantic import Field

from btq_assets.config.base import Section


class ExplanationSection(Section):
    """Explanations of the newest fits."""

    decisions: int = Field(
        1, ge=1, le=52, description="Last decisions explained forecast by forecast."
    )
    importance_decisions: int = Field(
        52, ge=2, le=520, description="Last decisions with labels that importance is taken over."
    )
    gradient_decisions: int = Field(
        4, ge=1, le=520, description="Those of them whose forecasts by networks are explained."
    )
    repeats: int = Field(3, ge=1, le=100, description="Shuffles of each family of features.")
    seed: int = 0


class ReproductionSection(Section):
    """What counts as the same fit under other libraries or on another device."""

    rank_ic_tolerance: float = Field(
        0.01, ge=0, le=2, description="Largest difference of the mean rank IC of the test segment."
    )
    forecast_tolerance: float = Field(
        0.1,
        ge=0,
        description="Largest difference of a forecast, as a share of their standard deviation.",
    )
