"""One asset, few bars: what the tests of orders share."""

from __future__ import annotations

from typing import Any

import numpy as np

from btq_assets.engine.books import check_books
from btq_assets.engine.codes import Status
from btq_assets.engine.order_simulation import OrderSimulation, simulate_orders
from btq_assets.engine.orders import order_table
from btq_assets.engine.stream import MarketStream, stream_from_panels
from btq_assets.engine.terms import Account

NAN = np.nan


def bars(rows: list[tuple[float, ...]], **more: Any) -> MarketStream:
    """Rows of open, high, low, close and perhaps volume; times 1, 2, 3..., a session each."""
    table = np.array(rows, dtype=float)
    columns = {name: table[:, [k]] for k, name in enumerate(("open", "high", "low", "close"))}
    if table.shape[1] > 4:
        columns["volume"] = table[:, [4]]
    return stream_from_panels(np.arange(1, len(rows) + 1), **columns, **more)


def run(
    market: MarketStream,
    size: Any,
    *,
    time: Any = 1,
    account: Account | None = None,
    options: dict[str, Any] | None = None,
    asset: Any = 0,
    **order: Any,
) -> OrderSimulation:
    """Orders decided at `time` (the end of the first bar); the books are checked."""
    times = np.broadcast_to(time, np.shape(np.atleast_1d(size)))
    done = simulate_orders(
        market,
        order_table(times, asset, np.atleast_1d(size), **order),
        account or Account(100_000.0),
        **(options or {}),
    )
    check_books(done, 1e-12)
    return done


def fills(done: OrderSimulation) -> list[tuple[int, float, float]]:
    """Time, signed shares and price of every fill."""
    return [(int(f["time"]), float(f["shares"]), float(f["price"])) for f in done.fills]


def status(done: OrderSimulation) -> list[str]:
    """Where each order ended."""
    return [Status(code).name for code in done.orders["status"]]
