"""Orders through the market: lay out the arrays, walk the events, hand back what happened.

Belongs here: the array interface of the event engine. Does not belong here: compiled code
(`order_kernel`), proofs of the books (`books`), settings (`terms`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from btq_assets.engine.buffers import records
from btq_assets.engine.codes import (
    ACCOUNT_DTYPE,
    N_COSTS,
    ORDER_FILL_DTYPE,
    ORDER_STATE_DTYPE,
    PLAN_DTYPE,
    TRADE_DTYPE,
    ActionKind,
    EventKind,
)
from btq_assets.engine.errors import EngineError
from btq_assets.engine.orders import ActionTable, OrderTable, action_table
from btq_assets.engine.stream import MarketStream, nanoseconds
from btq_assets.engine.terms import Account, Instruments, OrderCosts, asset_table

__all__ = ["OrderSimulation", "simulate_orders"]

_FLOAT = np.dtype(np.float64)


@dataclass(frozen=True)
class OrderSimulation:
    """What happened, as arrays; the frames of the same names are in `frames`.

    Attributes
    ----------
    times : int64[S]
        Snapshots: books after the last event at or before each.
    equity, cash, gross, net : float64[S]
        Account currency; gross and net value of the holdings.
    costs : float64[S, N_COSTS]
        Paid so far, by `codes.COST_NAMES`; negative numbers were received.
    shares, values : float64[S, N] or float64[0, N]
        Holdings, and their value in account currency.
    orders : structured array
        State of every order, in the order of the table: ``quantity`` (signed, as sized),
        ``filled``, ``value`` (at prices before costs), ``status``, ``reason``, ``done_at`` and the
        commission ``charged`` (currency of the asset).
    fills : structured array
        ``time``, ``order`` (-1: none), ``asset``, ``shares`` (signed), ``price`` (before costs,
        currency of the asset), ``fx_rate``, costs by kind in account currency (``impact`` NaN where
        unknown), ``liquidity``, ``moment``, ``reason``.
    trades : structured array
        From flat to flat, open ones last: ``gross`` (before costs), ``costs``, ``carry``
        (dividends less funding and borrow fees), ``mae`` and ``mfe`` as fractions of the mean
        entry price.
    initial_cash, final_equity, final_interest : float
        Before the first and after the last event; interest paid in all.
    accepted_at : int64[M]
        Decision time of each order.
    multiplier : float64[N]
        Shares per contract.
    actions : ActionTable
    symbols : tuple of str
    n_events, n_ticks : int
    notes : tuple of str
        What could not be modelled.
    """

    times: np.ndarray
    equity: np.ndarray
    cash: np.ndarray
    gross: np.ndarray
    net: np.ndarray
    costs: np.ndarray
    shares: np.ndarray
    values: np.ndarray
    orders: np.ndarray
    fills: np.ndarray
    trades: np.ndarray
    initial_cash: float
    final_equity: float
    final_interest: float
    accepted_at: np.ndarray
    multiplier: np.ndarray
    actions: ActionTable
    symbols: tuple[str, ...]
    n_events: int
    n_ticks: int
    notes: tuple[str, ...]

    def frames(self) -> dict[str, pl.DataFrame]:
        """Orders, fills, trades, positions, equity and costs as tidy frames."""
        from btq_assets.engine.books import result_frames

        return result_frames(self)


def simulate_orders(
    market: MarketStream,
    orders: OrderTable,
    account: Account,
    *,
    costs: OrderCosts | None = None,
    instruments: Instruments | None = None,
    actions: ActionTable | None = None,
    snapshots: Any = None,
    record_positions: bool = True,
    latency: int = 0,
    limit_fills: Literal["touch", "through"] = "touch",
    allow_fill_on_deciding_bar_DANGER: bool = False,
) -> OrderSimulation:
    """Run explicit orders, target shares or target weights through a stream of events.

    Parameters
    ----------
    market, orders, account
        See their classes.
    costs, instruments, actions
        Default: no costs, plain shares without limits, no actions.
    snapshots
        Rising times at which the books are recorded; default: those of the stream.
    record_positions
        Keep holdings and values of every snapshot.
    latency
        Time from a decision until its order can trade, in the unit of the stream.
    limit_fills
        A resting limit fills when its price is touched, or only when traded through.
    allow_fill_on_deciding_bar_DANGER
        An order also trades at the close of the bar its decision was made on. Nobody can do that:
        it is here to reproduce results of others.

    Returns
    -------
    OrderSimulation

    Raises
    ------
    EngineError
        An order or action names an asset the market does not have, settings have another number of
        assets, an asset has prices after its delisting, times fall.
    """
    from btq_assets.engine.order_kernel import Actions, run_events
    from btq_assets.engine.tick_kernel import Books, Market

    if limit_fills not in ("touch", "through"):
        raise EngineError(f"limit_fills = {limit_fills!r}: touch or through")
    if latency < 0:
        raise EngineError(f"latency = {latency}: an order cannot arrive before its decision")
    costs = costs or OrderCosts()
    actions = actions if actions is not None else action_table([])
    n_assets = len(market.symbols)
    assets = asset_table(n_assets, costs, instruments, account)
    _check(market, orders, actions, assets["currency"])
    assets["rate"] = np.asarray(market.currency_rates, dtype=float)[assets["currency"]]
    times = nanoseconds(market.snapshots if snapshots is None else snapshots)
    if np.any(np.diff(times) < 0):
        raise EngineError("snapshots must not fall")
    view = Market(*(_plain(getattr(market, name)) for name in Market._fields))
    given = _given(orders)
    happened = Actions(*(_plain(getattr(actions, name)) for name in Actions._fields))
    money = np.zeros(1, dtype=ACCOUNT_DTYPE)
    money["cash"] = account.initial_cash
    for name in ("cash_rate", "debit_rate", "day_count"):
        money[name] = getattr(account, name)
    money["latency"], money["through"] = latency, limit_fills == "through"
    money["cut"] = ("reject", "cut", "scale").index(account.on_short_cash)
    capacity = len(orders) + 2 * n_assets + 16
    while True:
        kept = times.size if record_positions else 0
        books = Books(
            states=records("orders", len(orders), ORDER_STATE_DTYPE),
            prices=np.empty((len(orders) if orders.kind.size else 0, 2)),
            assets=assets.copy(),
            account=money.copy(),
            gathered=np.empty(len(orders), dtype=np.int32),
            plans=np.empty(len(orders) if account.on_short_cash == "scale" else 0, PLAN_DTYPE),
            tiers=costs.tier_table(),
            fills=records("fills", capacity, ORDER_FILL_DTYPE),
            trades=records("trades", capacity, TRADE_DTYPE),
            times=times,
            equity=np.empty(times.size),
            cash=np.empty(times.size),
            gross=np.empty(times.size),
            net=np.empty(times.size),
            costs=np.empty((times.size, N_COSTS)),
            shares=records("shares", kept * n_assets, _FLOAT).reshape(kept, n_assets),
            values=records("values", kept * n_assets, _FLOAT).reshape(kept, n_assets),
        )
        n_ticks = run_events(
            view, given, books, happened, 2 if allow_fill_on_deciding_bar_DANGER else 1
        )
        n_fills, n_trades = int(books.account[0]["n_fills"]), int(books.account[0]["n_trades"])
        if max(n_fills, n_trades) <= capacity:
            break
        capacity = max(n_fills, n_trades)  # many partial fills: once more, with room for all
    fills = books.fills[:n_fills]
    return OrderSimulation(
        times=times,
        equity=books.equity,
        cash=books.cash,
        gross=books.gross,
        net=books.net,
        costs=books.costs,
        shares=books.shares,
        values=books.values,
        orders=books.states,
        fills=fills,
        trades=books.trades[:n_trades],
        initial_cash=float(account.initial_cash),
        final_equity=float(books.account[0]["cash"] + books.account[0]["net"]),
        final_interest=float(books.account[0]["interest"]),
        accepted_at=orders.time,
        multiplier=assets["multiplier"],
        actions=actions,
        symbols=market.symbols,
        n_events=len(market),
        n_ticks=int(n_ticks),
        notes=_notes(fills, assets),
    )


def _check(
    market: MarketStream, orders: OrderTable, actions: ActionTable, currencies: np.ndarray
) -> None:
    """Assets exist, currencies exist, nothing trades after its delisting."""
    n_assets = len(market.symbols)
    for name, assets in (("order", orders.asset), ("action", actions.asset)):
        bad = np.flatnonzero((assets < 0) | (assets >= n_assets))
        if bad.size:
            raise EngineError(
                f"{name} {bad[0]} names asset {assets[bad[0]]}; the market has {n_assets}"
            )
    if currencies.max(initial=0) >= market.currency_rates.size:
        raise EngineError(
            f"currency {int(currencies.max())} has no row in currency_rates "
            f"({market.currency_rates.size} given)"
        )
    ended = actions.kind == ActionKind.DELISTING
    for asset, time in zip(actions.asset[ended], actions.time[ended], strict=True):
        later = (market.asset == asset) & (market.time > time) & (market.kind != EventKind.FX)
        if np.any(later & ~np.isnan(market.close)):
            raise EngineError(
                f"{market.symbols[asset]} has prices after {time}, where it is said to have ended"
            )


def _plain(array: np.ndarray) -> np.ndarray:
    """The array as compiled code knows it: every other layout would be compiled once more."""
    usual = array.flags.c_contiguous and array.flags.writeable and array.flags.aligned
    return array if usual else np.array(array, order="C")


def _given(orders: OrderTable) -> Any:
    """Columns of orders for the compiled code: market orders go without all the others."""
    from btq_assets.engine.queue_kernel import Orders

    columns: dict[str, Any] = {name: _plain(getattr(orders, name)) for name in Orders._fields}
    optional = [
        name for name in Orders._fields if name not in ("time", "asset", "size", "size_kind")
    ]
    if not any(columns[name].size for name in optional):
        columns |= dict.fromkeys(optional)
    return Orders(**columns)


def _notes(fills: np.ndarray, assets: np.ndarray) -> tuple[str, ...]:
    charged = any(np.any(assets[name] > 0) for name in ("square_root", "temporary", "permanent"))
    unknown = int(np.isnan(fills["impact"]).sum()) if charged else 0
    if unknown:
        return (f"impact not charged on {unknown} fill(s): volume or volatility unknown",)
    return ()
