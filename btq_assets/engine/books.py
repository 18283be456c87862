"""Proofs of the books of an event run, and its frames.

Belongs here: identities rebuilt from fills and trades alone, never from the cash or holdings they
prove. Does not belong here: the run itself (`order_simulation`).
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from btq_assets.engine import codes
from btq_assets.engine.codes import ActionKind, Liquidity, Moment, Reason, Status
from btq_assets.engine.errors import EngineError

if TYPE_CHECKING:
    from btq_assets.engine.order_simulation import OrderSimulation


def book_gaps(done: OrderSimulation) -> dict[str, float]:
    """Largest relative gap of each identity; all are rounding when the books are right.

    Returns
    -------
    dict
        ``positions``: cash + values of holdings = equity, at every snapshot. ``cash``: initial
        cash less what the fills paid and their costs, less borrow fees, interest and funding, plus
        dividends, at every snapshot. ``holdings``: sums of fills, with splits, at every snapshot.
        ``costs``: costs of fills by kind. ``trades``: sum of gross profits of trades less costs,
        plus carry, less interest = change of equity. ``orders``: filled shares of each order = its
        fills. Relative to equity or initial cash, whichever is larger; holdings to the largest.
    """
    from btq_assets.engine.proof_kernel import earned, prove_fills, prove_orders

    splits = np.flatnonzero(done.actions.kind == ActionKind.SPLIT)
    worst, of_orders = np.zeros(4), np.zeros(done.orders.size)
    rest = (
        *(_usual(getattr(done, name)) for name in ("times", "equity", "cash", "costs", "shares")),
        _usual(done.values),
        _usual(done.multiplier),
        done.initial_cash,
        done.actions.time[splits],
        done.actions.asset[splits],
        done.actions.value[splits],
    )
    holding = np.zeros(done.multiplier.size)
    if not prove_fills(_usual(done.fills), *rest, holding, of_orders, worst):
        for array in (holding, of_orders, worst):
            array[:] = 0.0
        by_time = np.argsort(done.fills["time"], kind="stable")
        prove_fills(done.fills[by_time], *rest, holding, of_orders, worst)
    gaps = {"cash": float(worst[0]), "costs": float(worst[1])}
    if done.values.shape[0]:
        gaps["positions"], gaps["holdings"] = float(worst[2]), float(worst[3])
    change = done.final_equity - done.initial_cash + done.final_interest
    missing = earned(_usual(done.trades)) - change
    gaps["trades"] = float(abs(missing) / max(abs(done.final_equity), done.initial_cash))
    if not splits.size:
        gaps["orders"] = float(prove_orders(_usual(done.orders), of_orders))
    return gaps


def check_books(done: OrderSimulation, tolerance: float = 1e-9) -> None:
    """Refuse a run whose books do not balance.

    Raises
    ------
    EngineError
        Names every identity that is broken, and by how much.
    """
    broken = {name: gap for name, gap in book_gaps(done).items() if not gap <= tolerance}
    if broken:
        told = ", ".join(f"{name} by {gap:.3g}" for name, gap in broken.items())
        raise EngineError(f"the books do not balance (limit {tolerance:g}): {told}")


def _largest(gaps: np.ndarray) -> float:
    return float(np.abs(gaps).max(initial=0.0))


def _usual(array: np.ndarray) -> np.ndarray:
    """The array as compiled code knows it: every other layout would be compiled once more."""
    usual = array.flags.c_contiguous and array.flags.writeable and array.flags.aligned
    return array if usual else np.array(array, order="C")


def result_frames(done: OrderSimulation) -> dict[str, pl.DataFrame]:
    """Frames of a run; times are zoned datetimes (nanoseconds since 1970 UTC).

    Returns
    -------
    dict
        ``equity`` (ts, equity, cash, gross_exposure, net_exposure, long_value, short_value),
        ``costs`` (ts, kind, paid: cumulative), ``positions`` (ts, symbol, shares, value; holdings
        only), ``orders``, ``fills``, ``trades``.
    """
    symbols = np.array(done.symbols, dtype=object)
    ts = _stamps("ts", done.times)
    safe = np.where(done.equity > 0, done.equity, np.nan)
    frames = {
        "equity": pl.DataFrame(
            {
                "ts": ts,
                "equity": done.equity,
                "cash": done.cash,
                "long_value": (done.gross + done.net) / 2,
                "short_value": (done.net - done.gross) / 2,
                "gross_exposure": done.gross / safe,
                "net_exposure": done.net / safe,
            }
        ),
        "costs": pl.DataFrame(
            {"ts": ts} | {name: done.costs[:, k] for k, name in enumerate(codes.COST_NAMES)}
        ).unpivot(index="ts", variable_name="kind", value_name="paid"),
        "orders": _orders_frame(done.orders, done.accepted_at),
        "fills": _named(done.fills, symbols, ("time",)).rename({"time": "ts"}),
        "trades": _named(done.trades, symbols, ("opened_at", "closed_at")),
    }
    rows, columns = np.nonzero(done.shares)
    frames["positions"] = pl.DataFrame(
        {
            "ts": _stamps("ts", done.times[rows]),
            "symbol": pl.Series(symbols[columns].tolist(), dtype=pl.String),
            "shares": done.shares[rows, columns],
            "value": done.values[rows, columns],
        }
    )
    return frames


def _stamps(name: str, times: np.ndarray) -> pl.Series:
    return pl.Series(name, times, dtype=pl.Int64).cast(pl.Datetime("ns", "UTC"))


def _words(name: str, values: np.ndarray, enum: type[IntEnum]) -> pl.Series:
    words = np.array([member.name.lower() for member in enum], dtype=object)
    return pl.Series(name, words[values].tolist(), dtype=pl.String)


def _named(records: np.ndarray, symbols: np.ndarray, times: tuple[str, ...]) -> pl.DataFrame:
    """Records with symbols and words in place of numbers."""
    columns: dict[str, pl.Series] = {}
    for name in records.dtype.names or ():
        values = np.ascontiguousarray(records[name])
        if name == "asset":
            columns["symbol"] = pl.Series("symbol", symbols[values].tolist(), dtype=pl.String)
        elif name in times:
            columns[name] = _stamps(name, values)
        elif name in ("liquidity", "moment", "reason"):
            enum = {"liquidity": Liquidity, "moment": Moment, "reason": Reason}[name]
            columns[name] = _words(name, values, enum)
        else:
            columns[name] = pl.Series(name, values)
    return pl.DataFrame(columns)


def _orders_frame(orders: np.ndarray, accepted_at: np.ndarray) -> pl.DataFrame:
    open_ = orders["status"] < Status.FILLED
    return pl.DataFrame(
        {
            "order": np.arange(orders.size),
            "quantity": orders["quantity"],
            "filled": orders["filled"],
            "mean_price": np.where(
                orders["filled"] != 0,
                orders["value"] / np.where(orders["filled"] != 0, np.abs(orders["filled"]), 1.0),
                np.nan,
            ),
            "commission": orders["charged"],
            "status": _words("status", orders["status"], Status),
            "reason": _words("reason", orders["reason"], Reason),
            "accepted_at": _stamps("accepted_at", accepted_at),
            "done_at": _stamps("done_at", np.where(open_, 0, orders["done_at"])).set(
                pl.Series(open_), None
            ),
        }
    )
