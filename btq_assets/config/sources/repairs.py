"""Settings of repairs: which proposals are applied on the way to core."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from btq_assets.config.base import Section

RepairKind = Literal["unit_100x", "missed_split", "double_split", "missed_dividend", "bad_tick"]


class RepairsSection(Section):
    """Repairs proposed for raw bars (`quality.repairs`). Nothing is applied unless named here."""

    apply: tuple[RepairKind, ...] = Field(
        (), description="Kinds of repair applied to bars on their way to core."
    )
    min_confidence: float = Field(
        0.9, ge=0, le=1, description="Least confidence of a proposal that is applied."
    )
