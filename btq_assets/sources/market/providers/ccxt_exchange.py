"""Bars and funding rates of any crypto exchange through ccxt, one month at a time.

Belongs here: opening an exchange, paging through its history, and naming what went wrong. Does not
belong here: reading rows (`ohlcv_rows.py`, `funding_rows.py`).

ccxt (MIT) is the extra ``crypto``. Its unified answers are ``[[ms, open, high, low, close, volume]]``;
how far back an exchange goes and how much it gives at a time differ, and the last bar may be
unfinished.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import polars as pl

from btq_assets.config.sources.market import CcxtSourceSection
from btq_assets.contracts import raw
from btq_assets.sources.errors import SourceError, UnknownSymbolError, WindowError, WrongKeyError
from btq_assets.sources.http import HttpClient, TryAgainError
from btq_assets.sources.market.cells import is_stamp
from btq_assets.sources.market.funding_rows import has_time, parse_fundings
from btq_assets.sources.market.library_session import ask_patiently, library_session
from btq_assets.sources.market.listing import Instrument, instruments_of, is_perpetual
from btq_assets.sources.market.ohlcv_rows import SETTLING_TIME, parse_ohlcv_rows
from btq_assets.sources.market.windows import (
    BAR_LENGTHS,
    epoch_ms,
    from_epoch_ms,
    opens_of,
    refuse_empty,
)
from btq_assets.sources.provider import Fetched, Window
from btq_assets.sources.rows import Parsed, combine

_DAY_MS = 86_400_000
INSTALL = "pip install 'btquant[crypto]'"

# What ccxt raises from inside when an answer is not of the usual shape.
_MALFORMED_ANSWER = (ValueError, KeyError, TypeError, IndexError, AttributeError)

#: Exchanges that give the newest fundings unless told where to end, and the name of that parameter.
_FUNDINGS_END = {"okx": "after", "okxus": "after", "myokx": "after"}
_FUNDINGS_AT_ONCE = 100
#: No perpetual settles more often.
_SHORTEST_FUNDING_MS = 3_600_000

#: Lists of errors: empty in every good answer.
_ERROR_LISTS = ("error", "errors")
#: A page that begins later than this share of its span (one in so many) may lack its older part.
_LATE_SHARE = 10

Result = TypeVar("Result")


def dataset_name(exchange: str) -> str:
    """Dataset of the stored rows of an exchange."""
    return f"ccxt_{exchange}"


class CcxtExchange:
    """One exchange.

    Parameters
    ----------
    settings
        Exchange, symbols and frequencies.
    client
        Pace, address, stored answers and replay.
    exchange
        An exchange of ccxt's unified interface; opened from the settings by default.
    """

    def __init__(
        self, settings: CcxtSourceSection, client: HttpClient, exchange: Any = None
    ) -> None:
        self.settings = settings
        self.client = client
        self.dataset = dataset_name(settings.exchange)
        self._exchange = exchange

    def fetch(self, window: Window, now: datetime) -> Fetched:
        """Bars that end in the window and have settled, and fundings that fell into it.

        Raises
        ------
        UnknownSymbolError
            The exchange does not trade a symbol.
        WindowError
            It has no such frequency, or nobody had a bar in a window that is over.
        SourceError
            ccxt is not installed, or knows no such exchange.
        """
        instruments = instruments_of("ccxt", self.settings)
        exchange = self._open(
            window.fresh_hours(self.settings.answers_fresh_hours, SETTLING_TIME, now)
        )
        self._refuse_unknown(exchange, instruments)
        parts, fundings, begins = [], [], {}
        for one in instruments:
            for freq in self.settings.freqs:
                rows = self._bar_pages(exchange, one.asked_as, freq, window, now)
                late = _begins_late(rows, window, freq)
                if late is not None:
                    begins[f"{one.symbol} {freq}"] = f"{late:%Y-%m-%d %H:%M}"
                parts.append(self._bars(rows, one, freq, window, now))
            if is_perpetual(one.asked_as):
                fundings.append(self._fundings(exchange, one, window, now))
        bars = combine(parts, raw.BARS_CCXT.empty())
        if bars.rows.is_empty() and bars.rejected.is_empty():
            earliest = min(begins.values(), default=None)
            refuse_empty(
                "ccxt",
                [f"{one.symbol} at {self.settings.exchange}" for one in instruments],
                window,
                now,
                datetime.fromisoformat(earliest) if earliest else None,
            )
        funding = combine(fundings, raw.FUNDING_RATES_CCXT.empty())
        return Fetched(
            {raw.BARS_CCXT.table: bars.rows, raw.FUNDING_RATES_CCXT.table: funding.rows},
            pl.concat([bars.rejected, funding.rejected]),
            {"history_begins": begins},
        )

    def _open(self, hours: float) -> Any:
        if self._exchange is None:
            self._exchange = open_exchange(self.settings, self.client)
        session: Any = getattr(self._exchange, "session", None)
        # What is traded does not depend on the month: a range of months asks for it once.
        if hasattr(session, "fresh_hours"):
            session.fresh_hours = self.settings.answers_fresh_hours
        self._ask(self._exchange.load_markets, "list of markets")
        if hasattr(session, "fresh_hours"):
            session.fresh_hours = hours
        return self._exchange

    def _refuse_unknown(self, exchange: Any, instruments: Sequence[Instrument]) -> None:
        name = self.settings.exchange
        if not exchange.has.get("fetchOHLCV"):
            raise WindowError(
                f"{name} serves no bars through ccxt; choose another sources.ccxt.exchange"
            )
        frequencies = exchange.timeframes or {}
        lacking = [freq for freq in self.settings.freqs if freq not in frequencies]
        if lacking:
            raise WindowError(
                f"{name} has no bars of {', '.join(lacking)}; it has {', '.join(frequencies)}. Correct "
                "sources.ccxt.freqs"
            )
        for one in instruments:
            if one.asked_as not in exchange.markets:
                near = difflib.get_close_matches(one.asked_as, exchange.markets, 3)
                hint = f", near is {', '.join(near)}" if near else ""
                raise UnknownSymbolError(
                    f"{name} does not trade {one.asked_as!r}{hint}; correct sources.ccxt.symbols. "
                    "Nothing was stored"
                )

    def _bars(
        self, rows: Sequence[Any], one: Instrument, freq: str, window: Window, now: datetime
    ) -> Parsed:
        return parse_ohlcv_rows(
            rows,
            dataset=self.dataset,
            symbol=one.symbol,
            freq=freq,
            currency=one.listing.currency,
            window=window,
            now=now,
            adjusted=not is_perpetual(one.asked_as),
        )

    def _bar_pages(
        self, exchange: Any, symbol: str, freq: str, window: Window, now: datetime
    ) -> list[Any]:
        """Pages from the window's first open to its last, or to now."""
        since, after = opens_of(window, freq)
        limit = self._page_rows(exchange, symbol)
        return self._span(exchange, symbol, freq, since, min(after, epoch_ms(now)), limit)

    def _span(
        self, exchange: Any, symbol: str, freq: str, since: int, after: int, limit: int
    ) -> list[Any]:
        """Pages of at most `limit` bars whose opens lie in ``[since, after)``, ms since 1970."""
        step = round(BAR_LENGTHS[freq].total_seconds() * 1_000)
        rows: list[Any] = []
        while since < after:
            page = self._ask(
                partial(exchange.fetch_ohlcv, symbol, freq, since=since, limit=limit),
                f"bars of {symbol!r}",
            )
            if not isinstance(page, list):
                raise self.client.shape_error("a list of bars", page)
            opens = [row[0] for row in page if _has_stamp(row)]
            rows += page
            self._refuse_silence(exchange, page, "a list of bars")
            first = min(opens, default=since)
            late = min(first, after) - since if first < since + limit * step else 0
            if late * _LATE_SHARE >= limit * step:
                # Perhaps it gives fewer rows than it says, and of a span the newest: what lies
                # before them is asked for by itself, and if there is nothing, it was not traded.
                rows += self._span(
                    exchange, symbol, freq, since, since + late, max(1, late // step)
                )
            if not opens:
                # Nothing was traded in this page's span: before the listing, or during an outage.
                since += limit * step
            elif min(opens) >= after or max(opens) < since:
                # It serves only what is newer, or there is nothing newer: a delisted pair.
                break
            else:
                since = max(opens) + step
        return rows

    def _page_rows(self, exchange: Any, symbol: str) -> int:
        """As many as configured, and no more than the exchange gives: an empty page is skipped whole."""
        known = getattr(exchange, "feature_value", None)
        most = known(symbol, "fetchOHLCV", "limit") if known else None
        return (
            min(self.settings.page_rows, most) if isinstance(most, int) else self.settings.page_rows
        )

    def _fundings(self, exchange: Any, one: Instrument, window: Window, now: datetime) -> Parsed:
        if not exchange.has.get("fetchFundingRateHistory"):
            return Parsed(raw.FUNDING_RATES_CCXT.empty())
        start, after = epoch_ms(window.start), min(epoch_ms(window.end), epoch_ms(now))
        # Some exchanges give the newest rows of a span that ccxt ends a page after its start, both
        # ends included: a millisecond earlier, the page holds no row too many, and loses none. A day
        # earlier, for the first funding's distance from the one before it.
        since = start - _DAY_MS - 1
        rows: list[Any] = []
        end_name = _FUNDINGS_END.get(self.settings.exchange)
        while since < after:
            end = since + _FUNDINGS_AT_ONCE * _SHORTEST_FUNDING_MS
            more = {"params": {end_name: end}} if end_name else {}
            page = self._ask(
                partial(
                    exchange.fetch_funding_rate_history,
                    one.asked_as,
                    since=since,
                    limit=_FUNDINGS_AT_ONCE,
                    **more,
                ),
                f"funding rates of {one.asked_as!r}",
            )
            if not isinstance(page, list):
                raise self.client.shape_error("a list of funding rates", page)
            rows += page
            self._refuse_silence(exchange, page, "a list of funding rates")
            stamps = [row["timestamp"] for row in page if has_time(row)]
            if end_name:
                since = end
                continue
            if not stamps or max(stamps) < since:
                break
            since = max(stamps) + 1
        return parse_fundings(rows, self.dataset, one.symbol, start, after)

    def _refuse_silence(self, exchange: Any, page: Sequence[Any], what: str) -> None:
        """Refuse an answer in which ccxt found no rows, and which holds no list of any either.

        ccxt reads what it knows and takes the rest for nothing: an answer of another shape would
        pass for a month without trades.
        """
        answer = getattr(exchange, "last_json_response", None)
        if not page and answer is not None and not _lists(answer):
            raise self.client.shape_error(what, answer)

    def _ask(self, attempt: Callable[[], Result], what: str) -> Result:
        return ask_patiently(
            self.client, lambda: _translated(attempt, self.settings.exchange), what
        )


def open_exchange(settings: CcxtSourceSection, client: HttpClient) -> Any:
    """The exchange as ccxt knows it, asking in the client's manner.

    Raises
    ------
    SourceError
        ccxt is not installed, or knows no such exchange.
    """
    try:
        import ccxt
    except ImportError:
        raise SourceError(
            f"sources.ccxt needs the package ccxt: {INSTALL}, or set sources.ccxt.enabled: false"
        ) from None
    if settings.exchange not in ccxt.exchanges:
        near = difflib.get_close_matches(settings.exchange, ccxt.exchanges, 3)
        hint = f", near is {', '.join(near)}" if near else ""
        raise SourceError(
            f"sources.ccxt.exchange = {settings.exchange!r}: ccxt {ccxt.__version__} knows no such "
            f"exchange{hint}"
        )
    exchange = getattr(ccxt, settings.exchange)(
        # The session keeps the pace, for all libraries in the same way.
        {
            "timeout": round(settings.timeout_s * 1_000),
            "enableRateLimit": False,
            "enableLastJsonResponse": True,
        }
    )
    exchange.session = library_session(client, keeps=lambda path: True)
    return exchange


def _translated(attempt: Callable[[], Result], exchange: str) -> Result:
    """Run `attempt`; ccxt's errors become ours."""
    try:
        import ccxt
    except ImportError:  # An exchange that was handed over needs no ccxt.
        return attempt()
    try:
        return attempt()
    except ccxt.BadSymbol as error:
        raise UnknownSymbolError(
            f"{exchange} does not know the symbol: {error}; correct sources.ccxt.symbols"
        ) from None
    except ccxt.NotSupported as error:
        raise WindowError(f"{exchange} does not serve this through ccxt: {error}") from None
    except ccxt.AuthenticationError as error:
        raise WrongKeyError(f"{exchange} refused the request: {error}") from None
    except (ccxt.OperationFailed, ccxt.NullResponse, OSError, *_MALFORMED_ANSWER) as error:
        raise TryAgainError(f"{type(error).__name__}: {error}") from None
    except ccxt.BaseError as error:
        raise SourceError(f"{exchange} refused: {type(error).__name__}: {error}") from None


def _begins_late(rows: Sequence[Any], window: Window, freq: str) -> datetime | None:
    """First bar, where it lies after the window's first open; None where all is there."""
    opens = [row[0] for row in rows if _has_stamp(row)]
    first, _ = opens_of(window, freq)
    return from_epoch_ms(min(opens)) if opens and min(opens) > first else None


def _lists(answer: Any) -> bool:
    """Whether an answer holds a list of anything, or a null, where rows would be."""
    if isinstance(answer, dict):
        return any(_lists(value) for name, value in answer.items() if name not in _ERROR_LISTS)
    return answer is None or isinstance(answer, list)


def _has_stamp(row: Any) -> bool:
    return isinstance(row, (list, tuple)) and bool(row) and is_stamp(row[0])
