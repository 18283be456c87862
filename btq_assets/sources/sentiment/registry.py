"""Remote providers of this kind; an entry puts one into the graph."""

from __future__ import annotations

from btq_assets.contracts import raw
from btq_assets.contracts.base import TableContract
from btq_assets.contracts.raw.sentiment import COMPARED
from btq_assets.sources.provider import Partitions, ProviderEntry
from btq_assets.sources.sentiment.checks import OBSERVED_CHECKS
from data_quality import documents_suite

_PACKAGE = "btq_assets.sources.sentiment"


def _entry(
    name: str,
    opener: str,
    contract: TableContract,
    *,
    homepage: str,
    terms: str,
    partitions: Partitions | None = None,
    key: str = "",
    key_page: str = "",
) -> ProviderEntry:
    return ProviderEntry(
        name=name,
        kind="documents",
        contracts=(contract,),
        opener=f"{_PACKAGE}.providers.{opener}",
        partitions=partitions,
        key=key,
        key_required=bool(key),
        key_page=key_page,
        homepage=homepage,
        terms=terms,
        checks=(*OBSERVED_CHECKS, documents_suite(contract)),
        code=(
            f"{_PACKAGE}.documents",
            f"{_PACKAGE}.gaps",
            "data_quality.document_suites",
            "data_quality.document_views",
        ),
        compared=COMPARED,
    )


ENTRIES: tuple[ProviderEntry, ...] = (
    _entry(
        "rss",
        "rss:RssProvider",
        raw.DOCUMENTS_RSS,
        homepage="https://www.rssboard.org/rss-specification",
        terms="each publisher's own",
    ),
    _entry(
        "gdelt",
        "gdelt:GdeltProvider",
        raw.DOCUMENTS_GDELT,
        homepage="https://www.gdeltproject.org",
        terms="free for any use with attribution; titles belong to their publishers",
        partitions="month",
    ),
    _entry(
        "alpha_vantage_news",
        "alpha_vantage_news:AlphaVantageNewsProvider",
        raw.DOCUMENTS_ALPHA_VANTAGE,
        homepage="https://www.alphavantage.co/documentation/#news-sentiment",
        terms="by plan; the free key allows 25 requests a day",
        partitions="month",
        key="ALPHA_VANTAGE_KEY",
        key_page="https://www.alphavantage.co/support/#api-key",
    ),
    _entry(
        "reddit",
        "reddit:RedditProvider",
        raw.DOCUMENTS_REDDIT,
        homepage="https://www.reddit.com/dev/api",
        terms="Reddit's Data API terms: commercial use by contract; deleted posts must go",
        key="REDDIT_CREDENTIALS",
        key_page="https://www.reddit.com/prefs/apps",
    ),
    _entry(
        "x",
        "x:XProvider",
        raw.DOCUMENTS_X,
        homepage="https://docs.x.com/x-api",
        terms="X developer agreement; billed by the post; deleted posts must go",
        key="TWITTER_API_KEY",
        key_page="https://developer.x.com",
    ),
    _entry(
        "edgar",
        "edgar:EdgarProvider",
        raw.DOCUMENTS_EDGAR,
        homepage="https://www.sec.gov/search-filings/edgar-application-programming-interfaces",
        terms="public domain; 10 requests a second, with a contact",
    ),
)
