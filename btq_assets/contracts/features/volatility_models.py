"""Forecasts of fitted volatility models."""

from __future__ import annotations

from btq_assets.contracts.base import Column
from btq_assets.contracts.columns import number, text
from btq_assets.contracts.features.family import family

#: Models in the order of their columns, and how they are called in text.
MODELS = {"garch": "GARCH(1,1)", "gjr": "GJR-GARCH(1,1,1)", "egarch": "EGARCH(1,1,1)"}

#: Why a row has the values it has.
FIT_STATES = ("short", "fitted", "previous", "not_converged", "constant", "exploded")


def _columns(model: str, title: str) -> tuple[Column, ...]:
    return (
        number(
            f"{model}_volatility_1_annual",
            f"Volatility of the next session by {title}, annualised.",
            minimum=0,
        ),
        number(
            f"{model}_volatility_21_annual",
            f"Volatility of the next 21 sessions by {title}, annualised.",
            minimum=0,
        ),
        number(
            f"{model}_surprise",
            f"Return of the session less its mean, in the standard deviations {title} gave it.",
        ),
    )


VOLATILITY_MODELS = family(
    "volatility_models",
    "Volatility forecasts of GARCH, GJR-GARCH and EGARCH, fitted on past returns on a schedule.",
    tuple(column for model, title in MODELS.items() for column in _columns(model, title)),
    extra=tuple(
        text(
            f"{model}_fit",
            f"Fit of {title} behind the row: the last scheduled one (fitted), an earlier one since "
            "that did not converge (previous), or why there is none; exploded where the recursion gave a "
            "volatility above 5,000 % a year.",
            allowed=FIT_STATES,
        )
        for model, title in MODELS.items()
    ),
)
