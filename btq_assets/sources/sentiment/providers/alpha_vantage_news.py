"""Alpha Vantage NEWS_SENTIMENT: news with the tickers they are about.

Belongs here: asking by symbol and month, page by page, and reading. Does not belong here: scoring
(the vendor's own score is stored beside, and read by no feature).

Times carry no zone; they are read as UTC, and an article counts as known a quarter of an hour
later. Throttling and refusals come with HTTP 200 under ``Note``, ``Information`` or
``Error Message``, sometimes with the key in the text.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from btq_assets.config import AlphaVantageNewsSourceSection
from btq_assets.contracts import raw
from btq_assets.sources.errors import ProviderUnavailableError, SourceError, WrongKeyError
from btq_assets.sources.http import HttpClient, TryAgainError
from btq_assets.sources.provider import Fetched, Window
from btq_assets.sources.sentiment.documents import (
    Collected,
    Document,
    Link,
    UnreadableError,
    body_of,
    clean,
    document_rows,
    headline_of,
    known_from,
    number_of,
    stamp_of,
)

URL = "https://www.alphavantage.co"
LAG = timedelta(minutes=15)
_FORMATS = ("%Y%m%dT%H%M%S", "%Y%m%dT%H%M")


class AlphaVantageNewsProvider:
    """News of every configured symbol."""

    def __init__(self, settings: AlphaVantageNewsSourceSection, client: HttpClient) -> None:
        self.settings, self.client = settings, client.at(URL)

    def fetch(self, window: Window, now: datetime) -> Fetched:
        """Articles published in the window, with every ticker they name."""
        found, cut_short = Collected(), 0
        for symbol in self.settings.symbols:
            items, whole = self._articles(symbol, window, now)
            cut_short += not whole
            found.read(items, partial(read_article, symbol=symbol, window=window, now=now))
        rows = document_rows(found.documents, raw.DOCUMENTS_ALPHA_VANTAGE)
        return Fetched(
            {raw.DOCUMENTS_ALPHA_VANTAGE.table: rows},
            found.rejected(),
            {"symbols_cut_short": cut_short},
        )

    def _articles(self, symbol: str, window: Window, now: datetime) -> tuple[list[Any], bool]:
        """All pages of a symbol, and whether nothing was left out."""
        items: list[Any] = []
        start, end = window.start, window.end - timedelta(minutes=1)
        hours = window.fresh_hours(self.settings.answers_fresh_hours, LAG, now)
        while True:
            page = self._page(symbol, start, end, hours)
            items += page
            if len(page) < self.settings.page_size:
                return items, True
            last = max((time for item in page if (time := _time(item))), default=None)
            if last is None or last.replace(second=0) <= start:
                return items, False  # more articles in one minute than a page holds
            start = last.replace(second=0)

    def _page(self, symbol: str, start: datetime, end: datetime, hours: float) -> list[Any]:
        answer = self.client.get_json(
            "query",
            {
                "function": "NEWS_SENTIMENT",
                "tickers": symbol,
                "time_from": f"{start:%Y%m%dT%H%M}",
                "time_to": f"{end:%Y%m%dT%H%M}",
                "sort": "EARLIEST",
                "limit": self.settings.page_size,
            },
            secret_params={"apikey": self.client.key},
            fresh_hours=hours,
            judge=lambda body: judge(body, symbol, self.client.blot),
        )
        if _nothing_found(answer):
            return []
        page = answer.get("feed") if isinstance(answer, dict) else None
        if not isinstance(page, list):
            raise self.client.shape_error("a list under 'feed'", answer)
        return page


def judge(body: bytes, symbol: str, blot: Any) -> None:
    """Raise what an answer with HTTP 200 says between the lines.

    Raises
    ------
    TryAgainError
        Too many requests within a minute.
    ProviderUnavailableError
        The quota of the day is used up.
    WrongKeyError
        The key is refused, or its plan does not cover news.
    SourceError
        The question is refused.
    """
    answer = json.loads(body)
    if not isinstance(answer, dict) or "feed" in answer or _nothing_found(answer):
        return
    said = next(
        (str(answer[k]) for k in ("Note", "Information", "Error Message") if k in answer), None
    )
    if said is None:
        return
    said, words = blot(clean(said, 300)), said.lower()
    if "per day" in words or "daily" in words:
        raise ProviderUnavailableError(
            f"alpha_vantage_news: the quota of the day is used up ({said}). Run it again tomorrow; "
            "what was fetched is kept"
        )
    if "per minute" in words or "frequency" in words or "burst" in words or "per second" in words:
        raise TryAgainError(said, 60.0)
    if "apikey" in words or "api key" in words or "premium" in words:
        raise WrongKeyError(
            f"alpha_vantage_news refused the key: {said}. Check ALPHA_VANTAGE_KEY and its plan"
        )
    raise SourceError(
        f"alpha_vantage_news refused the question about {symbol!r}: {said}. Correct "
        "sources.alpha_vantage_news.symbols"
    )


def read_article(item: Any, symbol: str, window: Window, now: datetime) -> Document | None:
    """A document out of one article.

    Raises
    ------
    UnreadableError
        The article has no title, address or time.
    """
    if not isinstance(item, dict):
        raise UnreadableError("an article is not an object")
    published = stamp_of(item.get("time_published"), _FORMATS)
    if not window.start <= published < window.end:
        return None
    tickers = item.get("ticker_sentiment")
    links = {
        link.symbol: link
        for link in map(_link, tickers if isinstance(tickers, list) else [])
        if link
    }
    return Document(
        name=clean(item.get("url"), 2_000),
        published_at=published,
        known_at=known_from(published, LAG, now),
        headline=headline_of(item.get("title")),
        text=body_of(item.get("summary")),
        url=clean(item.get("url"), 2_000) or None,
        author=clean(item.get("source"), 200) or None,
        dataset=symbol,
        links=tuple(links[name] for name in sorted(links)),
    )


def _link(stated: Any) -> Link | None:
    if not isinstance(stated, dict) or not (symbol := clean(stated.get("ticker"), 30)):
        return None
    # CRYPTO:BTC and FOREX:USD keep their prefix: they are no shares of that name.
    return Link(
        symbol,
        number_of(stated.get("relevance_score"), 0, 1),
        number_of(stated.get("ticker_sentiment_score"), -1, 1),
    )


def _time(item: Any) -> datetime | None:
    try:
        return stamp_of(item.get("time_published") if isinstance(item, dict) else None, _FORMATS)
    except UnreadableError:
        return None


def _nothing_found(answer: Any) -> bool:
    said = str(answer.get("Information", "")) if isinstance(answer, dict) else ""
    return said.lower().startswith("no articles found")
