"""Settings of the features: which families are computed, and their parameters.

Belongs here: the section `features`. Does not belong here: labels and fractional differences
(`config.labelling`), which families a model reads (`config.feature_families`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from btq_assets.config.base import Section
from btq_assets.config.labelling import FractionalSection, LabelsSection


class QuantumFeaturesSection(Section):
    """Quantum-inspired family."""

    enable: bool = True
    harmonic_oscillator: bool = True
    wave_function_collapse: bool = True
    entanglement: bool = True
    window_sessions: int = Field(63, ge=20, le=504)


class AlternativeDataSection(Section):
    """Families that need more than prices."""

    sentiment_analysis: bool = True
    macro_indicators: bool = True


class GarchSection(Section):
    """When GARCH, GJR-GARCH and EGARCH are fitted, and on what."""

    min_fit_sessions: int = Field(504, ge=100, description="Returns before the first fit.")
    refit_every_sessions: int = Field(252, ge=1, description="Returns between fits.")
    window_sessions: int | None = Field(
        None, ge=100, description="Returns fitted; null for all so far."
    )
    failed_fit: Literal["previous", "null"] = Field(
        "previous",
        description="In force after a fit that did not converge: the one before, or none.",
    )


class FeaturesSection(Section):
    """Feature families and their parameters."""

    quantum_features: QuantumFeaturesSection = QuantumFeaturesSection()
    alternative_data: AlternativeDataSection = AlternativeDataSection()
    garch: GarchSection = GarchSection()
    har_window_sessions: int = Field(
        1000, ge=20, le=2520, description="Past sessions a HAR regression is fitted on."
    )
    fractional: FractionalSection = FractionalSection()
    labels: LabelsSection = LabelsSection()
    sentiment_half_life_sessions: float = Field(5.0, gt=0, le=252)
    correlation_window_sessions: int = Field(126, ge=40, le=756)
    custom_modules: tuple[
        Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$")], ...
    ] = Field((), description="Modules with features of one's own: table `features.custom`.")
    named_sets: tuple[Literal["alpha101", "alpha158", "alpha360", "talib"], ...] = Field(
        ("alpha158",), description="Published sets of features that are computed."
    )
    onchain_coins: dict[str, str] = Field(
        {
            "BTC-USD": "btc", "BTCUSDT": "btc", "BTC/USDT": "btc",
            "ETH-USD": "eth", "ETHUSDT": "eth", "ETH/USDT": "eth",
        },
        description="Coin of the on-chain metrics behind each symbol, as the source spells it.",
    )  # fmt: skip
    onchain_chains: dict[str, str] = Field(
        {
            "ETH-USD": "Ethereum", "ETHUSDT": "Ethereum", "ETH/USDT": "Ethereum",
            "SOL-USD": "Solana", "SOLUSDT": "Solana", "SOL/USDT": "Solana",
        },
        description="Chain whose locked value belongs to each symbol, as the source spells it.",
    )  # fmt: skip
    option_underlyings: dict[str, str] = Field(
        {
            "BTC-USD": "BTC", "BTCUSDT": "BTC", "BTC/USDT": "BTC",
            "ETH-USD": "ETH", "ETHUSDT": "ETH", "ETH/USDT": "ETH",
            "^GSPC": "SPX", "^SP500": "SPX",
        },
        description="Underlying of the options on each symbol where it is not the symbol itself.",
    )  # fmt: skip
    tick_bar: Literal["1m", "5m", "15m"] = Field(
        "1m", description="Bars that features of ticks are gathered in."
    )
    tick_window_bars: int = Field(
        30, ge=5, le=1_000, description="Bars that impact and deviation of ticks are measured over."
    )
    tick_horizon_seconds: float = Field(
        300.0, gt=0, le=7_200, description="From a trade to the price that says what it cost."
    )
    truncation_dates: int = Field(
        3, ge=1, le=20, description="Seeded dates of the truncation check."
    )
