"""Remote providers of this kind; an entry puts one into the graph."""

from __future__ import annotations

from btq_assets.contracts import raw
from btq_assets.sources.macro.checks import CHECKS, MARKET_CHECKS, VINTAGE_CHECKS
from btq_assets.sources.provider import ProviderEntry
from data_quality import macro_suite

_CODE = (
    "btq_assets.sources.macro.tables",
    "btq_assets.sources.macro.series",
    "btq_assets.sources.macro.releases",
    "btq_assets.sources.macro.checks",
    "data_quality.macro_suites",
    "data_quality.macro_views",
)

ENTRIES: tuple[ProviderEntry, ...] = (
    ProviderEntry(
        name="fred",
        kind="macro",
        contracts=(raw.MACRO_FRED,),
        opener="btq_assets.sources.macro.providers.fred:Fred",
        homepage="https://fred.stlouisfed.org",
        terms="Free with attribution; single series belong to their publishers.",
        checks=(*CHECKS, macro_suite(raw.MACRO_FRED)),
        code=_CODE,
    ),
    ProviderEntry(
        name="alfred",
        kind="macro",
        contracts=(raw.MACRO_ALFRED,),
        opener="btq_assets.sources.macro.providers.alfred:Alfred",
        key="FRED_API_KEY",
        key_required=True,
        key_page="https://fred.stlouisfed.org/docs/api/api_key.html",
        homepage="https://alfred.stlouisfed.org",
        terms="Free with a free key and attribution; single series belong to their publishers.",
        checks=(*VINTAGE_CHECKS, macro_suite(raw.MACRO_ALFRED)),
        code=_CODE,
    ),
    ProviderEntry(
        name="treasury",
        kind="macro",
        contracts=(raw.MACRO_TREASURY,),
        opener="btq_assets.sources.macro.providers.treasury:Treasury",
        partitions="month",
        homepage="https://home.treasury.gov",
        terms="Public domain.",
        checks=(*MARKET_CHECKS, macro_suite(raw.MACRO_TREASURY)),
        code=_CODE,
    ),
    ProviderEntry(
        name="vix",
        kind="macro",
        contracts=(raw.MACRO_CBOE,),
        opener="btq_assets.sources.macro.providers.cboe:VolatilityIndices",
        homepage="https://www.cboe.com",
        terms="Cboe's terms of use: personal use, no redistribution.",
        checks=(*CHECKS, macro_suite(raw.MACRO_CBOE)),
        code=_CODE,
    ),
    ProviderEntry(
        name="ecb_rates",
        kind="macro",
        contracts=(raw.MACRO_ECB,),
        opener="btq_assets.sources.macro.providers.ecb:EcbSeries",
        homepage="https://data.ecb.europa.eu",
        terms="Free re-use with attribution.",
        checks=(*CHECKS, macro_suite(raw.MACRO_ECB)),
        code=_CODE,
    ),
)
