"""The crypto Fear & Greed index of alternative.me.

Belongs here: one question, and reading an answer that comes newest first with numbers as text. A
value is computed at the midnight (UTC) of its stamp; it is shown some time later.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from btq_assets.config.sources import FearGreedSourceSection
from btq_assets.contracts.raw.alternative import ONCHAIN_FEAR_GREED
from btq_assets.sources.alternative import cells
from btq_assets.sources.errors import SourceError
from btq_assets.sources.provider import Fetched, Window
from btq_assets.sources.rows import Parsed

if TYPE_CHECKING:
    from btq_assets.sources.http import HttpClient

BASE_URL = "https://api.alternative.me"
DATASET = "alternative_me_fear_greed"
LAG = timedelta(hours=12)
_LOWEST, _HIGHEST = 0, 100


class FearGreed:
    """The whole history of the index."""

    def __init__(self, settings: FearGreedSourceSection, client: HttpClient) -> None:
        self.settings = settings
        self.client = client.at(BASE_URL)

    def fetch(self, window: Window, now: datetime) -> Fetched:
        """Every value up to `now`."""
        answer = self.client.get_json("fng/", {"limit": 0, "format": "json"})
        if isinstance(answer, dict) and isinstance(answer.get("metadata"), dict):
            said = answer["metadata"].get("error")
            if said:
                raise SourceError(f"fear_greed: alternative.me says {str(said)[:200]!r}")
        if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
            raise self.client.shape_error("an object with a list data", answer)
        found = parse_values(answer["data"])
        inside = pl.col("ts").is_between(window.start, now)
        return Fetched({ONCHAIN_FEAR_GREED.table: found.rows.filter(inside)}, found.rejected)


def parse_values(data: list[Any]) -> Parsed:
    """Values of the index, oldest first."""
    rows, refused = [], []
    for item in data:
        try:
            rows.append(_value(cells.as_rows(item)))
        except cells.RowError as error:
            refused.append(cells.refusal(error, item))
    found = cells.parsed(rows, refused, ONCHAIN_FEAR_GREED)
    return Parsed(found.rows.sort("ts"), found.rejected)


def _value(item: Mapping[str, Any]) -> dict[str, Any]:
    value = cells.required(item, "value")
    if not _LOWEST <= value <= _HIGHEST:
        raise cells.RowError(f"value {value:g} is outside {_LOWEST} to {_HIGHEST}")
    ts = cells.unix_time(item, "timestamp")
    return {
        "dataset": DATASET,
        "asset": "crypto",
        "metric": "fear_greed",
        "ts": ts,
        "known_at": ts + LAG,
        "known_at_basis": "assumed_lag",
        "value": value,
        "unit": "index 0 to 100",
    }
