"""What is in one analyst report: text, title, and the date it states.

Belongs here: reading bytes of PDF (pypdf), HTML and text. Does not belong here: folders and files.

A report is known at the end of the day it states, or at the moment it states where it gives a
time; without either, when its file was last changed, which is when it reached this folder or
later. Stated means: an ISO date in the file's name, else a line "Date: 2024-01-02" or
"Published: 2 January 2024" near the top, else the publication date in the head of an HTML page. The
creation date inside a PDF says when it was typeset, not when it went out, and is not used. Dates
such as 01/02/2024 can be read two ways and are no statement.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from btq_assets.config import ReportsSourceSection
from btq_assets.sources.errors import SourceError
from btq_assets.sources.sentiment.documents import (
    HIDDEN_TAGS,
    Document,
    Link,
    UnreadableError,
    body_of,
    clean,
    headline_of,
)

if TYPE_CHECKING:
    from bs4 import BeautifulSoup

SUFFIXES = (".pdf", ".html", ".htm", ".txt", ".md")

_TOP_LINES = 25
_DATE_LINE = re.compile(
    r"^\W*(?:date|dated|published|publication date|report date)\W*[:\-]\s*(.{6,40})", re.I
)
_NAME_DATE = re.compile(r"(?<!\d)(\d{4}-\d{2}-\d{2})(?!\d)")
_NAME_SYMBOL = re.compile(r"^([A-Z][A-Z0-9.\-]{0,9})(?=[_ .])")
_FORMATS = (
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y-%m-%dT%H:%M:%S.%f%z",
    "%Y-%m-%dT%H:%M%z",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
)
_DAY_FORMATS = ("%Y-%m-%d", "%d %B %Y", "%B %d, %Y", "%d %b %Y", "%b %d, %Y", "%Y%m%d")
_META_DATES = (
    "article:published_time",
    "datepublished",
    "date",
    "dc.date",
    "dc.date.issued",
    "dcterms.issued",
    "pubdate",
)

#: A multi-byte sequence of UTF-8, which plain Windows-1252 text does not hold.
_UTF8_SEQUENCE = re.compile(rb"[\xc3-\xf4][\x80-\xbf]+")

#: What pypdf raises on damaged files, from inside its own parsing.
_PDF_FAULTS = (
    ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, OverflowError,
    AssertionError, OSError, EOFError, NotImplementedError, ZeroDivisionError, MemoryError,
)  # fmt: skip


def read_report(
    name: str,
    content: bytes,
    modified: datetime,
    now: datetime,
    settings: ReportsSourceSection,
    symbols: Collection[str] = (),
) -> Document:
    """A document out of one file.

    Parameters
    ----------
    name
        Path below the folder.
    content
        The file.
    modified
        When it was last changed, UTC.
    now
        Time of the reading, UTC.
    settings
        Zone of stated times, and limits.
    symbols
        Symbols a file name may begin with, as in ``AAPL_2024-01-02.pdf``.

    Raises
    ------
    UnreadableError
        The file holds no text, no readable one, or a date that has not come yet.
    """
    if not content.strip():
        raise UnreadableError(f"{name}: the file is empty")
    suffix = name.lower().rsplit(".", 1)[-1]
    base = name.rsplit("/", 1)[-1]
    stated_in_head = None
    if suffix == "pdf":
        title, text = _read_pdf(name, content, settings.max_pages)
    elif suffix in ("html", "htm"):
        title, text, stated_in_head = _read_html(decode(name, content))
    else:
        title, text = "", decode(name, content)
    lines = [line for line in (clean(line) for line in text.splitlines()) if line]
    if not lines:
        raise UnreadableError(f"{name}: no text in it (a scan without text recognition?)")
    zone = _zone(settings.timezone)
    stated = _stated_time(base, lines, stated_in_head, zone)
    published, known_at = stated or (modified, modified)
    if published > now:
        raise UnreadableError(
            f"{name}: dated {published:%Y-%m-%d %H:%M} UTC, which has not come yet"
        )
    symbol = _NAME_SYMBOL.match(base)
    links = (Link(symbol.group(1)),) if symbol and symbol.group(1) in symbols else ()
    return Document(
        name=name,
        published_at=published,
        known_at=max(published, min(known_at, now)),
        headline=headline_of(title) or headline_of(lines[0]),
        text=body_of(text),
        author=name,
        dataset=settings.path,
        links=links,
    )


def decode(name: str, content: bytes) -> str:
    """Text of a file in UTF-8, UTF-16 with a mark, or Windows-1252.

    Raises
    ------
    UnreadableError
        It is in none of them, or in two of them at once.
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return content.decode("utf-16")
        except UnicodeDecodeError as error:
            raise UnreadableError(f"{name}: broken UTF-16 ({error.reason})") from None
    if b"\x00" in content:
        raise UnreadableError(f"{name}: holds zero bytes, so it is not text")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = error.start
    if _UTF8_SEQUENCE.search(content):
        raise UnreadableError(
            f"{name}: mixed encodings, UTF-8 and something else at byte {place}; save it as UTF-8"
        )
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError:
        raise UnreadableError(
            f"{name}: neither UTF-8 nor Windows-1252 at byte {place}; save it as UTF-8"
        ) from None


def _read_pdf(name: str, content: bytes, max_pages: int) -> tuple[str, str]:
    import logging

    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        reader = PdfReader(io.BytesIO(content), strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise UnreadableError(f"{name}: the PDF is locked with a password")
        if len(reader.pages) > max_pages:
            raise UnreadableError(
                f"{name}: {len(reader.pages)} pages are more than sources.reports.max_pages = "
                f"{max_pages}"
            )
        title = str(reader.metadata.title or "") if reader.metadata else ""
        text = "\n".join(page.extract_text() for page in reader.pages)
    except UnreadableError:
        raise
    except (PyPdfError, *_PDF_FAULTS) as error:
        raise UnreadableError(
            f"{name}: the PDF cannot be read ({type(error).__name__}: {str(error)[:200]})"
        ) from None
    return clean(title), text


def _read_html(page: str) -> tuple[str, str, str | None]:
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(page, "html.parser")
    title = clean(soup.title.get_text(" ")) if soup.title else ""
    stated = _meta_date(soup)
    for hidden in soup.find_all(HIDDEN_TAGS):
        hidden.decompose()
    return title, soup.get_text("\n"), stated


def _meta_date(soup: BeautifulSoup) -> str | None:
    for tag in soup.find_all("meta"):
        name = str(tag.get("property") or tag.get("name") or tag.get("itemprop") or "").lower()
        if name in _META_DATES and tag.get("content"):
            return clean(tag.get("content"), 40)
    return None


def _stated_time(
    base: str, lines: list[str], stated_in_head: str | None, zone: ZoneInfo
) -> tuple[datetime, datetime] | None:
    """Publication and knowledge times the report states, UTC; ``None`` where it states none."""
    in_name = _NAME_DATE.search(base)
    in_text = next(
        (found.group(1) for line in lines[:_TOP_LINES] if (found := _DATE_LINE.match(line))), None
    )
    for stated in (in_name and in_name.group(1), in_text, stated_in_head):
        if stated and (times := _times_of(stated.strip(), zone)):
            return times
    return None


def _times_of(stated: str, zone: ZoneInfo) -> tuple[datetime, datetime] | None:
    utc = ZoneInfo("UTC")
    for known in _FORMATS:
        try:
            moment = datetime.strptime(stated, known)  # noqa: DTZ007
            moment = (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(utc)
        except (ValueError, OverflowError):
            continue
        return moment, moment
    for known in _DAY_FORMATS:
        try:
            day = datetime.strptime(stated, known).date()  # noqa: DTZ007
            start = datetime.combine(day, time(), zone).astimezone(utc)
            end = datetime.combine(day + timedelta(days=1), time(), zone).astimezone(utc)
        except (ValueError, OverflowError):
            continue
        return start, end
    return None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SourceError(
            f"sources.reports.timezone = {name!r} is not a zone; use a name such as "
            "'America/New_York'"
        ) from None
