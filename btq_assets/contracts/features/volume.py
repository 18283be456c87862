"""Where volume traded, and on which side.

Belongs here: names of the columns. Does not belong here: formulas (`features.volume`).
"""

from __future__ import annotations

from btq_assets.contracts.columns import number
from btq_assets.contracts.features.family import family

PROFILE_WINDOWS = (21, 63)

_ROUNDING = 1e-9

VOLUME = family(
    "volume",
    "Volume profile, volume-weighted mean prices and flows; rows only where open, high, low, close and volume exist.",
    (
        *(
            column
            for n in PROFILE_WINDOWS
            for column in (
                number(
                    f"point_of_control_distance_{n}",
                    f"Close over the price with most volume in {n} sessions, minus 1.",
                    minimum=-1,
                ),
                number(
                    f"value_area_high_distance_{n}",
                    f"Close over the upper end of the value area of {n} sessions, minus 1.",
                    minimum=-1,
                ),
                number(
                    f"value_area_low_distance_{n}",
                    f"Close over the lower end of the value area of {n} sessions, minus 1.",
                    minimum=-1,
                ),
                number(
                    f"value_area_width_{n}",
                    f"Height of the value area of {n} sessions over the close.",
                    minimum=0,
                ),
            )
        ),
        number(
            "vwap_distance_session",
            "Close over the session's volume-weighted mean price, minus 1.",
            minimum=-1,
        ),
        number(
            "vwap_distance_month",
            "Close over the volume-weighted mean price since the month began, minus 1.",
            minimum=-1,
        ),
        number(
            "vwap_distance_high_63",
            "Close over the volume-weighted mean price since the last high of 63 sessions, minus 1.",
            minimum=-1,
        ),
        number(
            "vwap_distance_low_63",
            "Close over the volume-weighted mean price since the last low of 63 sessions, minus 1.",
            minimum=-1,
        ),
        number(
            "money_flow_index_14",
            "Share of value traded at rising typical prices in 14 sessions, 0 to 100.",
            minimum=-_ROUNDING,
            maximum=100 + _ROUNDING,
        ),
        number(
            "chaikin_money_flow_21",
            "Shares traded times the place of the close in the range, over 21 sessions; -1 to 1.",
            minimum=-1 - _ROUNDING,
            maximum=1 + _ROUNDING,
        ),
        number(
            "on_balance_volume_change_21",
            "Shares traded in rising less falling sessions of 21, over all of them; -1 to 1.",
            minimum=-1 - _ROUNDING,
            maximum=1 + _ROUNDING,
        ),
        number(
            "relative_volume_21",
            "Shares traded over their mean in the 21 sessions before.",
            minimum=0,
        ),
        number(
            "order_flow_delta_1",
            "Units bought less sold by who crossed the spread, over all units; null without trades.",
            minimum=-1 - _ROUNDING,
            maximum=1 + _ROUNDING,
        ),
        number(
            "order_flow_delta_5",
            "The same over 5 sessions; null without trades in each of them.",
            minimum=-1 - _ROUNDING,
            maximum=1 + _ROUNDING,
        ),
    ),
)
