"""Several venues: their books as they stand, and one order split over them.

Belongs here: from rows of `core.book_changes` to books, which of them count, the children of an order.
Does not belong here: the split itself (`execution.routing`), fills (`broker`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from btq_assets.engine.fills import FillTerms
from btq_assets.engine.terms import Instruments, OrderCosts
from btq_assets.execution.events import OrderTerms
from btq_assets.execution.live.market import nanoseconds
from btq_assets.execution.live.rounds import BookTick
from btq_assets.execution.live.settings import LiveError, VenueTerms
from btq_assets.execution.routing import Route, RouteTerms, Venue, route

#: Levels of a side that are looked at.
DEPTH = 20

#: Columns of `core.book_changes` that are read.
NEEDED = (
    "universe", "dataset", "symbol", "ts", "update_id", "kind", "side", "price", "quantity",
)  # fmt: skip


class BookFold:
    """Books of every symbol and venue, moved on by snapshots and changes."""

    def __init__(self) -> None:
        self._levels: dict[tuple[str, str, str], dict[float, float]] = {}

    def states(self, changes: pl.DataFrame) -> Iterator[BookTick]:
        """The book after each message, in the order of time.

        Parameters
        ----------
        changes
            Rows of `core.book_changes`.

        Raises
        ------
        LiveError
            Columns are missing.
        """
        if absent := [name for name in NEEDED if name not in changes.columns]:
            raise LiveError(f"books lack {absent}; a replay needs rows of core.book_changes")
        message = ["ts", "symbol", "dataset", "update_id", "kind"]
        rows = changes.sort("ts", maintain_order=True)
        for key, part in rows.group_by(message, maintain_order=True):
            ts, symbol, venue, _, kind = key
            if kind == "snapshot":
                for side in ("bid", "ask"):
                    self._levels[symbol, venue, side] = {}
            for side, price, quantity in part.select("side", "price", "quantity").iter_rows():
                levels = self._levels.setdefault((symbol, venue, side), {})
                levels.pop(price, None)
                if quantity > 0:
                    levels[price] = quantity
            yield self.book(symbol, venue, ts)

    def book(self, symbol: str, venue: str, ts: datetime) -> BookTick:
        """The book as it stands."""
        bids = self._levels.get((symbol, venue, "bid"), {})
        asks = self._levels.get((symbol, venue, "ask"), {})
        return BookTick(
            nanoseconds(ts),
            symbol,
            venue,
            tuple(sorted(bids.items(), reverse=True)[:DEPTH]),
            tuple(sorted(asks.items())[:DEPTH]),
        )


@dataclass(frozen=True)
class Split:
    """Orders to send, and the parents of those that are children."""

    orders: list[OrderTerms]
    parents: list[OrderTerms]


class Router:
    """Splits orders over the venues whose books are known.

    Parameters
    ----------
    terms
        What is known of each venue; one that is not named has no fee and no delay.
    account
        Part of the children's names.
    collar
        Largest distance of a level from the price of the decision, a fraction.
    instruments
        Lots.
    """

    def __init__(
        self,
        terms: Mapping[str, VenueTerms],
        account: str,
        collar: float,
        instruments: Instruments,
    ) -> None:
        self._terms, self._account, self._collar = dict(terms), account, collar
        self._lot = float(np.max(instruments.lot_size))
        self._books: dict[str, dict[str, BookTick]] = {}

    def take(self, books: Iterable[BookTick]) -> None:
        """The newest books."""
        for book in books:
            self._books.setdefault(book.symbol, {})[book.venue] = book

    def split(self, orders: Sequence[OrderTerms], since: int) -> Split:
        """Children of orders whose symbol is offered at two venues or more; others as they are.

        Parameters
        ----------
        since
            Nanoseconds; a book that is older counts for nothing.
        """
        sent: list[OrderTerms] = []
        parents: list[OrderTerms] = []
        for order in orders:
            venues = self._venues(order, since)
            if len(venues) < 2:
                sent.append(order)
                continue
            parents.append(order)
            sent += self._children(order, self._route(order, venues))
        return Split(sent, parents)

    def _venues(self, order: OrderTerms, since: int) -> list[Venue]:
        found = []
        for name, book in sorted(self._books.get(order.symbol, {}).items()):
            levels = book.levels(order.side)
            if not levels or book.time < since:
                continue
            about = self._terms.get(name, VenueTerms())
            prices, sizes = zip(*levels, strict=True)
            found.append(
                Venue(
                    name,
                    np.array(prices),
                    np.array(sizes),
                    about.fee_bps,
                    about.latency_ns,
                    about.fade,
                    about.hidden_cost_bps,
                )
            )
        return found

    def _route(self, order: OrderTerms, venues: Sequence[Venue]) -> Route:
        # what sells all there is may be no whole lot
        whole = self._lot > 0 and abs(order.quantity / self._lot % 1) < 1e-9
        limit = None
        if order.reference_price is not None:
            limit = order.reference_price * (1 + order.side * self._collar)
        return route(
            order.quantity, venues, RouteTerms(lot=self._lot if whole else 0.0), limit=limit
        )

    def _children(self, order: OrderTerms, found: Route) -> list[OrderTerms]:
        children = []
        for child in found.children(order, account=self._account):
            wait = self._terms.get(child.venue, VenueTerms()).latency_ns
            children.append(child.active_after(wait))
        return children


def venue_costs(terms: Mapping[str, VenueTerms], instruments: Instruments) -> dict[str, FillTerms]:
    """Costs at each venue: its fee. Walking the book is the impact, and the spread is the book's."""
    return {
        name: FillTerms(OrderCosts(taker_bps=about.fee_bps, maker_bps=about.fee_bps), instruments)
        for name, about in terms.items()
    }
