"""Expressions at the newest bars only: the very definitions of the families, evaluated backwards.

Belongs here: reading a polars expression and computing its last values from trailing windows.
Does not belong here: any feature; where bars come from (`live`).

A batch computes every bar of a history. For the newest one, each node of an expression needs only
the end of its operand: a rolling mean over 20 the last 20 values, a standard deviation of such means
the last of each. Asking from the result down to the columns gives exactly the values needed, for all
symbols at once, each from its own window. Averages that never end are sums with fading weights over
the bars that are kept, seeded as TA-Lib seeds them where a history is shorter than that.

Null and NaN are one here: both are missing. Booleans are 1, 0 or missing.
"""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from btq_assets.features.latest_values import (
    BINARY,
    PLAIN,
    ROLLING,
    WHOLE,
    Array,
    Value,
    padded,
    rolled,
)


class NotEvaluatedError(ValueError):
    """An expression has a node that is not evaluated here; compute it in batch."""


class Columns(Protocol):
    """Windows of several columns."""

    @property
    def shape(self) -> tuple[int, int]:
        """Symbols and bars."""
        ...

    def __contains__(self, name: object) -> bool:
        """Whether there is such a column."""
        ...

    def last(self, name: str, n: int) -> Array:
        """Last `n` values of each symbol, ``(symbols, n)``, NaN where there is none."""
        ...


class Held(dict[str, Array]):
    """Columns that are there as arrays, ``(symbols, bars)`` each."""

    @property
    def shape(self) -> tuple[int, int]:
        """Symbols and bars."""
        n_symbols, n_bars = next(iter(self.values())).shape
        return n_symbols, n_bars

    def last(self, name: str, n: int) -> Array:
        """Last `n` values; NaN before the first."""
        return padded(self[name][:, -n:], n)


@dataclass(frozen=True, eq=False)
class Node:
    """One operation of an expression; equal ones are one object (see `_made`)."""

    op: str
    args: tuple[Node, ...] = ()
    settings: tuple[Any, ...] = ()


_MADE: dict[tuple[Any, ...], Node] = {}


def _made(op: str, args: tuple[Node, ...] = (), settings: tuple[Any, ...] = ()) -> Node:
    """The node of that operation: an expression that occurs twice is computed once."""
    return _MADE.setdefault((op, args, repr(settings)), Node(op, args, settings))


def parse(expression: pl.Expr) -> Node:
    """`expression` as operations known here.

    Raises
    ------
    NotEvaluatedError
        It has an operation that is not.
    """
    return _node(json.loads(expression.meta.serialize(format="json")))


def _node(tree: Any) -> Node:
    kind: str
    body: Any
    ((kind, body),) = tree.items() if isinstance(tree, dict) else ((str(tree), None),)
    if kind == "Column":
        return _made("column", (), (body,))
    if kind == "Literal":
        return _made("literal", (), (_literal(body),))
    if kind == "Alias":
        return _node(body[0])
    if kind == "Cast":
        return _node(body["expr"])
    if kind == "BinaryExpr":
        if body["op"] not in BINARY:
            raise NotEvaluatedError(f"operator {body['op']}")
        return _made(body["op"], (_node(body["left"]), _node(body["right"])))
    if kind == "Ternary":
        return _made("where", tuple(_node(body[part]) for part in ("predicate", "truthy", "falsy")))
    if kind == "Function":
        return _function(body["function"], tuple(_node(part) for part in body["input"]))
    raise NotEvaluatedError(kind)


def _literal(body: Any) -> float:
    while isinstance(body, dict):
        ((kind, body),) = body.items()
        if kind == "Null":
            return float("nan")
    if isinstance(body, bool | int | float):
        return float(body)
    raise NotEvaluatedError(f"literal {body!r}")


def _function(function: Any, args: tuple[Node, ...]) -> Node:
    if isinstance(function, str):
        if function in PLAIN or function in ("Shift", "FillNull"):
            return _made(function, args)
        raise NotEvaluatedError(function)
    ((kind, body),) = function.items()
    if kind == "Pow" and body in ("Generic", "Sqrt"):
        return _made(body, args)
    if kind == "Boolean" and body in PLAIN:
        return _made(body, args)
    if kind == "Clip":
        return _made("Clip", args, (body["has_min"], body["has_max"]))
    if kind == "Diff":
        return _made("Minus", (args[0], _made("Shift", args)))
    if kind == "CumSum" and not body["reverse"]:
        return _made("CumSum", args)
    if kind == "SumHorizontal" and body["ignore_nulls"]:
        return _made("SumHorizontal", args)
    if kind == "RollingExpr":
        options = body["options"]
        if body["function"] not in ROLLING or options["weights"] or options["center"]:
            raise NotEvaluatedError(f"rolling {body}")
        degrees = (options["fn_params"] or {}).get("Var", {}).get("ddof", 1)
        how = (body["function"], options["window_size"], options["min_periods"], degrees)
        return _made("rolling", args, how)
    if kind == "EwmMean":
        options = body["options"]
        if not options["adjust"] or options["ignore_nulls"]:
            raise NotEvaluatedError(f"exponential mean {options}")
        return _made("ewm", args, (options["alpha"], options["min_periods"]))
    if kind == "StructExpr" and args[0].op == "macd" and body == {"FieldByName": "macdhist"}:
        return args[0]
    if kind == "FfiPlugin" and body["symbol"] in ("rsi", "macd", "linearreg"):
        settings = _Settings(io.BytesIO(bytes(body["kwargs"]))).load()["params"]
        return _made(body["symbol"], args, tuple(int(value) for value in settings.values()))
    raise NotEvaluatedError(kind)


class _Settings(pickle.Unpickler):
    """Reads the settings of a plugin, numbers in dictionaries, which polars keeps as a pickle."""

    def find_class(self, module: str, name: str) -> Any:
        raise NotEvaluatedError(f"settings that are more than numbers: {module}.{name}")


class Latest:
    """Last values of expressions over trailing windows.

    Parameters
    ----------
    columns
        ``(symbols, bars)`` by name, the newest bar last, NaN where there is none: histories shorter
        than the window are filled up at the left. Or what hands them out.
    stages
        Parsed intermediate columns by name; they may read one another.
    ages
        ``(symbols,)`` bars of each symbol within the window.
    """

    def __init__(
        self,
        columns: Columns | Mapping[str, Array],
        stages: Mapping[str, Node],
        ages: NDArray[np.int64],
    ) -> None:
        shown: Columns = Held(columns) if isinstance(columns, Mapping) else columns
        self.columns = shown
        self.stages = stages
        self.ages = ages
        self.n_symbols, self.n_bars = self.columns.shape
        self.known: dict[Node | str, Array] = {}

    def of(self, node: Node, n: int = 1) -> Array:
        """Last `n` values of each symbol, ``(symbols, n)``, NaN where undefined."""
        with np.errstate(all="ignore"):
            value = self._of(node, n)
        return np.broadcast_to(np.asarray(value, dtype=float), (self.n_symbols, n))

    def _of(self, node: Node, n: int) -> Value:
        if node.op == "literal":
            return float(node.settings[0])
        if node.op == "column":
            name = node.settings[0]
            if name in self.stages:
                return self._remembered(name, self.stages[name], n)
            if name not in self.columns:
                raise NotEvaluatedError(f"column {name}")
            return self.columns.last(name, n)
        return self._remembered(node, node, n)

    def _remembered(self, key: Node | str, node: Node, n: int) -> Value:
        known = self.known.get(key)
        if known is not None and known.shape[1] >= n:
            return known[:, -n:]
        value = self._computed(node, n)
        if isinstance(value, np.ndarray):
            self.known[key] = value
        return value

    def _computed(self, node: Node, n: int) -> Value:
        op, args = node.op, node.args
        if op in BINARY:
            return BINARY[op](self._of(args[0], n), self._of(args[1], n))
        if op == "where":
            yes = self._of(args[0], n) == 1.0
            return np.where(yes, self._of(args[1], n), self._of(args[2], n))
        if op == "Shift":
            by = int(self._scalar(args[1]))
            if by < 0:
                raise NotEvaluatedError("a shift into the future")
            longer = self._array(args[0], n + by)
            return longer[:, :n]
        if op == "rolling":
            function, window, enough, degrees = node.settings
            longer = self._array(args[0], n + window - 1)
            return rolled(longer, function, window, enough, degrees)
        if op in WHOLE:
            operand = self._array(args[0], self.n_bars)
            parts = [
                WHOLE[op](operand[:, : self.n_bars - back], self.ages - back, node.settings)
                for back in range(min(n, self.n_bars) - 1, -1, -1)
            ]
            return padded(np.stack(parts, axis=1), n)
        if op == "Clip":
            return self._clipped(node, n)
        return PLAIN[op](*(self._of(arg, n) for arg in args))

    def _clipped(self, node: Node, n: int) -> Value:
        value = self._array(node.args[0], n)
        bounds = list(node.args[1:])
        if node.settings[0]:
            value = np.maximum(value, self._of(bounds.pop(0), n))
        if node.settings[1]:
            value = np.minimum(value, self._of(bounds.pop(0), n))
        return value

    def _array(self, node: Node, n: int) -> Array:
        value = self._of(node, n)
        return value if isinstance(value, np.ndarray) else np.full((self.n_symbols, n), value)

    def _scalar(self, node: Node) -> float:
        if node.op != "literal":
            raise NotEvaluatedError("a shift by a computed number")
        return float(node.settings[0])


def parse_all(stages: Iterable[Mapping[str, pl.Expr]]) -> dict[str, Node]:
    """Stages of a family, parsed."""
    return {name: parse(expression) for stage in stages for name, expression in stage.items()}
