"""The terminal says the same as the tables, in any width, and its query runs."""

from __future__ import annotations

import io
import shlex

import duckdb
import polars as pl
import pytest
from rich.console import Console

from btq_assets.contracts import report
from btq_assets.reports.console import QUERY, print_summary
from btq_assets.reports.frames import CONTRACTS, ReportFrames


def said(frames: dict[str, pl.DataFrame], width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_summary(frames, "data/reports/r.html", "data/btq.duckdb", console)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.fixture
def by_table(report_tables: ReportFrames) -> dict[str, pl.DataFrame]:
    return {contract.table: report_tables[name] for name, contract in CONTRACTS.items()}


@pytest.mark.parametrize("width", [80, 120])
def test_every_run_is_listed_and_nothing_is_cut(
    by_table: dict[str, pl.DataFrame], width: int
) -> None:
    text = said(by_table, width)
    for strategy in by_table["backtest.runs"]["strategy"]:
        assert strategy in text
    assert "…" not in text
    assert "data/reports/r.html" in text
    assert "nan" not in text


def test_the_verdict_is_printed(by_table: dict[str, pl.DataFrame]) -> None:
    row = {"report": "r", "path": "p", "sha256": "s", "verdict": "nothing beats 1/N.",
           "n_caveats": 1, "results_hash": "h"}  # fmt: skip
    frame = pl.DataFrame([row], schema=report.RISK_REPORT.schema)
    assert "nothing beats 1/N." in said({**by_table, report.RISK_REPORT.table: frame}, 120)


def test_what_the_choice_is_worth_is_printed(by_table: dict[str, pl.DataFrame]) -> None:
    text = " ".join(said(by_table, 120).split())
    assert "in 42% of 12,870 splits" in text
    assert "us_ohlcv: the choice among candidates was not judged" in text


def test_the_query_can_be_pasted(by_table: dict[str, pl.DataFrame]) -> None:
    line = said(by_table, 80).strip().splitlines()[-1]
    words = shlex.split(line)
    assert words[:2] == [".venv/bin/python", "-c"]
    compile(words[2], "pasted", "exec")
    assert QUERY in words[2]
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE SCHEMA mart; CREATE TABLE mart.leaderboard(strategy VARCHAR, role VARCHAR, "
            "sharpe DOUBLE, annual_return DOUBLE, deflated_sharpe DOUBLE)"
        )
        connection.execute("INSERT INTO mart.leaderboard VALUES ('a', 'candidate', 0.5, 0.1, NULL)")
        assert connection.execute(QUERY).fetchall() == [("a", "candidate", 0.5, 10.0, None)]
