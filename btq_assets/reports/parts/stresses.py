"""Strategies run again under other costs, delays, liquidity and universes, and bootstrapped paths.

Belongs here: what `backtest.stresses` holds. Does not belong here: running anything again
(`btq_assets.backtest.robustness`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from btq_assets.reports import formatting as fmt
from btq_assets.reports.frames import ReportContext, ReportFrames, label, order_in
from btq_assets.reports.strategy_lines import strategy_lines
from btq_assets.reports.view import Block, Cell, CurveChart, Head, Row, Table

#: Coloured lines besides that of 1/N.
_EMPHASISED = 5


def blocks(frames: ReportFrames, context: ReportContext) -> Iterator[Block]:
    """Curves over costs and delay, and a table of everything else."""
    table = frames["stresses"]
    if table.is_empty():
        yield "No stresses are stored: backtest.stresses is empty."
        return
    as_run = table.filter(pl.col("kind") == "none")
    order = order_in(frames.everyone, table)
    curves = (
        ("cost", "Sharpe ratio by cost of a trade", "basis points of traded value", pl.DataFrame(),
         "All of commission, spread and impact replaced by one rate."),
        ("delay", "Sharpe ratio by delay of the fill", "further bars to the fill",
         as_run.with_columns(parameter=pl.lit(0.0)),
         "0 is the run as it was: filled at the bar after the decision."),
    )  # fmt: skip
    for kind, title, axis, start, note in curves:
        own = table.filter(pl.col("kind") == kind)
        own = pl.concat([start, own]) if start.height and own.height else own
        chart = _curve(kind, title, axis, own, order, note, context)
        yield chart or f"No {kind} stress is stored."
    yield _table(table, order, context)


def _curve(
    kind: str,
    title: str,
    axis: str,
    rows: pl.DataFrame,
    order: list[str],
    note: str,
    context: ReportContext,
) -> CurveChart | None:
    x = rows["parameter"].drop_nulls().unique().sort()
    if x.len() < 2:
        return None
    lines = strategy_lines(rows, x, "sharpe", order, emphasised=_EMPHASISED)
    return CurveChart(
        f"stress-{kind}", title, x.to_list(), axis, lines, note=note,
        source=context.source("stresses"),
    )  # fmt: skip


def _table(table: pl.DataFrame, order: list[str], context: ReportContext) -> Table:
    heads = (
        Head("Strategy", numeric=False),
        Head("Sharpe as run", "Annualised, no risk-free rate"),
        Head("Half liquidity", "Half the volume and twice the half-spread; change in small print"),
        Head("Other universes", "Sharpe ratios over the draws that leave out symbols, lowest to highest"),
        Head("Bootstrap: Sharpe", "Median over resampled paths; whisker from 5 % to 95 %"),
        Head("Return a year", "Likewise"),
        Head("Deepest fall", "Likewise"),
        Head("Above 1/N a year", "Likewise, of the mean daily difference to 1/N on the same days"),
    )  # fmt: skip
    rows = []
    for name in order:
        own = table.filter(pl.col("strategy") == name)
        of = {kind: own.filter(pl.col("kind") == kind).sort("parameter") for kind in _kinds(own)}
        none = of.get("none", own.clear())
        rows.append(
            Row(
                (
                    Cell(label(name)),
                    Cell(fmt.number(_only(none, "sharpe"))),
                    _liquidity(of.get("liquidity", own.clear())),
                    _draws(of.get("universe", own.clear())),
                    *(
                        _quantiles(
                            of.get("bootstrap", own.clear()),
                            column,
                            as_percent=percent,
                            whisker=drawn,
                        )
                        for column, percent, drawn in (
                            ("sharpe", False, True),
                            ("annual_return", True, False),
                            ("max_drawdown", True, False),
                            ("mean_above_one_over_n_annual", True, True),
                        )
                    ),
                )
            )
        )
    told = [
        f"Draw {row['parameter']:g}: {row['note']}."
        for row in table.filter(pl.col("kind") == "universe")
        .unique(["parameter", "note"])
        .sort("parameter", "note")
        .head(10)
        .iter_rows(named=True)
    ]
    told += [
        f"{kind.capitalize()}: {notes[0]}."
        for kind in ("liquidity", "bootstrap")
        if len(notes := table.filter(pl.col("kind") == kind)["note"].unique().sort()) == 1
    ]
    return Table(
        heads,
        tuple(rows),
        "Half liquidity, other universes, resampled paths",
        tuple(told),
        context.source("stresses"),
    )


def _kinds(rows: pl.DataFrame) -> list[str]:
    return rows["kind"].unique().to_list()


def _only(rows: pl.DataFrame, column: str) -> float | None:
    return rows[column][0] if rows.height else None


def _liquidity(rows: pl.DataFrame) -> Cell:
    change = _only(rows, "sharpe_change")
    sign = "+" if change is not None and change > 0 else ""
    return Cell(
        fmt.number(_only(rows, "sharpe")),
        detail="" if fmt.is_missing(change) else f"{sign}{fmt.number(change)}",
        title=_only(rows, "note") or "",  # type: ignore[arg-type]
    )


def _draws(rows: pl.DataFrame) -> Cell:
    known = rows["sharpe"].drop_nulls().to_numpy()
    if not known.size:
        return Cell(fmt.MISSING)
    low, high = fmt.number(float(np.min(known))), fmt.number(float(np.max(known)))
    return Cell(f"{low} to {high}", detail=f"{known.size} draws")


def _quantiles(rows: pl.DataFrame, column: str, *, as_percent: bool, whisker: bool) -> Cell:
    """Median with the span from the lowest to the highest quantile stored."""
    known = rows.drop_nulls(column).sort("parameter")
    if known.height < 3:
        return Cell(fmt.MISSING)
    middle = known.filter(pl.col("parameter") == 0.5)
    return fmt.estimate(
        _only(middle, column),
        known[column][0],
        known[column][-1],
        as_percent=as_percent,
        digits=1 if as_percent else 2,
        whisker=whisker,
    )
