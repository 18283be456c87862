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

_FILL_COSTS = ("commission", "spread", "slippage", "impact", "fx", "liquidation")


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
    fills = done.fills
    n_times = done.times.size
    after = np.searchsorted(done.times, fills["time"], side="left")
    seen = after < n_times
    size = np.maximum(np.abs(done.equity), done.initial_cash)
    unit = done.multiplier[fills["asset"]] * fills["fx_rate"]
    by_kind = [np.nan_to_num(fills[name], nan=0.0) for name in _FILL_COSTS]
    spent = fills["shares"] * fills["price"] * unit + sum(by_kind)

    def path(weights: np.ndarray) -> np.ndarray:
        return np.cumsum(np.bincount(after[seen], weights=weights[seen], minlength=n_times))

    flows = done.costs[:, codes.COST_NAMES.index("borrow") :].sum(axis=1)
    gaps = {
        "cash": _largest((done.initial_cash - path(spent) - flows - done.cash) / size),
        "costs": max(
            _largest((path(paid) - done.costs[:, kind]) / size) for kind, paid in enumerate(by_kind)
        ),
    }
    if done.values.shape[0]:
        gaps["positions"] = _largest((done.cash + done.values.sum(axis=1) - done.equity) / size)
        gaps["holdings"] = _largest(_rebuilt_holdings(done, after) - done.shares) / max(
            1.0, float(np.abs(done.shares).max(initial=0.0))
        )
    trades = done.trades
    earned = trades["gross"].sum() - trades["costs"].sum() + trades["carry"].sum()
    change = done.final_equity - done.initial_cash + done.final_interest
    gaps["trades"] = float(abs(earned - change) / max(abs(done.final_equity), done.initial_cash))
    if not np.any(done.actions.kind == ActionKind.SPLIT):
        of_orders = fills["order"] >= 0
        summed = np.bincount(
            fills["order"][of_orders],
            weights=fills["shares"][of_orders],
            minlength=done.orders.size,
        )
        most = np.maximum(1.0, np.abs(done.orders["filled"]))
        gaps["orders"] = _largest((summed - done.orders["filled"]) / most)
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


def _rebuilt_holdings(done: OrderSimulation, after: np.ndarray) -> np.ndarray:
    """Holdings at each snapshot from fills and splits, ``float64[S, N]``."""
    n_times, n_assets = done.shares.shape
    fills = done.fills
    seen = after < n_times
    flat = after[seen] * n_assets + fills["asset"][seen]
    bought = np.bincount(flat, weights=fills["shares"][seen], minlength=n_times * n_assets)
    held = np.cumsum(bought.reshape(n_times, n_assets), axis=0)
    is_split = done.actions.kind == ActionKind.SPLIT
    for asset in np.unique(done.actions.asset[is_split]):
        mine = is_split & (done.actions.asset == asset)
        rows = fills["asset"] == asset
        steps = sorted(
            [
                (time, 0, ratio)
                for time, ratio in zip(
                    done.actions.time[mine], done.actions.value[mine], strict=True
                )
            ]
            + [
                (time, 1, shares)
                for time, shares in zip(fills["time"][rows], fills["shares"][rows], strict=True)
            ],
            key=lambda step: (step[0], step[1]),
        )
        now, k = 0.0, 0
        for s, time in enumerate(done.times):
            while k < len(steps) and steps[k][0] <= time:
                now = now * steps[k][2] if steps[k][1] == 0 else now + steps[k][2]
                k += 1
            held[s, asset] = now
    return held


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
