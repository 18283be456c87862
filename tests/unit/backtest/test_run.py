"""Tables of the backtest room: contracts, terms, comparisons, and checks that must fail."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pandas as pd
import polars as pl
import pytest

from btq_assets.backtest import checks, figures
from btq_assets.backtest.market import BacktestError, Market
from btq_assets.backtest.run import (
    BENCHMARK_STRATEGY,
    BacktestTables,
    run_strategies,
    trial_inputs,
    union_of_targets,
)
from btq_assets.config import TradingConfig
from btq_assets.contracts import backtest as contracts
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.checks import CheckContext
from btq_assets.engine import metrics
from btq_assets.timeline import decision_times

BASELINES = ("buy_and_hold", "one_over_n")
TABLES = (
    contracts.RUNS,
    contracts.EQUITY,
    contracts.TRADES,
    contracts.POSITIONS,
    contracts.METRICS,
    contracts.COMPARISONS,
    contracts.ROUND_TRIPS,
    contracts.SLICES,
)


@pytest.fixture
def settings() -> TradingConfig:
    return TradingConfig(universe={"main": "test"}, backtest={"bootstrap_samples": 200})


def make_targets(bars: pl.DataFrame) -> pl.DataFrame:
    """1/N, buy and hold, and a candidate that leans on the first symbol; weekly."""
    symbols = sorted(bars["symbol"].unique().to_list())
    decisions = decision_times(bars["ts"], "week")
    rows = []
    for strategy in (*BASELINES, "tilted"):
        for number, ts in enumerate(decisions):
            if strategy == "buy_and_hold" and number:
                break
            equal = [1 / len(symbols)] * len(symbols)
            tilt = [0.4 + 0.1 * (number % 3), *[0.1] * (len(symbols) - 1)]
            weights = tilt if strategy == "tilted" else equal
            rows += [
                (strategy, "test", symbol, ts, weight)
                for symbol, weight in zip(symbols, weights, strict=True)
                if weight
            ]
    return pl.DataFrame(
        rows, schema=["strategy", "universe", "symbol", "ts", "weight"], orient="row"
    )


def run(bars, targets, config) -> BacktestTables:
    return run_strategies(bars, targets, config, baselines=BASELINES, code_version="t")


def test_tables_satisfy_their_contracts_with_and_without_raw_prices(
    bars, close_only_bars, settings
):
    for source, has_impact in ((bars, True), (close_only_bars, False)):
        done = run(source, make_targets(source), settings)
        for contract in TABLES:
            frame = cast_to_contract(done.by_table()[contract.table], contract)
            assert frame.height
            assert violations(frame, contract).is_empty(), contract.table
        known = done.trades["impact_cost"].drop_nulls()
        assert (known.sum() > 0) == has_impact
        note = "impact not charged"
        assert done.runs["notes"].str.contains(note).all() == (not has_impact)


def test_costs_follow_the_era_of_the_fill(close_only_bars, settings):
    """A fill is charged the configured commission and the half-spread of its date."""
    early = TradingConfig(
        universe={"main": "test"},
        backtest={
            "spread_eras": [
                {"until": "2010-06-01", "half_spread_bps": 30, "reason": "a"},
                {"until": None, "half_spread_bps": 3, "reason": "b"},
            ]
        },
    )
    trades = run(close_only_bars, make_targets(close_only_bars), early).trades.with_columns(
        value=pl.col("shares").abs() * pl.col("price")
    )
    rate = trades["spread_cost"] / trades["value"]
    before = (trades["filled_at"] < dt.datetime(2010, 6, 1, tzinfo=dt.UTC)).to_numpy()
    assert np.allclose(rate.to_numpy(), np.where(before, 30e-4, 3e-4))
    executed = trades["value"] + trades["shares"].sign() * trades["spread_cost"]
    assert np.allclose(trades["commission"], executed * 1e-4)


def test_all_runs_share_the_days_and_start_at_the_first_decision(bars, settings):
    targets = make_targets(bars)
    third = decision_times(bars["ts"], "week")[2]
    late = targets.filter((pl.col("strategy") != "tilted") | (pl.col("ts") >= third))
    done = run(bars, late, settings)
    assert done.runs["first_ts"].unique().to_list() == [targets["ts"].min()]
    assert done.runs["last_ts"].unique().to_list() == [bars["ts"].max()]
    notes = dict(done.runs.select("strategy", "notes").iter_rows())
    assert "in cash until its first decision" in notes["tilted"]
    assert done.equity["strategy"].value_counts()["count"].n_unique() == 1


def test_a_position_that_is_closed_leaves_a_row_of_zero(bars, settings):
    targets = make_targets(bars).filter(pl.col("strategy") == "tilted")
    sold = sorted(targets["ts"].unique())[3]
    targets = targets.filter((pl.col("symbol") != "S01") | (pl.col("ts") < sold))
    positions = run_strategies(bars, targets, settings, baselines=()).positions
    after = positions.filter((pl.col("symbol") == "S01") & (pl.col("ts") > sold))
    assert after["shares"].to_list() == [0.0]


def test_positions_and_equity_tell_the_same_story(bars, settings):
    done = run(bars, make_targets(bars), settings)
    invested = done.positions.group_by("run_id", "ts").agg(pl.col("value").sum())
    both = invested.join(done.equity, on=["run_id", "ts"])
    assert both.height == invested.height
    gap = (both["cash"] + both["value"] - both["equity"]).abs().max()
    assert gap < 1e-9 * settings.trading.initial_cash


def test_benchmark_is_shown_and_never_compared(bars, close_only_bars, settings):
    index = close_only_bars.filter(pl.col("symbol") == "S00").with_columns(
        universe=pl.lit("benchmark"), symbol=pl.lit("^SP500")
    )
    done = run(pl.concat([bars, index]), make_targets(bars), settings)
    row = done.runs.filter(pl.col("strategy") == BENCHMARK_STRATEGY).to_dicts()[0]
    assert row["role"] == "benchmark"
    assert "not comparable" in row["notes"]
    path = done.equity.filter(pl.col("strategy") == BENCHMARK_STRATEGY).sort("ts")
    price = index.sort("ts").filter(pl.col("ts") >= path["ts"][1])["adj_close"]
    assert path["equity"][-1] == pytest.approx(1e6 * price[-1] / price[0])
    for table in (done.comparisons, done.trades, done.positions):
        assert BENCHMARK_STRATEGY not in table["strategy"].to_list()


def test_same_input_same_tables_and_names_follow_content(bars, settings):
    targets = make_targets(bars)
    first, second = (run(bars, targets, settings) for _ in range(2))
    for name, frame in first.by_table().items():
        assert frame.equals(second.by_table()[name]), name
    other = run(bars.with_columns(pl.col("adj_close") * 1.01), targets, settings)
    assert not set(first.runs["run_id"]) & set(other.runs["run_id"])
    assert trial_inputs(first.details[0], settings)["purpose"] == "baseline"


def test_comparisons_are_paired_to_one_over_n_and_the_best_baseline(bars, settings):
    done = run(bars, make_targets(bars), settings)
    sharpe = dict(
        done.metrics.filter(pl.col("metric") == "sharpe").select("strategy", "value").iter_rows()
    )
    best = max(BASELINES, key=lambda name: sharpe[name])
    rows = done.comparisons.filter(pl.col("strategy") == "tilted")
    assert set(rows["against"]) == {"one_over_n", best}
    row = rows.filter(pl.col("against") == "one_over_n").to_dicts()[0]
    wide = done.equity.pivot(on="strategy", index="ts", values="net_return").drop_nulls()
    expected = (wide["tilted"] - wide["one_over_n"]).mean() * 252
    assert row["mean_difference_annual"] == pytest.approx(expected, rel=1e-12)
    assert row["sharpe_difference"] == pytest.approx(sharpe["tilted"] - sharpe["one_over_n"])
    assert row["ci_low_annual"] < expected < row["ci_high_annual"]
    assert row["n"] == wide.height


def test_intervals_contain_their_figure_and_widen_with_noise(settings):
    """Interval of a mean of independent returns: about 1.96 standard errors each side."""
    returns = np.random.default_rng(0).normal(1.5e-3, 0.01, 2_000)
    found = figures.mean_intervals(returns, settings.backtest)
    low, high = found["expectancy"]
    error = returns.std(ddof=1) / np.sqrt(returns.size)
    assert low < returns.mean() < high
    assert (high - low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.2)
    noisy = figures.mean_intervals(3 * returns, settings.backtest)["expectancy"]
    assert noisy[1] - noisy[0] == pytest.approx(3 * (high - low), rel=1e-9)
    assert figures.mean_intervals(np.zeros(10), settings.backtest) == {}
    for name, figure in {
        "sharpe": metrics.calculate_sharpe,
        "sortino": metrics.calculate_sortino,
        "annual_return": metrics.annual_return,
        "annual_volatility": metrics.annual_volatility,
        "win_rate": metrics.win_rate,
    }.items():
        low, high = found[name]
        assert low < figure(returns) < high
        # the interval is centred on its figure, give or take the noise of 200 resamples
        assert abs((low + high) / 2 - figure(returns)) < 0.3 * (high - low)


def test_impact_volatility_is_known_before_the_bar(bars):
    """Row t is the deviation of the 21 returns that ended at t - 1: pandas, shifted by one."""
    market = Market.from_bars(bars, "test")
    prices = pd.DataFrame(market.mark_prices)
    expected = prices.pct_change().rolling(21).std().shift(1).to_numpy()
    assert np.allclose(market.volatility, expected, equal_nan=True)


def test_best_baseline_is_by_realised_sharpe_and_ignores_cash():
    returns = {"a": np.array([0.01, 0.02]), "b": np.array([0.01, 0.03]), "cash": np.zeros(2)}
    assert figures.best_baseline(returns, ("a", "b", "cash")) == "a"
    assert figures.best_baseline(returns, ("cash",)) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"symbol": pl.lit("NOPE")}, r"symbol\(s\) \['NOPE'\] are not in universe test"),
        ({"universe": pl.lit("fx")}, r"universe\(s\) \['fx'\]; only 'test' is traded"),
        ({"weight": pl.lit(float("nan"))}, "weight of S00 at .* is nan"),
        ({"weight": pl.lit(None, dtype=pl.Float64)}, "is None"),
        ({"ts": pl.col("ts").dt.offset_by("1h")}, "is not the end of a bar"),
        ({"weight": pl.lit(0.9)}, "absolute weights sum to 3.6, the limit is 1"),
    ],
)
def test_targets_that_do_not_fit_are_named(bars, settings, change, message):
    targets = make_targets(bars).filter(pl.col("strategy") == "tilted").with_columns(**change)
    with pytest.raises(ValueError, match=message):
        run_strategies(bars, targets, settings, baselines=())


def test_other_refusals_are_named(bars, settings):
    targets = make_targets(bars)
    with pytest.raises(BacktestError, match="two weights at one decision"):
        run_strategies(bars, pl.concat([targets, targets]), settings, baselines=())
    with pytest.raises(BacktestError, match="no targets"):
        run_strategies(bars, targets.clear(), settings, baselines=())
    with pytest.raises(BacktestError, match="no bars of universe 'us20'"):
        Market.from_bars(bars, "us20")
    with pytest.raises(BacktestError, match=r"strategy\(ies\) .*tilted.* are in two of"):
        union_of_targets({"a": targets, "b": targets})


# --- checks: each passes on what the room computes and fails on data made wrong -----------------


def context(bars, settings, **changed: pl.DataFrame) -> CheckContext:
    targets = make_targets(bars)
    frames = run(bars, targets, settings).by_table()
    frames |= {f"backtest.{name}": frame for name, frame in changed.items()}
    is_baseline = pl.col("strategy").is_in(BASELINES)
    return CheckContext(
        frames=frames,
        inputs={
            "bars": bars,
            "rank": targets.filter(~is_baseline),
            "baselines": targets.filter(is_baseline),
        },
        config=settings,
    )


def outcome(group, found: CheckContext):
    (answer,) = group.answer(found)
    return answer


@pytest.mark.parametrize("group", checks.ALL, ids=lambda group: group.specs[0].name)
def test_checks_pass_on_honest_tables(group, bars, close_only_bars, settings):
    assert group.specs[0].blocking
    for source in (bars, close_only_bars):
        answer = outcome(group, context(source, settings))
        assert answer.passed, answer.message


@pytest.mark.parametrize("column", ["equity", "cash", "shares", "commission"])
def test_identity_check_fails_on_cooked_books(bars, settings, column):
    table = "trades" if column in ("shares", "commission") else "equity"
    honest = run(bars, make_targets(bars), settings).by_table()[f"backtest.{table}"]
    middle = pl.int_range(pl.len()) == pl.len() // 2
    cooked = honest.with_columns(pl.when(middle).then(pl.col(column) + 1.0).otherwise(column))
    answer = outcome(checks.ACCOUNTING_IDENTITY, context(bars, settings, **{table: cooked}))
    assert not answer.passed
    assert "differ by" in answer.message


def test_identity_check_fails_when_bars_are_lost(bars, settings):
    honest = run(bars, make_targets(bars), settings).equity
    answer = outcome(
        checks.ACCOUNTING_IDENTITY, context(bars, settings, equity=honest.slice(0, 500))
    )
    assert not answer.passed


def test_fill_check_fails_on_a_fill_at_the_deciding_bar_or_without_a_decision(bars, settings):
    trades = run(bars, make_targets(bars), settings).trades
    same_bar = trades.with_columns(filled_at="decided_at")
    answer = outcome(checks.NO_FILL_ON_DECIDING_BAR, context(bars, settings, trades=same_bar))
    assert not answer.passed
    assert "decided at" in answer.message
    invented = trades.with_columns(pl.col("decided_at").dt.offset_by("-1h"))
    answer = outcome(checks.NO_FILL_ON_DECIDING_BAR, context(bars, settings, trades=invented))
    assert "nothing was decided" in answer.message


def test_not_hollow_check_fails_when_equity_ignores_prices(bars, settings):
    equity = run(bars, make_targets(bars), settings).equity
    flat = equity.with_columns(equity=pl.lit(1e6))
    answer = outcome(checks.NOT_HOLLOW, context(bars, settings, equity=flat))
    assert not answer.passed
    assert "moved equity by" in answer.message


def test_not_hollow_check_fails_when_the_engine_ignores_prices(bars, settings, monkeypatch):
    honest = checks.simulate_weights
    found = context(bars, settings)
    market = Market.from_bars(bars, "test").since(found.inputs["rank"]["ts"].min())
    monkeypatch.setattr(checks, "simulate_weights", lambda _, *rest: honest(market, *rest))
    assert not outcome(checks.NOT_HOLLOW, found).passed


def test_same_terms_check_fails_on_cheaper_or_shorter_runs(bars, settings):
    done = run(bars, make_targets(bars), settings)
    mine = pl.col("strategy") == "tilted"
    cheap = done.trades.with_columns(spread_cost=pl.when(mine).then(0.0).otherwise("spread_cost"))
    free = done.trades.with_columns(commission=pl.when(mine).then(0.0).otherwise("commission"))
    for trades in (cheap, free):
        answer = outcome(checks.SAME_COSTS_SAME_DAYS, context(bars, settings, trades=trades))
        assert not answer.passed
        assert "not those of the configuration" in answer.message
    shorter = done.equity.filter(~mine | (pl.col("ts") < done.equity["ts"].max()))
    answer = outcome(checks.SAME_COSTS_SAME_DAYS, context(bars, settings, equity=shorter))
    assert "different days" in answer.message
    other = json.dumps({"commission_bps": 0})
    runs = done.runs.with_columns(
        costs_json=pl.when(mine).then(pl.lit(other)).otherwise("costs_json")
    )
    answer = outcome(checks.SAME_COSTS_SAME_DAYS, context(bars, settings, runs=runs))
    assert "runs differ in costs_json" in answer.message
