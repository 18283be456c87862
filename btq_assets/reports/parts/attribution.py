"""How much of each run common factors explain, and what is left as alpha.

Belongs here: what `backtest.attribution` holds. Does not belong here: the regression.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import polars as pl

from btq_assets.reports import formatting as fmt
from btq_assets.reports.frames import ReportContext, ReportFrames, label, order_in
from btq_assets.reports.view import BarChart, Block, Cell, Head, Row, Table

ALPHA = "alpha"

_MODELS = {
    "fama_french_3": "the three factors of Fama and French",
    "universe": "factors made of the universe itself",
    "file": "the factors of the configured file",
}
_CONFIDENCE = 0.95


def blocks(frames: ReportFrames, context: ReportContext) -> Iterator[Block]:
    """A chart of contributions and a table of slopes for each set of factors."""
    table = frames["attribution"]
    if table.is_empty():
        yield "No attribution to factors is stored: backtest.attribution is empty."
        return
    for model in [name for name in _MODELS if name in set(table["model"])]:
        rows = table.filter(pl.col("model") == model)
        order = order_in(frames.everyone, rows)
        known = rows["factor"].unique().sort().to_list()
        factors = [ALPHA, *(name for name in known if name != ALPHA)]
        found = {(r["strategy"], r["factor"]): r for r in rows.iter_rows(named=True)}
        if rows["coefficient"].null_count() == rows.height:
            yield f"Attribution to {_MODELS[model]}: {rows['note'][0]}."
            continue
        yield _contributions(model, order, factors, found, context)
        yield _slopes(model, order, factors, found, context)


def alpha_interval(row: dict) -> tuple[float, float] | None:
    """95 % interval of a coefficient: Student's distribution, as the p-value beside it."""
    from scipy.special import stdtrit

    value, error, t = row["coefficient"], row["standard_error"], row["t_value"]
    if fmt.is_missing(value) or fmt.is_missing(error) or fmt.is_missing(t):
        return None
    reach = float(stdtrit(row["degrees"], 0.5 + _CONFIDENCE / 2)) * error
    return value - reach, value + reach


def _contributions(
    model: str,
    order: list[str],
    factors: list[str],
    found: dict[tuple[str, str], dict],
    context: ReportContext,
) -> BarChart:
    values = [
        [found.get((name, factor), {}).get("contribution_annual") for factor in factors]
        for name in order
    ]
    return BarChart(
        f"attribution-{model}",
        f"Mean return a year by {_MODELS[model]}",
        tuple(label(name) for name in order),
        tuple(factors),
        np.array(values, dtype=float),
        unit="percent",
        total="mean return a year",
        note="Slope times the factor's mean return; alpha is what is left. Parts below zero lie left "
        "of the line.",
        source=context.source("attribution"),
    )


def _slopes(
    model: str,
    order: list[str],
    factors: list[str],
    found: dict[tuple[str, str], dict],
    context: ReportContext,
) -> Table:
    heads = (
        Head("Strategy", numeric=False),
        Head("Alpha a year", "Mean return left over; 95 % interval of Student's distribution"),
        Head(
            "t of alpha", "Coefficient over its Newey-West standard error; p-value in small print"
        ),
        *(Head(factor, "Slope; t-value in small print") for factor in factors[1:]),
        Head("R²", "Share of the variance that the factors explain"),
        Head("Periods", "In the regression; lags of the standard errors in small print"),
    )
    rows = []
    for name in order:
        alpha = found.get((name, ALPHA))
        if alpha is None:
            continue
        span = alpha_interval(alpha | {"degrees": alpha["n"] - len(factors)})
        ends = span or (math.nan, math.nan)
        rows.append(
            Row(
                (
                    Cell(label(name)),
                    fmt.estimate(
                        alpha["coefficient"],
                        *ends,
                        as_percent=True,
                        title=alpha["note"] if alpha["coefficient"] is None else "",
                        whisker=True,
                    ),
                    Cell(
                        fmt.number(alpha["t_value"]),
                        detail=f"p {fmt.probability(alpha['p_value'])}",
                    ),
                    *(_slope(found.get((name, factor))) for factor in factors[1:]),
                    Cell(fmt.number(alpha["r_squared"])),
                    Cell(
                        f"{fmt.whole(alpha['n'])} {alpha['frequency']}s",
                        detail=f"{alpha['lags']} lags",
                    ),
                )
            )
        )
    first = found[order[0], factors[0]]
    note = f"{first['note'][:1].upper()}{first['note'][1:]}."
    span_told = f"{fmt.day(first['first_ts'])} to {fmt.day(first['last_ts'])}."
    return Table(
        heads,
        tuple(rows),
        f"Slopes on {_MODELS[model]}",
        (f"{note} {span_told} Standard errors allow for serial correlation and changing variance "
         "(Newey and West, 1987).",),
        context.source("attribution"),
    )  # fmt: skip


def _slope(row: dict | None) -> Cell:
    if row is None:
        return Cell(fmt.MISSING)
    t = row["t_value"]
    return Cell(
        fmt.number(row["coefficient"]), detail="" if fmt.is_missing(t) else f"t {fmt.number(t, 1)}"
    )
