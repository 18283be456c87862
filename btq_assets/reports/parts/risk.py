"""Risk of what is held now, how earlier risk figures fared, and crises replayed."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from btq_assets.reports import formatting as fmt
from btq_assets.reports.frames import REFERENCE, ReportContext, ReportFrames, label, order_in
from btq_assets.reports.parts import scenarios
from btq_assets.reports.view import (
    MISSING,
    Block,
    Cell,
    Head,
    Line,
    LineChart,
    Row,
    Section,
    Table,
)

#: p-value below which exceedances contradict the level.
_DOUBT = 0.05

_METHODS = {
    "historical": "historical",
    "parametric": "parametric (normal)",
    "cornish_fisher": "Cornish–Fisher",
}


def section(frames: ReportFrames, context: ReportContext) -> Section:
    """VaR and CVaR, exceedances, drawdowns, stress windows, simulated paths."""
    return Section(
        "risk",
        "Risk",
        tuple(_blocks(frames, context)),
        "Losses are positive fractions of equity. VaR and CVaR look one session ahead, from the "
        "weights held and the returns known at each date.",
    )


def _blocks(frames: ReportFrames, context: ReportContext) -> Iterator[Block]:
    order = [
        name
        for role in ("candidate", "baseline")
        for name in frames.strategies(role)
    ]  # fmt: skip
    if frames["measures"].height:
        yield _latest(frames, context, order)
        chart = exceedance_chart(frames, context)
        if chart is not None:
            yield chart
    if frames["exceedances"].height:
        yield _tested(frames, context, order)
    if frames["drawdowns"].height:
        yield _drawdowns(frames, context)
    if frames["stress"].height:
        yield from scenarios.stress(frames, context, order)
    if frames["simulations"].height:
        yield scenarios.simulated(frames, context, order)


def _latest(frames: ReportFrames, context: ReportContext, order: list[str]) -> Table:
    measures = frames["measures"]
    last = measures.filter(pl.col("ts") == pl.col("ts").max().over("strategy"))
    columns = [
        (level, method)
        for level in sorted(last["level"].unique().to_list())
        for method in _METHODS
        if last.filter((pl.col("level") == level) & (pl.col("method") == method)).height
    ]
    found = {
        (row["strategy"], row["level"], row["method"], row["measure"]): row
        for row in last.iter_rows(named=True)
    }

    def loss(name: str, level: float, method: str, measure: str) -> str:
        row = found.get((name, level, method, measure))
        return fmt.percent(row["value"] if row and row["valid"] else None, 2)

    rows = []
    for name in order_in(order, last):
        cells = []
        for level, method in columns:
            var, cvar = (loss(name, level, method, measure) for measure in ("var", "cvar"))
            void = "void: outside the domain, or the window is too short" if var == MISSING else ""
            cells.append(Cell(var, detail=f"CVaR {cvar}", title=void))
        rows.append(Row((Cell(name), *cells)))
    heads = (
        Head("Strategy", numeric=False),
        *(
            Head(f"VaR {fmt.percent(level, 0)} {_METHODS[method]}", "CVaR below, in small print")
            for level, method in columns
        ),
    )
    last_ts = last.select(pl.col("ts").max()).item()
    return Table(
        heads,
        tuple(rows),
        f"VaR and CVaR on {fmt.day(last_ts)}",
        ("A dash: void, outside the monotone domain of the expansion or before the minimum window.",),
        context.source("measures"),
    )  # fmt: skip


def exceedance_chart(frames: ReportFrames, context: ReportContext) -> LineChart | None:
    """VaR of the leading candidate, and the days that lost more."""
    name = frames.leader or REFERENCE
    values = (
        frames["measures"]
        .filter(
            (pl.col("strategy") == name)
            & (pl.col("measure") == "var")
            & (pl.col("method") == "historical")
            & pl.col("valid")
        )
        .select("ts", "level", "value")
        .drop_nulls()
        .sort("ts")
    )
    levels = sorted(values["level"].unique().to_list())
    if not levels or values["ts"].n_unique() < 2:
        return None
    equity = frames["equity"].filter(pl.col("strategy") == name).sort("ts")
    following = equity.select("ts", next_return=pl.col("net_return").shift(-1),
                              next_ts=pl.col("ts").shift(-1))  # fmt: skip
    weekly = (
        values.with_columns(week=pl.col("ts").dt.truncate("1w"))
        .group_by("level", "week", maintain_order=True)
        .agg(pl.col("ts").last(), pl.col("value").last())
        .with_columns(day=pl.col("ts").dt.date())
    )
    days = weekly["day"].unique().sort()
    grid = pl.DataFrame({"day": days})
    lines = []
    for level in levels:
        own = grid.join(weekly.filter(pl.col("level") == level), on="day", how="left")["value"]
        lines.append(
            Line(
                f"VaR {fmt.percent(level, 0)}",
                -own.cast(pl.Float64).fill_null(float("nan")).to_numpy(),
                dashed=level != levels[0],
                ink=level == levels[0],
            )
        )
    exceeded = (
        values.filter(pl.col("level") == levels[0])
        .join(following, on="ts")
        .filter(pl.col("next_return") < -pl.col("value"))
        .with_columns(day=pl.col("next_ts").dt.date())
        .filter(pl.col("day").is_between(days[0], days[-1]))
    )
    return LineChart(
        "exceedances",
        f"VaR of {label(name)} and the days that lost more",
        days.to_list(),
        tuple(lines),
        unit="percent",
        note=f"Historical VaR drawn as a loss. Each dot is a session whose net return fell below the "
        f"{fmt.percent(levels[0], 0)} VaR of the evening before ({exceeded.height:,} of them).",
        points={"exceedance": (exceeded["day"].to_list(), exceeded["next_return"].to_numpy())},
        source=context.source("measures", "equity"),
    )


def _tested(frames: ReportFrames, context: ReportContext, order: list[str]) -> Table:
    table = frames["exceedances"]
    columns = [
        (method, level)
        for level in sorted(table["level"].unique().to_list())
        for method in _METHODS
        if table.filter((pl.col("method") == method) & (pl.col("level") == level)).height
    ]
    heads = (
        Head("Strategy", numeric=False),
        *(
            Head(
                f"{fmt.percent(level, 0)} {_METHODS[method]}",
                "Observed exceedances of expected ones, and the p-value of Kupiec's (1995) test",
            )
            for method, level in columns
        ),
    )
    found = {(r["strategy"], r["method"], r["level"]): r for r in table.iter_rows(named=True)}
    rows = tuple(
        Row((Cell(name), *(_kupiec(found.get((name, *column))) for column in columns)))
        for name in order_in(order, table)
    )
    sessions = table["n"].unique().sort().to_list()
    span = fmt.whole(sessions[0]) if len(sessions) == 1 else (
        f"{fmt.whole(sessions[0])} to {fmt.whole(sessions[-1])}"
    )  # fmt: skip
    notes = fmt.merged(note for note in table["note"].unique().sort() if note)
    return Table(
        heads,
        rows,
        "VaR against the next session",
        (f"Observed of expected exceedances over {span} sessions, with Kupiec's p. Orange: more than "
         "the level allows (p below 0.05); blue: fewer.", *(f"{n[0].upper()}{n[1:]}." for n in notes)),
        context.source("exceedances"),
    )  # fmt: skip


def _kupiec(row: dict | None) -> Cell:
    if row is None:
        return Cell(MISSING)
    p, tint = row["kupiec_p"], 0.0
    if p is not None and p < _DOUBT:
        tint = -0.05 if row["observed"] > row["expected"] else 0.05
    return Cell(
        f"{fmt.whole(row['observed'])} of {fmt.number(row['expected'], 1)}",
        detail=f"p {fmt.probability(p)}",
        title=row["note"],
        tint=tint,
    )


def _drawdowns(frames: ReportFrames, context: ReportContext) -> Table:
    heads = (
        Head("Strategy", numeric=False),
        Head("Rank"),
        Head("Depth"),
        Head("Peak"),
        Head("Trough"),
        Head("Recovered"),
        Head("Sessions", "From peak to recovery, or to the last bar"),
    )
    shown = [name for name in (frames.leader, REFERENCE, frames.best_baseline) if name]
    rows = []
    for name in dict.fromkeys(shown):
        own = frames["drawdowns"].filter(pl.col("strategy") == name).sort("rank").head(5)
        for row in own.iter_rows(named=True):
            recovered = fmt.day(row["recovered_ts"]) if row["recovered_ts"] else "under water"
            rows.append(
                Row(
                    (
                        Cell(name),
                        Cell(fmt.whole(row["rank"])),
                        Cell(fmt.percent(row["depth"])),
                        Cell(fmt.day(row["peak_ts"])),
                        Cell(fmt.day(row["trough_ts"])),
                        Cell(recovered),
                        Cell(fmt.whole(row["n_sessions"])),
                    )
                )
            )
    return Table(heads, tuple(rows), "Deepest drawdowns", source=context.source("drawdowns"))
