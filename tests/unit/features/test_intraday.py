"""Intraday family: plain windows by hand, nights left out, nothing before its bar was known."""

from __future__ import annotations

import datetime as dt

import intraday_frames
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from btq_assets.config import TradingConfig
from btq_assets.contracts import features as contracts
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.checks import CheckContext
from btq_assets.evidence.truncation import cut_inputs
from btq_assets.features import intraday
from btq_assets.features.checks import truncation_gate
from btq_assets.features.families import FAMILY

FIRST = dt.datetime(2011, 1, 3, 14, 30, tzinfo=dt.UTC)


def bars(closes: list[list[float]], *, freq: int = 5, opens: list[float] | None = None):
    """Sessions of bars of one symbol; each session opens at its first value of `opens`."""
    rows = []
    for day, session in enumerate(closes):
        for place, close in enumerate(session):
            ts = FIRST + dt.timedelta(days=day, minutes=freq * (place + 1))
            start = opens[day] if opens and not place else session[max(place - 1, 0)]
            rows.append((ts, start, close))
    return pl.DataFrame(
        {
            "universe": "test", "symbol": "A",
            "ts": [row[0] for row in rows], "known_at": [row[0] for row in rows],
            "open": [row[1] for row in rows], "close": [row[2] for row in rows],
            "volume": [1000.0 + 7 * n for n in range(len(rows))],
        }
    ).with_columns(pl.col("ts", "known_at").dt.cast_time_unit("us"))  # fmt: skip


@pytest.fixture
def walk() -> list[list[float]]:
    steps = np.random.default_rng(8).normal(0, 0.003, (3, 30))
    return (100 * np.exp(np.cumsum(steps, axis=1))).tolist()


def test_each_feature_is_its_formula(walk):
    # Plain numpy over the moves of 20 bars, a night's replaced by that from the open.
    opens = [99.0, 101.0, 98.0]
    frame = bars(walk, opens=opens)
    found = intraday.compute({"5m": frame})
    assert found["freq"].unique().to_list() == ["5m"]
    moves = []
    for day, session in enumerate(walk):
        moves += [np.log(session[0] / opens[day]), *np.diff(np.log(session))]
    at = 35  # five bars into the second session: the window reaches over the night
    q = np.array(moves[at - 19 : at + 1])
    level = np.cumsum(moves)[at - 19 : at + 1]
    value = (frame["close"] * frame["volume"]).to_numpy()[at - 19 : at + 1]
    last = q[-14:]
    expected = {
        "intraday_return": q[-1],
        "intraday_trend_20": q.sum() / (q.std(ddof=1) * 20**0.5),
        "intraday_rsi_14": 100 * last[last > 0].sum() / np.abs(last).sum(),
        "intraday_volatility_20": q.std(ddof=1),
        "intraday_range_position_20": (level[-1] - level.min()) / (level.max() - level.min()),
        "intraday_log_value_ratio_20": np.log(value[-1] / value.mean()),
    }
    row = found.row(at, named=True)
    for name, wanted in expected.items():
        assert row[name] == pytest.approx(wanted, rel=1e-6, abs=1e-9), name


def test_a_split_over_the_night_changes_nothing(walk):
    opens = [99.0, 101.0, 98.0]
    split = [[price / (1, 4, 4)[day] for price in session] for day, session in enumerate(walk)]
    plain = intraday.compute({"5m": bars(walk, opens=opens)})
    frame = bars(split, opens=[99.0, 101 / 4, 98 / 4])
    # Four shares for one: four times as many change hands at a quarter of the price.
    frame = frame.with_columns(
        volume=pl.col("volume") * pl.when(pl.col("ts") > FIRST + dt.timedelta(days=1)).then(4).otherwise(1)
    )  # fmt: skip
    assert_frame_equal(intraday.compute({"5m": frame}), plain, rel_tol=1e-6, abs_tol=1e-7)


def test_without_an_open_the_first_move_after_a_night_is_unknown(walk):
    found = intraday.compute({"5m": bars(walk).with_columns(open=pl.lit(None, pl.Float64))})
    unknown = found["intraday_return"].is_null().arg_true().to_list()
    assert unknown == [0, 30, 60]
    whole = found["intraday_volatility_20"].is_not_null().arg_true().to_list()
    assert whole == [*range(20, 30), *range(50, 60), *range(80, 90)]


def test_lengths_and_symbols_stand_side_by_side(make_bars, families, config):
    given = {"bars": make_bars(2, 40, seed=3)}
    given |= intraday_frames.timeframes(given["bars"])
    found = families["intraday"](given, config)
    assert found["freq"].unique(maintain_order=True).sort().to_list() == ["15m", "1h", "1m", "5m"]
    alone = intraday.compute({"1h": given["bars_1h"].filter(symbol="S01")})
    mine = found.filter(symbol="S01", freq="1h")
    assert_frame_equal(mine, alone)
    cast = cast_to_contract(found, contracts.INTRADAY)
    assert violations(cast, contracts.INTRADAY).is_empty()
    assert intraday.compute({}).is_empty()


def test_a_row_is_known_when_its_last_bar_was(walk, config):
    frame = bars(walk)
    late = dt.timedelta(minutes=90)
    known = pl.when(pl.int_range(pl.len()) == 10).then(pl.col("ts") + late).otherwise("ts")
    found = intraday.compute({"5m": frame.with_columns(known_at=known)})
    behind = found["known_at"][10]
    assert behind == found["ts"][10] + late
    # Windows that hold the late bar cannot be known before it.
    assert (found["known_at"][11:20] == behind).all()
    assert (found["known_at"][30:] == found["ts"][30:]).all()


def _tomorrow(inputs, config):
    frame = FAMILY["intraday"].compute(inputs, config)
    return frame.with_columns(
        intraday_rsi_14=pl.col("intraday_rsi_14").shift(-1).over("universe", "symbol", "freq")
    )


def test_the_gate_passes_the_family_and_catches_a_later_bar(walk):
    config = TradingConfig()
    inputs = {f"bars_{freq}": bars(walk) for freq in ("1m", "5m", "15m", "1h")}
    for compute, passes in ((FAMILY["intraday"].compute, True), (_tomorrow, False)):
        gate = truncation_gate(contracts.INTRADAY, compute, symbols=1)
        frames = {"features.intraday": compute(inputs, config)}
        (outcome,) = gate.answer(CheckContext(frames, inputs, config))
        assert outcome.passed == passes, outcome.message
    cut = FIRST + dt.timedelta(days=1, minutes=60)
    again = FAMILY["intraday"].compute(cut_inputs(inputs, cut), config)
    kept = FAMILY["intraday"].compute(inputs, config).filter(pl.col("known_at") <= cut)
    assert_frame_equal(again, kept)


def test_spoilt_bars_leave_the_others_alone(walk):
    frame = bars(walk)
    spoilt = frame.with_columns(
        close=pl.when(pl.int_range(pl.len()) == 40).then(-1.0).otherwise("close"),
        volume=pl.lit(0.0),
    )
    found = intraday.compute({"5m": spoilt})
    assert found.height == frame.height - 1
    assert found["intraday_log_value_ratio_20"].is_null().all()
    assert found["intraday_trend_20"].is_not_null().any()
    still = intraday.compute(
        {"5m": frame.with_columns(pl.lit(5.0).alias(c) for c in ("open", "close"))}
    )
    assert still["intraday_trend_20"].is_null().all()
    assert still["intraday_volatility_20"].drop_nulls().unique().to_list() == [0.0]
