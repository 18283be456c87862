"""Fractionally differenced prices."""

from __future__ import annotations

from btq_assets.contracts.columns import number
from btq_assets.contracts.features.family import family

FRACTIONAL = family(
    "fractional",
    "Log prices differenced by a fraction of an order: stationary, and with more memory than returns.",
    (
        number(
            "fractional_log_price",
            "Fractionally differenced log price, fixed-width window, in units of log price.",
        ),
        number(
            "fractional_log_price_z_63",
            "The same in its own standard deviations from its own mean, over 63 sessions.",
        ),
        number(
            "fractional_log_price_change_5d",
            "Change of the fractionally differenced log price over 5 sessions.",
        ),
    ),
)
