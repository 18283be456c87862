"""Values of a formula: one matrix per node of its tree.

Belongs here: what each operation does, conventions for what the paper leaves open. Does not belong
here: reading formulas (`formulas`), loops over values (`kernels`).

Conventions are those of the package alpha101v 0.1.9, which follow the documentation of WorldQuant's
operators: ranks from 0 to 1 across symbols and over time, ties averaged; deviations and covariances
with divisor n; places of extremes in days ago, the older of equals; the newest value has the largest
weight in a linear decay; a power of a negative number with a whole exponent keeps its sign, with
another drops it. Different here: whatever reads a missing value is missing, also a linear decay and
the larger or smaller of two; correlations, covariances and linear decays are rounded to ten digits,
so that equal ones tie.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from btq_assets.features.formulas import Node, walk
from btq_assets.features.kernels import cross_section, rolling

Matrix = NDArray[Any]
Value = Matrix | float

#: Deviation below which a window counts as constant.
STILL = 1e-12
#: Decimal places beyond which equal correlations, and decays of ranks, differ by rounding.
DIGITS = 10


class Values:
    """Values of formulas over one panel; what several of them share is computed once.

    Parameters
    ----------
    fields
        ``float64[N symbols, T sessions]`` by name, NaN where missing, and ``int64`` groups under the
        names of classifications (``indclass.sector``), negative where not known. Needs ``traded``,
        the value traded.
    wanted
        Formulas that will be asked for, so that it is known what they share.
    """

    def __init__(self, fields: Mapping[str, NDArray[Any]], wanted: Iterable[Node]) -> None:
        self._fields = dict(fields)
        self._left = Counter(
            node for formula in wanted for node in walk(formula) if node.kind not in _CHEAP
        )
        self._kept: dict[Node, Value] = {}

    def of(self, node: Node) -> Value:
        """Value of a formula or a part of one; do not write to it."""
        if node.kind == "number":
            return node.value
        if node.kind == "name":
            return self._field(node.name)
        if node in self._kept:
            found = self._kept[node]
        else:
            with np.errstate(all="ignore"):
                found = self._computed(node)
        if node.kind not in _CHEAP:
            self._left[node] -= 1
            if self._left[node] > 0:
                self._kept[node] = found
            else:
                self._kept.pop(node, None)
        return found

    def _field(self, name: str) -> Matrix:
        if name not in self._fields:
            self._fields[name] = rolling.mean(self._fields["traded"], int(name.removeprefix("adv")))
        return self._fields[name]

    def _computed(self, node: Node) -> Value:
        if node.kind in _OVER_TIME:
            *parts, _ = (self.of(part) for part in node.parts)
            return _OVER_TIME[node.kind](*parts, node.days)
        return _NOW[node.kind](*(self.of(part) for part in node.parts))


def _compared(compare: Callable[..., Any]) -> Callable[[Value, Value], Value]:
    def run(left: Value, right: Value) -> Value:
        return np.where(np.isnan(left) | np.isnan(right), np.nan, compare(left, right) * 1.0)

    return run


def _either(left: Value, right: Value) -> Value:
    """True where one is, whatever the other; unknown where one is unknown and the other not true."""
    known = np.where((left == 0) & (right == 0), 0.0, np.nan)
    return np.where((left == 1) | (right == 1), 1.0, known)


def _chosen(condition: Value, yes: Value, no: Value) -> Value:
    return np.where(condition == 1, yes, np.where(condition == 0, no, np.nan))


def _finite(x: Value) -> Value:
    return np.where(np.isfinite(x), x, np.nan)


def _power(base: Value, exponent: Value) -> Value:
    odd = (np.floor(exponent) == exponent) & (np.mod(exponent, 2.0) == 1)
    size = np.power(np.abs(base), exponent)
    return _finite(np.where(base == 0, 0.0 * size, np.where((base < 0) & odd, -size, size)))


def _signed_power(base: Value, exponent: Value) -> Value:
    return _finite(np.sign(base) * np.power(np.abs(base), exponent))


def _log(x: Value) -> Value:
    return np.log(np.where(np.asarray(x) > 0, x, np.nan))


def _time_rank(x: Matrix, n: int) -> Matrix:
    # The kernel's rank is a share of the window, in steps of half a place.
    place = np.rint(rolling.rank(x, n) * (2 * n)) / 2
    return (place - 1) / (n - 1) if n > 1 else np.full_like(x, np.nan)


def _decay(x: Matrix, n: int) -> Matrix:
    weights = np.arange(1.0, n + 1)
    return np.round(rolling.weighted_sum(x, weights / weights.sum()), DIGITS)


def _product(x: Matrix, n: int) -> Matrix:
    found = rolling.delay(x, n - 1)
    for ago in range(n - 2, -1, -1):
        found = found * rolling.delay(x, ago)
    return found


def _correlation(x: Matrix, y: Matrix, n: int) -> Matrix:
    return np.round(rolling.correlation(x, y, n, still=STILL), DIGITS)


def _covariance(x: Matrix, y: Matrix, n: int) -> Matrix:
    return np.round(rolling.covariance(x, y, n, ddof=0), DIGITS)


_OVER_TIME: dict[str, Callable[..., Matrix]] = {
    "sum": rolling.total,
    "product": _product,
    "stddev": lambda x, n: rolling.std(x, n, ddof=0),
    "ts_min": rolling.minimum,
    "ts_max": rolling.maximum,
    "ts_argmax": lambda x, n: n - rolling.argmax(x, n),
    "ts_argmin": lambda x, n: n - rolling.argmin(x, n),
    "ts_rank": _time_rank,
    "decay_linear": _decay,
    "correlation": _correlation,
    "covariance": _covariance,
    "delta": rolling.delta,
    "delay": rolling.delay,
}

_NOW: dict[str, Callable[..., Value]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": lambda x, y: _finite(np.divide(x, y)),
    "^": _power,
    "signedpower": _signed_power,
    "<": _compared(np.less),
    ">": _compared(np.greater),
    "==": _compared(np.equal),
    "||": _either,
    "if": _chosen,
    "min": np.minimum,
    "max": np.maximum,
    "abs": np.abs,
    "sign": np.sign,
    "log": _log,
    "rank": cross_section.rank,
    "scale": cross_section.scale,
    "indneutralize": cross_section.less_group_mean,
}

#: Computed anew rather than kept.
_CHEAP = frozenset(
    [
        "number",
        "name",
        "+",
        "-",
        "*",
        "/",
        "<",
        ">",
        "==",
        "||",
        "if",
        "abs",
        "sign",
        "delay",
        "delta",
        "min",
        "max",
    ]
)
