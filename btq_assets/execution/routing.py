"""Smart order routing: one order over the books of several venues, at the least expected cost.

Belongs here: venues, what a share costs on each of their levels, the split. Does not belong here:
when to trade (`schedules`), whether a child trades (`engine.fills`).

A share bought on a level of a venue costs its price, the venue's fee (a rebate is negative), what
the price is expected to move against us while the order travels, and a hidden cost: what trading
there is known to cost beyond the book (leakage, adverse selection). Displayed size that is
expected to be gone on arrival is not counted on.

**Assumption.** Nothing is paid per venue or per order, and venues do not react to one another.
Cost is then a sum of functions of each venue's quantity that are convex, since levels are taken
from the cheapest up, and taking the cheapest remaining level everywhere first is optimal (a
continuous knapsack; tests compare it with linear programming and with every possible split).
A minimum commission or a fixed cost per route would break this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from btq_assets.engine.codes import OrderKind, TimeInForce
from btq_assets.engine.costs import BPS
from btq_assets.execution.events import OrderTerms, client_order_id

SECOND_NS = 1_000_000_000
SECONDS_PER_DAY = 86_400.0


class RoutingError(ValueError):
    """A venue or an order that cannot be routed; the message names it."""


@dataclass(frozen=True)
class Venue:
    """One side of a book, as an order would meet it, and what trading there costs.

    Attributes
    ----------
    prices, sizes
        Levels, best first: asks ascending for a purchase, bids descending for a sale.
    fee_bps
        Taker fee on value; negative where taking is paid.
    latency_ns
        Time for an order to arrive.
    fade
        Share of displayed size expected to be gone on arrival, [0, 1).
    hidden_cost_bps
        Cost beyond book and fee, estimated from past fills.
    """

    name: str
    prices: Sequence[float] | np.ndarray
    sizes: Sequence[float] | np.ndarray
    fee_bps: float = 0.0
    latency_ns: int = 0
    fade: float = 0.0
    hidden_cost_bps: float = 0.0

    def __post_init__(self) -> None:
        prices, sizes = np.asarray(self.prices, float), np.asarray(self.sizes, float)
        if prices.shape != sizes.shape or prices.ndim != 1:
            raise RoutingError(f"{self.name}: {prices.size} prices and {sizes.size} sizes")
        if not (np.all(np.isfinite(prices)) and np.all(prices > 0) and np.all(sizes >= 0)):
            raise RoutingError(f"{self.name}: prices must be positive and sizes not negative")
        if not 0 <= self.fade < 1 or self.latency_ns < 0 or not self.hidden_cost_bps >= 0:
            raise RoutingError(
                f"{self.name}: fade in [0, 1), latency_ns and hidden_cost_bps >= 0, found "
                f"{self.fade!r}, {self.latency_ns!r}, {self.hidden_cost_bps!r}"
            )
        if not np.isfinite(self.fee_bps):
            raise RoutingError(f"{self.name}: fee_bps = {self.fee_bps!r}")


@dataclass(frozen=True)
class RouteTerms:
    """What holds for all venues.

    Attributes
    ----------
    volatility
        Daily, as a fraction: sets what waiting for arrival may cost.
    latency_aversion
        Standard deviations of the move during the journey that count as cost.
    lot
        Sizes are cut down to whole lots.
    """

    volatility: float = 0.0
    latency_aversion: float = 0.0
    lot: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not np.isfinite(value) or value < 0:
                raise RoutingError(f"{name} = {value!r}: needs a number >= 0")


@dataclass(frozen=True)
class Leg:
    """What goes to one venue.

    Attributes
    ----------
    quantity
        Signed shares.
    limit
        Worst price it may take: the last level that was counted on.
    expected_cost
        Currency against `Route.reference`; includes fees, latency and hidden cost.
    """

    venue: str
    quantity: float
    limit: float
    expected_cost: float


@dataclass(frozen=True)
class Route:
    """The split of an order.

    Attributes
    ----------
    legs
        Venues that get something, in the order given.
    unrouted
        Signed shares beyond all books, or beyond the limit.
    reference
        Price costs are counted from: the best of all venues.
    expected_cost
        Sum over the legs.
    """

    legs: tuple[Leg, ...]
    unrouted: float
    reference: float
    expected_cost: float

    def children(self, parent: OrderTerms, *, account: str, attempt: int = 0) -> list[OrderTerms]:
        """Limit orders of the legs, immediate or cancelled, with ids by parent and venue.

        `attempt` tells apart what is routed again after a first route left something.
        """
        return [
            replace(
                parent,
                client_id=client_order_id(
                    account,
                    parent.strategy,
                    parent.universe,
                    parent.symbol,
                    parent.decided_at,
                    child=attempt,
                    venue=f"{parent.client_id}@{leg.venue}",
                ),
                quantity=leg.quantity,
                kind=OrderKind.LIMIT,
                force=TimeInForce.IOC,
                limit=leg.limit,
                stop=None,
                trail_amount=None,
                trail_fraction=None,
                expire_at=None,
                parent_id=parent.client_id,
                venue=leg.venue,
            )
            for leg in self.legs
        ]


def share_costs(
    venue: Venue, side: int, terms: RouteTerms | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Cost of one share on each level, and the shares to count on.

    Parameters
    ----------
    side
        1 buys, -1 sells.

    Returns
    -------
    cost : numpy.ndarray
        ``side * price + price * (fee + latency + hidden)``, ``float64[L]``: for a sale what is
        received, negative. Ascending.
    size : numpy.ndarray
        Displayed size less what fades, in whole lots.

    Raises
    ------
    RoutingError
        Levels are not sorted from the best.
    """
    terms = terms or RouteTerms()
    prices = np.asarray(venue.prices, dtype=float)
    if np.any(np.diff(side * prices) < 0):
        raise RoutingError(f"{venue.name}: levels must go from the best price to the worst")
    journey = venue.latency_ns / SECOND_NS / SECONDS_PER_DAY
    waiting = terms.latency_aversion * terms.volatility * np.sqrt(journey)
    rate = (venue.fee_bps + venue.hidden_cost_bps) * BPS + waiting
    if side < 0 and rate >= 1:
        raise RoutingError(f"{venue.name}: costs of {rate:.4g} of value leave nothing of a sale")
    size = np.asarray(venue.sizes, dtype=float) * (1.0 - venue.fade)
    if terms.lot > 0:
        size = np.floor(size / terms.lot + 1e-9) * terms.lot
    return side * prices + prices * rate, size


def route(
    quantity: float,
    venues: Sequence[Venue],
    terms: RouteTerms | None = None,
    *,
    limit: float | None = None,
) -> Route:
    """The cheapest split of an order over venues.

    Parameters
    ----------
    quantity
        Signed shares.
    limit
        No level beyond it is used.

    Returns
    -------
    Route
        Equal costs are taken in the order of `venues`.

    Raises
    ------
    RoutingError
        The quantity is zero or not whole lots, a name comes twice, or no venue has a level.
    """
    terms = terms or RouteTerms()
    if not np.isfinite(quantity) or quantity == 0:
        raise RoutingError(f"quantity = {quantity!r}: signed shares, not zero")
    if terms.lot > 0 and abs(quantity / terms.lot - round(quantity / terms.lot)) > 1e-9:
        raise RoutingError(f"quantity = {quantity:g} is not a multiple of the lot {terms.lot:g}")
    names = [venue.name for venue in venues]
    if len(set(names)) < len(names):
        raise RoutingError(f"venues {names}: a name comes twice")
    side = 1 if quantity > 0 else -1
    quoted = [np.asarray(venue.prices, dtype=float) for venue in venues]
    if not any(prices.size for prices in quoted):
        raise RoutingError(f"no venue of {names} has a level")
    costs, sizes = zip(*(share_costs(venue, side, terms) for venue in venues), strict=True)
    owner = np.repeat(np.arange(len(venues)), [prices.size for prices in quoted])
    price, cost, size = (np.concatenate(part) for part in (quoted, costs, sizes))
    reference = float(side * np.min(side * price))
    if limit is not None:
        size = np.where(side * (price - limit) > 0, 0.0, size)
    order = np.argsort(cost, kind="stable")
    reached = np.minimum(np.cumsum(size[order]), abs(quantity))
    taken = np.empty_like(size)
    taken[order] = np.diff(reached, prepend=0.0)
    legs = []
    for number, venue in enumerate(venues):
        own = (owner == number) & (taken > 0)
        if own.any():
            paid = float(taken[own] @ cost[own] - side * reference * taken[own].sum())
            worst = float(side * np.max(side * price[own]))
            legs.append(Leg(venue.name, side * float(taken[own].sum()), worst, paid))
    return Route(
        tuple(legs),
        float(quantity - sum(leg.quantity for leg in legs)),
        reference,
        float(sum(leg.expected_cost for leg in legs)),
    )
