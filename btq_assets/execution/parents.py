"""Orders that were split, as folds over their children.

Belongs here: what the children of a parent came to together. Does not belong here: how an order is
split (`routing`, `schedules`), what one order is after its events (`orders`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from btq_assets.execution.events import OrderTerms, OverFillError
from btq_assets.execution.orders import QUANTITY_TOLERANCE, Order, OrderState


@dataclass(frozen=True)
class ParentOrder:
    """An order that was split: what its children came to.

    A parent has no events of its own, so nothing is counted twice: it is a fold over its children.

    Attributes
    ----------
    terms
        What was asked for as a whole.
    children
        In the order they were submitted.
    """

    terms: OrderTerms
    children: tuple[Order, ...]

    @property
    def filled(self) -> float:
        """Signed shares."""
        return sum(child.filled for child in self.children)

    @property
    def cost(self) -> float:
        """Sum of costs of all fills."""
        return sum(child.cost for child in self.children)

    @property
    def average_price(self) -> float | None:
        """Mean price before costs; ``None`` without a fill."""
        value = sum(child.value for child in self.children)
        return value / abs(self.filled) if self.filled else None

    @property
    def state(self) -> OrderState:
        """Of the whole: open while a child is; what is left at the end was cancelled."""
        if abs(self.terms.quantity - self.filled) <= QUANTITY_TOLERANCE * abs(self.terms.quantity):
            return OrderState.FILLED
        if any(child.is_open for child in self.children):
            if self.filled:
                return OrderState.PARTIALLY_FILLED
            waits = any(child.state is OrderState.NEW for child in self.children)
            return OrderState.NEW if waits else OrderState.ACCEPTED
        if self.children and all(c.state is OrderState.REJECTED for c in self.children):
            return OrderState.REJECTED
        return OrderState.CANCELLED


def parent_orders(
    parents: Iterable[OrderTerms], orders: Mapping[str, Order]
) -> dict[str, ParentOrder]:
    """Parents by client id, each with its children among `orders`.

    Raises
    ------
    OverFillError
        Children of one parent were filled beyond it, or go the other way.
    """
    children: dict[str, list[Order]] = {}
    for order in orders.values():
        if order.terms.parent_id:
            children.setdefault(order.terms.parent_id, []).append(order)
    found = {}
    for terms in parents:
        whole = ParentOrder(terms, tuple(children.get(terms.client_id, ())))
        asked = sum(abs(child.terms.quantity) for child in whole.children)
        turned = any(child.terms.side != terms.side for child in whole.children)
        if turned or asked > abs(terms.quantity) * (1 + QUANTITY_TOLERANCE):
            raise OverFillError(
                f"{terms.client_id} ({terms.symbol}): children ask for {asked:g} of "
                f"{terms.quantity:g}, or go the other way"
            )
        found[terms.client_id] = whole
    return found
