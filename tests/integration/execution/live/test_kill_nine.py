"""Real processes, signal 9: the orders, fills and account are those of an unbroken run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import live_cases as cases
import pytest

from btq_assets.execution.live.tables import journal_tables

CASE = Path(__file__).with_name("kill_nine_case.py")


def run(
    folder: Path, at: int = -1, how: str = "after", *more: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(CASE), str(folder), str(at), how, *more],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"},
        check=False,
    )


def outcome(folder: Path) -> dict:
    return journal_tables(folder / "engine.journal", cases.UNIVERSE)


def killed_and_restarted(folder: Path, at: int, how: str, expected: dict, *more: str) -> None:
    assert run(folder, at, how, *more).returncode == -signal.SIGKILL
    assert run(folder, -1, "after", *more).returncode == 0
    for name, frame in outcome(folder).items():
        assert frame.equals(expected[name]), (at, how, name)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[int, dict]:
    folder = tmp_path_factory.mktemp("whole")
    done = run(folder)
    assert done.returncode == 0, done.stderr
    tables = outcome(folder)
    assert tables["execution.fills"].height >= 6
    return int(done.stdout), tables


def test_killed_while_the_second_bar_is_worked_on(whole, tmp_path) -> None:
    """Its decision is torn on the disk; then it is there and nothing was sent."""
    # writes: 0 started; 1 to 4 broker, decision, orders, bar of the first; 5 broker, 6 decision, 7 orders
    killed_and_restarted(tmp_path / "torn", 6, "torn", whole[1])
    killed_and_restarted(tmp_path / "after", 6, "after", whole[1])
    killed_and_restarted(tmp_path / "sent", 7, "after", whole[1])


@pytest.mark.slow
def test_killed_where_limits_keep_orders_back(tmp_path) -> None:
    """Two orders a minute, three wanted: after the kill the same one is refused, and none twice."""
    done = run(tmp_path / "whole", -1, "after", "limits")
    assert done.returncode == 0, done.stderr
    expected = outcome(tmp_path / "whole")
    orders = expected["execution.orders"]
    refused = orders.filter(state="rejected")
    assert refused.height == 3
    assert all(why.startswith("max_orders_per_minute: 3") for why in refused["reason"])
    for at, how in (
        (2, "torn"),
        (2, "after"),
        (6, "torn"),
        (6, "after"),
        (7, "after"),
        (8, "torn"),
    ):
        killed_and_restarted(tmp_path / f"{at}-{how}", at, how, expected, "limits")
    assert orders["client_id"].n_unique() == orders.height == 9


@pytest.mark.slow
def test_killed_at_every_write(whole, tmp_path) -> None:
    n, expected = whole
    assert n >= 13
    for at in range(n):
        for how in ("before", "torn", "after"):
            killed_and_restarted(tmp_path / f"{at}-{how}", at, how, expected)
