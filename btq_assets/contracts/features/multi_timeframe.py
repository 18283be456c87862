"""Daily bars seen together with longer and shorter ones.

Belongs here: names of the columns. Does not belong here: formulas (`features.multi_timeframe`).
"""

from __future__ import annotations

from btq_assets.contracts.columns import number
from btq_assets.contracts.features.family import family

#: Shortest first; shorter than a day only where a source has such bars.
TIMEFRAMES = ("1m", "5m", "15m", "1h", "1d", "1w")

_ROUNDING = 1e-9

MULTI_TIMEFRAME = family(
    "multi_timeframe",
    "Trend, momentum, volatility and place in the range of the last finished bars of six timeframes.",
    (
        *(
            column
            for freq in TIMEFRAMES
            for column in (
                number(
                    f"trend_20_{freq}",
                    f"Move over 20 bars of {freq} in standard deviations of such a move.",
                ),
                number(
                    f"rsi_14_{freq}",
                    f"Share of the rises in all moves of 14 bars of {freq}, 0 to 100.",
                    minimum=-_ROUNDING,
                    maximum=100 + _ROUNDING,
                ),
                number(
                    f"volatility_20_{freq}",
                    f"Standard deviation of 20 log returns of {freq}, per bar.",
                    minimum=0,
                ),
                number(
                    f"range_position_20_{freq}",
                    f"Close between the lowest (0) and the highest (1) close of 20 bars of {freq}.",
                    minimum=-_ROUNDING,
                    maximum=1 + _ROUNDING,
                ),
            )
        ),
        number(
            "trend_alignment",
            "Mean sign of the trends of all timeframes that have one, at least two.",
            minimum=-1,
            maximum=1,
        ),
        number(
            "trend_agreement_1d_1w",
            "1 where the daily and the weekly trend have one sign, -1 where not.",
            minimum=-1,
            maximum=1,
        ),
    ),
)
