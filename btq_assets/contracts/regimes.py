"""Tables of the regimes room."""

from __future__ import annotations

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import TS, flag, number, stamp, text

STATES = TableContract(
    layer="regimes",
    name="states",
    description="Filtered (never smoothed) market-state probabilities at each session, from parameters fitted on the past only. Rows start with the first fit that converges.",
    columns=(
        text("scope", "Universe the states describe; its equal-weight return is the input."),
        TS,
        number(
            "p_calm",
            "Filtered probability of the low-variance state.",
            nullable=False,
            minimum=0,
            maximum=1,
        ),
        number(
            "p_turbulent",
            "Filtered probability of the high-variance state.",
            nullable=False,
            minimum=0,
            maximum=1,
        ),
        text("state", "Likelier state.", allowed=("calm", "turbulent")),
        text(
            "trend",
            "Trailing 252-session log return of the scope: bull above 5 %, bear below -5 %, else sideways.",
            allowed=("bull", "bear", "sideways"),
        ),
        number(
            "calm_volatility_annual",
            "Annualised volatility of the calm state in the fit in force.",
            minimum=0,
        ),
        number(
            "turbulent_volatility_annual",
            "Annualised volatility of the turbulent state in the fit in force.",
            minimum=0,
        ),
        stamp("fitted_until", "Last bar used to fit the parameters in force at ts."),
        flag(
            "converged",
            "Whether the latest scheduled fit converged; false means an earlier one is in force.",
        ),
    ),
    key=("scope", "ts"),
)
