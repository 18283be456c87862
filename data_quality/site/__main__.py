"""Write the site: ``python -m data_quality.site``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from data_quality.site.answers import recorded_answers, surroundings
from data_quality.site.pages import write_site


def main(arguments: list[str] | None = None) -> int:
    """Write the pages and say where; returns the exit status."""
    root = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(prog="python -m data_quality.site", description=__doc__)
    parser.add_argument("--out", type=Path, default=root / "data" / "data_docs")
    parser.add_argument("--database", type=Path, default=root / "data" / "btq.duckdb")
    parser.add_argument("--runs", type=int, default=50, help="runs to look back")
    chosen = parser.parse_args(arguments)
    home = os.environ.get("DAGSTER_HOME")
    if not home or not Path(home).is_dir():
        sys.stderr.write(
            "DAGSTER_HOME names no folder; it is where runs are recorded. "
            "`make data-docs` sets it\n"
        )
        return 1
    from dagster import DagsterInstance

    with DagsterInstance.get() as instance:
        answers = recorded_answers(instance, chosen.runs)
    pages = write_site(answers, surroundings(chosen.database), chosen.out)
    sys.stdout.write(f"{len(answers)} answers on {len(pages)} pages: {pages[0]}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
