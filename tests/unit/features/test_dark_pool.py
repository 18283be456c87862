"""Dark pool family: shares by hand, restatements from their own date on, leaks caught."""

from __future__ import annotations

import datetime as dt
import math

import polars as pl
import pytest
from alternative_frames import rows_of
from polars.testing import assert_frame_equal

from btq_assets.config import TradingConfig
from btq_assets.contracts import features as contracts
from btq_assets.contracts.checks import CheckContext
from btq_assets.contracts.core_alternative import DARK_POOL, SHORT_VOLUME
from btq_assets.features import dark_pool
from btq_assets.features.checks import truncation_gate

UTC = dt.UTC
NO_SHORT = SHORT_VOLUME.empty()
NO_ATS = DARK_POOL.empty()
MONDAY = dt.date(2010, 1, 4)


def _ats(*rows: tuple[int, str, int, float, float | None]) -> pl.DataFrame:
    """Week number, venue, day of publication counted from the first Monday, shares, trades."""
    start = dt.datetime(2010, 1, 4, 14, tzinfo=UTC)
    return rows_of(
        DARK_POOL,
        [
            {
                "source": "finra", "symbol": "S00", "week": MONDAY + dt.timedelta(weeks=week),
                "venue": venue, "known_at": start + dt.timedelta(days=day), "shares": shares,
                "trades": trades,
            }
            for week, venue, day, shares, trades in rows
        ],
    )  # fmt: skip


def _short(*rows: tuple[int, int, float]) -> pl.DataFrame:
    """Session and day of publication counted from the first Monday, short share."""
    start = dt.datetime(2010, 1, 4, 23, tzinfo=UTC)
    return rows_of(
        SHORT_VOLUME,
        [
            {
                "source": "finra", "symbol": "S00", "session": MONDAY + dt.timedelta(days=session),
                "known_at": start + dt.timedelta(days=day), "short_volume": 100 * share,
                "total_volume": 100.0, "short_share": share,
            }
            for session, day, share in rows
        ],
    )  # fmt: skip


def _on(frame: pl.DataFrame, day: int) -> dict[str, object]:
    found = frame.filter(pl.col("ts").dt.date() == MONDAY + dt.timedelta(days=day))
    return found.row(0, named=True) if found.height else {}


def test_a_weeks_share_adds_its_venues_over_the_symbols_volume(make_bars):
    bars = make_bars(2, 60)
    volume = bars.filter(symbol="S00")["volume"][:5].sum()
    # Published on day 21 and, one venue restated, on day 28.
    reports = _ats((0, "A", 21, 1000.0, 10), (0, "B", 21, 500.0, 5), (0, "A", 28, 4000.0, 20))
    frame = dark_pool.compute(bars, reports, NO_SHORT)
    assert set(frame["symbol"]) == {"S00"}
    assert _on(frame, 18) == {}
    assert _on(frame, 21)["ats_volume_share"] == pytest.approx(1500 / volume)
    assert _on(frame, 21)["ats_trade_shares"] == pytest.approx(100)
    assert _on(frame, 28)["ats_volume_share"] == pytest.approx(4500 / volume)
    assert _on(frame, 28)["ats_trade_shares"] == pytest.approx(180)
    # Fresh until three weeks after its first publication: a restatement renews nothing.
    assert _on(frame, 39)["ats_volume_share"] == pytest.approx(4500 / volume)
    assert _on(frame, 43)["ats_volume_share"] is None
    assert _on(frame, 43)["ats_age_days"] == pytest.approx(22 + 7 / 24)


def test_a_week_with_a_missing_bar_has_no_share(make_bars):
    bars = make_bars(2, 60)
    hole = (pl.col("symbol") == "S00") & (pl.col("session") == dt.date(2010, 1, 6))
    frame = dark_pool.compute(bars.filter(~hole), _ats((0, "A", 21, 1000.0, None)), NO_SHORT)
    assert frame["ats_volume_share"].is_null().all()
    assert frame["ats_trade_shares"].is_null().all()  # the venue gives no trades
    assert frame["ats_age_days"].is_not_null().all()


def test_a_restated_session_changes_windows_from_its_own_date_on(make_bars):
    bars = make_bars(1, 15)
    days = (0, 1, 2, 3, 4, 7, 8)
    shares = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
    rows = [(day, day, share) for day, share in zip(days, shares, strict=True)]
    frame = dark_pool.compute(bars, NO_ATS, _short(*rows, (2, 9, 0.8)))
    # Files come at 23:00: the close of day 4 has seen four of them, that of day 7 five.
    assert _on(frame, 4)["short_volume_share"] == pytest.approx(0.4)
    assert _on(frame, 4)["short_volume_share_5d"] is None
    assert _on(frame, 7)["short_volume_share_5d"] == pytest.approx(0.3)
    assert _on(frame, 8)["short_volume_share_change_5d"] == pytest.approx(0.5)
    assert _on(frame, 9)["short_volume_share_5d"] == pytest.approx(
        (0.3 + 0.4 + 0.5 + 0.6 + 0.7) / 5
    )
    # Day 2 is restated on day 9 at 23:00, so that the close of day 10 sees it.
    assert _on(frame, 10)["short_volume_share_5d"] == pytest.approx(
        (0.8 + 0.4 + 0.5 + 0.6 + 0.7) / 5
    )
    assert _on(frame, 16)["short_volume_share"] is None


def test_a_planted_week_stands_out_by_its_z_score(make_bars):
    bars = make_bars(1, 160).with_columns(volume=pl.lit(1000.0))
    rows = [(week, "A", 7 * week + 12, 100.0 if week < 25 else 900.0, 1.0) for week in range(26)]
    frame = dark_pool.compute(bars, _ats(*rows), NO_SHORT)
    # 25 equal weeks and one outlier: (26 - 1) / sqrt(26), whatever its size.
    assert frame["ats_volume_share_z_26w"].drop_nulls()[0] == pytest.approx(25 / math.sqrt(26))
    assert frame["ats_volume_share_change_4w"].drop_nulls()[-1] == pytest.approx(800 / 5000)


def _newest_vintages_at_first_dates(inputs, config):
    """The leak: a session shows its restated share from its first file on."""
    table = inputs["short_volume"]
    last = pl.col("short_share").sort_by("known_at").last().over("symbol", "session")
    return dark_pool.compute_from(
        {**inputs, "short_volume": table.with_columns(short_share=last)}, config
    )


def test_restated_short_volume_at_its_first_date_is_caught(world):
    # A cut shows it while the restatement is still to come.
    config = TradingConfig(features={"truncation_dates": 10})
    for compute, passes in (
        (_newest_vintages_at_first_dates, False),
        (dark_pool.compute_from, True),
    ):
        frame = compute(world, config)
        gate = truncation_gate(contracts.DARK_POOL, compute)
        (outcome,) = gate.answer(CheckContext({"features.dark_pool": frame}, world, config))
        assert outcome.passed == passes, outcome.message


def test_a_changed_report_changes_what_follows_and_nothing_before(world, config):
    at = world["short_volume"]["known_at"].sort()[300]
    moved = world["short_volume"].with_columns(
        short_share=pl.when(pl.col("known_at") == at).then(0.9).otherwise("short_share")
    )
    before = dark_pool.compute_from(world, config)
    after = dark_pool.compute_from({**world, "short_volume": moved}, config)
    past = pl.col("ts") < at
    assert_frame_equal(before.filter(past), after.filter(past))
    assert not before.equals(after)


def test_without_reports_there_are_no_rows(world, config):
    assert dark_pool.compute(world["bars"], NO_ATS, NO_SHORT).is_empty()
    close_only = world["bars"].with_columns(volume=pl.lit(None, pl.Float64))
    frame = dark_pool.compute_from({**world, "bars": close_only}, config)
    assert frame["ats_volume_share"].is_null().all()
    assert frame["short_volume_share"].is_not_null().any()
