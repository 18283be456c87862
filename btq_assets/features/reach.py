"""How far back an expression looks, read off the expression itself.

Belongs here: sessions an expression's newest value depends on. Does not belong here: its value
(`latest`), and what families declare of themselves (`families`).
"""

from __future__ import annotations

import math

import polars as pl

from btq_assets.features.latest import Node, NotEvaluatedError, parse

#: Weight of all that is older than an average's reach.
_FORGOTTEN = 1e-17


def reach_of(expression: pl.Expr) -> int | None:
    """Bars before the newest one that the newest value of `expression` depends on.

    Averages that never end count until what is older weighs less than rounding.

    Returns
    -------
    int or None
        ``None`` where all of the history counts, or the expression cannot be read.

    Examples
    --------
    >>> reach_of(pl.col("adj_close").rolling_mean(20).shift(5))
    24
    >>> reach_of(pl.col("volume").cum_sum()) is None
    True
    """
    try:
        return _reach(parse(expression))
    except NotEvaluatedError:
        return None


def _reach(node: Node) -> int | None:
    if node.op == "column":
        # The return of a bar reads the bar before.
        return 1 if node.settings[0] == "_r" else 0
    own = _own(node)
    parts = [_reach(arg) for arg in node.args]
    if own is None or any(part is None for part in parts):
        return None
    return own + max((part for part in parts if part is not None), default=0)


def _own(node: Node) -> int | None:
    if node.op == "CumSum":
        return None
    if node.op == "Shift":
        by = node.args[1]
        return int(by.settings[0]) if by.op == "literal" and by.settings[0] >= 0 else None
    if node.op == "rolling":
        return int(node.settings[1]) - 1
    if node.op == "linearreg":
        return int(node.settings[0]) - 1
    if node.op == "ewm":
        return _forgotten(node.settings[0])
    if node.op == "rsi":
        return _forgotten(1 / node.settings[0]) + int(node.settings[0])
    if node.op == "macd":
        # An average of averages forgets later than either.
        slowest = max(node.settings[:3])
        return 2 * _forgotten(2 / (slowest + 1)) + int(sum(node.settings[:3]))
    return 0


def _forgotten(alpha: float) -> int:
    return math.ceil(math.log(_FORGOTTEN) / math.log1p(-alpha)) if alpha < 1 else 0
