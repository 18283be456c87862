"""Sweeps: equal to `simulate` to the last bit, statistics as the house defines them, whole ledger."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btq_assets.backtest import sweeps
from btq_assets.backtest.families import FunctionFamily, RankFamily, RankRule
from btq_assets.backtest.market import BacktestError, Market
from btq_assets.backtest.sweep_trials import TrialSource, trial_config
from btq_assets.backtest.sweeps import Terms, momentum_scores, sweep
from btq_assets.engine import metrics
from btq_assets.engine.costs import CostModel
from btq_assets.engine.errors import EngineError
from btq_assets.engine.simulation import simulate
from btq_assets.evidence.sharpe import sharpe_moments
from btq_assets.evidence.trials import trial_rows

COSTS = CostModel(commission_bps=3.0, half_spread_bps=5.0)
SOURCE = TrialSource("ranks", "v1", "notebook", dt.datetime(2026, 1, 1, tzinfo=dt.UTC))


def made_market(n_bars: int = 300, n_assets: int = 8, seed: int = 1, holes: float = 0.0) -> Market:
    random = np.random.default_rng(seed)
    moves = random.normal(3e-4, 0.015, (n_bars, n_assets))
    prices = 50 * np.exp(np.cumsum(moves, axis=0))
    prices[random.random(prices.shape) < holes] = np.nan
    ts = pl.datetime_range(
        dt.datetime(2015, 1, 1, 21),
        dt.datetime(2015, 1, 1, 21) + dt.timedelta(days=n_bars - 1),
        "1d",
        time_zone="UTC",
        eager=True,
    ).dt.cast_time_unit("us")
    return Market("made", tuple(f"S{i:02d}" for i in range(n_assets)), ts, prices, prices)


def weights_of(family, number: int, market: Market) -> np.ndarray:
    weights = np.empty(market.mark_prices.shape)
    family.write(number, weights)
    return weights


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    holes=st.sampled_from((0.0, 0.05)),
    short=st.booleans(),
    threads=st.sampled_from((1, 2, 5)),
)
def test_each_set_equals_the_engine_alone_to_the_last_bit(seed, holes, short, threads):
    market = made_market(seed=seed, holes=holes)
    family = RankFamily.grid(
        momentum_scores(market.mark_prices, (5, 21)),
        first=21,
        score=["momentum_5", "momentum_21"],
        top_k=[1, 3],
        every=[1, 7],
        threshold=[0.0, 0.4],
        short=[short],
    )
    terms = Terms(COSTS, 100_000.0)
    done = sweep(market, family, terms, recorder=None, threads=threads, keep_equity=True)
    for number in range(len(family.rules)):
        alone = simulate(
            market.fill_prices,
            market.mark_prices,
            weights_of(family, number, market),
            COSTS,
            initial_cash=100_000.0,
        )
        assert done.equity[number].tobytes() == alone.equity.tobytes()
        row = done.table.row(number, named=True)
        assert row["n_fills"] == alone.fills.size
        assert row["n_unpriced"] + row["n_refused_cash"] == alone.n_rejected
        assert row["n_scaled_bars"] == alone.n_scaled_bars
        assert row["identity_error"] < 1e-12


def test_statistics_are_those_of_the_house():
    market = made_market()
    family = RankFamily(momentum_scores(market.mark_prices, (21,)), (RankRule("momentum_21", 3),))
    row = sweep(market, family, Terms(COSTS, 1e5), recorder=None).table.row(0, named=True)
    alone = simulate(
        market.fill_prices, market.mark_prices, weights_of(family, 0, market), COSTS,
        initial_cash=1e5,
    )  # fmt: skip
    returns = alone.returns[1:]
    moments = sharpe_moments(returns)
    expected = {
        "sharpe": metrics.calculate_sharpe(returns),
        "annual_return": metrics.annual_return(returns),
        "annual_volatility": metrics.annual_volatility(returns),
        "max_drawdown": metrics.max_drawdown(alone.equity),
        "turnover_annual": metrics.turnover_annual(alone.turnover[1:]),
        "total_cost": alone.cost.sum(),
        "sharpe_per_period": moments.sharpe,
        "skewness": moments.skewness,
        "kurtosis": moments.kurtosis,
        "mean_annual": returns.mean() * 252,
    }
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, rel=1e-11), name


def test_weights_of_a_ranking_worked_by_hand():
    # Bar 0: C > A > B (D has no score). Bar 1: B > D > A > C. Bar 2: as bar 1 with D and A
    # exchanged. Two best, decided at every bar, from 0.6 turnover on: bar 1 replaces both of
    # C, A -> B, D (one-way turnover 1), bar 2 one of two, D -> A (0.5): not taken.
    scores = {"x": np.array([[2.0, 1.0, 3.0, np.nan], [2.0, 9.0, 1.0, 5.0], [5.0, 9.0, 1.0, 2.0]])}
    market = made_market(3, 4)
    family = RankFamily(scores, (RankRule("x", 2, every=1, threshold=0.6),))
    np.testing.assert_array_equal(
        weights_of(family, 0, market),
        [[0.5, 0, 0.5, 0], [0, 0.5, 0, 0.5], [np.nan] * 4],
    )
    # Both sides: half of gross 0.8 each; bar 0 has three scores, two on each side need four.
    both = RankFamily(scores, (RankRule("x", 2, every=1, gross=0.8, short=True),))
    np.testing.assert_allclose(
        weights_of(both, 0, market),
        [[0, 0, 0, 0], [-0.2, 0.2, -0.2, 0.2], [0.2, 0.2, -0.2, -0.2]],
    )


def test_every_set_is_a_trial_as_if_it_had_been_recorded_alone(monkeypatch):
    monkeypatch.setattr(sweeps, "PART", 3)
    market = made_market()
    family = RankFamily.grid(
        momentum_scores(market.mark_prices, (21,)), score=["momentum_21"], top_k=[1, 2, 3, 4, 5]
    )
    parts: list[tuple[pl.DataFrame, pl.DataFrame]] = []
    terms = Terms(COSTS, 1e5)
    done = sweep(
        market, family, terms, recorder=lambda *rows: parts.append(rows), source=SOURCE,
        keep_equity=True,
    )  # fmt: skip
    assert [part.height for part, _ in parts] == [3, 2]
    trials = pl.concat([part for part, _ in parts])
    returns = pl.concat([part for _, part in parts])
    assert trials["trial_id"].n_unique() == 5
    for number in range(5):
        path = done.equity[number]
        alone, series = trial_rows(
            pl.DataFrame({"ts": market.ts.slice(1), "net_return": path[1:] / path[:-1] - 1}),
            strategy="ranks",
            universe="made",
            purpose="candidate",
            config=trial_config(family.parameters[number], terms),
            data_hash=trials["data_hash"][0],
            code_version="v1",
            seed=0,
            run_id="notebook",
            recorded_at=SOURCE.recorded_at,
        )
        own = trials.slice(number, 1)
        moments = ["sharpe_per_period", "skewness", "kurtosis"]
        assert own.drop(moments).equals(alone.drop(moments))
        np.testing.assert_allclose(own.select(moments), alone.select(moments), rtol=1e-11)
        assert returns.filter(pl.col("trial_id") == own["trial_id"][0]).equals(series)


def test_any_function_of_parameters_is_a_family():
    market = made_market()

    def constant(share: float) -> np.ndarray:
        weights = np.full(market.mark_prices.shape, np.nan)
        weights[0] = share / 8
        return weights

    family = FunctionFamily(constant, [{"share": 0.2}, {"share": 0.8}], "data")
    done = sweep(market, family, Terms(CostModel(), 1e5), recorder=None)
    gains = done.table["final_equity"].to_numpy() - 1e5
    assert gains[1] == pytest.approx(4 * gains[0])


def test_books_that_do_not_balance_are_noticed():
    from btq_assets.backtest.sweep_kernel import largest_gap

    market = made_market()
    family = RankFamily(momentum_scores(market.mark_prices, (21,)), (RankRule("momentum_21", 3),))
    alone = simulate(
        market.fill_prices, market.mark_prices, weights_of(family, 0, market), COSTS,
        initial_cash=1e5,
    )  # fmt: skip
    whole = (alone.marks, alone.equity, 1e5)
    assert largest_gap(alone.fills, alone.fills.size, *whole) < 1e-12
    wrong = alone.fills.copy()
    wrong["shares"][10] *= 1.001
    assert largest_gap(wrong, wrong.size, *whole) > 1e-6
    assert largest_gap(alone.fills, alone.fills.size - 1, *whole) > 1e-6


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (RankRule("y", 1), "ranks by 'y'"),
        (RankRule("x", 0), "top_k"),
        (RankRule("x", 5, short=True), "top_k"),
        (RankRule("x", 1, every=0), "every"),
        (RankRule("x", 1, gross=0.0), "gross"),
    ],
)
def test_a_set_that_cannot_be_is_refused(rule, message):
    with pytest.raises(BacktestError, match=message):
        RankFamily({"x": np.ones((5, 8))}, (rule,))


def test_what_the_engine_refuses_names_the_set():
    market = made_market()
    terms = Terms(COSTS, 1e5)
    scores = {"x": np.ones(market.mark_prices.shape)}
    levered = RankFamily.grid(scores, score=["x"], top_k=[2], gross=[0.9, 1.5])
    with pytest.raises(EngineError, match=r"set 1 .*'gross': 1\.5.* limit is 1"):
        sweep(market, levered, terms, recorder=None)
    twice = RankFamily(scores, (RankRule("x", 2), RankRule("x", 2)))
    with pytest.raises(BacktestError, match="in the sweep twice"):
        sweep(market, twice, terms, recorder=None)
    with pytest.raises(BacktestError, match="TrialSource"):
        sweep(market, levered, terms, recorder=lambda *_: None)
    wrong = FunctionFamily(lambda a: np.zeros((2, 2)) + a, [{"a": 1}], "data")
    with pytest.raises(BacktestError, match=r"set 0 .*shape \(2, 2\)"):
        sweep(market, wrong, terms, recorder=None)
