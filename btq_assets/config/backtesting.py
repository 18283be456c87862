"""Settings of backtests: costs, stresses, bootstraps and controls.

Belongs here: the section `backtest`. Does not belong here: when orders fill, which no setting changes.
"""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator

from btq_assets.config.base import Section


class CostEra(Section):
    """Half-spread in force until a date."""

    until: str | None = Field(
        None, description="First date it no longer holds; null for the last era."
    )
    half_spread_bps: float = Field(ge=0, le=1_000)
    reason: str


class BacktestSection(Section):
    """Costs. The fill rule is fixed: a decision at t fills at the next bar."""

    commission_bps: float = Field(1.0, ge=0, le=1_000)
    commission_per_share: float = Field(
        0.0, ge=0, le=10, description="Needs raw prices; else null with a note."
    )
    impact_coefficient: float = Field(
        0.1, ge=0, le=10, description="Square-root impact; needs raw price and volume."
    )
    spread_eras: tuple[CostEra, ...] = (
        CostEra(until="1997-06-24", half_spread_bps=15.0, reason="quotes in eighths of a dollar"),
        CostEra(until="2001-04-09", half_spread_bps=10.0, reason="quotes in sixteenths"),
        CostEra(until=None, half_spread_bps=2.0, reason="decimal quotes"),
    )
    bootstrap_samples: int = Field(1_000, ge=100, le=100_000)
    bootstrap_mean_block_sessions: int = Field(21, ge=1, le=252)
    factor_file: str | None = Field(
        None,
        description="CSV of factor returns in the format of Kenneth French's data library (percent, YYYYMM or YYYYMMDD) to attribute returns to, besides the bundled factors.",
    )
    overfitting_blocks: int = Field(
        16,
        ge=4,
        le=20,
        multiple_of=2,
        description="Blocks of the cross-validation that tells overfitting; 16 make 12,870 splits.",
    )
    stress_cost_bps: tuple[float, ...] = Field(
        (0.0, 5.0, 10.0, 20.0, 50.0),
        min_length=2,
        description="All-in costs per traded value, in place of commission, spread and impact.",
    )
    stress_delay_bars: tuple[int, ...] = Field(
        (1, 2, 3, 4, 5), description="Bars by which decisions come later."
    )
    stress_universe_draws: int = Field(
        5, ge=0, le=100, description="Seeded draws of symbols that are left out."
    )
    stress_universe_share: float = Field(
        0.2, gt=0, lt=1, description="Share of the symbols left out in each draw."
    )
    deep_control_seeds: int = Field(
        100,
        ge=1,
        le=1_000,
        description="Planted edges of the job `controls_deep`; twice as many nulls, a fifth as many leaks.",
    )
    seed: int = Field(12_345, ge=0)

    @field_validator("stress_cost_bps", "stress_delay_bars")
    @classmethod
    def _ascending(cls, values: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        least, most = (0.0, 1_000.0) if info.field_name == "stress_cost_bps" else (1, 60)
        if list(values) != sorted(set(values)) or any(not least <= v <= most for v in values):
            raise ValueError(
                f"{values}: must ascend without repeats and lie between {least} and {most}"
            )
        return values
