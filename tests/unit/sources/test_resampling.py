"""Longer bars against the definition, computed bar by bar, and against a session's own clock."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from btq_assets.config import TradingConfig
from btq_assets.contracts.checks import CheckContext
from btq_assets.sources.market.assets import bars_by_timeframe
from btq_assets.sources.market.checks import TIMEFRAME_CHECKS
from btq_assets.sources.market.resampling import (
    MINUTES,
    resample,
    resample_all,
    serves_intraday,
    sessions_of,
    timeframes,
)

MIDNIGHT = dt.datetime(2021, 3, 1, tzinfo=dt.UTC)
SCHEMA = {
    "universe": pl.String, "symbol": pl.String, "ts": pl.Datetime("us", "UTC"),
    "known_at": pl.Datetime("us", "UTC"), "revised_at": pl.Datetime("us", "UTC"),
    **dict.fromkeys(("open", "high", "low", "close", "volume"), pl.Float64), "n_bars": pl.Int64,
}  # fmt: skip


def minute_bars(minutes: list[int], symbol: str = "A", price=lambda m: 100.0 + m) -> pl.DataFrame:
    rows = []
    for minute in minutes:
        end = MIDNIGHT + dt.timedelta(minutes=minute)
        value = price(minute)
        high, low = (None, None) if value is None else (value + 2, value - 2)
        last = None if value is None else value + 1
        rows.append(("u", symbol, end, end, None, value, high, low, last, 1.0, 1))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def by_definition(bars: pl.DataFrame, minutes: int) -> list[tuple]:
    """One Python loop: rows of a bucket are those whose end lies in (end - length, end]."""
    found = []
    for symbol in bars["symbol"].unique().sort():
        rows = bars.filter(symbol=symbol).rows(named=True)
        last = max(row["ts"] for row in rows)
        buckets: dict[dt.datetime, list[dict]] = {}
        for row in rows:
            passed = (row["ts"] - MIDNIGHT) / dt.timedelta(minutes=1)
            end = MIDNIGHT + dt.timedelta(minutes=-(-passed // minutes) * minutes)
            buckets.setdefault(end, []).append(row)
        for end, part in sorted(buckets.items()):
            if end <= last:
                found.append(
                    (
                        symbol,
                        end,
                        max(end, *(row["known_at"] for row in part)),
                        part[0]["open"],
                        max(row["high"] for row in part),
                        min(row["low"] for row in part),
                        part[-1]["close"],
                        sum(row["volume"] for row in part),
                        len(part),
                    )
                )
    return found


NAMES = ("symbol", "ts", "known_at", "open", "high", "low", "close", "volume", "n_bars")


@settings(max_examples=80, deadline=None)
@given(
    a=st.lists(st.integers(1, 300), min_size=1, max_size=80, unique=True),
    b=st.lists(st.integers(1, 300), max_size=20, unique=True),
)
def test_every_length_is_what_its_definition_says_also_when_made_of_the_one_before(a, b):
    bars = pl.concat([minute_bars(sorted(a)), minute_bars(sorted(b), "B")])
    made = resample_all(bars, ("5m", "15m", "1h"))
    for freq, frame in made.items():
        expected = by_definition(bars, MINUTES[freq])
        assert frame.select(NAMES).rows() == expected
        assert_frame_equal(resample(bars, freq), frame)


def test_a_bar_that_has_not_ended_is_absent_and_comes_when_it_has():
    assert resample(minute_bars([1, 2, 3, 4]), "5m").is_empty()
    (whole,) = resample(minute_bars([1, 2, 3, 4, 5]), "5m").select("ts", "known_at").rows()
    assert whole == (MIDNIGHT + dt.timedelta(minutes=5),) * 2
    # The fifth minute had no trade: that is sure once something later is seen.
    (late,) = resample(minute_bars([1, 2, 7]), "5m").select("ts", "known_at", "n_bars").rows()
    assert late == (*(MIDNIGHT + dt.timedelta(minutes=5),) * 2, 2)


def test_a_missing_price_leaves_the_price_missing_and_a_late_one_is_known_late():
    gone = minute_bars([1, 2, 3, 4, 5], price=lambda m: None if m == 3 else 100.0 + m)
    row = resample(gone, "5m").row(0, named=True)
    assert (row["open"], row["high"], row["low"], row["close"]) == (101.0, None, None, 106.0)
    late = MIDNIGHT + dt.timedelta(days=3)
    known = minute_bars([1, 2, 3, 4, 5]).with_columns(
        known_at=pl.when(pl.col("ts") == MIDNIGHT + dt.timedelta(minutes=2))
        .then(pl.lit(late))
        .otherwise("known_at"),
        revised_at=pl.when(pl.col("ts") == MIDNIGHT + dt.timedelta(minutes=4)).then(pl.lit(late)),
    )
    row = resample(known, "5m").row(0, named=True)
    assert (row["known_at"], row["revised_at"]) == (late, late)


@pytest.mark.parametrize(
    ("day", "open_hour", "close_hour"),
    [
        (dt.date(2021, 3, 12), 14.5, 21.0),  # New York in winter
        (dt.date(2021, 3, 15), 13.5, 20.0),  # in summer, since the Sunday between
        (dt.date(2021, 11, 26), 14.5, 18.0),  # the day after Thanksgiving closes at 13:00
    ],
)
def test_hours_start_at_the_open_and_end_at_the_close(day, open_hour, close_hour):
    """Hours of trading from the exchange's published calendar."""
    start = dt.datetime.combine(day, dt.time(), dt.UTC)
    opening = int(open_hour * 60) - 30  # half an hour before the open
    closing = int(close_hour * 60) + 30
    offset = int((start - MIDNIGHT) / dt.timedelta(minutes=1))
    bars = minute_bars([offset + m for m in range(opening + 1, closing + 1)])
    hours = resample(bars, "1h", sessions_of("XNYS", day, day))
    ends = [(end - start) / dt.timedelta(hours=1) for end in hours["ts"]]
    inside = [end for end in ends if open_hour < end <= close_hour]
    n = int(close_hour - open_hour)
    assert inside == [*(open_hour + k for k in range(1, n + 1)), close_hour][: len(inside)]
    assert inside[-1] == close_hour
    assert open_hour in ends, "what came before the open ends at the open"
    per_bar = dict(zip(ends, hours["n_bars"], strict=True))
    assert sum(per_bar[end] for end in inside) == (close_hour - open_hour) * 60
    daily = resample(bars, "1d", sessions_of("XNYS", day, day))
    assert (
        dict(daily.select("ts", "n_bars").rows())[start + dt.timedelta(hours=close_hour)]
        == (close_hour - open_hour) * 60
    )
    assert sessions_of("24/7", day, day) is None


def intraday(bars: pl.DataFrame, freq: str, calendar: str = "24/7") -> pl.DataFrame:
    return bars.drop("n_bars").with_columns(freq=pl.lit(freq), calendar=pl.lit(calendar))


def test_bars_that_came_stand_and_the_others_are_made_of_them():
    minutes = minute_bars(list(range(1, 66)))
    # The source's own bar of 5 minutes says something else; its first quarter comes without minutes.
    own = minute_bars([5, 70, 75], price=lambda m: 7.0)
    bars = pl.concat([intraday(minutes, "1m"), intraday(own, "5m")])
    made = timeframes(bars)
    assert made["1m"].height == 65
    fives = dict(made["5m"].select("ts", "open").rows())
    assert fives[MIDNIGHT + dt.timedelta(minutes=5)] == 7.0
    assert fives[MIDNIGHT + dt.timedelta(minutes=10)] == 106.0
    assert len(fives) == 15
    quarters = made["15m"]
    assert quarters["n_bars"].to_list() == [1 + 5 + 5, 15, 15, 15, 5 + 1 + 1]
    assert made["1h"]["n_bars"].to_list() == [56]
    assert {freq: frame.height for freq, frame in timeframes(bars.clear()).items()} == {
        "1m": 0, "5m": 0, "15m": 0, "1h": 0,
    }  # fmt: skip


def test_the_check_sees_a_bar_that_counts_twice_or_is_known_too_early():
    bars = intraday(minute_bars(list(range(1, 61))), "1m")
    frames = {f"core.bars_{freq}": frame for freq, frame in timeframes(bars).items()}

    def passed(**changed: pl.DataFrame) -> bool:
        context = CheckContext({**frames, **changed}, {"bars": bars}, None)
        (outcome,) = TIMEFRAME_CHECKS[0].answer(context)
        return outcome.passed

    assert passed()
    twice = pl.concat([frames["core.bars_1h"]] * 2)
    early = frames["core.bars_5m"].with_columns(pl.col("known_at") - pl.duration(minutes=1))
    assert not passed(**{"core.bars_1h": twice})
    assert not passed(**{"core.bars_5m": early})


@pytest.mark.parametrize(
    ("sources", "served"),
    [
        ({}, False),
        ({"folder": {"enabled": True}, "binance": {"enabled": True}}, False),
        ({"folder": {"enabled": False, "freq": "1m"}}, False),
        ({"folder": {"enabled": True, "freq": "1m"}}, True),
        ({"binance": {"enabled": True, "freqs": ["1d", "1h"]}}, True),
        ({"ccxt": {"enabled": True, "freqs": ["5m"]}}, True),
        ({"alpha_vantage": {"enabled": True, "freq": "15m"}}, True),
        ({"synthetic": {"enabled": True}}, True),
        ({"synthetic": {"enabled": True, "bars": False}}, False),
    ],
)
def test_shorter_bars_are_in_the_graph_only_where_a_source_serves_them(sources, served):
    config = TradingConfig(sources=sources)
    assert serves_intraday(config) is served
    assert (bars_by_timeframe.definition(config) is not None) is served
