"""The notebook backtester and its scenarios."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest

from btq_assets.backtest import AdvancedBacktester, scenarios
from btq_assets.backtest.market import BacktestError

DAYS = [dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=day) for day in range(5)]
CLOSES = [10.0, 10.0, 11.0, 12.0, 12.0]


def one_asset() -> pl.DataFrame:
    return pl.DataFrame({"ts": DAYS, "close": CLOSES})


def final(tester: AdvancedBacktester) -> float:
    return tester.run().metrics["final_equity"]


def test_every_kind_of_frame_gives_the_same_hand_worked_equity():
    """All in at 10 on bar 1 (decided on bar 0): 1000 * 12 / 10; from then on nothing changes."""
    data = one_asset()
    pandas = data.to_pandas()
    indexed = pandas.set_index("ts").rename(columns={"close": "Close"})
    naive = indexed.tz_localize(None)
    for frame in (data, data.lazy(), pandas, indexed, naive, data.reverse()):
        tester = AdvancedBacktester(lambda history: 1.0, frame, 1_000, 0.0, decide="day")
        assert final(tester) == pytest.approx(1_200)
        assert tester.symbols == ("asset",)


def test_fills_at_the_next_open_where_there_is_one():
    data = one_asset().with_columns(open=pl.Series([9.0, 8.0, 11.0, 12.0, 12.0]))
    targets = pl.DataFrame({"ts": DAYS[:1], "asset": [0.5]})
    tester = AdvancedBacktester(targets, data, 1_000, 0.0)
    # 50 shares, sized at the close of 10, bought at the open of 8
    assert final(tester) == pytest.approx(1_000 - 50 * 8 + 50 * 12)
    assert tester.run().trades["price"].to_list() == [8.0]


def test_opens_are_adjusted_like_the_close():
    """Half of every price is adjustment: an open of 8 is filled at 4."""
    data = one_asset().with_columns(
        open=pl.Series([9.0, 8.0, 11.0, 12.0, 12.0]), adj_close=pl.col("close") / 2
    )
    tester = AdvancedBacktester(pl.DataFrame({"ts": DAYS[:1], "asset": [0.5]}), data, 1_000, 0.0)
    assert tester.run().trades["price"].to_list() == [4.0]


def test_commission_is_a_fraction_of_executed_value():
    targets = pl.DataFrame({"ts": DAYS[:1], "symbol": ["asset"], "weight": [0.5]})
    tester = AdvancedBacktester(targets, one_asset(), 1_000, 0.01)
    assert tester.run().metrics["total_cost"] == pytest.approx(5.0)


def test_a_callable_sees_nothing_after_the_deciding_bar():
    for data in (one_asset(), one_asset().to_pandas()):
        seen = []

        def strategy(history, seen=seen):
            seen.append((len(history), list(history["close"])[-1]))

        done = AdvancedBacktester(strategy, data, 1_000, 0.0, decide="day").run()
        assert seen == list(zip(range(1, 6), CLOSES, strict=True))
        assert done.trades.is_empty()


def test_weights_by_name_by_order_and_as_series(bars):
    forms = (
        lambda history: {"S02": 0.5},
        lambda history: [0, 0, 0.5, 0],
        lambda history: pd.Series({"S02": 0.5}),
    )
    values = [final(AdvancedBacktester(form, bars, 1e6, 0.001)) for form in forms]
    assert values[0] == values[1] == values[2]


def test_wide_pandas_targets_follow_symbol_names(bars):
    ts = sorted(bars["ts"].unique())[10]
    wide = pd.DataFrame({"S00": [0.5], "S03": [0.5]}, index=pd.DatetimeIndex([ts], name="date"))
    trades = AdvancedBacktester(wide, bars).run().trades
    assert trades["symbol"].to_list() == ["S00", "S03"]
    assert trades["decided_at"].unique().to_list() == [ts]


@pytest.mark.parametrize(
    ("strategy", "data", "message"),
    [
        (1.0, [1, 2], "data is a list"),
        (1.0, pl.DataFrame({"close": [1.0]}), "a time is needed"),
        (1.0, pl.DataFrame({"ts": DAYS, "price": CLOSES}), "needs close or adj_close"),
        (1.0, pl.DataFrame({"ts": DAYS, "close": [-1.0] * 5}), "prices must be positive"),
        (1.0, pl.DataFrame({"ts": [*DAYS[:4], DAYS[0]], "close": CLOSES}), "two bars at one time"),
        (1.0, pl.DataFrame({"ts": [None, *DAYS[1:]], "close": CLOSES}), "missing time"),
        (1.0, pl.DataFrame({"ts": DAYS, "close": [None] * 5}), "no row with a price"),
        (lambda h: {"X": 1.0}, one_asset(), r"unknown symbol\(s\) \['X'\]"),
        (lambda h: [1.0, 0.0], one_asset(), r"returned 2 weight\(s\) for 1 symbol"),
        (lambda h: 1.5, one_asset(), "sum to 1.5, the limit is 1"),
        (pl.DataFrame({"ts": DAYS[:1], "X": [1.0]}), one_asset(), "not in universe"),
        ("momentum", one_asset(), "data is a str"),
    ],
)
def test_bad_input_is_named(strategy, data, message):
    with pytest.raises(ValueError, match=message):
        AdvancedBacktester(strategy, data, 1_000, 0.0, decide="day").run()


def long_path() -> tuple[pl.DataFrame, np.ndarray]:
    """300 rising calm days, 300 falling wild ones, 300 flat calm ones."""
    random = np.random.default_rng(1)
    drift = np.repeat([0.002, -0.003, 0.0], 300)
    noise = random.normal(0, 1, 900) * np.repeat([0.002, 0.012, 0.001], 300)
    returns = drift + noise
    days = [dt.datetime(2015, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=day) for day in range(900)]
    return pl.DataFrame({"ts": days, "close": 100 * np.cumprod(1 + returns)}), returns


def test_scenarios_slice_one_path_by_what_was_known():
    data, _ = long_path()
    tester = AdvancedBacktester(lambda history: 1.0, data, 1_000, 0.0)
    results = tester.run_scenarios(["bull", "bear", "sideways", "high_volatility"])
    assert results["bull"].metrics["annual_return"] > 0.2
    assert results["bear"].metrics["annual_return"] < -0.2
    assert abs(results["sideways"].metrics["annual_return"]) < 0.2
    assert sum(results[name].n_days for name in ("bull", "bear", "sideways")) == 900 - 127
    assert results["high_volatility"].metrics["annual_volatility"] > 0.15
    with pytest.raises(BacktestError, match=r"unknown scenario\(s\) \['crash'\]"):
        tester.run_scenarios(["crash"])


def test_scenario_labels_do_not_move_when_the_data_are_cut():
    data, _ = long_path()
    market = scenarios.market_returns(data["close"].to_numpy()[:, None])
    full = scenarios.scenario_days(market)
    for cut in (200, 457, 899):
        part = scenarios.scenario_days(market[:cut])
        for name, days in part.items():
            assert np.array_equal(full[name][:cut], days), name
    changed = market.copy()
    changed[500] = 0.5  # the label of a day does not depend on the day itself
    for name, days in scenarios.scenario_days(changed).items():
        assert np.array_equal(full[name][:501], days[:501]), name


def test_few_days_give_no_figures_and_gaps_are_not_spliced():
    days = np.zeros(200, dtype=bool)
    days[10:40] = days[100:140] = True
    returns = np.full(200, 0.01)
    returns[39] = returns[100] = -0.1  # adjacent if the gap were cut out
    result = scenarios.slice_result("bull", returns, days)
    assert (result.n_days, result.n_episodes) == (70, 2)
    assert result.metrics["max_drawdown"] == pytest.approx(0.1)
    short = scenarios.slice_result("bull", returns, days & (np.arange(200) < 69))
    assert short.metrics == {}
    assert short.note == "too few days: 30, at least 60 are needed"


def test_report_names_figures_scenarios_and_definitions():
    data, _ = long_path()
    tester = AdvancedBacktester(lambda history: 1.0, data, 1_000, 0.001)
    report = tester.generate_report(tester.run_scenarios())
    for text in ("| sharpe |", "| bull |", "trailing 126-session", "commission 10 bps"):
        assert text in report
    assert "nan" not in report


def test_market_and_volatility_at_once_are_the_days_in_both():
    """300 rising calm days, 300 falling wild ones, 300 flat calm ones, each label a day late."""
    data, _ = long_path()
    tester = AdvancedBacktester(lambda history: 1.0, data, 1_000, 0.0, decide="day")
    results = tester.run_scenarios(["regimes", "combined", "bear_market_high_volatility"])
    days = scenarios.scenario_days(scenarios.market_returns(data["close"].to_numpy()[:, None]))
    for name in ("bull_low_volatility", "bear_high_volatility", "sideways_normal_volatility"):
        market, level = name.split("_", 1)
        assert results[name].n_days == (days[market] & days[level]).sum()
        assert results[name].definition == f"{market} and {level.replace('_', ' ')} at once"
    for market in ("bull", "bear", "sideways"):
        parts = [results[f"{market}_{v}_volatility"].n_days for v in ("low", "normal", "high")]
        labelled = days["low_volatility"] | days["normal_volatility"] | days["high_volatility"]
        assert sum(parts) == (days[market] & labelled).sum()
        assert results[market].n_days - sum(parts) in (0, 1)  # volatility is known a day later
    both = results["bear_high_volatility"]
    own = tester.run().equity["net_return"].to_numpy()[days["bear"] & days["high_volatility"]]
    assert both.n_days == own.size > 200
    assert both.metrics["annual_volatility"] == pytest.approx(own.std(ddof=1) * 252**0.5)
    assert both.metrics["annual_return"] < -0.2
    assert results["bear_market_high_volatility"] == both
    few = [result for result in results.values() if 0 < result.n_days < 60]
    assert few, "some pair is rare"
    assert all(r.metrics == {} and r.note.startswith("too few days") for r in few)


def test_both_states_at_once_come_from_the_tables_where_there_are_some():
    """Volatility of the table, trend of the data: each dimension has one source, and says which."""
    data, _ = long_path()
    levels = pl.DataFrame({"ts": data["ts"], "state": ["low"] * 450 + ["high"] * 450})
    tester = AdvancedBacktester(lambda history: 1.0, data, volatility_states=levels)
    results = tester.run_scenarios(["regimes", "bear_low_volatility", "bear_high_volatility"])
    assert results["high_volatility"].n_days == 449  # the label of a bar counts from the next on
    assert results["high_volatility"].definition.startswith("volatility state of the regimes room")
    assert results["bear_low_volatility"].n_days + results["bear_high_volatility"].n_days == (
        results["bear"].n_days
    )
    with pytest.raises(BacktestError, match="unknown scenario"):
        tester.run_scenarios(["volatile_high_volatility"])
