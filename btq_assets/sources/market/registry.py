"""Remote providers of bars; an entry puts one into the graph."""

from __future__ import annotations

from btq_assets.contracts import raw
from btq_assets.sources.market.checks import FIRST_SIGHT_CHECKS, warning_only
from btq_assets.sources.provider import ProviderEntry
from data_quality import corporate_actions_suite, funding_suite, raw_bars_suite

#: Yahoo's adjusted closes move in their seventh digit from one answer to the next.
_ADJUSTED_TOLERANCE = 1e-6

_PROVIDERS = "btq_assets.sources.market.providers"
_CODE = (
    "btq_assets.sources.market",
    "btq_assets.timeline",
    # Bars are judged by a suite of statistics too, so a change of it makes them new.
    "data_quality.suites",
    "data_quality.action_views",
    "data_quality.alternative_suites",
    "data_quality.bar_views",
    "data_quality.stamp_views",
    "data_quality.runner",
)

YAHOO = ProviderEntry(
    name="yahoo",
    kind="bars",
    contracts=(raw.BARS_YAHOO, raw.CORPORATE_ACTIONS_YAHOO),
    opener=f"{_PROVIDERS}.yahoo:Yahoo",
    partitions="month",
    homepage="https://finance.yahoo.com",
    terms="Personal use, under Yahoo's terms.",
    checks=(
        *FIRST_SIGHT_CHECKS,
        raw_bars_suite(raw.BARS_YAHOO),
        corporate_actions_suite(raw.CORPORATE_ACTIONS_YAHOO),
    ),
    code=_CODE,
    tolerance=_ADJUSTED_TOLERANCE,
)

BINANCE = ProviderEntry(
    name="binance",
    kind="bars",
    contracts=(raw.BARS_BINANCE,),
    opener=f"{_PROVIDERS}.binance:Binance",
    partitions="month",
    homepage="https://data-api.binance.vision",
    terms="Public market data, under Binance's terms of use; not served everywhere.",
    # Coins do jump a hundredfold, and split (redenominate): possible, so it warns.
    checks=(*FIRST_SIGHT_CHECKS, warning_only(raw_bars_suite(raw.BARS_BINANCE))),
    code=_CODE,
)

CCXT = ProviderEntry(
    name="ccxt",
    kind="bars",
    contracts=(raw.BARS_CCXT, raw.FUNDING_RATES_CCXT),
    opener=f"{_PROVIDERS}.ccxt_exchange:CcxtExchange",
    partitions="month",
    homepage="https://github.com/ccxt/ccxt",
    terms="The library is MIT; the data are under the terms of the exchange.",
    checks=(
        *FIRST_SIGHT_CHECKS,
        warning_only(raw_bars_suite(raw.BARS_CCXT)),
        funding_suite(raw.FUNDING_RATES_CCXT),
    ),
    code=_CODE,
)

ALPHA_VANTAGE = ProviderEntry(
    name="alpha_vantage",
    kind="bars",
    contracts=(raw.BARS_ALPHA_VANTAGE, raw.CORPORATE_ACTIONS_ALPHA_VANTAGE),
    opener=f"{_PROVIDERS}.alpha_vantage:AlphaVantage",
    key="ALPHA_VANTAGE_KEY",
    key_required=True,
    key_page="https://www.alphavantage.co/support/#api-key",
    homepage="https://www.alphavantage.co",
    terms="Free keys: 25 requests a day, personal use.",
    checks=(
        *FIRST_SIGHT_CHECKS,
        warning_only(raw_bars_suite(raw.BARS_ALPHA_VANTAGE)),
        corporate_actions_suite(raw.CORPORATE_ACTIONS_ALPHA_VANTAGE),
    ),
    code=_CODE,
    tolerance=_ADJUSTED_TOLERANCE,
)

NASDAQ_DATA_LINK = ProviderEntry(
    name="nasdaq_data_link",
    kind="bars",
    contracts=(raw.BARS_NASDAQ_DATA_LINK, raw.CORPORATE_ACTIONS_NASDAQ_DATA_LINK),
    opener=f"{_PROVIDERS}.nasdaq_data_link:NasdaqDataLink",
    key="QUANDL_KEY",
    key_page="https://data.nasdaq.com/account/profile",
    homepage="https://data.nasdaq.com",
    terms="Each dataset has its own licence; WIKI is public domain and ended on 2018-03-27.",
    checks=(
        *FIRST_SIGHT_CHECKS,
        raw_bars_suite(raw.BARS_NASDAQ_DATA_LINK),
        corporate_actions_suite(raw.CORPORATE_ACTIONS_NASDAQ_DATA_LINK),
    ),
    code=_CODE,
    tolerance=_ADJUSTED_TOLERANCE,
)

ECB = ProviderEntry(
    name="ecb",
    kind="bars",
    contracts=(raw.BARS_ECB,),
    opener=f"{_PROVIDERS}.ecb:Ecb",
    homepage="https://www.ecb.europa.eu",
    terms="Free re-use with attribution to the European Central Bank.",
    checks=(*FIRST_SIGHT_CHECKS, raw_bars_suite(raw.BARS_ECB)),
    code=_CODE,
)

ENTRIES: tuple[ProviderEntry, ...] = (
    YAHOO,
    BINANCE,
    CCXT,
    ALPHA_VANTAGE,
    NASDAQ_DATA_LINK,
    ECB,
)
