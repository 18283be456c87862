"""What differs from exchange to exchange: addresses, greetings, messages, and the other door.

Belongs here: the interface, and Binance's side of it. Does not belong here: anything the recorder
does alike for all exchanges (`recorder.py`, `keeper.py`), the messages themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Protocol

from btq_assets.sources.stream.events import BookEvent, Event, Trade
from btq_assets.sources.stream.messages import decode
from btq_assets.sources.stream.rest import RestDoor

if TYPE_CHECKING:
    from btq_assets.config.sources.stream import StreamSourceSection


class Door(Protocol):
    """The exchange's HTTP side; blocking, to be called in a thread."""

    def trades(self, symbol: str, first: int, last: int) -> list[Trade]:
        """Trades numbered `first` to `last`, as far as the exchange still has them."""
        ...

    def snapshot(self, symbol: str, n_levels: int) -> BookEvent:
        """The whole book, at most `n_levels` a side."""
        ...


class StreamShape(Protocol):
    """One exchange, as the recorder needs to know it."""

    def url(self, settings: StreamSourceSection) -> str:
        """Address to connect to."""
        ...

    def greetings(self, settings: StreamSourceSection) -> list[str]:
        """Messages to send once connected, before anything comes."""
        ...

    def decode(self, text: str | bytes, received_at: int) -> Event:
        """Read one message; raises `MessageError` when it is not what the exchange documents."""
        ...

    def door(
        self, settings: StreamSourceSection, clock: Callable[[], int], first_wait_s: float
    ) -> Door:
        """The exchange's HTTP side."""
        ...


class BinanceShape:
    """Binance, spot and futures: streams are named in the address."""

    #: Stream name of each kind at the exchange.
    CHANNELS: ClassVar = {"trades": "trade", "quotes": "bookTicker", "book": "depth@100ms"}

    def url(self, settings: StreamSourceSection) -> str:
        """Address of the combined stream."""
        names = [
            f"{symbol.lower()}@{self.CHANNELS[kind]}"
            for symbol in settings.symbols
            for kind in settings.kinds
        ]
        return f"{settings.websocket_url.rstrip('/')}/stream?streams={'/'.join(names)}"

    def greetings(self, settings: StreamSourceSection) -> list[str]:
        """None: the address says it all."""
        return []

    def decode(self, text: str | bytes, received_at: int) -> Event:
        """Read one message."""
        return decode(text, received_at)

    def door(
        self, settings: StreamSourceSection, clock: Callable[[], int], first_wait_s: float
    ) -> Door:
        """``/api/v3/…``."""
        return RestDoor(settings.rest_url, clock, first_wait_s=first_wait_s)


def shape_of(exchange: str) -> StreamShape:
    """Shape of the exchange called `exchange` in the settings."""
    if exchange == "coinbase":
        from btq_assets.sources.stream.coinbase import CoinbaseShape

        return CoinbaseShape()
    return BinanceShape()
