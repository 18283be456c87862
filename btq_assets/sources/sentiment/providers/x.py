"""Posts of the last seven days on X, through its official recent search.

Belongs here: queries, pages, reading posts. Does not belong here: streams, scores.

Posts carry their time and language. An edited post is a post of its own, with its own number. A
post counts as known a minute after it was written. Names of authors are not stored.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from btq_assets.config import XSourceSection
from btq_assets.contracts import raw
from btq_assets.sources.http import HttpClient
from btq_assets.sources.provider import Fetched, Window
from btq_assets.sources.sentiment.documents import (
    Collected,
    Document,
    UnreadableError,
    body_of,
    clean,
    document_rows,
    headline_of,
    known_from,
    language_code,
    stamp_of,
)

URL = "https://api.x.com"
LAG = timedelta(minutes=1)
_PAGE = 100
_FORMATS = ("%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%SZ")


class XProvider:
    """Posts of every configured query."""

    def __init__(self, settings: XSourceSection, client: HttpClient) -> None:
        self.settings, self.client = settings, client.at(URL)

    def fetch(self, window: Window, now: datetime) -> Fetched:
        """The newest posts of each query, up to the configured number of pages."""
        found, cut_short = Collected(), 0
        for query in self.settings.queries:
            token: str | None = None
            for _ in range(self.settings.max_pages):
                answer = self._page(query, token)
                found.read(answer.get("data", []), partial(read_post, query=query, now=now))
                for problem in answer.get("errors") or []:
                    found.refuse("X withheld a post or a part of it", problem)
                token = (answer.get("meta") or {}).get("next_token")
                if not token:
                    break
            cut_short += token is not None
        posts = [post for post in found.documents if post.published_at >= window.start]
        rows = document_rows(posts, raw.DOCUMENTS_X)
        return Fetched(
            {raw.DOCUMENTS_X.table: rows}, found.rejected(), {"queries_cut_short": cut_short}
        )

    def _page(self, query: str, token: str | None) -> dict[str, Any]:
        answer = self.client.get_json(
            "2/tweets/search/recent",
            {
                "query": query,
                "max_results": _PAGE,
                "tweet.fields": "created_at,lang",
                "next_token": token,
            },
            secret_headers={"Authorization": f"Bearer {self.client.key}"},
        )
        if (
            not isinstance(answer, dict)
            or not isinstance(answer.get("data", []), list)
            or not ("data" in answer or "meta" in answer)
        ):
            raise self.client.shape_error(
                "posts under 'data' and their number under 'meta'", answer
            )
        return answer


def read_post(item: Any, query: str, now: datetime) -> Document:
    """A document out of one post.

    Raises
    ------
    UnreadableError
        The post has no text, number or time.
    """
    if not isinstance(item, dict):
        raise UnreadableError("a post is not an object")
    written = stamp_of(item.get("created_at"), _FORMATS)
    number, text = clean(item.get("id"), 30), clean(item.get("text"))
    headline = headline_of(text)
    return Document(
        name=number,
        published_at=written,
        known_at=known_from(written, LAG, now),
        headline=headline,
        text=None if headline == text else body_of(text),
        url=f"https://x.com/i/status/{number}" if number.isdigit() else None,
        language=language_code(item.get("lang")),
        dataset=query,
    )
