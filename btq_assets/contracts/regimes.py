"""Tables of the regimes room."""

from __future__ import annotations

from btq_assets.contracts.base import Column, TableContract
from btq_assets.contracts.columns import TS, count, flag, number, stamp, text

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


def _state_columns() -> tuple[Column, ...]:
    """Columns of a table of named states."""
    words = {
        "bull": "nearest a high mean and little variance",
        "bear": "nearest a negative mean and much variance",
        "sideways": "nearest a mean of zero and little variance",
        "volatile": "nearest a mean of zero and most variance",
    }
    return (
        text("scope", "Universe the states describe; its equal-weight return is the input."),
        TS,
        *(
            number(
                f"p_{label}",
                f"Filtered probability of the state {meaning}; null where the fit has none.",
                minimum=0,
                maximum=1,
            )
            for label, meaning in words.items()
        ),
        text(
            "state",
            "Likeliest state; null without a fit in force.",
            nullable=True,
            allowed=tuple(words),
        ),
        number(
            "state_mean_annual",
            "Mean log return of that state in the fit, times 252.",
        ),
        number(
            "state_volatility_annual", "Volatility of that state in the fit, a year.", minimum=0
        ),
        count("n_states", "States of the fit in force.", nullable=True, minimum=2),
        stamp("fitted_until", "Last bar used to fit the parameters in force at ts.", nullable=True),
        flag("converged", "Whether the latest scheduled fit was usable."),
        number(
            "matched_share",
            "Share of the sessions common with the fit before whose likeliest state has the same "
            "name under both; null for the first fit.",
            minimum=0,
            maximum=1,
        ),
    )


MARKET_STATES = TableContract(
    layer="regimes",
    name="market_states",
    description="Markov switching in mean and variance: filtered (never smoothed) probabilities of 2 to 4 states, named by their moments and matched between refits.",
    columns=_state_columns(),
    key=("scope", "ts"),
)

HIDDEN_STATES = TableContract(
    layer="regimes",
    name="hidden_states",
    description="Hidden Markov model of return, realised volatility and average correlation: filtered (never smoothed) probabilities of 2 to 4 states, named and matched like those of market_states.",
    columns=_state_columns(),
    key=("scope", "ts"),
)

VOLATILITY_STATES = TableContract(
    layer="regimes",
    name="volatility_states",
    description="GARCH(1,1) volatility of the next session, known at ts, against expanding quantiles of its own earlier values.",
    columns=(
        text("scope", "Universe; its equal-weight return is the input."),
        TS,
        number(
            "volatility_forecast_annual",
            "Volatility expected for the next session, a year; null where the fit failed and is configured to give none.",
            minimum=0,
        ),
        number("low_threshold_annual", "Quantile of all earlier forecasts.", minimum=0),
        number("high_threshold_annual", "Quantile of all earlier forecasts.", minimum=0),
        text(
            "state",
            "Below the low threshold, above the high one, or between; null before there are enough earlier forecasts.",
            nullable=True,
            allowed=("low", "normal", "high"),
        ),
        stamp("fitted_until", "Last bar used to fit the parameters in force at ts.", nullable=True),
        flag("converged", "Whether the latest scheduled fit converged."),
    ),
    key=("scope", "ts"),
)

CHANGE_POINTS = TableContract(
    layer="regimes",
    name="change_points",
    description="Bayesian online detection of changes of the mean and variance of the equal-weight return (Adams and MacKay 2007), from what was seen by ts.",
    columns=(
        text("scope", "Universe; its equal-weight return is the input."),
        TS,
        number(
            "p_recent_change",
            "Probability that the last change is at most the configured sessions old.",
            nullable=False,
            minimum=0,
            maximum=1,
        ),
        number(
            "expected_run_sessions",
            "Expected sessions since the last change, this one included.",
            nullable=False,
            minimum=0,
        ),
        number(
            "p_change_since_last",
            "Probability of a change since the last declared one was declared.",
            nullable=False,
            minimum=0,
            maximum=1,
        ),
        count("run_sessions", "Most probable sessions since the last change.", minimum=1),
        flag("is_change", "Whether a change is declared at this session."),
        stamp(
            "changed_at",
            "Its most probable first session, as seen at ts; null where none is declared.",
            nullable=True,
        ),
    ),
    key=("scope", "ts"),
)

#: Components of the stress index: name and meaning.
STRESS_COMPONENTS = {
    "volatility": "Realised volatility of the equal-weight return, a year",
    "spread": "Moody's Baa minus Aaa yield known at ts, percentage points",
    "correlation": "Average correlation of all pairs",
    "drawdown": "Loss of the equal-weight index from its highest level of the window",
    "turbulence": "Mahalanobis distance of the returns from earlier ones over the number of symbols, averaged (Kritzman and Li 2010)",
    "absorption": "Share of variance explained by the first fifth of the eigenvectors (Kritzman et al. 2011)",
}

STRESS_INDEX = TableContract(
    layer="regimes",
    name="stress_index",
    description="Weighted mean of stress components, each in standard deviations from the mean of its own earlier values, and a crisis flag with hysteresis.",
    columns=(
        text("scope", "Universe the index describes."),
        TS,
        *(
            number(name, f"{meaning}; null where missing.")
            for name, meaning in STRESS_COMPONENTS.items()
        ),
        *(
            number(
                f"{name}_score",
                f"Deviations of {name} from the mean of its earlier values; null before there are enough.",
            )
            for name in STRESS_COMPONENTS
        ),
        number("stress_index", "Weighted mean of the scores; null with too few of them."),
        count("n_components", "Components in the index."),
        flag("is_crisis", "On from the enter threshold to below the exit one."),
    ),
    key=("scope", "ts"),
)

CORRELATION_BREAKS = TableContract(
    layer="regimes",
    name="correlation_breaks",
    description="Test of the correlations of the last window against those of the window before it; tests overlap, so that p-values of neighbours are not independent.",
    columns=(
        text("scope", "Universe tested."),
        TS,
        stamp("boundary", "Last session of the earlier window: the date of the break, if any."),
        count("n_symbols", "Symbols that have both windows in full.", minimum=2),
        count("degrees_of_freedom", "Pairs: degrees of freedom of Jennrich's test.", minimum=1),
        number(
            "common_kurtosis",
            "Kurtosis the symbols share (Mardia 1970, 0 for normal ones), by which both statistics are corrected.",
            nullable=False,
            minimum=0,
        ),
        number(
            "jennrich_statistic", "Jennrich (1970), chi-square under equality; null where singular."
        ),
        number("jennrich_p_value", "Its p-value.", minimum=0, maximum=1),
        number(
            "largest_change",
            "Larntz and Perlman (1985): largest change of Fisher's z of a pair, deviations.",
            nullable=False,
            minimum=0,
        ),
        number(
            "largest_change_p_value",
            "Its p-value, an upper bound.",
            nullable=False,
            minimum=0,
            maximum=1,
        ),
        text("symbol_a", "First symbol of that pair."),
        text("symbol_b", "Second symbol of that pair."),
        number(
            "correlation_before",
            "Average correlation in the earlier window, of normal scores.",
            minimum=-1,
            maximum=1,
        ),
        number(
            "correlation_after",
            "Average correlation in the last window, of normal scores.",
            minimum=-1,
            maximum=1,
        ),
        number("p_value", "P-value of the configured test.", minimum=0, maximum=1),
        flag("rejected", "Whether it is below the configured significance."),
        flag(
            "is_break",
            "First rejection, or the first after a window's length since the last such one.",
        ),
    ),
    key=("scope", "ts"),
)

PARAMETERS = TableContract(
    layer="regimes",
    name="parameters",
    description="Regime in force, with hysteresis, and the parameters configured for it; strategies may read them at a decision.",
    columns=(
        text("scope", "Universe."),
        TS,
        text(
            "regime",
            "Market state in force, or crisis while the crisis flag is on.",
            allowed=("bull", "bear", "sideways", "volatile", "crisis"),
        ),
        count(
            "sessions_in_regime", "Sessions since it came in, the first counted as 1.", minimum=1
        ),
        number(
            "exposure_multiplier",
            "Factor on the exposure a strategy would take.",
            nullable=False,
            minimum=0,
        ),
        number(
            "max_position",
            "Largest share of equity in one asset.",
            nullable=False,
            minimum=0,
            maximum=1,
        ),
        number(
            "rebalance_threshold",
            "Smallest change of a weight worth trading.",
            nullable=False,
            minimum=0,
            maximum=1,
        ),
    ),
    key=("scope", "ts"),
)
