"""FRED's graph files: several series in one CSV, as they stand today.

No key is needed, and no release time is told: `releases.py` assumes one, late. Rows whose values
changed since the last fetch become vintages known at the fetch.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import polars as pl

from btq_assets.config.sources.macro import FredSourceSection
from btq_assets.contracts import raw
from btq_assets.sources.errors import NotFoundError, UnknownSymbolError
from btq_assets.sources.http import HttpClient
from btq_assets.sources.macro.releases import cadence_of, spec_of
from btq_assets.sources.macro.series import with_known_at
from btq_assets.sources.macro.tables import (
    Table,
    TableShapeError,
    read_table,
    refuse_pages,
    to_values,
)
from btq_assets.sources.provider import Fetched, Window
from btq_assets.sources.rows import Parsed

#: Name of the first column: files of 2024 and before say DATE.
DATE_COLUMNS = ("observation_date", "DATE")
DATASET = "fred_graph"


class Fred:
    """The graph files.

    Parameters
    ----------
    settings
        Series and first day.
    client
        Asks.
    """

    def __init__(self, settings: FredSourceSection, client: HttpClient) -> None:
        self.settings = settings
        self.client = client.at("https://fred.stlouisfed.org")

    def fetch(self, window: Window, now: datetime) -> Fetched:
        """All of every series: revisions reach back to any period.

        Raises
        ------
        UnknownSymbolError
            FRED has no series of a configured name.
        AnswerShapeError
            The columns are not the ones asked for.
        """
        parts: list[Parsed] = []
        series = tuple(dict.fromkeys(self.settings.series))
        size = self.settings.series_per_request
        for start in range(0, len(series), size):
            parts += self._ask(series[start : start + size])
        rows = pl.concat([raw.MACRO_FRED.empty(), *(part.rows for part in parts)])
        return Fetched(
            {raw.MACRO_FRED.table: rows},
            pl.concat([part.rejected for part in parts]),
            {"series": len(series), "last_period": str(rows["period"].max() or "")},
        )

    def _ask(self, names: Sequence[str]) -> list[Parsed]:
        params = {"id": ",".join(names), "cosd": self.settings.start_day}
        try:
            body = self.client.get("graph/fredgraph.csv", params, judge=refuse_pages)
        except NotFoundError:
            if len(names) == 1:
                raise unknown_series("fred", names[0]) from None
            # One unknown name spoils the whole request: find out which.
            return [part for name in names for part in self._ask((name,))]
        try:
            table = read_table(body)
            stamp = next((name for name in DATE_COLUMNS if name in table.header), None)
            if stamp is None:
                raise TableShapeError(f"the columns {table.header[:12]}")
        except TableShapeError as error:
            expected = f"a CSV of {DATE_COLUMNS[0]}, {', '.join(names)}"
            raise self.client.shape_error(expected, error) from None
        unknown = [name for name in names if name not in table.header]
        if unknown:
            raise unknown_series("fred", unknown[0])
        return parse_graph(table, stamp, names, first=date.fromisoformat(self.settings.start_day))


def unknown_series(section: str, name: str) -> UnknownSymbolError:
    """Error that names the series and the setting."""
    return UnknownSymbolError(
        f"{section} does not know the series {name!r}; correct sources.{section}.series. Nothing "
        "was stored"
    )


def parse_graph(table: Table, stamp: str, names: Sequence[str], *, first: date) -> list[Parsed]:
    """One result per series of a graph file.

    A file with several series has a line for every date any of them has; the others' cells are
    empty there. How often a series comes is read from its own dates.

    Parameters
    ----------
    table
        The file.
    stamp
        Its column of dates.
    names
        Series, all of them columns.
    first
        Earlier periods are left out.
    """
    parts = [Parsed(raw.MACRO_FRED.empty(), table.rejected)]
    for name in names:
        values, unread = to_values(table.rows, stamp, name)
        values = values.filter(pl.col("period") >= first)
        spec = spec_of(name, cadence_of(values["period"]))
        rows = with_known_at(values, spec, dataset=DATASET)
        parts.append(Parsed(rows.cast(raw.MACRO_FRED.schema), unread))
    return parts
