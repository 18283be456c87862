"""Time-series datasets of Nasdaq Data Link (once Quandl), such as WIKI/AAPL.

Belongs here: asking, and reading one dataset. Does not belong here: deciding which rows are new
(`sources.vintages`).

An answer is ``{"dataset": {"column_names": [...], "data": [[...], ...]}}``, newest first. WIKI has
prices as traded with adjusted close, dividends and split ratios, and ended on 2018-03-27.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from btq_assets.config.sources.market import NasdaqDataLinkSourceSection
from btq_assets.contracts import raw
from btq_assets.sources.errors import (
    NotFoundError,
    SourceError,
    UnknownSymbolError,
    WindowError,
    WrongKeyError,
)
from btq_assets.sources.http import HttpClient
from btq_assets.sources.market.actions import DIVIDEND, SPLIT, to_actions
from btq_assets.sources.market.cells import as_text
from btq_assets.sources.market.listing import Instrument, instruments_of
from btq_assets.sources.market.parsers import PRICE_COLUMNS, to_bars
from btq_assets.sources.market.sessions import at_session_close
from btq_assets.sources.provider import Fetched, Window
from btq_assets.sources.rows import ROW_JSON, Parsed, combine, no_rejects, split, to_numbers

ADDRESS = "https://data.nasdaq.com"
KEY_PAGE = "https://data.nasdaq.com/account/profile"

#: A bar is stored this long after its session closed.
SETTLING_TIME = timedelta(minutes=30)

#: Column of the answer, in lower case → ours; of several for one, the first that is there counts.
_COLUMNS = {
    "open": "open",
    "high": "high",
    "low": "low",
    "close": "close",
    "settle": "close",
    "last": "close",
    "value": "close",
    "rate": "close",
    "volume": "volume",
    "total volume": "volume",
    "adj. close": "adj_close",
    "adj_close": "adj_close",
    "ex-dividend": "dividend",
    "dividend": "dividend",
    "split ratio": "split",
    "split": "split",
}
_REFUSED_KEY = ("QEAx", "QEPx")


def dataset_name(code: str) -> str:
    """Dataset of the stored rows: the database of a code."""
    return code.partition("/")[0]


class NasdaqDataLink:
    """Datasets by code."""

    def __init__(self, settings: NasdaqDataLinkSourceSection, client: HttpClient) -> None:
        self.settings = settings
        self.client = client.at(ADDRESS)

    def fetch(self, window: Window, now: datetime) -> Fetched:
        """Bars, splits and dividends of the configured datasets.

        Raises
        ------
        WrongKeyError
            The key is refused, or its plan does not hold a dataset.
        UnknownSymbolError
            There is no dataset under a code.
        WindowError
            A dataset is not daily, or ended before `start_day`.
        """
        bars, actions = [], []
        for one in instruments_of("nasdaq_data_link", self.settings):
            parsed = self._one_dataset(one, window, now)
            bars.append(parsed)
            actions.append(self._actions(one, parsed.rows))
        stacked = combine(
            [
                Parsed(part.rows.select(raw.BARS_SAMPLE.column_names), part.rejected)
                for part in bars
            ],
            raw.BARS_NASDAQ_DATA_LINK.empty(),
        )
        events = pl.concat([raw.CORPORATE_ACTIONS_NASDAQ_DATA_LINK.empty(), *actions])
        return Fetched(
            {
                raw.BARS_NASDAQ_DATA_LINK.table: stacked.rows,
                raw.CORPORATE_ACTIONS_NASDAQ_DATA_LINK.table: events,
            },
            stacked.rejected,
        )

    def _one_dataset(self, one: Instrument, window: Window, now: datetime) -> Parsed:
        dataset = self._ask(one.asked_as)
        names, data = dataset.get("column_names"), dataset.get("data")
        if not isinstance(names, list) or not isinstance(data, list) or not _is_date_first(names):
            raise self.client.shape_error("column_names with Date first, and data", dataset)
        if (rhythm := dataset.get("frequency", "daily")) != "daily":
            raise WindowError(
                f"nasdaq_data_link: {one.asked_as} is {rhythm}; only daily datasets are bars here, take "
                "it out of sources.nasdaq_data_link.symbols"
            )
        if not data:
            raise WindowError(
                f"nasdaq_data_link: {one.asked_as} has no row since {self.settings.start_day} (it spans "
                f"{dataset.get('oldest_available_date')} to {dataset.get('newest_available_date')}); "
                "set sources.nasdaq_data_link.start_day earlier"
            )
        table = dataset_table(names, data)
        if "close" not in table.rows.columns:
            raise self.client.shape_error("a column Close, Settle, Last, Value or Rate", names)
        timed = at_session_close(table.rows, one.listing.calendar)
        numbers = [c for c in (*PRICE_COLUMNS, "dividend", "split") if c in timed.rows.columns]
        priced = to_numbers(timed.rows, numbers)
        settled = priced.rows.filter(
            (pl.col("ts") + SETTLING_TIME <= now) & (pl.col("ts") >= window.start)
        ).with_columns(symbol=pl.lit(one.symbol))
        events = [c for c in ("dividend", "split") if c in settled.columns]
        bars = to_bars(settled, dataset=dataset_name(one.asked_as), currency=one.listing.currency)
        beside = bars.with_columns(settled["session"], *(settled[name] for name in events))
        refused = [no_rejects(), table.rejected, timed.rejected, priced.rejected]
        return Parsed(beside.sort("ts"), pl.concat(refused))

    def _actions(self, one: Instrument, rows: pl.DataFrame) -> pl.DataFrame:
        """Dividends, and splits of another ratio than one for one."""
        found = [raw.CORPORATE_ACTIONS_NASDAQ_DATA_LINK.empty()]
        for kind, column, nothing in ((DIVIDEND, "dividend", 0.0), (SPLIT, "split", 1.0)):
            if column in rows.columns:
                events = rows.filter((pl.col(column) > 0) & (pl.col(column) != nothing))
                found.append(to_actions(events, column, kind, basis="as_traded"))
        return pl.concat(found)

    def _ask(self, code: str) -> dict[str, Any]:
        secret = {"api_key": self.client.key} if self.client.key else None
        try:
            answer = self.client.get_json(
                f"api/v3/datasets/{code}.json",
                {"start_date": self.settings.start_day},
                secret_params=secret,
            )
        except NotFoundError as error:
            raise UnknownSymbolError(
                f"nasdaq_data_link has no dataset {code!r}; correct "
                f"sources.nasdaq_data_link.symbols. Nothing was stored. {error}"
            ) from None
        except WrongKeyError:
            raise
        except SourceError as error:
            # A key that is not known comes with HTTP 400.
            if any(mark in str(error) for mark in _REFUSED_KEY):
                raise WrongKeyError(
                    f"nasdaq_data_link refused QUANDL_KEY: {error}. Keys: {KEY_PAGE}"
                ) from None
            raise
        dataset = answer.get("dataset") if isinstance(answer, dict) else None
        if not isinstance(dataset, dict):
            raise self.client.shape_error("an object with 'dataset'", answer)
        return dataset


def dataset_table(names: list[str], data: list[Any]) -> Parsed:
    """Rows as text under our column names, with ``session``; rows that do not fit refused."""
    ours: dict[str, int] = {}
    for wanted, column in _COLUMNS.items():
        for position, name in enumerate(names):
            if name.strip().lower() == wanted:
                ours.setdefault(column, position)
    rows = []
    for row in data:
        fits = isinstance(row, list) and len(row) == len(names)
        cells = [as_text(row[i]) if fits else None for i in (0, *ours.values())]
        rows.append((*cells, fits, json.dumps(row, default=str)))
    schema = {
        **dict.fromkeys(("Date", *ours), pl.String),
        "_fits": pl.Boolean,
        ROW_JSON: pl.String,
    }
    table = pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        session=pl.col("Date").str.to_date("%Y-%m-%d", strict=False)
    )
    parsed = split(
        table,
        pl.when(~pl.col("_fits"))
        .then(pl.lit(f"not a row of {len(names)} fields"))
        .when(pl.col("session").is_null())
        .then(pl.format("date '{}' is not YYYY-MM-DD", pl.col("Date").fill_null(""))),
    )
    return Parsed(parsed.rows.drop("_fits"), parsed.rejected)


def _is_date_first(names: Any) -> bool:
    return (
        isinstance(names, list)
        and bool(names)
        and all(isinstance(name, str) for name in names)
        and names[0].lower() == "date"
    )
