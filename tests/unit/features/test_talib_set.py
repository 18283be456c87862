"""TA-Lib's indicators: its own values brought to scale, wherever a history begins."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import polars_talib
import pytest
from polars.testing import assert_frame_equal

from btq_assets.contracts.features.talib import INDICATORS, PATTERNS, column_name
from btq_assets.features import talib_set
from btq_assets.features.stretches import LONG_DAYS, PERIOD_DAYS, Bars
from btq_assets.features.talib_calls import CALLS, LEFT_OUT

REFERENCE = Path(__file__).with_name("talib_values.npz")
FIELDS = ("open", "high", "low", "close", "volume")


def _bars(fields: dict[str, np.ndarray], start: dt.date = dt.date(2010, 1, 4)) -> pl.DataFrame:
    """Bars of one symbol; no corporate actions, so adjusted prices are the raw ones."""
    rows = len(fields["close"])
    stamps = pl.date_range(start, start + dt.timedelta(days=rows * 2), "1d", eager=True)
    stamps = stamps.filter(stamps.dt.weekday() <= 5).head(rows)
    return pl.DataFrame(
        {
            "universe": "us_ohlcv",
            "symbol": "A",
            "ts": stamps.cast(pl.Datetime("us", "UTC")) + dt.timedelta(hours=21),
            **fields,
            **{f"adj_{name}": fields[name] for name in FIELDS[:4]},
        }
    )


def _walk(rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    close = 30 * np.exp(np.cumsum(random.normal(0, 0.02, rows)))
    opened = close * np.exp(random.normal(0, 0.01, rows))
    high = np.maximum(opened, close) * np.exp(random.exponential(0.005, rows))
    low = np.minimum(opened, close) * np.exp(-random.exponential(0.005, rows))
    return dict(zip(FIELDS, (opened, high, low, close, random.lognormal(12, 0.5, rows)), strict=True))  # fmt: skip


def test_every_function_of_talib_is_here_or_said_to_be_left_out():
    groups = polars_talib._NEW_GROUPS.values()
    known = {*polars_talib.get_functions(), *(name for group in groups for name in group)}
    used = {call.function for call in CALLS.values()} | {"mavp"}
    used |= {"linearreg_angle"}  # made from the slope: the angle of a price has no scale
    assert len(known) == 201
    assert used | set(LEFT_OUT) == known
    assert not used & set(LEFT_OUT)


def test_values_are_those_of_talibs_own_package():
    # TA-Lib 0.8.2 on the same bars; see talib_values.py. The bars lie in one stretch that begins
    # with them, so nothing was dropped before it.
    with np.load(REFERENCE) as stored:
        expected = dict(stored)
    bars = {name: expected.pop(f"bar_{name}") for name in FIELDS}
    found = talib_set.compute(_bars(bars))
    close = bars["close"][150::7]
    forms = {
        column_name(name, chosen): CALLS[name].form
        for name, parameters, *_ in (*INDICATORS, *((f"cdl{p}", ((),)) for p in PATTERNS))
        if name in CALLS
        for chosen in parameters
    }
    assert set(expected) == {column for column, *_ in talib_set.calls()}
    assert len(expected) > 390
    for column in expected:
        form = {
            "level": lambda x: x / close - 1,
            "price": lambda x: x / close,
            "plain": lambda x: x,
        }.get(forms[column], np.sign)  # type: ignore[arg-type]
        values = form(expected[column])
        scale = np.abs(values).mean() + 1e-9
        np.testing.assert_allclose(
            found[column].to_numpy()[150::7], values, rtol=2e-6, atol=2e-6 * scale, err_msg=column
        )
    patterns = [name for name in expected if "_cdl" in name]
    assert sum(np.any(expected[name] != 0) for name in patterns) >= 25


def test_cumulative_indicators_by_hand():
    fields = _walk(60)
    found = talib_set.compute(_bars(fields)).tail(1)
    h, low, c, v = (fields[name] for name in FIELDS[1:])

    def last(name: str) -> float:
        return found[f"talib_{name}"][0]

    n = 10
    signed = np.sign(np.diff(c)) * v[1:]
    assert last("obv_10") == pytest.approx(signed[-n:].sum() / v[-n:].sum(), rel=1e-5)
    flow = ((c - low) - (h - c)) / (h - low) * v
    assert last("ad_10") == pytest.approx(flow[-n:].sum() / v[-n:].sum(), rel=1e-5)
    trend = np.diff(c) / c[:-1] * v[1:]
    assert last("pvt_5") == pytest.approx(trend[-5:].sum() / v[-5:].sum(), rel=1e-5)
    calm = np.where(np.diff(v) < 0, c[1:] / c[:-1], 1.0)
    assert last("nvi_20") == pytest.approx(calm[-20:].prod() - 1, rel=1e-5)
    busy = np.where(np.diff(v) > 0, c[1:] / c[:-1], 1.0)
    assert last("pvi_20") == pytest.approx(busy[-20:].prod() - 1, rel=1e-5)
    range_per_share = (h - low) / v
    assert last("marketfi_5") == pytest.approx(range_per_share[-1] / range_per_share[-5:].mean(), rel=1e-5)  # fmt: skip
    assert last("maxindex_20") == pytest.approx((19 - np.argmax(c[-20:])) / 20)
    slope = np.polyfit(np.arange(14), c[-14:], 1)[0]
    assert last("linearreg_angle_14") == pytest.approx(np.degrees(np.arctan(slope / c[-1])), rel=1e-5)  # fmt: skip
    assert last("var_5") == pytest.approx(np.var(c[-5:]) / c[-1] ** 2, rel=1e-4)


def test_first_values_come_after_the_stated_lookback(make_bars):
    # No change of stretch in the first sessions: 2010-01-04 is day 14,613, 13 days into period 20.
    frame = talib_set.compute(make_bars(1, 200))
    found = {f.name: frame[f.name].is_not_null().arg_max() for f in talib_set.FEATURES}
    assert found == {f.name: f.lookback_sessions for f in talib_set.FEATURES}


def test_recursive_values_have_forgotten_what_came_before_their_stretch():
    # Averages run once over everything, against those started anew: the weights of what was
    # dropped are below 1e-12 for these, so float32 shows no difference.
    fields = _walk(1900)
    bars = _bars(fields)
    found = talib_set.compute(bars)
    days = Bars.of(bars).days
    later = (days // PERIOD_DAYS) * PERIOD_DAYS - LONG_DAYS > days[0]
    assert later.sum() > 300
    price = pl.DataFrame(fields)
    for name, expression in {
        "ema_50": polars_talib.ema(pl.col("close"), 50) / pl.col("close") - 1,
        "rsi_20": polars_talib.rsi(pl.col("close"), 20),
        "adx_20": polars_talib.adx(pl.col("high"), pl.col("low"), pl.col("close"), 20),
        "macd_signal_12_26_9": polars_talib.macd(pl.col("close"), 12, 26, 9).struct.field("macdsignal") / pl.col("close"),
        "tema_20": polars_talib.tema(pl.col("close"), 20) / pl.col("close") - 1,
    }.items():  # fmt: skip
        whole = price.select(expression).to_series().cast(pl.Float32).to_numpy()[later]
        np.testing.assert_allclose(found[f"talib_{name}"].to_numpy()[later], whole, rtol=1e-6, atol=1e-7)  # fmt: skip


@pytest.mark.parametrize("dropped", [137, 400])
def test_a_tail_has_the_bits_of_the_whole(dropped):
    bars = _bars(_walk(2300, seed=3))
    whole = talib_set.compute(bars)
    tail = talib_set.compute(bars.slice(dropped))
    session = bars["ts"][dropped]
    settled = session + dt.timedelta(days=PERIOD_DAYS + LONG_DAYS)
    kept = pl.col("ts") > settled
    assert whole.filter(kept).height > 400
    assert_frame_equal(tail.filter(kept), whole.filter(kept), check_exact=True)
    assert talib_set.memory_sessions() > PERIOD_DAYS + LONG_DAYS


def test_a_later_split_changes_nothing(make_bars):
    bars = make_bars(1, 300)
    half = bars.with_columns(pl.col("adj_open", "adj_high", "adj_low", "adj_close") / 2)
    assert_frame_equal(talib_set.compute(half), talib_set.compute(bars), check_exact=True)


def test_rows_without_volume_are_left_out_and_windows_without_movement_are_null(make_bars):
    bars = make_bars(1, 100)
    holed = bars.with_columns(volume=pl.when(pl.int_range(pl.len()) != 50).then("volume"))
    assert talib_set.compute(holed).height == 99
    assert talib_set.compute(make_bars(1, 100, ohlcv=False)).is_empty()
    still = bars.with_columns(pl.lit(7.0).alias(n) for n in bars.columns if n.endswith(("open", "high", "low", "close")))  # fmt: skip
    frame = talib_set.compute(still)
    for name in ("rsi_14", "adx_14", "cci_20", "correl_20", "stoch_k_5_3_3", "bop", "roc_10"):
        assert frame[f"talib_{name}"].is_null().all(), name
    assert (frame["talib_sma_20"].drop_nulls() == 0).all()
