"""`QuantumFeatureEngine`: the families' own numbers, in the frame it was given."""

from __future__ import annotations

import datetime as dt

import instrument_frames
import intraday_frames
import numpy as np
import pandas as pd
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from btq_assets.config import TradingConfig
from btq_assets.contracts.features import feature_names
from btq_assets.features import FeatureError, QuantumFeatureEngine

RAW = ("open", "high", "low", "close", "volume")
ONE_SYMBOL = ("technical", "volatility", "microstructure", "quantum")


@pytest.fixture(scope="module")
def one(make_bars) -> pl.DataFrame:
    return make_bars(1, 400)


def test_polars_in_polars_out_with_the_values_of_the_families(one, families, config):
    found = QuantumFeatureEngine(config).engineer_features(one.select("ts", *RAW))
    for family in ONE_SYMBOL:
        expected = families[family]({"bars": one}, config).select(feature_names(family))
        assert_frame_equal(found.select(feature_names(family)), expected)
    assert found.columns[: len(RAW) + 1] == ["ts", *RAW]


def test_several_symbols_add_cross_asset_features_with_the_same_values(make_bars, families, config):
    bars = make_bars(3, 400)
    given = bars.select("symbol", "ts", *RAW).sample(fraction=1, shuffle=True, seed=1)
    found = QuantumFeatureEngine(config).engineer_features(given)
    assert_frame_equal(found.select(given.columns), given)
    for family in (*ONE_SYMBOL, "cross_asset"):
        expected = families[family]({"bars": bars}, config).drop("universe")
        assert_frame_equal(found.select(expected.columns).sort("symbol", "ts"), expected)


def test_pandas_in_pandas_out_keeps_index_and_order(one, config):
    frame = one.select("ts", *RAW).to_pandas().set_index("ts")
    frame.index = frame.index.tz_localize(None)
    frame.columns = [name.title() for name in frame.columns]
    shuffled = frame.sample(frac=1, random_state=2)
    found = QuantumFeatureEngine(config).engineer_features(shuffled)
    assert isinstance(found, pd.DataFrame)
    pd.testing.assert_frame_equal(found[list(shuffled.columns)], shuffled)
    expected = QuantumFeatureEngine(config).engineer_features(one.select("ts", *RAW))
    np.testing.assert_allclose(
        found.sort_index()["rsi_14"].to_numpy(), expected["rsi_14"].to_numpy(), rtol=1e-12
    )


def test_frames_without_times_or_volume_are_taken_in_order(one, config):
    frame = pd.DataFrame({"close": one["close"].to_numpy()})
    found = QuantumFeatureEngine(config).engineer_features(frame)
    assert found["return_1d"].iloc[-1] == pytest.approx(one["close"][-1] / one["close"][-2] - 1)
    assert found["amihud_21"].isna().all()
    assert found["parkinson_21_annual"].isna().all()


def test_an_adjusted_close_carries_over_to_the_range(one, config):
    # A constant factor moves nothing; without it nothing changes either.
    plain = one.select("ts", *RAW)
    adjusted = plain.with_columns((pl.col("close") * 0.5).alias("Adj Close"))
    names = [name for family in ONE_SYMBOL for name in feature_names(family)]
    engine = QuantumFeatureEngine(config)
    assert_frame_equal(
        engine.engineer_features(adjusted).select(names),
        engine.engineer_features(plain).select(names),
        rel_tol=1e-9,
        abs_tol=1e-11,
    )


def test_instruments_add_sectors_and_a_calendar_with_the_values_of_the_families(
    make_bars, families, config
):
    bars = make_bars(3, 300, universe="input")
    known = pl.DataFrame(
        {"symbol": ["S00", "S01", "S02"], "sector": ["Tech", "Tech", None], "calendar": "XNYS"}
    )
    engine = QuantumFeatureEngine(config)
    given = bars.select("symbol", "ts", *RAW)
    for frame in (known, known.to_pandas()):
        found = engine.engineer_features(given, instruments=frame)
        for family, on in (("sector_relative", ["symbol", "ts"]), ("calendar", ["ts"])):
            table = instrument_frames.instruments(bars).drop("sector", "calendar")
            instruments = table.join(known, on="symbol")
            expected = families[family]({"bars": bars, "instruments": instruments}, config)
            names = list(feature_names(family))
            mine = found.select(*on, *names).unique().sort(on)
            assert_frame_equal(mine, expected.select(*on, *names).sort(on))
    assert "calendar_week_phase_sin" not in engine.engineer_features(given).columns
    sectors = engine.engineer_features(given, instruments=known.drop("calendar"))
    assert "sector_relative_return_5d" in sectors.columns
    assert "calendar_sessions_into_month" not in sectors.columns


def test_shorter_bars_add_timeframes_and_have_features_of_their_own(make_bars, families, config):
    bars = make_bars(2, 120, universe="input")
    frames = {"bars": bars, **intraday_frames.timeframes(bars)}
    engine = QuantumFeatureEngine(config)
    shorter = {
        freq: frames[f"bars_{freq}"].select("symbol", "ts", *RAW)
        for freq in ("1m", "5m", "15m", "1h")
    }
    found = engine.engineer_features(bars.select("symbol", "ts", *RAW), shorter=shorter)
    names = ["symbol", "ts", *feature_names("multi_timeframe")]
    expected = families["multi_timeframe"](frames, config).select(names)
    assert_frame_equal(found.select(names).sort("symbol", "ts"), expected, rel_tol=1e-9)
    own = shorter["5m"].to_pandas()
    with_features = engine.engineer_intraday_features(own, "5m")
    wanted = families["intraday"](frames, config).filter(freq="5m")
    pd.testing.assert_frame_equal(with_features[list(own.columns)], own)
    np.testing.assert_allclose(
        with_features.sort_values(["symbol", "ts"])["intraday_trend_20"].to_numpy(),
        wanted.sort("symbol", "ts")["intraday_trend_20"].to_numpy(),
        rtol=1e-6,
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"instruments": pl.DataFrame({"symbol": ["input"]})}, "sector or calendar"),
        ({"instruments": pl.DataFrame({"symbol": ["a", "a"], "sector": "x"})}, "symbol twice"),
        ({"shorter": {"5min": pl.DataFrame()}}, "no bar length is called"),
    ],
)
def test_what_cannot_be_read_beside_the_bars_is_named(settings, message, one, config):
    with pytest.raises(FeatureError, match=message):
        QuantumFeatureEngine(config).engineer_features(one.select("ts", *RAW), **settings)


def test_shorter_bars_need_the_times_the_daily_ones_ended(one, config):
    dated = one.select("ts", *RAW).with_columns(pl.col("ts").dt.truncate("1d"))
    with pytest.raises(FeatureError, match="dated, not timed"):
        QuantumFeatureEngine(config).engineer_features(dated, shorter={"5m": dated})
    with pytest.raises(FeatureError, match="no bar length is called '2m'"):
        QuantumFeatureEngine(config).engineer_intraday_features(dated, "2m")


def test_a_subclass_adds_expressions_that_stay_within_a_symbol(make_bars, config):
    class Mine(QuantumFeatureEngine):
        def custom_features(self, frame):
            return [
                (pl.col("close") / pl.col("close").shift(1)).alias("gross_return"),
                (pl.col("rsi_14") / 100).alias("rsi_share"),
            ]

    given = make_bars(2, 60).select("symbol", "ts", *RAW)
    found = Mine(config).engineer_features(given)
    firsts = found.group_by("symbol", maintain_order=True).first()
    assert firsts["gross_return"].is_null().all()
    np.testing.assert_allclose(found["rsi_share"] * 100, found["rsi_14"], rtol=1e-14)


def test_a_subclass_may_return_a_frame(one, config):
    class Mine(QuantumFeatureEngine):
        def custom_features(self, frame):
            return frame.select("symbol", "ts", answer=pl.lit(42.0))

    found = Mine(config).engineer_features(one.select("ts", *RAW))
    assert found["answer"].to_list() == [42.0] * one.height


def test_switches_reach_the_engine(one):
    config = TradingConfig(use_quantum_features=False)
    found = QuantumFeatureEngine(config).engineer_features(one.select("ts", *RAW))
    assert found["oscillator_energy"].is_null().all()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: f.clear(), "no rows"),
        (lambda f: f.drop("close"), "no close"),
        (lambda f: pl.concat([f, f.head(1)]), "row .*repeated"),
        (lambda f: f.with_columns(high=pl.col("low") - 1), "high .* is below low"),
        (lambda f: f.with_columns(close=pl.lit("x")), "'close' holds String"),
        (lambda f: f.with_columns(ts=pl.lit("2020-01-01")), "time column holds String"),
        (lambda f: f.with_columns(rsi_14=pl.lit(1.0)), "already has column"),
    ],
)
def test_frames_that_cannot_be_read_are_named(spoil, message, one, config):
    with pytest.raises(FeatureError, match=message):
        QuantumFeatureEngine(config).engineer_features(spoil(one.select("ts", *RAW)))


def test_custom_features_that_do_not_fit_are_named(one, config):
    class Clash(QuantumFeatureEngine):
        def custom_features(self, frame):
            return [pl.col("close").alias("rsi_14")]

    class NoKey(QuantumFeatureEngine):
        def custom_features(self, frame):
            return frame.select("close")

    with pytest.raises(FeatureError, match="rsi_14"):
        Clash(config).engineer_features(one.select("ts", *RAW))
    with pytest.raises(FeatureError, match="symbol"):
        NoKey(config).engineer_features(one.select("ts", *RAW))


def test_the_engine_never_sees_the_future(one, config):
    given = one.select("ts", *RAW)
    engine = QuantumFeatureEngine(config)
    full = engine.engineer_features(given)
    cut = one["ts"][320] + dt.timedelta(hours=1)
    again = engine.engineer_features(given.filter(pl.col("ts") <= cut))
    assert_frame_equal(again, full.head(321), rel_tol=1e-10, abs_tol=1e-12)
