"""Small commands around a run: ``python -m btq_assets summary | docs | clean``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m btq_assets", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "summary", help="strategies against baselines, the report, a query to paste"
    )
    commands.add_parser("docs", help="regenerate the generated pages of docs/")
    commands.add_parser("clean", help="drop computed tables; raw data and ledgers stay")
    chosen = parser.parse_args(arguments)
    return {"summary": summary, "docs": docs, "clean": clean}[chosen.command]()


def summary() -> int:
    """Print what a research run found."""
    from btq_assets.config import TradingConfig
    from btq_assets.contracts import backtest, evidence, report
    from btq_assets.reports.console import print_summary
    from btq_assets.warehouse.database import read_file
    from btq_assets.warehouse.paths import DataPaths

    paths = DataPaths.of(TradingConfig.load().warehouse.path)
    if not paths.published_file.exists():
        sys.stderr.write(f"{paths.published_file} does not exist yet: `make run` makes it\n")
        return 1
    contracts = (
        backtest.METRICS,
        backtest.RUNS,
        backtest.COMPARISONS,
        evidence.DEFLATED_SHARPE,
        report.RISK_REPORT,
    )
    frames = read_file(paths.published_file, contracts)
    written = frames[report.RISK_REPORT.table]["path"][0]
    print_summary(frames, _shown(paths.root / written), _shown(paths.published_file))
    return 0


def _shown(path: Path) -> str:
    """Path as a person would type it from here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def docs() -> int:
    """Write the generated pages."""
    from btq_assets.documentation import generated_pages
    from btq_assets.warehouse.paths import project_root

    for name, text in generated_pages().items():
        (project_root() / "docs" / name).write_text(text)
        print(f"docs/{name}")
    return 0


def clean() -> int:
    """Drop what can be computed again."""
    from btq_assets.config import TradingConfig
    from btq_assets.warehouse.cleaning import drop_computed_tables
    from btq_assets.warehouse.database import Warehouse
    from btq_assets.warehouse.paths import DataPaths

    config = TradingConfig.load()
    dropped = drop_computed_tables(
        Warehouse(DataPaths.of(config.warehouse.path), config.warehouse.lock_timeout_s)
    )
    print(f"dropped {len(dropped)} computed tables; raw tables, quarantine and ledgers stay")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
