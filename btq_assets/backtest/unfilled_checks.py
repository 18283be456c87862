"""Blocking check of `backtest.unfilled_orders`, made on the rows about to be written.

Belongs here: what must hold between orders, fills and runs. Does not belong here: structure (the
contract) and what it cost (the execution room).
"""

from __future__ import annotations

import polars as pl

from btq_assets.contracts import backtest as contracts
from btq_assets.contracts.checks import CheckContext, CheckOutcome, frame_check

_ROUNDING = 1e-9


def _orders_add_up(context: CheckContext) -> CheckOutcome:
    name = "unfilled_orders_add_up"
    orders = context.frames[contracts.UNFILLED_ORDERS.table]
    runs = context.frames[contracts.RUNS.table].filter(pl.col("role") != "benchmark")
    fills = (
        context.frames[contracts.TRADES.table]
        .filter(pl.col("reason") == "rebalance")
        .select("run_id", "symbol", "decided_at", _ended="filled_at", _filled="shares")
    )
    both = orders.join(fills, on=["run_id", "symbol", "decided_at"], how="left")
    off = (pl.col("_filled").fill_null(0.0) - pl.col("filled_shares")).abs()
    beyond = (pl.col("filled_shares") * pl.col("wanted_shares") < 0) | (
        pl.col("filled_shares").abs() > pl.col("wanted_shares").abs() * (1 + _ROUNDING)
    )
    wrong = both.filter(
        (off > _ROUNDING * pl.col("filled_shares").abs())
        | (pl.col("_ended") != pl.col("ended_at")).fill_null(False)
        | beyond.fill_null(False)
    )
    if wrong.height:
        row = wrong.row(0, named=True)
        return CheckOutcome(
            name,
            False,
            f"{row['strategy']} {row['symbol']} decided at {row['decided_at']}: "
            f"{row['filled_shares']:g} of {row['wanted_shares'] or float('nan'):g} filled, "
            f"backtest.trades has {row['_filled'] or 0.0:g}",
        )
    nothing = orders.filter(pl.col("filled_shares") == 0).group_by("run_id").len("_n")
    counted = runs.join(nothing, on="run_id", how="left").filter(
        pl.col("_n").fill_null(0) != pl.col("n_rejected_orders")
    )
    if counted.height:
        row = counted.row(0, named=True)
        return CheckOutcome(
            name,
            False,
            f"{row['strategy']}: the engine refused {row['n_rejected_orders']} orders, "
            f"{row['_n'] or 0} are stored without any fill",
        )
    return CheckOutcome(name, True, f"{orders.height} orders not wholly filled")


ORDERS_ADD_UP = frame_check(
    "unfilled_orders_add_up",
    "What is filled of each order is its fill, never more than was wanted, and orders without any "
    "fill are as many as the engine refused.",
    _orders_add_up,
)
