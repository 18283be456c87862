"""Lines of a chart, one for each strategy.

Belongs here: laying strategies over one axis, 1/N among them. Does not belong here: the numbers, and
charts (`view`).
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from btq_assets.reports.frames import REFERENCE, label
from btq_assets.reports.view import Line


def strategy_lines(
    rows: pl.DataFrame, x: pl.Series, value: str, order: Sequence[str], *, emphasised: int
) -> tuple[Line, ...]:
    """A line for each strategy of `order`, that of 1/N first and in ink.

    Parameters
    ----------
    rows
        ``strategy``, a column of the name of `x`, and `value`; one row per strategy and x.
    x
        The axis; a strategy without a row there has a gap.
    value
        Column that is drawn.
    order
        Strategies, the most important first.
    emphasised
        Coloured lines besides that of 1/N.
    """
    names = [REFERENCE, *(name for name in order if name != REFERENCE)]
    lines = []
    for place, name in enumerate(name for name in names if name in order):
        own = rows.filter(pl.col("strategy") == name).select(x.name, value)
        values = x.to_frame().join(own, on=x.name, how="left")[value].fill_null(float("nan"))
        lines.append(
            Line(
                label(name),
                values.to_numpy(),
                emphasis=place <= emphasised,
                ink=name == REFERENCE,
            )
        )
    return tuple(lines)
