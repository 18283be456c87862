"""The report as an asset: one row, one file, four blocking answers; a broken page replaces nothing."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import report_frames

from btq_assets.config import TradingConfig
from btq_assets.contracts import models, report
from btq_assets.contracts.base import TableContract, cast_to_contract
from btq_assets.contracts.checks import CheckContext, CheckOutcome
from btq_assets.reports import assets
from btq_assets.reports.assemble import results_hash
from btq_assets.reports.frames import CONTRACTS
from btq_assets.warehouse.artifacts import ArtifactStore
from btq_assets.warehouse.paths import DataPaths
from btq_assets.warehouse.step import Step, TableOutput

Run = Callable[..., TableOutput]


@pytest.fixture(scope="module")
def tables() -> report_frames.ReportFrames:
    return report_frames.make_frames(520)


@pytest.fixture
def run(tables: report_frames.ReportFrames, tmp_path: Path) -> Run:
    ledgers = {CONTRACTS[name].table: tables[name] for name in
               ("trials", "gates", "quarantine", "provenance", "sensitivity")}  # fmt: skip
    inputs = {
        name: tables.forecasts.get(name, tables[name] if name in CONTRACTS else contract.empty())
        for name, contract in assets.risk_report.inputs.items()
    }

    def compute(**changes: pl.DataFrame) -> TableOutput:
        def read(contract: TableContract) -> pl.DataFrame:
            return ledgers.get(contract.table, contract.empty())

        step = Step(
            config=TradingConfig(backtest={"bootstrap_samples": 100}),
            run_id="test",
            now=report_frames.NOW,
            log=lambda message: None,
            code_version="c",
            data_versions={name: f"version of {name}" for name in inputs},
            read_ledger=read,
            artifacts=ArtifactStore(DataPaths(tmp_path)),
        )
        return assets.risk_report.compute(step, **{**inputs, **changes})

    return compute


def row_of(output: TableOutput) -> pl.DataFrame:
    """Rows of ``report.risk_report``."""
    return output.frames[report.RISK_REPORT.table]  # type: ignore[index,return-value]


def answers(output: TableOutput) -> dict[str, CheckOutcome]:
    """What the declared checks answer, the way the asset factory asks them."""
    context = CheckContext(
        frames=dict(output.frames),  # type: ignore[arg-type]
        inputs={},
        config=None,
        answers={answer.name: answer for answer in output.answers},
    )
    return {
        outcome.name: outcome
        for group in assets.risk_report.checks
        for outcome in group.answer(context)
    }


def test_the_row_describes_the_file_that_was_written(run: Run, tmp_path: Path) -> None:
    output = run()
    row = cast_to_contract(row_of(output), report.RISK_REPORT).row(0, named=True)
    file = tmp_path / row["path"]
    assert file.name == "risk_report.html"
    assert hashlib.sha256(file.read_bytes()).hexdigest() == row["sha256"]
    assert row["verdict"] in file.read_text()
    assert "Public domain (Quandl WIKI notice" in file.read_text()
    assert row["n_caveats"] > 10
    assert output.metadata["report_path"] == row["path"]
    assert set(output.plots) == {"Equity against benchmarks", "Drawdown", "VaR exceedances"}
    assert all(png.startswith(b"\x89PNG") for png in output.plots.values())
    assert all(outcome.passed for outcome in answers(output).values()), answers(output)
    assert output.ledgers[models.STAGES].is_empty()  # no registered model, no champion


def test_what_the_page_shows_is_a_table_with_its_lineage(
    run: Run, tables: report_frames.ReportFrames
) -> None:
    output = run()
    shown = cast_to_contract(output.frames[report.NUMBERS.table], report.NUMBERS)  # type: ignore[index]
    assert output.metadata["n_numbers"] == shown.height > 5_000
    sharpe = shown.filter(
        (pl.col("figure") == "Performance after costs")
        & (pl.col("row") == "hrp")
        & (pl.col("column") == "Sharpe")
    ).row(0, named=True)
    assert sharpe["value"] == round(tables.figure("hrp", "sharpe") or 0.0, 2)
    assert sharpe["trial_id"] == "trial-hrp"
    assert sharpe["source"].startswith("backtest.metrics @ version of m")
    equity = shown.filter(pl.col("figure") == "Equity")
    assert equity["source"].unique().to_list() == [
        "backtest.equity @ version of e (run 0f3c9a52, code cccccccc)"
    ]
    assert shown["place"].to_list() == list(range(shown.height))


def test_the_results_hash_is_that_of_the_inputs(run: Run) -> None:
    versions = {
        contract.table: f"version of {name}" for name, contract in assets.risk_report.inputs.items()
    }
    counted = [t for t in versions if t.startswith(("models.forecasts_", "portfolio.targets_"))]
    assert len(counted) == 9
    assert row_of(run())["results_hash"][0] == results_hash(versions)


def test_a_broken_page_fails_and_replaces_no_earlier_one(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = tmp_path / row_of(run())["path"][0]
    before = good.read_bytes()
    from btq_assets.reports import render

    whole = render.render
    monkeypatch.setattr(
        render, "render", lambda view: whole(view) + "<img src='https://example.org/x.png'> {{ x }}"
    )
    output = run()
    failed = sorted(name for name, outcome in answers(output).items() if not outcome.passed)
    assert failed == ["nothing_left_unrendered", "opens_offline"]
    assert row_of(output)["path"][0].endswith(".refused.html")
    assert good.read_bytes() == before


def test_without_a_counted_trial_the_report_is_refused(
    run: Run, tables: report_frames.ReportFrames
) -> None:
    output = run(deflated_sharpe=tables["deflated_sharpe"].clear())
    assert not answers(output)["opens_with_the_verdict"].passed


def test_importing_the_assets_loads_nothing_heavy() -> None:
    import subprocess

    code = (
        "import sys, btq_assets.reports.assets; "
        "print([m for m in ('matplotlib', 'plotly', 'jinja2', 'torch', 'sklearn', 'scipy', 'rich') "
        "if m in sys.modules and m not in before])"
    )
    prelude = "import sys, dagster; before = set(sys.modules); "
    done = subprocess.run(
        [sys.executable, "-c", prelude + code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
