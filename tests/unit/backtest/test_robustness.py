"""States before the day, crisis windows and stresses, against values worked by hand."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from btq_assets.backtest import AdvancedBacktester, Market
from btq_assets.backtest.market import BacktestError
from btq_assets.backtest.robustness import crises, stresses
from btq_assets.backtest.robustness.states import STATES, UNKNOWN, known_states, sliced
from btq_assets.config import TradingConfig
from btq_assets.engine import metrics
from btq_assets.engine.costs import CostModel
from btq_assets.evidence.bootstrap import stationary_bootstrap_indices
from btq_assets.risk.scenarios import Scenario


def days(n: int, start: str = "2024-01-01") -> pl.Series:
    first = dt.datetime.fromisoformat(start).replace(tzinfo=dt.UTC)
    return pl.Series(
        "ts", [first + dt.timedelta(days=i) for i in range(n)], pl.Datetime("us", "UTC")
    )


def test_a_day_has_the_state_of_the_bar_before_it():
    """Bars 0 to 4; states of bars 0, 1, 3; bar 2 has none of its own, bar 3's is null."""
    ts = days(5)
    states = pl.DataFrame({"ts": ts.gather([0, 1, 3]), "state": ["bull", "bear", None]})
    assert known_states(ts, states).to_list() == [UNKNOWN, "bull", "bear", "bear", UNKNOWN]
    assert known_states(ts.head(0), states).len() == 0


def test_an_old_state_says_nothing():
    ts = pl.concat([days(1), days(2, "2024-01-11"), days(1, "2024-02-01")])
    states = pl.DataFrame({"ts": ts.head(1), "state": ["bull"]})
    # seen from 1 January, from 11 January (ten days old), from 12 January (eleven)
    assert known_states(ts, states).to_list() == [UNKNOWN, "bull", "bull", UNKNOWN]


def test_labels_do_not_move_when_the_data_are_cut():
    random = np.random.default_rng(0)
    ts = days(300)
    states = pl.DataFrame({"ts": ts, "state": random.choice(STATES["market"], 300)})
    whole = known_states(ts, states)
    for cut in (1, 2, 150, 299):
        part = known_states(ts.head(cut), states.head(cut))
        assert part.equals(whole.head(cut))


def test_slices_partition_returns_and_growth():
    """Four returns, +10 %, -10 %, +20 % and 0, two in each of two states."""
    returns = np.array([np.nan, 0.1, -0.1, 0.2, 0.0])
    labels = pl.Series(["bear", "bull", "bear", "bull", "bear"])
    found = {r.scenario: (r.n_days, r.n_episodes, g) for r, g in sliced("market", returns, labels)}
    assert found["bull"] == (2, 2, pytest.approx(np.log(1.1 * 1.2)))
    assert found["bear"] == (2, 2, pytest.approx(np.log(0.9)))
    assert [found[name][0] for name in ("sideways", "volatile", UNKNOWN)] == [0, 0, 0]
    assert sum(growth for *_, growth in found.values()) == pytest.approx(np.log(1.1 * 0.9 * 1.2))


def test_a_crisis_by_hand():
    """100, 90, 99, 80 over the window 2 to 5 January: -20 %, fall 20 %, worst day 80/99 - 1."""
    ts = days(7)
    on = ts.dt.date().to_numpy().astype("datetime64[D]")
    equity = np.array([50.0, 100.0, 90.0, 99.0, 80.0, 200.0, 300.0])
    window = Scenario("x", dt.date(2024, 1, 2), dt.date(2024, 1, 5), "X")
    seen = crises.passage(equity, on, window)
    assert (seen.covered, seen.n_days) == (True, 3)
    assert seen.window_return == pytest.approx(-0.2)
    assert seen.max_drawdown == pytest.approx(0.2)
    assert seen.worst_day == pytest.approx(80 / 99 - 1)
    late = Scenario("y", dt.date(2024, 1, 5), dt.date(2024, 3, 5), "Y")
    missed = crises.passage(equity, on, late)
    assert (missed.covered, missed.n_days, missed.window_return) == (False, 0, None)
    assert "the data are 2024-01-01 to 2024-01-07" in missed.note


def test_the_catalogue_is_dated_ordered_and_described():
    names = [crisis.name for crisis in crises.CRISES]
    assert len(names) == len(set(names)) >= 17
    assert [c.start for c in crises.CRISES] == sorted(c.start for c in crises.CRISES)
    for crisis in crises.CRISES:
        assert crisis.start < crisis.end
        assert f"\n{crisis.name} " in crises.__doc__, "its source stands in the docstring"
    assert crises.find_crisis("Taper Tantrum").name == "taper_2013"
    assert crises.find_crisis("gfc").name == "2008_crash"
    with pytest.raises(BacktestError, match=r"no crisis is called 'tulips'; known: black_monday"):
        crises.find_crisis("tulips")


def test_delay_moves_decisions_down():
    weights = np.array([[np.nan, np.nan], [0.5, 0.5], [np.nan, np.nan], [1.0, 0.0]])
    moved = stresses.delayed(weights, 2)
    assert np.isnan(moved[:3]).all()
    assert moved[3].tolist() == [0.5, 0.5]
    assert np.isnan(stresses.delayed(weights, 9)).all()


def test_what_is_left_out_is_given_to_the_others():
    """0.2 + 0.3 left out of a gross exposure of 0.9: the others grow by 0.9 / 0.4."""
    weights = np.array([[0.2, 0.3, 0.1, -0.3], [np.nan] * 4, [0.5, 0.4, 0.0, 0.0]])
    kept = stresses.without(weights, np.array([0, 1]))
    assert kept[0] == pytest.approx([0, 0, 0.225, -0.675])
    assert np.isnan(kept[1]).all()
    assert kept[2].tolist() == [0, 0, 0, 0]  # what it wanted is gone: cash
    assert weights[0].tolist() == [0.2, 0.3, 0.1, -0.3]


def test_draws_are_seeded_and_differ():
    draws = [stresses.left_out(20, stresses.universe_stress(i, 0.2, 7)) for i in range(5)]
    assert all(draw.size == 4 for draw in draws)
    assert len({tuple(draw) for draw in draws}) > 1
    again = stresses.left_out(20, stresses.universe_stress(3, 0.2, 7))
    assert again.tolist() == draws[3].tolist()
    assert stresses.left_out(2, stresses.universe_stress(0, 0.99, 7)).size == 1
    with pytest.raises(BacktestError, match="a universe of one"):
        stresses.left_out(1, stresses.universe_stress(0, 0.2, 7))


def test_half_liquidity_doubles_the_spread_and_halves_the_volume(bars):
    market = Market.from_bars(bars, "test")
    costs = CostModel(commission_bps=1.0, half_spread_bps=np.full(len(market.ts), 2.0))
    thin, weights, dear = stresses.stressed(
        market, np.zeros((1, 1)), costs, stresses.HALF_LIQUIDITY
    )
    assert np.array_equal(thin.volumes, market.volumes / 2)
    assert np.asarray(dear.half_spread_bps).tolist() == [4.0] * len(market.ts)
    assert dear.commission_bps == 1.0
    assert weights.shape == (1, 1)


def test_bootstrapped_figures_are_those_of_engine_metrics():
    random = np.random.default_rng(3)
    returns, plain = random.normal(5e-4, 0.01, (2, 150))
    drawn = stationary_bootstrap_indices(150, 10, 450, 1)
    found = stresses.path_figures(returns, plain, drawn)
    for number in (0, 199, 200, 449):
        path = returns[drawn[number]]
        wealth = np.concatenate([[1.0], np.cumprod(1 + path)])
        assert found.annual_return[number] == pytest.approx(metrics.annual_return(path))
        assert found.annual_volatility[number] == pytest.approx(metrics.annual_volatility(path))
        assert found.sharpe[number] == pytest.approx(metrics.calculate_sharpe(path))
        assert found.max_drawdown[number] == pytest.approx(metrics.max_drawdown(wealth))
        above = 252 * (path - plain[drawn[number]]).mean()
        assert found.mean_above_annual[number] == pytest.approx(above)


def test_a_path_that_begins_with_a_loss_falls_from_where_it_began():
    found = stresses.path_figures(np.array([-0.5, 0.1]), None, np.array([[0, 1]]))
    assert found.max_drawdown.tolist() == [0.5]


@pytest.mark.parametrize(
    ("field", "value"),
    [("stress_cost_bps", [5, 0]), ("stress_cost_bps", [0, 5_000]), ("stress_delay_bars", [0])],
)
def test_impossible_stresses_are_refused(field, value):
    with pytest.raises(ValueError, match="must ascend without repeats and lie between"):
        TradingConfig(backtest={field: value})


CLOSES = [10.0, 10.0, 11.0, 12.0, 12.0]


def five_days() -> pl.DataFrame:
    return pl.DataFrame({"ts": days(5), "close": CLOSES})


def test_stresses_of_a_notebook_by_hand():
    """All in at 10 on bar 1, worth 12 at the end; one bar later it is bought at 11.

    50 bps: the 1,000 there are buy 1000 / 1.005 at 10, worth 1.2 times that.
    """
    once = pl.DataFrame({"ts": days(5).head(1), "asset": [1.0]})
    tester = AdvancedBacktester(once, five_days(), 1_000, 0.0)
    found = tester.run_scenarios(["cost_50bps", "delay_1", "delay_9"])
    assert {result.kind for result in found.values()} == {"stress"}
    assert found["cost_50bps"].metrics["final_equity"] == pytest.approx(1_000 / 1.005 * 1.2)
    assert found["delay_1"].metrics["final_equity"] == pytest.approx(1_000 / 11 * 12)
    assert found["delay_9"].metrics["final_equity"] == 1_000
    # a delay keeps the commission of 1 % of what the 1,000 there are can buy
    dear = AdvancedBacktester(once, five_days(), 1_000, 0.01).run_scenarios(["delay_1"])
    assert dear["delay_1"].metrics["final_equity"] == pytest.approx(1_000 / 1.01 / 11 * 12)


def test_one_report_shows_every_kind_of_scenario():
    random = np.random.default_rng(1)
    n = 500
    closes = 100 * np.cumprod(1 + random.normal(3e-4, 0.01, (n, 2)), axis=0)
    stamps = days(n, "2019-06-01")
    data = pl.concat(
        [
            pl.DataFrame({"ts": stamps, "symbol": s, "close": closes[:, i]})
            for i, s in enumerate("AB")
        ]
    )
    states = pl.DataFrame({"ts": stamps, "state": ["bull", "bear"] * (n // 2), "scope": "x"})
    asked = []

    def strategy(history):
        asked.append(len(history))
        return [0.5, 0.5]

    tester = AdvancedBacktester(strategy, data, 1_000, 0.001, market_states=states)
    found = tester.run_scenarios(["all", "bull_market", "covid"])
    assert len(asked) == len(set(asked)), "the strategy is asked once however many scenarios"
    assert found["bull"] == found["bull_market"]
    assert found["bull"].n_days + found["bear"].n_days == n - 1
    assert found["volatile"].note == "too few days: 0, at least 60 are needed"
    # first day of the window and its last: 23 sessions were 33 days, all of them here
    assert (found["covid"].n_days, found["covid"].kind) == (33, "crisis")
    equity = tester.run().equity
    ends = [
        equity.filter(pl.col("ts").dt.date() == day)["equity"][0]
        for day in (dt.date(2020, 2, 19), dt.date(2020, 3, 23))
    ]
    assert found["covid_2020"].metrics["window_return"] == pytest.approx(ends[1] / ends[0] - 1)
    assert found["banks_2023"].note.startswith("not covered")
    low, high = (found[f"bootstrap_quantile_{q}"].metrics["sharpe"] for q in (0.05, 0.95))
    assert low < tester.run().metrics["sharpe"] < high
    report = tester.generate_report(found)
    for heading in (
        "# Backtest",
        "## Scenarios",
        "## Crises",
        "## Stresses",
        "## Bootstrapped paths",
    ):
        assert heading in report
    assert all(f"| {name} |" in report for name in found)


@pytest.mark.parametrize(
    ("states", "message"),
    [
        (pl.DataFrame({"ts": days(2)}), r"market_states has no column\(s\) \['state'\]"),
        (
            pl.DataFrame({"ts": days(2), "state": ["bull"] * 2, "scope": ["a", "b"]}),
            "holds scopes",
        ),
    ],
)
def test_bad_states_are_named(states, message):
    with pytest.raises(BacktestError, match=message):
        AdvancedBacktester(lambda history: 1.0, five_days(), market_states=states)
