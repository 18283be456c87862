"""Posts of the last seven days on X, through its official recent search.

Belongs here: queries, pages, going on where the last run ended, reading posts. Does not belong here:
streams, scores.

X bills by the post, so a run asks for posts newer than the newest stored one (``since_id``). Where the
configured number of pages ends before that, the stretch in between is noted, and read by the next
runs with the pages they have left, as long as X gives it: seven days.

Posts carry their time and language. An edited post is a post of its own, with its own number. A
post counts as known a minute after it was written. Names of authors are not stored.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import polars as pl

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
from btq_assets.sources.sentiment.gaps import Gap, keep_gaps, open_gaps

URL = "https://api.x.com"
LAG = timedelta(minutes=1)
_PAGE = 100
_HISTORY = timedelta(days=7) - timedelta(hours=1)
_NUMBER = r"/status/(\d+)$"
#: Numbers count milliseconds since this one of 2010-11-04, and leave 22 bits for the rest.
_FIRST_MS, _BITS = 1_288_834_974_657, 22
_FORMATS = ("%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%SZ")


class XProvider:
    """Posts of every configured query."""

    def __init__(self, settings: XSourceSection, client: HttpClient) -> None:
        self.settings, self.client = settings, client.at(URL)
        self._stored: dict[str, set[int]] = {}

    def resume_from(self, stored: pl.DataFrame) -> None:
        """Take note of what is stored: newer posts are asked for, and unread stretches before."""
        rows = stored.select("dataset", number=pl.col("url").str.extract(_NUMBER)).drop_nulls()
        for query, number in rows.unique().iter_rows():
            self._stored.setdefault(query, set()).add(int(number))

    def fetch(self, window: Window, now: datetime) -> Fetched:
        """Posts of each query that are not stored, the newest first, up to the number of pages."""
        found, cut_short = Collected(), 0
        # A little less than seven days: X refuses a number it no longer serves.
        oldest = number_at(now - _HISTORY)
        # A post that two queries find is stored under one of them.
        everything = set().union(*self._stored.values())
        for query in self.settings.queries:
            stored = self._stored.get(query, set())
            newest = max((number for number in stored if number > oldest), default=None)
            left, ends, proof = self.settings.max_pages, [], 0
            for gap in [Gap(newest, None), *open_gaps(self.client, query, everything, oldest)]:
                end, seen, left = self._stretch(query, gap, left, found, now)
                proof = max(proof, seen)
                ends.append(end)
            noted = [replace(end, proof=str(proof or "")) for end in ends]
            keep_gaps(self.client, query, noted)
            cut_short += not all(end.is_closed for end in ends)
        posts = [post for post in found.documents if post.published_at >= window.start]
        rows = document_rows(posts, raw.DOCUMENTS_X)
        return Fetched(
            {raw.DOCUMENTS_X.table: rows}, found.rejected(), {"queries_cut_short": cut_short}
        )

    def _stretch(
        self, query: str, gap: Gap, n_pages: int, found: Collected, now: datetime
    ) -> tuple[Gap, int, int]:
        """Read a stretch, newest first: what is left of it, the newest number, the pages left."""
        # What was never begun is the next run's newest stretch anyway: nothing to fall back on.
        before = gap if gap.until is not None else None
        token, lowest, highest = None, gap.until, 0
        while n_pages > 0:
            answer = self._page(query, token, gap)
            n_pages -= 1
            posts, n_before = answer.get("data", []), len(found.documents)
            found.read(posts, partial(read_post, query=query, now=now))
            names = [post.name for post in found.documents[n_before:]]
            for problem in answer.get("errors") or []:
                found.refuse("X withheld a post or a part of it", problem)
            numbers = [int(str(post["id"])) for post in posts if _has_number(post)]
            lowest = min([*numbers, *([lowest] if lowest else [])], default=None)
            highest = max([*(int(name) for name in names if name.isdigit()), highest])
            token = (answer.get("meta") or {}).get("next_token")
            if not token:
                return Gap(gap.since, gap.until, before=before, is_closed=True), highest, n_pages
        return Gap(gap.since, lowest, before=before), highest, n_pages

    def _page(self, query: str, token: str | None, gap: Gap) -> dict[str, Any]:
        answer = self.client.get_json(
            "2/tweets/search/recent",
            {
                "query": query,
                "max_results": _PAGE,
                "tweet.fields": "created_at,lang",
                "next_token": token,
                "since_id": gap.since,
                "until_id": gap.until,
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


def number_at(moment: datetime) -> int:
    """Smallest number a post of that moment can have."""
    return max(0, round(moment.timestamp() * 1_000) - _FIRST_MS) << _BITS


def _has_number(post: Any) -> bool:
    return isinstance(post, dict) and str(post.get("id")).isdigit()


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
