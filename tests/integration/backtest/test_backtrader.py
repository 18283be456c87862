"""The engine against Backtrader, to the cent, at every bar, on twenty real stocks.

Both are given the same target weights; each sizes its own shares from its own equity and the
close of the deciding bar, and fills them at the next bar's price moved by the half-spread.
Backtrader's traps: without ``slip_open``, ``slip_match`` and ``slip_out`` its slippage is lost on
bars that do not move; with ``checksubmit`` it refuses orders at the wrong price; with
cheat-on-close it shows fills a bar late.
"""

from __future__ import annotations

import datetime as dt
import gzip
import importlib.resources
import io

import numpy as np
import pandas as pd
import polars as pl
import pytest

from btq_assets.engine.costs import CostModel
from btq_assets.engine.simulation import simulate
from btq_assets.timeline import decision_times

backtrader = pytest.importorskip("backtrader")

COMMISSION_BPS, HALF_SPREAD_BPS, CASH = 5.0, 8.0, 1_000_000.0


@pytest.fixture(scope="module")
def closes() -> pl.DataFrame:
    """Adjusted closes of skfolio's twenty stocks, 2000 to 2012 (the dot-com fall and 2008)."""
    file = importlib.resources.files("skfolio") / "datasets" / "data" / "sp500_dataset.csv.gz"
    frame = pl.read_csv(io.BytesIO(gzip.decompress(file.read_bytes())), try_parse_dates=True)
    frame = frame.rename({frame.columns[0]: "ts"}).with_columns(
        pl.col("ts").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    )
    first, last = dt.datetime(2000, 1, 1, tzinfo=dt.UTC), dt.datetime(2013, 1, 1, tzinfo=dt.UTC)
    return frame.filter(pl.col("ts").is_between(first, last))


@pytest.fixture(scope="module")
def targets(closes) -> np.ndarray:
    """Monthly weights that change every month and leave 1 % in cash: one month's rise can eat it."""
    n_assets = closes.width - 1
    table = np.full((closes.height, n_assets), np.nan)
    rows = np.flatnonzero(closes["ts"].is_in(decision_times(closes["ts"], "month").implode()))
    random = np.random.default_rng(5)
    table[rows] = 0.99 * random.dirichlet(np.full(n_assets, 2.0), rows.size)
    return table


def peer_equity(closes: pl.DataFrame, targets: np.ndarray) -> tuple[np.ndarray, int]:
    """Equity of each bar and the number of orders refused for want of cash, by Backtrader."""

    class Rebalance(backtrader.Strategy):
        def __init__(self):
            self.values, self.n_refused = [], 0

        def notify_order(self, order):
            self.n_refused += order.status == backtrader.Order.Margin

        def next(self):
            self.values.append(self.broker.getvalue())
            row = targets[len(self) - 1]
            if np.isnan(row[0]):
                return
            equity = self.broker.getvalue()
            orders = [
                (feed, weight * equity / feed.close[0] - self.getposition(feed).size)
                for feed, weight in zip(self.datas, row, strict=True)
            ]
            for feed, size in orders:
                if size < 0:
                    self.sell(data=feed, size=-size)
            for feed, size in orders:
                if size > 0:
                    self.buy(data=feed, size=size)

    engine = backtrader.Cerebro(stdstats=False)
    engine.addstrategy(Rebalance)
    index = pd.DatetimeIndex(closes["ts"].dt.replace_time_zone(None).to_numpy())
    for symbol in closes.columns[1:]:
        price = closes[symbol].to_numpy()
        frame = pd.DataFrame(
            dict.fromkeys(("open", "high", "low", "close"), price) | {"volume": 0.0}, index=index
        )
        engine.adddata(backtrader.feeds.PandasData(dataname=frame, openinterest=None))
    engine.broker.setcash(CASH)
    engine.broker.setcommission(commission=COMMISSION_BPS / 1e4)
    engine.broker.set_checksubmit(False)
    engine.broker.set_slippage_perc(
        HALF_SPREAD_BPS / 1e4, slip_open=True, slip_match=True, slip_out=True
    )
    (strategy,) = engine.run()
    return np.array(strategy.values), strategy.n_refused


def test_equity_agrees_with_backtrader_to_the_cent(closes, targets):
    prices = closes.drop("ts").to_numpy()
    done = simulate(
        prices,
        prices,
        targets,
        CostModel(commission_bps=COMMISSION_BPS, half_spread_bps=HALF_SPREAD_BPS),
        initial_cash=CASH,
        on_short_cash="reject",
    )
    values, n_refused = peer_equity(closes, targets)
    assert prices.shape[1] == 20
    assert (closes["ts"][-1] - closes["ts"][0]).days > 10 * 365
    assert done.n_refused_cash == n_refused >= 1
    assert done.fills.size > 2_000
    assert done.cost.sum() > 10_000
    assert np.abs(done.equity - values).max() < 0.01


def test_the_comparison_sees_a_hundredth_of_a_basis_point(closes, targets):
    """The agreement is not blunt: a half-spread wrong by a hundredth of a basis point shows."""
    short = closes.head(400)
    prices = short.drop("ts").to_numpy()
    values, _ = peer_equity(short, targets[:400])
    gaps = []
    for half_spread in (HALF_SPREAD_BPS, HALF_SPREAD_BPS + 0.01):
        costs = CostModel(commission_bps=COMMISSION_BPS, half_spread_bps=half_spread)
        done = simulate(
            prices,
            prices,
            targets[:400],
            costs,
            initial_cash=CASH,
            on_short_cash="reject",
        )
        gaps.append(np.abs(done.equity - values).max())
    assert gaps[0] < 0.01 < gaps[1]
