"""Crises replayed and paths simulated, on the weights held last."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from btq_assets.reports import formatting as fmt
from btq_assets.reports.frames import REFERENCE, ReportContext, ReportFrames, label, order_in
from btq_assets.reports.view import Cell, CellChart, Head, Row, Table

#: Statistics of simulated paths that are shown, with their headings.
_STATISTICS = {
    "terminal_return_p01": ("1 % worst return", "1 % of the paths end below this return"),
    "probability_of_loss": ("Probability of loss", "Share of paths that end below their start"),
    "max_drawdown_p50": ("Median fall", "Median over the paths of the deepest fall on the way"),
    "max_drawdown_p95": ("95 % fall", "5 % of the paths fall deeper than this on the way"),
}


def stress(
    frames: ReportFrames, context: ReportContext, order: list[str]
) -> Iterator[CellChart | Table]:
    """Return over each crisis window by strategy, and the windows themselves."""
    replayed = frames["stress"]
    windows = (
        replayed.select("scenario", "window_start", "window_end", "covered", "note")
        .unique("scenario")
        .sort("window_start")
    )
    found = {(row["strategy"], row["scenario"]): row for row in replayed.iter_rows(named=True)}
    names = order_in(order, replayed)
    covered = windows.filter(pl.col("covered"))["scenario"].to_list()
    if covered:
        values = [
            [found.get((name, scenario), {}).get("window_return") for scenario in covered]
            for name in names
        ]
        yield CellChart(
            "stress",
            "Crises replayed on the weights held last: return over the window, %",
            tuple(names),
            tuple(scenario.replace("_", " ") for scenario in covered),
            np.array(values, dtype=float),
            diverging=True,
            written=True,
            note="Weights are held without trading over each window.",
            source=context.source("stress"),
        )
    shown = list(dict.fromkeys(n for n in (frames.leader, REFERENCE) if n in names))
    heads = (
        Head("Window", numeric=False),
        Head("From"),
        Head("To"),
        *(
            Head(f"{label(name)}: {text}")
            for name in shown
            for text in ("return", "drawdown", "worst day")
        ),
    )
    rows = []
    for window in windows.iter_rows(named=True):
        cells = [
            fmt.percent(found.get((name, window["scenario"]), {}).get(column))
            for name in shown
            for column in ("window_return", "max_drawdown", "worst_day")
        ]
        note = "" if window["covered"] else window["note"]
        rows.append(
            Row(
                (
                    Cell(window["scenario"].replace("_", " "), detail=note),
                    Cell(fmt.day(window["window_start"])),
                    Cell(fmt.day(window["window_end"])),
                    *(Cell(text) for text in cells),
                )
            )
        )
    yield Table(heads, tuple(rows), "Crisis windows", source=context.source("stress"))


def simulated(frames: ReportFrames, context: ReportContext, order: list[str]) -> Table:
    """Quantiles of simulated returns and falls by strategy."""
    simulations = frames["simulations"]
    values = {
        (row["strategy"], row["method"], row["statistic"]): row["value"]
        for row in simulations.iter_rows(named=True)
    }
    heads = (
        Head("Strategy", numeric=False),
        Head("Return: median", "Median return over the horizon; whisker from 5 % to 95 %"),
        *(Head(text, title) for text, title in _STATISTICS.values()),
    )
    rows = []
    for name in order_in(order, simulations):
        span = [
            values.get((name, "block_bootstrap", f"terminal_return_p{q}"))
            for q in ("50", "05", "95")
        ]
        cells = []
        for item in _STATISTICS:
            normal = values.get((name, "gaussian", item))
            cells.append(
                Cell(
                    fmt.percent(values.get((name, "block_bootstrap", item))),
                    detail="" if normal is None else f"normal {fmt.percent(normal)}",
                )
            )
        median = fmt.estimate(*span, as_percent=True, digits=1, whisker=True)
        rows.append(Row((Cell(name), median, *cells)))
    first = simulations.row(0, named=True)
    return Table(
        heads,
        tuple(rows),
        f"Monte Carlo, {first['n_paths']:,} paths of {first['horizon_sessions']} sessions",
        (f"Weights held last, kept for the whole horizon; seed {first['seed']}. Paths are drawn by "
         "block bootstrap, in small print from a normal distribution. Brackets: 5 % and 95 % of the "
         "paths.",),
        context.source("simulations"),
    )  # fmt: skip
