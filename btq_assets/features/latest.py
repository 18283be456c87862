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

import json
import pickle
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[np.float64]
Value = Array | float


class NotEvaluatedError(ValueError):
    """An expression has a node that is not evaluated here; compute it in batch."""


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
        if body["op"] not in _BINARY:
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
        if function in _PLAIN or function in ("Shift", "FillNull"):
            return _made(function, args)
        raise NotEvaluatedError(function)
    ((kind, body),) = function.items()
    if kind == "Pow" and body in ("Generic", "Sqrt"):
        return _made(body, args)
    if kind == "Boolean" and body in _PLAIN:
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
        if body["function"] not in _ROLLING or options["weights"] or options["center"]:
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
        # Settings of an expression of this very process, not of a file.
        settings = pickle.loads(bytes(body["kwargs"]))["params"]  # noqa: S301
        return _made(body["symbol"], args, tuple(int(value) for value in settings.values()))
    raise NotEvaluatedError(kind)


class Latest:
    """Last values of expressions over trailing windows.

    Parameters
    ----------
    columns
        ``(symbols, bars)`` by name, the newest bar last, NaN where there is none: histories shorter
        than the window are filled up at the left.
    stages
        Parsed intermediate columns by name; they may read one another.
    ages
        ``(symbols,)`` bars of each symbol within the window.
    before
        What was `known` one bar ago, for the same symbols: then only the newest value of an
        operation is computed.
    """

    def __init__(
        self,
        columns: Mapping[str, Array],
        stages: Mapping[str, Node],
        ages: NDArray[np.int64],
        before: Mapping[Node | str, Array] | None = None,
    ) -> None:
        self.columns = columns
        self.stages = stages
        self.ages = ages
        self.n_symbols, self.n_bars = next(iter(columns.values())).shape
        self.before = before or {}
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
            return _padded(self.columns[name][:, -n:], n)
        return self._remembered(node, node, n)

    def _remembered(self, key: Node | str, node: Node, n: int) -> Value:
        known = self.known.get(key)
        if known is not None and known.shape[1] >= n:
            return known[:, -n:]
        older = self.before.get(key)
        if n > 1 and older is not None and older.shape[1] >= n - 1:
            newest = self._remembered(key, node, 1)
            last = np.broadcast_to(np.asarray(newest, dtype=float), (self.n_symbols, 1))
            value: Value = np.concatenate([older[:, older.shape[1] - n + 1 :], last], axis=1)
        else:
            value = self._computed(node, n)
        if isinstance(value, np.ndarray):
            self.known[key] = value
        return value

    def _computed(self, node: Node, n: int) -> Value:
        op, args = node.op, node.args
        if op in _BINARY:
            return _BINARY[op](self._of(args[0], n), self._of(args[1], n))
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
            return _rolled(longer, function, window, enough, degrees)
        if op in _FADING and n == 1:
            return self._faded(node)
        if op in _WHOLE:
            operand = self._array(args[0], self.n_bars)
            parts = [
                _WHOLE[op](operand[:, : self.n_bars - back], self.ages - back, node.settings)
                for back in range(min(n, self.n_bars) - 1, -1, -1)
            ]
            return _padded(np.stack(parts, axis=1), n)
        if op == "Clip":
            return self._clipped(node, n)
        return _PLAIN[op](*(self._of(arg, n) for arg in args))

    def _faded(self, node: Node) -> Value:
        """Newest value of an average that never ends: one step from the last bar's, where known."""
        begin, step, result = _FADING[node.op]
        key = f"state {id(node)}"
        state = self.before.get(key)
        if state is not None and np.isfinite(state).all():
            state = step(state, self._array(node.args[0], 2), node.settings)
        else:
            state = begin(self._array(node.args[0], self.n_bars), self.ages, node.settings)
        self.known[key] = state
        return result(state)[:, None]

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


def _padded(values: Array, n: int) -> Array:
    short = n - values.shape[1]
    return values if short <= 0 else np.pad(values, ((0, 0), (short, 0)), constant_values=np.nan)


def _windows(values: NDArray[Any], window: int) -> NDArray[Any]:
    if values.shape[1] == window:
        return values[:, None, :]
    return sliding_window_view(values, window, axis=1)


def _rolled(values: Array, function: str, window: int, enough: int, degrees: int) -> Array:
    windows = _windows(values, window)
    missing = np.isnan(values)
    if not missing.any():
        return _ROLLING[function](windows, window, degrees)
    present = _windows(~missing, window)
    count = present.sum(axis=2)
    fill = {"Max": -np.inf, "Min": np.inf}.get(function, 0.0)
    if function in ("Std", "Var"):
        mean = np.where(present, windows, 0.0).sum(axis=2) / count
        squares = np.where(present, (windows - mean[:, :, None]) ** 2, 0.0).sum(axis=2)
        found = squares / (count - degrees)
        found = np.sqrt(found) if function == "Std" else found
    else:
        filled = _windows(np.where(missing, fill, values), window)
        found = _ROLLING["Sum" if function == "Mean" else function](filled, window, degrees)
        found = found / count if function == "Mean" else found
    return np.where(count >= max(enough, 1), found, np.nan)


def _variance(windows: Array, window: int, degrees: int) -> Array:
    apart = windows - windows.mean(axis=2, keepdims=True)
    return np.einsum("ijk,ijk->ij", apart, apart) / (window - degrees)


_ROLLING: dict[str, Callable[[Array, int, int], Array]] = {
    "Mean": lambda w, n, d: w.sum(axis=2) / n,
    "Sum": lambda w, n, d: w.sum(axis=2),
    "Max": lambda w, n, d: w.max(axis=2),
    "Min": lambda w, n, d: w.min(axis=2),
    "Var": _variance,
    "Std": lambda w, n, d: np.sqrt(_variance(w, n, d)),
}


def _running_sum(values: Array, ages: NDArray[np.int64], settings: tuple[Any, ...]) -> Array:
    return np.where(np.isnan(values[:, -1]), np.nan, np.nansum(values, axis=1))


def _ewm_begun(values: Array, ages: NDArray[np.int64], settings: tuple[Any, ...]) -> Array:
    """Weighted sum and sum of weights, ``(symbols, 2)``; NaN for too few values."""
    alpha, enough = settings
    weights = (1 - alpha) ** np.arange(values.shape[1] - 1, -1, -1.0)
    present = ~np.isnan(values)
    sums = np.where(present, values, 0.0) @ weights, present.astype(float) @ weights
    few = present.sum(axis=1) < max(enough, 1)
    return np.where(few[:, None], np.nan, np.stack(sums, axis=1))


def _ewm_step(state: Array, values: Array, settings: tuple[Any, ...]) -> Array:
    newest = values[:, -1]
    missing = np.isnan(newest)
    added = np.stack([np.where(missing, 0.0, newest), np.where(missing, 0.0, 1.0)], axis=1)
    return (1 - settings[0]) * state + added


def _ewm_value(state: Array) -> Array:
    return state[:, 0] / state[:, 1]


def _exponential(values: Array, ages: NDArray[np.int64], settings: tuple[Any, ...]) -> Array:
    return _ewm_value(_ewm_begun(values, ages, settings))


def _weighted(
    values: Array, ages: NDArray[np.int64], weights: Callable[[int], Array | None]
) -> Array:
    """Sum with weights that depend on how many values a symbol has."""
    found = np.full(values.shape[0], np.nan)
    held = np.minimum(ages, values.shape[1])
    for age in np.unique(held):
        vector = weights(int(age)) if age > 0 else None
        if vector is not None:
            of_age = held == age
            rows = values if of_age.all() else values[of_age]
            found[of_age] = rows[:, values.shape[1] - age :] @ vector
    return found


def _rsi_begun(values: Array, ages: NDArray[np.int64], settings: tuple[Any, ...]) -> Array:
    """Wilder averages of gains and of losses, ``(symbols, 2)``."""
    window = settings[0]
    moves = np.diff(values, axis=1)

    def weights(n: int) -> Array | None:
        return _wilder(n, window)

    gains = _weighted(np.maximum(moves, 0.0), ages - 1, weights)
    losses = -_weighted(np.minimum(moves, 0.0), ages - 1, weights)
    return np.stack([gains, losses], axis=1)


def _rsi_step(state: Array, values: Array, settings: tuple[Any, ...]) -> Array:
    window = settings[0]
    move = values[:, -1] - values[:, -2]
    added = np.stack([np.maximum(move, 0.0), np.maximum(-move, 0.0)], axis=1)
    return (state * (window - 1) + added) / window


def _rsi_value(state: Array) -> Array:
    total = state[:, 0] + state[:, 1]
    # TA-Lib: a sum below 1e-14 counts as zero.
    return np.where(np.abs(total) < 1e-14, 0.0 * total, 100 * state[:, 0] / total)


def _relative_strength(values: Array, ages: NDArray[np.int64], settings: tuple[Any, ...]) -> Array:
    return _rsi_value(_rsi_begun(values, ages, settings))


@lru_cache(maxsize=4096)
def _wilder(n: int, window: int) -> Array | None:
    """Weights of a Wilder average of `n` values that starts at the mean of the first `window`."""
    if n < window:
        return None
    ago = np.arange(n - 1, -1, -1.0)
    ago[:window] = n - window
    return (1 - 1 / window) ** ago / window


def _convergence(values: Array, ages: NDArray[np.int64], settings: tuple[Any, ...]) -> Array:
    fast, slow, signal = settings[:3]
    return _weighted(values, ages, lambda n: _macd_weights(n, fast, slow, signal))


@lru_cache(maxsize=4096)
def _macd_weights(n: int, fast: int, slow: int, signal: int) -> Array | None:
    """Weight of each of `n` prices in TA-Lib's MACD histogram: the recursion applied to units."""
    if n < slow + signal - 1:
        return None
    units = np.eye(n)
    line = np.zeros((n, n))
    averages = {
        length: units[slow - length : slow].mean(axis=0) for length in (fast, slow)
    }  # both start at the same bar
    line[slow - 1] = averages[fast] - averages[slow]
    for bar in range(slow, n):
        for length in (fast, slow):
            averages[length] = averages[length] + 2 / (length + 1) * (units[bar] - averages[length])
        line[bar] = averages[fast] - averages[slow]
    smooth = line[slow - 1 : slow - 1 + signal].mean(axis=0)
    for bar in range(slow - 1 + signal, n):
        smooth = smooth + 2 / (signal + 1) * (line[bar] - smooth)
    return line[-1] - smooth


def _line_end(values: Array, ages: NDArray[np.int64], settings: tuple[Any, ...]) -> Array:
    window = settings[0]
    if values.shape[1] < window:
        return np.full(values.shape[0], np.nan)
    place = np.arange(window) - (window - 1) / 2
    weights = 1 / window + place * place[-1] / (place**2).sum()
    return values[:, -window:] @ weights


#: Operations that read everything that is kept.
_WHOLE: dict[str, Callable[[Array, NDArray[np.int64], tuple[Any, ...]], Array]] = {
    "CumSum": _running_sum,
    "ewm": _exponential,
    "rsi": _relative_strength,
    "macd": _convergence,
    "linearreg": _line_end,
}


#: Averages that can go on from their last value: how they begin, take a step, and are read.
_FADING: dict[str, tuple[Callable[..., Array], Callable[..., Array], Callable[[Array], Array]]] = {
    "ewm": (_ewm_begun, _ewm_step, _ewm_value),
    "rsi": (_rsi_begun, _rsi_step, _rsi_value),
}


def _compared(relation: Callable[[Value, Value], Any]) -> Callable[[Value, Value], Value]:
    def compare(left: Value, right: Value) -> Value:
        return np.where(np.isnan(left) | np.isnan(right), np.nan, relation(left, right))

    return compare


def _either(left: Value, right: Value) -> Value:
    true = (np.asarray(left) == 1) | (np.asarray(right) == 1)
    return np.where(true, 1.0, left + right)


def _both(left: Value, right: Value) -> Value:
    false = (np.asarray(left) == 0) | (np.asarray(right) == 0)
    return np.where(false, 0.0, left * right)


def _divided(left: Value, right: Value) -> Value:
    # polars multiplies by the reciprocal of a single divisor.
    return left * (1 / right) if isinstance(right, float) and right else np.true_divide(left, right)


def _power(base: Value, exponent: Value) -> Value:
    return (
        base * base if isinstance(exponent, float) and exponent == 2 else np.power(base, exponent)
    )


def _total(*parts: Value) -> Value:
    total: Value = 0.0
    for part in parts:
        total = total + np.nan_to_num(part, nan=0.0)
    return total


def _filled_in(value: Value, fill: Value) -> Value:
    return np.where(np.isnan(value), fill, value)


def _extreme(pick: Callable[..., Any]) -> Callable[..., Value]:
    def horizontal(*parts: Value) -> Value:
        found = parts[0]
        for part in parts[1:]:
            found = pick(found, part)
        return found

    return horizontal


_BINARY: dict[str, Callable[[Any, Any], Value]] = {
    "Plus": lambda a, b: a + b,
    "Minus": lambda a, b: a - b,
    "Multiply": lambda a, b: a * b,
    "TrueDivide": _divided,
    "Gt": _compared(np.greater),
    "GtEq": _compared(np.greater_equal),
    "Lt": _compared(np.less),
    "LtEq": _compared(np.less_equal),
    "Eq": _compared(np.equal),
    "NotEq": _compared(np.not_equal),
    "And": _both,
    "Or": _either,
}

_PLAIN: dict[str, Callable[..., Value]] = {
    "Abs": np.abs,
    "Exp": np.exp,
    "Log": lambda x, base=np.e: np.log(x) if base == np.e else np.log(x) / np.log(base),
    "Sign": np.sign,
    "Negate": np.negative,
    "Sqrt": np.sqrt,
    "Generic": _power,
    "Atan2": np.arctan2,
    "MaxHorizontal": _extreme(np.fmax),
    "MinHorizontal": _extreme(np.fmin),
    "SumHorizontal": _total,
    "FillNull": _filled_in,
    "IsNull": lambda x: np.isnan(x).astype(float),
    "IsNotNull": lambda x: (~np.isnan(x)).astype(float),
    "IsNan": lambda x: np.zeros_like(x),
    "IsNotNan": lambda x: np.ones_like(x),
    "IsFinite": lambda x: np.where(np.isnan(x), np.nan, np.isfinite(x)),
    "Not": lambda x: 1.0 - x,
}


def parse_all(stages: Iterable[Mapping[str, pl.Expr]]) -> dict[str, Node]:
    """Stages of a family, parsed."""
    return {name: parse(expression) for stage in stages for name, expression in stage.items()}
