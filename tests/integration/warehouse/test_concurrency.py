"""Four writers, four readers, kill -9 at random moments: nothing is lost, nothing is half-read."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from btq_assets.warehouse.database import Warehouse
from btq_assets.warehouse.paths import DataPaths

WORKER = Path(__file__).with_name("commit_worker.py")


def start(role: str, root: Path, name: str, commits: int) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(WORKER), role, str(root), name, str(commits)],
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("writers", "readers", "commits", "kills"),
    [
        pytest.param(2, 2, 20, 3, id="quick"),
        pytest.param(
            4,
            4,
            260,
            25,
            id="thousand_commits",
            marks=[pytest.mark.slow, pytest.mark.timeout(1500)],
        ),
    ],
)
def test_nothing_is_lost_when_processes_are_killed(tmp_path, writers, readers, commits, kills):
    chance = random.Random(7)
    names = [f"writer{number}" for number in range(writers)]
    running = {name: start("write", tmp_path, name, commits) for name in names}
    watching = [start("read", tmp_path, f"reader{number}", 0) for number in range(readers)]
    killed = 0
    while running:
        time.sleep(chance.uniform(0.1, 1.2))
        for name, process in list(running.items()):
            if process.poll() is not None and process.returncode == 0:
                del running[name]
            elif process.poll() is not None and process.returncode != -9:
                raise AssertionError(process.stderr.read())
        if killed < kills and running:
            name = chance.choice(sorted(running))
            running[name].kill()
            running[name].wait()
            running[name] = start("write", tmp_path, name, commits)
            killed += 1
    (tmp_path / "stop").touch()
    for reader in watching:
        assert reader.wait(120) == 0, reader.stderr.read()
    stored = Warehouse(DataPaths(tmp_path)).query(
        "SELECT writer, count(*) AS n, sum(amount) AS total, sum(abs(amount)) AS moved "
        "FROM evidence.events GROUP BY writer ORDER BY writer"
    )
    # Closed form: each writer moves 2 * (1 + 2 + ... + commits).
    assert stored["n"].to_list() == [2 * commits] * writers
    assert stored["total"].to_list() == [0] * writers
    assert stored["moved"].to_list() == [commits * (commits + 1)] * writers
    assert killed > 0
