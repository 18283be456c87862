"""What trading cost: the shortfall of every order against the price it was decided at, in parts.

Belongs here: what `execution.transaction_costs` holds, by strategy and over time. Does not belong
here: the arithmetic of the parts (`btq_assets.execution`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import numpy as np
import polars as pl

from btq_assets.execution.cost_analysis import by_strategy
from btq_assets.reports import formatting as fmt
from btq_assets.reports.frames import REFERENCE, ReportContext, ReportFrames, label, order_in
from btq_assets.reports.strategy_lines import strategy_lines
from btq_assets.reports.view import (
    BarChart,
    Block,
    Cell,
    Head,
    LineChart,
    Row,
    Section,
    Table,
)

#: Column of the summary in basis points → what a reader calls it, and what it is. Waiting is
#: delay and timing together; where the opening price is known it is shown as its two halves.
_WAITING = ("waiting", "waiting", "From the deciding close to the fill: delay and timing together")
_HALVES = (
    ("delay", "delay", "From the deciding close to the open of the bar of the fill"),
    ("timing", "timing", "From that open to the fill"),
)
_CHARGED = (
    ("spread", "spread", "Half-spread paid"),
    ("impact", "impact", "Own impact on the price"),
    ("commission", "fees", "Commission and fees"),
    (
        "opportunity",
        "opportunity",
        "What was ordered and not filled, at the price of the next decision",
    ),
)
#: Strategies with fewer fills stand in the table alone.
_FEW_ORDERS = 100
#: Coloured lines of the chart over time besides that of 1/N.
_EMPHASISED = 4


def section(frames: ReportFrames, context: ReportContext) -> Section:
    """Parts by strategy and over time; says so where no order is stored."""
    return Section(
        "costs",
        "Transaction costs",
        tuple(_blocks(frames, context)),
        "Implementation shortfall: what was paid less what the paper portfolio would have paid at the "
        "price of the decision, in basis points of the value traded. Positive numbers cost money.",
    )


def _blocks(frames: ReportFrames, context: ReportContext) -> Iterator[Block]:
    table = frames["transaction_costs"]
    if table.is_empty():
        yield "No costs of orders are stored: execution.transaction_costs is empty."
        return
    summary = by_strategy(table)
    order = order_in(frames.everyone, summary)
    found = {row["strategy"]: row for row in summary.iter_rows(named=True)}
    parts = _parts(summary)
    source = context.source("transaction_costs")
    # The luck of a few orders would dwarf every other bar.
    drawn = [name for name in order if found[name]["n_fills"] >= _FEW_ORDERS] or order
    left = [label(name) for name in order if name not in drawn]
    yield BarChart(
        "shortfall",
        "Shortfall by strategy and part, basis points",
        tuple(label(name) for name in drawn),
        tuple(title for _, title, _ in parts),
        _matrix([found[name] for name in drawn], parts),
        total="shortfall",
        note=_unknown(summary, parts)
        + (f" Left out for fewer than {_FEW_ORDERS} fills: {', '.join(left)}." if left else ""),
        source=source,
    )
    yield _table(order, found, parts, source)
    yield from _over_time(frames, table, order, parts, source)


def _parts(summary: pl.DataFrame) -> list[tuple[str, str, str]]:
    """Parts that sum to the shortfall: waiting as its halves where all of it is known so."""
    halves = summary["waiting_bps"].null_count() < summary.height and all(
        summary[f"{name}_bps"].null_count() == summary["waiting_bps"].null_count()
        for name, _, _ in _HALVES
    )
    return [*(_HALVES if halves else (_WAITING,)), *_CHARGED]


def _unknown(summary: pl.DataFrame, parts: list[tuple[str, str, str]]) -> str:
    names = [
        title
        for name, title, _ in parts
        if summary[f"{name}_bps"].null_count() == summary.height
    ]  # fmt: skip
    told = f"Not known for any order, and not counted: {', '.join(names)}. " if names else ""
    if _WAITING in parts:
        told += "Delay and timing cannot be told apart where there are only closes. "
    return f"{told}Waiting is mostly luck: it can be a gain."


def _matrix(rows: list[dict], parts: list[tuple[str, str, str]]) -> np.ndarray:
    values = [[row[f"{name}_bps"] for name, _, _ in parts] for row in rows]
    return np.array(values, dtype=float).reshape(len(rows), len(parts))


def _table(
    order: list[str], found: dict[str, dict], parts: list[tuple[str, str, str]], source: str
) -> Table:
    heads = (
        Head("Strategy", numeric=False),
        Head("Fills", "Orders filled, in small print those that were not, or not in full"),
        Head("Traded, millions", "Absolute shares times fill price, in currency"),
        Head("Shortfall, bps", "Sum of the parts that are known"),
        *(Head(f"{title.capitalize()}, bps", meaning) for _, title, meaning in parts),
        Head("Against arrival, bps", "What was paid beyond the price when the order arrived"),
        Head("Against VWAP, bps", "What was paid beyond the VWAP of the bar, fees left out"),
    )
    columns = ("shortfall", *(name for name, _, _ in parts), "arrival", "vwap")
    rows = tuple(
        Row(
            (
                Cell(label(name)),
                Cell(
                    fmt.whole(found[name]["n_fills"]),
                    detail=f"{fmt.whole(found[name]['n_unfilled'])} not in full"
                    if found[name]["n_unfilled"]
                    else "",
                ),
                Cell(fmt.number(found[name]["value"] / 1e6, 1)),
                *(
                    Cell(
                        fmt.number(value, 1),
                        title="not known for any of its orders" if value is None else "",
                    )
                    for value in (found[name][f"{column}_bps"] for column in columns)
                ),
            )
        )
        for name in order
    )
    note = (
        "A dash: the data do not say; execution.transaction_costs.unknown says why for each order."
    )
    return Table(heads, rows, "What trading cost", (note,), source)


def _over_time(
    frames: ReportFrames,
    table: pl.DataFrame,
    order: list[str],
    parts: list[tuple[str, str, str]],
    source: str,
) -> Iterator[Block]:
    """Years of the leader in parts, and what every strategy was charged by quarter."""
    leader = next((name for name in (frames.leader, REFERENCE) if name in order), order[0])
    years = table.filter(pl.col("strategy") == leader).with_columns(
        strategy=pl.col("filled_at").dt.strftime("%Y")
    )
    rows = by_strategy(years).sort("strategy").rows(named=True)
    yield BarChart(
        "shortfall-years",
        f"Shortfall of {label(leader)} by year and part, basis points",
        tuple(row["strategy"] for row in rows),
        tuple(title for _, title, _ in parts),
        _matrix(rows, parts),
        total="shortfall",
        note=f"{label(leader)} has the best Sharpe ratio among the strategies."
        if leader == frames.leader
        else "",
        source=source,
    )
    charged = _charged_by_quarter(table)
    quarters = charged["quarter"].unique().sort()
    if quarters.len() < 2:
        return
    days: list[date] = quarters.to_list()
    yield LineChart(
        "charged",
        "Spread, impact and fees by quarter, basis points of value traded",
        days,
        strategy_lines(charged, quarters, "bps", order, emphasised=_EMPHASISED),
        zero=True,
        note="What the engine charged; waiting and opportunity are left out. A quarter without a fill "
        "leaves a gap.",
        source=source,
    )


def _charged_by_quarter(table: pl.DataFrame) -> pl.DataFrame:
    """``strategy``, ``quarter`` (its first day), ``bps`` of the value traded in it."""
    paid = pl.sum_horizontal(
        pl.col(name).fill_null(0.0).sum() for name in ("spread_cost", "impact_cost", "commission")
    )
    return (
        table.group_by("strategy", quarter=pl.col("filled_at").dt.date().dt.truncate("1q"))
        .agg(paid=paid, value=pl.col("value").sum())
        .filter(pl.col("value") > 0)
        .select("strategy", "quarter", bps=1e4 * pl.col("paid") / pl.col("value"))
    )
