"""ccxt itself against local servers in the shapes of OKX, Binance and Kraken."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from provider_shapes import kraken

from btq_assets.config.sources.market import CcxtSourceSection
from btq_assets.contracts import raw
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.sources.errors import AnswerShapeError, ProviderUnavailableError, WindowError
from btq_assets.sources.market.providers.ccxt_exchange import CcxtExchange

pytest.importorskip("ccxt")

LATER = dt.datetime(2024, 6, 1, tzinfo=dt.UTC)
DAY, HOUR = 86_400_000, 3_600_000


def ms(*parts: int) -> int:
    return round(dt.datetime(*parts, tzinfo=dt.UTC).timestamp() * 1_000)


SINCE, UNTIL = ms(2024, 1, 1), ms(2024, 6, 1)


def okx_said(data: list, code: str = "0", message: str = "") -> dict:
    return {"code": code, "data": data, "msg": message}


def okx_instrument(kind: str) -> dict:
    """One entry of /api/v5/public/instruments with the fields OKX gives."""
    spot = kind == "SPOT"
    return {
        "alias": "", "baseCcy": "BTC" if spot else "", "category": "1", "ctMult": "" if spot else "1",
        "ctType": "" if spot else "linear", "ctVal": "" if spot else "0.01",
        "ctValCcy": "" if spot else "BTC", "expTime": "", "instFamily": "" if spot else "BTC-USDT",
        "instId": "BTC-USDT" if spot else "BTC-USDT-SWAP", "instType": kind,
        "lever": "10", "listTime": "1606468572000", "lotSz": "0.00000001", "maxLmtSz": "9999999999",
        "minSz": "0.00001", "optType": "", "quoteCcy": "USDT" if spot else "",
        "settleCcy": "" if spot else "USDT", "state": "live", "stk": "", "tickSz": "0.1",
        "uly": "" if spot else "BTC-USDT",
    }  # fmt: skip


def okx(cap: int):
    """Newest first; ``before`` and ``after`` bound the stamps, both ends left out; at most `cap`."""

    def answer(ask) -> dict:
        if ask.path.endswith("/instruments"):
            kind = ask.params["instType"]
            return okx_said([okx_instrument(kind)] if kind in ("SPOT", "SWAP") else [])
        newer, older = int(ask.params.get("before", 0)), int(ask.params.get("after", UNTIL))
        limit = min(int(ask.params.get("limit", 100)), cap)
        if ask.path.endswith("/funding-rate-history"):
            stamps = [at for at in range(SINCE, UNTIL, 8 * HOUR) if newer < at < older]
            return okx_said(
                [
                    {"fundingRate": "0.0001", "fundingTime": str(at), "instId": "BTC-USDT-SWAP",
                     "instType": "SWAP", "method": "current_period", "realizedRate": "0.0002"}
                    for at in reversed(stamps)
                ][:limit]
            )  # fmt: skip
        step = {"1Dutc": DAY, "1H": HOUR}[ask.params["bar"]]
        opens = [at for at in range(SINCE, UNTIL, step) if newer < at < older]
        rows = [
            [str(at), "100", "101", "99", "100.5", "12", "1205", "1205", "1"] for at in opens[::-1]
        ]
        return okx_said(rows[:limit])

    return answer


def binance(ask) -> dict | list:
    """Spot and USD-margined perpetuals; oldest first from ``startTime``."""
    if ask.path.endswith("/exchangeInfo"):
        filters = [{"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"}]  # fmt: skip
        pair = {"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT",
                "filters": filters, "baseAssetPrecision": 8, "quotePrecision": 8}  # fmt: skip
        if ask.path.startswith("/dapi"):
            return {"symbols": []}
        if ask.path.startswith("/fapi"):
            pair |= {"pair": "BTCUSDT", "contractType": "PERPETUAL", "marginAsset": "USDT",
                     "deliveryDate": 4_133_404_800_000, "onboardDate": 1_569_398_400_000,
                     "pricePrecision": 2, "quantityPrecision": 3}  # fmt: skip
        else:
            pair |= {"isSpotTradingAllowed": True, "permissions": ["SPOT"]}
        return {"timezone": "UTC", "symbols": [pair]}
    first, limit = max(int(ask.params["startTime"]), SINCE), int(ask.params["limit"])
    if ask.path.endswith("/fundingRate"):
        last = int(ask.params.get("endTime", UNTIL))
        stamps = [at for at in range(SINCE, UNTIL, 8 * HOUR) if first <= at <= last]
        return [
            {"symbol": "BTCUSDT", "fundingTime": at, "fundingRate": "0.00010000", "markPrice": "1"}
            for at in stamps[:limit]
        ]
    step = {"1d": DAY, "1h": HOUR}[ask.params["interval"]]
    opens = range(-(-first // step) * step, UNTIL, step)[:limit]
    return [
        [at, "100.0", "101.0", "99.0", "100.5", "12.0", at + step - 1, "1205", 9, "6", "600", "0"]
        for at in opens
    ]


@pytest.fixture
def fetch(server, client_of, month):
    def call(exchange, *names, answer, now=LATER, window=(2024, 3), **settings):
        server.answer = lambda request: server.Reply(json.dumps(answer(request)))
        section = CcxtSourceSection(
            exchange=exchange, base_url=server.url, symbols=names, **settings
        )
        fetched = CcxtExchange(section, client_of("ccxt", section, now)).fetch(month(*window), now)
        bars = cast_to_contract(fetched.frames["raw.bars_ccxt"], raw.BARS_CCXT)
        funding = cast_to_contract(fetched.frames["raw.funding_rates_ccxt"], raw.FUNDING_RATES_CCXT)
        assert violations(bars, raw.BARS_CCXT).is_empty()
        assert violations(funding, raw.FUNDING_RATES_CCXT).is_empty()
        assert fetched.rejected.is_empty()
        return bars, funding

    return call


@pytest.mark.parametrize(
    ("exchange", "answer"),
    [("okx", okx(300)), ("okx", okx(100)), ("binance", binance)],
    ids=["okx", "okx with pages of 100", "binance"],
)
def test_a_month_of_hours_and_fundings_is_whole_in_each_exchanges_shape(fetch, exchange, answer):
    """March has 31 × 24 hours and 31 × 3 fundings; the server's rows are asked for page by page."""
    bars, funding = fetch(exchange, "BTC/USDT", "BTC/USDT:USDT", answer=answer, freqs=("1h",))
    for name in ("BTC/USDT", "BTC/USDT:USDT"):
        one = bars.filter(symbol=name)
        assert one.height == one["ts"].n_unique() == 31 * 24
        assert one["ts"].min() == dt.datetime(2024, 3, 1, tzinfo=dt.UTC)
        assert one["ts"].max() == dt.datetime(2024, 3, 31, 23, tzinfo=dt.UTC)
    assert bars["dataset"].unique().to_list() == [f"ccxt_{exchange}"]
    assert funding["ts"].to_list() == [
        dt.datetime(2024, 3, 1, tzinfo=dt.UTC) + dt.timedelta(hours=8 * n) for n in range(93)
    ]


def test_days_of_okx_are_days_of_utc(fetch, server):
    """OKX's own days begin at 16:00 UTC; only ``1Dutc`` begins at midnight (its API page)."""
    bars, _ = fetch("okx", "BTC/USDT", answer=okx(300))
    assert {r.params["bar"] for r in server.asked if "candles" in r.path} == {"1Dutc"}
    assert bars.height == 31


def test_krakens_names_and_seconds_are_read(fetch, server):
    """Kraken calls bitcoin XBT and writes seconds; it gives the last 720 bars whatever is asked."""

    def rows(request) -> list:
        cells = ["100.0", "101.0", "99.0", "100.5", "100.2", "12.5", 23]
        return [[at // 1_000, *cells] for at in range(ms(2024, 2, 1), UNTIL, DAY)]

    def answer(request):
        return json.loads(kraken(rows)(request).content)

    bars, _ = fetch("kraken", "BTC/USD", answer=answer)
    assert bars.height == 31
    assert bars["symbol"].unique().to_list() == ["BTC/USD"]
    with pytest.raises(WindowError, match="which begins at 2024-02-01"):
        fetch("kraken", "BTC/USD", answer=answer, window=(2024, 1))


@pytest.mark.parametrize(
    ("exchange", "said", "error"),
    [
        ("okx", okx_said([], "50011", "Requests too frequent."), ProviderUnavailableError),
        ("kraken", {"error": ["EAPI:Rate limit exceeded"]}, ProviderUnavailableError),
        ("kraken", {"error": [], "result": {"status": "maintenance"}}, AnswerShapeError),
        ("okx", {"code": "0", "msg": "", "rows": {}}, AnswerShapeError),
    ],
)
def test_a_refusal_with_http_200_never_passes_for_a_month_without_trades(
    fetch, exchange, said, error
):
    good = okx(300)

    def answer(request):
        if exchange == "okx":
            return said if "candles" in request.path else good(request)
        other = json.loads(kraken(lambda r: [])(request).content)
        return said if request.path.endswith("/OHLC") else other

    name = "BTC/USDT" if exchange == "okx" else "BTC/USD"
    with pytest.raises(error):
        fetch(exchange, name, answer=answer, max_attempts=2)
