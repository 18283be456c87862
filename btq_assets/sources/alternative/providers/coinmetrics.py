"""CoinMetrics' community network metrics.

Belongs here: paging through daily metrics and reading them. ``time`` is the start of the day a value
describes, values are written as text; a day is computed within hours of its end and may be
corrected later.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import polars as pl

from btq_assets.config.sources import CoinMetricsSourceSection
from btq_assets.contracts.raw.alternative import ONCHAIN_COINMETRICS
from btq_assets.sources.alternative import cells
from btq_assets.sources.errors import RefusedRequestError, UnknownSymbolError, WrongKeyError
from btq_assets.sources.provider import Fetched, Window
from btq_assets.sources.rows import Parsed

if TYPE_CHECKING:
    from btq_assets.sources.http import HttpClient

BASE_URL = "https://community-api.coinmetrics.io/v4"
DATASET = "coinmetrics_community"
DAY = timedelta(days=1)
#: From the end of a day to its values.
LAG = timedelta(hours=24)
#: A page token that never ends would turn for ever.
_MOST_PAGES = 10_000

#: Units of the metrics people ask for; others are shown as the provider's own.
UNITS = {
    "AdrActCnt": "addresses",
    "AdrBalCnt": "addresses",
    "TxCnt": "transactions",
    "TxTfrCnt": "transfers",
    "HashRate": "terahashes per second",
    "FeeTotNtv": "native units",
    "FeeTotUSD": "USD",
    "SplyCur": "native units",
    "CapMrktCurUSD": "USD",
    "CapMVRVCur": "ratio",
    "PriceUSD": "USD",
    "TxTfrValAdjUSD": "USD",
    "NVTAdj": "ratio",
    "FlowInExUSD": "USD",
    "FlowOutExUSD": "USD",
}


class CoinMetrics:
    """Daily metrics by asset."""

    def __init__(self, settings: CoinMetricsSourceSection, client: HttpClient) -> None:
        self.settings = settings
        self.client = client.at(BASE_URL)

    def fetch(self, window: Window, now: datetime) -> Fetched:
        """Days that end in the window and have ended by `now`."""
        found, n_pages, n_missing = [], 0, 0
        for page in self._pages(window, now):
            n_pages += 1
            part, missing = parse_page(page, self.settings.metrics)
            found.append(part)
            n_missing += missing
        rows = pl.concat([ONCHAIN_COINMETRICS.empty(), *(part.rows for part in found)])
        inside = pl.col("ts").is_between(window.start, min(window.end, now), closed="left")
        rejected = pl.concat([Parsed(rows).rejected, *(part.rejected for part in found)])
        return Fetched(
            {ONCHAIN_COINMETRICS.table: rows.filter(inside)},
            rejected,
            {"pages": n_pages, "missing_cells": n_missing},
        )

    def _pages(self, window: Window, now: datetime) -> list[list[Any]]:
        asked: dict[str, Any] = {
            "assets": ",".join(self.settings.assets),
            "metrics": ",".join(self.settings.metrics),
            "frequency": "1d",
            "start_time": f"{window.start - DAY:%Y-%m-%d}",
            "end_time": f"{window.end - DAY:%Y-%m-%d}",
            "page_size": self.settings.page_rows,
            "paging_from": "start",
        }
        hours = window.fresh_hours(self.settings.answers_fresh_hours, LAG, now)
        pages: list[list[Any]] = []
        seen: set[str] = set()
        while True:
            answer = self._page(asked, hours)
            if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
                raise self.client.shape_error("an object with a list data", answer)
            pages.append(answer["data"])
            token = next_token(answer)
            if token is None:
                return pages
            if token in seen or len(pages) >= _MOST_PAGES:
                raise self.client.shape_error("a next page that was not read yet", token)
            seen.add(token)
            asked["next_page_token"] = token

    def _page(self, asked: Mapping[str, Any], hours: float) -> Any:
        try:
            return self.client.get_json("timeseries/asset-metrics", asked, fresh_hours=hours)
        except RefusedRequestError as error:
            if error.status != 400:
                raise
            said = error.said
        except WrongKeyError as error:
            said = str(error)
        raise UnknownSymbolError(
            "coinmetrics does not give all of sources.coinmetrics.assets and metrics without a "
            f"key; correct them. It said: {said}"
        )


def next_token(answer: Mapping[str, Any]) -> str | None:
    """Token of the next page, from the answer or from the address it gives.

    The address itself is not followed: whatever server was asked is asked again.
    """
    token = answer.get("next_page_token")
    if not token and answer.get("next_page_url"):
        token = parse_qs(urlsplit(str(answer["next_page_url"])).query).get(
            "next_page_token", [None]
        )[0]
    return str(token) if token else None


def parse_page(page: list[Any], metrics: tuple[str, ...]) -> tuple[Parsed, int]:
    """Values of one page, and how many cells were missing."""
    rows, refused, missing = [], [], 0
    for row in page:
        for metric in metrics:
            try:
                made = _value(cells.as_rows(row), metric)
            except cells.RowError as error:
                refused.append(cells.refusal(error, row))
                if not isinstance(row, Mapping):
                    break
                continue
            if made is None:
                missing += 1
            else:
                rows.append(made)
    return cells.parsed(rows, refused, ONCHAIN_COINMETRICS), missing


def _value(row: Mapping[str, Any], metric: str) -> dict[str, Any] | None:
    value = cells.number(row, metric)
    if value is None:
        return None
    start = cells.iso_time(row, "time")
    return {
        "dataset": DATASET,
        "asset": cells.word(row, "asset"),
        "metric": metric,
        "ts": start + DAY,
        "known_at": start + DAY + LAG,
        "known_at_basis": "assumed_lag",
        "value": value,
        "unit": UNITS.get(metric, "as documented by the provider"),
    }
