"""Multi-timeframe family: plain windows by hand, and no bar before it has ended and was known."""

from __future__ import annotations

import datetime as dt

import intraday_frames
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from btq_assets.contracts import features as contracts
from btq_assets.contracts.checks import CheckContext
from btq_assets.features import multi_timeframe
from btq_assets.features.checks import truncation_gate
from btq_assets.features.definitions import KEY, SYMBOL
from btq_assets.features.families import FAMILY

ADJUSTED = ("adj_open", "adj_high", "adj_low", "adj_close")


@pytest.fixture(scope="module")
def bars(make_bars) -> pl.DataFrame:
    return make_bars(2, 160, seed=6)


@pytest.fixture(scope="module")
def frames(bars) -> dict[str, pl.DataFrame]:
    return {"bars": bars, **intraday_frames.timeframes(bars)}


def _plain(closes: np.ndarray) -> dict[str, float]:
    """The four definitions, written down again over a list of closes."""
    r = np.diff(np.log(closes))
    low, high = min(closes[-20:]), max(closes[-20:])
    return {
        "trend_20": np.log(closes[-1] / closes[-21]) / (np.std(r[-20:], ddof=1) * 20**0.5),
        "rsi_14": 100 * sum(x for x in r[-14:] if x > 0) / sum(abs(r[-14:])),
        "volatility_20": np.std(r[-20:], ddof=1),
        "range_position_20": (closes[-1] - low) / (high - low),
    }


@pytest.mark.parametrize("freq", ["1m", "5m", "15m", "1h", "1d", "1w"])
def test_each_timeframe_is_its_formula_over_the_last_known_bars(freq, frames, config):
    # Plain numpy over the closes that had ended; row 120 is a Monday, the week before it has ended.
    found = FAMILY["multi_timeframe"].compute(frames, config).filter(symbol="S01")
    row = found.row(120, named=True)
    assert row["ts"].isoweekday() == 1
    own = frames["bars" if freq == "1d" else f"bars_{freq}"].filter(
        (pl.col("symbol") == "S01") & (pl.col("ts") <= row["ts"])
    )
    price = own["adj_close" if freq in ("1d", "1w") else "close"].to_numpy()
    for kind, expected in _plain(price).items():
        assert row[f"{kind}_{freq}"] == pytest.approx(expected, rel=1e-10), kind


def test_alignment_is_the_mean_sign(frames, config):
    found = FAMILY["multi_timeframe"].compute(frames, config)
    row = found.filter(pl.col("trend_20_1w").is_not_null()).row(-1, named=True)
    signs = [np.sign(row[f"trend_20_{freq}"]) for freq in contracts.multi_timeframe.TIMEFRAMES]
    assert row["trend_alignment"] == pytest.approx(np.mean(signs))
    assert row["trend_agreement_1d_1w"] == signs[-2] * signs[-1]


def test_bars_alone_give_daily_and_weekly_values(bars):
    found = multi_timeframe.compute(bars, intraday_frames.weekly(bars))
    assert found["trend_20_1w"].is_not_null().any()
    assert found["trend_agreement_1d_1w"].is_not_null().any()
    for freq in multi_timeframe.INTRADAY:
        assert found[f"rsi_14_{freq}"].is_null().all()
    assert multi_timeframe.compute(bars.clear(), intraday_frames.weekly(bars)).is_empty()


def test_a_week_counts_on_its_friday_and_not_on_its_thursday(bars):
    one = bars.filter(symbol="S00")
    weeks = intraday_frames.weekly(one)
    found = multi_timeframe.compute(one, weeks)
    kind = "range_position_20_1w"
    changed = found.filter(pl.col(kind).diff() != 0)["ts"].dt.weekday().unique()
    assert changed.to_list() == [5]
    # Without one Friday the week ends on its Thursday; only on Monday is it sure that it has.
    friday = one.filter(pl.col("session").dt.weekday() == 5)["session"][25]
    short = one.filter(pl.col("session") != friday)
    again = multi_timeframe.compute(short, intraday_frames.weekly(short))
    new = again.filter(pl.col(kind).diff() != 0)["ts"].dt.date()
    assert friday - dt.timedelta(days=1) not in new
    assert friday + dt.timedelta(days=3) in new


def test_bars_that_were_not_known_at_the_close_are_left_out(frames, config):
    minute = dt.timedelta(minutes=1)
    late = {**frames, "bars_1h": intraday_frames.later(frames["bars_1h"], 4 * 60 * minute)}
    found = FAMILY["multi_timeframe"].compute(late, config)
    assert found["trend_20_1h"].is_null().all()
    assert found["trend_20_5m"].is_not_null().any()
    # And a week that became known on Sunday counts from Monday on, not from Friday.
    weeks = intraday_frames.later(frames["bars_1w"], 40 * 60 * minute)
    found = multi_timeframe.compute(frames["bars"], weeks).filter(symbol="S00")
    changed = found.filter(pl.col("range_position_20_1w").diff() != 0)["ts"].dt.weekday().unique()
    assert changed.to_list() == [1]


def test_a_split_between_hours_changes_nothing(frames, config):
    # 4 for 1 after session 130: what was traded before is four times as high, the adjusted is not.
    after = frames["bars"]["ts"].unique().sort()[130]
    raw = ("open", "high", "low", "close")

    def quadrupled(frame: pl.DataFrame) -> pl.DataFrame:
        factor = pl.when(pl.col("ts") <= after).then(4.0).otherwise(1.0)
        return frame.with_columns(pl.col(*raw) * factor)

    split = {
        name: frame if name == "bars_1w" else quadrupled(frame) for name, frame in frames.items()
    }
    compute = FAMILY["multi_timeframe"].compute
    assert_frame_equal(compute(split, config), compute(frames, config), rel_tol=1e-9)
    scaled = frames["bars"].with_columns(pl.col(*ADJUSTED) * 7.0)
    weeks = frames["bars_1w"].with_columns(pl.col(*ADJUSTED) * 7.0)
    again = compute({**frames, "bars": scaled, "bars_1w": weeks}, config)
    assert_frame_equal(again, compute(frames, config), rel_tol=1e-8, abs_tol=1e-10)


def test_a_timeframe_that_went_silent_says_nothing(frames, config):
    end = frames["bars"]["ts"].unique().sort()[100]
    silent = {**frames, "bars_1h": frames["bars_1h"].filter(pl.col("ts") <= end)}
    found = FAMILY["multi_timeframe"].compute(silent, config).filter(symbol="S00")
    last = found.filter(pl.col("trend_20_1h").is_not_null())["ts"].max()
    assert dt.timedelta(0) < last - end <= dt.timedelta(days=5)


def _unfinished_week(inputs, config):
    honest = FAMILY["multi_timeframe"].compute(inputs, config)
    week = pl.col("ts").dt.truncate("1w")
    return honest.with_columns(
        pl.col("trend_20_1w").last().over(*SYMBOL, week), trend_alignment=None
    )


def _unfinished_hour(inputs, config):
    # The hour in which the next session's first bar lies, seen a session early.
    honest = FAMILY["multi_timeframe"].compute(inputs, config)
    return honest.with_columns(pl.col("rsi_14_1h").shift(-1).over(SYMBOL))


@pytest.mark.parametrize(
    ("leak", "column"), [(_unfinished_week, "trend_20_1w"), (_unfinished_hour, "rsi_14_1h")]
)
def test_an_unfinished_bar_of_a_longer_timeframe_is_caught(leak, column, frames, config):
    contract = contracts.MULTI_TIMEFRAME
    frame = leak(frames, config)
    assert frame.columns[: len(KEY)] == list(KEY)
    context = CheckContext({contract.table: frame}, frames, config)
    (outcome,) = truncation_gate(contract, leak, symbols=2).answer(context)
    assert not outcome.passed
    assert column in outcome.message


def test_the_gate_passes_the_honest_family(frames, config):
    family = FAMILY["multi_timeframe"]
    context = CheckContext({family.contract.table: family.compute(frames, config)}, frames, config)
    (outcome,) = truncation_gate(family.contract, family.compute, symbols=2).answer(context)
    assert outcome.passed, outcome.message
