"""ccxt itself against a local server in Bybit's shape, and exchanges of ccxt's unified interface."""

from __future__ import annotations

import datetime as dt
import json
import sys

import pytest

from btq_assets.config.sources.market import CcxtSourceSection
from btq_assets.contracts import raw
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.sources.errors import (
    ProviderUnavailableError,
    SourceError,
    UnknownSymbolError,
    WindowError,
    WrongKeyError,
)
from btq_assets.sources.market.providers.ccxt_exchange import CcxtExchange

LATER = dt.datetime(2024, 6, 1, tzinfo=dt.UTC)
DAY, HOUR = 86_400_000, 3_600_000
BYBIT_STEPS = {"D": DAY, "60": HOUR, "15": HOUR // 4, "5": HOUR // 12, "1": 60_000}


def ms(*parts: int) -> int:
    return round(dt.datetime(*parts, tzinfo=dt.UTC).timestamp() * 1_000)


def instrument(category: str) -> dict:
    """One entry of /v5/market/instruments-info, shortened to what is read."""
    common = {
        "symbol": "BTCUSDT", "baseCoin": "BTC", "quoteCoin": "USDT", "status": "Trading",
        "priceFilter": {"minPrice": "0.10", "maxPrice": "1999999.80", "tickSize": "0.10"},
    }  # fmt: skip
    if category == "spot":
        lots = {
            "basePrecision": "0.000001",
            "quotePrecision": "0.0000001",
            "minOrderQty": "0.00005",
        }
        return {**common, "innovation": "0", "marginTrading": "both", "lotSizeFilter": lots}
    lots = {"maxOrderQty": "1190.000", "minOrderQty": "0.001", "qtyStep": "0.001"}
    return {
        **common, "contractType": "LinearPerpetual", "launchTime": "1585526400000",
        "deliveryTime": "0", "deliveryFeeRate": "", "priceScale": "2", "fundingInterval": 480,
        "settleCoin": "USDT", "lotSizeFilter": lots,
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
    }  # fmt: skip


def answered(result: dict, code: int = 0, message: str = "OK") -> dict:
    return {"retCode": code, "retMsg": message, "result": result, "retExtInfo": {}, "time": 1}


@pytest.fixture
def bybit(server):
    """BTCUSDT, spot and perpetual, since 2024-01-01; newest first; funding every eight hours."""
    pytest.importorskip("ccxt")
    since = ms(2024, 1, 1)

    def answer(request):
        ask = request.params
        if request.path.endswith("/instruments-info"):
            listed = [instrument(ask["category"])] if ask["category"] in ("spot", "linear") else []
            return server.Reply(answered({"category": ask["category"], "list": listed}))
        if request.path.endswith("/funding/history"):
            first, last = max(int(ask["startTime"]), since), int(ask["endTime"])
            times = range(-(-first // (8 * HOUR)) * 8 * HOUR, last + 1, 8 * HOUR)
            rows = [
                {"symbol": "BTCUSDT", "fundingRate": "0.0001", "fundingRateTimestamp": str(at)}
                for at in reversed(times)
            ]
            return server.Reply(answered({"list": rows[: int(ask["limit"])]}))
        step = BYBIT_STEPS[ask["interval"]]
        first = max(-(-int(ask["start"]) // step) * step, since)
        last = min(int(ask.get("end", ms(2024, 6, 1))), ms(2024, 6, 1))
        opens = list(range(first, last + 1, step))[: int(ask["limit"])]
        rows = [[str(at), "100", "101", "99", "100.5", "12", "1205"] for at in reversed(opens)]
        return server.Reply(answered({"symbol": "BTCUSDT", "list": rows}))

    server.answer = answer
    return server


@pytest.fixture
def fetch(server, client_of, month):
    def call(*names, exchange="bybit", injected=None, now=LATER, window=(2024, 3), **settings):
        stored = {name: settings.pop(name) for name in ("store", "replay") if name in settings}
        settings.setdefault("symbols", names or ("BTC/USDT",))
        section = CcxtSourceSection(exchange=exchange, base_url=server.url, **settings)
        client = client_of("ccxt", section, now, **stored)
        return CcxtExchange(section, client, injected).fetch(month(*window), now)

    return call


def test_spot_and_perpetual_bars_and_fundings_of_a_month(bybit, fetch):
    fetched = fetch("BTC/USDT", "BTC/USDT:USDT")
    bars = cast_to_contract(fetched.frames["raw.bars_ccxt"], raw.BARS_CCXT)
    assert violations(bars, raw.BARS_CCXT).is_empty()
    assert fetched.rejected.is_empty()
    spot, perpetual = (bars.filter(symbol=name) for name in ("BTC/USDT", "BTC/USDT:USDT"))
    assert spot.height == perpetual.height == 31
    assert spot["ts"].min() == dt.datetime(2024, 3, 1, tzinfo=dt.UTC)
    assert spot["dataset"].unique().to_list() == ["ccxt_bybit"]
    # Holding a coin earns its price; holding a perpetual pays funding, which no price contains.
    assert spot["adj_close"].to_list() == spot["close"].to_list() == [100.5] * 31
    assert perpetual["adj_close"].null_count() == 31
    funding = cast_to_contract(fetched.frames["raw.funding_rates_ccxt"], raw.FUNDING_RATES_CCXT)
    assert violations(funding, raw.FUNDING_RATES_CCXT).is_empty()
    # Three times a day, the first with the first instant of the month.
    assert funding.height == 31 * 3
    assert funding["ts"].min() == dt.datetime(2024, 3, 1, tzinfo=dt.UTC)
    assert funding["funding_rate"].unique().to_list() == [0.0001]
    # Of the first too: the funding of the evening before is asked for, and not stored again.
    assert funding["interval_hours"].unique().to_list() == [8.0]


def test_the_first_funding_of_all_has_no_interval(bybit, fetch):
    funding = fetch("BTC/USDT:USDT", window=(2024, 1)).frames["raw.funding_rates_ccxt"]
    assert funding["ts"].min() == dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    assert funding.sort("ts")["interval_hours"].to_list() == [None, *[8.0] * (31 * 3 - 1)]


def test_history_is_paged(bybit, fetch):
    frame = fetch(freqs=("1h",), page_rows=100).frames["raw.bars_ccxt"]
    assert frame.height == frame["ts"].n_unique() == 31 * 24
    pages = [request for request in bybit.asked if request.path.endswith("/kline")]
    assert len(pages) == -(-31 * 24 // 100)


def test_an_unfinished_bar_is_not_stored(bybit, fetch):
    now = dt.datetime(2024, 3, 5, 10, 0, 30, tzinfo=dt.UTC)
    frame = fetch(now=now, freqs=("1h",)).frames["raw.bars_ccxt"]
    assert frame["ts"].max() == dt.datetime(2024, 3, 5, 9, tzinfo=dt.UTC)


def test_unknown_names_are_told_with_what_is_near(bybit, fetch):
    with pytest.raises(UnknownSymbolError, match=r"does not trade 'BTC/USDC', near is .*BTC/USDT"):
        fetch("BTC/USDC")
    with pytest.raises(SourceError, match=r"exchange = 'bybitt'.*near is bybit"):
        fetch(exchange="bybitt")
    with pytest.raises(SourceError, match=r"'BTCUSDT' is not in ccxt's unified spelling"):
        fetch("BTCUSDT")


def test_a_month_before_the_listing_is_a_named_error(bybit, fetch):
    with pytest.raises(WindowError, match=r"ccxt has no bar of BTC/USDT at bybit from 2023-05-01"):
        fetch(window=(2023, 5))


def test_throttling_and_half_answers_are_waited_out(bybit, fetch, waits):
    limited = answered({}, 10_006, "Too many visits. Exceeded the API Rate Limit.")
    bybit.before = [
        bybit.Reply(limited),
        bybit.Reply("<html>busy</html>", 502),
        bybit.Reply(answered({"list": []}), cut=20),
    ]
    assert fetch().frames["raw.bars_ccxt"].height == 31
    assert len(waits) == 3
    assert waits == sorted(waits)


def test_a_refusal_and_a_dead_exchange_are_named(bybit, fetch):
    real = bybit.answer

    def refused(request):
        if request.path.endswith("/kline"):
            return bybit.Reply(answered({}, 10_003, "API key is invalid."))
        return real(request)

    bybit.answer = refused
    with pytest.raises(WrongKeyError, match="bybit refused the request"):
        fetch()
    bybit.answer = lambda request: bybit.Reply("down", 503)
    with pytest.raises(ProviderUnavailableError, match="no list of markets in 2 attempts"):
        fetch(max_attempts=2)


def test_stored_answers_are_played_back(bybit, fetch):
    first = fetch(store=True)
    n_asked = len(bybit.asked)
    bybit.answer = lambda request: bybit.Reply("down", 503)
    again = fetch(store=True, replay=True)
    assert again.frames["raw.bars_ccxt"].equals(first.frames["raw.bars_ccxt"])
    assert len(bybit.asked) == n_asked


class Exchange:
    """ccxt's unified interface over whatever rows a test wants."""

    has = {"fetchOHLCV": True, "fetchFundingRateHistory": True}  # noqa: RUF012
    timeframes = {"1h": "60", "1d": "1440"}  # noqa: RUF012
    markets = {"BTC/USD": {}, "BTC/USD:USD": {}}  # noqa: RUF012

    def __init__(self, bars=(), fundings=()) -> None:
        self.bars, self.fundings, self.asked = list(bars), list(fundings), 0

    def load_markets(self):
        return self.markets

    def fetch_ohlcv(self, symbol, timeframe, since=None, limit=None):
        self.asked += 1
        return self.bars

    def fetch_funding_rate_history(self, symbol, since=None, limit=None):
        return [row for row in self.fundings if not row.get("timestamp", since) < since]


def bar(at: int) -> list:
    return [at, 1.0, 2.0, 0.5, 1.5, 10.0]


def test_an_exchange_that_serves_only_the_latest_bars_is_not_asked_for_ever(fetch):
    """Kraken gives the last 720 bars whatever the start: an old month is not there."""
    recent = Exchange([bar(ms(2024, 5, 1) + i * DAY) for i in range(20)])
    with pytest.raises(WindowError, match="history it serves, which begins at 2024-05-01"):
        fetch("BTC/USD", exchange="kraken", injected=recent)
    assert recent.asked == 1
    half = Exchange([bar(ms(2024, 3, 20) + i * DAY) for i in range(30)])
    fetched = fetch("BTC/USD", exchange="kraken", injected=half)
    assert fetched.frames["raw.bars_ccxt"]["ts"].min() == dt.datetime(2024, 3, 21, tzinfo=dt.UTC)
    assert fetched.notes["history_begins"] == {"BTC/USD 1d": "2024-03-20 00:00"}
    delisted = Exchange([bar(ms(2023, 5, 1))])
    with pytest.raises(WindowError):
        fetch("BTC/USD", exchange="kraken", injected=delisted)
    assert delisted.asked == 1


def test_an_empty_page_is_a_gap_and_not_the_end(fetch):
    class WithOutage(Exchange):
        def fetch_ohlcv(self, symbol, timeframe, since=None, limit=None):
            opens = [ms(2024, 3, day) for day in (1, 2, 20, 21)]
            return [bar(at) for at in opens if since <= at < since + limit * DAY]

    fetched = fetch("BTC/USD", injected=WithOutage(), page_rows=5)
    assert [ts.day for ts in fetched.frames["raw.bars_ccxt"]["ts"]] == [2, 3, 21, 22]


def test_nulls_and_nonsense_in_rows_are_refused_with_reasons(fetch):
    rows = [bar(ms(2024, 3, 1)), [ms(2024, 3, 2), None, None, None, None, None], ["x"], {"a": 1}]
    fundings = [
        {"timestamp": ms(2024, 3, 1), "fundingRate": 0.0001},
        {"timestamp": ms(2024, 3, 2), "fundingRate": None},
        {"fundingRate": 0.1},
        {"timestamp": ms(2024, 4, 1), "fundingRate": 0.5},
    ]
    fetched = fetch("BTC/USD:USD", injected=Exchange(rows, fundings))
    assert fetched.frames["raw.bars_ccxt"].height == 1
    assert fetched.frames["raw.funding_rates_ccxt"]["funding_rate"].to_list() == [0.0001]
    assert sorted(set(fetched.rejected["reason"])) == [
        "no funding rate", "no price", "no timestamp",
        "not a row of time, open, high, low, close, volume",
    ]  # fmt: skip
    assert all(json.loads(row) is not None for row in fetched.rejected["row_json"])


def test_an_unsupported_frequency_names_those_there_are(fetch):
    with pytest.raises(WindowError, match="no bars of 1m; it has 1h, 1d"):
        fetch("BTC/USD", injected=Exchange(), freqs=("1m",))


def test_without_the_extra_the_install_line_is_named(fetch, monkeypatch):
    monkeypatch.setitem(sys.modules, "ccxt", None)
    with pytest.raises(SourceError, match=r"pip install 'btquant\[crypto\]'"):
        fetch()
