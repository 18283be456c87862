"""Where results come from: years, months, symbols and sides, factors, and the exact parameters.

Belongs here: what `backtest.slices` holds, and the order of the section. Does not belong here:
slices by market state (`market_states`), factors (`attribution`), parameters (`sensitivity`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from btq_assets import plots
from btq_assets.reports import formatting as fmt
from btq_assets.reports.frames import ReportContext, ReportFrames, label, order_in
from btq_assets.reports.parts import attribution, sensitivity
from btq_assets.reports.view import Block, Cell, CellChart, Head, Row, Section, Table

#: Column, heading, meaning, how it is written.
_SIDES = (
    ("return_on_initial_cash", "Profit", "After costs, over the cash at the start", fmt.percent),
    ("cost", "Costs", "Of the round trips, in currency", fmt.whole),
    ("trip_win_rate", "Win rate", "Gains among the trips that were not flat", fmt.percent),
    ("trip_profit_factor", "Profit factor", "Gains over losses", fmt.number),
    ("trip_mae", "MAE", "Maximum adverse excursion: worst open loss of the entry price, weighted by value", fmt.percent),
    ("trip_mfe", "MFE", "Maximum favourable excursion: best open profit, likewise", fmt.percent),
    ("holding_sessions", "Sessions held", "Bars from entry to exit, weighted by value", fmt.whole),
)  # fmt: skip


def section(frames: ReportFrames, context: ReportContext) -> Section:
    """Slices, factors, parameters; each says so where there is nothing."""
    return Section(
        "slices",
        "Slices and attribution",
        (
            *_slices(frames, context),
            *attribution.blocks(frames, context),
            *sensitivity.blocks(frames, context),
        ),
        "Which years, months, symbols and sides made the result, how much of it common factors "
        "explain, and whether it hangs on the exact parameters.",
    )


def _slices(frames: ReportFrames, context: ReportContext) -> Iterator[Block]:
    table = frames["slices"]
    if table.is_empty():
        yield "No slices are stored: backtest.slices is empty."
        return
    wanted = (
        ("years", "year", "total_return", "Return by year, %", "Compound, after costs."),
        ("years-above", "year", "excess_return", "Return above 1/N by year, %",
         "Difference of the compound returns."),
        ("months-above", "month", "excess_return", "Return above 1/N by month",
         "Blue is ahead of 1/N, orange behind it; the pointer reads a month."),
        ("seasons", "calendar_month", "mean_annual", "Mean return by month of the year, % a year",
         "Mean of the daily returns times 252. Twelve months are twelve chances to find something."),
        ("symbols", "symbol", "return_on_initial_cash", "Profit by symbol over the initial cash, %",
         "Round trips after costs, open ones valued at the last bar."),
    )  # fmt: skip
    for key, dimension, metric, title, note in wanted:
        chart = _cells(frames, context, key, dimension, metric, title, note)
        yield chart or f"{title.removesuffix(', %')}: no rows are stored."
    yield from _sides(frames, context)


def _cells(
    frames: ReportFrames,
    context: ReportContext,
    key: str,
    dimension: str,
    metric: str,
    title: str,
    note: str,
) -> CellChart | None:
    """Strategies down, slices across; nothing where no slice has a value."""
    rows = frames["slices"].filter(
        (pl.col("dimension") == dimension)
        & (pl.col("metric") == metric)
        & pl.col("value").is_not_null()
    )
    if rows.is_empty():
        return None
    names, slices = order_in(frames.everyone, rows), rows["slice"].unique().sort().to_list()
    wide = rows.pivot(on="slice", index="strategy", values="value")
    values = (
        pl.DataFrame({"strategy": names})
        .join(wide, on="strategy", how="left")
        .select(slices)
        .cast(pl.Float64)
        .fill_null(float("nan"))
        .to_numpy()
    )
    return CellChart(
        key,
        title,
        tuple(label(name) for name in names),
        tuple(_slice_name(dimension, name) for name in slices),
        np.array(values),
        diverging=True,
        written=dimension != "month",
        note=note,
        source=context.source("slices"),
    )


def _slice_name(dimension: str, name: str) -> str:
    return plots.MONTHS[int(name) - 1] if dimension == "calendar_month" else name


def _sides(frames: ReportFrames, context: ReportContext) -> Iterator[Block]:
    """One table a side, so that each row of it is a strategy."""
    rows = frames["slices"].filter(pl.col("dimension") == "side")
    if rows.is_empty():
        yield "Sides: no round trips are stored."
        return
    heads = (
        Head("Strategy", numeric=False),
        Head("Round trips", "Shares sold against the shares bought first, open ones included"),
        *(Head(title, meaning) for _, title, meaning, _ in _SIDES),
    )
    for side in ("long", "short"):
        own = rows.filter(pl.col("slice") == side)
        if own.is_empty():
            yield f"No run had a {side} position."
            continue
        found = {(r["strategy"], r["metric"]): r for r in own.iter_rows(named=True)}
        told = [
            Row(
                (
                    Cell(label(name)),
                    Cell(fmt.whole(max(r["n"] for (who, _), r in found.items() if who == name))),
                    *(
                        Cell(write(row.get("value")), title=row.get("note", ""))
                        for metric, _, _, write in _SIDES
                        for row in (found.get((name, metric), {}),)
                    ),
                )
            )
            for name in order_in(frames.everyone, own)
        ]
        yield Table(
            heads, tuple(told), f"Round trips, {side}", source=context.source("slices")
        )  # fmt: skip
