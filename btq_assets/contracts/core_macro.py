"""Core tables of macro series beside the vintages and their as-of join, built by dbt."""

from __future__ import annotations

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import KNOWN_AT, day, number, stamp, text

YIELD_CURVE = TableContract(
    layer="core",
    name="yield_curve",
    description="Level, slope and curvature of the US Treasury curve, every vintage: current from known_at until superseded_at. core.yield_curve_as_of(time) shows what was known at a time.",
    columns=(
        text(
            "curve",
            "Where the yields come from: the Treasury's par curve, or FRED's copies of H.15.",
            allowed=("treasury", "h15"),
        ),
        day("period", "Day of the curve."),
        KNOWN_AT,
        stamp(
            "superseded_at",
            "When a later vintage of the same day became known; null if never.",
            nullable=True,
        ),
        number("yield_3m", "Yield at 3 months, percent per year.", nullable=False),
        number("yield_2y", "Yield at 2 years, percent per year.", nullable=False),
        number("yield_10y", "Yield at 10 years, percent per year.", nullable=False),
        number("level", "Yield at 10 years, percent per year.", nullable=False),
        number("slope", "10 years minus 3 months, percentage points.", nullable=False),
        number("slope_2y", "10 years minus 2 years, percentage points.", nullable=False),
        number(
            "curvature",
            "Twice 2 years minus 3 months minus 10 years, percentage points (Diebold and Li 2006).",
            nullable=False,
        ),
    ),
    key=("curve", "period", "known_at"),
    writer="dbt",
    owner="team:data",
    kinds=("duckdb", "dbt"),
)
