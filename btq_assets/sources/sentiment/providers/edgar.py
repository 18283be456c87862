"""Filings with the SEC: what was filed, and when the public could read it.

Belongs here: asking for a company's list of filings, older lists included, reading it, and the text of
the main document of configured forms. Does not belong here: exhibits, accounts (XBRL).

``acceptanceDateTime`` is written with a ``Z``, and was for years New York time all the same. Both
readings are possible, so the later one counts. A filing accepted after 17:30 New York time carries
the date of the next business day and is shown to the public that morning at 6:00: then that is
when it is known. A filed document never changes: it is asked for once, and its text is known with the
filing. Public domain; the SEC allows 10 requests a second and wants a contact in each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from btq_assets.config import EdgarSourceSection
from btq_assets.contracts import raw
from btq_assets.sources.errors import NotFoundError, SourceError, UnknownSymbolError, WrongKeyError
from btq_assets.sources.http import HttpClient
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
    plain_text,
    stamp_of,
)
from btq_assets.sources.vintages import ASSUMED_LAG, RECORDED

URL = "https://data.sec.gov"
ARCHIVES_URL = "https://www.sec.gov"
#: Hours a stored document serves: as long as any setting allows.
_FOR_GOOD = 8_760.0
_READABLE = (".htm", ".html", ".txt")
#: Facts for machines that no reader of an inline-XBRL page sees.
_MACHINE_PART = re.compile(r"<ix:header\b.*?</ix:header>", re.I | re.S)
NEW_YORK = ZoneInfo("America/New_York")
_FORMATS = ("%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S")
_NEXT_MORNING = time(6, 0)
_COLUMNS = ("accessionNumber", "filingDate", "acceptanceDateTime", "form")

#: Items of form 8-K as the form itself titles them.
ITEMS = {
    "1.01": "Entry into a Material Definitive Agreement",
    "1.02": "Termination of a Material Definitive Agreement",
    "1.03": "Bankruptcy or Receivership",
    "1.04": "Mine Safety",
    "1.05": "Material Cybersecurity Incidents",
    "2.01": "Completion of Acquisition or Disposition of Assets",
    "2.02": "Results of Operations and Financial Condition",
    "2.03": "Creation of a Direct Financial Obligation",
    "2.04": "Triggering Events That Accelerate or Increase an Obligation",
    "2.05": "Costs Associated with Exit or Disposal Activities",
    "2.06": "Material Impairments",
    "3.01": "Notice of Delisting or Failure to Satisfy a Continued Listing Rule",
    "3.02": "Unregistered Sales of Equity Securities",
    "3.03": "Material Modification to Rights of Security Holders",
    "4.01": "Changes in Registrant's Certifying Accountant",
    "4.02": "Non-Reliance on Previously Issued Financial Statements",
    "5.01": "Changes in Control of Registrant",
    "5.02": "Departure or Election of Directors or Officers",
    "5.03": "Amendments to Articles or Bylaws",
    "5.07": "Submission of Matters to a Vote of Security Holders",
    "7.01": "Regulation FD Disclosure",
    "8.01": "Other Events",
    "9.01": "Financial Statements and Exhibits",
}


class EdgarProvider:
    """Filings of every configured company."""

    def __init__(self, settings: EdgarSourceSection, client: HttpClient) -> None:
        self.settings, self.client = settings, client.at(URL)

    def fetch(self, window: Window, now: datetime) -> Fetched:
        """Filings of the configured forms since the configured day.

        Raises
        ------
        UnknownSymbolError
            No company has a configured number.
        """
        first_day = date.fromisoformat(self.settings.start_day)
        found = Collected()
        for symbol, number in sorted(self.settings.companies.items()):
            for company, page in self._pages(symbol, number, first_day):
                found.read(
                    page,
                    partial(self._filing, symbol=symbol, number=number, company=company, now=now),
                )
        kept = [
            filing
            for filing in found.documents
            if filing.published_at.date() >= first_day
            and window.start <= filing.published_at < window.end
        ]
        read = [self._with_text(filing) for filing in kept]
        rows = document_rows(read, raw.DOCUMENTS_EDGAR)
        return Fetched(
            {raw.DOCUMENTS_EDGAR.table: rows},
            found.rejected(),
            {
                "documents_without_text": sum(
                    filing.author in self.settings.text_forms and filing.text is None
                    for filing in read
                )
            },
        )

    def _with_text(self, filing: Document) -> Document:
        """The filing with what its main document says, where its form is configured."""
        if filing.author not in self.settings.text_forms or filing.url is None:
            return filing
        if not filing.url.lower().endswith(_READABLE):
            return filing
        base = (self.settings.archives_url or ARCHIVES_URL).rstrip("/")
        try:
            body = self.client.get(
                base + filing.url.removeprefix(ARCHIVES_URL),
                headers=self._headers,
                fresh_hours=_FOR_GOOD,
            )
        except NotFoundError:
            return filing
        except WrongKeyError as error:
            raise self._refused(error) from None
        return replace(filing, text=document_text(body))

    @property
    def _headers(self) -> dict[str, str]:
        return {"User-Agent": f"btquant {self.settings.contact}"}

    def _refused(self, error: WrongKeyError) -> SourceError:
        return SourceError(
            f"{error} The SEC refuses requests without a contact or above 10 a second: check "
            "sources.edgar.contact and sources.edgar.calls_per_minute"
        )

    def _pages(
        self, symbol: str, number: int, first_day: date
    ) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        answer = self._get(f"submissions/CIK{number:010d}.json", symbol, number)
        filings = answer.get("filings") if isinstance(answer, dict) else None
        if not isinstance(filings, dict):
            raise self.client.shape_error("an object under 'filings'", answer)
        company = clean(answer.get("name"), 200) or symbol
        yield company, self._rows(filings.get("recent"))
        for file in filings.get("files") or []:
            if str(file.get("filingTo", "9999")) >= first_day.isoformat():
                older = self._get(f"submissions/{file.get('name')}", symbol, number)
                yield company, self._rows(older)

    def _get(self, path: str, symbol: str, number: int) -> Any:
        try:
            return self.client.get_json(path, headers=self._headers)
        except NotFoundError:
            raise UnknownSymbolError(
                f"the SEC knows no company {number} ({symbol}); correct sources.edgar.companies"
            ) from None
        except WrongKeyError as error:
            raise self._refused(error) from None

    def _rows(self, columns: Any) -> list[dict[str, Any]]:
        """Rows out of parallel lists."""
        if not isinstance(columns, dict) or not all(
            isinstance(columns.get(name), list) for name in _COLUMNS
        ):
            raise self.client.shape_error(f"lists under {', '.join(_COLUMNS)}", columns)
        lengths = {name: len(columns[name]) for name in _COLUMNS}
        if len(set(lengths.values())) > 1:
            raise self.client.shape_error("lists of one length", lengths)
        lists = {n: v for n, v in columns.items() if isinstance(v, list)}
        count = lengths[_COLUMNS[0]]
        return [
            {name: values[row] for name, values in lists.items() if row < len(values)}
            for row in range(count)
        ]

    def _filing(
        self, item: dict[str, Any], symbol: str, number: int, company: str, now: datetime
    ) -> Document | None:
        if item.get("form") not in self.settings.forms:
            return None
        return read_filing(item, symbol, number, company, now)


def read_filing(
    item: dict[str, Any], symbol: str, number: int, company: str, now: datetime
) -> Document:
    """A document out of one row of a company's list.

    Raises
    ------
    UnreadableError
        The filing has no number, or no readable date.
    """
    accession, form = clean(item.get("accessionNumber"), 30), clean(item.get("form"), 20)
    accepted, known_at = acceptance(item.get("acceptanceDateTime"), item.get("filingDate"))
    if accepted > now:
        raise UnreadableError(f"accepted {accepted:%Y-%m-%d %H:%M} UTC, after it was fetched")
    file = clean(item.get("primaryDocument"), 200)
    return Document(
        name=accession,
        published_at=accepted,
        known_at=min(known_at, now),
        # Up to the next morning only an assumption says when the public saw it.
        basis=RECORDED if known_at == accepted else ASSUMED_LAG,
        headline=headline_of(f"{company} files {form}{_items(item.get('items'))}"),
        url=(
            f"https://www.sec.gov/Archives/edgar/data/{number}/{accession.replace('-', '')}/{file}"
            if file
            else None
        ),
        language="en",
        author=form,
        dataset=f"CIK{number:010d}",
        links=(Link(symbol),),
    )


def document_text(body: bytes) -> str | None:
    """What a reader sees of a filed document, HTML or plain text, cut to the length of texts."""
    return body_of(plain_text(_MACHINE_PART.sub(" ", body.decode("utf-8", "replace"))))


def acceptance(accepted: object, filed: object) -> tuple[datetime, datetime]:
    """When a filing was accepted, at the latest, and when the public could read it, UTC.

    Raises
    ------
    UnreadableError
        A date is missing or unreadable.
    """
    as_utc = stamp_of(accepted, _FORMATS)
    in_new_york = as_utc.replace(tzinfo=NEW_YORK).astimezone(UTC)
    latest = max(as_utc, in_new_york)
    try:
        day = date.fromisoformat(str(filed))
    except ValueError:
        raise UnreadableError(f"filingDate {str(filed)[:40]!r} is not a date") from None
    if day > latest.astimezone(NEW_YORK).date():
        shown = datetime.combine(day, _NEXT_MORNING, NEW_YORK).astimezone(UTC)
        return latest, max(latest, shown)
    return latest, latest


def _items(stated: object) -> str:
    numbers = [part.strip() for part in str(stated or "").split(",") if part.strip()]
    if not numbers:
        return ""
    return ": " + "; ".join(ITEMS.get(item, f"item {clean(item, 20)}") for item in numbers)
