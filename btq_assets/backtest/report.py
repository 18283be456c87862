"""Markdown report of a notebook backtest: the whole run, kinds of market, crises, stresses.

Belongs here: layout. Does not belong here: any figure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from btq_assets.backtest.judged import Judged
    from btq_assets.backtest.scenarios import ScenarioResult

#: Heading and columns by kind of scenario, in the order of the report.
SECTIONS = {
    "regime": (
        "Scenarios",
        ("annual_return", "annual_volatility", "sharpe", "max_drawdown", "win_rate"),
    ),
    "crisis": ("Crises", ("window_return", "max_drawdown", "worst_day")),
    "stress": (
        "Stresses",
        ("annual_return", "annual_volatility", "sharpe", "max_drawdown", "sharpe_change"),
    ),
    "bootstrap": (
        "Bootstrapped paths",
        ("annual_return", "annual_volatility", "sharpe", "max_drawdown"),
    ),
}


def shown(value: float) -> str:
    """A figure as text."""
    if not math.isfinite(value):
        return "undefined"
    return f"{value:,.2f}" if abs(value) >= 100 else f"{value:.4f}"


def verdict_lines(verdict: Judged) -> list[str]:
    """Lines of the verdict: its headline and statements."""
    return [
        "## Verdict",
        "",
        f"**{verdict.headline}**",
        "",
        *(f"- {s}" for s in verdict.statements),
    ]


def figures_table(metrics: Mapping[str, float], verdict: Judged) -> list[str]:
    """Lines of a table of figures by name, with intervals and those of 1/N."""
    lines = [
        "## Figures",
        "",
        "| figure | value | 95 % interval | 1/N |",
        "|---|---|---|---|",
    ]
    for name, value in metrics.items():
        low, high = verdict.intervals.get(name, (math.nan, math.nan))
        band = f"{shown(low)} to {shown(high)}" if math.isfinite(low) else ""
        lines.append(f"| {name} | {shown(value)} | {band} | {shown(verdict.reference[name])} |")
    return lines


def sections(results: Mapping[str, ScenarioResult]) -> list[str]:
    """Lines of one section per kind of scenario there is."""
    lines: list[str] = []
    for kind, (heading, columns) in SECTIONS.items():
        of_kind = {name: result for name, result in results.items() if result.kind == kind}
        if of_kind:
            lines += ["", f"## {heading}", "", *_table(of_kind, columns)]
            lines += ["", *(f"- {name}: {r.definition}" for name, r in of_kind.items())]
    return lines


def _table(results: Mapping[str, ScenarioResult], columns: Iterable[str]) -> list[str]:
    columns = tuple(columns)
    lines = [
        "| scenario | days | stretches | " + " | ".join(columns) + " | note |",
        "|" + "---|" * (len(columns) + 4),
    ]
    for name, result in results.items():
        cells = [
            shown(result.metrics[column]) if column in result.metrics else "" for column in columns
        ]
        lines.append(
            f"| {name} | {result.n_days} | {result.n_episodes} | "
            + " | ".join(cells)
            + f" | {result.note} |"
        )
    return lines
