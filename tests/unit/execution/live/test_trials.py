"""A replay counts as a trial, as a backtest of the same bars does; live data do not."""

from __future__ import annotations

from pathlib import Path

import live_cases as cases
import numpy as np
import polars as pl
import pytest

from btq_assets.backtest import recording
from btq_assets.execution.live import LiveSettings, LiveTradingEngine, ReplayFeed, journal_tables


@pytest.fixture
def session(monkeypatch) -> recording.MemoryLedger:
    """An empty ledger of the process."""
    fresh = recording.MemoryLedger()
    monkeypatch.setattr(recording, "SESSION", fresh)
    return fresh


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    return cases.market(3, 160)


def replayed(bars, folder: Path, *, sessions: int = 30, feed=ReplayFeed, strategy="paper", **more):
    """Trade the last sessions in equal shares."""
    start = bars["ts"].unique().sort()[-sessions]
    engine = LiveTradingEngine(
        cases.live_config(),
        feed=feed(bars, start),
        folder=folder,
        targets=cases.PlainTargets(sorted(bars["symbol"].unique())),
        settings=LiveSettings(daily_loss=None, drawdown=0.9, strategy=strategy),
        **more,
    )
    engine.start()
    return journal_tables(folder / "engine.journal", cases.UNIVERSE)["execution.account"]


def test_a_replay_counts_once_whatever_its_folder(bars, tmp_path, session) -> None:
    """Returns expected from equity by hand; a second run of the same is the same trial."""
    account = replayed(bars, tmp_path / "a").sort("ts")
    (row,) = session.trials().iter_rows(named=True)
    assert (row["strategy"], row["universe"], row["purpose"]) == (
        "paper",
        cases.UNIVERSE,
        "candidate",
    )
    equity = account["equity"].to_numpy()
    found = session.returns().sort("ts")
    np.testing.assert_allclose(found["net_return"], equity[1:] / equity[:-1] - 1, rtol=1e-12)
    assert found["ts"].to_list() == account["ts"].to_list()[1:]
    replayed(bars, tmp_path / "b")
    assert session.trials().height == 1


def test_another_strategy_or_other_prices_are_another_trial(bars, tmp_path, session) -> None:
    replayed(bars, tmp_path / "a")
    replayed(bars, tmp_path / "b", strategy="other")
    changed = bars.with_columns(
        pl.col("^adj_(open|high|low|close)$") * (1 + 0.01 * (pl.col("ts") == pl.col("ts").max()))
    )
    replayed(changed, tmp_path / "c")
    assert session.trials().height == 3


def test_record_false_leaves_none_and_a_recorder_is_told(bars, tmp_path, session) -> None:
    told: list[recording.Trial] = []
    replayed(bars, tmp_path / "a", record=False, recorder=told.append)
    assert session.trials().is_empty()
    assert [trial.strategy for trial in told] == ["paper"]


def test_live_data_and_too_few_bars_are_no_trial(bars, tmp_path, session) -> None:
    class LiveFeed(ReplayFeed):
        replays = False

    replayed(bars, tmp_path / "a", feed=LiveFeed)
    replayed(bars, tmp_path / "b", sessions=2)
    assert session.trials().is_empty()
