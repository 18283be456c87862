"""A notebook's backtest as a page: verdict, figures, charts, kinds of market, crises, stresses.

Belongs here: from a finished run to a `ReportView`. Does not belong here: any figure (the backtest
room) and layout (`render`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from btq_assets import plots
from btq_assets.backtest.judged import LEFT_OUT, Judged
from btq_assets.backtest.report import SECTIONS
from btq_assets.backtest.requested import OF_STATES
from btq_assets.backtest.result import BacktestResult
from btq_assets.backtest.robustness.states import COMBINED, STATES
from btq_assets.backtest.scenarios import ScenarioResult
from btq_assets.reports import formatting as fmt
from btq_assets.reports.parts import series
from btq_assets.reports.view import (
    Band,
    Block,
    Caveat,
    Cell,
    CellChart,
    Head,
    Line,
    LineChart,
    ReportView,
    Row,
    Section,
    Table,
    VerdictBox,
)

STRATEGY, PLAIN = "strategy", "1/N"

#: Figure → heading, definition, whether a fraction, decimals.
FIGURES: Mapping[str, tuple[str, str, bool, int]] = {
    "final_equity": ("Final equity", "Cash and positions at the last bar", False, 0),
    "annual_return": ("Annual return", "Compound growth, 252 bars a year, after costs", True, 1),
    "annual_volatility": ("Volatility", "Standard deviation, 252 bars a year", True, 1),
    "sharpe": ("Sharpe ratio", "Annualised, risk-free rate 0", False, 2),
    "sortino": ("Sortino ratio", "Annualised, target return 0", False, 2),
    "calmar": ("Calmar ratio", "Annual return over deepest fall", False, 2),
    "max_drawdown": ("Deepest fall", "Largest fall from an earlier peak", True, 1),
    "win_rate": ("Win rate", "Gains among the bars that are not flat", True, 1),
    "profit_factor": ("Profit factor", "Gains over losses, by bar", False, 2),
    "expectancy": ("Expectancy", "Mean net return of a bar", True, 3),
    "turnover_annual": ("Turnover a year", "Purchases and sales over equity", False, 1),
    "total_cost": ("Total cost", "Commission and spread, in currency", False, 0),
    "window_return": ("Return", "Net return over the window", True, 1),
    "worst_day": ("Worst day", "Lowest net return of a bar in the window", True, 1),
    "sharpe_change": ("Change of Sharpe ratio", "Against the run as it was", False, 2),
}

#: Colour of falling markets.
_BEAR = "#d55e00"

FOOTER = (
    "Every number comes from one run of the strategy through the engine on the data handed over; the "
    "hash of the data stands under the title. Past returns of a simulated strategy say little about "
    "future ones."
)

_LEADS = {
    "regime": "Days of the one path, by what was known the day before; days apart in time are "
    "never spliced. Below 60 days there are no figures.",
    "crisis": "Dated windows of the one path, from close to close.",
    "stress": "The same decisions through the engine again, on worse terms.",
    "bootstrap": "Quantiles of each figure by itself over histories of real blocks (Politis and "
    "Romano 1994).",
}


@dataclass(frozen=True)
class Page:
    """What the page is made of.

    Attributes
    ----------
    done, plain
        The run, and 1/N at the same decisions and costs.
    judged
        What may be claimed.
    results
        Scenarios by name.
    bear
        Whether the market was known to be falling before each bar, ``bool[T]``.
    facts
        Label → value under the title.
    title
        Heading.
    """

    done: BacktestResult
    plain: BacktestResult
    judged: Judged
    results: Mapping[str, ScenarioResult]
    bear: np.ndarray
    facts: Mapping[str, str]
    title: str


def view_of(page: Page) -> ReportView:
    """The page as plain data, ready for `render.render`."""
    sections = [
        Section("figures", "Figures", (_figures(page),), "After costs. Brackets are 95 % intervals "
                "of a stationary block bootstrap of the returns."),
        Section("charts", "Charts", tuple(_charts(page)) or ("Fewer than two weeks of data.",),
                "One point a week. Rest the pointer on a chart to read values, press a name to "
                "hide its line, drag to zoom."),
        *_scenario_sections(page.results),
    ]  # fmt: skip
    judged = page.judged
    return ReportView(
        title=page.title,
        subtitle="One strategy through the engine, filled at the bar after each decision, beside "
        "1/N at the same decisions and costs.",
        banner="",
        verdict=VerdictBox(
            judged.headline,
            judged.positive,
            tuple(said for said in judged.statements if said != LEFT_OUT),
            judged.n_trials,
        ),
        caveats=tuple(_caveats(page)),
        sections=tuple(sections),
        facts=page.facts,
    )


def _caveats(page: Page) -> Iterator[Caveat]:
    yield Caveat("The verdict", LEFT_OUT)
    yield Caveat(
        "The data",
        "Prices are taken as they were handed over: symbols that are missing because they failed, "
        "and prices not adjusted for splits and dividends, are not noticed.",
    )
    for note in page.done.notes:
        yield Caveat("The run", note[:1].upper() + note[1:] + ".")
    if page.done.n_rejected:
        yield Caveat("The run", f"{page.done.n_rejected} order(s) were refused for cash or price.")
    missing = [
        title.lower()
        for kind, (title, _) in SECTIONS.items()
        if all(result.kind != kind for result in page.results.values())
    ]
    if missing:
        yield Caveat(
            "The run",
            f"Not asked for: {', '.join(missing)}; run_scenarios(['all']) asks for everything.",
        )


def _figures(page: Page) -> Table:
    rows = []
    for name, value in page.done.metrics.items():
        title, meaning, as_percent, digits = FIGURES[name]
        low, high = page.judged.intervals.get(name, (None, None))
        rows.append(
            Row(
                (
                    Cell(title),
                    fmt.estimate(value, low, high, as_percent=as_percent, digits=digits),
                    Cell(_text(name, page.judged.reference.get(name))),
                    Cell(meaning),
                )
            )
        )
    difference = page.judged.difference
    if difference is not None:
        estimate = fmt.estimate(
            difference.mean_difference_annual,
            difference.ci_low_annual,
            difference.ci_high_annual,
            as_percent=True,
            whisker=True,
        )
        meaning = "Mean paired difference of returns, 252 bars a year"
        rows.append(Row((Cell("Above 1/N a year"), estimate, Cell(fmt.MISSING), Cell(meaning))))
    for title, meaning, probability in (
        ("Probabilistic Sharpe ratio", "Probability that it exceeds zero", page.judged.probabilistic),
        (
            "Deflated Sharpe ratio",
            "Probability that it exceeds the best that luck shows in the counted trials "
            f"({page.judged.n_trials}); needs ten",
            page.judged.deflated,
        ),
    ):  # fmt: skip
        rows.append(
            Row(
                (
                    Cell(title),
                    Cell(fmt.probability(probability)),
                    Cell(fmt.MISSING),
                    Cell(meaning),
                )
            )
        )
    heads = (
        Head("Figure", numeric=False),
        Head("Strategy"),
        Head("1/N"),
        Head("Meaning", numeric=False),
    )
    return Table(heads, tuple(rows), "The whole run")


def _text(name: str, value: float | None) -> str:
    _, _, as_percent, digits = FIGURES[name]
    return fmt.percent(value, digits) if as_percent else fmt.number(value, digits)


def _charts(page: Page) -> Iterator[Block]:
    both = pl.concat(
        result.equity.with_columns(
            strategy=pl.lit(name),
            gross_exposure=1 - pl.col("cash") / pl.col("equity"),
            net_exposure=1 - pl.col("cash") / pl.col("equity"),
        )
        for name, result in ((STRATEGY, page.done), (PLAIN, page.plain))
    )
    points = series.weekly(both)
    if points["day"].n_unique() < 2:
        return
    bands = tuple(_bands(page))
    for key, title, column, unit, note, more in (
        ("equity", "Equity", "growth", "growth", "Growth of 1, logarithmic scale.", {"log": True}),
        ("drawdown", "Drawdown", "drawdown", "percent", "Fall below the highest equity so far; the "
         "deepest day of each week.", {"filled": True}),
        ("rolling", "Rolling one-year Sharpe ratio", "rolling_sharpe", "number",
         "Of the last 252 returns, annualised, risk-free rate 0.", {"zero": True}),
        ("invested", "Invested", "gross", "percent",
         "What is not cash, over equity, at the end of each week.", {}),
    ):  # fmt: skip
        names = [STRATEGY, PLAIN] if column != "gross" else [STRATEGY]
        x, values = series.columns_of(points, column, names)
        if not np.isfinite(values[STRATEGY]).any():
            continue
        lines = tuple(Line(n, values[n], ink=n == PLAIN, dashed=n == PLAIN) for n in names)
        yield LineChart(
            key, title, x, lines, unit=unit, note=note, bands=bands, **more  # type: ignore[arg-type]
        )  # fmt: skip
    equity = page.done.equity
    years, table = plots.monthly_returns(equity["ts"], equity["net_return"])
    if years:
        yield CellChart(
            "months",
            "Monthly returns, %",
            tuple(str(year) for year in years),
            plots.MONTHS,
            table,
            diverging=True,
            written=True,
        )


def _bands(page: Page) -> Iterator[Band]:
    """Falling markets as they were known."""
    days = page.done.equity["ts"].dt.date().to_list()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], page.bear.astype(int), [0]])))
    spans = [
        (days[first], days[min(after, len(days) - 1)])
        for first, after in zip(edges[::2], edges[1::2], strict=True)
    ]
    if spans := [span for span in spans if span[0] < span[1]]:
        yield Band("bear market, as known the day before", _BEAR, tuple(spans))


def _scenario_sections(results: Mapping[str, ScenarioResult]) -> Iterator[Section]:
    for kind, (title, columns) in SECTIONS.items():
        mine = {name: result for name, result in results.items() if result.kind == kind}
        if not mine:
            continue
        blocks: list[Block] = []
        told = {name: result for name, result in mine.items() if result.metrics}
        silent = {name: result for name, result in mine.items() if not result.metrics}
        if told:
            blocks.append(_scenario_table(kind, told, columns))
        if kind == "regime" and (matrix := _matrix(mine)) is not None:
            blocks.append(matrix)
        if silent:
            blocks.append(_silent_table(kind, silent))
        yield Section(kind, title, tuple(blocks), _LEADS[kind])


def _matrix(results: Mapping[str, ScenarioResult]) -> CellChart | None:
    """Sharpe ratio by market and volatility; where there are too few days, how many."""
    pairs = {result.scenario: result for result in results.values()}
    if not any(OF_STATES[name][0] == COMBINED for name in pairs):
        return None
    markets, levels = STATES["market"], STATES["volatility"]
    of = {(m, v): pairs.get(f"{m}_{v}_volatility") for m in markets for v in levels}
    rows = tuple(m for m in markets if any(of[m, v] for v in levels))
    cells = [[of[m, v] for v in levels] for m in rows]
    return CellChart(
        "market-and-volatility",
        "Sharpe ratio by market and volatility",
        rows,
        tuple(f"{level} volatility" for level in levels),
        np.array(
            [[c.metrics.get("sharpe", math.nan) if c else math.nan for c in r] for r in cells]
        ),
        diverging=True,
        written=True,
        unit="number",
        digits=2,
        blanks=tuple(tuple(f"{c.n_days} days" if c else "" for c in row) for row in cells),
        note="Days on which both were known at the bar before; below 60 days their number.",
    )


def _scenario_table(
    kind: str, results: Mapping[str, ScenarioResult], columns: Sequence[str]
) -> Table:
    heads = [Head("Scenario", numeric=False), Head("Bars", "Returns in it")]
    if kind == "regime":
        heads.append(Head("Stretches", "Unbroken stretches of such days"))
    heads += [Head(FIGURES[column][0], FIGURES[column][1]) for column in columns]
    heads.append(Head("Meaning", numeric=False))
    rows = []
    for name, result in results.items():
        cells = [Cell(_words(name)), Cell(fmt.whole(result.n_days))]
        if kind == "regime":
            cells.append(Cell(fmt.whole(result.n_episodes)))
        for column in columns:
            value = result.metrics.get(column, math.nan)
            cells.append(Cell(_text(column, value), tint=_tint(column, value)))
        cells.append(Cell(result.definition))
        rows.append(Row(tuple(cells)))
    return Table(tuple(heads), tuple(rows))


def _silent_table(kind: str, results: Mapping[str, ScenarioResult]) -> Table:
    rows = tuple(
        Row((Cell(_words(name)), Cell(fmt.whole(result.n_days)), Cell(result.note)))
        for name, result in results.items()
    )
    heads = (Head("Scenario", numeric=False), Head("Bars"), Head("Why", numeric=False))
    caption = "Not covered by the data" if kind == "crisis" else "Too few days for figures"
    return Table(heads, rows, caption)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _tint(column: str, value: float) -> float:
    """Losses orange, gains blue; what has no sign of its own stays white."""
    scales = {"annual_return": 0.4, "sharpe": 2.0, "window_return": 0.4, "sharpe_change": 1.0}
    if column not in scales or not math.isfinite(value):
        return 0.0
    return max(-1.0, min(1.0, value / scales[column])) * 0.6
