"""Orders that depend on others: brackets, and groups of which one cancels the others.

Belongs here: the links as arrays, and their checks. Does not belong here: what they do to orders
(`link_kernel`), single orders (`orders`).

A child waits for its parent. Once the parent is filled the child takes part from the next event on;
when the parent ends without a fill, so does the child; when it ends partly filled, the child is cut
to what was filled. Any fill of an order of a group, a part of it too, cancels the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from btq_assets.engine.codes import OrderKind, SizeKind
from btq_assets.engine.errors import EngineError

if TYPE_CHECKING:
    from btq_assets.engine.orders import OrderTable

_STOPS = (OrderKind.STOP, OrderKind.STOP_LIMIT, OrderKind.TRAILING_STOP)


def bracket_orders(
    time: Any,
    asset: Any,
    size: Any,
    *,
    stop: Any,
    target: Any,
    kind: Any = OrderKind.MARKET,
    limit: Any = None,
    entry_stop: Any = None,
    expire_at: Any = None,
    cancel_at: Any = None,
    symbols: Any = None,
) -> OrderTable:
    """Entries, each with a stop-loss and a take-profit of which one cancels the other.

    Parameters
    ----------
    time, asset, size
        Of the entries, as in `orders.order_table`; negative sizes sell short.
    stop, target
        Prices of the stop-loss (a stop order) and the take-profit (a limit order).
    kind, limit, entry_stop
        Kind and prices of the entries.
    expire_at, cancel_at
        Of the entries: good till then, cancelled by the owner; the exits are good till cancelled.

    Returns
    -------
    OrderTable
        Three rows for each entry in turn: entry, stop-loss, take-profit.

    Raises
    ------
    EngineError
        A stop-loss is not on the losing side of its take-profit; or as `orders.order_table`.
    """
    from btq_assets.engine.codes import NEVER, TimeInForce
    from btq_assets.engine.orders import order_table
    from btq_assets.engine.stream import nanoseconds

    times = np.atleast_1d(nanoseconds(time))
    n = times.size
    sizes = np.broadcast_to(np.asarray(size, dtype=float), (n,))
    losses = np.broadcast_to(np.asarray(stop, dtype=float), (n,))
    gains = np.broadcast_to(np.asarray(target, dtype=float), (n,))
    bad = np.flatnonzero(~((gains - losses) * np.sign(sizes) > 0))
    if bad.size:
        row = int(bad[0])
        raise EngineError(
            f"bracket {row}: stop-loss {losses[row]:g} and take-profit {gains[row]:g} of an entry of "
            f"{sizes[row]:g} are on the wrong sides of each other"
        )

    def thirds(entry: Any, second: Any, third: Any, absent: Any = np.nan) -> np.ndarray:
        columns = [absent if column is None else column for column in (entry, second, third)]
        dtype = np.int64 if absent is not np.nan else np.float64
        return np.stack(
            [np.broadcast_to(np.asarray(column, dtype=dtype), (n,)) for column in columns], axis=1
        ).ravel()

    rows = np.arange(n)
    until = None if expire_at is None else nanoseconds(expire_at)
    gone = None if cancel_at is None else nanoseconds(cancel_at)
    good_till = TimeInForce.GTC if until is None else TimeInForce.GTT
    return order_table(
        np.repeat(times, 3),
        np.repeat(np.broadcast_to(np.asarray(asset), (n,)), 3),
        thirds(sizes, -sizes, -sizes),
        kind=thirds(kind, OrderKind.STOP, OrderKind.LIMIT, -1),
        force=thirds(good_till, TimeInForce.GTC, TimeInForce.GTC, -1),
        limit=thirds(limit, None, gains),
        stop=thirds(entry_stop, losses, None),
        expire_at=None if until is None else thirds(until, None, None, NEVER),
        cancel_at=None if gone is None else thirds(gone, None, None, NEVER),
        parent=thirds(-1, 3 * rows, 3 * rows, -1),
        group=thirds(-1, rows, rows, -1),
        symbols=symbols,
    )


def links(
    parent: Any, group: Any, order: np.ndarray | None, table: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Links of sorted rows; `order` is the row, as given, of each of them.

    Raises
    ------
    EngineError
        A parent is unknown, of another asset, decided later or below its child; a child has a
        target for a size; a group has one order only, or a stop below a limit in its rows.
    """
    n = table["time"].size
    given = np.arange(n) if order is None else order
    place = np.empty(n, dtype=np.int64)
    place[given] = np.arange(n)
    found: dict[str, np.ndarray] = {}

    def refuse(bad: np.ndarray, what: str) -> None:
        if bad.any():
            raise EngineError(f"order {int(given[np.flatnonzero(bad)[0]])}: {what}")

    if parent is not None:
        above = _numbers("parent", parent, n)[given]
        child = above >= 0
        refuse(above >= n, f"its parent is none of the {n} orders")
        above = np.where(child, place[np.where(child, above, 0)] if n else above, -1)
        refuse(child & (above >= np.arange(n)), "its parent must come before it, in time and row")
        refuse(
            child & (table["asset"][np.maximum(above, 0)] != table["asset"]) if n else child,
            "its parent is an order of another asset",
        )
        if table["size_kind"].size:
            refuse(
                child & (table["size_kind"] != SizeKind.SHARES),
                "a child is sized in shares, not by a target",
            )
        if child.any():
            found["parent"] = above.astype(np.int32)
    if group is not None:
        ring = _siblings(_numbers("group", group, n)[given], table["kind"], refuse)
        if (ring >= 0).any():
            found["sibling"] = ring
    return found


def _numbers(name: str, given: Any, n: int) -> np.ndarray:
    values = np.asarray(given, dtype=np.int64)
    values = np.full(n, values) if values.ndim == 0 else values
    if values.shape != (n,):
        raise EngineError(f"{name} has shape {values.shape}; there are {n} orders")
    return values


def _siblings(groups: np.ndarray, kinds: np.ndarray, refuse: Any) -> np.ndarray:
    """The next order of each order's group, ``int32[M]``; the last names the first."""
    ring = np.full(groups.size, -1, dtype=np.int32)
    members = np.flatnonzero(groups >= 0)
    if not members.size:
        return ring
    rows = members[np.argsort(groups[members], kind="stable")]
    of = groups[rows]
    first = np.flatnonzero(np.r_[True, of[1:] != of[:-1]])
    last = np.r_[first[1:], of.size] - 1
    ring[rows[:-1]] = rows[1:]
    ring[rows[last]] = rows[first]
    refuse(ring == np.arange(groups.size), "it is alone in its group")
    kind = kinds[rows] if kinds.size else np.zeros(rows.size, dtype=np.int8)
    late = np.zeros(groups.size, dtype=bool)
    late[rows[1:]] = (
        (of[1:] == of[:-1]) & np.isin(kind[1:], _STOPS) & (kind[:-1] == OrderKind.LIMIT)
    )
    refuse(late, "in a group a stop comes before a limit: inside a bar the worse is assumed")
    return ring
