"""Settings of the fair comparison: who is compared, how often, and how long it may take.

Belongs here: one section. Does not belong here: what a family is (`models.catalogue`).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from btq_assets.config.base import Section

#: Whom every architecture is held against.
REFERENCES = ("ridge", "lightgbm")

#: What can be left out: two parts of an architecture, two families of features.
Component = Literal["graph", "temporal_attention", "sentiment", "quantum"]


class ComparisonSection(Section):
    """Every architecture on the same folds with several seeds, and each without its parts."""

    families: tuple[str, ...] = Field(
        (),
        description="Architectures compared, by their names in the catalogue of models; none names "
        "all of them. `ridge` and `lightgbm`, whom all others are held against, must be among them.",
    )
    seeds: tuple[int, ...] = Field(
        (7, 11, 13, 17, 19),
        min_length=2,
        description="Seeds of everything that has any; ridge is fitted once.",
    )
    epochs: int | None = Field(
        3, ge=1, le=1_000, description="Largest number of epochs of a network; null for its own."
    )
    components: tuple[Component, ...] = Field(
        ("graph", "temporal_attention", "sentiment", "quantum"),
        description="What each architecture is also fitted without, where it has it.",
    )
    ablation_seeds: int = Field(
        2, ge=1, le=100, description="Of `seeds`, the first so many are fitted without components."
    )
    horizons_sessions: tuple[int, ...] = Field(
        (1, 5, 10, 21, 42),
        min_length=2,
        description="Sessions from the fill over which forecasts are held against returns.",
    )
    mean_block_decisions: float = Field(
        8.0,
        ge=1,
        le=1_000,
        description="Mean length of the blocks that are resampled, in decisions.",
    )
    resamples: int = Field(2_000, ge=100, le=100_000)
    resampling_seed: int = Field(271_828, ge=0)

    @field_validator("seeds", "components", "families")
    @classmethod
    def _once(cls, values: tuple[object, ...]) -> tuple[object, ...]:
        if len(set(values)) < len(values):
            raise ValueError(f"{list(values)} names something twice")
        return values

    @field_validator("families")
    @classmethod
    def _with_references(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if absent := [name for name in REFERENCES if values and name not in values]:
            raise ValueError(
                f"{list(values)} lacks {', '.join(absent)}: every architecture is held against them"
            )
        return values

    @field_validator("horizons_sessions")
    @classmethod
    def _ascending(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if list(values) != sorted(set(values)) or values[0] < 1:
            raise ValueError(f"{list(values)}: must ascend without repeats from at least 1")
        return values
