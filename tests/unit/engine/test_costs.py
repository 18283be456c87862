"""Half-spread by era."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from btq_assets.config import CostEra, TradingConfig
from btq_assets.engine.costs import CostModel, half_spread_by_era
from btq_assets.engine.errors import EngineError


def test_an_era_ends_the_day_before_its_until():
    days = pl.Series([dt.date(1997, 6, 23), dt.date(1997, 6, 24), dt.date(2001, 4, 9)])
    eras = TradingConfig().backtest.spread_eras
    assert half_spread_by_era(days, eras).tolist() == [15.0, 10.0, 2.0]
    stamps = pl.Series([dt.datetime(1997, 6, 23, 20, tzinfo=dt.UTC)])
    assert half_spread_by_era(stamps, eras).tolist() == [15.0]


def test_eras_out_of_order_are_refused():
    eras = [
        CostEra(until="2001-01-01", half_spread_bps=1, reason=""),
        CostEra(until="1999-01-01", half_spread_bps=2, reason=""),
        CostEra(until=None, half_spread_bps=3, reason=""),
    ]
    for wrong in (eras, eras[:1], []):
        with pytest.raises(EngineError, match="ordered by `until`"):
            half_spread_by_era(pl.Series([dt.date(2000, 1, 1)]), wrong)


def test_a_scalar_half_spread_holds_at_every_bar():
    assert np.allclose(CostModel(half_spread_bps=2.0).half_spread_by_bar(3), 2e-4)
