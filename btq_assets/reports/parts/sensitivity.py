"""Whether a result hangs on the exact parameters: a family over a grid, and each set's neighbours.

Belongs here: what `backtest.sensitivity` holds. Does not belong here: the sweep behind it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from btq_assets.backtest.sensitivity import surface
from btq_assets.reports import formatting as fmt
from btq_assets.reports.frames import ReportContext, ReportFrames
from btq_assets.reports.view import Block, Cell, CellChart, Head, Row, Table

#: Sets shown, best first.
_SHOWN = 8


def blocks(frames: ReportFrames, context: ReportContext) -> Iterator[Block]:
    """Surface, agreement of neighbours, and the best sets beside theirs."""
    table = frames["sensitivity"]
    if table.is_empty():
        yield (
            "No parameter surface is stored: backtest.sensitivity is empty; the job `controls` "
            "makes it."
        )
        return
    source = context.source("sensitivity")
    for (family, universe), rows in table.sort("family", "universe", "number").group_by(
        ["family", "universe"], maintain_order=True
    ):
        named = f"{str(family).replace('_', ' ')}, {universe}"
        cells, across, down = surface(rows)
        yield CellChart(
            f"surface-{family}-{universe}",
            f"Mean return above 1/N over the grid, % a year: {named}",
            tuple(down),
            tuple(across),
            np.asarray(cells, dtype=float) / 100,
            diverging=True,
            written=True,
            note="Sessions of the score down, assets held across; mean over rhythm and threshold.",
            source=source,
        )
        yield _agreement(str(family), str(universe), named, rows, source)
        yield _sets(named, rows, source)


def _agreement(
    family: str, universe: str, named: str, rows: pl.DataFrame, source: str
) -> CellChart:
    shares, across, down = surface(rows.with_columns(excess_annual=pl.col("same_sign_share")))
    return CellChart(
        f"neighbours-{family}-{universe}",
        f"Neighbours on the same side of 1/N, %: {named}",
        tuple(down),
        tuple(across),
        np.asarray(shares, dtype=float) / 100,
        written=True,
        digits=0,
        note="Share of the sets one step away along one parameter whose difference to 1/N has the "
        "same sign: 100 is a plateau, a low share a lucky peak.",
        source=source,
    )


def _sets(named: str, rows: pl.DataFrame, source: str) -> Table:
    heads = (
        Head("Set", numeric=False),
        Head("Above 1/N a year", "Mean daily difference times 252, after costs"),
        Head("Its neighbours", "Mean of the sets one step away; a peak stands far above it"),
        Head("On its side", "Share of its neighbours with the same sign"),
        Head("Sharpe", "Annualised, no risk-free rate"),
        Head("Deepest fall", "Largest fall from an earlier peak"),
        Head("Turnover a year", "Purchases and sales over equity"),
    )
    best = rows.sort("excess_annual", "number", descending=[True, False]).head(_SHOWN)
    told = tuple(
        Row(
            (
                Cell(
                    f"{r['lookback_sessions']} sessions, best {r['top_k']}, every "
                    f"{r['every_sessions']}, threshold {fmt.percent(r['threshold'], 0)}"
                ),
                Cell(fmt.percent(r["excess_annual"])),
                Cell(fmt.percent(r["neighbour_excess_annual"]), detail=f"{r['n_neighbours']} sets"),
                Cell(fmt.percent(r["same_sign_share"], 0)),
                Cell(fmt.number(r["sharpe"])),
                Cell(fmt.percent(r["max_drawdown"])),
                Cell(fmt.number(r["turnover_annual"], 1)),
            )
        )
        for r in best.iter_rows(named=True)
    )
    above = fmt.percent(float((rows["excess_annual"] > 0).mean() or 0.0), 0)  # type: ignore[arg-type]
    note = (
        f"{above} of the {rows.height} sets are above 1/N; the table has the best of them. A set: "
        "sessions of the score, assets held, sessions between decisions, least turnover."
    )
    return Table(heads, told, f"Best sets beside their neighbours: {named}", (note,), source)
