"""Settings of the sources of bars."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from btq_assets.config.base import Section
from btq_assets.config.sources.base import MONTH, ProviderSection


class SampleSourceSection(Section):
    """Real data that ships inside Python packages."""

    enabled: bool = True
    synthetic_documents_seed: int = Field(20_240_101, ge=0)
    synthetic_documents_per_symbol_year: int = Field(12, ge=0, le=366)


class FolderSourceSection(Section):
    """Any CSV or Parquet dropped in a folder."""

    enabled: bool = False
    path: str = "inbox"
    timezone: str | None = Field(None, description="Zone of naive times; null refuses them.")
    columns: dict[str, str] = Field(
        default_factory=dict, description="File column → contract column."
    )
    calendar: str = "XNYS"
    currency: str = "USD"
    freq: Literal["1m", "5m", "15m", "1h", "1d"] = "1d"


class YahooSourceSection(ProviderSection):
    """Yahoo Finance through yfinance: daily bars, splits and dividends."""

    symbols: tuple[str, ...] = ("SPY", "AAPL", "MSFT")
    start_month: str = Field("2020-01", pattern=MONTH)
