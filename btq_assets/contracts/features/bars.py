"""Families of one symbol's daily bars, and the quantum-inspired one."""

from __future__ import annotations

from btq_assets.contracts.columns import number
from btq_assets.contracts.features.family import family

TECHNICAL = family(
    "technical",
    "Trend, momentum and mean-reversion indicators of the adjusted close; TA-Lib conventions.",
    (
        number("return_1d", "Simple return over 1 session."),
        number("return_5d", "Simple return over 5 sessions."),
        number("return_21d", "Simple return over 21 sessions."),
        number("return_63d", "Simple return over 63 sessions."),
        number("momentum_12_1", "Simple return from 252 to 21 sessions ago."),
        number(
            "rsi_14",
            "Relative strength index over 14 sessions, 0 to 100.",
            minimum=0,
            maximum=100.000001,
        ),
        number("macd_histogram_to_price", "MACD(12, 26, 9) histogram as a fraction of the price."),
        number("bollinger_z_20", "Deviation from the 20-session mean in standard deviations."),
        number("distance_sma_50", "Price over its 50-session mean, minus 1."),
        number("distance_sma_200", "Price over its 200-session mean, minus 1."),
        number("distance_high_252", "Price over its 252-session high, minus 1.", maximum=1e-9),
    ),
)

VOLATILITY = family(
    "volatility",
    "Volatility estimates from returns and, where open, high and low exist, from ranges.",
    (
        number(
            "volatility_21_annual", "Standard deviation of 21 log returns, annualised.", minimum=0
        ),
        number(
            "volatility_63_annual", "Standard deviation of 63 log returns, annualised.", minimum=0
        ),
        number(
            "volatility_ewma_annual", "RiskMetrics volatility, decay 0.94, annualised.", minimum=0
        ),
        number(
            "downside_volatility_63_annual",
            "Root mean square of negative log returns over 63 sessions, annualised.",
            minimum=0,
        ),
        number("volatility_ratio_21_252", "21-session over 252-session volatility.", minimum=0),
        number(
            "volatility_of_volatility_63",
            "Coefficient of variation of the 21-session volatility over 63 sessions.",
            minimum=0,
        ),
        number(
            "absolute_return_autocorrelation_63",
            "Correlation of absolute log returns with their predecessor over 63 sessions.",
            minimum=-1.000001,
            maximum=1.000001,
        ),
        number(
            "parkinson_21_annual",
            "Parkinson range volatility over 21 sessions, annualised; null without high and low.",
            minimum=0,
        ),
        number(
            "garman_klass_21_annual",
            "Garman-Klass volatility over 21 sessions, annualised; null without open, high and low.",
            minimum=0,
        ),
        number(
            "rogers_satchell_21_annual",
            "Rogers-Satchell volatility over 21 sessions, annualised; null without open, high and low.",
            minimum=0,
        ),
    ),
)

MICROSTRUCTURE = family(
    "microstructure",
    "Liquidity and spread estimates from daily bars; rows only where open, high, low, close and volume exist.",
    (
        number(
            "amihud_21",
            "Mean absolute return per million of currency traded, over 21 sessions.",
            minimum=0,
        ),
        number(
            "roll_spread_63",
            "Roll effective spread over 63 sessions, as a fraction of the price.",
            minimum=0,
        ),
        number(
            "corwin_schultz_spread_21",
            "Corwin-Schultz high-low spread, mean of 21 sessions, as a fraction of the price.",
            minimum=0,
        ),
        number(
            "abdi_ranaldo_spread_21",
            "Abdi-Ranaldo close-high-low spread, mean of 21 sessions, as a fraction of the price.",
            minimum=0,
        ),
        number(
            "kyle_lambda_63",
            "Slope of the return on the signed root of traded value over 63 sessions, per root million of currency.",
        ),
        number(
            "price_impact_63",
            "Return expected from a trade of 1 % of the average daily traded value.",
        ),
        number(
            "dollar_volume_z_63",
            "Log traded value in standard deviations from its 63-session mean.",
        ),
        number("distance_vwap_21", "Price over the volume-weighted price of 21 sessions, minus 1."),
        number(
            "money_flow_21",
            "Traded value weighted by where the close lies in the day's range, over 21 sessions, -1 to 1.",
            minimum=-1.000001,
            maximum=1.000001,
        ),
    ),
)

QUANTUM = family(
    "quantum",
    "Quantum-inspired features: plain statistics with the names of their analogies. A member switched off in the configuration is null.",
    (
        number(
            "oscillator_energy",
            "Energy of the detrended log price seen as a harmonic oscillator, (x^2 + p^2) / 2.",
            minimum=0,
        ),
        number(
            "oscillator_phase",
            "Phase of the same oscillator, atan2(p, x), radians.",
            minimum=-3.1415927,
            maximum=3.1415927,
        ),
        number(
            "collapse_concentration",
            "Inverse participation ratio of the histogram of trailing returns, 0.1 to 1.",
            minimum=0.0999999,
            maximum=1.0000001,
        ),
        number("collapse_change", "Change of the concentration over 21 sessions."),
        number(
            "entanglement_entropy",
            "Von Neumann entropy of the universe's trailing correlation density matrix over log N, 0 to 1.",
            minimum=0,
            maximum=1.0000001,
        ),
        number(
            "entanglement_contribution",
            "Share of the asset in that entropy, times N; 1 is an equal share.",
            minimum=0,
        ),
        number(
            "entanglement_mutual_information",
            "Gaussian mutual information of the asset with the rest of its universe, nats.",
            minimum=0,
        ),
    ),
)
