"""Orders and what else happens to holdings, as checked arrays.

Belongs here: tables of orders, targets turned into orders, tables of actions. Does not belong
here: filling them (`order_simulation`), prices (`stream`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from btq_assets.engine.codes import ActionKind, OrderKind, SizeKind, TimeInForce
from btq_assets.engine.errors import EngineError
from btq_assets.engine.inputs import checked_targets
from btq_assets.engine.linked_orders import links
from btq_assets.engine.stream import nanoseconds


def _no_numbers() -> np.ndarray:
    return np.empty(0, dtype=np.int32)


@dataclass(frozen=True)
class OrderTable:
    """Orders by the time of their decision; the row number is the order's number.

    Attributes
    ----------
    time : int64[M]
        Decision time, same unit as the stream; not decreasing. An order acts on events that
        begin at or after it.
    asset : int32[M]
    size : float64[M]
        Signed shares, target shares, or target weight, see `size_kind`.
    kind, force, size_kind : int8[M] or int8[0]
        `OrderKind`, `TimeInForce`, `SizeKind`; empty means the first of each for all rows.
    limit, stop, trail_amount, trail_fraction : float64[M] or float64[0]
        Prices; NaN or empty where there is none.
    expire_at, cancel_at : int64[M] or int64[0]
        Good-till time, and when the owner cancels; empty means never.
    parent : int32[M] or int32[0]
        Order whose fill lets this one trade; -1 for none.
    sibling : int32[M] or int32[0]
        Next order of the group of which one cancels the others, the last names the first; -1 for
        none.
    """

    time: np.ndarray
    asset: np.ndarray
    size: np.ndarray
    kind: np.ndarray
    force: np.ndarray
    size_kind: np.ndarray
    limit: np.ndarray
    stop: np.ndarray
    trail_amount: np.ndarray
    trail_fraction: np.ndarray
    expire_at: np.ndarray
    cancel_at: np.ndarray
    parent: np.ndarray = field(default_factory=_no_numbers)
    sibling: np.ndarray = field(default_factory=_no_numbers)

    def __len__(self) -> int:
        return self.time.size


def order_table(
    time: Any,
    asset: Any,
    size: Any,
    *,
    kind: Any = OrderKind.MARKET,
    force: Any = TimeInForce.GTC,
    size_kind: Any = SizeKind.SHARES,
    limit: Any = None,
    stop: Any = None,
    trail_amount: Any = None,
    trail_fraction: Any = None,
    expire_at: Any = None,
    cancel_at: Any = None,
    parent: Any = None,
    group: Any = None,
    symbols: Sequence[str] | None = None,
) -> OrderTable:
    """Check orders and put them in the order of their decisions (rows of equal time stay in turn).

    Every column may be one value for all rows. `asset` may name symbols when `symbols` is given.
    Times are ``int64`` in the unit of the stream, or datetimes; `codes.NEVER` is no time.
    `parent` is the row, as given, of the order that must be filled first; orders of one `group`
    (any number >= 0) cancel each other; -1 is none. See `linked_orders`.

    Raises
    ------
    EngineError
        An unknown symbol, a size that is not a number, a price that does not fit the kind, an
        expiry without good-till-time; the message names the row.
    """
    times = np.atleast_1d(nanoseconds(time))
    n = times.size
    assets = _asset_numbers(asset, symbols, n)
    order = np.argsort(times, kind="stable") if np.any(np.diff(times) < 0) else None
    columns = {
        "size": (size, np.float64),
        "kind": (_codes(kind, OrderKind.MARKET), np.int8),
        "force": (_codes(force, TimeInForce.GTC), np.int8),
        "size_kind": (_codes(size_kind, SizeKind.SHARES), np.int8),
        "limit": (limit, np.float64),
        "stop": (stop, np.float64),
        "trail_amount": (trail_amount, np.float64),
        "trail_fraction": (trail_fraction, np.float64),
        "expire_at": (expire_at, np.int64),
        "cancel_at": (cancel_at, np.int64),
    }
    table: dict[str, np.ndarray] = {"time": times, "asset": assets}
    for name, (given, dtype) in columns.items():
        table[name] = _column(name, given, dtype, n)
    if order is not None:
        table = {name: column[order] if column.size else column for name, column in table.items()}
    _check_rows(table, order)
    return OrderTable(**table, **links(parent, group, order, table))


def _codes(given: Any, default: int) -> Any:
    """No column where every row is the default."""
    return None if np.ndim(given) == 0 and int(given) == int(default) else given


def _column(name: str, given: Any, dtype: Any, n: int) -> np.ndarray:
    if given is None:
        return np.empty(0, dtype)
    values = nanoseconds(given) if dtype is np.int64 else np.asarray(given, dtype=dtype)
    if values.ndim == 0:
        values = np.full(n, values)
    if values.shape != (n,):
        raise EngineError(f"{name} has shape {values.shape}; there are {n} orders")
    return np.ascontiguousarray(values)


def _asset_numbers(asset: Any, symbols: Sequence[str] | None, n: int) -> np.ndarray:
    values = np.atleast_1d(np.asarray(asset))
    if values.dtype.kind in "UOS":
        if symbols is None:
            raise EngineError("orders name symbols: pass symbols=, the symbols of the stream")
        number = {symbol: i for i, symbol in enumerate(symbols)}
        unknown = sorted({str(s) for s in values.tolist()} - set(number))
        if unknown:
            raise EngineError(
                f"orders for unknown symbols {unknown[:5]}: the market has {list(symbols)[:5]}..."
            )
        values = np.array([number[str(s)] for s in values.tolist()], dtype=np.int32)
    values = np.ascontiguousarray(np.broadcast_to(values, (n,)), dtype=np.int32)
    if values.size and values.min() < 0:
        raise EngineError(f"asset {values.min()} in row {int(values.argmin())}: must be >= 0")
    return values


def _check_rows(table: dict[str, np.ndarray], order: np.ndarray | None) -> None:
    """Sizes are numbers, codes exist, prices fit the kind."""

    def refuse(bad: np.ndarray, what: str) -> None:
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            given = row if order is None else int(order[row])
            raise EngineError(f"order {given} (time {table['time'][row]}): {what}")

    refuse(~np.isfinite(table["size"]), "its size is not a number; leave the order out instead")
    for name, enum in (("kind", OrderKind), ("force", TimeInForce), ("size_kind", SizeKind)):
        column = table[name]
        refuse((column < 0) | (column >= len(enum)), f"{name} is not one of {list(enum)}")
    for name in ("limit", "stop", "trail_amount", "trail_fraction"):
        column = table[name]
        refuse((column <= 0) | np.isinf(column), f"{name} must be positive, or NaN for none")
    kind, force = table["kind"], table["force"]
    n = table["time"].size

    def missing(name: str) -> np.ndarray:
        column = table[name]
        return np.isnan(column) if column.size else np.ones(n, dtype=bool)

    if kind.size:
        for codes, name in (
            ((1, 3, 6, 8), "limit"),
            ((2, 3), "stop"),
        ):
            refuse(np.isin(kind, codes) & missing(name), f"this kind needs a {name}")
        refuse(
            (kind == OrderKind.TRAILING_STOP)
            & (missing("trail_amount") == missing("trail_fraction")),
            "a trailing stop needs one of trail_amount and trail_fraction",
        )
        if table["trail_fraction"].size:
            refuse(table["trail_fraction"] >= 1, "trail_fraction must stay below 1")
        if force.size:
            refuse(
                (kind >= OrderKind.MARKET_ON_OPEN) & (force > TimeInForce.DAY),
                "an auction order lives until its auction: time in force GTC or DAY",
            )
    if force.size and table["expire_at"].size == 0:
        refuse(force == TimeInForce.GTT, "good-till-time needs expire_at")


def orders_from_targets(
    time: Any,
    targets: np.ndarray,
    *,
    sizes: SizeKind = SizeKind.TARGET_WEIGHT,
    max_gross: float = 1.0,
    force: Any = TimeInForce.GTC,
    kind: Any = OrderKind.MARKET,
    columns: Sequence[str] | None = None,
    symbols: Sequence[str] | None = None,
) -> OrderTable:
    """Orders that bring holdings to target weights, or to target shares.

    A new target of an asset replaces what is left of its earlier one.

    Parameters
    ----------
    time
        ``int64[T]`` decision times.
    targets
        ``float64[T, N]``; a row of NaN takes no decision.
    max_gross
        Largest sum of absolute weights of a row.
    columns, symbols
        Symbols of the columns of `targets` and of the stream, where they differ.

    Raises
    ------
    EngineError
        A row is partly NaN, its weights exceed `max_gross`, or a symbol is not known.
    """
    targets = np.ascontiguousarray(targets, dtype=np.float64)
    times = np.atleast_1d(nanoseconds(time))
    if targets.ndim != 2 or targets.shape[0] != times.size:
        raise EngineError(f"targets have shape {targets.shape}; there are {times.size} times")
    if sizes == SizeKind.SHARES:
        raise EngineError("targets are weights or shares to hold, not shares to trade")
    limit = max_gross if sizes == SizeKind.TARGET_WEIGHT else np.inf
    decides = checked_targets(targets, limit)
    n_assets = targets.shape[1]
    assets: Any = np.arange(n_assets, dtype=np.int32)
    if columns is not None:
        if len(columns) != n_assets:
            raise EngineError(f"{len(columns)} columns named, targets have {n_assets}")
        assets = _asset_numbers(np.array(columns, dtype=object), symbols, n_assets)
    rows = np.flatnonzero(decides)
    return order_table(
        np.repeat(times[rows], n_assets),
        np.tile(assets, rows.size),
        targets[rows].ravel(),
        kind=kind,
        force=force,
        size_kind=sizes,
    )


@dataclass(frozen=True)
class ActionTable:
    """Dividends, splits, funding and delistings, by time.

    Attributes
    ----------
    time : int64[A]
        Dividends and splits act before the first event at or after it, funding and delistings
        after the last event at or before it.
    asset : int32[A]
    kind : int8[A]
        `ActionKind`.
    value : float64[A]
        Cash per share in the currency of the asset; new shares per old one; funding rate (longs
        pay a positive one on the value of the position); price per share paid out on delisting,
        NaN for the last price.
    """

    time: np.ndarray
    asset: np.ndarray
    kind: np.ndarray
    value: np.ndarray


def action_table(rows: Sequence[tuple[int, int, ActionKind, float]] | Mapping[str, Any]) -> Any:
    """Check actions and sort them, at one time dividends and splits before the others.

    Parameters
    ----------
    rows
        Rows of (time, asset, kind, value), or columns of these names.

    Raises
    ------
    EngineError
        A kind is not known, or a value is not possible for its kind.
    """
    if isinstance(rows, Mapping):
        time, asset, kind, value = (rows[name] for name in ("time", "asset", "kind", "value"))
    else:
        time, asset, kind, value = zip(*rows, strict=True) if rows else ((), (), (), ())
    times = nanoseconds(time)
    assets, kinds = np.asarray(asset, dtype=np.int32), np.asarray(kind, dtype=np.int8)
    values = np.asarray(value, dtype=np.float64)
    if len({a.shape for a in (times, assets, kinds, values)}) != 1:
        raise EngineError("columns of actions differ in length")
    known = (kinds >= 0) & (kinds < len(ActionKind))
    good = known & (np.isfinite(values) | (kinds == ActionKind.DELISTING))
    good &= ~(((kinds == ActionKind.SPLIT) & (values <= 0)) | np.isinf(values))
    good &= ~(np.isin(kinds, (ActionKind.DIVIDEND, ActionKind.DELISTING)) & (values < 0))
    if not good.all():
        row = int(np.flatnonzero(~good)[0])
        raise EngineError(f"action {row}: kind {kinds[row]} with value {values[row]:g}")
    order = np.lexsort((kinds >= ActionKind.FUNDING, times))
    return ActionTable(times[order], assets[order], kinds[order], values[order])
