"""Settings of the sources of bars."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from btq_assets.config.base import Frequency, Section
from btq_assets.config.sources.base import DAY, MONTH, ProviderSection


class SampleSourceSection(Section):
    """Real data that ships inside Python packages."""

    enabled: bool = True
    synthetic_documents_seed: int = Field(20_240_101, ge=0)
    synthetic_documents_per_symbol_year: int = Field(12, ge=0, le=366)


class FolderSourceSection(Section):
    """Any CSV, JSON lines or Parquet dropped in a folder."""

    enabled: bool = False
    path: str = "inbox"
    timezone: str | None = Field(None, description="Zone of naive times; null refuses them.")
    columns: dict[str, str] = Field(
        default_factory=dict, description="File column → contract column."
    )
    calendar: str = "XNYS"
    currency: str = "USD"
    freq: Literal["1m", "5m", "15m", "1h", "1d"] = "1d"
    date_order: Literal["month_first", "day_first"] | None = Field(
        None, description="How 1/2/2020 is meant where a file does not show it; null refuses it."
    )
    decimal: Literal["point", "comma"] | None = Field(
        None, description="How 1,234 is meant where a file does not show it; null refuses it."
    )
    largest_unpacked_gib: float = Field(
        64.0, gt=0, description="A packed file that unpacks to more is refused."
    )


SymbolMap = dict[str, str]


class BarsProviderSection(ProviderSection):
    """A remote provider of bars: which instruments, under which names, in which universe."""

    symbols: tuple[str, ...] | SymbolMap = Field(
        (), description="A list in the provider's spelling, or a mapping: own name → provider's."
    )
    universe: str = Field("", min_length=1, description="Universe its instruments belong to.")


class YahooSourceSection(BarsProviderSection):
    """Yahoo Finance through yfinance: daily bars, splits and dividends."""

    symbols: tuple[str, ...] | SymbolMap = ("SPY", "AAPL", "MSFT")
    universe: str = Field("yahoo", min_length=1)
    start_month: str = Field("2020-01", pattern=MONTH)


class BinanceSourceSection(BarsProviderSection):
    """Binance spot bars from its public market-data address; no key."""

    symbols: tuple[str, ...] | SymbolMap = ("BTCUSDT", "ETHUSDT")
    universe: str = Field("crypto", min_length=1)
    freqs: tuple[Frequency, ...] = Field(("1d",), min_length=1)
    start_month: str = Field("2020-01", pattern=MONTH)
    calls_per_minute: float = Field(600.0, gt=0, le=6_000)


class CcxtSourceSection(BarsProviderSection):
    """Any crypto exchange through ccxt (extra `crypto`): bars, and funding of perpetuals."""

    exchange: str = Field("kraken", min_length=1, description="Exchange id of ccxt.")
    symbols: tuple[str, ...] | SymbolMap = Field(
        ("BTC/USD",),
        description="ccxt's unified names: BASE/QUOTE is spot, BASE/QUOTE:SETTLE a perpetual.",
    )
    universe: str = Field("crypto_ccxt", min_length=1)
    freqs: tuple[Frequency, ...] = Field(("1d",), min_length=1)
    page_rows: int = Field(500, ge=2, le=5_000, description="Bars asked for at a time.")
    start_month: str = Field("2020-01", pattern=MONTH)


class AlphaVantageSourceSection(BarsProviderSection):
    """Alpha Vantage bars as traded; needs ALPHA_VANTAGE_KEY."""

    symbols: tuple[str, ...] | SymbolMap = ("IBM",)
    universe: str = Field("alpha_vantage", min_length=1)
    freq: Frequency = "1d"
    outputsize: Literal["compact", "full"] = Field(
        "compact", description="compact: the last 100 bars; full: all, which some plans refuse."
    )
    adjusted: bool = Field(
        False, description="Daily bars with adjusted close, splits and dividends: a paid plan."
    )
    start_month: str | None = Field(
        None,
        pattern=MONTH,
        description="Intraday bars month by month from here on: a paid plan. Null: the last days.",
    )
    start_day: str = Field("1999-11-01", pattern=DAY, description="Bars before it are left out.")
    calls_per_minute: float = Field(5.0, gt=0, le=6_000)


class NasdaqDataLinkSourceSection(BarsProviderSection):
    """Time-series datasets of Nasdaq Data Link; QUANDL_KEY is optional."""

    symbols: tuple[str, ...] | SymbolMap = Field(
        ("WIKI/AAPL",), description="Codes DATABASE/DATASET; own name → code."
    )
    universe: str = Field("wiki", min_length=1)
    calendar: str = Field("XNYS", min_length=1)
    currency: str = Field("USD", min_length=1)
    start_day: str = Field("1990-01-01", pattern=DAY, description="Bars before it are left out.")


class EcbSourceSection(BarsProviderSection):
    """Euro reference rates of the European Central Bank."""

    symbols: tuple[str, ...] | SymbolMap = Field(
        (
            *("AUD", "CAD", "CHF", "CZK", "DKK", "GBP", "HKD", "HUF", "JPY"),
            *("KRW", "NOK", "NZD", "PLN", "SEK", "SGD", "USD", "ZAR"),
        ),
        description="Currencies; USD becomes EURUSD, dollars for one euro.",
    )
    universe: str = Field("fx_ecb", min_length=1)
    start_day: str = Field("1999-01-04", pattern=DAY, description="Rates before it are left out.")
