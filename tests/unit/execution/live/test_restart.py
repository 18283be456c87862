"""A loop that is killed at any write of either journal ends as one that never was.

In this process a kill is an exception that no code of the loop catches, at every write, before,
in the middle and after it; with real processes and signal 9 it is in
``tests/integration/execution/live/test_kill_nine.py``.
"""

from __future__ import annotations

from pathlib import Path

import live_cases as cases
import numpy as np
import polars as pl
import pytest

from btq_assets.execution.live import (
    Journal,
    LiveError,
    LiveSettings,
    LiveTradingEngine,
    ReplayFeed,
)
from btq_assets.execution.live.journal import read_journal
from btq_assets.execution.live.tables import journal_tables

N_LIVE = 4


class Killed(BaseException):
    """Nothing catches it."""


class Fuse:
    """Counts writes of all journals, and burns at one of them."""

    def __init__(self, at: int = -1, how: str = "after") -> None:
        self.at, self.how, self.n = at, how, 0

    def open(self, path: Path) -> Journal:
        fuse = self

        class Burning(Journal):
            def _write(self, line: bytes) -> None:
                here = fuse.n == fuse.at
                fuse.n += 1
                if here and fuse.how == "before":
                    raise Killed
                super()._write(line[: len(line) // 2] if here and fuse.how == "torn" else line)
                if here:
                    raise Killed

        return Burning(path, sync=False)


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    return cases.market(4, 80)


def run(bars: pl.DataFrame, folder: Path, fuse: Fuse | None = None, **more) -> None:
    fuse = fuse or Fuse()
    engine = LiveTradingEngine(
        cases.live_config(max_position_size=1.0),
        targets=cases.PlainTargets(sorted(bars["symbol"].unique()), gross=1.0),
        feed=ReplayFeed(bars, bars["ts"].unique().sort()[-N_LIVE]),
        folder=folder,
        settings=LiveSettings(decide="bar"),
        open_journal=fuse.open,
        **more,
    )
    engine.start()


def tables(folder: Path) -> dict[str, pl.DataFrame]:
    return journal_tables(folder / "engine.journal", cases.UNIVERSE)


def test_killed_at_every_write_the_end_is_the_same(bars, tmp_path) -> None:
    whole = Fuse()
    run(bars, tmp_path / "whole", whole)
    expected = tables(tmp_path / "whole")
    # by hand: "started"; each bar: the broker's, the decision, the broker's answer, the engine's end
    assert whole.n >= 1 + 4 * N_LIVE
    assert expected["execution.fills"].height > 10
    for at in range(whole.n):
        for how in ("before", "torn", "after"):
            folder = tmp_path / f"{at}-{how}"
            with pytest.raises(Killed):
                run(bars, folder, Fuse(at, how))
            run(bars, folder)
            for name, frame in expected.items():
                assert tables(folder)[name].equals(frame), (at, how, name)


def test_killed_again_and_again(bars, tmp_path) -> None:
    run(bars, tmp_path / "whole")
    for _ in range(200):
        try:
            run(bars, tmp_path / "often", Fuse(2, "torn"))
        except Killed:
            continue
        break
    expected = tables(tmp_path / "whole")
    for name, frame in tables(tmp_path / "often").items():
        assert frame.equals(expected[name]), name


def test_a_restart_with_a_model_decides_the_same(tmp_path) -> None:
    """Features are made anew from the history: equal to rounding, not to the bit."""
    bars = cases.market(5, 460)
    model = cases.fit_model(bars, tmp_path / "model")
    ts = bars["ts"].unique().sort()
    settings = LiveSettings(decide="bar", daily_loss=None, drawdown=0.9)

    def start(folder: Path, most_bars: int | None = None) -> None:
        LiveTradingEngine(
            cases.live_config(),
            True,
            model,
            feed=ReplayFeed(bars, ts[-4]),
            folder=folder,
            settings=settings,
        ).start(most_bars=most_bars)

    start(tmp_path / "whole")
    for _ in range(2):
        start(tmp_path / "parts", most_bars=2)
    whole, parts = tables(tmp_path / "whole"), tables(tmp_path / "parts")
    assert whole["execution.orders"]["client_id"].equals(parts["execution.orders"]["client_id"])
    for table, column in (("execution.orders", "quantity"), ("execution.account", "equity")):
        np.testing.assert_allclose(parts[table][column], whole[table][column], rtol=1e-9, atol=1e-6)


def test_a_finished_feed_started_again_does_nothing(bars, tmp_path) -> None:
    run(bars, tmp_path)
    before = read_journal(tmp_path / "engine.journal")
    run(bars, tmp_path)
    assert read_journal(tmp_path / "engine.journal") == before


def test_another_configuration_may_not_go_on_with_the_folder(bars, tmp_path) -> None:
    run(bars, tmp_path)
    engine = LiveTradingEngine(
        cases.live_config(max_position_size=0.5),
        targets=cases.PlainTargets(["S00"]),
        feed=ReplayFeed(bars, bars["ts"].max()),
        folder=tmp_path,
        settings=LiveSettings(strategy="another"),
    )
    with pytest.raises(LiveError, match=r"other values of \['config', 'strategy'\]"):
        engine.start()


def test_a_broker_with_orders_of_others_is_refused(bars, tmp_path) -> None:
    run(bars, tmp_path)
    (tmp_path / "engine.journal").unlink()
    with pytest.raises(LiveError, match="order\\(s\\) that the journal does not know"):
        run(bars, tmp_path)
