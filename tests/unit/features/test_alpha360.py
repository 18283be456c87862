"""Alpha360: sixty sessions over today's. Its values are compared with qlib's in test_alpha158."""

from __future__ import annotations

import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.features import alpha360
from btq_assets.features.families import FAMILY


def test_a_value_is_a_price_of_then_over_todays(make_bars):
    bars = make_bars(2, 70)
    frame = alpha360.compute(bars).filter(pl.col("symbol") == "S01")
    own = bars.filter(pl.col("symbol") == "S01")
    assert len(alpha360.NAMES) == 360
    for name, column in (("close", "adj_close"), ("low", "adj_low"), ("volume", "volume")):
        today = own["volume" if name == "volume" else "adj_close"][65]
        assert frame[f"alpha360_{name}_59"][65] == pytest.approx(own[column][6] / today, rel=1e-6)
        assert frame[f"alpha360_{name}_59"][:59].is_null().all()
    assert (frame["alpha360_close_0"] == 1).all()


def test_a_session_without_volume_has_no_ratio_of_volumes(make_bars):
    silent = pl.int_range(pl.len()) == 10
    bars = make_bars(1, 20).with_columns(volume=pl.when(silent).then(0.0).otherwise("volume"))
    frame = alpha360.compute(bars)
    assert frame["alpha360_volume_0"][10] is None
    assert frame["alpha360_volume_1"][11] == 0
    assert alpha360.compute(bars, ["volume_0"], compatible=True)["alpha360_volume_0"][10] == 0


@pytest.mark.parametrize("name", ["alpha158", "alpha360"])
def test_named_sets_are_in_the_graph_where_they_are_named(name):
    assert FAMILY[name].enabled(TradingConfig(features={"named_sets": [name]}))
    assert not FAMILY[name].enabled(TradingConfig(features={"named_sets": []}))
