"""Compiled links between orders: parents with children, orders of which one cancels the others.

Belongs here: when a child may trade, when a linked order ends because of another one. Does not
belong here: fills (`settle_kernel`), queues (`queue_kernel`).

Nothing is pushed from one order to the next: an order looks at those it depends on when its turn
comes, so a link costs nothing where there is none.
"""

from __future__ import annotations

from btq_assets.engine import codes, column_kernel, queue_kernel
from btq_assets.engine.codes import NEVER
from btq_assets.engine.column_kernel import at, price_at
from btq_assets.engine.compiled import compiled
from btq_assets.engine.queue_kernel import finish

_LIMIT = 1
_GTT = 4
_BAR = 0
_NEW, _FILLED, _CANCELLED = 0, 3, 4
_PARENT_ENDED, _OTHER_FILLED = 12, 13
_EVERYTHING = (codes, column_kernel, queue_kernel)


@compiled(*_EVERYTHING, from_python=False)
def active_from(orders, states, number, latency, time):
    """Time from which an order may trade; `NEVER` while its parent works.

    An order whose parent ended without a fill, or of whose group another one was filled, ends here.
    A parent that ended with a part filled wakes its children for that part.
    """
    state = states[number]
    active_at = orders.time[number] + latency
    parent = at(orders.parent, number, -1)
    if parent >= 0:
        above = states[parent]
        if above.status < _FILLED:
            return NEVER
        if above.filled == 0.0:
            finish(state, _CANCELLED, _PARENT_ENDED, max(above.done_at, orders.time[number]))
            return NEVER
        active_at = max(active_at, above.done_at + latency)
        most = abs(above.filled)
        if state.filled == 0.0 and abs(state.quantity) > most and above.status != _FILLED:
            state.quantity = most if state.quantity > 0.0 else -most
    other = at(orders.sibling, number, -1)
    while other >= 0 and other != number:
        if states[other].filled != 0.0:
            finish(state, _CANCELLED, _OTHER_FILLED, time)
            return NEVER
        other = at(orders.sibling, other, -1)
    return active_at


@compiled(*_EVERYTHING, from_python=False)
def open_is_for_another(orders, states, prices, number, side, open_, start, time, latency):
    """Whether a limit of the same group fills at the open, which is surely earlier than inside."""
    other = at(orders.sibling, number, -1)
    while other >= 0 and other != number:
        state = states[other]
        limit = price_at(orders.kind, prices, other, 0)
        if (
            _NEW < state.status < _FILLED
            and at(orders.kind, other, 0) == _LIMIT
            and orders.asset[other] == orders.asset[number]
            and state.quantity * side > 0.0
            and side * open_ <= side * limit
            and at(orders.cancel_at, other, NEVER) >= time
            and not (
                at(orders.force, other, 0) == _GTT and at(orders.expire_at, other, NEVER) < time
            )
            and start >= active_from(orders, states, other, latency, time)
        ):
            return True
        other = at(orders.sibling, other, -1)
    return False


@compiled(*_EVERYTHING, from_python=False)
def end_links(orders, states, latency, time):
    """After the last event: orders that wait for what can no longer happen end."""
    for number in range(states.size):
        if _NEW < states[number].status < _FILLED:
            active_from(orders, states, number, latency, time)
