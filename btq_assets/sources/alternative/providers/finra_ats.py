"""FINRA's weekly volume of alternative trading systems (dark pools).

Belongs here: asking page after page, and reading rows. Weeks are published late: two weeks after
their end for tier 1 (S&P 500, Russell 1000 and the larger funds), four for all others; a run looks
back far enough to find what has appeared since.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl

from btq_assets.config.sources import FinraAtsSourceSection
from btq_assets.contracts.raw.alternative import DARK_POOL_FINRA
from btq_assets.sources.alternative import cells
from btq_assets.sources.errors import WindowError
from btq_assets.sources.http import TryAgainError
from btq_assets.sources.provider import Fetched, Window
from btq_assets.sources.rows import Parsed, no_rejects

if TYPE_CHECKING:
    from btq_assets.sources.http import HttpClient

BASE_URL = "https://api.finra.org/data/group/otcMarket/name"
DATASET = "finra_ats_weekly"
_SUMMARY_TYPE = "ATS_W_SMBL_FIRM"
_NEW_YORK = ZoneInfo("America/New_York")
_WEEK = timedelta(days=7)
#: Weeks before the window that are asked for again: published since, or revised.
LOOK_BACK = 6 * _WEEK
#: From the week's end to its publication: by rule, on a Monday.
_TIER_1_LAG, _OTHER_LAG = timedelta(weeks=2), timedelta(weeks=4)
#: The data set holds about a year.
_HISTORY = timedelta(days=380)


class FinraAts:
    """Weekly volume by symbol and venue."""

    def __init__(self, settings: FinraAtsSourceSection, client: HttpClient) -> None:
        self.settings = settings
        self.client = client.at(BASE_URL)

    def fetch(self, window: Window, now: datetime) -> Fetched:
        """Weeks that begin in the window, or up to six weeks before it, as far as published."""
        first = _monday_from((window.start - LOOK_BACK).date())
        last = min(window.end, now).date()
        rows, rejected = [DARK_POOL_FINRA.empty()], [no_rejects()]
        empty = []
        week = first
        while week < last:
            if week + _WEEK + _TIER_1_LAG <= now.date():
                found = parse_rows(self._pages(week), week)
                rows.append(found.rows)
                rejected.append(found.rejected)
                if found.rows.is_empty():
                    empty.append(str(week))
            week += _WEEK
        stacked = pl.concat(rows)
        if stacked.is_empty() and window.end < now - _HISTORY:
            raise WindowError(
                f"finra_ats has nothing between {first} and {last}: it keeps about a year of "
                "weeks; raise sources.finra_ats.start_month"
            )
        return Fetched(
            {DARK_POOL_FINRA.table: stacked},
            pl.concat(rejected),
            {
                "weeks_without_rows": empty,
                "symbols_without_rows": sorted(set(self.settings.symbols) - set(stacked["symbol"])),
            },
        )

    def _pages(self, week: date) -> list[Any]:
        rows: list[Any] = []
        while True:
            page = self._page(week, len(rows))
            rows += page
            if len(page) < self.settings.page_rows:
                return rows

    def _page(self, week: date, offset: int) -> list[Any]:
        body = self.client.get(
            "weeklySummary",
            headers={"Accept": "application/json"},
            post_json={
                "limit": self.settings.page_rows,
                "offset": offset,
                "compareFilters": [
                    _equal("weekStartDate", week.isoformat()),
                    _equal("summaryTypeCode", _SUMMARY_TYPE),
                ],
                "domainFilters": [
                    {"fieldName": "issueSymbolIdentifier", "values": list(self.settings.symbols)}
                ],
            },
            judge=_judge,
        )
        # No rows are an empty body (HTTP 204).
        page = json.loads(body) if body.strip() else []
        if not isinstance(page, list):
            raise self.client.shape_error("a list of rows", page)
        return page


def _judge(body: bytes) -> None:
    if not body.strip():
        return
    try:
        json.loads(body)
    except ValueError:
        raise TryAgainError("not JSON") from None


def _equal(name: str, value: str) -> dict[str, str]:
    return {"fieldName": name, "compareType": "EQUAL", "fieldValue": value}


def _monday_from(day: date) -> date:
    return day + timedelta(days=-day.weekday() % 7)


def parse_rows(page: list[Any], week: date) -> Parsed:
    """Rows of one week."""
    rows, refused = [], []
    for row in page:
        try:
            rows.append(_row(cells.as_rows(row), week))
        except cells.RowError as error:
            refused.append(cells.refusal(error, row))
    return cells.parsed(rows, refused, DARK_POOL_FINRA)


def _row(row: Mapping[str, Any], week: date) -> dict[str, Any]:
    stated = row.get("weekStartDate") or row.get("summaryStartDate")
    if stated is not None and _day(row, "weekStartDate", "summaryStartDate") != week:
        raise cells.RowError(f"week {stated} was not asked for")
    tier = row.get("tierIdentifier") or row.get("tierDescription") or "unknown"
    published = _day(row, "lastUpdateDate") if row.get("lastUpdateDate") else None
    known_at, basis = known_time(week, str(tier), published)
    return {
        "dataset": DATASET,
        "symbol": cells.word(row, "issueSymbolIdentifier"),
        "week": week,
        "venue": cells.word(row, "MPID"),
        "known_at": known_at,
        "known_at_basis": basis,
        "venue_name": name if isinstance(name := row.get("marketParticipantName"), str) else None,
        "tier": str(tier),
        "shares": cells.required(row, "totalWeeklyShareQuantity"),
        "trades": cells.number(row, "totalWeeklyTradeCount"),
        "published": published,
    }


def _day(row: Mapping[str, Any], *names: str) -> date:
    name = next((name for name in names if row.get(name)), names[0])
    return cells.iso_time(row, name).date()


def known_time(week: date, tier: str, published: date | None) -> tuple[datetime, str]:
    """When a week's row could first have been known, and on what ground.

    The stated day counts, to its end in New York, unless it comes before the rule allows a
    publication: then it is something else (some files hold the week's own end), and the rule's lag
    counts, one day added.
    """
    is_tier_1 = tier.strip().upper() in ("T1", "NMS TIER 1")
    earliest = week + _WEEK + (_TIER_1_LAG if is_tier_1 else _OTHER_LAG)
    recorded = published is not None and published >= earliest
    day = published if recorded and published is not None else earliest + timedelta(days=1)
    midnight = datetime.combine(day + timedelta(days=1), time(0), _NEW_YORK).astimezone(UTC)
    return midnight, "recorded" if recorded else "assumed_lag"
