"""Strategies against baselines, and their charts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import polars as pl

from btq_assets import plots
from btq_assets.reports import formatting as fmt
from btq_assets.reports.frames import REFERENCE, ReportContext, ReportFrames, label
from btq_assets.reports.parts import series
from btq_assets.reports.view import (
    Block,
    Cell,
    CellChart,
    Head,
    Line,
    LineChart,
    Row,
    Section,
    Table,
)

if TYPE_CHECKING:
    from btq_assets.evidence.verdict import CandidateVerdict

NOT_COMPARABLE = "not comparable (price index without dividends)"

#: Coloured lines of a chart; the rest stay faint until asked for.
_EMPHASISED = 4

_GROUPS = (("candidate", "Strategies"), ("baseline", "Baselines"), ("benchmark", "For orientation"))


def strategies_section(frames: ReportFrames, context: ReportContext) -> Section:
    """Main figures after costs, and what is left after counting trials."""
    return Section(
        "strategies",
        "Strategies against baselines",
        (_figures_table(frames, context), _skill_table(frames, context)),
        "All rows share the same days, prices and costs. Brackets are 95 % intervals of a stationary "
        "block bootstrap of daily returns.",
    )


def charts_section(frames: ReportFrames, context: ReportContext) -> Section:
    """Equity, drawdown, rolling Sharpe ratio, months and exposures."""
    return Section(
        "charts",
        "Charts",
        tuple(_charts(frames, context)),
        "One point a week. Rest the pointer on a chart to read values, press a name to hide its "
        "line, drag to zoom. Strategies after costs.",
    )


def _figures_table(frames: ReportFrames, context: ReportContext) -> Table:
    heads = (
        Head("Strategy", "Name in every table", numeric=False),
        Head("Annual return", "Compound growth, 252 sessions a year, after costs"),
        Head("Volatility", "Standard deviation of daily returns times the square root of 252"),
        Head("Sharpe", "Annualised, risk-free rate 0"),
        Head("Sortino", "Annualised, target return 0"),
        Head("Calmar", "Annual return over maximum drawdown"),
        Head("Deepest fall", "Largest fall from an earlier peak, daily closes"),
        Head("Win rate", "Share of days with a positive return, of days that are not zero"),
        Head("Turnover a year", "Purchases and sales over equity"),
        Head("Costs a year", "All costs over equity"),
    )
    rows: list[Row] = []
    for role, title in _GROUPS:
        names = frames.strategies(role)
        if not names:
            continue
        rows.append(Row((Cell(title),), kind="group"))
        rows.extend(_figures_row(frames, name, role) for name in names)
    return Table(
        heads,
        tuple(rows),
        "Performance after costs",
        ("Sharpe ratios: risk-free rate 0. A dash means undefined or not computed; the reason is in "
         "the note of that row of backtest.metrics.", *_capacity(frames)),
        context.source("metrics", "runs"),
    )  # fmt: skip


def _capacity(frames: ReportFrames) -> list[str]:
    """Why the size a strategy bears is not known, once for each reason; nothing where it is."""
    traded = [
        name for role, _ in _GROUPS if role != "benchmark" for name in frames.strategies(role)
    ]
    reasons: dict[str, list[str]] = {}
    for name in traded:
        row = frames.figures.get((name, "capacity"))
        if row is not None and row["value"] is None:
            why = row["note"].removeprefix("undefined for this run; ")
            reasons.setdefault(why, []).append(name)
    return [
        f"Capacity is not known for {'any strategy' if names == traded else ', '.join(names)}: {why}."
        for why, names in reasons.items()
    ]


def _figures_row(frames: ReportFrames, name: str, role: str) -> Row:
    def cell(metric: str, *, as_percent: bool, digits: int) -> Cell:
        row = frames.figures.get((name, metric), {})
        value = row.get("value")
        return fmt.estimate(
            value,
            row.get("ci_low"),
            row.get("ci_high"),
            as_percent=as_percent,
            digits=digits,
            title=row.get("note", "not computed") if value is None else "",
        )

    index = role == "benchmark"
    first = Cell(name, detail=NOT_COMPARABLE if index else "")
    cells = [
        cell("annual_return", as_percent=True, digits=1),
        cell("annual_volatility", as_percent=True, digits=1),
        cell("sharpe", as_percent=False, digits=2),
        cell("sortino", as_percent=False, digits=2),
        cell("calmar", as_percent=False, digits=2),
        cell("max_drawdown", as_percent=True, digits=1),
        cell("win_rate", as_percent=True, digits=1),
        cell("turnover_annual", as_percent=False, digits=1),
        cell("cost_annual", as_percent=True, digits=2),
    ]
    if index:
        cells[-2:] = [Cell(fmt.MISSING, title="an index is not traded")] * 2
    return Row((first, *cells), kind="index" if index else role)


def _skill_table(frames: ReportFrames, context: ReportContext) -> Table:
    best = frames.best_baseline
    heads = [
        Head("Strategy", numeric=False),
        Head("Difference to 1/N a year", "Mean paired daily difference times 252, 95 % interval"),
        Head("Sharpe difference to 1/N", "Difference of annualised Sharpe ratios"),
    ]
    if best not in (None, REFERENCE):
        heads.append(
            Head(
                f"Difference to {label(best or '')} a year",
                "The best simple baseline by realised Sharpe ratio, chosen with hindsight",
            )
        )
    heads += [
        Head("Probabilistic Sharpe", "Probability that the true Sharpe ratio exceeds zero"),
        Head(
            "Deflated Sharpe", "Probability that it exceeds the best expected of that many trials"
        ),
        Head("Survives", "Passes every demand of the verdict", numeric=False),
    ]
    judged = {item.strategy: item for item in context.verdict.candidates}
    rows = []
    for role, title in _GROUPS[:2]:
        names = [name for name in frames.strategies(role) if name != REFERENCE]
        if names:
            rows.append(Row((Cell(title),), kind="group"))
            rows.extend(_skill_row(frames, name, best, judged.get(name)) for name in names)
    return Table(
        tuple(heads),
        tuple(rows),
        "Skill, after counting trials",
        ("A candidate survives when its interval against 1/N lies above zero, also with the search among "
         "all candidates counted, it is ahead of the best simple baseline, and its deflated Sharpe ratio "
         "exceeds 0.95. Whiskers share one scale per column; the vertical line is zero.",),
        context.source("comparisons", "deflated_sharpe"),
    )  # fmt: skip


def _skill_row(
    frames: ReportFrames, name: str, best: str | None, judged: CandidateVerdict | None
) -> Row:
    against = {
        row["against"]: row
        for row in frames["comparisons"].filter(pl.col("strategy") == name).iter_rows(named=True)
    }
    deflated = next(
        frames["deflated_sharpe"].filter(pl.col("strategy") == name).iter_rows(named=True), {}
    )
    reference = against.get(REFERENCE, {})
    cells = [
        Cell(name),
        _difference(reference),
        fmt.estimate(
            reference.get("sharpe_difference"),
            reference.get("sharpe_difference_ci_low"),
            reference.get("sharpe_difference_ci_high"),
        ),
    ]
    if best not in (None, REFERENCE):
        same = name == best
        cells.append(
            Cell(fmt.MISSING, title="itself") if same else _difference(against.get(best or "", {}))
        )
    cells += [
        Cell(fmt.probability(deflated.get("probabilistic_sharpe"))),
        Cell(
            fmt.probability(deflated.get("deflated_sharpe")),
            title=deflated.get("note") or "",
        ),
    ]
    if judged is None:
        return Row((*cells, Cell(fmt.MISSING, title="a baseline")), kind="baseline")
    cells.append(Cell("yes" if judged.survives else "no", title="; ".join(judged.reasons)))
    return Row(tuple(cells), kind="candidate")


def _difference(row: dict) -> Cell:
    return fmt.estimate(
        row.get("mean_difference_annual"),
        row.get("ci_low_annual"),
        row.get("ci_high_annual"),
        as_percent=True,
        whisker=True,
    )


def chart_order(frames: ReportFrames) -> list[tuple[str, bool]]:
    """Strategies in the order of a chart's legend, and whether each is coloured.

    1/N and the index first, then the candidates by Sharpe ratio and the best baseline; the rest is
    drawn faintly.
    """
    candidates = frames.strategies("candidate")
    baselines = frames.strategies("baseline")
    coloured = [name for name in (REFERENCE,) if name in baselines]
    coloured += candidates[:_EMPHASISED]
    best = frames.best_baseline or next((b for b in baselines if b != REFERENCE), None)
    coloured += [best] if best and best not in coloured else []
    coloured += frames.strategies("benchmark")
    rest = [name for name in (*candidates, *baselines) if name not in coloured]
    return [(name, True) for name in coloured] + [(name, False) for name in rest]


def _charts(frames: ReportFrames, context: ReportContext) -> Iterator[Block]:
    points = series.weekly(frames["equity"])
    if points["day"].n_unique() < 2:
        return
    source = context.source("equity")
    order = chart_order(frames)
    options: dict[str, Any]
    for key, title, value, note, options in (
        ("equity", "Equity", "growth",
         "Growth of 1, logarithmic scale. The index is a price index without dividends and not "
         "comparable.", {"unit": "growth", "log": True}),
        ("drawdown", "Drawdown", "drawdown",
         "Fall below the highest equity so far; the deepest day of each week.", {"unit": "percent"}),
        ("rolling-sharpe", "Rolling one-year Sharpe ratio", "rolling_sharpe",
         "Of the last 252 daily returns, annualised, risk-free rate 0.", {"unit": "number"}),
        ("gross", "Gross exposure", "gross",
         "Sum of absolute position values over equity at the end of each week.",
         {"unit": "percent"}),
    ):  # fmt: skip
        x, values = series.columns_of(points, value, [name for name, _ in order])
        lines = tuple(
            Line(
                label(name),
                values[name],
                emphasis=coloured,
                ink=name == REFERENCE,
                dashed=name in frames.strategies("benchmark"),
            )
            for name, coloured in order
        )
        yield LineChart(key, title, x, lines, note=note, source=source, **options)
    shown = [name for name in (frames.leader, REFERENCE) if name is not None]
    for name in shown:
        own = frames["equity"].filter(pl.col("strategy") == name).sort("ts")
        years, table = plots.monthly_returns(own["ts"], own["net_return"])
        if years:
            yield CellChart(
                f"months-{name}",
                f"Monthly returns of {label(name)}, %",
                tuple(str(year) for year in years),
                plots.MONTHS,
                table,
                diverging=True,
                written=True,
                source=source,
            )
    if frames.leader is not None:
        yield from _exposures(frames, context, points, frames.leader)


def _exposures(
    frames: ReportFrames, context: ReportContext, points: pl.DataFrame, name: str
) -> Iterator[Block]:
    parts = {
        part: series.columns_of(points, part, [name])[1][name] for part in ("gross", "net", "cash")
    }
    yield LineChart(
        "exposures",
        f"Exposure of {label(name)}",
        series.columns_of(points, "gross", [name])[0],
        tuple(Line(part, values, dashed=part == "net") for part, values in parts.items()),
        unit="percent",
        note="Fractions of equity at the end of each week; gross and net coincide without shorts.",
        source=context.source("equity"),
    )
    positions = frames["positions"].filter(pl.col("strategy") == name)
    if positions.is_empty():
        return
    first, last = frames.span
    months = pl.date_range(
        first.date().replace(day=1), last.date(), "1mo", eager=True
    ).to_list()  # fmt: skip
    symbols, weights = series.monthly_weights(positions, months)
    yield CellChart(
        "weights",
        f"Weights of {label(name)} by asset",
        tuple(symbols),
        tuple(f"{month:%Y-%m}" for month in months),
        weights,
        diverging=bool((weights < 0).any()),
        note="After the last fills of each month; months without a fill keep the weights before.",
        source=context.source("positions"),
    )
