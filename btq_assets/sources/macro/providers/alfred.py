"""FRED's API with the archive of vintages (ALFRED): what each value was believed to be, and when.

A row of an answer holds a value and the days it was current, `realtime_start` to `realtime_end`.
Asked without these days, the API calls today the start of everything: we always ask for all of
time. The API refuses windows with more than 2,000 vintage days, which daily series have: we ask for
the list of these days first and cut it, and a value that merely goes on across a cut counts once.

`realtime_start` is a day of St. Louis, and a release of unknown hour: the row is known when that
day is over there, 06:00 UTC of the next. Values older than a series' archive carry the archive's
first day, which is later than the truth.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import polars as pl

from btq_assets.config.sources.macro import AlfredSourceSection
from btq_assets.contracts import raw
from btq_assets.sources.errors import (
    RefusedRequestError,
    SourceError,
    UnknownSymbolError,
    WrongKeyError,
)
from btq_assets.sources.http import HttpClient
from btq_assets.sources.macro.releases import UNSTATED_UNIT
from btq_assets.sources.macro.tables import rejects, vintage_rows
from btq_assets.sources.provider import Fetched, Window
from btq_assets.sources.rows import MISSING_CELLS, Parsed

FIRST_DAY, LAST_DAY = date(1776, 7, 4), date(9999, 12, 31)
DATASET = "alfred"
#: The API gives observations of at most 2,000 vintage days at once.
VINTAGES_AT_ONCE = 1_500

#: Midnight in St. Louis, in winter; in summer it comes an hour earlier.
_END_OF_DAY = time(6)


@dataclass(frozen=True)
class Span:
    """Days of the archive, both included."""

    first: date
    last: date


class Alfred:
    """The API.

    Parameters
    ----------
    settings
        Series, first period.
    client
        Asks; holds the key.
    """

    def __init__(self, settings: AlfredSourceSection, client: HttpClient) -> None:
        self.settings = settings
        self.client = client.at("https://api.stlouisfed.org")

    def fetch(self, window: Window, now: datetime) -> Fetched:
        """Every vintage of every series.

        Raises
        ------
        UnknownSymbolError, WrongKeyError
            FRED does not know the series, or the key.
        AnswerShapeError
            An answer without observations.
        """
        parts = []
        for name in dict.fromkeys(self.settings.series):
            unit = self._unit(name)
            spans = spans_of(self._vintage_days(name))
            found = [self._observations(name, span) for span in spans]
            parts.append(parse_spans(found, series_id=name, unit=unit))
        rows = pl.concat([raw.MACRO_ALFRED.empty(), *(part.rows for part in parts)])
        notes = {
            "series": len(parts),
            "vintages_per_period": round(
                rows.height / max(rows.select("series_id", "period").n_unique(), 1), 2
            ),
        }
        return Fetched(
            {raw.MACRO_ALFRED.table: rows}, pl.concat([part.rejected for part in parts]), notes
        )

    def _ask(self, path: str, name: str, params: Mapping[str, Any]) -> dict[str, Any]:
        try:
            answer = self.client.get_json(
                path,
                {"series_id": name, "file_type": "json", **params},
                secret_params={"api_key": self.client.key},
            )
        except RefusedRequestError as error:
            raise _named(error, name) from None
        if not isinstance(answer, dict):
            raise self.client.shape_error("a JSON object", answer)
        return answer

    def _unit(self, name: str) -> str:
        found = self._ask("fred/series", name, {}).get("seriess")
        if not isinstance(found, list) or not found or not isinstance(found[0], dict):
            raise self.client.shape_error("a description in 'seriess'", found)
        return str(found[0].get("units") or UNSTATED_UNIT)

    def _vintage_days(self, name: str) -> list[date]:
        days = self._pages(
            "fred/series/vintagedates", name, "vintage_dates", Span(FIRST_DAY, LAST_DAY), 10_000
        )
        try:
            return sorted({date.fromisoformat(day) for day in days})
        except (TypeError, ValueError):
            raise self.client.shape_error("vintage days like 2020-01-31", days[:5]) from None

    def _observations(self, name: str, span: Span) -> list[Any]:
        return self._pages(
            "fred/series/observations",
            name,
            "observations",
            span,
            self.settings.page_rows,
            observation_start=self.settings.start_day,
        )

    def _pages(
        self, path: str, name: str, field: str, span: Span, page_rows: int, **params: Any
    ) -> list[Any]:
        rows: list[Any] = []
        while True:
            answer = self._ask(
                path,
                name,
                {
                    "realtime_start": span.first.isoformat(),
                    "realtime_end": span.last.isoformat(),
                    "limit": page_rows,
                    "offset": len(rows),
                    **params,
                },
            )
            page, count = answer.get(field), answer.get("count")
            if not isinstance(page, list) or not isinstance(count, int):
                raise self.client.shape_error(f"{field!r} and their 'count'", answer)
            rows += page
            if len(rows) >= count:
                return rows
            if not page:
                raise self.client.shape_error(f"{count} {field} of {name}", len(rows))


def spans_of(vintage_days: Sequence[date], size: int = VINTAGES_AT_ONCE) -> list[Span]:
    """All of time, cut so that no span holds more than `size` vintage days."""
    cuts = [FIRST_DAY, *vintage_days[size::size], LAST_DAY]
    ends = [day - timedelta(days=1) for day in cuts[1:-1]] + [LAST_DAY]
    return [Span(first, last) for first, last in zip(cuts[:-1], ends, strict=True)]


def _named(error: RefusedRequestError, name: str) -> SourceError:
    said = error.said.lower()
    if "api_key" in said:
        return WrongKeyError(
            f"alfred: FRED refused the key in FRED_API_KEY ({error.said[:120]}); get one at "
            "https://fred.stlouisfed.org/docs/api/api_key.html"
        )
    if "does not exist" in said:
        return UnknownSymbolError(
            f"alfred has no archive of the series {name!r}; correct sources.alfred.series, or move "
            "it to sources.fred.series, which needs none. Nothing was stored"
        )
    return error


def parse_spans(spans: Sequence[Sequence[Any]], *, series_id: str, unit: str) -> Parsed:
    """Rows of the contract of one series, out of the observations of adjoining spans.

    Parameters
    ----------
    spans
        Observations of each span as the API gives them.
    """
    refused: list[tuple[str, object]] = []
    table: list[tuple[date, date, float | None]] = []
    for observations in spans:
        for found in observations:
            try:
                period, first, value = _row(found)
            except (KeyError, TypeError, ValueError) as error:
                refused.append((f"not an observation ({type(error).__name__}: {error})", found))
                continue
            # A later span repeats, from its own first day, what was current before it.
            table.append((period, first, value))
    values = _changes(table).filter(pl.col("value").is_not_null())
    rows = vintage_rows(
        values.with_columns(
            known_at=(pl.col("first") + pl.duration(days=1))
            .dt.combine(_END_OF_DAY)
            .dt.replace_time_zone("UTC")
        ),
        series_id=series_id,
        unit=unit,
        dataset=DATASET,
    )
    return Parsed(rows, rejects(refused))


def _changes(table: Iterable[tuple[date, date, float | None]]) -> pl.DataFrame:
    """Rows whose value differs from the one before it, in its period: ``period, first, value``.

    A value that was withdrawn and came back is a change both times; the withdrawal itself makes no
    row, there is no value to store.
    """
    schema = {"period": pl.Date, "first": pl.Date, "value": pl.Float64}
    frame = pl.DataFrame(list(table), schema=schema, orient="row").unique().sort("period", "first")
    start = pl.col("period").ne_missing(pl.col("period").shift())
    return frame.filter(start | pl.col("value").ne_missing(pl.col("value").shift()))


def _row(found: Any) -> tuple[date, date, float | None]:
    cell = str(found["value"]).strip()
    value = None if cell.lower() in MISSING_CELLS else float(cell)
    if value is not None and not math.isfinite(value):
        raise ValueError(f"value {cell!r} is not finite")
    return date.fromisoformat(found["date"]), date.fromisoformat(found["realtime_start"]), value
