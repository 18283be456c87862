"""Trading off the exchanges, by the time it was published."""

from __future__ import annotations

from btq_assets.contracts.columns import number
from btq_assets.contracts.features.family import family

DARK_POOL = family(
    "dark_pool",
    "Share of volume in dark pools (weekly) and of short sales in volume reported off exchange (daily), as published by ts.",
    (
        number("ats_volume_share", "Shares traded in dark pools over the symbol's volume, newest week published.", minimum=0),
        number("ats_volume_share_change_4w", "Its change over 4 weeks."),
        number("ats_volume_share_z_26w", "The share among its last 26 weeks, standard deviations."),
        number("ats_trade_shares", "Mean shares per trade in dark pools, newest week published.", minimum=0),
        number("ats_age_days", "Days since the newest week was published.", minimum=0),
        number("short_volume_share", "Short sales over volume reported off exchange, newest session published.", minimum=0, maximum=1.000001),
        number("short_volume_share_5d", "Mean of the share over the newest 5 sessions.", minimum=0, maximum=1.000001),
        number("short_volume_share_change_5d", "Change of the share over 5 sessions."),
        number("short_volume_share_z_63", "The share among its last 63 sessions, standard deviations."),
        number("short_volume_age_days", "Days since the newest session was published.", minimum=0),
    ),
)  # fmt: skip
