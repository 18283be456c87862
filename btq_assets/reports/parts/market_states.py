"""Runs by the state of the market known the day before, and through dated crises.

Belongs here: what `backtest.scenarios` and `backtest.crises` hold, whatever states they name. Does
not belong here: other costs, delays and universes (`stresses`), crises replayed on the weights held
last (`scenarios`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from btq_assets.contracts import backtest
from btq_assets.reports import formatting as fmt
from btq_assets.reports.frames import ReportContext, ReportFrames, label, order_in
from btq_assets.reports.parts import stresses
from btq_assets.reports.view import Block, Cell, CellChart, Head, Row, Section, Table

#: Fewer days than this give no figures.
_FEW = "too few"

#: Column, heading, meaning.
_FIGURES = (
    ("annual_return", "Return a year", "Compound return of the days, a year"),
    ("annual_volatility", "Volatility", "Standard deviation of the daily returns, a year"),
    ("max_drawdown", "Deepest fall", "Inside an unbroken stretch of days"),
    ("win_rate", "Win rate", "Gains among the days that were not flat"),
)

_DIMENSIONS = {
    "market": "market state",
    "volatility": "volatility state",
    "market_volatility": "market and volatility state",
}


def section(frames: ReportFrames, context: ReportContext) -> Section:
    """States, crises and stresses; each says so where there is nothing."""
    return Section(
        "scenarios",
        "Scenarios and stresses",
        (*_states(frames, context), *_crises(frames, context), *stresses.blocks(frames, context)),
        "One path each: its days are sliced by the state known at the bar before and never spliced "
        "into another path. Slices below 60 days give no figures. Stresses run the strategy again.",
    )


def _states(frames: ReportFrames, context: ReportContext) -> Iterator[Block]:
    table = frames["scenarios"]
    if table.is_empty():
        yield "No slices by market state are stored: backtest.scenarios is empty."
        return
    order = order_in(frames.everyone, table)
    for dimension in _in_order(table["dimension"], "dimension"):
        own = table.filter(pl.col("dimension") == dimension)
        named = _DIMENSIONS.get(dimension, dimension.replace("_", " "))
        states = _in_order(own["scenario"], "scenario")
        found = {(r["strategy"], r["scenario"]): r for r in own.iter_rows(named=True)}
        # A state no run has a day of stands in the table of days alone.
        lived = own.group_by("scenario").agg(pl.col("n_days").max()).filter(pl.col("n_days") > 0)
        shown = [state for state in states if state in set(lived["scenario"])]
        if shown:
            yield _sharpes(dimension, named, order, shown, found, context)
        yield _days(frames, named, states, found, context)


def _in_order(values: pl.Series, column: str) -> list[str]:
    """Distinct names in the order of the contract, those it does not know last."""
    known = next(c.allowed for c in backtest.SCENARIOS.columns if c.name == column) or ()
    places = {name: place for place, name in enumerate(known)}
    return sorted(values.unique(), key=lambda name: (places.get(name, len(places)), name))


def _sharpes(
    dimension: str,
    named: str,
    order: list[str],
    states: list[str],
    found: dict[tuple[str, str], dict],
    context: ReportContext,
) -> CellChart:
    rows = [[found.get((name, state), {}) for state in states] for name in order]
    return CellChart(
        f"states-{dimension}",
        f"Sharpe ratio by {named}",
        tuple(label(name) for name in order),
        tuple(_words(state) for state in states),
        np.array([[row.get("sharpe") for row in own] for own in rows], dtype=float),
        diverging=True,
        written=True,
        unit="number",
        digits=2,
        blanks=tuple(tuple(_blank(row) for row in own) for own in rows),
        note="Annualised, of the days that began in the state. Days apart have no path between them.",
        source=context.source("scenarios"),
    )


def _blank(row: dict) -> str:
    """Why a cell has no number: too few days, or returns that do not vary."""
    if not row:
        return fmt.MISSING
    return _FEW if row["note"].startswith(_FEW) else fmt.MISSING


def _days(
    frames: ReportFrames,
    named: str,
    states: list[str],
    found: dict[tuple[str, str], dict],
    context: ReportContext,
) -> Table:
    heads = (
        Head("State", numeric=False),
        Head("Days", "Returns in the slice; from the run with fewest to the one with most"),
        Head("Stretches", "Unbroken stretches of such days"),
        *(Head(title, meaning) for _, title, meaning in _FIGURES),
    )
    rows = []
    for state in states:
        own = [row for (_, which), row in found.items() if which == state]
        days, stretches = ([row[name] for row in own] for name in ("n_days", "n_episodes"))
        few = next(row["note"] for row in own if row["n_days"] == min(days))
        pair = [found.get((name, state), {}) for name in frames.shown]
        rows.append(
            Row(
                (
                    Cell(_words(state)),
                    Cell(_between(days), detail=_FEW if few.startswith(_FEW) else ""),
                    Cell(_between(stretches)),
                    *(_two(frames.shown, pair, column) for column, _, _ in _FIGURES),
                )
            )
        )
    return Table(
        heads, tuple(rows), f"Days by {named}: {_pair(frames)}", source=context.source("scenarios")
    )  # fmt: skip


def _pair(frames: ReportFrames) -> str:
    """Whose figures a table has: the first in large print, the second in small."""
    names = [label(name) for name in frames.shown]
    return names[0] + (f", {names[1]} in small print" if len(names) > 1 else "") if names else ""


def _two(names: list[str], rows: list[dict], column: str) -> Cell:
    """A figure of the first strategy with that of the second below it."""
    if not rows:
        return Cell(fmt.MISSING)
    text, *small = [fmt.percent(row.get(column)) for row in rows]
    known = [f"{label(name)} {value}" for name, value in zip(names[1:], small, strict=True)]
    said = known[0] if known and small[0] != fmt.MISSING else ""
    return Cell(text, detail=said, title=rows[0].get("note", ""))


def _between(values: list[int]) -> str:
    low, high = min(values), max(values)
    return fmt.whole(low) if low == high else f"{fmt.whole(low)} to {fmt.whole(high)}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _crises(frames: ReportFrames, context: ReportContext) -> Iterator[Block]:
    table = frames["crises"].sort("first_day", "crisis")
    if table.is_empty():
        yield "No dated crises are stored: backtest.crises is empty."
        return
    windows = table.unique("crisis", keep="first", maintain_order=True)
    covered = table.filter("covered")["crisis"].unique(maintain_order=True).to_list()
    found = {(r["strategy"], r["crisis"]): r for r in table.iter_rows(named=True)}
    order = order_in(frames.everyone, table)
    left = [name for name in windows["crisis"] if name not in covered]
    yield (
        f"Dated crises: {len(covered)} of {windows.height} lie inside the days of the runs. "
        + (f"Not covered: {', '.join(_words(name) for name in left)}." if left else "")
    )
    if covered:
        values = [
            [found.get((name, crisis), {}).get("window_return") for crisis in covered]
            for name in order
        ]
        yield CellChart(
            "crises",
            "Return of each run through the crises its days cover, %",
            tuple(label(name) for name in order),
            tuple(_words(crisis) for crisis in covered),
            np.array(values, dtype=float),
            diverging=True,
            written=True,
            note="The run itself, traded as it was; Risk has the same windows for the weights held last.",
            source=context.source("crises"),
        )
    yield _windows(frames, windows, set(covered), found, context)


def _windows(
    frames: ReportFrames,
    windows: pl.DataFrame,
    covered: set[str],
    found: dict[tuple[str, str], dict],
    context: ReportContext,
) -> Table:
    heads = (
        Head("Crisis", numeric=False),
        Head("From"),
        Head("To"),
        Head("Covered", numeric=False),
        Head("Days"),
        Head("Return", "Net return over the window"),
        Head("Deepest fall", "Inside the window"),
        Head("Worst day", "Worst daily net return in it"),
    )
    rows = []
    for window in windows.iter_rows(named=True):
        name = window["crisis"]
        pair = [found.get((own, name), {}) for own in frames.shown]
        first = pair[0] if pair and pair[0] else window
        rows.append(
            Row(
                (
                    Cell(_words(name), detail=window["description"]),
                    Cell(fmt.day(window["first_day"])),
                    Cell(fmt.day(window["last_day"])),
                    Cell("yes" if name in covered else "no", title=first["note"]),
                    Cell(fmt.whole(first["n_days"]) if name in covered else fmt.MISSING),
                    *(
                        _two(frames.shown, pair, column)
                        for column in ("window_return", "max_drawdown", "worst_day")
                    ),
                )
            )
        )
    return Table(
        heads,
        tuple(rows),
        f"Dated crises, covered or not: {_pair(frames)}",
        source=context.source("crises"),
    )
