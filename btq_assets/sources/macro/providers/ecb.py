"""Series of the ECB Data Portal as CSV (SDMX): by default its deposit facility rate and €STR.

A series key is written as the portal shows it, dataflow first. Only today's values are given;
release times are assumed (`releases.py`), changes become vintages known at the fetch.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

from btq_assets.config.sources.macro import EcbRatesSourceSection
from btq_assets.contracts import raw
from btq_assets.sources.errors import NotFoundError
from btq_assets.sources.http import HttpClient
from btq_assets.sources.macro.providers.fred import unknown_series
from btq_assets.sources.macro.releases import DEFAULT_LAG_DAYS, UNSTATED_UNIT
from btq_assets.sources.macro.series import Cadence, SeriesSpec, with_known_at
from btq_assets.sources.macro.tables import (
    Row,
    TableShapeError,
    read_table,
    refuse_pages,
    rejects,
    to_values,
)
from btq_assets.sources.provider import Fetched, Window
from btq_assets.sources.rows import Parsed

COLUMNS = ("KEY", "TIME_PERIOD", "OBS_VALUE")

#: Second part of a key. ``D`` has every day, ``B`` business days only.
_CADENCES: dict[str, Cadence] = {
    "D": "day", "B": "day", "W": "week", "M": "month", "Q": "quarter", "A": "year",
}  # fmt: skip

#: By start of the key: unit, days of lag, whether it is final, and why.
_DESCRIBED: tuple[tuple[str, str, int, bool, str], ...] = (
    (
        "FM.D.U2.EUR.4F.KR.", "percent per year", 1, True,
        "decided and announced days before it applies",
    ),
    (
        "FM.B.U2.EUR.4F.KR.", "percent per year", 1, True,
        "decided and announced days before it applies",
    ),
    (
        "EST.B.EU000A2X2A25.WT", "percent per year", 6, False,
        "published at 8:00 on the next business day of the ECB: five days over Easter; may be "
        "corrected the same morning",
    ),
    (
        "YC.B.", "percent per year", 6, False,
        "published at noon of the next business day of the ECB",
    ),
)  # fmt: skip


class EcbSeries:
    """The portal.

    Parameters
    ----------
    settings
        Series keys, first day.
    client
        Asks.
    """

    def __init__(self, settings: EcbRatesSourceSection, client: HttpClient) -> None:
        self.settings = settings
        self.client = client.at("https://data-api.ecb.europa.eu")

    def fetch(self, window: Window, now: datetime) -> Fetched:
        """All of every series: revisions reach back to any period.

        Raises
        ------
        UnknownSymbolError
            The portal has nothing under a key.
        AnswerShapeError
            Other columns.
        """
        parts = [self._ask(key) for key in dict.fromkeys(self.settings.series)]
        rows = pl.concat([raw.MACRO_ECB.empty(), *(part.rows for part in parts)])
        return Fetched(
            {raw.MACRO_ECB.table: rows},
            pl.concat([part.rejected for part in parts]),
            {"last_period": str(rows["period"].max() or "")},
        )

    def _ask(self, key: str) -> Parsed:
        flow, _, rest = key.partition(".")
        if not rest:
            raise unknown_series("ecb_rates", key)
        params = {
            "format": "csvdata",
            "detail": "dataonly",
            "startPeriod": self.settings.start_day,
        }
        try:
            body = self.client.get(f"service/data/{flow}/{rest}", params, judge=refuse_pages)
        except NotFoundError:
            raise unknown_series("ecb_rates", key) from None
        try:
            return parse_series(body, key)
        except TableShapeError as error:
            raise self.client.shape_error(f"the columns {', '.join(COLUMNS)}", error) from None


def parse_series(body: bytes, key: str) -> Parsed:
    """Rows of the contract of one series.

    Raises
    ------
    TableShapeError
        Other columns.
    """
    table = read_table(body, COLUMNS)
    others = [
        (f"belongs to {row['KEY']}, not {key}", row) for row in table.rows if row["KEY"] != key
    ]
    rows = [_dated(row) for row in table.rows if row["KEY"] == key]
    values, unread = to_values(rows, "TIME_PERIOD", "OBS_VALUE")
    frame = with_known_at(values, spec_of_key(key), dataset=key.split(".")[0])
    return Parsed(
        frame.cast(raw.MACRO_ECB.schema), pl.concat([table.rejected, unread, rejects(others)])
    )


def spec_of_key(key: str) -> SeriesSpec:
    """What a key says of its series; a key of unknown frequency counts as yearly, the latest."""
    cadence = _CADENCES.get(key.split(".")[1], "year")
    for start, unit, lag_days, final, reason in _DESCRIBED:
        if key.startswith(start):
            return SeriesSpec(
                key, key, unit, cadence, lag_days, "FINAL" if final else "REVISED", reason
            )
    return SeriesSpec(
        key, key, UNSTATED_UNIT, cadence, DEFAULT_LAG_DAYS[cadence], "REVISED",
        f"default of a series that comes every {cadence}",
    )  # fmt: skip


def _dated(row: Row) -> Row:
    """The row with its period as a day: the first of a month, quarter or year."""
    text = row["TIME_PERIOD"]
    if len(text) == 4:
        text = f"{text}-01-01"
    elif len(text) == 7 and text[5:6] == "Q" and text[6:].isdigit():
        text = f"{text[:4]}-{3 * int(text[6:]) - 2:02d}-01"
    elif len(text) == 7:
        text = f"{text}-01"
    return {**row, "TIME_PERIOD": text}
