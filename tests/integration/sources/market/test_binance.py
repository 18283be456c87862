"""Binance klines from a local server in the provider's shape."""

from __future__ import annotations

import datetime as dt

import pytest

from btq_assets.config.sources.market import BinanceSourceSection
from btq_assets.contracts import raw
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.sources.errors import (
    AnswerShapeError,
    ProviderUnavailableError,
    SourceError,
    UnknownSymbolError,
    WindowError,
)
from btq_assets.sources.market.providers.binance import PAGE_ROWS, Binance

LATER = dt.datetime(2024, 6, 1, tzinfo=dt.UTC)
STEPS = {"1m": 60_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000, "1d": 86_400_000}


def ms(*parts: int) -> int:
    return round(dt.datetime(*parts, tzinfo=dt.UTC).timestamp() * 1_000)


def kline(open_ms: int, step: int, price: float = 100.0) -> list:
    """Twelve items, numbers as strings, as /api/v3/klines gives them."""
    prices = [f"{price:.8f}", f"{price + 1:.8f}", f"{price - 1:.8f}", f"{price + 0.5:.8f}"]
    return [open_ms, *prices, "12.50000000", open_ms + step - 1, "1250.0", 308, "6.1", "610.0", "0"]


@pytest.fixture
def exchange(server):
    """Trades without end since 2020, a pair that does not exist, and pages of at most 1000."""

    def answer(request):
        if request.params["symbol"] not in ("BTCUSDT", "ETHBTC"):
            return server.Reply({"code": -1121, "msg": "Invalid symbol."}, 400)
        step = STEPS[request.params["interval"]]
        start = max(int(request.params["startTime"]), ms(2020, 1, 1))
        opens = range(-(-start // step) * step, int(request.params["endTime"]) + 1, step)
        return server.Reply([kline(at, step) for at in opens[: int(request.params["limit"])]])

    server.answer = answer
    return server


@pytest.fixture
def fetch(exchange, client_of, month):
    def call(*names, now=LATER, window=(2024, 3), store=False, **settings):
        settings.setdefault("symbols", names or ("BTCUSDT",))
        section = BinanceSourceSection(base_url=exchange.url, **settings)
        client = client_of("binance", section, now, store=store)
        fetched = Binance(section, client).fetch(month(*window), now)
        return fetched.frames["raw.bars_binance"], fetched

    return call


def test_bars_that_end_in_the_month_are_stored_under_their_end(exchange, fetch):
    frame, fetched = fetch()
    bars = cast_to_contract(frame, raw.BARS_BINANCE)
    assert violations(bars, raw.BARS_BINANCE).is_empty()
    assert fetched.rejected.is_empty()
    # March 2024 has 31 days; the bar of 29 February ends with the first instant of March.
    assert bars.height == 31
    assert bars["ts"].min() == dt.datetime(2024, 3, 1, tzinfo=dt.UTC)
    assert bars["ts"].max() == dt.datetime(2024, 3, 31, tzinfo=dt.UTC)
    row = bars.row(0, named=True)
    assert [row[name] for name in ("open", "high", "low", "close", "adj_close", "volume")] == [
        100.0, 101.0, 99.0, 100.5, 100.5, 12.5,
    ]  # fmt: skip
    assert (row["currency"], row["dataset"], row["known_at"]) == ("USDT", "binance_spot", row["ts"])
    (asked,) = exchange.asked
    assert asked.params["startTime"] == str(ms(2024, 2, 29))


def test_adjacent_months_share_no_bar_and_miss_none(fetch):
    march, _ = fetch(freqs=("1h",))
    april, _ = fetch(freqs=("1h",), window=(2024, 4))
    assert march.height + april.height == (31 + 30) * 24
    assert (april["ts"].min() - march["ts"].max()) == dt.timedelta(hours=1)


def test_a_month_of_minutes_is_paged(exchange, fetch):
    frame, _ = fetch(freqs=("1m",))
    # 31 days of 1440 minutes, in pages of 1000.
    assert frame.height == frame["ts"].n_unique() == 31 * 1_440
    assert len(exchange.asked) == -(-31 * 1_440 // PAGE_ROWS)


@pytest.mark.parametrize("freq", sorted(STEPS))
def test_a_bar_that_has_not_ended_is_never_stored(fetch, freq):
    """At 12:20:30 the bars that ended at 12:20 have not settled for a minute; none is later."""
    now = dt.datetime(2024, 3, 2, 12, 20, 30, tzinfo=dt.UTC)
    frame, _ = fetch(freqs=(freq,), now=now)
    last = {
        "1m": (12, 19),
        "5m": (12, 15),
        "15m": (12, 15),
        "1h": (12, 0),
        "1d": (0, 0),
    }[freq]
    assert frame["ts"].max() == dt.datetime(2024, 3, 2, *last, tzinfo=dt.UTC)


def test_an_unknown_pair_is_named_at_once(fetch, waits):
    with pytest.raises(UnknownSymbolError, match=r"'NOPEUSDT'.*sources\.binance\.symbols"):
        fetch("BTCUSDT", "NOPEUSDT")
    assert waits == []


def test_a_pair_in_another_spelling_is_refused_before_asking(exchange, fetch):
    with pytest.raises(SourceError, match="'BTC/USD' is no pair such as BTCUSDT"):
        fetch("BTC/USD")
    assert exchange.asked == []


def test_a_month_before_the_listing_is_a_named_error(fetch):
    with pytest.raises(WindowError, match=r"binance has no bar of BTCUSDT from 2019-05-01"):
        fetch(window=(2019, 5))


def test_own_names_and_the_quoted_currency(fetch):
    frame, _ = fetch(symbols={"ether": "ETHBTC"})
    assert frame["symbol"].unique().to_list() == ["ether"]
    assert frame["currency"].unique().to_list() == ["BTC"]


def test_throttling_is_waited_out_for_as_long_as_asked(exchange, fetch, waits):
    body = {"code": -1003, "msg": "Too much request weight used"}
    exchange.before = [exchange.Reply(body, 429, {"Retry-After": "17"})]
    frame, _ = fetch()
    assert frame.height == 31
    assert max(waits) == 17


def test_half_an_answer_is_asked_again(exchange, fetch):
    body = [kline(ms(2024, 3, 1), STEPS["1d"])]
    exchange.before = [exchange.Reply(body, cut=30), exchange.Reply(b'[[1709251200000,"1"')]
    frame, _ = fetch()
    assert frame.height == 31
    assert len(exchange.asked) == 3


def test_a_dead_provider_and_an_unknown_shape_are_named(exchange, fetch):
    exchange.answer = lambda request: exchange.Reply("down", 503)
    with pytest.raises(ProviderUnavailableError, match="binance gave no usable answer"):
        fetch(max_attempts=2)
    exchange.answer = lambda request: exchange.Reply({"klines": []})
    with pytest.raises(AnswerShapeError, match="expected a list of klines"):
        fetch()


def test_rows_that_make_no_bar_are_refused_with_their_reasons(exchange, fetch):
    step = STEPS["1d"]
    good = kline(ms(2024, 3, 1), step)
    nulls = [ms(2024, 3, 2), None, None, None, None, None, 0]
    words = [ms(2024, 3, 3), "ten", "11", "9", "10", "1", 0]
    off_grid = kline(ms(2024, 3, 4) + 7, step)
    short = [ms(2024, 3, 5), "1"]
    exchange.answer = lambda request: exchange.Reply([good, nulls, words, off_grid, short, None])
    frame, fetched = fetch()
    assert frame.height == 1
    reasons = " | ".join(fetched.rejected["reason"])
    for reason in ("no price", "open 'ten' is not a number", "a bar of 1d does not begin at",
                   "not a row of time, open, high"):  # fmt: skip
        assert reason in reasons
    assert fetched.rejected.height == 5
    assert fetched.rejected["row_json"].str.contains("ten").any()


def test_a_complete_month_is_not_asked_for_twice_an_open_one_is(exchange, fetch):
    fetch(store=True)
    fetch(store=True)
    assert len(exchange.asked) == 1
    now = dt.datetime(2024, 3, 20, tzinfo=dt.UTC)
    fetch(store=True, now=now, freqs=("1h",))
    fetch(store=True, now=now + dt.timedelta(minutes=1), freqs=("1h",))
    assert len(exchange.asked) == 3
