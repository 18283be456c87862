"""Each benchmark starts, agrees with its peer at a tiny size, and records what it is named for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from btq_assets.evidence.figures.promised import figures

BENCHES = Path(__file__).parents[1] / "performance"

#: Tiny sizes: none is that of a promise.
TINY = {
    "alpha158": "--symbols 4 --sessions 300 --rounds 1",
    "features": "--symbols 3 --sessions 800",
    "garch": "--series 1 --peer-series 1 --sessions 546",
    "gpu": "--device cpu --assets 4 --dates 32 --processor-dates 32 --dim 16 --layers 1",
    "growth": "--rows 1e5 --symbols 20",
    "incremental": "--symbols 4 --sessions 900 --families technical,volatility,microstructure --runs 1",
    "ingest": "--symbols 4 --sessions 300 --minutes 5000 --mebibytes 1",
    "overfitting": "--trials 20 --days 400 --blocks 8",
    "quality": "0.02",
    "sweeps": "--sets 100",
}  # fmt: skip


def started(name: str, arguments: list[str], **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(BENCHES / f"bench_{name}.py"), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "BTQ_QLIB_PYTHON": "", "BTQ_BENCH_DATA": "", **environment},
        check=False,
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", sorted(TINY))
def test_a_benchmark_starts_and_records_its_sizes(name, tmp_path):
    record = tmp_path / "measured.jsonl"
    done = started(name, TINY[name].split(), BTQ_RECORD=str(record))
    assert done.returncode == 0, done.stderr[-2_000:]
    if name == "alpha158":
        assert "SKIPPED qlib and kunquant" in done.stdout
    if name == "ingest":
        assert "SKIPPED: BTQ_BENCH_DATA names no folder" in done.stdout
    text = record.read_text() if record.exists() else ""
    table = figures(text)
    named = {json.loads(line)["figure"] for line in text.splitlines()}
    assert bool(named) == (name not in ("features", "garch", "gpu"))
    # measured at sizes nobody promised: told, and no verdict
    told = table.filter(table["figure"].is_in(sorted(named)))
    assert set(told["verdict"]) <= {"not measured"}
    assert all("does not speak of" in note for note in told["note"])


@pytest.mark.slow
def test_a_package_that_is_not_installed_is_named(tmp_path):
    (tmp_path / "arch").mkdir()
    (tmp_path / "arch" / "__init__.py").write_text(
        "raise ModuleNotFoundError('No module named arch')"
    )
    done = started("garch", ["--series", "1", "--sessions", "546"], PYTHONPATH=str(tmp_path))
    assert done.returncode != 0
    assert "No module named arch" in done.stderr


def test_a_figure_nobody_promised_is_not_recorded(tmp_path):
    code = "import record; record.record('best_ever', 1.0)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=BENCHES,
        env={
            **os.environ,
            "BTQ_RECORD": str(tmp_path / "measured.jsonl"),
            "PYTHONPATH": str(BENCHES),
        },
        check=False,
    )
    assert done.returncode == 1
    assert "best_ever: nobody promised it" in done.stderr
    assert not (tmp_path / "measured.jsonl").exists()
