"""Tables of the regimes room."""

from __future__ import annotations

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import TS, flag, number, stamp, text

STATES = TableContract(
    layer="regimes",
    name="states",
    description="Filtered (never smoothed) market-state probabilities at each session, from parameters fitted on the past only.",
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
            "Sign of the trailing 12-month return of the scope, known at ts.",
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
        flag("converged", "Whether that fit converged."),
    ),
    key=("scope", "ts"),
)
