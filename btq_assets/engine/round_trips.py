"""Round trips: each share sold against the share bought first.

Belongs here: matching fills first in, first out, and the excursions of each match. Does not belong
here: figures of many trips (`metrics`), tables (the backtest room).

A fill against the holding closes the oldest lots; what is left of it opens a lot of the other side.
Costs of a fill are shared out by shares. Lots still open at the last bar are valued there and
marked so; with them the profits of all trips sum to the change of equity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from btq_assets.engine import fifo_kernel

if TYPE_CHECKING:
    from btq_assets.engine.simulation import Simulation

TRIP_DTYPE = np.dtype(
    [
        ("asset", np.int64),
        ("side", np.int64),
        ("entry_bar", np.int64),
        ("exit_bar", np.int64),
        ("shares", np.float64),
        ("entry_price", np.float64),
        ("exit_price", np.float64),
        ("cost", np.float64),
        ("profit", np.float64),
        ("mae", np.float64),
        ("mfe", np.float64),
        ("is_open", np.bool_),
    ]
)


def round_trips(simulation: Simulation) -> np.ndarray:
    """Match the fills of a run first in, first out.

    Returns
    -------
    structured array
        By asset, then in the order they were closed, open ones last. ``side`` 1 long, -1 short;
        ``shares`` positive; prices before costs; ``cost`` of both ends; ``profit`` after them;
        ``mae`` and ``mfe`` as fractions of the entry price (`metrics.calculate_mae` and
        `calculate_mfe`) over the entry price, the marks from the entry bar to the bar before the
        exit, and the exit price. An open trip ends at the last bar, at its mark.
    """
    fills = simulation.fills
    order = np.lexsort((np.arange(fills.size), fills["asset"]))
    paid = fills["commission"] + fills["spread_cost"] + np.nan_to_num(fills["impact_cost"], nan=0.0)
    n_assets = simulation.marks.shape[1]
    # every fill ends at most one lot before its own last match, and leaves at most one open
    raw = np.empty((7, 3 * fills.size + 1))
    n_trips = fifo_kernel.match(
        fills["asset"][order].astype(np.int64),
        fills["bar"][order].astype(np.int64),
        np.ascontiguousarray(fills["shares"][order]),
        np.ascontiguousarray(fills["price"][order]),
        paid[order],
        raw,
    )
    asset, entry, exit_, shares, entry_price, exit_price, cost = raw[:, :n_trips]
    trips = np.zeros(n_trips, dtype=TRIP_DTYPE)
    trips["asset"], trips["entry_bar"] = asset, entry
    trips["side"], trips["shares"] = np.sign(shares), np.abs(shares)
    trips["is_open"] = exit_ < 0
    last = simulation.marks.shape[0] - 1
    trips["exit_bar"] = np.where(trips["is_open"], last, exit_)
    trips["entry_price"], trips["cost"] = entry_price, cost
    trips["exit_price"] = np.where(
        trips["is_open"], simulation.marks[last, trips["asset"]] if n_assets else 0.0, exit_price
    )
    trips["profit"] = shares * (trips["exit_price"] - trips["entry_price"]) - cost
    _excursions(trips, simulation.marks)
    return trips[np.lexsort((trips["is_open"], trips["asset"]))]


def _excursions(trips: np.ndarray, marks: np.ndarray) -> None:
    """Fill in ``mae`` and ``mfe``: lowest and highest mark of any span by doubling spans."""
    if not trips.size:
        return
    low, high = marks, marks
    span = trips["exit_bar"] - trips["entry_bar"]
    floor = np.minimum(trips["entry_price"], trips["exit_price"])
    ceiling = np.maximum(trips["entry_price"], trips["exit_price"])
    width = 1
    while True:
        # spans of width to 2 * width - 1 bars are two spans of `width`, overlapping
        mine = np.flatnonzero((span >= width) & (span < 2 * width))
        column, first = trips["asset"][mine], trips["entry_bar"][mine]
        second = trips["exit_bar"][mine] - width
        floor[mine] = np.fmin(floor[mine], np.fmin(low[first, column], low[second, column]))
        ceiling[mine] = np.fmax(ceiling[mine], np.fmax(high[first, column], high[second, column]))
        if 2 * width > span.max():
            break
        low = np.fmin(low[:-width], low[width:])
        high = np.fmax(high[:-width], high[width:])
        width *= 2
    price, long = trips["entry_price"], trips["side"] > 0
    fall, rise = (price - floor) / price, (ceiling - price) / price
    trips["mae"] = np.where(long, fall, rise)
    trips["mfe"] = np.where(long, rise, fall)
