"""What this report was computed from, so that each number can be traced and made again."""

from __future__ import annotations

import json
from collections.abc import Iterator

from btq_assets.config import TradingConfig
from btq_assets.reports import formatting as fmt
from btq_assets.reports.frames import ReportContext, ReportFrames
from btq_assets.reports.view import Block, Cell, Head, Row, Section, Table


def section(frames: ReportFrames, context: ReportContext) -> Section:
    """Run, seeds, configuration, trials, tables and libraries."""
    return Section(
        "provenance",
        "Provenance",
        tuple(_blocks(frames, context)),
        "The same code, configuration and data give the same results hash on any computer of the "
        "same kind.",
    )


def configuration_hash(config: TradingConfig) -> str:
    """Hash over all sections that can change a number."""
    return config.fingerprint(
        (
            "profile", "trading", "universe", "sources", "features", "regimes", "models",
            "agents", "portfolio", "backtest", "risk",
        )
    )  # fmt: skip


def _blocks(frames: ReportFrames, context: ReportContext) -> Iterator[Block]:
    yield _facts(context)
    if frames["runs"].height:
        yield _trials(frames, context)
    if frames["provenance"].height:
        yield _lineage(frames)
    if context.libraries:
        yield _libraries(context)


def _facts(context: ReportContext) -> Table:
    config = context.config
    facts = {
        "Results hash (forecasts, targets, equity, metrics)": context.results_hash,
        "Run": context.run_id,
        "Generated": f"{context.generated_at:%Y-%m-%d %H:%M} UTC",
        "Profile": config.profile,
        "Configuration hash": configuration_hash(config),
        "Code version of this report": context.code_version,
        "Seeds of models": ", ".join(str(seed) for seed in config.models.seeds),
        "Seed of the bootstrap": str(config.backtest.seed),
        "Seed of Monte Carlo": str(config.risk.seed),
        "Seed of synthetic documents": str(config.sources.sample.synthetic_documents_seed),
        "Commission": f"{config.backtest.commission_bps:g} bps",
        "Half-spread": "; ".join(
            f"{era.half_spread_bps:g} bps {f'until {era.until}' if era.until else 'since'} "
            f"({era.reason})"
            for era in config.backtest.spread_eras
        ),
    }
    rows = tuple(Row((Cell(name), Cell(value or fmt.MISSING))) for name, value in facts.items())
    heads = (Head("Fact", numeric=False), Head("Value", numeric=False))
    return Table(heads, rows, "This run")


def _trials(frames: ReportFrames, context: ReportContext) -> Table:
    heads = (
        Head("Strategy", numeric=False),
        Head("Role", numeric=False),
        Head("Backtest run", numeric=False),
        Head("Trial", numeric=False),
        Head("Trials of its question", "Candidates of the same universe, dates and frequency"),
    )
    trial = frames.trial_ids
    n_trials = dict(frames["deflated_sharpe"].select("strategy", "n_trials").iter_rows())
    rows = tuple(
        Row(
            (
                Cell(row["strategy"]),
                Cell(row["role"]),
                Cell(row["run_id"][:16], title=row["run_id"]),
                Cell(trial.get(row["strategy"], fmt.MISSING)[:16]),
                Cell(fmt.whole(n_trials.get(row["strategy"]))),
            )
        )
        for row in frames["runs"].sort("role", "strategy").iter_rows(named=True)
    )
    return Table(
        heads, rows, "Runs and trials", source=context.source("runs", "trials", "deflated_sharpe")
    )


def _lineage(frames: ReportFrames) -> Table:
    heads = (
        Head("Table", numeric=False),
        Head("Rows"),
        Head("Data version", "Hash of the content", numeric=False),
        Head("Code version", numeric=False),
        Head("Computed by run", numeric=False),
        Head("Committed"),
        Head("Checks", "Passed of asked"),
    )
    rows = []
    for row in frames["provenance"].sort("table_name").iter_rows(named=True):
        # The report's own row is the one of the run before.
        if row["table_name"].startswith("report."):
            continue
        answers = list(json.loads(row["checks_json"] or "{}").values())
        passed = sum(bool(answer.get("passed")) for answer in answers)
        rows.append(
            Row(
                (
                    Cell(row["table_name"]),
                    Cell(fmt.whole(row["n_rows"])),
                    Cell(row["data_version"][:16]),
                    Cell(row["code_version"][:16]),
                    Cell(row["run_id"][:8], title=row["run_id"]),
                    Cell(f"{row['committed_at']:%Y-%m-%d %H:%M}"),
                    Cell(f"{passed} of {len(answers)}"),
                )
            )
        )
    return Table(heads, tuple(rows), "Tables")


def _libraries(context: ReportContext) -> Table:
    heads = (Head("Library", numeric=False), Head("Version", numeric=False))
    rows = tuple(Row((Cell(name), Cell(version))) for name, version in context.libraries.items())
    return Table(heads, rows, "Libraries")
