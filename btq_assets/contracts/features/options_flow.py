"""What the options on a symbol implied and who traded them, as known at each bar."""

from __future__ import annotations

from btq_assets.contracts.columns import number
from btq_assets.contracts.features.family import family

OPTIONS_FLOW = family(
    "options_flow",
    "Implied volatility, skew, term structure, put/call activity, unusual volume and sweeps of the options on a symbol, from the newest snapshot known at ts; null five days later.",
    (
        number("option_atm_iv_30d", "Annual at-the-money volatility at 30 days.", minimum=0),
        number("option_atm_iv_change_5d", "Its change over 5 sessions."),
        number("option_atm_iv_change_21d", "Its change over 21 sessions."),
        number("option_skew_25d_30d", "Volatility of the 25-delta put less that of the call, 30 days."),
        number("option_skew_change_5d", "Its change over 5 sessions."),
        number("option_term_slope", "At-the-money volatility at 90 days less that at 30 days."),
        number("option_term_slope_log", "Slope of at-the-money volatility on the log of time to expiry, over all expiries."),
        number("option_butterfly_25d", "Mean of both 25-delta volatilities less the at-the-money one, expiry nearest to 30 days."),
        number("option_put_call_volume", "Puts traded per call traded.", minimum=0),
        number("option_put_call_oi", "Puts open per call open.", minimum=0),
        number("option_put_call_volume_z_21", "Log of puts per call traded among its last 21 sessions, standard deviations."),
        number("option_volume_to_oi", "Contracts traded per contract open.", minimum=0),
        number("option_variance_premium", "Implied variance at 30 days less that realised over 21 sessions, annual."),
        number("option_unusual_volume_score", "Standard deviations of log volume above its mean on earlier days."),
        number("option_unusual_contracts", "Contracts that traded more than their open interest.", minimum=0),
        number("option_unusual_put_share", "Puts among the volume of those contracts.", minimum=0, maximum=1.000001),
        number("option_sweeps_5d", "Sweeps known in 5 sessions; null where none is.", minimum=1),
        number("option_sweep_imbalance_5d", "Premium of bullish less bearish sweeps over all premium in 5 sessions, -1 to 1.", minimum=-1.000001, maximum=1.000001),
    ),
)  # fmt: skip
