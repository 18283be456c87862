"""GDELT DOC 2.0: titles of online news, by query and month.

Belongs here: asking, splitting windows that hold more than one answer can, reading. Does not
belong here: what a title says.

GDELT states when it saw an article, not when that was published: the sighting is taken as
publication, and the article counts as known a quarter of an hour later, GDELT's own cycle. A
refusal comes as plain text with HTTP 200.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from btq_assets.config import GdeltSourceSection
from btq_assets.contracts import raw
from btq_assets.sources.errors import SourceError, WindowError
from btq_assets.sources.http import HttpClient, TryAgainError
from btq_assets.sources.provider import Fetched, Window
from btq_assets.sources.sentiment.documents import (
    Collected,
    Document,
    UnreadableError,
    clean,
    document_rows,
    headline_of,
    known_from,
    stamp_of,
)

URL = "https://api.gdeltproject.org"
FIRST_DAY = datetime(2017, 1, 1, tzinfo=UTC)
LAG = timedelta(minutes=15)

#: GDELT gives no more articles than this in one answer.
PAGE = 250
_SHORTEST_WINDOW = timedelta(minutes=15)
_LATER = re.compile(
    r"limit requests|too many|timed? ?out|try again|unavailable|error occurred", re.I
)
#: A backslash that begins no JSON escape; GDELT passes on those of titles.
_STRAY_BACKSLASH = re.compile(r'\\(?!["\\/bfnrt]|u[0-9a-fA-F]{4})')

_LANGUAGES = {
    "arabic": "ar", "bulgarian": "bg", "chinese": "zh", "croatian": "hr", "czech": "cs",
    "danish": "da", "dutch": "nl", "english": "en", "finnish": "fi", "french": "fr",
    "german": "de", "greek": "el", "hebrew": "he", "hindi": "hi", "hungarian": "hu",
    "indonesian": "id", "italian": "it", "japanese": "ja", "korean": "ko", "norwegian": "no",
    "polish": "pl", "portuguese": "pt", "romanian": "ro", "russian": "ru", "serbian": "sr",
    "spanish": "es", "swedish": "sv", "thai": "th", "turkish": "tr", "ukrainian": "uk",
    "vietnamese": "vi",
}  # fmt: skip


class GdeltProvider:
    """Articles of every configured query."""

    def __init__(self, settings: GdeltSourceSection, client: HttpClient) -> None:
        self.settings, self.client = settings, client.at(URL)

    def fetch(self, window: Window, now: datetime) -> Fetched:
        """Articles GDELT saw in the window.

        Raises
        ------
        WindowError
            The window ends before GDELT's history begins.
        SourceError
            GDELT refuses a query, in its own words.
        """
        if window.end <= FIRST_DAY:
            raise WindowError(
                f"GDELT DOC 2.0 begins in {FIRST_DAY:%Y-%m}; raise sources.gdelt.start_month"
            )
        found = Collected()
        self._overflows = 0
        for query in self.settings.queries:
            articles = self._articles(query, max(window.start, FIRST_DAY), window.end, now)
            found.read(articles, partial(read_article, query=query, window=window, now=now))
        rows = document_rows(found.documents, raw.DOCUMENTS_GDELT)
        return Fetched(
            {raw.DOCUMENTS_GDELT.table: rows},
            found.rejected(),
            {"windows_cut_short": self._overflows},
        )

    def _articles(self, query: str, start: datetime, end: datetime, now: datetime) -> list[Any]:
        params = {
            "query": query,
            "mode": "artlist",
            "format": "json",
            "sort": "dateasc",
            "maxrecords": PAGE,
            "startdatetime": f"{start:%Y%m%d%H%M%S}",
            "enddatetime": f"{end - timedelta(seconds=1):%Y%m%d%H%M%S}",
        }
        most = self.settings.answers_fresh_hours
        hours = Window(start, end).fresh_hours(most, LAG, now)
        body = self.client.get("api/v2/doc/doc", params, judge=self._judge, fresh_hours=hours)
        answer = parse_json(body)
        articles = answer.get("articles", [])
        if not isinstance(articles, list):
            raise self.client.shape_error("a list under 'articles'", articles)
        if len(articles) < PAGE:
            return articles
        if end - start <= _SHORTEST_WINDOW:
            self._overflows += 1
            return articles
        middle = start + timedelta(seconds=int((end - start).total_seconds()) // 2)
        return [
            *self._articles(query, start, middle, now),
            *self._articles(query, middle, end, now),
        ]

    def _judge(self, body: bytes) -> None:
        text = body.lstrip()
        if text.startswith(b"{") or not text:
            if parse_json(body) is None:
                raise TryAgainError(f"not JSON: {self.client.excerpt(body)}")
            return
        said = self.client.excerpt(body)
        if text.startswith(b"<") or _LATER.search(said):
            raise TryAgainError(said)
        raise SourceError(f"gdelt refuses the query: {said}. Correct sources.gdelt.queries")


def parse_json(body: bytes) -> Any:
    """A JSON object with GDELT's stray backslashes and control characters; ``None`` if it is none.

    An empty body means no articles.
    """
    text = body.decode("utf-8", "replace").strip() or "{}"
    for candidate in (text, _STRAY_BACKSLASH.sub(r"\\\\", text)):
        try:
            parsed = json.loads(candidate, strict=False)
        except ValueError:
            continue
        return parsed if isinstance(parsed, dict) else None
    return None


def read_article(item: Any, query: str, window: Window, now: datetime) -> Document | None:
    """A document out of one article.

    Raises
    ------
    UnreadableError
        The article has no title, address or time.
    """
    if not isinstance(item, dict):
        raise UnreadableError("an article is not an object")
    seen = stamp_of(item.get("seendate"), ("%Y%m%dT%H%M%SZ", "%Y%m%d%H%M%S"))
    if not window.start <= seen < window.end:
        return None
    url = clean(item.get("url"), 2_000)
    return Document(
        name=url,
        published_at=seen,
        known_at=known_from(seen, LAG, now),
        headline=headline_of(item.get("title")),
        url=url or None,
        language=_LANGUAGES.get(str(item.get("language", "")).strip().lower()),
        author=clean(item.get("domain"), 200) or None,
        dataset=query,
    )
