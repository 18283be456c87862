"""Replaying a stored period gives the orders, fills and equity of its backtest.

The peer is the engine itself: batch features, `rank_targets`, then `simulate_orders` (orders) and
`simulate` (target weights) over the same bars.
"""

from __future__ import annotations

from pathlib import Path

import live_cases as cases
import numpy as np
import polars as pl
import pytest

from btq_assets.backtest.market import Market
from btq_assets.backtest.run import costs_of, simulate_weights
from btq_assets.config import TradingConfig
from btq_assets.engine import (
    Account,
    OrderCosts,
    orders_from_targets,
    simulate_orders,
    stream_from_panels,
)
from btq_assets.engine.costs import BPS
from btq_assets.execution.live import LiveSettings, LiveTradingEngine, ReplayFeed
from btq_assets.execution.live.tables import journal_tables
from btq_assets.execution.live.targets import load_forecaster
from btq_assets.models.training_set import session_returns
from btq_assets.portfolio.ranks import rank_targets
from btq_assets.timeline import decision_times

SETTINGS = LiveSettings(daily_loss=None, drawdown=0.9)


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    return cases.market()


@pytest.fixture(scope="module", params=["ridge", "lightgbm"])
def model(request, bars, tmp_path_factory) -> Path:
    return cases.fit_model(bars, tmp_path_factory.mktemp("model") / request.param, request.param)


def same(found, expected) -> None:
    """Equal to 1e-9 of the value, or of the largest where one is the rest of a subtraction."""
    expected = np.asarray(expected)
    scale = 1e-9 * np.nanmax(np.abs(expected), initial=0.0)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=scale)


def live(bars, model, folder, config, settings=SETTINGS, **more):
    start = bars["ts"].unique().sort()[-90]
    engine = LiveTradingEngine(
        config, True, model, feed=ReplayFeed(bars, start), folder=folder, settings=settings, **more
    )
    summary = engine.start()
    return summary, journal_tables(folder / "engine.journal", cases.UNIVERSE)


def batch_weights(bars, model, config: TradingConfig, every: str) -> tuple[Market, np.ndarray]:
    """Weights of the batch from the first live bar on."""
    start = bars["ts"].unique().sort()[-90]
    features, _ = cases.features_of(bars, config)
    ts = bars["ts"].unique().sort()
    decides = ts if every == "bar" else decision_times(ts, "week")
    decides = decides.filter(decides >= start)
    forecaster, now = load_forecaster(model), pl.col("ts").is_in(decides.implode())
    panel = features.filter(now)
    if forecaster.history_sessions:
        returns = session_returns(bars)
        panel = features.join(returns, on=cases.KEY, how="left").with_columns(is_decision=now)
    forecasts = forecaster.predict(panel)
    forecasts = forecasts.with_columns(
        variant=pl.lit("base"), horizon_sessions=config.models.horizon_sessions
    )
    targets = rank_targets({"model": forecasts}, bars, None, config)
    own = Market.from_bars(bars, cases.UNIVERSE)
    return own.since(start), own.since(start).weights(
        targets.filter(pl.col("strategy") == "model"), "model"
    )


def backtest_orders(own: Market, weights: np.ndarray, config: TradingConfig, bars: pl.DataFrame):
    """The same through the event engine."""
    wide = {
        name: bars.filter(pl.col("ts") >= own.ts[0])
        .sort("ts", "symbol")[name]
        .to_numpy()
        .reshape(len(own.ts), -1)
        for name in ("adj_open", "adj_high", "adj_low", "adj_close", "volume")
    }
    costs = costs_of(own, config)
    stream = stream_from_panels(
        own.ts.dt.epoch("us").to_numpy() * 1_000,
        wide["adj_close"],
        open=wide["adj_open"],
        high=wide["adj_high"],
        low=wide["adj_low"],
        volume=wide["volume"],
        half_spread=np.broadcast_to(costs.half_spread_bps, len(own.ts)) * BPS,
        volatility=own.volatility,
        symbols=own.symbols,
    )
    orders = orders_from_targets(
        stream.snapshots, weights, max_gross=config.portfolio.max_gross_exposure
    )
    return simulate_orders(
        stream,
        orders,
        Account(config.trading.initial_cash, on_short_cash="cut"),
        costs=OrderCosts(
            taker_bps=costs.commission_bps,
            maker_bps=costs.commission_bps,
            impact_coefficient=costs.impact_coefficient,
        ),
    )


@pytest.mark.parametrize("every", ["week", "bar"])
def test_orders_fills_and_equity_are_those_of_the_event_engine(
    bars, model, every, tmp_path
) -> None:
    config = cases.live_config()
    settings = LiveSettings(daily_loss=None, drawdown=0.9, decide="bar" if every == "bar" else None)
    summary, tables = live(bars, model, tmp_path, config, settings)
    own, weights = batch_weights(bars, model, config, every)
    peer = backtest_orders(own, weights, config, bars)
    equity = tables["execution.account"]["equity"].to_numpy()
    np.testing.assert_allclose(equity, peer.equity, rtol=1e-9)
    np.testing.assert_allclose(tables["execution.account"]["cash"], peer.cash, rtol=1e-9, atol=1e-3)
    asked = peer.orders[peer.orders["quantity"] != 0]
    # the backtest does not size what is decided on its last bar: nothing comes after it
    orders = tables["execution.orders"].filter(pl.col("decided_at") < own.ts[-1])
    assert summary.n_orders >= orders.height == asked.size > 50
    same(orders["quantity"], asked["quantity"])
    fills = tables["execution.fills"].sort("filled_at", "symbol")
    theirs = peer.fills[np.lexsort((peer.fills["asset"], peer.fills["time"]))]
    assert fills.height == theirs.size
    for mine, other in (
        ("quantity", "shares"),
        ("price", "price"),
        ("commission", "commission"),
        ("spread_cost", "spread"),
        ("impact_cost", "impact"),
    ):
        same(fills[mine], theirs[other])


@pytest.mark.slow
def test_a_saved_transformer_trades_as_its_backtest(bars, tmp_path) -> None:
    """It looks back on sessions and a graph of returns; ranks of its forecasts decide."""
    model = cases.fit_model(bars, tmp_path / "model", "transformer_gnn")
    config = cases.live_config()
    summary, tables = live(bars, model, tmp_path / "paper", config)
    own, weights = batch_weights(bars, model, config, "week")
    peer = backtest_orders(own, weights, config, bars)
    assert summary.n_decisions > 15
    decided = weights[np.isfinite(weights).all(axis=1)]
    assert np.unique(decided.argsort(axis=1), axis=0).shape[0] > 5
    np.testing.assert_allclose(tables["execution.account"]["equity"], peer.equity, rtol=1e-9)
    asked = peer.orders[peer.orders["quantity"] != 0]
    orders = tables["execution.orders"].filter(pl.col("decided_at") < own.ts[-1])
    same(orders["quantity"], asked["quantity"])
    assert tables["execution.fills"].height == peer.fills.size > 50


def test_equity_is_that_of_the_strategies_backtest(bars, model, tmp_path) -> None:
    """`simulate`, through which every strategy of the house is backtested, where cash suffices."""
    base = cases.live_config()
    config = base.model_copy(
        update={
            "portfolio": base.portfolio.model_copy(update={"target_volatility_annual": 0.05}),
        }
    )
    _, tables = live(bars, model, tmp_path, config)
    own, weights = batch_weights(bars, model, config, "week")
    peer = simulate_weights(own, weights, costs_of(own, config), config)
    assert peer.n_scaled_bars == 0
    assert peer.fills.size > 50
    np.testing.assert_allclose(tables["execution.account"]["equity"], peer.equity, rtol=1e-9)
    assert tables["execution.fills"].height == peer.fills.size


def test_orders_that_cash_does_not_cover_are_cut_as_the_engine_cuts_them(bars, tmp_path) -> None:
    """All of equity in stocks that gap: some buys do not fit any more."""
    config = cases.live_config(max_position_size=1.0)
    symbols = sorted(bars["symbol"].unique())
    ts = bars["ts"].unique().sort()
    targets = cases.PlainTargets(symbols, gross=1.0)
    engine = LiveTradingEngine(
        config,
        targets=targets,
        feed=ReplayFeed(bars, ts[-40]),
        folder=tmp_path,
        settings=LiveSettings(daily_loss=None, drawdown=0.9, decide="bar"),
    )
    engine.start()
    tables = journal_tables(tmp_path / "engine.journal", cases.UNIVERSE)
    own = Market.from_bars(bars, cases.UNIVERSE).since(ts[-40])
    again = cases.PlainTargets(symbols, gross=1.0)
    again.n = len(ts) - 40
    rows = []
    for stamp in own.ts:
        again.observe(bars)
        rows.append(list(again.weights(stamp).values()))
    peer = backtest_orders(own, np.array(rows), config, bars)
    cut = peer.orders[(peer.orders["status"] == 4) & (peer.orders["filled"] != 0)]
    assert cut.size > 5
    np.testing.assert_allclose(tables["execution.account"]["equity"], peer.equity, rtol=1e-9)
    ended = tables["execution.orders"].filter(pl.col("reason") == "short_of_cash")
    assert ended.filter(pl.col("filled") != 0).height == cut.size


def test_close_only_bars_fill_at_the_next_close(tmp_path) -> None:
    bars = cases.market(3, 120, ohlcv=False)
    ts = bars["ts"].unique().sort()
    engine = LiveTradingEngine(
        cases.live_config(max_position_size=1.0),
        targets=cases.PlainTargets(sorted(bars["symbol"].unique())),
        feed=ReplayFeed(bars, ts[-10]),
        folder=tmp_path,
        settings=LiveSettings(decide="bar"),
    )
    engine.start()
    fills = journal_tables(tmp_path / "engine.journal", cases.UNIVERSE)["execution.fills"]
    closes = bars.select("symbol", filled_at="ts", close="adj_close")
    joined = fills.join(closes, on=["symbol", "filled_at"], how="left")
    assert fills["filled_at"].min() == ts[-9]
    assert joined["price"].to_list() == joined["close"].to_list()
