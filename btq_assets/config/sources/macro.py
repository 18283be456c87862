"""Settings of the sources of macro series."""

from __future__ import annotations

from pydantic import Field

from btq_assets.config.sources.base import DAY, MONTH, ProviderSection


class FredSourceSection(ProviderSection):
    """FRED's graph files: whole series as they stand today, no key, release times assumed."""

    series: tuple[str, ...] = Field(
        (
            "DGS3MO", "DGS2", "DGS5", "DGS10", "VIXCLS", "DCOILWTICO", "AAA", "BAA", "CPILFESL",
            "INDPRO", "PAYEMS", "UNRATE",
        ),
        min_length=1,
        description="FRED's names.",
    )  # fmt: skip
    start_day: str = Field("1950-01-01", pattern=DAY)
    series_per_request: int = Field(8, ge=1, le=50)
    calls_per_minute: float = Field(30.0, gt=0, le=6_000)


class AlfredSourceSection(ProviderSection):
    """FRED's API with every vintage of a series, each with the day it came out (FRED_API_KEY)."""

    series: tuple[str, ...] = Field(
        ("CPIAUCSL", "CPILFESL", "GDPC1", "INDPRO", "PAYEMS", "UNRATE"), min_length=1
    )
    start_day: str = Field(
        "1985-01-01", pattern=DAY, description="First period; its vintages are all asked for."
    )
    page_rows: int = Field(100_000, ge=1, le=100_000, description="Rows asked for at a time.")


class TreasurySourceSection(ProviderSection):
    """The US Treasury's daily par yield curve."""

    start_month: str = Field("2000-01", pattern=MONTH, description="1990-01 at the earliest.")
    calls_per_minute: float = Field(30.0, gt=0, le=6_000)


class VixSourceSection(ProviderSection):
    """Cboe's histories of its volatility indices."""

    indices: tuple[str, ...] = Field(
        ("VIX",), min_length=1, description="As in the names of Cboe's files: VIX, VIX9D, VVIX."
    )


class EcbRatesSourceSection(ProviderSection):
    """Interest rates and other series of the ECB Data Portal."""

    series: tuple[str, ...] = Field(
        ("FM.D.U2.EUR.4F.KR.DFR.LEV", "EST.B.EU000A2X2A25.WT"),
        min_length=1,
        description="Series keys, dataflow first: by default the deposit facility rate and €STR.",
    )
    start_day: str = Field("1999-01-01", pattern=DAY)
    calls_per_minute: float = Field(30.0, gt=0, le=6_000)
