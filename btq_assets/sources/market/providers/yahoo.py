"""Daily bars from Yahoo Finance through yfinance, one month at a time.

Belongs here: asking, asking again, and naming what went wrong. Does not belong here: deciding
which rows are new (`sources.vintages`).

Yahoo's terms allow personal use. Its prices are split-adjusted, and its adjusted close moves with
every dividend: what it says about last month today differs from what it said last month, which
is why changed rows become vintages of their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import polars as pl

from btq_assets.config import YahooSourceSection
from btq_assets.contracts import raw
from btq_assets.sources.errors import ProviderUnavailableError, SourceError, UnknownSymbolError
from btq_assets.sources.market.listing import listing_of
from btq_assets.sources.market.parsers import to_bars
from btq_assets.sources.market.sessions import at_session_close, calendar_facts
from btq_assets.sources.rows import Parsed, as_it_came, combine, no_rejects
from btq_assets.timeline import add_months

if TYPE_CHECKING:
    import pandas as pd

DATASET = "yahoo_chart"

#: A bar is stored this long after its session closed: until then Yahoo may still change it.
SETTLING_TIME = timedelta(minutes=30)

_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 60.0
_NAMES = {
    "Open": "open",
    "High": "high",
    "Low": "low",
    "Close": "close",
    "Adj Close": "adj_close",
    "Volume": "volume",
}

# What yfinance raises from inside when an answer is not JSON or not of the usual shape.
_MALFORMED_ANSWER = (ValueError, KeyError, TypeError, IndexError, AttributeError)

#: ``download(symbol, first day, day after the last) -> (bars, exchange's zone, currency)``.
Download = Callable[[str, date, date], tuple["pd.DataFrame", str, str]]


class _TryAgainError(Exception):
    """An answer that may be better next time."""


def fetch_month(
    settings: YahooSourceSection,
    month: date,
    now: datetime,
    *,
    base_url: str | None = None,
    download: Download | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All configured symbols' bars of one month.

    Parameters
    ----------
    settings
        Symbols, timeout and number of attempts.
    month
        First day of the month.
    now
        Time of the fetch, UTC; bars whose session has not settled by then are left out.
    base_url
        Another server to ask instead of Yahoo's hosts.
    download
        What to ask with; yfinance by default.
    sleep
        Called with the seconds to wait between attempts.

    Returns
    -------
    tuple of polars.DataFrame
        Rows of ``raw.bars_yahoo``, and refused rows.

    Raises
    ------
    UnknownSymbolError
        Yahoo does not know a symbol.
    ProviderUnavailableError
        Yahoo gave no data after every attempt.
    SourceError
        A symbol trades elsewhere than its suffix says.
    """
    ask = download or yfinance_download(settings.timeout_s, base_url)
    parts = [_one_symbol(ask, settings, symbol, month, now, sleep) for symbol in settings.symbols]
    stacked = combine(parts, raw.BARS_YAHOO.empty())
    return stacked.rows, stacked.rejected


def yfinance_download(timeout_s: float, base_url: str | None = None) -> Download:
    """The yfinance way to ask for one symbol; see `Download`."""

    def download(symbol: str, start: date, end: date) -> tuple[pd.DataFrame, str, str]:
        import yfinance
        from yfinance import exceptions
        from yfinance.data import YfData

        yfinance.config.debug.hide_exceptions = False
        # yfinance remembers answers about the past, errors included, as long as the process lives.
        YfData.cache_get.cache_clear()
        session = redirecting_session(base_url) if base_url else None
        ticker = yfinance.Ticker(symbol, session=session)
        try:
            frame = ticker.history(
                start=start.isoformat(),
                end=end.isoformat(),
                interval="1d",
                auto_adjust=False,
                actions=False,
                timeout=timeout_s,
            )
        except exceptions.YFTzMissingError:
            raise _unknown(symbol, "no such symbol") from None
        except exceptions.YFPricesMissingError as error:
            # Yahoo says so for months before a listing: the symbol exists, the bars do not.
            reason = str(error.yahoo_reason or "")
            if "delisted" in reason or "not found" in reason.lower():
                raise _unknown(symbol, reason) from None
            if not reason and "exchangeTimezoneName" not in ticker.history_metadata:
                raise _TryAgainError("an answer without prices and without a reason") from error
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
            raise _TryAgainError(f"{type(error).__name__}: {error}") from error
        facts = ticker.history_metadata if frame is not None else {}
        return frame, facts.get("exchangeTimezoneName", ""), facts.get("currency", "")

    return download


def redirecting_session(base_url: str) -> Any:
    """A `requests.Session` that sends every request to `base_url`, path and query unchanged."""
    import requests
    from requests.adapters import HTTPAdapter

    target = urlsplit(base_url)

    class Redirect(HTTPAdapter):
        def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
            asked = urlsplit(request.url)
            request.url = urlunsplit(
                (target.scheme, target.netloc, asked.path, asked.query, asked.fragment)
            )
            return super().send(request, *args, **kwargs)

    session = requests.Session()
    session.trust_env = False
    for prefix in ("https://", "http://"):
        session.mount(prefix, Redirect())
    return session


def _one_symbol(
    ask: Download,
    settings: YahooSourceSection,
    symbol: str,
    month: date,
    now: datetime,
    sleep: Callable[[float], None],
) -> Parsed:
    listing = listing_of(symbol)
    frame, zone, currency = _with_retries(
        lambda: ask(symbol, month, add_months(month, 1)), symbol, settings.max_attempts, sleep
    )
    if frame is None or frame.empty:
        return Parsed(raw.BARS_YAHOO.empty())
    home = calendar_facts(listing.calendar).zone
    if zone != home:
        raise SourceError(
            f"Yahoo says that {symbol!r} trades in {zone}, its suffix says {home}; take it out of "
            "sources.yahoo.symbols or add its exchange to sources/market/listing.py"
        )
    columns = {new: frame[name].astype(float).to_numpy() for name, new in _NAMES.items()}
    table = as_it_came(
        pl.DataFrame(
            {"session": [stamp.date() for stamp in frame.index], "symbol": symbol, **columns}
        )
    )
    # NaN is how pandas says "no value"; the contract would take it for a number gone wrong.
    timed = at_session_close(table.with_columns(pl.col(*columns).fill_nan(None)), listing.calendar)
    settled = timed.rows.filter(pl.col("ts") + SETTLING_TIME <= now)
    bars = to_bars(settled, dataset=DATASET, currency=currency or listing.currency)
    return Parsed(bars.sort("ts"), pl.concat([no_rejects(), timed.rejected]))


def _with_retries(
    attempt: Callable[[], Any], symbol: str, max_attempts: int, sleep: Callable[[float], None]
) -> Any:
    import tenacity

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(_TryAgainError),
        stop=tenacity.stop_after_attempt(max_attempts),
        wait=tenacity.wait_exponential_jitter(initial=_FIRST_WAIT_S, max=_LONGEST_WAIT_S),
        sleep=sleep,
        reraise=True,
    )
    try:
        return retrying(attempt)
    except _TryAgainError as error:
        raise ProviderUnavailableError(
            f"Yahoo gave no bars of {symbol!r} in {max_attempts} attempts, last: {error}. Nothing "
            "was stored; run the month again later, or raise sources.yahoo.max_attempts"
        ) from error


def _unknown(symbol: str, reason: str) -> UnknownSymbolError:
    return UnknownSymbolError(
        f"Yahoo does not know {symbol!r} ({reason}); correct sources.yahoo.symbols. Nothing was stored"
    )
