"""Microstructure family against hand-worked bars and simulated trades with a known spread."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from btq_assets.features import microstructure
from btq_assets.features.definitions import evaluate, has_columns, prepare

RAW = ("open", "high", "low", "close")


def _frame(make_bars, **columns) -> pl.DataFrame:
    """Bars of one symbol with raw and adjusted prices as given."""
    n_rows = len(columns["close"])
    adjusted = {f"adj_{name}": columns[name] for name in RAW if name in columns}
    return make_bars(1, n_rows).with_columns(
        pl.Series(name, np.asarray(values, dtype=float))
        for name, values in {**columns, **adjusted}.items()
    )


def test_one_day_of_corwin_schultz_by_hand(make_bars):
    # Two days with ranges 100-104 and 101-105, closes inside both, so no overnight adjustment.
    bars = _frame(make_bars, open=[102, 103], high=[104, 105], low=[100, 101], close=[102, 103], volume=[1, 1])  # fmt: skip
    beta = math.log(104 / 100) ** 2 + math.log(105 / 101) ** 2
    gamma = math.log(105 / 100) ** 2
    k = 3 - 2 * math.sqrt(2)
    alpha = (math.sqrt(2 * beta) - math.sqrt(beta)) / k - math.sqrt(gamma / k)
    expected = 2 * (math.exp(alpha) - 1) / (1 + math.exp(alpha))
    frame = prepare(bars)
    for stage in microstructure._STAGES:
        frame = frame.with_columns(e.over("symbol").alias(name) for name, e in stage.items())
    assert expected > 0
    assert frame["_corwin"][1] == pytest.approx(expected, rel=1e-12)


def test_corwin_schultz_takes_an_overnight_gap_out(make_bars):
    # The second day gaps up by 10: shifted down to yesterday's close, it is the first day again.
    flat = _frame(make_bars, open=[100, 100], high=[101, 101], low=[99, 99], close=[99, 100], volume=[1, 1])  # fmt: skip
    gap = _frame(make_bars, open=[100, 110], high=[101, 111], low=[99, 109], close=[99, 110], volume=[1, 1])  # fmt: skip
    estimates = []
    for bars in (flat, gap):
        frame = prepare(bars)
        for stage in microstructure._STAGES[:3]:
            frame = frame.with_columns(e.over("symbol").alias(name) for name, e in stage.items())
        estimates.append(frame["_alpha"][1])
    assert estimates[1] == pytest.approx(estimates[0], rel=1e-12)


@pytest.fixture(scope="module")
def trades(make_bars) -> pl.DataFrame:
    """2,100 days of trades at mid plus or minus half of a 2 % spread; mid moves 1 % a day."""
    random = np.random.default_rng(7)
    n_days, n_trades, half = 2_100, 390, 0.01
    mid = np.cumsum(random.normal(0, 0.01 / math.sqrt(n_trades), (n_days, n_trades)).ravel())
    price = np.exp(mid + half * random.choice([-1, 1], mid.size)).reshape(n_days, n_trades)
    return _frame(
        make_bars,
        open=price[:, 0],
        high=price.max(axis=1),
        low=price.min(axis=1),
        close=price[:, -1],
        volume=np.full(n_days, 1e6),
    )


@pytest.mark.parametrize(
    ("name", "window", "tolerance"),
    [
        # Corwin and Schultz (2012), table I, and Abdi and Ranaldo (2017), table 1, find their
        # estimators within about a tenth of a 2-3 % spread under near-ideal conditions; both
        # average estimates floored at zero, which pulls up where noise is large.
        ("corwin_schultz_spread_21", 21, 0.15),
        ("abdi_ranaldo_spread_21", 21, 0.15),
        ("roll_spread_63", 64, 0.10),
    ],
)
def test_spreads_are_recovered_from_simulated_trades(name, window, tolerance, trades):
    estimates = microstructure.compute(trades)[name].drop_nulls()[::window]
    error = estimates.std() / math.sqrt(estimates.len())
    assert estimates.mean() == pytest.approx(0.02, abs=3 * error + tolerance * 0.02)


def test_wider_spreads_give_wider_estimates(trades):
    wide = trades.with_columns(
        high=pl.col("high") * 1.01, low=pl.col("low") * 0.99,
        adj_high=pl.col("adj_high") * 1.01, adj_low=pl.col("adj_low") * 0.99,
    )  # fmt: skip
    name = "corwin_schultz_spread_21"
    narrow = microstructure.compute(trades)[name].mean()
    assert microstructure.compute(wide)[name].mean() - narrow == pytest.approx(0.02, rel=0.15)


def test_amihud_by_hand(make_bars):
    # Price alternates 100, 102: |return| is 2 % up and 1.9608 % down; one million traded a day.
    close = np.where(np.arange(44) % 2, 102.0, 100.0)
    bars = _frame(make_bars, open=close, high=close, low=close, close=close, volume=1e6 / close)
    expected = (11 * 0.02 + 10 * (2 / 102)) / 21  # the last of 21 returns is an upward one
    assert microstructure.compute(bars)["amihud_21"][-1] == pytest.approx(expected, rel=1e-10)


def test_amihud_leaves_out_sessions_without_trades(make_bars):
    bars = make_bars(1, 60)
    silent = bars.with_columns(
        volume=pl.when(pl.int_range(pl.len()).is_in([50, 55])).then(0.0).otherwise("volume")
    )
    r = np.abs(bars["adj_close"].to_numpy()[1:] / bars["adj_close"].to_numpy()[:-1] - 1)
    value = (bars["close"] * bars["volume"]).to_numpy()[1:] / 1e6
    kept = [n for n in range(38, 59) if n not in (49, 54)]
    expected = np.mean(r[kept] / value[kept])
    assert microstructure.compute(silent)["amihud_21"][-1] == pytest.approx(expected, rel=1e-10)


def test_kyle_lambda_finds_a_planted_slope(make_bars):
    # Log return = 0.003 times the signed root of the flow, so the regression is exact.
    random = np.random.default_rng(8)
    n_days, slope = 120, 0.003
    location = random.uniform(-0.9, 0.9, n_days)
    value = random.uniform(1, 9, n_days)
    flow = np.sign(location) * np.sqrt(np.abs(location) * value)
    close = 50 * np.exp(np.cumsum(slope * flow))
    high = close * 1.01
    # location = (2C - H - L) / (H - L) solved for L.
    low = (2 * close - high + location * -high) / (1 - location)
    bars = _frame(make_bars, open=close, high=high, low=low, close=close, volume=value * 1e6 / close)  # fmt: skip
    last = microstructure.compute(bars).row(-1, named=True)
    assert last["kyle_lambda_63"] == pytest.approx(slope, rel=1e-8)
    assert last["price_impact_63"] == pytest.approx(
        slope * math.sqrt(0.01 * value[-63:].mean()), rel=1e-8
    )
    assert last["money_flow_21"] == pytest.approx(
        np.sum(location[-21:] * value[-21:]) / value[-21:].sum(), rel=1e-8
    )


def test_vwap_is_that_of_adjusted_shares(make_bars):
    # A 2:1 split at session 30: raw prices halve, raw volumes double, adjusted prices do not jump.
    bars = make_bars(1, 60)
    split = pl.int_range(pl.len()) < 30
    factor = pl.when(split).then(2.0).otherwise(1.0)
    raw = bars.with_columns(
        *(pl.col(name) * factor for name in RAW), volume=pl.col("volume") / factor
    )
    names = ("distance_vwap_21", "dollar_volume_z_63", "amihud_21", "money_flow_21")
    before, after = microstructure.compute(bars), microstructure.compute(raw)
    assert after.select(names).equals(before.select(names), null_equal=True)
    close, volume = (bars[name].to_numpy()[-21:] for name in ("close", "volume"))
    vwap = np.sum(close * volume) / volume.sum()
    assert before["distance_vwap_21"][-1] == pytest.approx(close[-1] / vwap - 1, rel=1e-9)


def test_roll_is_zero_where_returns_trend(make_bars):
    # Returns repeat their sign in pairs-free blocks: positive autocovariance, no spread to see.
    trend = np.exp(np.cumsum(np.repeat([0.01, -0.01], 50)))
    bars = _frame(make_bars, open=trend, high=trend, low=trend, close=trend, volume=np.ones(100))
    frame = evaluate(
        has_columns(prepare(bars), ()), microstructure._STAGES, microstructure.FEATURES
    )
    assert frame["roll_spread_63"][-1] == 0
