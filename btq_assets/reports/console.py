"""What a run says on the terminal when it ends: the table, the report, a query to paste."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl

from btq_assets.contracts import backtest, evidence, report
from btq_assets.evidence.verdict import selection_sentences
from btq_assets.reports import formatting as fmt
from btq_assets.reports.frames import REFERENCE, ReportFrames

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

#: Query printed at the end of a run, one line that a shell and SQL both take.
QUERY = (
    "SELECT strategy, role, round(sharpe, 2) AS sharpe, round(100 * annual_return, 1) AS "
    "return_percent, round(deflated_sharpe, 3) AS deflated FROM mart.leaderboard "
    "ORDER BY sharpe DESC NULLS LAST"
)

_TITLES = {"candidate": "strategy", "baseline": "baseline", "benchmark": "not comparable"}


def print_summary(
    frames: Mapping[str, pl.DataFrame],
    report_path: str,
    database_path: str,
    console: Console | None = None,
    *,
    python: str = ".venv/bin/python",
) -> None:
    """Print strategies against baselines, where the report lies, and a query to paste.

    Parameters
    ----------
    frames
        ``schema.table`` → rows of ``backtest.runs``, ``backtest.metrics``,
        ``backtest.comparisons``, ``evidence.deflated_sharpe`` and, for the verdict,
        ``report.risk_report``, ``evidence.selection`` and ``evidence.discoveries``; a table that is absent counts as empty.
    report_path, database_path
        As a person would type them.
    console
        Where to print; default a console on standard output.
    python
        Interpreter of the ready-to-paste query.
    """
    from rich.console import Console

    console = console or Console()
    console.print(summary_table(frames, narrow=console.width < 100))
    written = frames.get(report.RISK_REPORT.table)
    if written is not None and written.height:
        console.print(f"[bold]{written['verdict'][0]}[/bold]", highlight=False)
    chosen = [frames.get(table.table) for table in (evidence.SELECTION, evidence.DISCOVERIES)]
    if chosen[0] is not None and chosen[1] is not None:
        for said in selection_sentences(chosen[0], chosen[1]):
            console.print(f"- {said}", highlight=False, markup=False)
    console.print(f"\nReport   {report_path}", highlight=False, soft_wrap=True)
    console.print(f"Database {database_path}\n\nTry:", highlight=False, soft_wrap=True)
    console.print(
        f"{python} -c \"import duckdb; print(duckdb.connect('{database_path}', read_only=True)"
        f".sql('{QUERY}'))\"",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )


def summary_table(frames: Mapping[str, pl.DataFrame], *, narrow: bool = False) -> Table:
    """Strategies against baselines, best Sharpe ratio first; fewer columns when `narrow`."""
    from rich.table import Table

    known = ReportFrames(
        {
            name: frames.get(contract.table, contract.empty())
            for name, contract in {
                "runs": backtest.RUNS,
                "metrics": backtest.METRICS,
                "comparisons": backtest.COMPARISONS,
                "deflated_sharpe": evidence.DEFLATED_SHARPE,
            }.items()
        }
    )
    table = Table(title="Strategies against baselines, after costs", title_justify="left", box=None)
    table.add_column("", no_wrap=True)
    titles = ["return", "Sharpe", "to 1/N a year, 95 %"]
    if not narrow:
        titles = [
            "return",
            "volatility",
            "deepest fall",
            "Sharpe",
            "to 1/N a year, 95 %",
            "deflated",
        ]
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    differences = {
        row["strategy"]: row
        for row in known["comparisons"].filter(pl.col("against") == REFERENCE).iter_rows(named=True)
    }
    deflated = dict(known["deflated_sharpe"].select("strategy", "deflated_sharpe").iter_rows())
    for role, title in _TITLES.items():
        names = known.strategies(role)
        if names:
            table.add_row(f"[dim]{title}[/dim]")
        for name in names:
            row = differences.get(name, {})
            span = fmt.range_of(
                row.get("ci_low_annual"), row.get("ci_high_annual"), as_percent=True, digits=1
            ).replace("[", "(").replace("]", ")")  # fmt: skip
            difference = fmt.percent(row.get("mean_difference_annual"))
            cells = {
                "return": fmt.percent(known.figure(name, "annual_return")),
                "volatility": fmt.percent(known.figure(name, "annual_volatility")),
                "deepest fall": fmt.percent(known.figure(name, "max_drawdown")),
                "Sharpe": fmt.number(known.figure(name, "sharpe")),
                "to 1/N a year, 95 %": f"{difference} {span}".strip(),
                "deflated": fmt.probability(deflated.get(name)),
            }
            style = "bold" if name == REFERENCE else None
            table.add_row(f"  {name}", *(cells[title] for title in titles), style=style)
    return table
