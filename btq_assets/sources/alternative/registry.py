"""Remote providers of this kind; an entry puts one into the graph."""

from __future__ import annotations

from btq_assets.contracts.raw import alternative as raw
from btq_assets.sources.alternative.checks import (
    DARK_POOL_CHECKS,
    ONCHAIN_CHECKS,
    OPTION_CHECKS,
    OPTION_TRADE_CHECKS,
    SHORT_VOLUME_CHECKS,
)
from btq_assets.sources.provider import ProviderEntry
from data_quality import (
    raw_dark_pool_suite,
    raw_onchain_suite,
    raw_option_trades_suite,
    raw_options_suite,
    raw_short_volume_suite,
)

_PROVIDERS = "btq_assets.sources.alternative.providers"
_CODE = (
    "btq_assets.sources.alternative.cells",
    "btq_assets.sources.alternative.checks",
    "data_quality.alternative_suites",
    "data_quality.alternative_views",
)
_OPTION_CODE = (*_CODE, "btq_assets.sources.alternative.contract_names")

#: Histories are sent anew with the last digits of their values rounded differently.
_TOLERANCE = 1e-9

ENTRIES: tuple[ProviderEntry, ...] = (
    ProviderEntry(
        name="cboe",
        kind="options",
        contracts=(raw.OPTION_QUOTES_CBOE,),
        opener=f"{_PROVIDERS}.cboe:Cboe",
        homepage="https://www.cboe.com/delayed_quotes",
        terms="Delayed quotes for personal, non-commercial use; no redistribution.",
        checks=(*OPTION_CHECKS, raw_options_suite(raw.OPTION_QUOTES_CBOE)),
        code=_OPTION_CODE,
    ),
    ProviderEntry(
        name="deribit",
        kind="options",
        contracts=(raw.OPTION_QUOTES_DERIBIT,),
        opener=f"{_PROVIDERS}.deribit:Deribit",
        homepage="https://docs.deribit.com",
        terms="Public market data under Deribit's terms of service.",
        checks=(*OPTION_CHECKS, raw_options_suite(raw.OPTION_QUOTES_DERIBIT)),
        code=_OPTION_CODE,
    ),
    ProviderEntry(
        name="deribit_trades",
        kind="options",
        contracts=(raw.OPTION_TRADES_DERIBIT,),
        opener=f"{_PROVIDERS}.deribit_trades:DeribitTrades",
        partitions="day",
        homepage="https://docs.deribit.com",
        terms="Public market data under Deribit's terms of service.",
        checks=(*OPTION_TRADE_CHECKS, raw_option_trades_suite(raw.OPTION_TRADES_DERIBIT)),
        code=(
            *_OPTION_CODE,
            f"{_PROVIDERS}.deribit",
            "data_quality.option_trade_suites",
            "data_quality.option_trade_views",
        ),
    ),
    ProviderEntry(
        name="finra_ats",
        kind="dark_pool",
        contracts=(raw.DARK_POOL_FINRA,),
        opener=f"{_PROVIDERS}.finra_ats:FinraAts",
        partitions="month",
        homepage="https://developer.finra.org",
        terms="FINRA's terms for OTC transparency data: personal use, no redistribution for a fee.",
        checks=(*DARK_POOL_CHECKS, raw_dark_pool_suite(raw.DARK_POOL_FINRA)),
        code=_CODE,
    ),
    ProviderEntry(
        name="finra_short_volume",
        kind="dark_pool",
        contracts=(raw.SHORT_VOLUME_FINRA,),
        opener=f"{_PROVIDERS}.finra_short_volume:FinraShortVolume",
        partitions="month",
        homepage="https://www.finra.org/finra-data/browse-catalog/short-sale-volume-data",
        terms="FINRA's terms for short sale volume data: personal use, no redistribution for a fee.",
        checks=(*SHORT_VOLUME_CHECKS, raw_short_volume_suite(raw.SHORT_VOLUME_FINRA)),
        code=_CODE,
    ),
    ProviderEntry(
        name="coinmetrics",
        kind="onchain",
        contracts=(raw.ONCHAIN_COINMETRICS,),
        opener=f"{_PROVIDERS}.coinmetrics:CoinMetrics",
        partitions="month",
        homepage="https://docs.coinmetrics.io",
        terms="Community data: CC BY-NC 4.0.",
        checks=(*ONCHAIN_CHECKS, raw_onchain_suite(raw.ONCHAIN_COINMETRICS)),
        code=_CODE,
        tolerance=_TOLERANCE,
    ),
    ProviderEntry(
        name="defillama",
        kind="onchain",
        contracts=(raw.ONCHAIN_DEFILLAMA,),
        opener=f"{_PROVIDERS}.defillama:DefiLlama",
        homepage="https://api-docs.defillama.com",
        terms="Open interface; be gentle.",
        checks=(*ONCHAIN_CHECKS, raw_onchain_suite(raw.ONCHAIN_DEFILLAMA)),
        code=_CODE,
        tolerance=_TOLERANCE,
    ),
    ProviderEntry(
        name="stablecoins",
        kind="onchain",
        contracts=(raw.ONCHAIN_STABLECOINS,),
        opener=f"{_PROVIDERS}.defillama:Stablecoins",
        homepage="https://api-docs.defillama.com",
        terms="Open interface; be gentle.",
        checks=(*ONCHAIN_CHECKS, raw_onchain_suite(raw.ONCHAIN_STABLECOINS)),
        code=_CODE,
        tolerance=_TOLERANCE,
    ),
    ProviderEntry(
        name="fear_greed",
        kind="onchain",
        contracts=(raw.ONCHAIN_FEAR_GREED,),
        opener=f"{_PROVIDERS}.fear_greed:FearGreed",
        homepage="https://alternative.me/crypto/fear-and-greed-index",
        terms="Free with attribution to alternative.me beside the data.",
        checks=(*ONCHAIN_CHECKS, raw_onchain_suite(raw.ONCHAIN_FEAR_GREED)),
        code=_CODE,
    ),
)
