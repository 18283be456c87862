"""Daily bars, splits and dividends from Yahoo Finance through yfinance, one month at a time.

Belongs here: asking, asking again, and naming what went wrong. Does not belong here: deciding
which rows are new (`sources.vintages`).

Yahoo's terms allow personal use. Its prices and dividends are split-adjusted, and its adjusted close
moves with every dividend: what it says about last month today differs from what it said last
month, which is why changed rows become vintages of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from btq_assets.config.sources.market import YahooSourceSection
from btq_assets.contracts import raw
from btq_assets.sources.errors import SourceError, UnknownSymbolError
from btq_assets.sources.http import HttpClient, TryAgainError
from btq_assets.sources.market.actions import DIVIDEND, SPLIT, to_actions
from btq_assets.sources.market.library_session import ask_patiently, library_session
from btq_assets.sources.market.listing import Instrument, instruments_of
from btq_assets.sources.market.parsers import to_bars
from btq_assets.sources.market.sessions import at_session_close, calendar_facts
from btq_assets.sources.market.windows import refuse_empty
from btq_assets.sources.provider import Fetched, Window
from btq_assets.sources.rows import Parsed, as_it_came, combine, no_rejects

if TYPE_CHECKING:
    import pandas as pd

DATASET = "yahoo_chart"

#: A bar is stored this long after its session closed: until then Yahoo may still change it.
SETTLING_TIME = timedelta(minutes=30)

_PRICES = {
    "Open": "open",
    "High": "high",
    "Low": "low",
    "Close": "close",
    "Adj Close": "adj_close",
    "Volume": "volume",
}
_EVENTS = {"Dividends": DIVIDEND, "Stock Splits": SPLIT}

# What yfinance raises from inside when an answer is not JSON or not of the usual shape.
_MALFORMED_ANSWER = (ValueError, KeyError, TypeError, IndexError, AttributeError)

#: ``download(symbol, first day, day after the last) -> (bars, exchange's zone, currency)``.
Download = Callable[[str, date, date], tuple["pd.DataFrame | None", str, str]]


class Yahoo:
    """Bars, splits and dividends of the configured symbols.

    Parameters
    ----------
    settings
        Symbols, timeout and number of attempts.
    client
        Pace, stored answers and replay.
    download
        What to ask with; yfinance by default.
    """

    def __init__(
        self, settings: YahooSourceSection, client: HttpClient, download: Download | None = None
    ) -> None:
        self.settings = settings
        self.client = client
        self._given = download

    def fetch(self, window: Window, now: datetime) -> Fetched:
        """Sessions that end in the window and have settled.

        Raises
        ------
        UnknownSymbolError
            Yahoo does not know a symbol.
        ProviderUnavailableError
            Yahoo gave no data after every attempt.
        WindowError
            No symbol has a bar in a window that is over.
        SourceError
            A symbol trades elsewhere than its suffix says.
        """
        hours = window.fresh_hours(self.settings.answers_fresh_hours, timedelta(days=1), now)
        ask = self._given or yfinance_download(self.client, hours)
        instruments = instruments_of("yahoo", self.settings)
        pairs = [self._one_symbol(ask, one, window, now) for one in instruments]
        bars = combine([part for part, _ in pairs], raw.BARS_YAHOO.empty())
        if bars.rows.is_empty() and bars.rejected.is_empty():
            refuse_empty("yahoo", [one.symbol for one in instruments], window, now)
        actions = pl.concat([raw.CORPORATE_ACTIONS_YAHOO.empty(), *(events for _, events in pairs)])
        silent = [
            one.symbol
            for one, (part, _) in zip(instruments, pairs, strict=True)
            if part.rows.is_empty()
        ]
        return Fetched(
            {raw.BARS_YAHOO.table: bars.rows, raw.CORPORATE_ACTIONS_YAHOO.table: actions},
            bars.rejected,
            {"symbols_without_bars": silent},
        )

    def _one_symbol(
        self, ask: Download, one: Instrument, window: Window, now: datetime
    ) -> tuple[Parsed, pl.DataFrame]:
        first, after = window.start.date(), window.end.date()
        if one.listing.calendar == "24/7":
            # Where markets never close, the last day of January ends with the first instant of
            # February, and belongs there.
            first -= timedelta(days=1)
        frame, zone, currency = ask_patiently(
            self.client, lambda: ask(one.asked_as, first, after), f"bars of {one.asked_as!r}"
        )
        if frame is None or frame.empty:
            return Parsed(raw.BARS_YAHOO.empty()), raw.CORPORATE_ACTIONS_YAHOO.empty()
        home = calendar_facts(one.listing.calendar).zone
        if zone != home:
            raise SourceError(
                f"Yahoo says that {one.asked_as!r} trades in {zone}, its suffix says {home}; take it "
                "out of sources.yahoo.symbols or add its exchange to sources/market/listing.py"
            )
        return read_history(frame, one, currency or one.listing.currency, window, now)


def read_history(
    frame: pd.DataFrame, one: Instrument, currency: str, window: Window, now: datetime
) -> tuple[Parsed, pl.DataFrame]:
    """Bars and corporate actions of what yfinance made of an answer.

    Parameters
    ----------
    frame
        Index of local days; prices, volume, dividends and splits, ``NaN`` where there is none.
    one, currency
        The instrument and the currency of its prices.
    window, now
        Sessions that end outside the window, or have not settled by the time of the fetch, are
        left out.
    """
    names = {name: new for name, new in {**_PRICES, **_EVENTS}.items() if name in frame.columns}
    columns = {new: frame[name].astype(float).to_numpy() for name, new in names.items()}
    table = as_it_came(
        pl.DataFrame(
            {"session": [stamp.date() for stamp in frame.index], "symbol": one.symbol, **columns}
        )
    )
    # NaN is how pandas says "no value"; the contract would take it for a number gone wrong.
    timed = at_session_close(
        table.with_columns(pl.col(*columns).fill_nan(None)), one.listing.calendar
    )
    settled = timed.rows.filter(
        pl.col("ts").is_between(window.start, window.end, closed="left")
        & (pl.col("ts") + SETTLING_TIME <= now)
    )
    # A day that is there for its dividend alone is no bar.
    priced = settled.filter(pl.any_horizontal(pl.col("close", "adj_close").is_not_null()))
    bars = to_bars(priced, dataset=DATASET, currency=currency)
    labelled = settled.with_columns(dataset=pl.lit(DATASET), currency=pl.lit(currency))
    actions = [
        to_actions(labelled.filter(pl.col(kind) > 0), kind, kind, basis="split_adjusted")
        for kind in (DIVIDEND, SPLIT)
        if kind in settled.columns
    ]
    return (
        Parsed(bars.sort("ts"), pl.concat([no_rejects(), timed.rejected])),
        pl.concat([raw.CORPORATE_ACTIONS_YAHOO.empty(), *actions]),
    )


def yfinance_download(client: HttpClient, hours: float = 0.0) -> Download:
    """The yfinance way to ask for one symbol; see `Download`.

    Parameters
    ----------
    client
        Pace, address, stored answers and replay.
    hours
        Age up to which a stored answer is used.
    """
    session = _session(client, hours)

    def download(symbol: str, start: date, end: date) -> tuple[pd.DataFrame | None, str, str]:
        import yfinance
        from yfinance import exceptions
        from yfinance.data import YfData

        yfinance.config.debug.hide_exceptions = False
        # yfinance remembers answers about the past, errors included, as long as the process lives.
        YfData.cache_get.cache_clear()
        ticker = yfinance.Ticker(symbol, session=session)
        try:
            frame = ticker.history(
                start=start.isoformat(),
                end=end.isoformat(),
                interval="1d",
                auto_adjust=False,
                actions=True,
                timeout=client.settings.timeout_s,
            )
        except exceptions.YFTzMissingError:
            raise _unknown(symbol, "no such symbol") from None
        except exceptions.YFPricesMissingError as error:
            # Yahoo says so for months before a listing: the symbol exists, the bars do not.
            reason = str(error.yahoo_reason or "")
            if "delisted" in reason or "not found" in reason.lower():
                raise _unknown(symbol, reason) from None
            if not reason and "exchangeTimezoneName" not in ticker.history_metadata:
                raise TryAgainError("an answer without prices and without a reason") from error
            frame = None
        except (
            exceptions.YFRateLimitError,
            exceptions.YFDataException,
            OSError,
            *_MALFORMED_ANSWER,
        ) as error:
            # yfinance looks an unknown symbol up elsewhere, and that page does not exist.
            if getattr(getattr(error, "response", None), "status_code", None) == 404:
                raise _unknown(symbol, "no such page") from None
            raise TryAgainError(f"{type(error).__name__}: {error}") from error
        facts = ticker.history_metadata if frame is not None else {}
        return frame, facts.get("exchangeTimezoneName", ""), facts.get("currency", "")

    return download


def _session(client: HttpClient, hours: float) -> Any:
    """Yahoo itself wants a browser's handshake, which yfinance's own backend can imitate."""

    def keeps(path: str) -> bool:
        return "/finance/chart/" in path

    if client.settings.base_url or client.replay:
        session = library_session(client, keeps=keeps)
    else:
        from curl_cffi import requests as curl

        session = library_session(client, keeps=keeps, parent=curl.Session, impersonate="chrome")
    session.fresh_hours = hours
    return session


def _unknown(symbol: str, reason: str) -> UnknownSymbolError:
    return UnknownSymbolError(
        f"Yahoo does not know {symbol!r} ({reason}); correct sources.yahoo.symbols. Nothing was stored"
    )
