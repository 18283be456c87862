"""Coinbase Exchange: its public websocket feed, and missed trades over HTTP.

Belongs here: messages ``match`` and ``ticker``, and ``/products/…/trades``. Does not belong here: what
the recorder does with them.

Trades are numbered without holes within a product, so a missed one is seen and asked for. ``ticker``
tells the best quotes with each trade only, with the number of the product's feed. The public changes
of the book (``level2``) carry no numbers: nobody could tell that one was lost, so books are not
recorded. ``side`` is that of the resting order, over HTTP too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from btq_assets.sources.stream.events import (
    BookEvent,
    Event,
    MessageError,
    Notice,
    Quote,
    Trade,
    count,
    name,
)
from btq_assets.sources.stream.rest import ask

if TYPE_CHECKING:
    from btq_assets.config.sources.stream import StreamSourceSection
    from btq_assets.sources.stream.shape import Door

#: Channel of each kind of event.
CHANNELS = {"trades": "matches", "quotes": "ticker"}

_PAGE = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Said about the connection, not about the market.
_NOTICES = frozenset({"subscriptions", "heartbeat", "status", "error"})


class CoinbaseShape:
    """Coinbase Exchange, as `StreamShape` asks for it."""

    def url(self, settings: StreamSourceSection) -> str:
        """The feed has one address."""
        return settings.websocket_url

    def greetings(self, settings: StreamSourceSection) -> list[str]:
        """The subscription, which must come within five seconds."""
        return [
            json.dumps(
                {
                    "type": "subscribe",
                    "product_ids": list(settings.symbols),
                    "channels": [CHANNELS[kind] for kind in settings.kinds],
                }
            )
        ]

    def decode(self, text: str | bytes, received_at: int) -> Event:
        """Read one message."""
        try:
            message = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise MessageError(f"not JSON: {error}") from None
        if not isinstance(message, dict):
            raise MessageError("no object")
        kind = message.get("type")
        try:
            if kind in ("match", "last_match"):
                return _trade(message, name(message["product_id"]), received_at, "stream")
            if kind == "ticker":
                return _quote(message, received_at)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise MessageError(f"unreadable {kind}: {error!r}") from None
        if isinstance(kind, str) and kind in _NOTICES:
            return Notice(json.dumps(message))
        raise MessageError(f"unknown message type {kind!r}")

    def door(
        self, settings: StreamSourceSection, clock: Callable[[], int], first_wait_s: float
    ) -> Door:
        """``/products/…``."""
        return CoinbaseDoor(settings.rest_url.rstrip("/"), clock, first_wait_s)


class CoinbaseDoor:
    """Past trades of Coinbase Exchange, newest first, in pages of a thousand."""

    def __init__(self, base_url: str, clock: Callable[[], int], first_wait_s: float) -> None:
        self.base_url, self.clock, self.first_wait_s = base_url, clock, first_wait_s

    def trades(self, symbol: str, first: int, last: int) -> list[Trade]:
        """Trades of `symbol` numbered `first` to `last`, oldest first."""
        found: list[Trade] = []
        newest = last
        while newest >= first:
            # ``after`` asks for what is older than the number it names.
            query = {"after": newest + 1, "limit": min(_PAGE, newest - first + 1)}
            answer = ask(f"{self.base_url}/products/{symbol}/trades", query, self.first_wait_s)
            if not isinstance(answer, list):
                raise MessageError("the past trades are no list")
            try:
                page = [_trade(item, symbol, self.clock(), "backfill") for item in answer]
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                raise MessageError(f"unreadable past trade: {error!r}") from None
            page = [trade for trade in page if first <= trade.trade_id <= newest]
            if not page:
                break
            found += page
            newest = min(trade.trade_id for trade in page) - 1
        return sorted(found, key=lambda trade: trade.trade_id)

    def snapshot(self, symbol: str, n_levels: int) -> BookEvent:
        """Books are not recorded here."""
        raise MessageError(f"no book of {symbol}: changes of it carry no numbers")


def _trade(message: dict[str, Any], symbol: str, received_at: int, via: Any) -> Trade:
    side = message["side"]
    if side not in ("buy", "sell"):
        raise ValueError(f"{side!r} is no side")
    return Trade(
        symbol,
        count(message["trade_id"]),
        _microseconds(message["time"]),
        received_at,
        float(message["price"]),
        float(message["size"]),
        side == "buy",
        via,
    )


def _quote(message: dict[str, Any], received_at: int) -> Quote:
    return Quote(
        name(message["product_id"]),
        count(message["sequence"]),
        _microseconds(message["time"]),
        received_at,
        float(message["best_bid"]),
        float(message["best_bid_size"]),
        float(message["best_ask"]),
        float(message["best_ask_size"]),
    )


def _microseconds(time: Any) -> int:
    """Microseconds since 1970 of an ISO time with its zone."""
    moment = datetime.fromisoformat(time)
    if moment.tzinfo is None or not 2000 <= moment.year < 2100:
        raise ValueError(f"time {time!r} has no zone, or is not of this century")
    return (moment - _EPOCH) // timedelta(microseconds=1)
