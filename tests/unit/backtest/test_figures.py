"""Intervals, slices, round trips and frictions of runs, and checks that must fail."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from btq_assets.backtest import figures_checks, slices
from btq_assets.backtest.intervals import Daily, intervals
from btq_assets.backtest.market import Market
from btq_assets.backtest.run import BacktestTables, costs_of, run_strategies, simulate_weights
from btq_assets.config import TradingConfig
from btq_assets.contracts import backtest as contracts
from btq_assets.contracts.checks import CheckContext
from btq_assets.engine import metrics
from btq_assets.evidence.bootstrap import stationary_bootstrap_indices
from btq_assets.timeline import decision_times


@pytest.fixture
def settings() -> TradingConfig:
    return TradingConfig(universe={"main": "test"}, backtest={"bootstrap_samples": 100})


def make_targets(bars: pl.DataFrame) -> pl.DataFrame:
    symbols = sorted(bars["symbol"].unique().to_list())
    rows = [
        (strategy, "test", symbol, ts, weight)
        for number, ts in enumerate(decision_times(bars["ts"], "week"))
        for strategy, weights in (
            ("one_over_n", [0.25] * 4),
            ("tilted", [0.4 + 0.1 * (number % 3), 0.1, 0.1, 0.1]),
            ("hedged", [0.3, 0.3, -0.2, -0.2 + 0.05 * (number % 2)]),
        )
        for symbol, weight in zip(symbols, weights, strict=True)
    ]
    return pl.DataFrame(
        rows, schema=["strategy", "universe", "symbol", "ts", "weight"], orient="row"
    )


@pytest.fixture
def states(bars) -> dict[str, pl.DataFrame]:
    ts = bars["ts"].unique().sort()
    words = {
        "market": [("bull", "bear", "sideways")[k // 120 % 3] for k in range(len(ts))],
        "volatility": ["high" if k % 4 == 0 else "low" for k in range(len(ts))],
    }
    return {
        dimension: pl.DataFrame({"scope": "test", "ts": ts, "state": state}).filter(
            pl.col("ts") > ts[20]
        )
        for dimension, state in words.items()
    }


@pytest.fixture
def done(bars, states, settings) -> BacktestTables:
    return run_strategies(
        bars, make_targets(bars), settings, baselines=("one_over_n",), states=states
    )


def test_intervals_are_the_quantiles_of_each_resampled_figure(settings):
    """Every figure of every resample by its own function, one resample at a time."""
    random = np.random.default_rng(3)
    n = 300
    b = random.normal(3e-4, 0.01, n)
    r = 0.7 * b + random.normal(1e-4, 0.006, n)
    traded, cost = random.uniform(0, 0.1, n), random.uniform(0, 1e-4, n)
    impact = random.uniform(0, 5e-5, n)
    found = intervals([Daily(r, traded, cost, impact, b)], settings.backtest)[0]
    drawn = stationary_bootstrap_indices(
        n, settings.backtest.bootstrap_mean_block_sessions, 100, settings.backtest.seed
    )
    plain = {
        "skewness": metrics.skewness,
        "kurtosis": metrics.kurtosis,
        "omega": metrics.omega_ratio,
        "profit_factor": metrics.calculate_profit_factor,
        "gain_to_pain": metrics.gain_to_pain,
        "downside_deviation": metrics.downside_deviation,
        "payoff_ratio": metrics.payoff_ratio,
        "kelly": metrics.kelly_fraction,
        "tail_ratio": metrics.tail_ratio,
        "value_at_risk_95": metrics.value_at_risk,
        "cvar_95": metrics.conditional_value_at_risk,
        "pain_index": metrics.pain_index,
        "ulcer_index": metrics.ulcer_index,
        "longest_underwater": metrics.longest_underwater,
        "calmar": metrics.calculate_calmar,
        "martin_ratio": metrics.martin_ratio,
        "pain_ratio": metrics.pain_ratio,
        "max_drawdown": lambda x: metrics.drawdown_path(x).max(),
    }
    paired = {
        "beta": metrics.beta,
        "alpha_annual": metrics.alpha_annual,
        "tracking_error": metrics.tracking_error,
        "information_ratio": metrics.calculate_information_ratio,
        "treynor": metrics.treynor_ratio,
        "up_capture": metrics.up_capture,
        "down_capture": metrics.down_capture,
        "capture_ratio": metrics.capture_ratio,
    }
    values = {name: [f(r[i]) for i in drawn] for name, f in plain.items()}
    values |= {name: [f(r[i], b[i]) for i in drawn] for name, f in paired.items()}
    values["break_even_cost"] = [
        1e4 * metrics.break_even_cost((r + cost)[i], traded[i]) for i in drawn
    ]
    values["capacity_multiple"] = [
        metrics.capacity_multiple((r + impact)[i], impact[i]) for i in drawn
    ]
    values["cost_annual"] = [cost[i].mean() * 252 for i in drawn]
    assert set(found) == set(values)
    for name, sample in values.items():
        assert found[name] == pytest.approx(np.quantile(sample, (0.025, 0.975)), rel=1e-8), name


def test_a_series_without_variation_has_no_interval(settings):
    flat = np.zeros(50)
    assert intervals([Daily(flat, flat, flat, flat, None)], settings.backtest) == [{}]


def test_break_even_cost_is_that_of_the_engine(bars, settings):
    """At the flat cost the figure names, the engine's mean net return is a hundredth of what it was."""
    market = Market.from_bars(bars, "test")
    weights = market.weights(make_targets(bars).filter(strategy="tilted"), "tilted")

    def figure(bps: float) -> tuple[float, float, float]:
        flat = TradingConfig(
            universe={"main": "test"},
            backtest={
                "commission_bps": 0,
                "impact_coefficient": 0,
                "spread_eras": [{"until": None, "half_spread_bps": bps, "reason": "flat"}],
            },
        )
        found = simulate_weights(market, weights, costs_of(market, flat), flat)
        start = found.equity[:-1]
        fills = found.fills
        traded = np.bincount(
            fills["bar"], np.abs(fills["shares"] * fills["price"]), minlength=found.equity.size
        )[1:]
        gross = found.returns[1:] + found.cost[1:] / start
        return (
            found.returns[1:].mean(),
            metrics.break_even_cost(gross, traded / start),
            gross.mean(),
        )

    _, rate, gross = figure(0.0)
    net, _, _ = figure(rate * 1e4)
    assert rate > 0
    assert abs(net) < 0.01 * gross


def test_capacity_is_where_the_engine_stops_earning(bars):
    """Impact alone, from the cash the figure names: the mean net return is nearly gone."""

    def run_with(cash: float) -> BacktestTables:
        config = TradingConfig(
            universe={"main": "test"},
            trading={"initial_cash": cash},
            backtest={
                "bootstrap_samples": 100,
                "commission_bps": 0,
                "impact_coefficient": 0.5,
                "spread_eras": [{"until": None, "half_spread_bps": 0, "reason": "none"}],
            },
        )
        own = make_targets(bars).filter(
            (pl.col("strategy") == "tilted") & (pl.col("ts") > bars["ts"].unique().sort()[30])
        )
        return run_strategies(bars, own, config, baselines=())

    first = run_with(1e6)
    stored = first.metrics.filter(metric="capacity").to_dicts()[0]
    assert stored["ci_low"] <= stored["value"] <= stored["ci_high"]
    before = first.equity["net_return"].mean()
    after = run_with(stored["value"]).equity["net_return"].mean()
    assert before > 0
    assert abs(after) < 0.05 * before


def test_without_volume_there_is_no_capacity_and_a_reason(close_only_bars, settings):
    done = run_strategies(
        close_only_bars, make_targets(close_only_bars), settings, baselines=("one_over_n",)
    )
    row = done.metrics.filter(pl.col("metric") == "capacity").to_dicts()[0]
    assert row["value"] is None
    assert "volume or volatility is unknown for 100.0% of the fills" in row["note"]
    assert set(done.slices["dimension"]) == {"year", "month", "calendar_month", "symbol", "side"}


def test_a_day_belongs_to_the_regime_known_the_day_before(bars, states):
    ts = bars["ts"].unique().sort()
    labels = slices.day_labels(ts, states, "test")
    for dimension in ("market", "volatility"):
        known = dict(states[dimension].select("ts", "state").rows())
        for position in (0, 20, 21, 22, 150):
            assert labels[dimension][position] == known.get(ts[position], "unknown")
    # bars 24 and 123 are high and low, in the first and the second stretch of 120 bars
    assert labels["market_volatility"][24] == "bull_high_volatility"
    assert labels["market_volatility"][123] == "bear_low_volatility"
    assert labels["market_volatility"][20] == "unknown"
    assert len(labels["year"]) == len(ts) - 1
    assert labels["month"][0] == ts[1].strftime("%Y-%m")


def test_slices_by_hand(done):
    """Sharpe ratio in bear markets, return of a year and profit of a symbol from other tables."""
    run_id = done.runs.filter(strategy="hedged")["run_id"][0]
    equity = done.equity.filter(run_id=run_id).sort("ts")
    of = {
        (row["dimension"], row["slice"], row["metric"]): row["value"]
        for row in done.slices.filter(run_id=run_id).iter_rows(named=True)
    }
    year = equity.filter(pl.col("ts").dt.year() == 2010)["net_return"].drop_nulls().to_numpy()
    assert of["year", "2010", "total_return"] == pytest.approx(np.prod(1 + year) - 1)
    assert of["year", "2010", "sharpe"] == pytest.approx(metrics.calculate_sharpe(year))
    theirs = done.equity.filter(strategy="one_over_n").sort("ts")
    theirs = theirs.filter(pl.col("ts").dt.year() == 2010)["net_return"].drop_nulls().to_numpy()
    assert of["year", "2010", "excess_return"] == pytest.approx(
        np.prod(1 + year) - np.prod(1 + theirs)
    )
    trips = done.round_trips.filter(run_id=run_id)
    short = trips.filter(side="short")
    assert short.height
    assert of["side", "short", "profit"] == pytest.approx(short["profit"].sum())
    assert of["side", "short", "trip_win_rate"] == pytest.approx((short["profit"] > 0).mean())
    own = trips.filter(symbol="S01")
    value = own["shares"] * own["entry_price"]
    assert of["symbol", "S01", "trip_mae"] == pytest.approx(
        (own["mae"] * value).sum() / value.sum()
    )


def test_short_slices_say_so(done):
    rows = done.slices.filter((pl.col("dimension") == "calendar_month") & (pl.col("n") < 60))
    assert rows.height
    assert rows["value"].null_count() == rows.height
    assert rows["note"].str.starts_with("too few days").all()


# --- checks: each passes on what the room computes and fails on data made wrong -----------------


def answer(group, done: BacktestTables, states, settings, **changed: pl.DataFrame):
    frames = done.by_table() | {f"backtest.{name}": frame for name, frame in changed.items()}
    inputs = {f"{dimension}_states": table for dimension, table in states.items()}
    context = CheckContext(frames=frames, inputs=inputs, config=settings)
    (found,) = group.answer(context)
    return found


@pytest.mark.parametrize("group", figures_checks.ALL, ids=lambda group: group.specs[0].name)
def test_checks_pass_on_honest_tables(group, done, states, settings):
    assert group.specs[0].blocking
    found = answer(group, done, states, settings)
    assert found.passed, found.message


@pytest.mark.parametrize("metric", [*figures_checks.FROM_RETURNS, *figures_checks.FROM_BOTH])
def test_metrics_check_fails_on_any_invented_figure(metric, done, states, settings):
    mine = (pl.col("metric") == metric) & (pl.col("strategy") == "tilted")
    cooked = done.metrics.with_columns(
        value=pl.when(mine).then(pl.col("value") + 1e-3).otherwise("value")
    )
    found = answer(
        figures_checks.METRICS_FOLLOW_FROM_EQUITY, done, states, settings, metrics=cooked
    )
    assert f"tilted: {metric} is" in found.message


def test_metrics_check_fails_on_lost_figures_and_odd_intervals(done, states, settings):
    group = figures_checks.METRICS_FOLLOW_FROM_EQUITY
    mine = (pl.col("metric") == "kelly") & (pl.col("strategy") == "tilted")
    lost = answer(group, done, states, settings, metrics=done.metrics.filter(~mine))
    assert "figures each" in lost.message
    turned = done.metrics.with_columns(ci_low=pl.when(mine).then(9.0).otherwise("ci_low"))
    assert "interval of kelly" in answer(group, done, states, settings, metrics=turned).message
    silent = done.metrics.with_columns(
        pl.when(mine).then(None).otherwise(name).alias(name)
        for name in ("value", "ci_low", "ci_high")
    ).with_columns(note=pl.when(mine).then(pl.lit("")).otherwise("note"))
    assert "null without a reason" in answer(group, done, states, settings, metrics=silent).message


@pytest.mark.parametrize(
    "change",
    [
        {"profit": pl.col("profit") + 1},
        {"cost": pl.col("cost") * 1.01},
        {"opened_at": pl.col("closed_at").dt.offset_by("1d")},
        {"mfe": pl.lit(0.0)},
        {"mae": pl.lit(0.0)},
        {"trip_return": pl.lit(0.0)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_round_trips_check_fails_on_cooked_trips(change, done, states, settings):
    cooked = done.round_trips.with_columns(**change)
    found = answer(
        figures_checks.ROUND_TRIPS_ARE_EQUITY, done, states, settings, round_trips=cooked
    )
    assert not found.passed


def test_round_trips_check_fails_on_lost_trips(done, states, settings):
    fewer = done.round_trips.filter(pl.col("number") > 0)
    found = answer(figures_checks.ROUND_TRIPS_ARE_EQUITY, done, states, settings, round_trips=fewer)
    assert "miss the change of equity" in found.message


@pytest.mark.parametrize(
    "dimension", ["year", "month", "calendar_month", "market", "volatility", "market_volatility"]
)
def test_slices_check_fails_on_lost_days(dimension, done, states, settings):
    group = figures_checks.SLICES_ADD_UP
    first = done.slices.filter(dimension=dimension)["slice"].sort()[0]
    lost = done.slices.filter((pl.col("dimension") != dimension) | (pl.col("slice") != first))
    assert f"{dimension} has" in answer(group, done, states, settings, slices=lost).message


@pytest.mark.parametrize(
    ("metric", "message"), [("total_return", "it grows to"), ("profit", "it earns")]
)
def test_slices_check_fails_on_invented_figures(metric, message, done, states, settings):
    cooked = done.slices.with_columns(
        value=pl.when(pl.col("metric") == metric).then(pl.col("value") * 1.001).otherwise("value")
    )
    found = answer(figures_checks.SLICES_ADD_UP, done, states, settings, slices=cooked)
    assert message in found.message


def test_every_table_has_what_the_checks_read(done):
    for contract in (contracts.ROUND_TRIPS, contracts.SLICES):
        assert done.by_table()[contract.table].height
