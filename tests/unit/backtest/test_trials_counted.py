"""Every way to run a backtest counts its trials; ``record=False`` leaves a mark; half a trial never.

Numbers of trials are worked by hand from what was asked for.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import Ridge

from btq_assets import AdvancedBacktester, WalkForwardOptimizer
from btq_assets.backtest import recording
from btq_assets.backtest.families import FunctionFamily
from btq_assets.backtest.market import BacktestError, Market
from btq_assets.backtest.sweep_trials import TrialSource
from btq_assets.backtest.sweeps import Terms, sweep
from btq_assets.contracts import evidence
from btq_assets.contracts.base import violations
from btq_assets.engine.costs import CostModel

NOW = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def session(monkeypatch):
    fresh = recording.MemoryLedger()
    monkeypatch.setattr(recording, "SESSION", fresh)
    return fresh


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(4)
    closes = 100 * np.cumprod(1 + random.normal(3e-4, 0.01, (500, 3)), axis=0)
    days = [dt.datetime(2018, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=k) for k in range(500)]
    return pl.concat(
        pl.DataFrame({"ts": days, "symbol": s, "close": closes[:, k], "f": random.normal(size=500)})
        for k, s in enumerate("ABC")
    )


def test_a_backtest_is_one_trial_however_often_it_is_asked(session, data):
    told = []
    tester = AdvancedBacktester(lambda h: [0.5, 0.2, 0.1], data, 1_000, recorder=told.append)
    done = tester.run()
    tester.run()
    AdvancedBacktester(lambda h: [0.5, 0.2, 0.1], data, 1_000).run()
    trials = session.trials()
    assert trials.height == len(told) == 1
    assert trials["n_returns"][0] == done.equity["net_return"].drop_nulls().len()
    assert recording.NOT_RECORDED not in done.notes
    rows, series = told[0].rows(run_id="r", recorded_at=NOW)
    assert violations(rows, evidence.TRIALS).is_empty()
    assert violations(series, evidence.TRIAL_RETURNS).is_empty()


def test_every_step_of_a_search_by_hand_or_by_optuna_is_a_trial(session, data):
    """An objective that runs a backtest: seven sets of parameters, one of them twice, are six."""

    def objective(share):
        tester = AdvancedBacktester(lambda h: [share, 0.0, 0.0], data, 1_000)
        return tester.run().metrics["sharpe"]

    best = max((0.1, 0.3, 0.5, 0.7, 0.9, 1.0, 0.3), key=objective)
    assert best in (0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
    assert session.trials().height == 6


def test_a_walk_forward_counts_every_set_of_parameters_and_what_it_chose(session, data):
    told = []
    search = WalkForwardOptimizer(data, 6, 3, 3)
    found = search.optimize(Ridge, {"alpha": [0.1, 10.0, 1e3]}, recorder=told.append)
    assert session.trials().height == found.trials.height
    assert set(session.trials()["trial_id"]) == set(found.trials["trial_id"])
    # three sets on validation segments, and the path out of sample
    assert found.trials.height >= 4
    assert len(told) >= found.trials.height
    paths = search.cross_validate(Ridge, {"alpha": 1.0}, n_folds=4)
    assert session.trials().height == found.trials.height + paths.n_paths


def made_sweep(recorder, source=None):
    random = np.random.default_rng(1)
    prices = 50 * np.exp(np.cumsum(random.normal(0, 0.01, (60, 3)), axis=0))
    ts = pl.Series([NOW + dt.timedelta(days=k) for k in range(60)], dtype=pl.Datetime("us", "UTC"))
    market = Market("made", ("A", "B", "C"), ts, prices, prices)
    family = FunctionFamily(
        lambda share: np.full((60, 3), share), [{"share": share} for share in (0.1, 0.2, 0.3)], "d"
    )
    return sweep(market, family, Terms(CostModel(), 1e5), recorder=recorder, source=source)


def test_a_sweep_counts_every_set_or_says_that_it_did_not():
    told = []
    source = TrialSource("shares", "code", "run", NOW)
    done = made_sweep(lambda trials, returns: told.append((trials, returns)), source)
    assert sum(trials.height for trials, _ in told) == 3
    assert pl.concat([trials for trials, _ in told])["trial_id"].n_unique() == 3
    assert not any("not counted" in note for note in done.notes)
    silent = made_sweep(None)
    assert "3 set(s) not counted as trials: recorder=None" in silent.notes
    with pytest.raises(BacktestError, match="TrialSource"):
        made_sweep(lambda *_: None)


def test_a_run_that_is_not_recorded_says_so_and_its_report_too(session, data):
    tester = AdvancedBacktester(lambda h: [0.5, 0.2, 0.1], data, 1_000, record=False)
    assert recording.NOT_RECORDED in tester.run().notes
    assert session.trials().is_empty()
    assert recording.NOT_RECORDED in tester.generate_report()


def test_a_run_whose_trial_cannot_be_written_is_not_handed_out(session, data):
    """The recorder's disk is full: no result, asked again it fails again; then one whole trial."""
    full = True

    def recorder(trial):
        if full:
            raise OSError("disk full")

    tester = AdvancedBacktester(lambda h: [0.5, 0.2, 0.1], data, 1_000, recorder=recorder)
    for _ in range(2):
        with pytest.raises(OSError, match="disk full"):
            tester.run()
    # tried is tried: the process counts it once, with all of its series
    assert session.trials().height == 1
    assert session.returns().height == session.trials()["n_returns"][0]
    full = False
    assert tester.run().metrics["final_equity"] > 0
    assert session.trials().height == 1


def test_a_series_that_is_no_trial_leaves_neither_ledger_half_written():
    ledger = recording.MemoryLedger()
    days = [NOW + dt.timedelta(days=k) for k in range(4)]
    for bad in ([0.1, float("nan"), 0.1, 0.1], [0.1, float("inf"), 0.1, 0.1]):
        with pytest.raises(ValueError, match="NaN or infinite"):
            ledger.record(
                recording.Trial("s", pl.DataFrame({"ts": days, "net_return": bad}), {}, "d")
            )
    assert ledger.trials().is_empty()
    assert ledger.returns().is_empty()
