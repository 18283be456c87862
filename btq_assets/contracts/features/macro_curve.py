"""The yield curve, surprises and standing of the main macro series, as known at each session."""

from __future__ import annotations

from btq_assets.contracts.base import Column
from btq_assets.contracts.columns import number
from btq_assets.contracts.features.family import family

#: Indicators with their words.
INDICATORS = {
    "core_cpi": "core consumer prices",
    "industrial_production": "industrial production",
    "payrolls": "non-farm payrolls",
    "unemployment": "the unemployment rate",
}
_FACTORS = {
    "level": "10-year yield, percent per year",
    "slope": "10 years minus 3 months, percentage points",
    "slope_2y": "10 years minus 2 years, percentage points",
    "curvature": "Twice 2 years minus 3 months minus 10 years, percentage points",
}
CURVE_CHANGES = (5, 21, 63)


def _curve() -> list[Column]:
    columns = [number(f"curve_{name}", f"{words}, newest curve known.") for name, words in _FACTORS.items()]  # fmt: skip
    for name in ("level", "slope", "curvature"):
        columns += [
            number(f"curve_{name}_change_{n}d", f"Its change over {n} curves, percentage points.")
            for n in CURVE_CHANGES
        ]
    return [*columns, number("curve_age_days", "Days since the newest curve was known.", minimum=0)]


def _indicator(name: str, words: str) -> list[Column]:
    return [
        number(f"{name}_change_3m", f"Change of {words} over 3 months, at an annual rate."),
        number(f"{name}_z_24m", f"Newest monthly change of {words} among the last 24, standard deviations."),
        number(f"{name}_surprise_rw", f"First print of the monthly change of {words} less the change known before."),
        number(f"{name}_surprise_ar", "The same less an AR(1) forecast, in its residual standard deviations."),
        number(f"{name}_age_days", f"Days since the newest period of {words} was released.", minimum=0),
    ]  # fmt: skip


MACRO_CURVE = family(
    "macro_curve",
    "Treasury curve, release surprises against forecasts from earlier vintages, standing of the main series; null without their sources.",
    (
        *_curve(),
        number("vix_z_252", "CBOE volatility index among its last 252 values, standard deviations."),
        number("vix_age_days", "Days since its newest value was known.", minimum=0),
        number("wti_z_252", "Log oil price among its last 252 values, standard deviations."),
        number("wti_age_days", "Days since its newest value was known.", minimum=0),
        number("credit_spread_z_24m", "Baa minus Aaa yield among its last 24 months, standard deviations."),
        number("credit_spread_age_days", "Days since its newest month was released.", minimum=0),
        *(column for name, words in INDICATORS.items() for column in _indicator(name, words)),
    ),
    market_wide=True,
)  # fmt: skip
