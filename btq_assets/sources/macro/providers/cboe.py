"""Cboe's histories of volatility indices: one CSV per index, from its first day to yesterday.

Files of indices with a day's range hold DATE,OPEN,HIGH,LOW,CLOSE; others DATE and one column of
the index's name. The close of ``VIX`` is the series ``VIX``, the others ``VIX_OPEN`` and so on.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from btq_assets.config.sources.macro import VixSourceSection
from btq_assets.contracts import raw
from btq_assets.sources.errors import NotFoundError, UnknownSymbolError, WrongKeyError
from btq_assets.sources.http import HttpClient
from btq_assets.sources.macro.series import SeriesSpec, with_known_at
from btq_assets.sources.macro.tables import TableShapeError, read_table, refuse_pages, to_values
from btq_assets.sources.provider import Fetched, Window
from btq_assets.sources.rows import Parsed

DATE_FORMAT = "%m/%d/%Y"
UNIT = "index points"
REASON = "the index settles at 16:15 New York time, after the stock close"
#: A day is over for its index at 16:15 in New York, at most 21:15 UTC; and some time to settle.
SETTLED_AFTER = timedelta(hours=22)


class VolatilityIndices:
    """The files.

    Parameters
    ----------
    settings
        Names of the indices.
    client
        Asks.
    """

    def __init__(self, settings: VixSourceSection, client: HttpClient) -> None:
        self.settings = settings
        self.client = client.at("https://cdn.cboe.com/api/global/us_indices/daily_prices")

    def fetch(self, window: Window, now: datetime) -> Fetched:
        """Every day of every index that had settled by `now`.

        Raises
        ------
        UnknownSymbolError
            Cboe has no file of that name.
        AnswerShapeError
            The columns are others.
        """
        parts = [self._ask(index) for index in dict.fromkeys(self.settings.indices)]
        rows = pl.concat([part.rows for part in parts])
        settled = pl.col("period").cast(pl.Datetime("us", "UTC")) + SETTLED_AFTER <= now
        rows = rows.filter(settled)
        return Fetched(
            {raw.MACRO_CBOE.table: rows},
            pl.concat([part.rejected for part in parts]),
            {"last_period": str(rows["period"].max() or "")},
        )

    def _ask(self, index: str) -> Parsed:
        try:
            body = self.client.get(f"{index}_History.csv", judge=refuse_pages)
        except (NotFoundError, WrongKeyError):  # Its store answers 403 to unknown names.
            raise UnknownSymbolError(
                f"vix: Cboe has no {index}_History.csv; correct sources.vix.indices. Nothing was "
                "stored"
            ) from None
        try:
            return parse_history(body, index)
        except TableShapeError as error:
            expected = f"DATE,OPEN,HIGH,LOW,CLOSE or DATE,{index}"
            raise self.client.shape_error(expected, error) from None


def parse_history(body: bytes, index: str) -> Parsed:
    """Rows of the contract of one index.

    Raises
    ------
    TableShapeError
        Other columns.
    """
    table = read_table(body, ["DATE"])
    columns = {name: index for name in ("CLOSE", index) if name in table.header}
    columns |= {name: f"{index}_{name}" for name in ("OPEN", "HIGH", "LOW") if name in table.header}
    if len([name for name in columns.values() if name == index]) != 1:
        raise TableShapeError(f"the columns {table.header[:12]}")
    parts, rejected = [raw.MACRO_CBOE.empty()], [table.rejected]
    for column, series_id in columns.items():
        values, unread = to_values(table.rows, "DATE", column, DATE_FORMAT)
        spec = SeriesSpec(series_id, column, UNIT, "day", 1, "FINAL", REASON)
        rows = with_known_at(values, spec, dataset=f"{index}_History")
        parts.append(rows.cast(raw.MACRO_CBOE.schema))
        rejected.append(unread)
    return Parsed(pl.concat(parts), pl.concat(rejected))
