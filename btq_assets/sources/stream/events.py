"""What an exchange may tell: a trade, a best quote, a change of the book, a notice.

Belongs here: the events every exchange's messages become, and the rows they make. Does not belong
here: the messages themselves (`messages.py`, `coinbase.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from btq_assets.sources.vintages import RECORDED

Level = tuple[Literal["bid", "ask"], float, float]


class MessageError(ValueError):
    """A message is not what the exchange documents; it is kept, with the reason."""


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade; times in microseconds since 1970."""

    symbol: str
    trade_id: int
    ts: int
    received_at: int
    price: float
    quantity: float
    buyer_is_maker: bool | None
    via: Literal["stream", "backfill"] = "stream"

    def row(self, dataset: str) -> tuple[Any, ...]:
        """Values in the columns of ``raw.trades_stream``."""
        return (
            dataset, self.symbol, self.trade_id, self.ts, max(self.ts, self.received_at), RECORDED,
            self.received_at, self.price, self.quantity, self.buyer_is_maker, self.via,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Quote:
    """Best bid and ask; where no time is given that of receipt stands for it."""

    symbol: str
    update_id: int
    ts: int
    received_at: int
    bid_price: float
    bid_quantity: float
    ask_price: float
    ask_quantity: float

    def row(self, dataset: str) -> tuple[Any, ...]:
        """Values in the columns of ``raw.quotes_stream``."""
        return (
            dataset, self.symbol, self.update_id, self.ts, max(self.ts, self.received_at), RECORDED,
            self.received_at, self.bid_price, self.bid_quantity, self.ask_price, self.ask_quantity,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class BookEvent:
    """A whole book, or changes to it: levels are (side, price, quantity), zero meaning gone."""

    symbol: str
    kind: Literal["snapshot", "change"]
    first_update_id: int
    update_id: int
    previous_update_id: int | None
    ts: int
    received_at: int
    levels: tuple[Level, ...]

    def rows(self, dataset: str) -> list[tuple[Any, ...]]:
        """Values in the columns of ``raw.book_stream``, one tuple a level."""
        known_at = max(self.ts, self.received_at)
        # A level said twice in one message: the last word counts.
        last = {(side, price): quantity for side, price, quantity in self.levels}
        # Futures skip numbers and name the update before: then the change joins that one.
        first = self.first_update_id
        if self.previous_update_id is not None:
            first = min(first, self.previous_update_id + 1)
        return [
            (
                dataset, self.symbol, self.update_id, self.kind, side, price, first,
                self.ts, known_at, RECORDED, self.received_at, quantity,
            )
            for (side, price), quantity in last.items()
        ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the exchange says about the connection, not about the market."""

    text: str


Event = Trade | Quote | BookEvent | Notice


def count(value: Any) -> int:
    """`value` as the number of an event; raises ``ValueError`` when it cannot be one."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise ValueError(f"{value!r} is not a number an event can have")
    return value


def name(value: Any) -> str:
    """`value` as a symbol; raises ``ValueError`` when it cannot be one."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is not a symbol")
    return value


def flag(value: Any) -> bool:
    """`value` as true or false; raises ``ValueError`` when it is neither."""
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")
    return value
