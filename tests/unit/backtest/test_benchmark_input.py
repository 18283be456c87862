"""An index of another length, or with bars at other times, next to the market it is shown with."""

from __future__ import annotations

import polars as pl
import pytest

from btq_assets.backtest.run import BENCHMARK_STRATEGY, run_strategies
from btq_assets.config import TradingConfig
from btq_assets.timeline import decision_times


@pytest.fixture
def settings() -> TradingConfig:
    return TradingConfig(universe={"main": "test"}, backtest={"bootstrap_samples": 200})


def tables(bars, index, settings):
    """1/N of the market, with `index` beside it as the benchmark."""
    symbols = sorted(bars["symbol"].unique().to_list())
    targets = pl.DataFrame(
        [
            ("one_over_n", "test", symbol, ts, 1 / len(symbols))
            for ts in decision_times(bars["ts"], "week")
            for symbol in symbols
        ],
        schema=["strategy", "universe", "symbol", "ts", "weight"],
        orient="row",
    )
    own = index.with_columns(universe=pl.lit("benchmark"), symbol=pl.lit("^SP500"))
    return run_strategies(pl.concat([bars, own]), targets, settings, baselines=("one_over_n",))


def equity_of(done, strategy):
    return done.equity.filter(pl.col("strategy") == strategy).sort("ts")


def test_another_length_is_shown_over_its_own_days(bars, close_only_bars, settings):
    """The market's own numbers do not change, nothing is filled in, and comparisons leave it out."""
    index = close_only_bars.filter(pl.col("symbol") == "S00").sort("ts")
    whole = tables(bars, index, settings)
    short = tables(bars, index.head(index.height - 20), settings)
    ours = equity_of(short, "one_over_n")
    assert ours["equity"].equals(equity_of(whole, "one_over_n")["equity"])
    shown = equity_of(short, BENCHMARK_STRATEGY)
    assert shown.height == ours.height - 20
    assert shown["ts"].equals(ours["ts"].head(shown.height))
    assert BENCHMARK_STRATEGY not in short.comparisons["strategy"].to_list()


def test_bars_at_other_times_are_no_benchmark(bars, close_only_bars, settings):
    """Closes of another exchange, five hours earlier: no instant is shared, no row is shown."""
    index = close_only_bars.filter(pl.col("symbol") == "S00")
    done = tables(bars, index.with_columns(pl.col("ts").dt.offset_by("-5h")), settings)
    assert done.runs["strategy"].to_list() == ["one_over_n"]
    assert equity_of(done, BENCHMARK_STRATEGY).is_empty()
