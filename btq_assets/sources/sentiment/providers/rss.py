"""RSS and Atom feeds.

Belongs here: asking for feeds and reading their entries (feedparser). Does not belong here: what
an entry says.

A feed shows what is current, so there is no history to ask for. An entry is known a minute after
the later of its publication and its last update, for what one reads is the updated text, and by
the time of the fetch at the latest. An entry without a date is known when it is first seen.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from btq_assets.config import RssSourceSection
from btq_assets.contracts import raw
from btq_assets.sources.errors import AnswerShapeError, SourceError
from btq_assets.sources.http import HttpClient, TryAgainError
from btq_assets.sources.provider import Fetched, Window
from btq_assets.sources.sentiment.documents import (
    Collected,
    Document,
    body_of,
    clean,
    document_rows,
    headline_of,
    known_from,
    language_code,
    plain_text,
)

LAG = timedelta(minutes=1)

_ENDS = (b"</rss>", b"</feed>", b"</rdf:rdf>")
_TAIL = 2_000


class RssProvider:
    """Entries of every configured feed."""

    def __init__(self, settings: RssSourceSection, client: HttpClient) -> None:
        self.settings, self.client = settings, client

    def fetch(self, window: Window, now: datetime) -> Fetched:
        """Entries published in the window; a feed that fails holds back no other.

        Raises
        ------
        SourceError
            No feed at all could be read: the error of the last one.
        """
        found, failed, last_error = Collected(), 0, None
        for feed in self.settings.feeds:
            try:
                body = self.client.get(feed, judge=whole_feed)
                read_feed(body, feed, window, now, found)
            except SourceError as error:
                failed, last_error = failed + 1, error
                found.refuse(self.client.blot(str(error)), {"_feed": feed})
        if last_error is not None and failed == len(self.settings.feeds):
            raise last_error
        rows = document_rows(found.documents, raw.DOCUMENTS_RSS)
        return Fetched({raw.DOCUMENTS_RSS.table: rows}, found.rejected(), {"feeds_refused": failed})


def whole_feed(body: bytes) -> None:
    """Refuse a feed that was cut off, and one that defines entities (an entity bomb).

    Raises
    ------
    TryAgainError
        Its end is missing.
    AnswerShapeError
        It defines entities of its own, which no feed needs.
    """
    squeezed = body.replace(b"\x00", b"")  # UTF-16 too
    if b"<!entity" in squeezed.lower():
        raise AnswerShapeError(
            "the feed defines XML entities, which can blow up when read; it was not opened"
        )
    if not any(end in squeezed[-_TAIL:].lower().replace(b" ", b"") for end in _ENDS):
        raise TryAgainError(
            "the feed has no end (</rss>, </feed> or </rdf:RDF>): cut off, or no feed"
        )


def read_feed(body: bytes, feed: str, window: Window, now: datetime, found: Collected) -> None:
    """Add the entries of one feed to `found`.

    Raises
    ------
    AnswerShapeError
        It is no feed.
    """
    import feedparser

    parsed = feedparser.parse(body, resolve_relative_uris=False, sanitize_html=False)
    if not parsed.version and not parsed.entries:
        raise AnswerShapeError(f"{feed} is neither RSS nor Atom")
    language = language_code(parsed.feed.get("language"))
    author = clean(parsed.feed.get("title"), 200) or None

    def read(entry: Any) -> Document | None:
        stamps = [_stamp(entry.get(name)) for name in ("published_parsed", "updated_parsed")]
        times = [stamp for stamp in stamps if stamp is not None]
        published = stamps[0] or (times[0] if times else now)
        if published < window.start:
            return None
        text = body_of(plain_text(_text(entry)))
        headline = headline_of(plain_text(str(entry.get("title") or ""))) or headline_of(text)
        return Document(
            name=str(entry.get("id") or entry.get("link") or ""),
            published_at=published,
            known_at=known_from(max([*times, published]), LAG, now),
            headline=headline,
            text=text,
            url=clean(entry.get("link"), 2_000) or None,
            language=language_code(_language(entry)) or language,
            author=author,
            dataset=feed,
        )

    found.read(parsed.entries, read)


def _stamp(parsed: Any) -> datetime | None:
    if parsed is None:
        return None
    try:
        year, month, day, hour, minute, second = (int(part) for part in parsed[:6])
        # A leap second is written as :60.
        return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except (TypeError, ValueError):
        return None


def _text(entry: Any) -> str:
    contents = [str(part.get("value") or "") for part in entry.get("content") or []]
    return max([*contents, str(entry.get("summary") or "")], key=len)


def _language(entry: Any) -> object:
    return (entry.get("title_detail") or {}).get("language") or entry.get("language")
