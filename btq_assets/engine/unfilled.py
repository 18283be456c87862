"""Orders of a target-weight run that were not, or not wholly, filled.

Belongs here: what each decision ordered, held against its fills. Does not belong here: the run
(`simulation`), the price of what was missed (the execution room).

An order lives for one bar: what the bar after the decision leaves is dropped, and the next decision
sizes anew. Orders of the last bar have no bar to fill at and are not counted.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from btq_assets.engine.simulation import Simulation

#: Why shares were missed, by number.
REASONS = ("no_price", "cash", "cost")
_NO_PRICE, _CASH, _COST = range(3)

UNFILLED_DTYPE = np.dtype(
    [
        ("decided_bar", np.int64),
        ("bar", np.int64),
        ("until_bar", np.int64),
        ("asset", np.int64),
        ("wanted", np.float64),
        ("filled", np.float64),
        ("reason", np.int64),
    ]
)


def unfilled_orders(
    simulation: Simulation,
    targets: np.ndarray,
    fill_prices: np.ndarray,
    *,
    sizing: Literal["decision", "fill"] = "decision",
    lot_size: float = 0.0,
) -> np.ndarray:
    """Orders whose fills fall short of them, bar by bar.

    Sizes are those of the engine, made again from the recorded equity, holdings and marks: it reads
    no fill to know what was wanted.

    Parameters
    ----------
    simulation
        A finished run.
    targets, fill_prices, sizing, lot_size
        What it was made with; see `simulation.simulate`.

    Returns
    -------
    structured array
        `UNFILLED_DTYPE`, by bar and asset. ``wanted`` is signed shares (NaN where a missing price
        left the order without a size), ``filled`` of it at ``bar``; ``until_bar`` is the next
        decision, or the last bar. ``reason``: 0 no price, 1 cash short (scaled or refused), 2 a
        sale that would have cost more than it brought.
    """
    from btq_assets.engine.kernel import DUST, REASON_REBALANCE

    targets = np.asarray(targets, dtype=float)
    decided = np.flatnonzero(~np.isnan(targets).any(axis=1) & (simulation.equity > 0))
    rows = decided[decided + 1 < simulation.equity.size]
    if not rows.size:
        return np.zeros(0, dtype=UNFILLED_DTYPE)
    shape = simulation.shares.shape
    is_order = simulation.fills["reason"] == REASON_REBALANCE
    filled = _by_bar(simulation.fills[is_order], shape)[rows + 1]
    settled = simulation.fills[~is_order]
    held = simulation.shares[rows] + _by_bar(settled, shape)[rows + 1]
    prices = fill_prices[rows + 1]
    if sizing == "decision":
        equity, sized_at = simulation.equity[rows], simulation.marks[rows]
    else:
        proceeds = -np.bincount(
            settled["bar"], weights=settled["shares"] * settled["price"], minlength=shape[0]
        )
        valued = np.where(np.isnan(prices), simulation.marks[rows], prices)
        worth = np.where(held == 0.0, 0.0, held * valued).sum(axis=1)
        equity, sized_at = simulation.cash[rows] + proceeds[rows + 1] + worth, prices
    wanted = np.where(targets[rows] == 0.0, 0.0, targets[rows] * equity[:, None] / sized_at)
    order = wanted - held
    if lot_size > 0.0:
        order = np.trunc(order / lot_size * (1.0 + DUST)) * lot_size
    size = np.maximum(np.abs(wanted), np.abs(held))
    short = np.isnan(order) | (np.abs(order - filled) > DUST * size)
    short &= (equity > 0)[:, None]
    k, i = np.nonzero(short)
    found = np.zeros(k.size, dtype=UNFILLED_DTYPE)
    found["decided_bar"], found["bar"], found["asset"] = rows[k], rows[k] + 1, i
    following = np.append(decided, shape[0] - 1)
    found["until_bar"] = following[np.searchsorted(decided, rows[k], side="right")]
    found["wanted"], found["filled"] = order[k, i], filled[k, i]
    unpriced = np.isnan(order[k, i]) | np.isnan(prices[k, i])
    found["reason"] = np.where(unpriced, _NO_PRICE, np.where(order[k, i] > 0, _CASH, _COST))
    return found


def _by_bar(fills: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Shares of `fills` by bar and asset."""
    flat = fills["bar"] * shape[1] + fills["asset"]
    return np.bincount(flat, weights=fills["shares"], minlength=shape[0] * shape[1]).reshape(shape)
