"""Public market data of a crypto exchange as it happens, through ccxt: bars and order books.

Belongs here: opening an exchange so that it can only be read, and naming what went wrong. Does not
belong here: when to ask (`execution.live.public_feed`), history by months (`ccxt_exchange`).

ccxt (MIT) is the extra ``live``. It can place orders; what is opened here cannot, by three locks: the
object that is handed out has two methods and refuses every other name; a request that is not a public
read is refused before it is signed; and the session refuses whatever is not a GET. No key is taken.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from btq_assets.sources.errors import SourceError, UnknownSymbolError, WindowError
from btq_assets.sources.patience import TryAgainError

INSTALL = "pip install 'btquant[live]'"

# What ccxt raises from inside when an answer is not of the usual shape.
_MALFORMED_ANSWER = (ValueError, KeyError, TypeError, IndexError, AttributeError)
#: What ccxt would sign a request with.
_KEYS = (
    "apiKey", "secret", "password", "uid", "login", "token", "twofa", "privateKey", "walletAddress",
    "accountId",
)  # fmt: skip

Result = TypeVar("Result")


class OrdersDoNotExistError(SourceError):
    """Something other than public data was asked of an exchange."""


class PublicExchange:
    """An exchange that can be read, and nothing else.

    Parameters
    ----------
    exchange
        An exchange of ccxt's unified interface, or one that looks like it.

    Raises
    ------
    OrdersDoNotExistError
        It holds a key.
    """

    __slots__ = ("__ask", "name")

    def __init__(self, exchange: Any) -> None:
        _refuse_keys(exchange)
        readers = {
            "bars": exchange.fetch_ohlcv,
            "book": exchange.fetch_order_book,
            "is_json": lambda: getattr(exchange, "last_json_response", {}) is not None,
        }

        def ask(what: str, *args: Any, **options: Any) -> Any:
            _refuse_keys(exchange)
            return _translated(lambda: readers[what](*args, **options), self.name)

        self.name = str(exchange.id)
        self.__ask: Callable[..., Any] = ask

    def __getattr__(self, name: str) -> Any:
        raise OrdersDoNotExistError(
            f"{name}: an exchange is only read here (bars, order_book); there are no orders, no "
            "accounts and no keys"
        )

    def bars(self, symbol: str, timeframe: str, since_ms: int, limit: int) -> list[list[float]]:
        """Bars from an open on, oldest first; the last one may be unfinished.

        Returns
        -------
        list
            ``[open time in ms, open, high, low, close, volume]``.

        Raises
        ------
        TryAgainError
            It did not answer, or not with bars: it may the next time.
        SourceError
            It will not answer the next time either.
        """
        rows = self.__ask("bars", symbol, timeframe, since=since_ms, limit=limit)
        if not isinstance(rows, list):
            raise TryAgainError(f"{self.name}: bars of {symbol} are not a list")
        if not rows and not self.__ask("is_json"):
            # ccxt takes what it cannot read for an answer without bars
            raise TryAgainError(f"{self.name}: what came for bars of {symbol} is not JSON")
        return rows

    def order_book(
        self, symbol: str, limit: int = 50
    ) -> tuple[list[list[float]], list[list[float]]]:
        """Bids and asks, best first: ``[price, size]``; errors as of `bars`."""
        found = self.__ask("book", symbol, limit)
        try:
            return [row[:2] for row in found["bids"]], [row[:2] for row in found["asks"]]
        except (KeyError, TypeError) as error:
            raise TryAgainError(f"{self.name}: no order book of {symbol}: {error}") from None


def open_public_exchange(
    name: str, *, base_url: str = "", timeout_s: float = 10.0
) -> PublicExchange:
    """An exchange of ccxt, for reading.

    Parameters
    ----------
    name
        As ccxt spells it: ``kraken``, ``bybit``.
    base_url
        Asks this server instead, paths unchanged; for tests and mirrors.

    Raises
    ------
    SourceError
        ccxt is not installed, or knows no such exchange.
    """
    try:
        import ccxt
        import requests
    except ImportError:
        raise SourceError(f"a live public feed needs the package ccxt: {INSTALL}") from None
    if name not in ccxt.exchanges:
        near = difflib.get_close_matches(name, ccxt.exchanges, 3)
        hint = f", near is {', '.join(near)}" if near else ""
        raise SourceError(f"{name!r}: ccxt {ccxt.__version__} knows no such exchange{hint}")
    base: Any = getattr(ccxt, name)

    class Reading(base):
        def sign(
            self, path: Any, api: Any = "public", method: str = "GET", *a: Any, **k: Any
        ) -> Any:
            _refuse_writing(self.id, path, api, method)
            _refuse_keys(self)
            return super().sign(path, api, method, *a, **k)

    class Session(requests.Session):
        def request(self, method: Any, url: Any, *a: Any, **k: Any) -> Any:
            _refuse_writing(name, url, "public", str(method))
            return super().request(method, _sent_to(base_url, str(url)), *a, **k)

    exchange = Reading(
        {
            "timeout": round(timeout_s * 1_000),
            "enableRateLimit": True,
            "enableLastJsonResponse": True,
        }
    )
    exchange.session = Session()
    if base_url:
        exchange.session.trust_env = False
    return PublicExchange(exchange)


def _refuse_writing(name: str, path: Any, api: Any, method: str) -> None:
    if method.upper() != "GET" or "private" in str(api).lower():
        raise OrdersDoNotExistError(
            f"{name}: {method} {path} of {api!r} is no public reading; it was not sent"
        )


def _refuse_keys(exchange: Any) -> None:
    held = [key for key in _KEYS if getattr(exchange, key, None)]
    if held:
        raise OrdersDoNotExistError(
            f"the exchange holds {held}: no keys are accepted, public data need none"
        )


def _translated(attempt: Callable[[], Result], name: str) -> Result:
    """Run `attempt`; ccxt's errors become ours."""
    try:
        import ccxt
    except ImportError:  # An exchange that was handed over needs no ccxt.
        return attempt()
    try:
        return attempt()
    except ccxt.BadSymbol as error:
        raise UnknownSymbolError(f"{name} does not know the symbol: {error}") from None
    except (ccxt.NotSupported, ccxt.AuthenticationError) as error:
        raise WindowError(f"{name} does not serve this to the public: {error}") from None
    except (ccxt.BaseError, OSError, *_MALFORMED_ANSWER) as error:
        raise TryAgainError(f"{name}: {type(error).__name__}: {error}") from None


def _sent_to(base_url: str, url: str) -> str:
    if not base_url:
        return url
    target, asked = urlsplit(base_url), urlsplit(url)
    return urlunsplit((target.scheme, target.netloc, asked.path, asked.query, asked.fragment))
