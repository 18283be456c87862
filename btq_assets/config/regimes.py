"""Settings of the regimes room: bounds and defaults.

Belongs here: one class per model of market states. Does not belong here: anything that acts on a
setting.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from btq_assets.config.base import Section

FailedFit = Literal["previous", "null", "error"]
NumberOfStates = Literal["bic", 2, 3, 4]


class StateModelSection(Section):
    """A Gaussian model with hidden Markov states, fitted by expectation-maximisation."""

    enable: bool = True
    n_states: NumberOfStates = Field(
        "bic", description="Number of states, or bic: the best of 2 to 4 in each fit window."
    )
    bic_margin: float = Field(
        10.0,
        ge=0,
        description="BIC by which another number must beat that of the fit before.",
    )
    window_sessions: int = Field(2520, ge=252, description="Longest fit window.")
    stickiness: float = Field(
        100.0,
        ge=0,
        le=10_000,
        description="Pseudo-sessions spent staying in each state, added to its row of the "
        "transition counts; 0 is plain maximum likelihood.",
    )
    max_iterations: int = Field(500, ge=10, le=10_000)
    tolerance: float = Field(
        1e-3, gt=0, le=1, description="Gain of log likelihood at which iterations stop."
    )
    min_state_share: float = Field(
        0.02, ge=0, lt=0.5, description="A fit with a rarer state than that is refused."
    )
    label_weight: float = Field(
        2.0,
        ge=0,
        le=100,
        description="Weight of the previous fit's labels against the moments, when states are named.",
    )


class HiddenStatesSection(StateModelSection):
    """Hidden Markov model of returns, realised volatility and average correlation."""

    n_states: NumberOfStates = Field(
        3, description="Number of states; slow inputs make BIC ask for ever more of them."
    )
    volatility_window_sessions: int = Field(21, ge=5, le=252)
    correlation_window_sessions: int = Field(63, ge=20, le=504)


class VolatilityStatesSection(Section):
    """GARCH(1,1) volatility against expanding quantiles of its own past."""

    enable: bool = True
    window_sessions: int = Field(1260, ge=252)
    low_quantile: float = Field(0.33, gt=0, lt=1)
    high_quantile: float = Field(0.90, gt=0, lt=1)
    min_history_sessions: int = Field(252, ge=20)

    @model_validator(mode="after")
    def _ordered(self) -> VolatilityStatesSection:
        if self.low_quantile >= self.high_quantile:
            raise ValueError(
                f"low_quantile {self.low_quantile} must be below high_quantile {self.high_quantile}"
            )
        return self


class ChangePointsSection(Section):
    """Bayesian online detection of changes of mean and variance."""

    enable: bool = True
    expected_run_sessions: float = Field(
        504.0, ge=10, le=100_000, description="Mean sessions between changes (1 / hazard)."
    )
    recent_sessions: int = Field(
        21, ge=1, le=252, description="A change counts as recent that long."
    )
    warm_up_sessions: int = Field(
        252, ge=20, description="First sessions, which give the prior's scale."
    )
    declare_probability: float = Field(
        0.9,
        gt=0.5,
        lt=1,
        description="Probability of a change since the last one declared, at which one is declared.",
    )
    clip_deviations: float = Field(
        6.0, gt=1, description="Larger returns count as that many deviations of the warm-up."
    )


class StressWeights(Section):
    """Weights of the components; those of missing ones are shared out among the others."""

    volatility: float = Field(1.0, ge=0)
    spread: float = Field(1.0, ge=0)
    correlation: float = Field(1.0, ge=0)
    drawdown: float = Field(1.0, ge=0)
    turbulence: float = Field(1.0, ge=0)
    absorption: float = Field(1.0, ge=0)


class StressSection(Section):
    """Stress index and crisis flag."""

    enable: bool = True
    weights: StressWeights = StressWeights()
    min_components: int = Field(3, ge=1, le=6)
    min_history_sessions: int = Field(
        252, ge=20, description="Past values a component is standardised on, at least."
    )
    volatility_window_sessions: int = Field(21, ge=5, le=252)
    correlation_window_sessions: int = Field(63, ge=20, le=504)
    drawdown_window_sessions: int = Field(252, ge=20, le=2_520)
    turbulence_window_sessions: int = Field(756, ge=60, le=5_040)
    turbulence_refit_sessions: int = Field(
        5, ge=1, le=252, description="Sessions between estimates of the past mean and covariance."
    )
    turbulence_mean_sessions: int = Field(21, ge=1, le=252)
    absorption_window_sessions: int = Field(500, ge=60, le=2_520)
    absorption_half_life_sessions: float = Field(250.0, gt=1, le=5_040)
    crisis_enter: float = Field(1.5, description="Index at which a crisis begins, deviations.")
    crisis_exit: float = Field(0.75, description="Index below which it may end, deviations.")
    crisis_min_sessions: int = Field(10, ge=1, le=252, description="A crisis lasts at least that.")

    @model_validator(mode="after")
    def _hysteresis(self) -> StressSection:
        if self.crisis_exit > self.crisis_enter:
            raise ValueError(
                f"crisis_exit {self.crisis_exit} must not exceed crisis_enter {self.crisis_enter}"
            )
        return self


class CorrelationBreaksSection(Section):
    """Equality of the correlations of two adjacent windows."""

    enable: bool = True
    test: Literal["jennrich", "larntz_perlman"] = Field(
        "jennrich", description="Whose p-value decides; both are in the table."
    )
    window_sessions: int = Field(126, ge=30, le=1_260, description="Sessions of each window.")
    every_sessions: int = Field(10, ge=1, le=252)
    significance: float = Field(0.001, gt=0, lt=1)
    max_symbols: int = Field(
        20, ge=2, le=500, description="Symbols tested: the first by name that have both windows."
    )


class RegimeValues(Section):
    """What a strategy may do in a regime."""

    exposure_multiplier: float = Field(1.0, ge=0, le=2)
    max_position: float = Field(0.25, gt=0, le=1, description="Largest share of one asset.")
    rebalance_threshold: float = Field(
        0.01, ge=0, le=1, description="Smallest change of a weight worth trading."
    )


class RegimeParametersSection(Section):
    """Parameters by regime, and when the regime in force changes."""

    enable: bool = True
    bull: RegimeValues = RegimeValues()
    sideways: RegimeValues = RegimeValues(exposure_multiplier=0.8, rebalance_threshold=0.02)
    bear: RegimeValues = RegimeValues(exposure_multiplier=0.5, max_position=0.15)
    volatile: RegimeValues = RegimeValues(exposure_multiplier=0.5, max_position=0.15)
    crisis: RegimeValues = RegimeValues(exposure_multiplier=0.25, max_position=0.10)
    enter_probability: float = Field(
        0.7, gt=0, le=1, description="Filtered probability at which another regime comes in."
    )
    exit_probability: float = Field(
        0.4, ge=0, lt=1, description="Filtered probability below which the regime may be left."
    )
    min_dwell_sessions: int = Field(10, ge=1, le=252)

    @model_validator(mode="after")
    def _hysteresis(self) -> RegimeParametersSection:
        if self.exit_probability > self.enter_probability:
            raise ValueError(
                f"exit_probability {self.exit_probability} must not exceed enter_probability "
                f"{self.enter_probability}"
            )
        return self


class RegimesSection(Section):
    """Market states of the universe's equal-weight return, and what follows from them."""

    enable: bool = True
    min_fit_sessions: int = Field(756, ge=252)
    refit_every_sessions: int = Field(504, ge=5)
    fit_window_sessions: int = Field(1260, ge=252)
    on_failed_fit: FailedFit = Field(
        "previous",
        description="Where a scheduled fit fails: the previous one stays in force, or no states "
        "until the next, or an error (regimes.states always keeps the previous).",
    )
    market_states: StateModelSection = StateModelSection()
    hidden_states: HiddenStatesSection = HiddenStatesSection()
    volatility_states: VolatilityStatesSection = VolatilityStatesSection()
    change_points: ChangePointsSection = ChangePointsSection()
    stress: StressSection = StressSection()
    correlation_breaks: CorrelationBreaksSection = CorrelationBreaksSection()
    parameters: RegimeParametersSection = RegimeParametersSection()
