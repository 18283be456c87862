"""Settings of what stands on fitted models: ensembles, intervals, the search of hyper-parameters.

Belongs here: bounds and defaults of these parts of ``models``. Does not belong here: settings of a
model (`config.networks`, `config.models`), and anything that acts on a setting.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from btq_assets.config.base import Section
from btq_assets.config.explain import without_password


class EnsemblesSection(Section):
    """Combinations of forecasts; the job `ensembles` makes them."""

    members: tuple[str, ...] = Field(
        ("ridge", "lightgbm", "transformer_gnn"),
        min_length=2,
        max_length=12,
        description="Model families whose base forecasts are combined, seeds averaged; `ppo` joins "
        "the weights of its agents.",
    )
    vote: Literal["sign", "rank"] = Field("rank", description="What members vote by.")
    stacking: Literal["non_negative", "ridge"] = Field(
        "non_negative", description="Regression behind the stacked forecasts."
    )
    stacking_penalty: float = Field(
        0.01, ge=0, le=100, description="Penalty of ridge; not used by non_negative."
    )
    regime_dates: int = Field(
        26,
        ge=10,
        le=1_000,
        description="Decisions a regime needs to have weights of its own.",
    )

    @field_validator("members")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError(f"members names a family twice: {list(value)}")
        return value


class IntervalsSection(Section):
    """Conformal intervals around forecasts."""

    miss_rate: float = Field(0.1, gt=0, lt=0.5, description="Share of outcomes outside.")
    step: float = Field(0.02, gt=0, le=1, description="How fast the miss rate is adapted.")
    window: int = Field(
        1_000, ge=50, le=100_000, description="Errors that widths are learnt from at most."
    )
    minimum_scores: int = Field(
        50, ge=10, le=10_000, description="Errors known before there is an interval."
    )
    coverage_tolerance: float = Field(
        0.03,
        gt=0,
        lt=0.5,
        description="Largest distance of the share inside from what was promised; more refuses the table.",
    )


class SearchSection(Section):
    """Search of hyper-parameters; the job `search` runs it, and nothing applies what it finds."""

    family: str = Field("transformer_gnn", description="Model family that is searched.")
    n_trials: int = Field(
        20, ge=1, le=10_000, description="Trials, those of earlier runs included."
    )
    timeout_s: float | None = Field(
        None, gt=0, description="No trial is begun after so many seconds of a run."
    )
    storage: str = Field(
        "search.journal",
        min_length=1,
        description="File in the data folder (.journal, .db), or URL of a database, trials are kept in. "
        "Its password is no setting: `PGPASSWORD` or `PGPASSFILE` of the environment.",
    )
    pruning: bool = Field(
        True, description="Whether training stops where earlier trials were better at that epoch."
    )
    beside: int = Field(
        1,
        ge=1,
        le=256,
        description="Trials proposed together, to be judged beside one another by "
        "`models.training.workers`.",
    )
    n_folds: int = Field(2, ge=1, le=10, description="Folds nested before the first test segment.")
    epochs: int | None = Field(
        None, ge=1, le=1_000, description="Epochs of a trial at most; null for those of the family."
    )
    seed: int = Field(0, ge=0, description="Of the proposals.")

    @field_validator("storage")
    @classmethod
    def _without_password(cls, value: str) -> str:
        if value != without_password(value):
            raise ValueError(
                "a configuration is kept and shown, so a password has no place in it; leave it out of the "
                "URL and to the driver of the database (PostgreSQL: PGPASSWORD or PGPASSFILE)"
            )
        return value
