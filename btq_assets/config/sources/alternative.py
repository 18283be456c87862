"""Settings of the sources of option quotes, off-exchange volume and on-chain metrics."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from btq_assets.config.base import Section
from btq_assets.config.sources.base import DAY, MONTH, ProviderSection

# A snapshot is of its moment: an old answer is no answer.
_SNAPSHOT_HOURS = 0.2


class CboeSourceSection(ProviderSection):
    """Cboe's delayed option chains."""

    symbols: tuple[str, ...] = Field(
        ("SPY", "_SPX"), min_length=1, description="As Cboe writes them: indices as _SPX, _VIX."
    )
    calls_per_minute: float = Field(20.0, gt=0, le=6_000)
    answers_fresh_hours: float = Field(_SNAPSHOT_HOURS, ge=0, le=8_760)


class DeribitSourceSection(ProviderSection):
    """Deribit's option chains."""

    currencies: tuple[str, ...] = Field(("BTC", "ETH"), min_length=1)
    answers_fresh_hours: float = Field(_SNAPSHOT_HOURS, ge=0, le=8_760)


class DeribitTradesSourceSection(ProviderSection):
    """Deribit's option trades, day by day."""

    currencies: tuple[str, ...] = Field(("BTC", "ETH"), min_length=1)
    start_day: str = Field("2024-01-01", pattern=DAY)
    page_rows: int = Field(1_000, ge=10, le=1_000, description="Trades asked for at a time.")
    calls_per_minute: float = Field(120.0, gt=0, le=6_000)


class OptionSweepsSection(Section):
    """What counts as a sweep in option trades, whatever their source."""

    enabled: bool = Field(
        False, description="Also computed when a provider of option trades is enabled."
    )
    window_ms: int = Field(
        250, ge=0, le=60_000, description="At most so long between a print and the one before it."
    )
    min_prints: int = Field(3, ge=2, le=1_000)
    min_prices: int = Field(2, ge=2, le=1_000, description="Different prices walked through.")
    min_premium: float = Field(
        0.0, ge=0, description="Total premium in currency below which nothing is listed."
    )


class FinraAtsSourceSection(ProviderSection):
    """FINRA's weekly volume of alternative trading systems."""

    symbols: tuple[str, ...] = Field(("SPY", "AAPL", "MSFT"), min_length=1)
    start_month: str = Field("2024-01", pattern=MONTH)
    page_rows: int = Field(5_000, ge=1, le=5_000, description="Rows asked for at a time.")


class FinraShortVolumeSourceSection(ProviderSection):
    """FINRA's daily short sale volume files."""

    symbols: tuple[str, ...] = Field(
        (), description="Symbols to keep; empty keeps all of the file, about ten thousand a day."
    )
    start_month: str = Field("2024-01", pattern=MONTH)


class CoinMetricsSourceSection(ProviderSection):
    """CoinMetrics' community data."""

    assets: tuple[str, ...] = Field(("btc", "eth"), min_length=1)
    metrics: tuple[str, ...] = Field(
        ("AdrActCnt", "TxCnt", "HashRate", "FeeTotNtv", "CapMVRVCur", "SplyCur"), min_length=1
    )
    start_month: str = Field("2020-01", pattern=MONTH)
    page_rows: int = Field(1_000, ge=1, le=10_000)
    calls_per_minute: float = Field(90.0, gt=0, le=6_000)


class DefiLlamaSourceSection(ProviderSection):
    """Value locked by chain, from DefiLlama."""

    chains: tuple[str, ...] = Field(("Ethereum", "Solana"), min_length=1)
    calls_per_minute: float = Field(30.0, gt=0, le=6_000)


class StablecoinsSourceSection(ProviderSection):
    """Circulating stablecoins, from DefiLlama."""

    symbols: tuple[str, ...] = Field(("USDT", "USDC"), min_length=1)
    calls_per_minute: float = Field(30.0, gt=0, le=6_000)


class FearGreedSourceSection(ProviderSection):
    """The crypto Fear & Greed index of alternative.me."""


class OptionsSampleSection(Section):
    """Real volatility surfaces inside the package qmoms (extra ``options-sample``)."""

    enabled: bool = False


class OptionMetricsSection(Section):
    """What is computed from option quotes, whatever their source."""

    enabled: bool = Field(
        False, description="Also computed when a provider of option quotes is enabled."
    )
    surface: Literal["svi", "quadratic"] = "svi"
    discount: Literal["curve", "setting"] = Field(
        "curve",
        description="Premiums paid in currency are discounted at the Treasury curve known at the "
        "time where there is one, or always at discount_rate_annual.",
    )
    discount_rate_annual: float = Field(
        0.04, ge=-0.05, le=0.5, description="Where no curve was known; continuously compounded."
    )
    curve_max_age_days: int = Field(
        10, ge=1, le=366, description="An older curve is none: the setting is used, and said."
    )
    min_quotes: int = Field(5, ge=3, le=100, description="Volatilities an expiry needs for a fit.")
    max_relative_spread: float = Field(
        0.5, gt=0, le=2, description="Ask less bid, over their middle; wider quotes are left out."
    )
    history: int = Field(20, ge=5, le=252, description="Earlier days that volume is compared with.")
    unusual_ratio: float = Field(
        1.0, gt=0, description="Volume over open interest from which a contract is listed."
    )
    unusual_min_volume: float = Field(100.0, ge=0)
