"""Bars as traded from Alpha Vantage, and on a paid plan splits, dividends and old minutes.

Belongs here: asking, telling "not now" from "no", and reading one series. Does not belong here:
deciding which rows are new (`sources.vintages`).

Every answer comes with HTTP 200: bars under ``Time Series (Daily)`` as strings under numbered names,
a throttle as ``Note`` or ``Information``, an unknown symbol as ``Error Message``. A free key is good
for 25 requests a day. ``TIME_SERIES_DAILY_ADJUSTED`` (paid) has the same bars as traded with adjusted
close, cash and split ratio of each day. Intraday bars come for the last days, or by ``month``, one
request each (paid for old ones); a month that is over is asked for once. Intraday times are taken as the start of the bar: if one was its end, it is
known one bar late, never early.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from btq_assets.config.sources.market import AlphaVantageSourceSection
from btq_assets.contracts import raw
from btq_assets.sources.errors import UnknownSymbolError, WindowError, WrongKeyError
from btq_assets.sources.http import HttpClient, TryAgainError
from btq_assets.sources.market.actions import DIVIDEND, SPLIT, to_actions
from btq_assets.sources.market.cells import as_text
from btq_assets.sources.market.listing import Instrument, instruments_of
from btq_assets.sources.market.parsers import to_bars
from btq_assets.sources.market.sessions import at_session_close
from btq_assets.sources.market.windows import BAR_LENGTHS
from btq_assets.sources.provider import Fetched, Window
from btq_assets.sources.rows import ROW_JSON, Parsed, combine, no_rejects, split, to_numbers
from btq_assets.timeline import add_months

DATASET = "alpha_vantage"
ADDRESS = "https://www.alphavantage.co"
KEY_PAGE = "https://www.alphavantage.co/support/#api-key"

#: A daily bar is stored this long after its session closed: until then it may still change.
SETTLING_TIME = timedelta(minutes=30)

_INTERVALS = {"1m": "1min", "5m": "5min", "15m": "15min", "1h": "60min"}
_FIELDS = {
    "1. open": "open",
    "2. high": "high",
    "3. low": "low",
    "4. close": "close",
    "5. volume": "volume",
}
_ADJUSTED_FIELDS = {
    "1. open": "open",
    "2. high": "high",
    "3. low": "low",
    "4. close": "close",
    "5. adjusted close": "adj_close",
    "6. volume": "volume",
    "7. dividend amount": "dividend",
    "8. split coefficient": "split",
}
#: Answers about a month that is over are kept so long: they cost one of 25 requests a day.
_A_YEAR_HOURS = 8_760.0
#: A month of minutes is over and stored whole this long after its end.
_MONTH_SETTLING_TIME = timedelta(days=2)


class AlphaVantage:
    """Daily or intraday bars of the configured symbols."""

    def __init__(self, settings: AlphaVantageSourceSection, client: HttpClient) -> None:
        self.settings = settings
        self.client = client.at(ADDRESS)

    def fetch(self, window: Window, now: datetime) -> Fetched:
        """Everything given for the configured symbols that has settled.

        Raises
        ------
        WrongKeyError
            The key is refused, or its plan does not hold what is asked for.
        UnknownSymbolError
            Alpha Vantage does not know a symbol.
        ProviderUnavailableError
            It still throttles after every attempt.
        WindowError
            The first month has not begun.
        """
        instruments = instruments_of("alpha_vantage", self.settings)
        parts, actions = [], [raw.CORPORATE_ACTIONS_ALPHA_VANTAGE.empty()]
        for one in instruments:
            for month in self._months(now):
                part = self._one_answer(one, window, now, month)
                if self._fields is _ADJUSTED_FIELDS:
                    actions.append(_actions(part.rows))
                parts.append(Parsed(part.rows.select(raw.BARS_SAMPLE.column_names), part.rejected))
        bars = combine(parts, raw.BARS_ALPHA_VANTAGE.empty())
        return Fetched(
            {
                raw.BARS_ALPHA_VANTAGE.table: bars.rows,
                raw.CORPORATE_ACTIONS_ALPHA_VANTAGE.table: pl.concat(actions),
            },
            bars.rejected,
        )

    @property
    def _fields(self) -> dict[str, str]:
        daily = self.settings.freq == "1d"
        return _ADJUSTED_FIELDS if daily and self.settings.adjusted else _FIELDS

    def _months(self, now: datetime) -> list[date | None]:
        """Months to ask for one by one, or nothing in particular."""
        if self.settings.freq == "1d" or self.settings.start_month is None:
            return [None]
        first = date.fromisoformat(f"{self.settings.start_month}-01")
        n_months = (now.year - first.year) * 12 + now.month - first.month + 1
        if n_months < 1:
            raise WindowError(
                f"sources.alpha_vantage.start_month is {self.settings.start_month}, which has not "
                "begun"
            )
        return [add_months(first, number) for number in range(n_months)]

    def _one_answer(
        self, instrument: Instrument, window: Window, now: datetime, month: date | None
    ) -> Parsed:
        freq = self.settings.freq
        answer = self._ask(instrument, now, month)
        series = _series_of(answer)
        if series is None:
            raise self.client.shape_error("'Time Series (…)' with bars by time", answer)
        table = series_table(series, self._fields)
        timed = (
            at_session_close(table.rows, instrument.listing.calendar)
            if freq == "1d"
            else intraday_ends(table.rows, self._zone(answer), freq)
        )
        priced = to_numbers(timed.rows, list(self._fields.values()))
        first = date.fromisoformat(self.settings.start_day)
        settling = SETTLING_TIME if freq == "1d" else timedelta(minutes=1)
        kept = priced.rows.filter(
            (pl.col("ts").dt.date() >= first)
            & (pl.col("ts") >= window.start)
            & (pl.col("ts") + settling <= now)
        ).with_columns(symbol=pl.lit(instrument.symbol))
        bars = to_bars(kept, dataset=DATASET, currency=instrument.listing.currency, freq=freq)
        events = [name for name in ("dividend", "split") if name in kept.columns]
        beside = bars.with_columns(kept["session"], *(kept[name] for name in events))
        refused = [no_rejects(), table.rejected, timed.rejected, priced.rejected]
        return Parsed(beside.sort("ts"), pl.concat(refused))

    def _ask(self, instrument: Instrument, now: datetime, month: date | None) -> Any:
        freq, hours = self.settings.freq, None
        asked = {"symbol": instrument.asked_as, "outputsize": self.settings.outputsize}
        if freq == "1d":
            adjusted = self.settings.adjusted
            asked["function"] = "TIME_SERIES_DAILY_ADJUSTED" if adjusted else "TIME_SERIES_DAILY"
        else:
            asked |= {
                "function": "TIME_SERIES_INTRADAY",
                "interval": _INTERVALS[freq],
                "adjusted": "false",
                "extended_hours": "false",
            }
        if month is not None:
            asked |= {"month": f"{month:%Y-%m}", "outputsize": "full"}
            whole = Window(_midnight(month), _midnight(add_months(month, 1)))
            hours = whole.fresh_hours(_A_YEAR_HOURS, _MONTH_SETTLING_TIME, now)
        return self.client.get_json(
            "query",
            asked,
            secret_params={"apikey": self.client.key},
            fresh_hours=hours,
            judge=lambda body: self._judge(body, instrument.asked_as),
        )

    def _zone(self, answer: Any) -> str:
        """Zone the times are written in, as the answer says."""
        meta = answer.get("Meta Data")
        named = [
            value
            for name, value in (meta.items() if isinstance(meta, dict) else ())
            if name.endswith("Time Zone")
        ]
        try:
            return ZoneInfo(named[0]).key
        except (IndexError, TypeError, ValueError, ZoneInfoNotFoundError):
            raise self.client.shape_error("'Time Zone' in 'Meta Data'", meta) from None

    def _judge(self, body: bytes, symbol: str) -> None:
        answer = json.loads(body)
        if not isinstance(answer, dict) or _series_of(answer) is not None:
            return
        said = self.client.excerpt(body)
        text = said.lower()
        if "Error Message" in answer:
            if "apikey" in text:
                raise WrongKeyError(f"alpha_vantage refused the key: {said}. Get one at {KEY_PAGE}")
            raise UnknownSymbolError(
                f"alpha_vantage does not know {symbol!r}: {said}. Correct "
                "sources.alpha_vantage.symbols. Nothing was stored"
            )
        if "Note" in answer or "Information" in answer:
            if any(
                word in text for word in ("premium endpoint", "premium feature", "demo purposes")
            ):
                raise WrongKeyError(
                    f"the key's plan at alpha_vantage does not hold this: {said}. Change "
                    "sources.alpha_vantage.adjusted, outputsize, freq or start_month, or the plan"
                )
            raise TryAgainError(f"throttled: {said}")


def series_table(series: dict[str, Any], fields: Mapping[str, str] = _FIELDS) -> Parsed:
    """One row per time: ``time`` and ``session``, and the fields as text; refused entries.

    Parameters
    ----------
    series
        Time → ``{"1. open": "100.0", …}``.
    fields
        Name in the answer → ours.
    """
    rows = [
        (as_text(time), *_cells(bar, fields), json.dumps({time: bar}))
        for time, bar in series.items()
    ]
    names = ("time", *fields.values(), ROW_JSON)
    table = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row").with_columns(
        session=pl.col("time").str.head(10).str.to_date("%Y-%m-%d", strict=False)
    )
    reason = (
        pl.when(pl.col("session").is_null())
        .then(pl.format("'{}' is no date", pl.col("time")))
        .when(pl.col("close").is_null())
        .then(pl.lit("no close"))
    )
    return split(table, reason)


def intraday_ends(rows: pl.DataFrame, zone: str, freq: str) -> Parsed:
    """Give each row of local ``time`` the end of its bar as ``ts``; refuse times that do not exist."""
    start = (
        pl.col("time")
        .str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False)
        .dt.replace_time_zone(zone, ambiguous="null", non_existent="null")
        .dt.convert_time_zone("UTC")
    )
    stamped = rows.with_columns(ts=start + BAR_LENGTHS[freq])
    return split(
        stamped,
        pl.when(pl.col("ts").is_null()).then(
            pl.format(f"'{{}}' is no time, or not one time, in {zone}", pl.col("time"))
        ),
    )


def _series_of(answer: Any) -> dict[str, Any] | None:
    if not isinstance(answer, dict):
        return None
    for name, value in answer.items():
        if name.startswith("Time Series") and isinstance(value, dict):
            return value
    return None


def _cells(bar: Any, fields: Mapping[str, str]) -> tuple[str | None, ...]:
    if not isinstance(bar, dict):
        return (None,) * len(fields)
    return tuple(as_text(bar.get(name)) for name in fields)


def _actions(rows: pl.DataFrame) -> pl.DataFrame:
    """Dividends, and splits of another ratio than one for one."""
    found = []
    for kind, nothing in ((DIVIDEND, 0.0), (SPLIT, 1.0)):
        events = rows.filter((pl.col(kind) > 0) & (pl.col(kind) != nothing))
        found.append(to_actions(events, kind, kind, basis="as_traded"))
    return pl.concat(found)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
