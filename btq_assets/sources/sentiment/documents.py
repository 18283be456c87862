"""A document as a source gave it, and the rows it becomes.

Belongs here: cleaning text, naming documents, one row per stated symbol. Does not belong here:
any source's format (`providers/`), linking by text (`linking.py`), scores (`scoring/`).
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import polars as pl

from btq_assets.contracts.base import TableContract
from btq_assets.sources.rows import REJECTED_SCHEMA
from btq_assets.sources.vintages import ASSUMED_LAG

REAL = "REAL"

#: A headline is cut here, a body there; what comes after says nothing new.
HEADLINE_CHARACTERS = 400
TEXT_CHARACTERS = 50_000
_ROW_JSON_CHARACTERS = 2_000

Item = TypeVar("Item")


class UnreadableError(ValueError):
    """One item of an answer cannot be read; the others can."""


@dataclass(frozen=True)
class Link:
    """A symbol the source itself names.

    Parameters
    ----------
    symbol
        Instrument.
    relevance
        0 to 1, in the source's judgement; ``None`` where it gives none.
    score
        -1 to 1, in the source's judgement; ``None`` where it gives none.
    """

    symbol: str
    relevance: float | None = None
    score: float | None = None


@dataclass(frozen=True)
class Document:
    """One document.

    Parameters
    ----------
    name
        What the source calls it: an address, a number. Equal names are the same document.
    published_at, known_at
        Times, UTC.
    headline, text
        Plain text; `text` may be missing.
    url, language, author
        As the source states them.
    dataset
        Feed, query, company or file.
    basis
        Whether ``known_at`` is recorded or follows from a lag.
    links
        Symbols the source names.
    """

    name: str
    published_at: datetime
    known_at: datetime
    headline: str
    dataset: str
    text: str | None = None
    url: str | None = None
    language: str | None = None
    author: str | None = None
    basis: str = ASSUMED_LAG
    links: tuple[Link, ...] = ()


@dataclass
class Collected:
    """Documents that could be read, and items that could not."""

    documents: list[Document] = field(default_factory=list)
    refused: list[dict[str, str]] = field(default_factory=list)

    def read(self, items: Iterable[Item], reader: Callable[[Item], Document | None]) -> None:
        """Read each item; a reader returns ``None`` for what is none of its business.

        Parameters
        ----------
        items
            Pieces of an answer.
        reader
            Raises `UnreadableError` where an item cannot be read.
        """
        for item in items:
            try:
                document = reader(item)
                if document is not None:
                    self.documents.append(checked(document))
            except UnreadableError as error:
                self.refuse(str(error), item)

    def refuse(self, reason: str, item: Any) -> None:
        """Keep an item as it came, with the reason why it is no document."""
        row = json.dumps(item, default=str, ensure_ascii=False, sort_keys=True)
        self.refused.append({"reason": reason, "row_json": encodable(row)[:_ROW_JSON_CHARACTERS]})

    def rejected(self) -> pl.DataFrame:
        """Refused items, in the columns of quarantine."""
        return pl.DataFrame(self.refused, schema=REJECTED_SCHEMA)


def checked(document: Document) -> Document:
    """The document, unless it says nothing or its name is missing.

    Raises
    ------
    UnreadableError
        There is no headline or no name, or it is known before it was published.
    """
    if not document.name:
        raise UnreadableError("neither an identifier nor an address")
    if not document.headline:
        raise UnreadableError("no headline and no text")
    if document.known_at < document.published_at:
        raise UnreadableError(
            f"published {document.published_at:%Y-%m-%d %H:%M} UTC, after it was fetched: "
            "a wrong clock or a wrong zone"
        )
    return document


def known_from(published_at: datetime, lag: Any, now: datetime) -> datetime:
    """When a document counts as known: a lag after publication, and by the fetch at the latest.

    A publication time after `now` is given back as `now`, for `checked` to refuse.
    """
    return min(published_at + lag, now)


def document_rows(documents: Iterable[Document], contract: TableContract) -> pl.DataFrame:
    """Rows of a documents table: one per document and stated symbol.

    A document that comes several times in one fetch is one document. Where its words differ, the
    latest ones stand; where they do not, its earliest time does.

    Parameters
    ----------
    documents
        Any order; the rows do not depend on it.
    contract
        Made by `contracts.raw.documents_contract`.
    """
    rows = [
        {
            "doc_id": document_id(contract.name, document.name),
            "symbol": link.symbol,
            "published_at": document.published_at,
            "known_at": document.known_at,
            "known_at_basis": document.basis,
            "headline": document.headline,
            "text": document.text,
            "url": document.url,
            "language": document.language,
            "author": document.author,
            "relevance": link.relevance,
            "source_score": link.score,
            "label": REAL,
            "dataset": document.dataset,
        }
        for document in documents
        for link in (document.links or (Link(""),))
    ]
    frame = pl.DataFrame(rows, schema=contract.schema)
    identity, words = ["doc_id", "symbol"], ["headline", "text"]
    latest = (
        frame.sort(*identity, "known_at", *words, nulls_last=True)
        .group_by(identity, maintain_order=True)
        .agg(pl.col(name).last().alias(f"_{name}") for name in words)
    )
    return (
        frame.join(latest, on=identity, how="left")
        .filter(pl.all_horizontal(pl.col(n).eq_missing(pl.col(f"_{n}")) for n in words))
        .sort(*identity, "known_at", "dataset", "url", "author", nulls_last=True)
        .unique(identity, keep="first", maintain_order=True)
        .select(contract.column_names)
        .sort("published_at", *identity)
    )


def document_id(table: str, name: str) -> str:
    """Identifier of a document: a hash over the table and the source's own name of it."""
    return hashlib.sha256(f"{table}|{name}".encode(errors="replace")).hexdigest()[:16]


def clean(text: object, length: int = TEXT_CHARACTERS) -> str:
    """Text on one line: no control characters, no halves of surrogate pairs, single spaces."""
    if text is None:
        return ""
    plain = unicodedata.normalize("NFC", encodable(str(text)))
    plain = "".join(c if unicodedata.category(c) not in _UNSEEN else " " for c in plain)
    return " ".join(plain.split())[:length].strip()


_UNSEEN = ("Cc", "Cf", "Co", "Cn", "Zl", "Zp")


def encodable(text: str) -> str:
    """Text that can be written as UTF-8: lone surrogates become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def headline_of(text: object) -> str:
    """A headline, cut to its length at a word."""
    plain = clean(text)
    if len(plain) <= HEADLINE_CHARACTERS:
        return plain
    return plain[: HEADLINE_CHARACTERS - 1].rsplit(" ", 1)[0].rstrip() + "…"


def body_of(text: object) -> str | None:
    """A body, or ``None`` where there is none."""
    return clean(text) or None


#: Parts of a page that nobody reads.
HIDDEN_TAGS = ["script", "style", "head", "template", "noscript"]


def plain_text(html: str) -> str:
    """What a reader of an HTML page or fragment sees; plain text stays as it is."""
    if not _MARKUP.search(html):
        return clean(html)
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(html, "html.parser")
    for hidden in soup.find_all(HIDDEN_TAGS):
        hidden.decompose()
    return clean(soup.get_text(" "))


_MARKUP = re.compile(r"<[a-zA-Z!/]|&[#a-zA-Z]")

_LANGUAGE = re.compile(r"^[a-zA-Z]{2}(?=$|[-_])")


def language_code(stated: object) -> str | None:
    """ISO 639-1 code of ``en-US`` and the like; ``None`` for what is none (``und``, ``zxx``)."""
    found = _LANGUAGE.match(str(stated or "").strip())
    return found.group().lower() if found else None


def stamp_of(text: object, formats: Iterable[str], zone: Any = UTC) -> datetime:
    """A time in one of several formats, UTC.

    Raises
    ------
    UnreadableError
        It is in none of them.
    """
    for known in formats:
        try:
            parsed = datetime.strptime(str(text), known)  # noqa: DTZ007
        except ValueError:
            continue
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=zone)).astimezone(UTC)
    raise UnreadableError(f"{str(text)[:60]!r} is not a time this source writes")


def number_of(value: object, low: float, high: float) -> float | None:
    """A number, clipped to its range; ``None`` where there is none."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return min(max(number, low), high) if number == number else None
