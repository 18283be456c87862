"""The US Treasury's daily par yield curve: one Atom feed a year, one entry a business day.

Yields are bid-side, of about 15:30 New York time, and are out by 18:00: that is `known_at`. They
are not revised as a rule; what is corrected anyway becomes a vintage known at the fetch.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

import polars as pl

from btq_assets.config.sources.macro import TreasurySourceSection
from btq_assets.contracts import raw
from btq_assets.sources.errors import WindowError
from btq_assets.sources.http import HttpClient, TryAgainError
from btq_assets.sources.macro.tables import TableShapeError, one_value_a_period, rejects
from btq_assets.sources.provider import Fetched, Window
from btq_assets.sources.rows import Parsed
from btq_assets.sources.vintages import ASSUMED_LAG

PATH = "resource-center/data-chart-center/interest-rates/pages/xml"
DATASET = "daily_treasury_yield_curve"
UNIT = "percent per year"
#: The first curve is of 1990-01-02.
HISTORY_STARTS = date(1990, 1, 1)
#: Hour in New York by which a day's curve is out.
PUBLISHED_HOUR = 18
ZONE = "America/New_York"

_ATOM = "{http://www.w3.org/2005/Atom}"
_DATA = "{http://schemas.microsoft.com/ado/2007/08/dataservices}"
_META = "{http://schemas.microsoft.com/ado/2007/08/dataservices/metadata}"
#: Shown on the Treasury's page in years without a 30-year bond; not a yield of that day's curve.
_NOT_A_TENOR = ("BC_30YEARDISPLAY",)


class Treasury:
    """The feed.

    Parameters
    ----------
    settings
        Where the history starts.
    client
        Asks.
    """

    def __init__(self, settings: TreasurySourceSection, client: HttpClient) -> None:
        self.settings = settings
        self.client = client.at("https://home.treasury.gov")

    def fetch(self, window: Window, now: datetime) -> Fetched:
        """Curves of the days in the window that were out by `now`.

        The months of a year share one answer.

        Raises
        ------
        WindowError
            The window ends before the history starts.
        AnswerShapeError
            Not the feed.
        """
        if window.end.date() <= HISTORY_STARTS:
            raise WindowError(
                f"treasury: {window.start:%Y-%m} is before the first curve, of 1990-01-02; set "
                "sources.treasury.start_month to 1990-01 or later"
            )
        parts = []
        hours = window.fresh_hours(self.settings.answers_fresh_hours, timedelta(days=1), now)
        for year in range(max(window.start.year, HISTORY_STARTS.year), _last(window).year + 1):
            params = {"data": DATASET, "field_tdr_date_value": year}
            body = self.client.get(PATH, params, judge=refuse_no_xml, fresh_hours=hours)
            try:
                parts.append(parse_feed(body))
            except TableShapeError as error:
                raise self.client.shape_error("an Atom feed of curves", error) from None
        rows = pl.concat([part.rows for part in parts])
        inside = (pl.col("period") >= window.start.date()) & (pl.col("period") < window.end.date())
        rows = rows.filter(inside & (pl.col("known_at") <= now))
        return Fetched(
            {raw.MACRO_TREASURY.table: rows},
            pl.concat([part.rejected for part in parts]).unique(maintain_order=True),
            {"curves": rows["period"].n_unique(), "tenors": rows["series_id"].n_unique()},
        )


def _last(window: Window) -> date:
    return (window.end - timedelta(microseconds=1)).date()


def refuse_no_xml(body: bytes) -> None:
    """Judge: an answer that is no whole XML document is asked for again."""
    start = body[:300].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        raise TryAgainError("a page instead of a feed")
    try:
        _root(body)
    except ET.ParseError as error:
        raise TryAgainError(f"not a whole XML document ({error})") from None
    except TableShapeError:
        return  # The parser says it with what was found.


def parse_feed(body: bytes) -> Parsed:
    """Yields of every entry: one row per day and tenor, ``series_id`` as the feed writes it.

    Raises
    ------
    TableShapeError
        Another document.
    """
    root = _root(body)
    if root.tag != f"{_ATOM}feed":
        raise TableShapeError(f"a document of <{root.tag}>")
    cells: list[tuple[str, date, float]] = []
    refused: list[tuple[str, object]] = []
    for entry in root.iter(f"{_META}properties"):
        texts = {item.tag.removeprefix(_DATA): (item.text or "").strip() for item in entry}
        stamp = texts.get("NEW_DATE", "")
        try:
            period = datetime.fromisoformat(stamp).date()
        except ValueError:
            refused.append((f"NEW_DATE {stamp!r} is not a date", texts))
            continue
        for name, text in _tenors(texts):
            try:
                cells.append((name, period, float(text)))
            except ValueError:
                refused.append((f"{name} {text!r} of {period} is not a number", texts))
    if not cells and not refused and root.find(f"{_ATOM}entry") is not None:
        raise TableShapeError("entries without properties")
    return _rows(cells, refused)


def _root(body: bytes) -> ET.Element:
    # Entities could make a small document large; the feed has none.
    if b"<!ENTITY" in body or b"<!DOCTYPE" in body:
        raise TableShapeError("a document with a type declaration")
    return ET.fromstring(body)  # noqa: S314


def _tenors(texts: dict[str, str]) -> Iterator[tuple[str, str]]:
    for name, text in texts.items():
        if name.startswith("BC_") and name not in _NOT_A_TENOR and text not in ("", "N/A"):
            yield name, text


def _rows(cells: list[tuple[str, date, float]], refused: list[tuple[str, object]]) -> Parsed:
    schema = {"series_id": pl.String, "period": pl.Date, "value": pl.Float64}
    frame = pl.DataFrame(cells, schema=schema, orient="row")
    parts, rejected = [frame.clear()], rejects(refused)
    for (name,), group in frame.group_by("series_id", maintain_order=True):
        kept, rejected = one_value_a_period(group.drop("series_id"), str(name), rejected)
        parts.append(kept.select(pl.lit(name).alias("series_id"), "period", "value"))
    rows = pl.concat(parts).select(
        "series_id",
        "period",
        known_at=pl.col("period")
        .dt.combine(time(PUBLISHED_HOUR))
        .dt.replace_time_zone(ZONE)
        .dt.convert_time_zone("UTC")
        .dt.cast_time_unit("us"),
        known_at_basis=pl.lit(ASSUMED_LAG),
        value="value",
        unit=pl.lit(UNIT),
        revision=pl.lit("FINAL"),
        dataset=pl.lit(DATASET),
    )
    return Parsed(rows.cast(raw.MACRO_TREASURY.schema), rejected)
