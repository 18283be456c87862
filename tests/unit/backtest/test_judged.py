"""What a notebook's backtest may claim: 1/N, intervals, and trials that are counted."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import Ridge

from btq_assets import AdvancedBacktester, WalkForwardOptimizer
from btq_assets.backtest import judged, recording
from btq_assets.backtest.figures import mean_intervals
from btq_assets.backtest.market import BacktestError
from btq_assets.config import BacktestSection
from btq_assets.evidence.bootstrap import paired_block_bootstrap
from btq_assets.evidence.sharpe import deflated_sharpe, sharpe_moments

N_DAYS, SYMBOLS = 500, ("A", "B", "C")


@pytest.fixture(autouse=True)
def session(monkeypatch) -> recording.MemoryLedger:
    """A process in which nothing was tried yet."""
    fresh = recording.MemoryLedger()
    monkeypatch.setattr(recording, "SESSION", fresh)
    return fresh


@pytest.fixture(scope="module")
def data() -> pl.DataFrame:
    random = np.random.default_rng(4)
    closes = 100 * np.cumprod(1 + random.normal(3e-4, 0.01, (N_DAYS, 3)), axis=0)
    first = dt.datetime(2018, 1, 1, tzinfo=dt.UTC)
    days = [first + dt.timedelta(days=k) for k in range(N_DAYS)]
    return pl.concat(
        pl.DataFrame({"ts": days, "symbol": s, "close": closes[:, k]})
        for k, s in enumerate(SYMBOLS)
    )


def backtest_of(data, weights, **more) -> AdvancedBacktester:
    return AdvancedBacktester(lambda history: weights, data, 1_000, 0.001, **more)


def test_one_over_n_holds_what_has_a_price_at_the_strategys_own_decisions():
    """Decided at bars 0 and 2; B has no price at bar 0: all in A, half in each from bar 3 on."""
    days = [dt.datetime(2024, 1, d, tzinfo=dt.UTC) for d in range(1, 6)]
    data = pl.DataFrame(
        {
            "ts": [*days, *days[1:]],
            "symbol": ["A"] * 5 + ["B"] * 4,
            "close": [10.0, 10.0, 12.0, 12.0, 12.0, 5.0, 5.0, 5.0, 10.0],
        }
    )
    own = pl.DataFrame({"ts": [days[0], days[2]], "A": [0.0, 0.0], "B": [0.0, 0.0]})
    equity = AdvancedBacktester(own, data, 1_000, 0.0).one_over_n().equity["equity"]
    assert equity.to_list() == pytest.approx([1_000, 1_000, 1_200, 1_200, 600 + 1_200])


def test_intervals_and_difference_are_those_of_the_evidence_room(data):
    own = backtest_of(data, [0.8, 0.1, 0.1])
    found = own.judged()
    returns = own.run().equity["net_return"][1:].to_numpy()
    plain = own.one_over_n().equity["net_return"][1:].to_numpy()
    settings = BacktestSection()
    for name, interval in mean_intervals(returns, settings).items():
        assert found.intervals[name] == interval
    assert found.intervals["max_drawdown"][0] < own.run().metrics["max_drawdown"]
    expected = paired_block_bootstrap(
        returns,
        plain,
        mean_block=settings.bootstrap_mean_block_sessions,
        n_samples=settings.bootstrap_samples,
        seed=settings.seed,
    )
    assert found.difference == expected


def test_equal_weights_are_not_above_themselves(data):
    found = backtest_of(data, [1 / 3] * 3).judged()
    assert found.difference is not None
    assert abs(found.difference.mean_difference_annual) < 1e-12
    assert not found.positive
    assert found.headline == "At least 1 trial was made: nothing beats 1/N."
    assert "deflation for the search needs at least 10" in " ".join(found.statements)


def test_every_backtest_counts_once_unless_it_is_not_recorded(data, session):
    told = []
    own = backtest_of(data, [0.5, 0.5, 0.0], recorder=told.append)
    for weights in ([0.5, 0.5, 0.0], [0.2, 0.2, 0.6], [0.2, 0.2, 0.6]):
        backtest_of(data, weights).run()
    backtest_of(data, [1.0, 0.0, 0.0], record=False).run()
    assert own.judged().n_trials == 2
    assert len(told) == 1
    assert told[0].rows(run_id="r", recorded_at=dt.datetime(2024, 1, 1, tzinfo=dt.UTC))[0][
        "trial_id"
    ][0] in set(session.trials()["trial_id"])
    # other days are another question
    backtest_of(data.filter(pl.col("ts") > data["ts"].min()), [0.3, 0.3, 0.3]).run()
    assert own.judged().n_trials == 2
    # other costs are another trial of the same question
    AdvancedBacktester(lambda history: [0.5, 0.5, 0.0], data, 1_000, 0.002).run()
    assert own.judged().n_trials == 3


def test_the_deflated_sharpe_ratio_counts_the_search(data):
    random = np.random.default_rng(0)
    tried = [backtest_of(data, w.tolist()) for w in random.dirichlet(np.ones(3), 12)]
    moments = [sharpe_moments(t.run().equity["net_return"][1:].to_numpy()) for t in tried]
    best = int(np.argmax([m.sharpe for m in moments]))
    found = tried[best].judged()
    own = moments[best]
    variance = float(np.var([m.sharpe for m in moments], ddof=1))
    assert found.n_trials == 12
    assert found.deflated == pytest.approx(
        deflated_sharpe(own.sharpe, own.n, own.skewness, own.kurtosis, 12, variance)
    )
    assert found.deflated < found.probabilistic


def test_foresight_is_positive_and_the_same_without_a_count_is_not(data):
    """Weights that know the next fill to fill: above 1/N; ten counted trials must be there."""
    closes = data.pivot(on="symbol", index="ts", values="close").sort("ts")
    ahead = closes.select(pl.col(s).shift(-2) / pl.col(s).shift(-1) for s in SYMBOLS).to_numpy()
    rows = np.nan_to_num(ahead, nan=1.0).argmax(axis=1)
    weights = closes.select("ts").with_columns(
        **{s: pl.Series((rows == k).astype(float)) for k, s in enumerate(SYMBOLS)}
    )
    sees = AdvancedBacktester(weights, data, 1_000, 0.0)
    alone = sees.judged()
    assert not alone.positive
    assert alone.headline.endswith("but too few are counted to deflate for the search.")
    for w in np.random.default_rng(0).dirichlet(np.ones(3), 11):
        backtest_of(data, w.tolist()).run()
    counted = sees.judged()
    assert counted.positive
    assert counted.n_trials == 12


def test_trials_of_a_walk_forward_are_counted_when_handed_over(data):
    """Inner trials are of weeks: they count, and their Sharpe ratios do not mix with daily ones."""
    features = data.with_columns(
        signal=pl.Series(np.random.default_rng(1).normal(size=data.height))
    )
    found = WalkForwardOptimizer(features, 6, 3, 3).optimize(Ridge, {"alpha": [1.0, 10.0]})
    own = backtest_of(data, [0.5, 0.5, 0.0])
    own.run()
    n = own.judged().n_trials
    assert own.judged(found.trials).n_trials == n + found.trials.height
    counted = recording.counted_against(own.trial(), found.trials)
    daily = counted["sharpe_per_period"].drop_nulls()
    assert counted.height == n + found.trials.height
    assert daily.len() == n + 1  # the path of the walk-forward is of days


def test_flat_returns_and_classes_are_named(data):
    nothing = AdvancedBacktester(lambda history: None, data, 1_000, 0.0).judged()
    assert "there is nothing to judge" in " ".join(nothing.statements)
    assert nothing.probabilistic is None
    with pytest.raises(BacktestError, match="strategy is the class Ridge; a function from history"):
        AdvancedBacktester(Ridge, data)
    assert judged.LEFT_OUT in nothing.statements
