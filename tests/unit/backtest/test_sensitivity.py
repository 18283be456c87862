"""The surface of a family: neighbours, signs, and what it says of markets with a known answer."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from btq_assets.backtest.controls.assets import sensitivity
from btq_assets.backtest.market import BacktestError, Market
from btq_assets.backtest.sensitivity import (
    Grid,
    momentum_surface,
    neighbours,
    sensitivity_table,
    surface,
)
from btq_assets.backtest.sweeps import Sweep, Terms
from btq_assets.contracts.checks import CheckContext
from btq_assets.engine.costs import CostModel

GRID = Grid(lookbacks=(21, 63), top_k=(1, 2, 30), every=(5, 21), thresholds=(0.0, 0.2))
TERMS = Terms(CostModel(1.0, 2.0), 1e5)


def trending(sign: float, n_bars: int = 600, n_assets: int = 6) -> Market:
    """Half of the assets rise and half fall for good; momentum is right, or wrong by `sign`."""
    random = np.random.default_rng(4)
    drift = np.where(np.arange(n_assets) % 2, 1e-3, -1e-3)
    moves = drift + random.normal(0, 0.002, (n_bars, n_assets))
    if sign < 0:
        # what rose for a month falls in the next
        flip = np.where((np.arange(n_bars) // 21) % 2, 1.0, -1.0)[:, None]
        moves = moves * flip
    prices = 100 * np.exp(np.cumsum(moves, axis=0))
    ts = pl.datetime_range(
        dt.datetime(2015, 1, 1, 21),
        dt.datetime(2015, 1, 1, 21) + dt.timedelta(days=n_bars - 1),
        "1d",
        time_zone="UTC",
        eager=True,
    ).dt.cast_time_unit("us")
    return Market("made", tuple("ABCDEF"), ts, prices, prices)


def made(**columns: list) -> pl.DataFrame:
    n = len(columns["mean_annual"])
    given = {
        "score": ["momentum_21"] * n,
        "top_k": [1] * n,
        "every": [5] * n,
        "threshold": [0.0] * n,
    }
    other = dict.fromkeys(("sharpe", "annual_return", "max_drawdown", "turnover_annual"), [0.0] * n)
    return pl.DataFrame({"number": list(range(n)), **given, **other, **columns})


def test_signs_of_neighbours_worked_by_hand():
    # Excess over a reference of 0.1 a year: +0.1, +0.3, -0.2 for top_k 1, 2, 3. The middle has two
    # neighbours, one of its sign; the ends have it alone. Means: 0.3, (0.1 - 0.2) / 2, 0.3.
    table = sensitivity_table(
        Sweep(made(top_k=[1, 2, 3], mean_annual=[0.2, 0.4, -0.1]), None, ()), 0.1 / 252, "u"
    )
    np.testing.assert_allclose(table["excess_annual"], [0.1, 0.3, -0.2])
    assert table["n_neighbours"].to_list() == [1, 2, 1]
    assert table["same_sign_share"].to_list() == [1.0, 0.5, 0.0]
    np.testing.assert_allclose(table["neighbour_excess_annual"], [0.3, -0.05, 0.3])
    alone = sensitivity_table(Sweep(made(mean_annual=[0.2]), None, ()), 0.0, "u")
    assert alone["same_sign_share"].to_list() == [None]


def test_neighbours_differ_in_one_parameter_by_one_step():
    sets = [(a, b) for a in (1, 5, 20) for b in (0.0, 0.2)]
    found = neighbours(sets)
    assert found[0] == [2, 1]
    assert sorted(found[2]) == [0, 3, 4]


def test_a_surface_says_where_momentum_works_and_where_it_does_not():
    works, done = momentum_surface(trending(1.0), TERMS, GRID, recorder=None, source=None)
    # 30 of 6 assets leaves nothing to choose and is left out
    assert works.height == 2 * 2 * 2 * 2 == done.table.height
    assert (works["excess_annual"] > 0.05).all()
    assert (works["same_sign_share"] == 1.0).all()
    cells, across, down = surface(works)
    assert cells.shape == (2, 2)
    assert (across, down) == (["best 1", "best 2"], ["21 sessions", "63 sessions"])
    fails, _ = momentum_surface(trending(-1.0), TERMS, GRID, recorder=None, source=None)
    assert (fails.filter(pl.col("lookback_sessions") == 21)["excess_annual"] < 0).all()


def test_a_surface_with_a_hole_or_a_wrong_share_is_refused():
    table, _ = momentum_surface(trending(1.0), TERMS, GRID, recorder=None, source=None)
    check = sensitivity.checks[0]

    def answer(frame: pl.DataFrame) -> bool:
        return check.answer(CheckContext({"backtest.sensitivity": frame}, {}, None))[0].passed

    assert answer(table)
    assert not answer(table.slice(1))
    assert not answer(table.with_columns(same_sign_share=pl.lit(0.5)))


def test_too_few_bars_are_named():
    with pytest.raises(BacktestError, match="needs 315 bars"):
        momentum_surface(trending(1.0, 300), TERMS, GRID, recorder=None, source=None)
    lonely = trending(1.0)
    lonely = replace(
        lonely,
        symbols=("A",),
        fill_prices=lonely.fill_prices[:, :1],
        mark_prices=lonely.mark_prices[:, :1],
    )
    with pytest.raises(BacktestError, match="2 symbols"):
        momentum_surface(lonely, TERMS, GRID, recorder=None, source=None)
