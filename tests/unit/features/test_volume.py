"""Volume family: profiles and means by hand, TA-Lib where it has the indicator, invariances."""

from __future__ import annotations

import datetime as dt

import intraday_frames
import numpy as np
import polars as pl
import polars_talib as talib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from btq_assets.contracts import core
from btq_assets.features import volume
from btq_assets.features.families import FAMILY
from btq_assets.features.kernels import volume_profile

ADJUSTED = ("adj_open", "adj_high", "adj_low", "adj_close")
RAW = ("open", "high", "low", "close")


@pytest.fixture(scope="module")
def bars(make_bars) -> pl.DataFrame:
    return make_bars(2, 130, seed=8)


@pytest.fixture(scope="module")
def frames(bars) -> dict[str, pl.DataFrame]:
    return {"bars": bars, **intraday_frames.timeframes(bars)}


def _profile(pieces: list[tuple[float, float, float]], n_bins: int, share: float = 0.7):
    low, high, size = (np.array(x, dtype=float) for x in zip(*pieces, strict=True))
    out = np.empty((1, 3))
    window = np.array([0]), np.array([len(pieces)])
    volume_profile.profiles(low, high, size, *window, n_bins, share, out)
    return out[0].tolist()


def test_a_profile_by_hand():
    # Bins of 1 from 10 to 15: 10, 30 + 10, 20 + 10, 10, 0 + 20 of 110 units; 77 are wanted. From
    # the fullest (11-12, 40) to the right (30: 70), then the right and the left have 10 each, and
    # the nearer, the left, is taken (80).
    pieces = [(10, 14, 40), (11, 12, 30), (12, 13, 20), (14, 15, 20)]
    assert _profile(pieces, 5) == pytest.approx([11.5, 10, 13])
    # Alone, a piece has its middle in the middle, and 70 % of the bins around it.
    assert _profile([(20, 30, 5)], 51) == pytest.approx([25, 20 + 10 * 8 / 51, 20 + 10 * 44 / 51])
    # All at one price; and nothing at all.
    assert _profile([(7, 7, 3), (7, 7, 1)], 51) == [7, 7, 7]
    assert np.isnan(_profile([(7, 9, 0)], 51)).all()


@settings(max_examples=60, deadline=None)
@given(
    pieces=st.lists(
        st.tuples(st.floats(10, 90), st.floats(0, 9), st.floats(0.1, 1e4)), min_size=1, max_size=12
    )
)
def test_a_value_area_holds_its_share_around_the_point_of_control(pieces):
    spread = [(low, low + height, size) for low, height, size in pieces]
    control, bottom, top = _profile(spread, 51)
    assert bottom <= control <= top
    inside = sum(
        size * max(0.0, min(high, top) - max(low, bottom)) / (high - low)
        if high - low > 1e-6
        else size * (bottom - 1e-6 <= low <= top + 1e-6)
        for low, high, size in spread
    )
    total = sum(size for _, _, size in spread)
    # A piece thinner than a bin counts within one bin, wherever in it.
    assert inside >= 0.7 * total * (1 - 1e-6) or any(h - lo < (top - bottom) for lo, h, _ in spread)


def test_oscillators_are_talibs(bars):
    one = bars.filter(symbol="S00")
    found = volume.compute(one)
    theirs = one.select(
        mfi=talib.mfi(pl.col("high"), pl.col("low"), pl.col("close"), pl.col("volume"), timeperiod=14),
        obv=talib.obv(pl.col("close"), pl.col("volume")),
        ad=talib.ad(pl.col("high"), pl.col("low"), pl.col("close"), pl.col("volume")),
    )  # fmt: skip
    shares = one["volume"].to_numpy()
    total = np.convolve(shares, np.ones(21))[: shares.size]
    change = theirs["obv"].to_numpy()
    line = theirs["ad"].to_numpy()
    for t in (25, 70, 129):
        assert found["money_flow_index_14"][t] == pytest.approx(theirs["mfi"][t], rel=1e-9)
        assert found["on_balance_volume_change_21"][t] == pytest.approx(
            (change[t] - change[t - 21]) / total[t], rel=1e-9
        )
        assert found["chaikin_money_flow_21"][t] == pytest.approx(
            (line[t] - line[t - 21]) / total[t], rel=1e-7
        )
        assert found["relative_volume_21"][t] == pytest.approx(shares[t] * 21 / total[t - 1])


def test_mean_prices_start_at_their_anchors(bars):
    one = bars.filter(symbol="S00")
    found = volume.compute(one)
    typical = ((one["high"] + one["low"] + one["close"]) / 3).to_numpy()
    shares, close = one["volume"].to_numpy(), one["close"].to_numpy()

    def distance(first: int, last: int) -> float:
        span = slice(first, last + 1)
        return close[last] / np.average(typical[span], weights=shares[span]) - 1

    t = 100
    month = int(np.argmax(one["ts"].dt.truncate("1mo") == one["ts"].dt.truncate("1mo")[t]))
    high = t - 62 + int(np.argmax(one["high"].to_numpy()[t - 62 : t + 1]))
    low = t - 62 + int(np.argmin(one["low"].to_numpy()[t - 62 : t + 1]))
    row = found.row(t, named=True)
    for name, first in {"session": t, "month": month, "high_63": high, "low_63": low}.items():
        assert row[f"vwap_distance_{name}"] == pytest.approx(distance(first, t), rel=1e-9), name


def _short_day(*rows: tuple[int, float, float, float, float]) -> pl.DataFrame:
    close = dt.datetime(2010, 1, 4, 21, tzinfo=dt.UTC)
    return pl.DataFrame(
        [
            {
                "universe": "test", "symbol": "S00", "ts": close - dt.timedelta(minutes=ago),
                "known_at": close - dt.timedelta(minutes=ago), "open": c, "high": h, "low": lo,
                "close": c, "volume": size, "n_bars": 1,
            }
            for ago, lo, h, c, size in rows
        ],
        schema=core.BARS_5M.schema,
    )  # fmt: skip


def test_five_minutes_say_where_in_the_session_volume_traded(make_bars):
    values = {"open": 100.0, "high": 110.0, "low": 90.0, "close": 100.0, "volume": 1000.0}
    day = make_bars(1, 1).with_columns(
        *(pl.lit(v).alias(c) for c, v in values.items()),
        *(pl.lit(values[c]).alias(f"adj_{c}") for c in RAW),
    )
    # 300 at 106 and 100 at 91, the other 600 at the session's mean of 100: by hand.
    five = _short_day((60, 105, 107, 106, 300), (5, 90, 92, 91, 100), (0, 90, 110, 100, 0))
    expected = 1000 / (300 * 1.06 + 100 * 0.91 + 600) - 1
    assert volume.compute(day, five)["vwap_distance_session"][0] == pytest.approx(expected)
    # Learnt an hour after the close they were of no use at the close.
    late = intraday_frames.later(five, dt.timedelta(hours=2))
    assert volume.compute(day, late)["vwap_distance_session"][0] == pytest.approx(0)


def test_order_flow_is_what_was_bought_less_what_was_sold(frames, config):
    found = FAMILY["volume"].compute(frames, config).filter(symbol="S01")
    by_session = (
        frames["trade_bars"]
        .filter(symbol="S01")
        .group_by(pl.col("ts").dt.date(), maintain_order=True)
        .agg(pl.col("bought_volume", "volume").sum())
    )
    b, q = by_session["bought_volume"].to_numpy(), by_session["volume"].to_numpy()
    assert found["order_flow_delta_1"][50] == pytest.approx((2 * b[50] - q[50]) / q[50])
    total = q[46:51].sum()
    assert found["order_flow_delta_5"][50] == pytest.approx((2 * b[46:51].sum() - total) / total)
    # Without trades, or where nobody says who crossed the spread, there is none.
    silent = frames["trade_bars"].with_columns(bought_volume=pl.lit(None, pl.Float64))
    for trades in (silent, silent.clear(), None):
        again = volume.compute(frames["bars"], frames["bars_5m"], trades)
        assert again["order_flow_delta_1"].is_null().all()
        assert again["point_of_control_distance_63"].is_not_null().any()


def test_splits_and_scale_change_nothing(frames, config):
    compute = FAMILY["volume"].compute
    expected = compute(frames, config)
    scaled = frames["bars"].with_columns(pl.col(*ADJUSTED) * 0.037)
    again = compute({**frames, "bars": scaled}, config)
    assert_frame_equal(again, expected, rel_tol=1e-8, abs_tol=1e-10)
    # 4 for 1 after session 70: before it prices are fourfold and shares a quarter.
    after = frames["bars"]["ts"].unique().sort()[70]
    factor = pl.when(pl.col("ts") <= after).then(4.0).otherwise(1.0)
    split = {
        name: frames[name].with_columns(pl.col(*RAW) * factor, volume=pl.col("volume") / factor)
        for name in ("bars", "bars_5m")
    }
    again = compute({**frames, **split}, config)
    assert_frame_equal(again, expected, rel_tol=1e-8, abs_tol=1e-10)


def test_spoilt_bars_give_values_or_null(bars, config):
    compute = FAMILY["volume"].compute
    still = bars.with_columns(pl.lit(7.0).alias(c) for c in (*RAW, *ADJUSTED))
    row = compute({"bars": still}, config).row(-1, named=True)
    assert row["money_flow_index_14"] is None
    assert row["point_of_control_distance_21"] == 0
    silent = bars.with_columns(volume=pl.lit(0.0))
    assert compute({"bars": silent}, config).select(volume.FEATURES[0].name).null_count().item()
    assert compute({"bars": bars.clear()}, config).is_empty()
    close_only = bars.with_columns(open=None, high=None, low=None, volume=None)
    assert compute({"bars": close_only}, config).is_empty()
    broken = bars.with_columns(
        volume=pl.when(pl.int_range(pl.len()) % 9 == 0).then(float("inf")).otherwise("volume")
    )
    assert compute({"bars": broken}, config).height < bars.height
