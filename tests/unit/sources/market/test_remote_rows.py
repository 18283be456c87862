"""Pure readers of providers' answers: whatever comes is a row or a refusal, never an exception."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btq_assets.contracts import raw
from btq_assets.contracts.base import cast_to_contract
from btq_assets.sources.errors import WindowError
from btq_assets.sources.market.funding_rows import parse_fundings
from btq_assets.sources.market.ohlcv_rows import SETTLING_TIME, parse_ohlcv_rows
from btq_assets.sources.market.providers.alpha_vantage import intraday_ends, series_table
from btq_assets.sources.market.providers.nasdaq_data_link import dataset_table
from btq_assets.sources.market.windows import (
    BAR_LENGTHS,
    epoch_ms,
    from_epoch_ms,
    opens_of,
    refuse_empty,
)
from btq_assets.sources.provider import Window
from btq_assets.timeline import add_months

UTC = dt.UTC
LATER = dt.datetime(2024, 6, 1, tzinfo=UTC)
MARCH = Window(dt.datetime(2024, 3, 1, tzinfo=UTC), dt.datetime(2024, 4, 1, tzinfo=UTC))
OPEN = epoch_ms(MARCH.start)

#: JSON may hold numbers of any size, and halves of surrogate pairs.
texts = st.text(st.characters(exclude_categories=()), max_size=6)
cells = st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | texts
fields = st.dictionaries(texts | st.sampled_from(["1. open", "4. close", "5. volume"]), cells)
answers = st.recursive(cells, lambda inner: st.lists(inner, max_size=7), max_leaves=12)
#: Mostly the right length, and mostly a time that makes sense.
almost_rows = st.tuples(st.integers(0, 39), st.lists(cells, min_size=4, max_size=6)).map(
    lambda pair: [OPEN + pair[0] * 86_400_000, *pair[1]]
)


def read(rows, freq="1d", now=LATER, window=MARCH):
    return parse_ohlcv_rows(
        rows, dataset="d", symbol="S", freq=freq, currency="USD", window=window, now=now
    )


@settings(deadline=None, max_examples=60)
@given(st.lists(almost_rows | answers, max_size=6))
def test_any_rows_become_bars_of_the_window_or_refusals(rows):
    parsed = read(rows)
    bars = cast_to_contract(parsed.rows, raw.BARS_CCXT)
    assert bars["ts"].is_between(MARCH.start, MARCH.end, closed="left").all()
    assert bars["ts"].is_unique().all() or len(rows) > 1
    assert bars.height + parsed.rejected.height <= len(rows)
    assert parsed.rejected["reason"].null_count() == parsed.rejected["row_json"].null_count() == 0


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(texts, answers | fields))
def test_any_series_of_alpha_vantage_is_read_or_refused(series):
    parsed = series_table(series)
    assert parsed.rows.height + parsed.rejected.height == len(series)
    timed = intraday_ends(parsed.rows, "US/Eastern", "1h")
    assert timed.rows.height + timed.rejected.height == parsed.rows.height


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from(["Open", "Close", "Settle", "Volume", "Odd"]), max_size=4),
    st.lists(answers | st.lists(cells, min_size=3, max_size=3), max_size=5),
)
def test_any_dataset_of_data_link_is_read_or_refused(names, data):
    parsed = dataset_table(["Date", *names], data)
    assert parsed.rows.height + parsed.rejected.height == len(data)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        answers
        | st.fixed_dictionaries(
            {}, optional={"timestamp": cells, "fundingRate": cells, "symbol": cells}
        ),
        max_size=5,
    )
)
def test_any_funding_rates_are_read_or_refused(rows):
    parsed = parse_fundings(rows, "d", "S", OPEN, OPEN + 86_400_000)
    cast_to_contract(parsed.rows, raw.FUNDING_RATES_CCXT)
    assert parsed.rows.height + parsed.rejected.height <= len(rows)


def test_a_funding_interval_is_stated_else_the_time_since_the_one_before():
    hour = 3_600_000
    rows = [
        {"timestamp": OPEN + round(hours * hour) + late, "fundingRate": 1e-4} | more
        for hours, late, more in (
            (-8, 0, {}), (0, 3, {}), (8, 0, {}), (24, 0, {}), (28, 0, {}), (29, 0, {}),
            (29.5, 0, {}), (37.5, 0, {"interval": "4h"}), (38, 0, {"interval": "30m"}),
            (46, 0, {"interval": "soon"}),
        )
    ]  # fmt: skip
    parsed = parse_fundings(rows, "d", "S", OPEN, OPEN + 100 * hour)
    # By hand: 8 h (3 ms late), 8, a hole of 16, 4, 1, half an hour is no rhythm, stated 4 and half.
    assert parsed.rows["interval_hours"].to_list() == [
        8.0, 8.0, None, 4.0, 1.0, None, 4.0, 0.5, 8.0,
    ]  # fmt: skip
    assert parse_fundings(rows[1:2], "d", "S", OPEN, OPEN + hour).rows["interval_hours"][0] is None


@given(
    st.dates(dt.date(2000, 1, 1), dt.date(2090, 1, 1)),
    st.sampled_from(sorted(BAR_LENGTHS)),
)
def test_windows_that_meet_share_no_open_and_miss_none(day, freq):
    first = dt.datetime(day.year, day.month, 1, tzinfo=UTC)
    middle, last = (
        dt.datetime(d.year, d.month, 1, tzinfo=UTC)
        for d in (add_months(first.date(), 1), add_months(first.date(), 2))
    )
    left, right = opens_of(Window(first, middle), freq), opens_of(Window(middle, last), freq)
    assert left[1] == right[0]
    step = BAR_LENGTHS[freq]
    # The first bar of a window ends with its first instant.
    assert from_epoch_ms(left[0]) + step == first
    assert (left[1] - left[0]) % round(step.total_seconds() * 1_000) == 0


@settings(deadline=None)
@given(st.integers(0, 31 * 24 * 60), st.sampled_from(sorted(BAR_LENGTHS)))
def test_no_bar_is_stored_before_it_has_ended(minutes, freq):
    """Whatever the time of the fetch, every stored bar had ended and settled, and none is missing."""
    now = MARCH.start + dt.timedelta(minutes=minutes)
    step = BAR_LENGTHS[freq]
    opens = [MARCH.start - step + i * step for i in range(-1, 40)]
    stored = read([[epoch_ms(at), 1, 1, 1, 1, 1] for at in opens], freq, now).rows["ts"].to_list()
    assert stored == [
        at + step
        for at in opens
        if at + step + SETTLING_TIME <= now and MARCH.start <= at + step < MARCH.end
    ]


def test_pages_that_overlap_give_each_bar_once_and_keep_contradictions():
    row, changed = [OPEN, 1, 2, 0.5, 1.5, 10], [OPEN, 1, 2, 0.5, 1.6, 10]
    assert read([row, row]).rows.height == 1
    # Two prices for one bar: the contract refuses both, for nobody knows which is right.
    assert read([row, changed]).rows.height == 2


def test_a_window_is_complete_only_after_it_has_settled():
    settled = dt.timedelta(hours=1)

    def hours(after_end: dt.timedelta) -> float:
        return MARCH.fresh_hours(12, settled, MARCH.end + after_end)

    # An answer of three hours ago was given one hour after the end: it holds all there is.
    assert hours(dt.timedelta(hours=4)) == 3
    assert hours(dt.timedelta(days=30)) == 12
    assert hours(dt.timedelta(minutes=30)) == hours(-dt.timedelta(days=9)) == 0


def test_an_empty_window_is_an_error_once_it_is_over():
    refuse_empty("binance", ["BTCUSDT"], MARCH, MARCH.end - dt.timedelta(days=1))
    with pytest.raises(WindowError, match=r"begins at 2024-05-01 00:00\. Set sources\.binance"):
        refuse_empty("binance", ["X"], MARCH, LATER, dt.datetime(2024, 5, 1, tzinfo=UTC))
